"""What a bioimage.io package says of a model: version 0.5, as plain values.

Every head is an output that names its own halo; the deepest stands last, as programs
that cut blocks take the halo of the last one.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_unetpp.io._export import export_arguments, output_names
from napari_unetpp.tiling import halo_for

if TYPE_CHECKING:
    from napari_unetpp.nn import Model

FORMAT_VERSION = "0.5.3"
"""Version of the description: what is used here has been the same since."""

DESCRIPTION = "bioimageio.yaml"
STATE_DICT = "weights.pt"
TORCHSCRIPT = "weights.torchscript.pt"
ARCHITECTURE = "unetpp.py"
CONFIG_KEY = "napari_unetpp"

_MOST_PIXELS = {2: 2**22, 3: 2**21}
"""Of the smallest block that another program may read."""
_EPS = 1e-12  # added to a range; ours takes a channel without contrast as dark
_CITED = (
    ("UNet++: A Nested U-Net Architecture", "10.1007/978-3-030-00889-5_1"),
    ("UNet++: Redesigning Skip Connections", "10.1109/TMI.2019.2959609"),
)


@dataclass(frozen=True, slots=True)
class PackageInfo:
    """What a package says of itself beside what the model knows.

    Attributes
    ----------
    authors : tuple of str
        Who made the model.
    licence : str
        SPDX identifier, such as ``CC-BY-4.0``; empty says nothing.
    card : str
        Model card in Markdown; written from the model's record where it is empty.
    """

    authors: tuple[str, ...] = ()
    licence: str = ""
    card: str = ""


def package_description(
    model: Model, info: PackageInfo, files: dict[str, bytes]
) -> dict[str, Any]:
    """Return the description as plain values."""
    config = model.config
    name = re.sub(r"[^A-Za-z0-9_+\- ()]", "-", config.name)
    described = {
        "type": "model",
        "format_version": FORMAT_VERSION,
        "name": (name if len(name) >= 5 else f"{name} UNet++")[:64],
        "description": config.description[:512]
        or f"UNet++ that finds {config.task} ({', '.join(config.class_names)})"[:512],
        "authors": [{"name": each} for each in info.authors or ("unknown",)],
        "cite": [{"text": text, "doi": doi} for text, doi in _CITED],
        "license": info.licence or None,
        "tags": [
            "segmentation",
            "semantic-segmentation"
            if config.task == "classes"
            else "instance-segmentation",
            f"{config.network.spatial_dims}d",
            config.network.architecture,
            "pytorch",
            "napari-unetpp",
        ],
        "documentation": "README.md",
        "covers": ["cover.png"],
        "inputs": [_input(model)],
        "outputs": [
            _output(model, name, halo)
            for name, halo in zip(
                output_names(model), package_halos(model), strict=True
            )
        ],
        "weights": _weights(model, files),
        "config": {
            CONFIG_KEY: {
                "version": version("napari-unetpp"),
                "receptive_field": list(model.network.receptive_field()),
                "model": config.model_dump(mode="json"),
            }
        },
    }
    return {key: value for key, value in described.items() if value is not None}


def _axes(model: Model) -> tuple[str, ...]:
    return tuple("zyx"[-model.config.network.spatial_dims :])


def _input(model: Model) -> dict[str, Any]:
    config, how = model.config, model.config.intensity
    step, axes = config.network.alignment(), _axes(model)
    least = least_block(package_halos(model)[0], step)
    n = config.network.in_channels
    names = {1: ["intensity"], 3: ["red", "green", "blue"]}.get(n)
    if names is None or config.channels == "as_is":
        names = [f"channel_{i}" for i in range(n)]
    size = zip(axes, least, step, strict=True)
    percentiles = {
        "axes": list(axes),
        "min_percentile": how.low_percentile,
        "max_percentile": how.high_percentile,
        "eps": _EPS,
    }
    clip = dict(zip(("min", "max"), how.clip, strict=True))
    return {
        "id": "raw",
        "description": "pixels of any range, one image at once",
        "axes": [
            {"type": "batch"},
            {"type": "channel", "channel_names": names},
            *(
                {"type": "space", "id": a, "size": {"min": low, "step": s}}
                for a, low, s in size
            ),
        ],
        "data": {"type": "float32"},
        "test_tensor": {"source": "test_input.npy"},
        "preprocessing": [
            {"id": "scale_range", "kwargs": percentiles},
            {"id": "clip", "kwargs": clip},
        ],
    }


def _output(model: Model, name: str, halo: tuple[int, ...]) -> dict[str, Any]:
    def axis(letter: str, width: int) -> dict[str, Any]:
        size = {"tensor_id": "raw", "axis_id": letter}
        found = {"type": "space", "id": letter, "size": size}
        return found | ({"halo": width} if width else {})

    words = "mean of the heads" if name == "mean" else name.replace("_", " ")
    return {
        "id": name,
        "description": f"probabilities, {words}",
        "axes": [
            {"type": "batch"},
            {
                "type": "channel",
                "channel_names": _identifiers(model.config.class_names),
            },
            *(axis(a, n) for a, n in zip(_axes(model), halo, strict=True)),
        ],
        "data": {"type": "float32", "range": [0.0, 1.0]},
        "test_tensor": {"source": f"test_{name}.npy"},
    }


def _identifiers(names: tuple[str, ...]) -> list[str]:
    """Return names that are words, each once."""
    found: list[str] = []
    for i, name in enumerate(names):
        word = re.sub(r"\W", "_", name)
        word = word if word.isidentifier() and word not in found else f"class_{i}"
        found.append(word)
    return found


def _weights(model: Model, files: dict[str, bytes]) -> dict[str, Any]:
    torch_version = torch.__version__.split("+")[0]
    return {
        "pytorch_state_dict": {
            "source": STATE_DICT,
            "sha256": _sha256(files[STATE_DICT]),
            "pytorch_version": torch_version,
            "architecture": {
                "source": ARCHITECTURE,
                "sha256": _sha256(files[ARCHITECTURE]),
                "callable": "ExportedNetwork",
                "kwargs": export_arguments(model),
            },
        },
        "torchscript": {
            "source": TORCHSCRIPT,
            "sha256": _sha256(files[TORCHSCRIPT]),
            "pytorch_version": torch_version,
            "parent": "pytorch_state_dict",
        },
    }


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def package_halos(model: Model) -> tuple[tuple[int, ...], ...]:
    """Return the halo of each output along each spatial axis, in pixels.

    They cover the receptive field of the head, in multiples of the alignment, unless
    the smallest block would be too large for other programs (deep networks in 3-D):
    then they end earlier.
    """
    config = model.config.network
    step = config.alignment()
    levels = range(1, config.depth + 1) if config.n_heads > 1 else ()
    halos = [
        halo_for(model.network.receptive_field(level), step)
        for level in (config.depth, *levels)
    ]
    most = halos[0]
    while _n_pixels(most, step) > _MOST_PIXELS[config.spatial_dims]:
        most = _smaller(most, step)
    return tuple(tuple(map(min, halo, most)) for halo in halos)


def _smaller(halo: tuple[int, ...], step: tuple[int, ...]) -> tuple[int, ...]:
    """Return a halo that is one step smaller along its longest axis."""
    axis = max(range(len(halo)), key=lambda i: halo[i])
    return tuple(
        n - s * (i == axis) for i, (n, s) in enumerate(zip(halo, step, strict=True))
    )


def least_block(halo: tuple[int, ...], step: tuple[int, ...]) -> tuple[int, ...]:
    """Return the smallest block: its halos and what lies between them."""
    return tuple(2 * n + s for n, s in zip(halo, step, strict=True))


def _n_pixels(halo: tuple[int, ...], step: tuple[int, ...]) -> int:
    return int(np.prod(least_block(halo, step)))
