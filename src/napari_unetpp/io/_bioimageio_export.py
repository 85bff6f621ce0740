"""A model as a package of bioimage.io: a description, weights twice, and a test.

The description is plain YAML, so writing a package needs no other library.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import yaml

from napari_unetpp.arrays import intensity_range, normalise
from napari_unetpp.errors import OutputError
from napari_unetpp.io import _exported_network
from napari_unetpp.io._bioimageio_description import (
    ARCHITECTURE,
    DESCRIPTION,
    STATE_DICT,
    TORCHSCRIPT,
    PackageInfo,
    least_block,
    package_description,
    package_halos,
)
from napari_unetpp.io._disk import beside
from napari_unetpp.io._export import (
    TOLERANCE,
    Exported,
    compare,
    exported_network,
    output_names,
    quiet,
    reader_of,
    write_torchscript,
)
from napari_unetpp.io._synthetic import nuclei_stack

if TYPE_CHECKING:
    from napari_unetpp._types import FloatArray
    from napari_unetpp.io._exported_network import ExportedNetwork
    from napari_unetpp.nn import Model


def export_package(model: Model, path: Path, info: PackageInfo) -> Exported:
    """Write a model as a bioimage.io package (a ZIP file).

    Parameters
    ----------
    model : Model
        UNet++ or U-Net.
    path : Path
        File to make, as `check_export` passed it.
    info : PackageInfo
        Authors, licence and card.

    Raises
    ------
    OutputError
        If the file cannot be written, or its program does not answer as the network.
    """
    network = exported_network(model)
    with beside(path) as part, quiet():
        script = part.with_name(f"{part.name}.pt")
        try:
            write_torchscript(network, model, script, model.config.model_dump_json())
            difference = compare(network, model, reader_of(script, "torchscript"))
            files = {TORCHSCRIPT: script.read_bytes()}
        finally:
            script.unlink(missing_ok=True)
        if difference is None or not difference <= TOLERANCE:
            raise OutputError(
                f"{path}: the TorchScript program differs from the network by"
                f" {difference}, more than {TOLERANCE:g}; use another version of torch"
            )
        files |= _files(network, model, info)
        files[DESCRIPTION] = _yaml(package_description(model, info, files))
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as package:
            for name, content in files.items():
                package.writestr(name, content)
    return Exported(path, "bioimageio", difference)


def _files(
    network: ExportedNetwork, model: Model, info: PackageInfo
) -> dict[str, bytes]:
    """Return the files of a package but for the description and TorchScript."""
    weights = io.BytesIO()
    torch.save(dict(network.state_dict()), weights)
    pixels = _test_image(model)
    with torch.no_grad():
        answers = [each.numpy() for each in network(_normalised(model, pixels))]
    names = output_names(model)
    return {
        STATE_DICT: weights.getvalue(),
        ARCHITECTURE: Path(_exported_network.__file__).read_bytes(),
        "README.md": (info.card or _card(model)).encode(),
        "cover.png": _cover(pixels, answers[0]),
        "test_input.npy": _npy(pixels),
        **{
            f"test_{name}.npy": _npy(answer)
            for name, answer in zip(names, answers, strict=True)
        },
    }


def _test_image(model: Model) -> FloatArray:
    """Return generated nuclei (1, C, (Z,) Y, X) of the smallest size a block has."""
    config = model.config.network
    size = least_block(package_halos(model)[0], config.alignment())
    depth = size[0] if config.spatial_dims == 3 else 8
    n_nuclei = max(12, int(np.prod(size[-2:])) // 1500)
    channels = [
        nuclei_stack((depth, size[-2], size[-1]), n_nuclei, seed).data
        for seed in range(1 if model.config.channels == "rgb" else config.in_channels)
    ]
    if config.spatial_dims == 2:
        channels = [each[depth // 2] for each in channels]
    if model.config.channels == "rgb":
        channels *= config.in_channels
    return np.stack(channels)[None].astype(np.float32)


def _normalised(model: Model, pixels: FloatArray) -> torch.Tensor:
    """Return pixels (1, C, *S) with their intensities mapped as the package says."""
    how = model.config.intensity
    found = intensity_range(pixels[0].reshape(pixels.shape[1], -1), how)
    return torch.from_numpy(normalise(pixels[0], found, how))[None]


def _npy(array: FloatArray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _cover(pixels: FloatArray, mean: FloatArray) -> bytes:
    """Return a PNG picture: the test image, and beside it what is found in it."""
    from PIL import Image as Pillow

    image, found = pixels[0, 0], 1 - mean[0, 0] if mean.shape[1] > 1 else mean[0, 0]
    if image.ndim == 3:
        image, found = image[len(image) // 2], found[len(found) // 2]
    low, high = np.percentile(image, (0.5, 99.8))
    grey = np.clip((image - low) / max(high - low, 1e-6), 0, 1)
    shown = np.concatenate([grey, np.clip(found, 0, 1)], axis=1)
    picture = Pillow.fromarray((255 * shown).astype(np.uint8))
    file = io.BytesIO()
    picture.save(file, format="PNG", optimize=True)
    return file.getvalue()


def _card(model: Model) -> str:
    """Return a short model card, made from what the model's header says."""
    config = model.config
    best = config.training.get("best_epoch")
    history = config.training.get("history")
    scores = [
        each
        for each in (history if isinstance(history, list) else [])
        if isinstance(each, dict) and each.get("epoch") == best
    ]
    lines = [
        f"# {config.name}",
        "",
        config.description or f"UNet++ that finds {config.task}.",
        "",
        f"Classes: {', '.join(config.class_names)}. Outputs: the mean of the heads,"
        " then each head; all probabilities, one channel for each class.",
        "",
        "# Validation",
        "",
        "Mean IoU on what was held out in training, by head:"
        f" {scores[-1].get('validation')}; of the mean: {scores[-1].get('accurate')}."
        if scores
        else "No scores stand in the model's record: judge it on images of your own.",
        "",
        "Made by napari-unetpp. Objects come from the probabilities by a watershed that"
        " is not part of this package.",
        "",
    ]
    return "\n".join(lines)


def _yaml(description: dict[str, Any]) -> bytes:
    text: str = yaml.safe_dump(description, sort_keys=False, allow_unicode=True)
    return text.encode()
