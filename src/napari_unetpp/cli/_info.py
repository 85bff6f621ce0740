"""What is installed, what it can use, and what is wrong with it."""

from __future__ import annotations

import platform
from dataclasses import asdict
from importlib import metadata
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from napari_unetpp.errors import ModelFileError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from napari_unetpp.inference import DeviceInfo

PACKAGES = ("napari-unetpp", "torch", "napari", "numpy", "dask", "zarr", "tifffile")
_REINSTALL = "install napari-unetpp again"
QT_BINDINGS = ("PyQt6", "PySide6", "PyQt5", "PySide2")


def versions() -> dict[str, str | None]:
    """Return the version of each package that matters; ``None`` where it is missing."""
    found: dict[str, str | None] = {}
    for name in (*PACKAGES, *QT_BINDINGS):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def models(
    bundled: Mapping[str, Path],
) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """Return what the models are, and the problems found with them."""
    good, problems = [], []
    for name, path in bundled.items():
        try:
            good.append(_describe(name, path))
        except ModelFileError as error:
            problems.append(_problem(str(error), _REINSTALL))
    if not bundled:
        problems.append(_problem("no model came with the package", _REINSTALL))
    return good, problems


def gather() -> dict[str, Any]:
    """Return all that ``info`` tells, as plain values.

    Returns
    -------
    dict
        ``python``, ``system``, ``versions``, ``torch_cuda`` (the CUDA version that
        torch was built for, or ``None``), ``devices``, ``models``, ``problems`` (each
        with its ``cure``).
    """
    import torch

    from napari_unetpp.inference import devices
    from napari_unetpp.io import bundled_models

    found = versions()
    good, broken = models(bundled_models())
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "versions": found,
        "torch_cuda": torch.version.cuda,
        "devices": [_device(device) for device in devices()],
        "models": good,
        "problems": [*_viewer_problems(found), *_device_problems(), *broken],
    }


def lines(found: dict[str, Any]) -> Iterator[str]:
    """Yield what `gather` found, as a person reads it."""
    yield f"Python {found['python']} on {found['system']}"
    for name, version in found["versions"].items():
        if version or name not in QT_BINDINGS:
            yield f"{name} {version or 'not installed'}"
    yield f"torch is built for {_build(found['torch_cuda'])}"
    yield "devices:"
    for device in found["devices"]:
        free, total = (device[f"{k}_bytes"] / 2**30 for k in ("free", "total"))
        memory = f"{free:.1f} of {total:.1f} GiB free"
        yield f"    {device['name']}: {device['label']}, {memory}"
        yield f"        networks run in {device['precision']}"
    yield "models:"
    for model in found["models"]:
        size = f" of {model['diameter']:.3g} px" if model["diameter"] else ""
        yield (
            f"    {model['name']}: {model['spatial_dims']}-D {model['type']}{size},"
            f" {model['heads']} heads, {model['parameters']:,} parameters"
        )
        if model["description"]:
            yield f"        {model['description']}"
    yield "problems:" if found["problems"] else "no problems found"
    for problem in found["problems"]:
        yield f"    {problem['problem']}; cure: {problem['cure']}"


def _device(device: DeviceInfo) -> dict[str, Any]:
    import torch

    from napari_unetpp.inference import why_precision

    return {
        **asdict(device),
        "precision": why_precision("auto", torch.device(device.name)),
    }


def _build(cuda: str | None) -> str:
    return f"CUDA {cuda}" if cuda else "the CPU"


def _describe(name: str, path: Path) -> dict[str, Any]:
    """Return what a user wants to know of a model."""
    from napari_unetpp.io import load_model_file

    model = load_model_file(path)
    return {
        "name": name,
        "description": model.config.description,
        "type": model.config.task,
        "spatial_dims": model.config.network.spatial_dims,
        "classes": list(model.config.class_names),
        "diameter": model.config.diameter,
        "heads": model.config.network.n_heads,
        "parameters": model.n_parameters,
        "path": str(path),
    }


def _viewer_problems(found: dict[str, str | None]) -> list[dict[str, str]]:
    """Return what keeps the panels from opening."""
    if found["napari"] is None:
        return [
            _problem(
                "napari is not installed: the command line and Python work, the panels"
                " do not",
                'pip install "napari-unetpp[all]"',
            )
        ]
    if not any(find_spec(name) for name in QT_BINDINGS):
        return [_problem("no Qt is installed: napari cannot open", "pip install pyqt6")]
    return []


def _device_problems() -> list[dict[str, str]]:
    """Return what keeps torch from using the hardware that is there."""
    from napari_unetpp.inference import cuda_hint

    hint = cuda_hint()
    return [] if hint is None else [_problem("an NVIDIA card lies idle", hint)]


def _problem(what: str, cure: str) -> dict[str, str]:
    return {"problem": what, "cure": cure}
