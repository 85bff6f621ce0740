"""Packages of bioimage.io as others make them: small networks, both versions."""

from __future__ import annotations

import hashlib
import io
import warnings
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import yaml
from torch import nn

if TYPE_CHECKING:
    from pathlib import Path

STEP = 4
LEAST = 16


class Small(nn.Module):
    """Two convolutions, one of them at a quarter of the size."""

    def __init__(self, dims: int, n_in: int, n_out: int) -> None:
        super().__init__()
        conv = {2: nn.Conv2d, 3: nn.Conv3d}[dims]
        pool = {2: nn.MaxPool2d, 3: nn.MaxPool3d}[dims]
        self.first = nn.Sequential(conv(n_in, 4, 3, padding=1), nn.ReLU())
        self.deep = nn.Sequential(
            pool(STEP),
            conv(4, 4, 3, padding=1),
            nn.ReLU(),
            nn.Upsample(scale_factor=STEP),
        )
        self.last = conv(8, n_out, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = self.first(x)
        found: torch.Tensor = self.last(torch.cat([first, self.deep(first)], 1))
        return 4 * found


class ReadsAFile(nn.Module):
    """A program that does what no network needs to."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.from_file("/etc/hostname", False, 1, dtype=torch.uint8)


def scripted(network: nn.Module, pixels: torch.Tensor | None) -> bytes:
    """Return TorchScript: traced on pixels, or compiled where there are none."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is called old
        found: Any = (
            torch.jit.script(network)
            if pixels is None
            else torch.jit.trace(network, pixels)
        )
        torch.jit.save(found, file)
    return file.getvalue()


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def new_format(dims: int, n_in: int, names: list[str], halo: int) -> dict[str, Any]:
    """Return a description of version 0.5: mean and deviation, then a sigmoid."""
    letters, taken = "zyx"[-dims:], ["red", "green", "blue"][:n_in]

    def output(letter: str) -> dict[str, Any]:
        size = {"tensor_id": "raw", "axis_id": letter}
        found = {"type": "space", "id": letter, "size": size}
        return found | ({"halo": halo} if halo else {})

    return {
        "type": "model",
        "format_version": "0.5.3",
        "name": "of others",
        "description": "what others made",
        "authors": [{"name": "Somebody"}],
        "license": "CC-BY-4.0",
        "documentation": {"source": "README.md"},
        "inputs": [
            {
                "id": "raw",
                "axes": [
                    {"type": "batch"},
                    {"type": "channel", "channel_names": taken},
                    *(
                        {"type": "space", "id": a, "size": {"min": LEAST, "step": STEP}}
                        for a in letters
                    ),
                ],
                "test_tensor": {"source": "test_in.npy"},
                "preprocessing": [
                    {"id": "ensure_dtype", "kwargs": {"dtype": "float32"}},
                    {
                        "id": "zero_mean_unit_variance",
                        "kwargs": {"axes": ["channel", *letters]},
                    },
                ],
            }
        ],
        "outputs": [
            {
                "id": "found",
                "axes": [
                    {"type": "batch"},
                    {"type": "channel", "channel_names": names},
                    *map(output, letters),
                ],
                "test_tensor": {"source": "test_out.npy"},
                "postprocessing": [{"id": "sigmoid"}],
            }
        ],
    }


def old_format(dims: int, halo: int) -> dict[str, Any]:
    """Return a description of version 0.4: percentiles, softmax, axes as a word."""
    axes = "bc" + "zyx"[-dims:]
    ends = [1, 1, *[LEAST] * dims]
    return {
        "type": "model",
        "format_version": "0.4.10",
        "name": "old one",
        "description": "older",
        "inputs": [
            {
                "name": "raw",
                "axes": axes,
                "shape": {"min": ends, "step": [0, 0, *[STEP] * dims]},
                "preprocessing": [
                    {
                        "name": "scale_range",
                        "kwargs": {
                            "mode": "per_sample",
                            "axes": axes[2:],
                            "min_percentile": 2.0,
                            "max_percentile": 98.0,
                        },
                    },
                    {"name": "clip", "kwargs": {"min": 0.0, "max": 1.0}},
                ],
            }
        ],
        "outputs": [
            {
                "name": "found",
                "axes": axes,
                "shape": {
                    "reference_tensor": "raw",
                    "scale": [1.0] * len(axes),
                    "offset": [0.0] * len(axes),
                },
                "halo": [0, 0, *[halo] * dims],
            }
        ],
        "test_inputs": ["test_in.npy"],
        "test_outputs": ["test_out.npy"],
    }


def write(
    path: Path, description: dict[str, Any], files: dict[str, bytes], **weights: str
) -> Path:
    """Write a package; weights name their format and their file."""
    described = {
        form: {
            "source": name,
            "sha256": hashlib.sha256(files[name]).hexdigest(),
        }
        for form, name in weights.items()
    }
    content = yaml.safe_dump({**description, "weights": described})
    with zipfile.ZipFile(path, "w") as package:
        package.writestr("rdf.yaml", content)
        package.writestr("README.md", "# Card of others")
        for name, data in files.items():
            package.writestr(name, data)
    return path


def pixels(dims: int, n_in: int, edge: int = 32) -> np.ndarray:
    """Return (1, C, *S) pixels of any range."""
    rng = np.random.default_rng(1)
    size = [edge + STEP * i for i in range(dims)]
    return rng.integers(60, 240, (1, n_in, *size)).astype(np.float32)


def network(dims: int, n_in: int, n_out: int) -> Small:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return Small(dims, n_in, n_out).eval()


def sigmoid_package(
    path: Path,
    *,
    dims: int = 2,
    n_in: int = 1,
    names: tuple[str, ...] = ("foreground", "boundary"),
    halo: int = 8,
) -> tuple[Path, np.ndarray, np.ndarray]:
    """Write a package of version 0.5; return it, its pixels and their right answer."""
    net, image = network(dims, n_in, len(names)), pixels(dims, n_in)
    ready = torch.from_numpy((image - image.mean()) / (image.std() + 1e-6))
    with torch.no_grad():
        right = net(ready).sigmoid().numpy()
    files = {
        "weights.pt": scripted(net, ready),
        "test_in.npy": npy(image),
        "test_out.npy": npy(right),
    }
    description = new_format(dims, n_in, list(names), halo)
    return write(path, description, files, torchscript="weights.pt"), image, right


def softmax_package(
    path: Path, *, dims: int = 2, onnx: bool = False, halo: int = 0
) -> tuple[Path, np.ndarray, np.ndarray]:
    """Write a package of version 0.4 whose program ends in a softmax."""
    program, net = (b"", nn.Sequential(network(dims, 1, 3), nn.Softmax(dim=1)).eval())
    if onnx:
        program, net = small_onnx()
    image = pixels(dims, 1)
    low, high = np.percentile(image, (2, 98))
    scaled = np.clip((image - low) / (high - low), 0, 1).astype(np.float32)
    ready = torch.from_numpy(scaled)
    with torch.no_grad():
        right = net(ready).numpy()
    files = {
        "w": program or scripted(net, ready),
        "test_in.npy": npy(image),
        "test_out.npy": npy(right),
    }
    form = {"onnx" if onnx else "torchscript": "w"}
    return write(path, old_format(dims, halo), files, **form), image, right


def small_onnx() -> tuple[bytes, nn.Module]:
    """Return a convolution with a softmax as an ONNX program, and in torch."""
    from onnx import TensorProto, helper, numpy_helper

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        conv = nn.Conv2d(1, 3, 3, padding=1).requires_grad_(False)
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["z"], pads=[1, 1, 1, 1]),
        helper.make_node("Softmax", ["z"], ["y"], axis=1),
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", c, "h", "w"])
        for name, c in (("x", 1), ("y", 3))
    ]
    weights = [
        numpy_helper.from_array(conv.weight.numpy(), "w"),
        numpy_helper.from_array(conv.bias.numpy(), "b"),
    ]
    graph = helper.make_graph(nodes, "small", ends[:1], ends[1:], weights)
    opset = helper.make_opsetid("", 18)
    program = helper.make_model(graph, opset_imports=[opset], ir_version=10)
    return program.SerializeToString(), nn.Sequential(conv, nn.Softmax(dim=1))
