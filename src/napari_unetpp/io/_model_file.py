"""One file for a model: weights as safetensors, everything else in its header.

Such a file holds numbers and text only: loading it cannot run code. Pickled
checkpoints can, so they are refused by their first bytes and never opened.
"""

from __future__ import annotations

import json
import os
import struct
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from napari_unetpp.config import ModelConfig, wrong_settings
from napari_unetpp.errors import ModelFileError, OutputError, OutputExistsError
from napari_unetpp.io._disk import beside
from napari_unetpp.nn import Model

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

SUFFIX = ".safetensors"

_KEY = "napari_unetpp"
_VERSION_KEY = "format_version"
_VERSION = "1"
_PICKLE_STARTS = (b"\x80", b"PK\x03\x04")  # bare pickle; torch's zip of pickles
_BUNDLED = Path(__file__).parents[1] / "models"


def save_model(
    model: Model, path: str | Path, *, overwrite: bool = False, half: bool = False
) -> Path:
    """Write a model to one file, beside its place and then renamed.

    Parameters
    ----------
    model : Model
        What is written; weights are copied to the CPU.
    path : str or Path
        File to make; its name ends in ``.safetensors``.
    overwrite : bool
        Replace a file that is already there.
    half : bool
        Round the kernels to float16 for a file of half the size. It is loaded as
        float32; probabilities change by about a thousandth.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    OutputExistsError
        If the file exists and `overwrite` is false.
    OutputError
        If the name or the folder is not fit, the disk is full, or a weight is too
        large for float16.
    """
    path = check_model_path(path, overwrite=overwrite)
    weights = {
        name: _halved(name, value) if half else value
        for name, value in _weights(model).items()
    }
    metadata = {_KEY: model.config.model_dump_json(), _VERSION_KEY: _VERSION}
    with beside(path) as part:
        part.write_bytes(save(weights, metadata))
    return path


def retitle(path: Path, target: Path, name: str) -> None:
    """Write a copy of a model file whose model calls itself `name`; weights as stored.

    Raises
    ------
    ModelFileError, OutputError
        If the file is damaged, or the copy cannot be written.
    """
    with _opened(path) as file:
        metadata = file.metadata() or {}
        weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    config = _parse_header(path, metadata).model_copy(update={"name": name})
    with beside(target) as part:
        part.write_bytes(save(weights, {**metadata, _KEY: config.model_dump_json()}))


def _weights(model: Model) -> dict[str, Tensor]:
    return {
        name: value.detach().cpu().contiguous()
        for name, value in model.network.state_dict().items()
    }


def _halved(name: str, value: Tensor) -> Tensor:
    """Return a kernel in float16; what is small, such as statistics, as it is."""
    if value.ndim < 2:
        return value
    if not value.abs().max() <= torch.finfo(torch.float16).max:
        raise OutputError(
            f"{name} holds weights up to {value.abs().max():g}, too large for float16;"
            " save the model in full (half=False)"
        )
    return value.half()


def check_model_path(path: str | Path, *, overwrite: bool) -> Path:
    """Return `path` if a model may be written there; refuse it before any work."""
    path = Path(path)
    if path.suffix != SUFFIX:
        raise OutputError(
            f"{path}: a model file ends in {SUFFIX}; write to"
            f" {path.with_suffix(SUFFIX).name}"
        )
    if path.exists() and not overwrite:
        raise OutputExistsError(
            f"{path} exists and is not overwritten; choose another name, or allow it"
            " (overwrite=True, --overwrite)"
        )
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise OutputError(
            f"{path.parent}: not a folder that can be written to; make it, or choose"
            " another"
        )
    return path


def load_model_file(path: str | Path) -> Model:
    """Read a model from its file.

    Parameters
    ----------
    path : str or Path
        A file written by `save_model`.

    Returns
    -------
    Model
        On the CPU, in evaluation mode.

    Raises
    ------
    ModelFileError
        If there is no such file, if it is damaged, of another program, of a newer
        format, or a pickle.
    """
    path = Path(path)
    with _opened(path) as file:
        metadata = file.metadata() or {}
        weights = {name: _widened(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118
    return _assemble(path, _parse_header(path, metadata), weights)


def read_model_config(path: str | Path) -> ModelConfig:
    """Read what a model is from its file, and not its weights.

    Parameters
    ----------
    path : str or Path
        A file written by `save_model`.

    Raises
    ------
    ModelFileError
        As `load_model_file` does, but for weights, which are not looked at.
    """
    path = Path(path)
    with _opened(path) as file:
        metadata = file.metadata() or {}
    return _parse_header(path, metadata)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a file of safetensors; say what is wrong with it if it is none."""
    if not path.is_file():
        raise ModelFileError(
            f"{path}: no such model file; give the path of a {SUFFIX} file or one of"
            f" the bundled models {', '.join(bundled_models()) or '(none)'}"
        )
    _refuse_pickle(path)
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            yield file
    except (SafetensorError, OSError, struct.error) as error:
        raise ModelFileError(
            f"{path}: damaged, or not a model ({error}); copy or train it again"
        ) from error


def _widened(value: Tensor) -> Tensor:
    """Return half-precision weights in float32: networks compute in that."""
    return value.float() if value.dtype == torch.float16 else value


def bundled_models() -> dict[str, Path]:
    """Return the models that come with the package: name to file."""
    return {path.stem: path for path in sorted(_BUNDLED.glob(f"*{SUFFIX}"))}


def _refuse_pickle(path: Path) -> None:
    """Refuse a file that starts as pickles do, without opening it as one."""
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be read ({error})") from error
    # The length of a safetensors header comes first and may look like a pickle's start.
    if start[8:] != b"{" and start.startswith(_PICKLE_STARTS):
        raise ModelFileError(
            f"{path}: a pickled checkpoint, which can run any code when it is loaded,"
            f" so it is refused; use a {SUFFIX} model made by napari-unetpp"
        )


def _parse_header(path: Path, metadata: dict[str, str]) -> ModelConfig:
    """Read the config from the header of the file."""
    if _KEY not in metadata:
        raise ModelFileError(
            f"{path}: safetensors, but not a napari-unetpp model (no {_KEY!r} in its"
            " header); use a file made by napari-unetpp"
        )
    if metadata.get(_VERSION_KEY) != _VERSION:
        raise ModelFileError(
            f"{path}: model format {metadata.get(_VERSION_KEY)!r}, this version reads"
            f" {_VERSION!r}; upgrade napari-unetpp"
        )
    try:
        return ModelConfig.model_validate(json.loads(metadata[_KEY]))
    except json.JSONDecodeError as error:
        raise _damaged_header(path, str(error)) from error
    except ValidationError as error:
        raise _damaged_header(path, wrong_settings(error, "; ")) from error


def _damaged_header(path: Path, why: str) -> ModelFileError:
    return ModelFileError(
        f"{path}: its header is damaged ({why}); copy or train it again"
    )


def _assemble(path: Path, config: ModelConfig, weights: dict[str, Tensor]) -> Model:
    """Put weights into the network that the config names."""
    broken = [name for name, value in weights.items() if not value.isfinite().all()]
    if broken:
        raise ModelFileError(
            f"{path}: its weights {', '.join(broken[:3])} hold NaN or infinite numbers;"
            " copy or train it again"
        )
    try:
        model = Model.new(config)
        model.network.load_state_dict(weights)
    except RuntimeError as error:  # torch names every tensor that does not fit
        raise ModelFileError(
            f"{path}: its weights do not fit its own description ({error})"
        ) from error
    model.network.eval()
    return model
