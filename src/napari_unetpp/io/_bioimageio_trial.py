"""Trying a program of others: on the pixels that come with it, and how far it looks."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_unetpp._types import slices
from napari_unetpp.arrays import intensity_range, normalise
from napari_unetpp.errors import ModelFileError
from napari_unetpp.nn._program import ProgramNetwork, chances_of, in_order

if TYPE_CHECKING:
    from napari_unetpp._types import FloatArray
    from napari_unetpp.config import ModelConfig, NetworkConfig
    from napari_unetpp.io._bioimageio_read import Package, Tensor

_RADII = {2: (16, 32, 48, 64, 96, 128, 192), 3: (8, 16, 24, 32)}
"""Distances at which is tried whether a program still sees."""
_SEEN = 1e-4
"""Change of a probability that counts as seen."""
_WRONG = 0.01
_WRONG_SHARE = 0.01
"""Share of wrong answers to its own test pixels from which a program is refused."""


def program_network(config: NetworkConfig, content: bytes) -> ProgramNetwork:
    """Return the network that runs a program, in evaluation mode."""
    network = ProgramNetwork(config)
    network.program.copy_(torch.frombuffer(bytearray(content), dtype=torch.uint8))
    network.eval()
    return network


def tried(
    package: Package,
    config: ModelConfig,
    network: ProgramNetwork,
    pixels: FloatArray | None,
    wanted: FloatArray | None,
    answer: Tensor,
) -> float | None:
    """Return how far the answer to the test pixels is from what it should be.

    Raises
    ------
    ModelFileError
        If more than a hundredth of the values are wrong.
    """
    binary = any(name == "binarize" for name, _ in answer.steps)
    if pixels is None or wanted is None or binary:
        return None
    found = _answer(config, network, pixels)
    ours = "bc" + "zyx"[-config.network.spatial_dims :]
    right = in_order(torch.from_numpy(wanted), answer.axes, ours).numpy()
    if found.shape != right.shape:
        raise ModelFileError(
            f"{package.path}: it answers its own test pixels with {found.shape} values,"
            f" not {right.shape}"
        )
    error = np.abs(found - right)
    wrong = float((error > _WRONG).mean())
    if wrong > _WRONG_SHARE:
        raise ModelFileError(
            f"{package.path}: {wrong:.0%} of its answers to its own test pixels are"
            f" wrong (by up to {error.max():.2g}): what it does before or after the"
            " network is done differently here; it is not imported"
        )
    return float(error.max())


def _answer(
    config: ModelConfig, network: ProgramNetwork, pixels: FloatArray
) -> FloatArray:
    """Return the probabilities (1, n_channels, *S) of test pixels."""
    ours = "bc" + "zyx"[-config.network.spatial_dims :]
    image = in_order(torch.from_numpy(pixels), network.how.input_axes, ours)[0].numpy()
    flat = image.reshape(len(image), -1)
    ready = normalise(image, intensity_range(flat, config.intensity), config.intensity)
    with torch.inference_mode():
        raw = network.raw(torch.from_numpy(ready)[None])
        return chances_of(network.how, raw).numpy()


def with_halo(
    config: ModelConfig, network: ProgramNetwork, content: bytes
) -> tuple[ModelConfig, ProgramNetwork]:
    """Return the model with the smallest size, and the halo, that it needs.

    A halo that the package names is kept. It is never so small that a tile at the
    border of an image is below the smallest size: what is padded there would show.
    """
    least, settled = smallest_size(network), True
    halo = network.how.halo
    if not any(halo):
        halo, settled = measured_halo(network)
    step = config.network.alignment()
    halo = tuple(
        max(math.ceil(h / s) * s, n - s)
        for h, n, s in zip(halo, least, step, strict=True)
    )
    program = network.how.model_copy(update={"halo": halo, "least": least})
    shape = config.network.model_copy(update={"program": program})
    words = config.description
    if not settled:
        words += " (It looks at all of the image at once, so tiles may show.)"
    found = config.model_copy(update={"network": shape, "description": words.strip()})
    return found, program_network(shape, content)


def smallest_size(network: ProgramNetwork) -> tuple[int, ...]:
    """Return the smallest size that a program runs on, at most what it says itself."""
    config, said = network.config, network.how.least
    size = config.alignment()
    free = copy.deepcopy(network)
    free.how = network.how.model_copy(update={"least": size})
    while any(n < most for n, most in zip(size, said, strict=True)):
        pixels = np.zeros((1, config.in_channels, *size), np.float32)
        try:
            _chances(free, pixels)
        except (RuntimeError, ModelFileError):  # a map of no pixels, somewhere inside
            size = tuple(min(2 * n, most) for n, most in zip(size, said, strict=True))
        else:
            break
    return size


def measured_halo(network: ProgramNetwork) -> tuple[tuple[int, ...], bool]:
    """Return how far a program looks, and whether it ends within what was tried.

    Two random images that are the same up to a distance from the middle are answered
    the same there once the distance covers what the program sees.
    """
    config = network.config
    step, dims = config.alignment(), config.spatial_dims
    radii = _RADII[dims]
    far = tuple(math.ceil(radii[-1] / s) * s + s for s in step)
    size = tuple(2 * f + s for f, s in zip(far, step, strict=True))
    rng = np.random.default_rng(0)
    first, other = rng.random((2, 1, config.in_channels, *size), np.float32)
    centre = tuple((f, f + s) for f, s in zip(far, step, strict=True))
    middle: Any = (..., *slices(centre))
    right = _chances(network, first)[middle]
    halo = step
    for radius in radii:
        halo = tuple(math.ceil(radius / s) * s for s in step)
        edges = zip(far, step, halo, strict=True)
        near: Any = (..., *slices(tuple((f - h, f + s + h) for f, s, h in edges)))
        mixed = other.copy()
        mixed[near] = first[near]
        if np.abs(_chances(network, mixed)[middle] - right).max() < _SEEN:
            return halo, True
    return halo, False


def _chances(network: ProgramNetwork, pixels: FloatArray) -> FloatArray:
    with torch.inference_mode():
        return chances_of(network.how, network.raw(torch.from_numpy(pixels))).numpy()
