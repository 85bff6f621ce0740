"""What an answer costs: time and memory of every level, of the mean, of U-Net.

Time is that of the device: seconds of the processor on CPUs, where what else runs on
the machine does not count, and of the clock on GPUs. Memory is the highest that a pass
takes beyond the loaded network, and the weights themselves; on CPUs it is measured in a
process of its own, where nothing that was freed before can be used again.
"""

from __future__ import annotations

import json
import math
import os
import re
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from _paper_networks import level, n_parameters, wide_unet
from napari_unetpp.config import ModelConfig, NetworkConfig
from napari_unetpp.inference._predictor import Predictor
from napari_unetpp.nn import Model

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

TILE = {2: (512, 512), 3: (64, 96, 96)}
"""Size of the tile that is measured, in pixels."""
_ROUNDS = 7
_STATUS = Path("/proc/self/status")


@dataclass(frozen=True, slots=True)
class Cost:
    """What one answer costs.

    Attributes
    ----------
    name : str
        "level 1", ..., "mean", or a model.
    n_parameters : int
        Of what has to be loaded for it.
    seconds : float
        For a million pixels.
    peak_bytes : int, optional
        Weights, and what a pass over the tile takes beside them at most; ``None``
        where the system does not tell.
    """

    name: str
    n_parameters: int
    seconds: float
    peak_bytes: int | None


def measure_costs(
    models: Mapping[int, ModelConfig], device: torch.device, threads: int, path: Path
) -> dict[int, list[Cost]]:
    """Return the costs by dimension; what `path` knows already is not measured anew.

    Parameters
    ----------
    models : mapping of int to ModelConfig
        The UNet++ of each dimension.
    path : Path
        A JSON file, which is written.
    """
    known = json.loads(path.read_text()) if path.exists() else {}
    costs = {}
    for dims, config in models.items():
        key = key_of(config, device, threads)
        if key not in known:
            known[key] = [asdict(cost) for cost in measure(config, device, threads)]
            path.write_text(json.dumps(known, indent=1))
        costs[dims] = [Cost(**cost) for cost in known[key]]
    return costs


def key_of(config: ModelConfig, device: torch.device, threads: int) -> str:
    """Return what must be the same for costs to be the same."""
    return f"{config.network.model_dump_json()} {device} {threads}"


def measure(config: ModelConfig, device: torch.device, threads: int) -> list[Cost]:
    """Return the costs of one UNet++: its levels, their mean, and both U-Nets."""
    network = config.network
    depth = network.depth
    unet = network.model_copy(update={"architecture": "unet"})
    cases = {f"level {d}": (network, d, "fast") for d in range(1, depth + 1)}
    cases |= {
        "mean": (network, depth, "accurate"),
        "unet": (unet, depth, "fast"),
        "wide-unet": (wide_unet(network), depth, "fast"),
    }
    seconds = _times(config, list(cases.values()), device)
    costs = []
    for (name, case), each in zip(cases.items(), seconds, strict=True):
        shape, d, _ = case
        own = level(shape, d) if shape.architecture == "unetpp" else shape
        peak = _peak(config, case, device, threads)
        costs.append(Cost(name, n_parameters(own), each, peak))
    return costs


Case = tuple[NetworkConfig, int, str]


def _times(
    config: ModelConfig, cases: Sequence[Case], device: torch.device
) -> list[float]:
    """Return the median seconds for a million pixels of each case; they take turns."""
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    predictors = [_predictor(config, case, device) for case in cases]
    tile = _tile(config.network)
    rounds = []
    for k in range(_ROUNDS + 1):
        taken = []
        for predictor in predictors:
            start = clock()
            predictor.predict_batch(tile)
            taken.append(clock() - start)
        if k:  # in the first round kernels are made ready
            rounds.append(taken)
    mpx = math.prod(tile.shape[2:]) / 1e6
    return [statistics.median(of_one) / mpx for of_one in zip(*rounds, strict=True)]


def _predictor(config: ModelConfig, case: Case, device: torch.device) -> Predictor:
    network, d, mode = case
    model = Model.new(config.model_copy(update={"network": network}))
    return Predictor(model, device, d, mode)  # type: ignore[arg-type]


def _tile(network: NetworkConfig) -> npt.NDArray[np.float32]:
    rng = np.random.default_rng(0)
    size = (1, network.in_channels, *TILE[network.spatial_dims])
    return rng.random(size, np.float32)


def _peak(
    config: ModelConfig, case: Case, device: torch.device, threads: int
) -> int | None:
    """Return the bytes of weights and of a pass at most."""
    if device.type == "cuda":
        return _peak_here(config, case, device)
    if not _STATUS.exists():
        return None
    network, d, mode = case
    asked = json.dumps(
        {
            "config": config.model_dump_json(),
            "network": network.model_dump_json(),
            "level": d,
            "mode": mode,
            "threads": threads,
        }
    )
    command = [sys.executable, __file__, asked]
    # What is freed goes back to the system at once, or it would hide what is taken.
    steady = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}
    answer = subprocess.run(
        command,
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, **steady},
    )
    return int(answer.stdout.split()[-1])


def _peak_here(config: ModelConfig, case: Case, device: torch.device) -> int:
    """Return what `_peak` returns, in this process."""
    predictor = _predictor(config, case, device)
    tile = _tile(config.network)
    small = tile[..., :32, :32]
    predictor.predict_batch(np.ascontiguousarray(small))  # kernels are made ready
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        predictor.predict_batch(tile)
        return torch.cuda.max_memory_allocated(device)
    Path("/proc/self/clear_refs").write_text("5")  # the highest mark is now's
    before = _resident("VmRSS")
    predictor.predict_batch(tile)
    return _resident("VmHWM") - before + predictor.n_bytes


def _resident(name: str) -> int:
    """Return a number of bytes that the system tells of this process."""
    found = re.search(rf"{name}:\s+(\d+) kB", _STATUS.read_text())
    if found is None:
        raise RuntimeError(f"{_STATUS} has no {name}")
    return int(found[1]) * 1024


def _answer(asked: str) -> None:
    """Print the peak for what `_peak` asks a new process."""
    values = json.loads(asked)
    torch.set_num_threads(values["threads"])
    config = ModelConfig.model_validate_json(values["config"])
    network = NetworkConfig.model_validate_json(values["network"])
    case = (network, values["level"], values["mode"])
    print(_peak_here(config, case, torch.device("cpu")))


if __name__ == "__main__":
    _answer(sys.argv[1])
