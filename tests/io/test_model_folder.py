"""The models at hand: listed, renamed, deleted."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from safetensors.torch import load_file

from napari_unetpp.errors import OutputError, OutputExistsError
from napari_unetpp.io import (
    bundled_models,
    delete_model,
    list_models,
    load_model_file,
    model_card,
    model_files,
    rename_model,
    save_model,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def mine(small_model, tmp_path: Path) -> Path:
    """The file of a model of the user's, its card and the state of its training."""
    path = save_model(small_model, tmp_path / "my [1].safetensors", half=True)
    path.with_suffix(".md").write_text("# Mine", encoding="utf-8")
    path.with_name(f"{path.name}.checkpoint").touch()
    (tmp_path / "my 2.md").touch()
    return path


def test_models_are_listed_by_where_they_came_from(mine, tmp_path: Path) -> None:
    config = load_model_file(mine).config
    record = {"imported_from": "other.zip", "card": "# Theirs"}
    model = load_model_file(mine)
    foreign = type(model)(model.network, config.model_copy(update={"training": record}))
    save_model(foreign, tmp_path / "other.safetensors")
    (tmp_path / "damaged.safetensors").write_bytes(b"nothing")
    found = {entry.name: entry for entry in list_models(tmp_path)}
    for name, path in bundled_models().items():
        assert (found[name].origin, found[name].model) == ("bundled", name)
        assert found[name].n_bytes == path.stat().st_size
    assert found["my [1]"].origin == "trained"
    assert found["my [1]"].config.network == config.network
    assert found["other"].origin == "imported"
    assert found["damaged"].config is None
    assert "damaged" in found["damaged"].problem
    assert model_card(mine) == "# Mine"
    assert model_card(tmp_path / "other.safetensors") == "# Theirs"
    assert model_card(tmp_path / "damaged.safetensors") == ""


def test_a_folder_that_is_not_there_has_no_models(tmp_path: Path) -> None:
    names = [entry.name for entry in list_models(tmp_path / "absent")]
    assert names == [*bundled_models()]


def test_a_renamed_model_is_the_same_by_another_name(mine, tmp_path: Path) -> None:
    before, stored = load_model_file(mine), load_file(mine)
    path = rename_model(mine, "cells at 20x")
    assert path == tmp_path / "cells at 20x.safetensors"
    assert load_model_file(path).config.name == "cells at 20x"
    assert load_model_file(path).config.network == before.config.network
    for name, value in load_file(path).items():  # half precision stays
        assert value.dtype == stored[name].dtype
        assert value.equal(stored[name])
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "cells at 20x.md",
        "cells at 20x.safetensors",
        "cells at 20x.safetensors.checkpoint",
        "my 2.md",
    ]
    assert rename_model(path, "cells at 20x.safetensors") == path


@pytest.mark.parametrize("name", ["", "  ", "a/b", "a:b", ".hidden", "a\nb"])
def test_names_that_are_no_files_are_refused(mine, name) -> None:
    with pytest.raises(OutputError, match="cannot be the name of a file"):
        rename_model(mine, name)
    assert mine.is_file()


def test_names_in_use_are_refused(mine, tmp_path: Path) -> None:
    with pytest.raises(OutputExistsError, match="comes with the package"):
        rename_model(mine, "nuclei")
    shutil.copy(mine, tmp_path / "other.safetensors")
    with pytest.raises(OutputExistsError, match="exists"):
        rename_model(mine, "other")


def test_a_deleted_model_takes_along_what_lies_beside_it(mine, tmp_path: Path) -> None:
    assert len(model_files(mine)) == 3
    delete_model(mine)
    assert [each.name for each in tmp_path.iterdir()] == ["my 2.md"]


def test_bundled_models_stay(tmp_path: Path) -> None:
    path = bundled_models()["nuclei"]
    for change in (delete_model, lambda model: rename_model(model, "mine")):
        for model in ("nuclei", path):
            with pytest.raises(OutputError, match="comes with the package"):
                change(model)
        with pytest.raises(OutputError, match="no such model"):
            change(tmp_path / "absent.safetensors")
    assert path.is_file()
