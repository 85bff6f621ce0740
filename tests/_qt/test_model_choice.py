"""Models are offered as soon as their files are there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt

from napari_unetpp._napari import prepare
from napari_unetpp._qt._model_choice import ModelChoice
from napari_unetpp.io import bundled_models

if TYPE_CHECKING:
    from pathlib import Path


TIP = Qt.ItemDataRole.ToolTipRole


def offered(choice: ModelChoice) -> list[str]:
    """Return the texts of all choices."""
    return [choice._box.itemText(i) for i in range(choice._box.count())]


def test_new_files_are_offered_and_the_choice_stays(qtbot: Any, tmp_path: Path) -> None:
    folder = tmp_path / "not there" / "models"
    choice = ModelChoice("nuclei", folder)
    qtbot.addWidget(choice)
    changes = []
    choice.model_changed.connect(lambda: changes.append(choice.model))
    folder.mkdir(parents=True)
    (folder / "mine.safetensors").write_bytes(b"")
    qtbot.waitUntil(lambda: offered(choice) == ["nuclei", "mine"])
    part = folder / "newer.safetensors.part"
    part.write_bytes(b"")
    part.rename(folder / "newer.safetensors")
    qtbot.waitUntil(lambda: "newer" in offered(choice))
    assert choice.model == "nuclei"
    assert changes == []


def test_no_model_can_be_a_choice(qtbot: Any, tmp_path: Path) -> None:
    choice = ModelChoice("", tmp_path, none="a new network")
    qtbot.addWidget(choice)
    choice.offer(["nuclei"])
    assert offered(choice) == ["a new network", "nuclei"]
    assert choice.model == ""
    choice.choose("nuclei")
    assert choice.model == "nuclei"
    choice.choose("")
    assert choice.model == ""


def test_models_say_what_they_are_for(qtbot: Any, tmp_path: Path) -> None:
    choice = ModelChoice("nuclei", tmp_path)
    qtbot.addWidget(choice)
    choice.offer(["cells", "nuclei"], {"cells": "Cells in phase contrast"})

    def tip(model: str) -> str:
        return choice._box.itemData(choice._models.index(model), TIP)

    assert tip("cells") == "Cells in phase contrast\ncells"
    assert tip("nuclei") == "nuclei"
    choice.offer(["nuclei"])  # what was said stays said
    assert tip("cells").startswith("Cells in phase contrast")


def test_what_models_are_for_is_found_before_one_is_chosen(tmp_path: Path) -> None:
    (tmp_path / "damaged.safetensors").write_bytes(b"no model")
    (found,) = prepare(tmp_path)
    assert set(bundled_models()) < set(found.models)
    assert all(found.words[name] for name in bundled_models())
    assert str(tmp_path / "damaged.safetensors") not in found.words
