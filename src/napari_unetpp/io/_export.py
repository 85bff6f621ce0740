"""Models as programs for others: TorchScript, torch.export, ONNX, bioimage.io packages.

What is exported answers with probabilities, the mean of the heads first, and takes
pixels whose intensities are already mapped (of a package: any pixels). What was written
is read back and compared with the network that it was made from.
"""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from napari_unetpp.errors import OutputError, OutputExistsError, SettingsError
from napari_unetpp.io._disk import beside
from napari_unetpp.io._exported_network import ExportedNetwork

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

    from napari_unetpp._types import FloatArray
    from napari_unetpp.nn import Model

ExportFormat = Literal["bioimageio", "onnx", "torchscript", "torch-export"]

EXPORT_SUFFIXES: dict[ExportFormat, str] = {
    "bioimageio": ".zip",
    "onnx": ".onnx",
    "torchscript": ".pt",
    "torch-export": ".pt2",
}
"""How the file of each format ends."""

TOLERANCE = 1e-4
"""Largest difference of a probability that an exported program may show."""

_CONFIG_FILE = "napari_unetpp.json"
_OPSET = 18
_NEEDS = {"onnx": ("onnx", "onnxscript")}


@dataclass(frozen=True, slots=True)
class Exported:
    """A model that was written for other programs.

    Attributes
    ----------
    path : Path
        The file.
    form : {"bioimageio", "onnx", "torchscript", "torch-export"}
        What it is.
    difference : float or None
        Largest difference of a probability between what was written and the network,
        on random pixels of another size; ``None`` if nothing here can run it (ONNX
        without onnxruntime).
    """

    path: Path
    form: ExportFormat
    difference: float | None


def export_arguments(model: Model) -> dict[str, Any]:
    """Return what `ExportedNetwork` is made from: plain values, as YAML holds them."""
    config = model.config.network
    return {
        "architecture": config.architecture,
        "spatial_dims": config.spatial_dims,
        "in_channels": config.in_channels,
        "out_channels": config.out_channels,
        "widths": list(config.widths),
        "strides": [list(step) for step in config.level_strides],
        "upsampling": config.upsampling,
        "norm": config.norm,
        "temperatures": list(model.temperatures),
        "shares": list(model.head_weights(config.depth)),
    }


def exported_network(model: Model) -> ExportedNetwork:
    """Return the network with a model's weights that others can run.

    Raises
    ------
    SettingsError
        If the model is a program of somebody else.
    """
    if model.config.network.architecture not in ("unetpp", "unet"):
        raise SettingsError(
            f"{model.config.name} is a program that was imported, and not a network of"
            " ours: hand on the file that it was imported from"
        )
    network = ExportedNetwork(**export_arguments(model))
    network.load_state_dict(model.network.state_dict())
    return network.cpu().eval().requires_grad_(False)


def output_names(model: Model) -> tuple[str, ...]:
    """Return the names of what comes out: the mean, then each head if several."""
    n = model.config.network.n_heads
    return ("mean", *(f"head_{j}" for j in range(1, n + 1))) if n > 1 else ("mean",)


def check_export(path: str | Path, form: ExportFormat, *, overwrite: bool) -> Path:
    """Return `path` if a model may be exported to it; refuse it before any work.

    Raises
    ------
    OutputError
        If the name does not end as files of the format do.
    OutputExistsError
        If it exists and `overwrite` is false.
    SettingsError
        If a package that the format needs is missing.
    """
    path, suffix = Path(path), EXPORT_SUFFIXES[form]
    if path.suffix != suffix:
        raise OutputError(
            f"{path}: a file of the format {form} ends in {suffix}; write to"
            f" {path.with_suffix(suffix).name}"
        )
    if path.exists() and not overwrite:
        raise OutputExistsError(
            f"{path} exists and is not overwritten; choose another name, or allow it"
            " (overwrite=True, --overwrite)"
        )
    missing = [name for name in _NEEDS.get(form, ()) if find_spec(name) is None]
    if missing:
        raise SettingsError(
            f"the format {form} needs {' and '.join(missing)}, which"
            f" {'are' if len(missing) > 1 else 'is'} not installed:"
            f' pip install "napari-unetpp[{form}]"'
        )
    return path


def export_program(model: Model, path: Path, form: ExportFormat) -> Exported:
    """Write a model as TorchScript, torch.export or ONNX, and compare what it answers.

    Parameters
    ----------
    model : Model
        UNet++ or U-Net.
    path : Path
        File to make, as `check_export` passed it.
    form : {"onnx", "torchscript", "torch-export"}
        What to write.

    Raises
    ------
    OutputError
        If the file cannot be written, or does not answer as the network does.
    """
    network, config = exported_network(model), model.config.model_dump_json()
    write = {
        "torchscript": write_torchscript,
        "torch-export": _write_torch_export,
        "onnx": _write_onnx,
    }[form]
    with beside(path) as part, quiet():
        write(network, model, part, config)
        difference = compare(network, model, reader_of(part, form))
        _refuse(path, difference)
    return Exported(path, form, difference)


def write_torchscript(
    network: ExportedNetwork, model: Model, path: Path, config: str
) -> None:
    """Write a traced network; any size that is a multiple of the alignment runs."""
    with torch.no_grad():
        trace: Any = torch.jit.trace
        traced = trace(network, (random_pixels(model, 2),), check_trace=False)
    traced.save(str(path), _extra_files={_CONFIG_FILE: config})


def _write_torch_export(
    network: ExportedNetwork, model: Model, path: Path, config: str
) -> None:
    pixels = random_pixels(model, 2, n=2)  # one image would be taken as a rule
    with torch.no_grad():
        program = torch.export.export(
            network, (pixels,), dynamic_shapes=(_sizes(model),)
        )
    with path.open("wb") as file:
        torch.export.save(program, file, extra_files={_CONFIG_FILE: config})


def _write_onnx(
    network: ExportedNetwork, model: Model, path: Path, config: str
) -> None:
    program = torch.onnx.export(
        network,
        (random_pixels(model, 2, n=2),),
        dynamo=True,
        dynamic_shapes=(_sizes(model),),
        input_names=["pixels"],
        output_names=list(output_names(model)),
        opset_version=_OPSET,
        verbose=False,
    )
    if program is None:
        raise OutputError(f"{path}: torch made no ONNX program; use torchscript")
    program.model.metadata_props["napari_unetpp"] = config
    program.save(path, external_data=False)


def _sizes(model: Model) -> dict[int, Any]:
    """Return which axes may have any size: from two times the alignment on."""
    dim = torch.export.Dim
    axes = "zyx"[-model.config.network.spatial_dims :]
    steps = zip(axes, model.config.network.alignment(), strict=True)
    spatial = {
        2 + i: step * dim(name, min=2) if step > 1 else dim(name, min=2)
        for i, (name, step) in enumerate(steps)
    }
    return {0: dim("n", min=1), **spatial}


def reader_of(
    path: Path, form: ExportFormat
) -> Callable[[Tensor], Sequence[FloatArray]] | None:
    """Return what runs an exported program, or ``None`` if nothing here does."""
    if form == "onnx":
        if find_spec("onnxruntime") is None:
            return None
        import onnxruntime

        session = onnxruntime.InferenceSession(
            path.read_bytes(), providers=["CPUExecutionProvider"]
        )
        return lambda x: session.run(None, {"pixels": x.numpy()})
    if form == "torch-export":
        with path.open("rb") as file:
            program = torch.export.load(file).module()
    else:
        load: Any = torch.jit.load
        with quiet():
            program = load(str(path))
    return lambda x: [each.numpy() for each in program(x)]


def compare(
    network: ExportedNetwork,
    model: Model,
    run: Callable[[Tensor], Sequence[FloatArray]] | None,
) -> float | None:
    """Return the largest difference between a program and the network."""
    if run is None:
        return None
    pixels = random_pixels(model, 3)
    with torch.no_grad():
        wanted, found = network(pixels), run(pixels)
        return max(
            float(np.abs(a.numpy() - b).max())
            for a, b in zip(wanted, found, strict=True)
        )


def _refuse(path: Path, difference: float | None) -> None:
    if difference is not None and not difference <= TOLERANCE:
        raise OutputError(
            f"{path}: what was written differs from the network by {difference:.1g},"
            f" more than {TOLERANCE:g}; use another format, or another version of torch"
        )


def random_pixels(model: Model, factor: int, n: int = 1) -> Tensor:
    """Return (n, C, *S) random pixels, S about `factor` times the alignment."""
    config = model.config.network
    size = [step * (factor + i) for i, step in enumerate(config.alignment())]
    values = np.random.default_rng(0).random((n, config.in_channels, *size), np.float32)
    return torch.from_numpy(values)


@contextmanager
def quiet() -> Iterator[None]:
    """Leave out what torch says of its own plans (TorchScript is called old)."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
