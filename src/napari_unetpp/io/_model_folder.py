"""The models at hand: those of the package, and the user's own in a folder.

Beside a model of the user's may lie a card of the same name (Markdown) and the state of
a training that has not ended; both go where the model goes.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from napari_unetpp.errors import ModelFileError, OutputError, OutputExistsError
from napari_unetpp.io._disk import disk_errors
from napari_unetpp.io._model_file import (
    SUFFIX,
    bundled_models,
    check_model_path,
    read_model_config,
    retitle,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_unetpp.config import ModelConfig

ModelOrigin = Literal["bundled", "trained", "imported"]

_NOT_IN_NAMES = re.compile(r'[/\\:*?"<>|\x00-\x1f]')


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A model that is at hand.

    Attributes
    ----------
    model : str
        What it is loaded by: its name, or the path of its file.
    path : Path
        Its file.
    origin : {"bundled", "trained", "imported"}
        Whether it came with the package, was trained here, or came from elsewhere.
    config : ModelConfig or None
        All of it but the weights; ``None`` if the file is damaged.
    problem : str
        What is wrong with the file; empty if nothing is.
    n_bytes : int
        Size of the file.
    """

    model: str
    path: Path
    origin: ModelOrigin
    config: ModelConfig | None
    problem: str
    n_bytes: int

    @property
    def name(self) -> str:
        """What it is called in lists."""
        return self.path.stem


def models_folder() -> Path:
    """Return the folder of the user's own models; it need not exist."""
    return Path.home() / "napari-unetpp" / "models"


def list_models(folder: str | Path | None = None) -> tuple[ModelEntry, ...]:
    """Return the models at hand: the bundled ones, then the user's, newest first.

    Parameters
    ----------
    folder : str or Path, optional
        Folder of the user's own models; `models_folder` by default.
    """
    folder = models_folder() if folder is None else Path(folder)
    bundled = [_entry(name, path, "bundled") for name, path in bundled_models().items()]
    return (*bundled, *(_entry(str(path), path) for path in _own(folder)))


def _own(folder: Path) -> Iterator[Path]:
    """Yield the model files of a folder, the newest first."""
    found = []
    for path in folder.glob(f"*{SUFFIX}"):
        with suppress(OSError):  # gone meanwhile
            found.append((path.stat().st_mtime, path))
    yield from (path for _, path in sorted(found, reverse=True))


def _entry(model: str, path: Path, origin: ModelOrigin | None = None) -> ModelEntry:
    config, problem, size = None, "", 0
    try:
        size = path.stat().st_size
        config = read_model_config(path)
    except (ModelFileError, OSError) as error:
        problem = str(error)
    if origin is None:
        foreign = config is not None and "imported_from" in config.training
        origin = "imported" if foreign else "trained"
    return ModelEntry(model, path, origin, config, problem, size)


def model_card(path: str | Path) -> str:
    """Return the card of a model, Markdown: the file beside it, or its record's."""
    path = Path(path)
    with suppress(OSError):
        return path.with_suffix(".md").read_text(encoding="utf-8")
    with suppress(ModelFileError):
        return str(read_model_config(path).training.get("card") or "")
    return ""


def rename_model(path: str | Path, name: str) -> Path:
    """Give a model of the user's another name: its file, and what it calls itself.

    Parameters
    ----------
    path : str or Path
        Its file.
    name : str
        The new name, without an ending.

    Returns
    -------
    Path
        Its file from now on.

    Raises
    ------
    OutputError
        If it came with the package, or the name cannot be that of a file.
    OutputExistsError
        If there is a model of that name already.
    """
    path = _mine(path)
    name = name.strip().removesuffix(SUFFIX)
    if not name or _NOT_IN_NAMES.search(name) or name.startswith("."):
        raise OutputError(
            f"{name!r} cannot be the name of a file: use letters, digits, spaces,"
            " hyphens and underscores"
        )
    if name in bundled_models():
        raise OutputExistsError(
            f"{name} is the name of a model that comes with the package; choose another"
        )
    target = path.with_name(name + SUFFIX)
    if target == path:
        return path
    check_model_path(target, overwrite=False)
    retitle(path, target, name)
    for other in _beside(path):
        with disk_errors(other):
            os.replace(
                other, other.with_name(name + other.name.removeprefix(path.stem))
            )
    with disk_errors(path):
        path.unlink()
    return target


def delete_model(path: str | Path) -> None:
    """Delete a model of the user's, and what lies beside it.

    Raises
    ------
    OutputError
        If it came with the package, or cannot be deleted.
    """
    path = _mine(path)
    for each in (*_beside(path), path):
        with disk_errors(each):
            each.unlink(missing_ok=True)


def model_files(path: str | Path) -> tuple[Path, ...]:
    """Return all files of a model of the user's, which go when it is deleted."""
    path = _mine(path)
    return (*_beside(path), path)


def _beside(path: Path) -> tuple[Path, ...]:
    """Return a model's card and the state of its training, as far as they are there."""
    names = (path.with_suffix(".md"), *path.parent.glob(f"{_escaped(path.name)}.*"))
    return tuple(each for each in names if each.is_file())


def _escaped(name: str) -> str:
    """Return a name that means itself where files are looked for."""
    return re.sub(r"([\[*?])", r"[\1]", name)


def _mine(path: str | Path) -> Path:
    path = Path(path)
    if str(path) in bundled_models() or path in bundled_models().values():
        raise OutputError(
            f"{path.stem} comes with the package and stays as it is; save a copy of it"
            " under another name"
        )
    if not path.is_file():
        raise OutputError(f"{path}: there is no such model; look at the list again")
    return path
