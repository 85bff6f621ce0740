"""Ways to run a network over a large image: ours, and those of others.

A *runtime* computes a network on a tensor; a *tiler* brings it over an image. Both
answer with the mean of the probabilities of all heads, which is what is compared.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional as F

from napari_unetpp.nn import probabilities

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

    from napari_unetpp._types import FloatArray
    from napari_unetpp.nn import Model

    Runtime = Callable[[Tensor], Tensor]
    """(N, C, *S) to probabilities (N, K, *S)."""
    Tiler = Callable[[Runtime, Tensor], Tensor]
    """The same, piece by piece."""

ROI = {2: (512, 512), 3: (64, 128, 128)}
_LARGE = {2: (1024, 1024), 3: (64, 256, 256)}
_CORE = {2: (320, 320), 3: (64, 128, 128)}
_HALO = {2: (96, 96), 3: (16, 32, 32)}
_EXACT = {2: ((1024, 1024), (128, 128)), 3: ((128, 256, 256), (128, 128, 128))}


class Counted:
    """A runtime that counts the pixels it computes."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.n_pixels = 0

    def __call__(self, x: Tensor) -> Tensor:
        """Compute, and count."""
        self.n_pixels += x.shape[0] * math.prod(x.shape[2:])
        return self._runtime(x)


# Runtimes.


def eager(model: Model) -> Runtime:
    """Return the plain network in float32."""
    return _mean_of(model.network.eval())


def monai_network(model: Model) -> Runtime:
    """Return MONAI's network of the same widths with heads, random weights."""
    from monai.networks.nets import BasicUNetPlusPlus

    config = model.config.network
    torch.manual_seed(0)
    network = BasicUNetPlusPlus(
        spatial_dims=config.spatial_dims,
        in_channels=config.in_channels,
        out_channels=config.out_channels,
        features=(*config.widths, config.widths[0]),
        deep_supervision=True,
        norm="batch",
    )
    return _mean_of(network.eval())


def openvino(model: Model, shape: tuple[int, ...], precision: str) -> Runtime:
    """Return the network compiled by OpenVINO for a shape (N, C, *S)."""
    import openvino as ov

    with torch.inference_mode():
        made = ov.convert_model(
            _Joined(model.network), example_input=torch.zeros(shape)
        )
    made.reshape(shape)
    compiled = ov.Core().compile_model(
        made,
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        },
    )
    return lambda x: torch.from_numpy(np.asarray(compiled(x.numpy())[0]))


def onnxruntime(model: Model, shape: tuple[int, ...]) -> Runtime:
    """Return the network run by onnxruntime in float32."""
    import io

    import onnxruntime as ort

    file = io.BytesIO()
    axes = {0: "n", **{i: f"s{i}" for i in range(2, len(shape))}}
    torch.onnx.export(
        _Joined(model.network),
        (torch.zeros(shape),),
        file,
        dynamo=False,
        input_names=["x"],
        output_names=["y"],
        dynamic_axes={"x": axes, "y": axes},
    )
    options = ort.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = ort.InferenceSession(
        file.getvalue(), options, providers=["CPUExecutionProvider"]
    )
    return lambda x: torch.from_numpy(session.run(None, {"x": x.numpy()})[0])


class _Joined(torch.nn.Module):
    """A network that answers with the mean of its heads' probabilities."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.eval()

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, K, *S)."""
        heads = [probabilities(each) for each in self.network(x)]
        total = heads[0]
        for each in heads[1:]:
            total = total + each
        return total / len(heads)


def _mean_of(network: nn.Module) -> Runtime:
    joined = _Joined(network)

    def run(x: Tensor) -> Tensor:
        with torch.inference_mode():
            return joined(x)

    return run


# Tilers.


def whole(runtime: Runtime, x: Tensor) -> Tensor:
    """Run over everything at once."""
    return runtime(x)


def monai_window(
    *, overlap: float = 0.25, mode: str = "constant", large: bool = False
) -> Tiler:
    """Return MONAI's sliding window, its default settings unless told otherwise."""
    from monai.inferers import sliding_window_inference

    def run(runtime: Runtime, x: Tensor) -> Tensor:
        roi = (_LARGE if large else ROI)[x.ndim - 2]
        roi = tuple(min(r, n) for r, n in zip(roi, x.shape[2:], strict=True))
        with torch.inference_mode():
            return sliding_window_inference(
                x, roi, 1, runtime, overlap=overlap, mode=mode
            )

    return run


def padded_tiles(runtime: Runtime, x: Tensor) -> Tensor:
    """Run over tiles of one size with a halo, padded where the image ends.

    So does bioimageio.core with a fixed block and halo: what is padded counts as image.
    """
    dims = x.ndim - 2
    core, halo = _CORE[dims], _HALO[dims]
    core = tuple(min(c, n) for c, n in zip(core, x.shape[2:], strict=True))
    after = [-n % c + h for n, c, h in zip(x.shape[2:], core, halo, strict=True)]
    pads = [p for h, a in zip(halo[::-1], after[::-1], strict=True) for p in (h, a)]
    large = F.pad(x, pads, mode="replicate")
    found: Tensor | None = None
    for start in _corners(tuple(x.shape[2:]), core):
        outer = tuple(
            slice(s, s + c + 2 * h) for s, c, h in zip(start, core, halo, strict=True)
        )
        made = runtime(large[(..., *outer)].contiguous())
        inner = tuple(slice(h, h + c) for c, h in zip(core, halo, strict=True))
        found = _put(found, made[(..., *inner)], start, x)
    return _there(found)


def exact_tiles(runtime: Runtime, x: Tensor) -> Tensor:
    """Run over tiles with the context of the whole, cut where the image ends.

    To rounding this is the answer for the whole image, in less memory.
    """
    core, halo = _EXACT[x.ndim - 2]
    found: Tensor | None = None
    size = tuple(x.shape[2:])
    for start in _corners(size, core):
        low = [max(0, s - h) for s, h in zip(start, halo, strict=True)]
        high = [
            min(n, s + c + h)
            for n, s, c, h in zip(size, start, core, halo, strict=True)
        ]
        outer = tuple(map(slice, low, high))
        made = runtime(x[(..., *outer)].contiguous())
        inner = tuple(
            slice(s - lo, s - lo + c) for s, lo, c in zip(start, low, core, strict=True)
        )
        found = _put(found, made[(..., *inner)], start, x)
    return _there(found)


def _corners(size: tuple[int, ...], core: tuple[int, ...]) -> list[tuple[int, ...]]:
    counts = [-(-n // c) for n, c in zip(size, core, strict=True)]
    return [
        tuple(int(i * c) for i, c in zip(at, core, strict=True))
        for at in np.ndindex(*counts)
    ]


def _put(
    found: Tensor | None, part: Tensor, start: tuple[int, ...], x: Tensor
) -> Tensor:
    """Write a part (N, K, *core) into the result, cut where the image ends."""
    if found is None:
        found = torch.empty((x.shape[0], part.shape[1], *x.shape[2:]))
    place = tuple(
        slice(s, min(s + c, n))
        for s, c, n in zip(start, part.shape[2:], x.shape[2:], strict=True)
    )
    kept = tuple(slice(p.stop - p.start) for p in place)
    found[(..., *place)] = part[(..., *kept)]
    return found


def _there(found: Tensor | None) -> Tensor:
    if found is None:
        raise ValueError("there are no tiles in an image without pixels")
    return found


def pixels_of(x: FloatArray) -> Tensor:
    """Return (1, C, *S) for runtimes of (C, *S)."""
    return torch.from_numpy(x)[None]


def product(
    model: Model, precision: str, adaptive: float | None = None
) -> Callable[[FloatArray], tuple[Any, int]]:
    """Return our engine alone: rows of (C, *S) to the mean (K, *S), pixels computed."""
    from napari_unetpp.inference._predictor import Predictor

    settings: dict[str, Any] = {} if adaptive is None else {"adaptive": adaptive}
    predictor = Predictor(model, torch.device("cpu"), precision=precision, **settings)
    multiple = predictor.config.alignment()[0]

    def run(x: FloatArray) -> tuple[Any, int]:
        n_rows, *inner = x.shape[1:]
        step = multiple * max(1, 64 // multiple)
        stream = predictor.stream(tuple(inner))
        found = np.empty((model.config.network.out_channels, *x.shape[1:]), np.float32)
        done = 0
        for start in range(0, n_rows, step):
            rows = np.ascontiguousarray(x[:, start : start + step])
            heads = stream.push(rows, last=start + step >= n_rows)
            n = heads.shape[2]
            heads.mean(axis=0, out=found[:, done : done + n])
            done += n
        return found, math.prod(x.shape[1:])

    return run
