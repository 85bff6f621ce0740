"""Our engine beside others over the same network and image, alternating in one run.

    python benchmarks/engine_against_peers.py FOLDER [--quick] [--rounds 3]
        [--threads 1] [--cases 2-D] [--engines ours MONAI] [--memory]

FOLDER keeps the briefly trained networks, the reference answers and every measurement,
so that a run that was stopped goes on (`--again` forgets the measurements). Each round
runs every engine once, and every other round in reverse order. Told are CPU seconds and
wall seconds (median, least and most), the ratio of medians to MONAI's window over
MONAI's network, pixels computed over pixels in the image, the largest difference of a
probability to inference on the whole image, and the share of pixels whose class
differs. MONAI's own network has random weights: nothing is compared with it.

With --memory every engine runs once in a process of its own, which tells how far its
memory rises above the loaded program, network and image.

OpenVINO and onnxruntime are left out where they are not installed (extra `bench`).
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import threading
import time
import warnings
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import torch

import _peer_engines as peers
from _peer_models import CASES, QUICK, Case, image_of, model_of, normalised
from napari_unetpp.config import PredictionConfig
from napari_unetpp.inference import RunStarted, TileDone
from napari_unetpp.inference._predicting import predict_image
from napari_unetpp.inference._predictor import bytes_per_pixel
from napari_unetpp.io import as_image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari_unetpp._types import FloatArray
    from napari_unetpp.nn import Model

    Engine = Callable[[FloatArray], tuple[Any, int]]
    """(C, *S) to the mean probabilities (K, *S) and the pixels that were computed."""

BASELINE = "MONAI window, MONAI network"
OURS = ("ours, rows", "ours, predict")


def builders(options: argparse.Namespace) -> dict[str, Callable[..., Engine]]:
    """Return what makes each engine of a model and a case, by name."""
    window = peers.monai_window
    found: dict[str, Callable[..., Engine]] = {}
    for precision in ("float32", "bfloat16"):
        found[f"{OURS[0]}, {precision}"] = partial(_rows, precision=precision)
        found[f"{OURS[1]}, {precision}"] = partial(_predict, precision=precision)
    found["whole, eager"] = partial(_tiled, peers.whole, peers.eager)
    found[BASELINE] = partial(_tiled, window(), peers.monai_network)
    gaussian = window(overlap=0.5, mode="gaussian")
    large = window(overlap=0.19, mode="gaussian", large=True)
    found["MONAI Gaussian 0.5, MONAI network"] = partial(
        _tiled, gaussian, peers.monai_network
    )
    found["MONAI window, eager"] = partial(_tiled, window(), peers.eager)
    found["MONAI Gaussian 0.5, eager"] = partial(_tiled, gaussian, peers.eager)
    found["MONAI Gaussian, large roi, eager"] = partial(_tiled, large, peers.eager)
    found["padded halo tiles, eager"] = partial(_tiled, peers.padded_tiles, peers.eager)
    for precision in ("f32", "bf16") if find_spec("openvino") else ():
        name = f"OpenVINO {precision}"
        found[f"MONAI window, {name}"] = partial(
            _compiled, window(), peers.openvino, precision, roi=True
        )
        found[f"whole, {name}"] = partial(
            _compiled, peers.whole, peers.openvino, precision, roi=False
        )
    if find_spec("onnxruntime") and find_spec("onnx"):
        found["MONAI window, onnxruntime"] = partial(
            _compiled, window(), peers.onnxruntime, roi=True
        )
    wanted = options.engines
    return {
        name: make
        for name, make in found.items()
        if not wanted or name == BASELINE or any(word in name for word in wanted)
    }


def _rows(model: Model, case: Case, *, precision: str) -> Engine:
    return peers.product(model, precision)


def _predict(model: Model, case: Case, *, precision: str) -> Engine:
    """Return the whole road: an array of counts in, a prediction out."""
    counts = image_of(case)

    def run(x: FloatArray) -> tuple[Any, int]:
        settings = PredictionConfig(device="cpu", precision=precision)
        n_pixels, last = 0, None
        for event in predict_image(as_image(counts, case.axes), model, settings, "run"):
            if isinstance(event, RunStarted):
                last = event.prediction
            elif isinstance(event, TileDone):
                n_pixels = event.network_pixels
        return np.asarray(last.mean), n_pixels

    return run


def _tiled(
    tiler: peers.Tiler,
    runtime: Callable[[Model], peers.Runtime],
    model: Model,
    case: Case,
) -> Engine:
    network = runtime(model)

    def run(x: FloatArray) -> tuple[Any, int]:
        counted = peers.Counted(network)
        return tiler(counted, peers.pixels_of(x))[0].numpy(), counted.n_pixels

    return run


def _compiled(
    tiler: peers.Tiler,
    runtime: Callable[..., peers.Runtime],
    *settings: str,
    model: Model,
    case: Case,
    roi: bool,
) -> Engine:
    size = peers.ROI[case.dims] if roi else case.shape
    size = tuple(min(r, n) for r, n in zip(size, case.shape, strict=True))
    made = runtime(model, (1, model.config.network.in_channels, *size), *settings)
    return _tiled(tiler, lambda _: made, model, case)


class Store:
    """Measurements as lines of JSON, kept as they come."""

    def __init__(self, path: Path) -> None:
        self._path = path
        lines = path.read_text().splitlines() if path.exists() else []
        self.rows: list[dict[str, Any]] = [json.loads(line) for line in lines]

    def add(self, **row: Any) -> None:
        """Keep a measurement, and print it."""
        self.rows.append(row)
        with self._path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)

    def of(self, **keys: Any) -> list[dict[str, Any]]:
        """Return the measurements that have these values."""
        return [row for row in self.rows if keys.items() <= row.items()]


def reference(
    case: Case, model: Model, x: FloatArray, options: argparse.Namespace
) -> FloatArray:
    """Return the mean probabilities of the eager network over the whole image."""
    path = options.folder / f"{case.name}-{options.steps}.npy"
    if path.exists():
        return np.load(path)
    fits = _fits(case, model, options)
    tiler = peers.whole if fits else peers.exact_tiles
    found = tiler(peers.eager(model), peers.pixels_of(x))[0].numpy()
    np.save(path, found)
    return found


def _fits(case: Case, model: Model, options: argparse.Namespace) -> bool:
    n_bytes = bytes_per_pixel(model.config.network) * np.prod(case.shape)
    return bool(n_bytes < options.whole_gib * 2**30)


def measure(
    case: Case, options: argparse.Namespace, store: Store
) -> Iterator[dict[str, Any]]:
    """Run the engines in turn; yield nothing, keep every measurement."""
    model = model_of(case, options.folder, options.steps)
    x = normalised(image_of(case))
    truth = reference(case, model, x, options)
    peers.eager(model)(torch.zeros((1, *x.shape[:1], *(64,) * case.dims)))  # warm
    engines: dict[str, Engine] = {}
    made = builders(options)
    if not _fits(case, model, options):
        made = {name: make for name, make in made.items() if "whole" not in name}
    for turn in range(options.rounds):
        for name in list(made)[:: 1 if turn % 2 == 0 else -1]:
            keys = {"case": case.name, "engine": name, "threads": options.threads}
            if store.of(**keys, round=turn):
                continue
            if name not in engines:
                engines[name] = made[name](model=model, case=case)
            row = _timed(engines[name], x)
            answer = row.pop("answer")
            if "MONAI network" not in name:
                row |= _compared(answer, truth)
            store.add(**keys, round=turn, **row)
            yield row


def _timed(engine: Engine, x: FloatArray) -> dict[str, Any]:
    wall, cpu = time.perf_counter(), time.process_time()
    answer, n_pixels = engine(x)
    return {
        "cpu": round(time.process_time() - cpu, 2),
        "wall": round(time.perf_counter() - wall, 2),
        "pixels": round(n_pixels / np.prod(x.shape[1:]), 3),
        "answer": answer,
    }


def _compared(answer: Any, truth: FloatArray) -> dict[str, Any]:
    differ = answer.argmax(axis=0) != truth.argmax(axis=0)
    return {
        "max_difference": float(np.abs(answer - truth).max()),
        "labels_differ": float(differ.mean()),
    }


def memory_of(case: Case, options: argparse.Namespace) -> dict[str, Any]:
    """Run one engine in this process and tell how far its memory has risen."""
    model = model_of(case, options.folder, options.steps)
    x = normalised(image_of(case))
    engine = builders(options)[options.one](model=model, case=case)
    process, over = psutil.Process(), threading.Event()
    seen = [process.memory_info().rss]

    def look() -> None:
        while not over.wait(0.005):
            seen.append(process.memory_info().rss)

    looking = threading.Thread(target=look)
    looking.start()
    engine(x)
    over.set()
    looking.join()
    return {
        "result_mib": round(4 * model.config.network.out_channels * x.size / 2**20),
        "risen_mib": round((max(seen) - seen[0]) / 2**20),
    }


def measure_memory(case: Case, options: argparse.Namespace, store: Store) -> None:
    """Start every engine in a process of its own."""
    model = model_of(case, options.folder, options.steps)
    image_of(case)
    for name in builders(options):
        keys = {"case": case.name, "engine": name, "kind": "memory"}
        if store.of(**keys) or ("whole" in name and not _fits(case, model, options)):
            continue
        command = [sys.executable, __file__, str(options.folder), "--one", name]
        command += ["--cases", case.name, "--steps", str(options.steps)]
        command += ["--quick"] * options.quick + ["--threads", str(options.threads)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{name}: {done.stderr.strip().splitlines()[-1:]}", flush=True)
            continue
        store.add(**keys, **json.loads(done.stdout.splitlines()[-1]))


def table(case: Case, options: argparse.Namespace, store: Store) -> None:
    """Print what is known of a case."""
    print(f"\n{case.name}, {options.threads} threads, {_processor()}")
    print(
        f"{'engine':36}{'CPU-s (least-most)':>26}{'wall':>9}{'faster':>8}{'pixels':>8}"
        f"{'max diff':>10}{'labels':>10}{'MiB':>7}"
    )
    base = _median(case, BASELINE, "cpu", options, store)
    for name in builders(options):
        rows = store.of(case=case.name, engine=name, threads=options.threads)
        if not rows:
            continue
        cpu = [row["cpu"] for row in rows]
        middle = statistics.median(cpu)
        spread = f"{middle:.1f} ({min(cpu):.1f}-{max(cpu):.1f})"
        first = rows[0]
        memory = store.of(case=case.name, engine=name, kind="memory")
        differs = first.get("labels_differ")
        print(
            f"{name:36}{spread:>26}"
            f"{_median(case, name, 'wall', options, store):>9.1f}"
            f"{base / middle:>8.2f}{first['pixels'] or float('nan'):>8.2f}"
            f"{first.get('max_difference', float('nan')):>10.1e}"
            f"{'-' if differs is None else f'{100 * differs:.3f} %':>10}"
            f"{memory[0]['risen_mib'] if memory else '-':>7}"
        )


def _median(
    case: Case, name: str, key: str, options: argparse.Namespace, store: Store
) -> float:
    rows = store.of(case=case.name, engine=name, threads=options.threads)
    return statistics.median(row[key] for row in rows) if rows else float("nan")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":")[1] for line in lines if line.startswith("model name")]
    return names[0].strip() if names else platform.processor()


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quick", action="store_true", help="small images")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=100, help="of the trainings")
    parser.add_argument("--cases", nargs="*", default=[], help="parts of their names")
    parser.add_argument("--engines", nargs="*", default=[], help="parts of their names")
    parser.add_argument(
        "--whole-gib", type=float, default=14, help="memory for `whole`"
    )
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--again", action="store_true", help="measure anew")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    options = parse()
    warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)
    torch.set_num_threads(options.threads)
    options.folder.mkdir(parents=True, exist_ok=True)
    cases = [
        case
        for case in (QUICK if options.quick else CASES)
        if not options.cases or any(word in case.name for word in options.cases)
    ]
    if options.one:
        print(json.dumps(memory_of(cases[0], options)))
        return
    path = options.folder / "measurements.jsonl"
    if options.again:
        path.unlink(missing_ok=True)
    store = Store(path)
    for case in cases:
        for _ in measure(case, options, store):
            pass
        if options.memory:
            measure_memory(case, options, store)
        table(case, options, store)


if __name__ == "__main__":
    main()
