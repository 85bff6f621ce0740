"""Models out of bioimage.io packages: ours as they were, others as programs.

A package of ours holds our description, and its weights are read as numbers. Of others
the program is taken (TorchScript, or ONNX), with what the description says of
intensities, sizes and halo, and tried on the pixels that come with it. Python code of a
package is never run.
"""

from __future__ import annotations

import io
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from pydantic import ValidationError

from napari_unetpp.config import (
    INSTANCE_CLASSES,
    IntensityConfig,
    ModelConfig,
    NetworkConfig,
    ProgramConfig,
    wrong_settings,
)
from napari_unetpp.errors import ModelFileError
from napari_unetpp.io._bioimageio_description import CONFIG_KEY
from napari_unetpp.io._bioimageio_read import Package
from napari_unetpp.io._bioimageio_trial import program_network, tried, with_halo
from napari_unetpp.nn import Model
from napari_unetpp.nn._program import (
    check_torchscript,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_unetpp._types import FloatArray
    from napari_unetpp.config import Channels, Task
    from napari_unetpp.io._bioimageio_read import Tensor

_WIDTHS = (64, 128)
"""Feature maps that the memory of a program is guessed from."""
_SEEN = 1e-3
_NO_STEPS = ("ensure_dtype", "binarize", "clip")
_OUTLINES = ("bound", "edge", "contour", "border", "outline", "membrane")
_CARD = 20_000


def import_package(path: Path, task: Task | None = None) -> Model:
    """Return the model of a bioimage.io package.

    Parameters
    ----------
    path : Path
        A ZIP file, a folder, or the description in it; format 0.4 or 0.5.
    task : {"instances", "classes"}, optional
        What a model of others finds, where the package does not make it clear: a
        foreground with outlines becomes objects unless it is said otherwise.

    Returns
    -------
    Model
        On the CPU, in evaluation mode.

    Raises
    ------
    ModelFileError
        If it is no package, damaged, or what it needs is not to be had here; the
        message names it.
    """
    package = Package(path)
    ours = (package.content.get("config") or {}).get(CONFIG_KEY)
    if isinstance(ours, dict) and "model" in ours:
        return _ours(package, ours["model"])
    return _program(package, task)


def _ours(package: Package, described: Any) -> Model:
    """Return a model that was exported from here, with its own weights."""
    content = package.weights("pytorch_state_dict")
    try:
        model = Model.new(ModelConfig.model_validate(described))
        weights = torch.load(io.BytesIO(content or b""), weights_only=True)
        model.network.load_state_dict(weights)
    except ValidationError as error:
        raise ModelFileError(
            f"{package.path}: {wrong_settings(error, '; ')}; export it again"
        ) from error
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise ModelFileError(
            f"{package.path}: its weights do not fit its own description ({error});"
            " export it again"
        ) from error
    model.network.eval()
    return model


def _program(package: Package, task: Task | None) -> Model:
    """Return a model of others, tried on the pixels that come with it."""
    inputs, outputs = package.tensors()
    source = _the_input(package, inputs)
    index, answer = _the_output(package, source, outputs)
    kind, content = _weights(package)
    pixels, wanted = package.array(source.test), package.array(answer.test)
    n_channels, n_in = (
        _n_channels(package, answer, wanted),
        _n_channels(package, source, pixels),
    )
    how = ProgramConfig(
        kind=kind,
        n_bytes=len(content),
        input_axes=source.axes,
        output_axes=answer.axes,
        output=index,
        n_channels=n_channels,
        activation=_activation(package, answer, wanted),
        meaning=_meaning(answer, wanted, n_channels, task),
        halo=tuple(answer.halo.get(a, 0) for a in _spatial(source)),
        least=tuple(source.least[a] for a in _spatial(source)),
    )
    config = _config(package, source, answer, how, n_in)
    network = program_network(config.network, content)
    difference = tried(package, config, network, pixels, wanted, answer)
    config, network = with_halo(config, network, content)
    record = {**config.training, "difference": difference}
    return Model(network, config.model_copy(update={"training": record}))


def _spatial(tensor: Tensor) -> str:
    """Return the spatial axes, Z first."""
    return "".join(letter for letter in "zyx" if letter in tensor.axes)


def _the_input(package: Package, inputs: Sequence[Tensor]) -> Tensor:
    """Return the one input; refuse what tiles cannot serve."""
    if len(inputs) != 1:
        raise ModelFileError(
            f"{package.path}: it takes {len(inputs)} inputs; models that take one image"
            " can be imported"
        )
    (source,) = inputs
    if not {*"yx"} <= {*source.axes} <= {*"bczyx"}:
        raise ModelFileError(
            f"{package.path}: its input has the axes {source.axes!r}; images with y and"
            " x, and perhaps b, c and z, can be given"
        )
    for axis in _spatial(source):
        least, step = source.least.get(axis, 0), source.step.get(axis, 0)
        if not step or least % step:
            sizes = f"{least} + n {step}" if step else f"{least or 'another'} alone"
            raise ModelFileError(
                f"{package.path}: it takes images of size {sizes} along {axis};"
                " models that take any multiple of a step can be imported, as tiles of"
                " one size leave seams"
            )
    return source


def _the_output(
    package: Package, source: Tensor, outputs: Sequence[Tensor]
) -> tuple[int, Tensor]:
    """Return the first output that is as large as the input, and its place."""
    for index, tensor in enumerate(outputs):
        scales = [tensor.scale.get(axis, 1.0) for axis in _spatial(source)]
        same = all(
            scale == source.scale.get(a, 1.0)
            for scale, a in zip(scales, _spatial(source), strict=True)
        )
        if _spatial(tensor) == _spatial(source) and same:
            return index, tensor
    raise ModelFileError(
        f"{package.path}: none of its outputs"
        f" ({', '.join(each.name for each in outputs)}) has a value for every pixel of"
        " the input; models that segment can be imported"
    )


def _weights(package: Package) -> tuple[Any, bytes]:
    """Return the kind of program and the program: TorchScript if it is safe to run."""
    refused = ""
    content = package.weights("torchscript")
    if content is not None:
        try:
            check_torchscript(content)
        except ModelFileError as error:
            refused = f"; {error}"
        else:
            return "torchscript", content
    content = package.weights("onnx")
    if content is not None:
        return "onnx", content
    raise ModelFileError(
        f"{package.path}: its weights are {', '.join(package.formats)}, and torchscript"
        f" or onnx (in one file) are needed{refused}; convert them with bioimageio"
        " add-weights"
    )


def _n_channels(package: Package, tensor: Tensor, pixels: FloatArray | None) -> int:
    """Return the number of channels of an input or output."""
    if "c" not in tensor.axes:
        return 1
    if pixels is not None and pixels.ndim == len(tensor.axes):
        return int(pixels.shape[tensor.axes.index("c")])
    if tensor.channels:
        return len(tensor.channels)
    raise ModelFileError(
        f"{package.path}: nothing says how many channels {tensor.name} has; a package"
        " needs its test pixels"
    )


def _activation(package: Package, answer: Tensor, wanted: FloatArray | None) -> Any:
    """Return what makes probabilities of the answer."""
    names = [name for name, _ in answer.steps]
    known = [name for name in names if name in ("sigmoid", "softmax")]
    strange = [n for n in names if n not in (*_NO_STEPS, "sigmoid", "softmax")]
    if strange or len(known) > 1:
        raise ModelFileError(
            f"{package.path}: what is done with its answer ({', '.join(names)}) gives"
            " no probabilities; models that segment by probabilities can be imported"
        )
    if known:
        return known[0]
    if wanted is not None and not -_SEEN <= wanted.min() <= wanted.max() <= 1 + _SEEN:
        raise ModelFileError(
            f"{package.path}: its answer lies between {wanted.min():.3g} and"
            f" {wanted.max():.3g}, so it is no probability; models that segment by"
            " probabilities can be imported"
        )
    return "none"


def _meaning(
    answer: Tensor, wanted: FloatArray | None, n: int, task: Task | None
) -> Any:
    """Return what the channels mean: by the test pixels, and by their names."""
    names = [name for name, _ in answer.steps]
    if n == 1:
        return "independent"
    if "softmax" in names:
        return "exclusive"
    if wanted is not None and "binarize" not in names:
        total = wanted.sum(axis=answer.axes.index("c"))
        if np.abs(total - 1).max() < 10 * _SEEN:
            return "exclusive"
    named = [name.lower() for name in answer.channels]
    outlined = not named or any(word in named[-1] for word in _OUTLINES)
    outlined = outlined or named[-1].startswith("channel")
    return "outlined" if n == 2 and outlined and task != "classes" else "independent"


def _config(
    package: Package, source: Tensor, answer: Tensor, how: ProgramConfig, n_in: int
) -> ModelConfig:
    """Return the config of the model: what our own say in their headers."""
    spatial = _spatial(source)
    network = NetworkConfig(
        architecture="program",
        spatial_dims=3 if "z" in spatial else 2,
        in_channels=n_in,
        out_channels=how.n_classes,
        widths=_WIDTHS,
        strides=(tuple(source.step[axis] for axis in spatial),),
        program=how,
    )
    names = answer.channels or tuple(f"class {i + 1}" for i in range(how.n_channels))
    if how.meaning == "independent":
        names = ("background", *names)
    objects = how.meaning == "outlined" or names == INSTANCE_CLASSES
    content = package.content
    return ModelConfig(
        name=str(content.get("name", package.path.stem)),
        network=network,
        task="instances" if objects else "classes",
        class_names=INSTANCE_CLASSES if objects else names,
        class_values=tuple(range(how.n_classes)),
        channels=_channels(source, n_in),
        intensity=_intensity(package, source),
        description=str(content.get("description", ""))[:500],
        training=_record(package),
    )


def _record(package: Package) -> dict[str, Any]:
    """Return where a model comes from, as far as its package says so."""
    content = package.content
    found = {
        "imported_from": package.path.name,
        "authors": [str(a.get("name", "")) for a in content.get("authors") or []],
        "licence": str(content.get("license") or ""),
        "card": package.text("documentation")[:_CARD],
    }
    return {key: value for key, value in found.items() if value}


def _channels(source: Tensor, n: int) -> Channels:
    """Return what images the model takes: colours are called so, or not at all."""
    if n == 1:
        return "grey"
    first = source.channels[0].lower() if source.channels else "red"
    return "rgb" if n == 3 and first in ("red", "r", "channel0") else "as_is"


def _intensity(package: Package, source: Tensor) -> IntensityConfig:
    """Return how pixels are mapped, from what the package does before the network."""
    steps = [step for step in source.steps if step[0] != "ensure_dtype"]
    clip = (-1e6, 1e6)
    if steps and steps[-1][0] == "clip":
        limits = steps.pop()[1]
        clip = (float(limits.get("min", clip[0])), float(limits.get("max", clip[1])))
    if len(steps) > 1:
        raise _unknown_steps(package, source)
    name, settings = steps[0] if steps else ("scale_linear", {})
    axes = settings.get("axes")
    over = {"channel": "c"}
    joint = axes is None or "c" in [over.get(a, a) for a in axes]
    if name == "scale_range" and not settings.get("reference_tensor"):
        return IntensityConfig(
            low_percentile=settings.get("min_percentile", 0.0),
            high_percentile=settings.get("max_percentile", 100.0),
            clip=clip,
            joint=joint,
        )
    fixed = _fixed(name, settings)
    if fixed:
        return IntensityConfig(rule="fixed", fixed=fixed, clip=clip)
    if name == "zero_mean_unit_variance":
        return IntensityConfig(rule="standard", clip=clip, joint=joint)
    raise _unknown_steps(package, source)


def _unknown_steps(package: Package, source: Tensor) -> ModelFileError:
    names = ", ".join(name for name, _ in source.steps)
    return ModelFileError(
        f"{package.path}: what is done with the pixels first ({names}) is not known"
        " here; one scaling, by range, by mean and deviation or by fixed values, and"
        " then a clip can be done"
    )


def _fixed(name: str, settings: dict[str, Any]) -> tuple[tuple[float, float], ...]:
    """Return the values that become 0 and 1; empty if they depend on the image."""
    if name == "scale_linear":
        gains = np.atleast_1d(np.asarray(settings.get("gain", 1.0), float))
        offsets = np.atleast_1d(np.asarray(settings.get("offset", 0.0), float))
        pairs = np.broadcast(gains, offsets)
        return tuple((float(-o / g), float((1 - o) / g)) for g, o in pairs)
    standard = name == "zero_mean_unit_variance" and settings.get("mode") == "fixed"
    if name == "fixed_zero_mean_unit_variance" or standard:
        means = np.atleast_1d(np.asarray(settings["mean"], float)).ravel()
        spreads = np.atleast_1d(np.asarray(settings["std"], float)).ravel()
        pairs = np.broadcast(means, spreads)
        return tuple((float(m), float(m + s)) for m, s in pairs)
    return ()
