"""Models are offered as soon as their files are there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_unetpp._qt._model_choice import ModelChoice

if TYPE_CHECKING:
    from pathlib import Path


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
