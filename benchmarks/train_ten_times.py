"""Whether memory grows from training to training in one session of napari.

Ten trainings of some epochs one after the other in the same viewer, each to its end,
previewed while it goes on; the resident memory (and that of the GPU, where there is
one) is read after each. The first loads torch and fills caches, so growth is counted
from the end of the second. Aim: less than 200 MB; no memory of a GPU kept.

    xvfb-run -a -s "-screen 0 1400x900x24" python benchmarks/train_ten_times.py
"""

from __future__ import annotations

import argparse
import gc
import json
import tempfile
from pathlib import Path

from _heartbeat import wait_until  # isort: skip - before napari

import psutil

from train_heartbeat import open_panel

AIM = 200e6


def gpu_bytes() -> int:
    """Return the bytes that torch holds of all NVIDIA GPUs."""
    import torch

    if not torch.cuda.is_available():
        return 0
    return sum(torch.cuda.memory_reserved(i) for i in range(torch.cuda.device_count()))


def main() -> None:
    """Train, read the memory, and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--steps", type=int, default=5, help="steps an epoch")
    parser.add_argument("--edge", type=int, default=1024)
    arguments = parser.parse_args()
    resident = []
    with tempfile.TemporaryDirectory() as folder:
        viewer, panel, _ = open_panel(Path(folder), arguments.edge)
        panel.form.budget.choose("epochs", arguments.epochs)
        panel.form.advanced.training.fields["steps_per_epoch"].setValue(arguments.steps)
        for run in range(arguments.runs):
            panel.form.name.choose(f"run-{run}")
            wait_until(lambda: panel.bar.train_button.isEnabled(), 60)
            panel.train()
            wait_until(lambda: not panel.is_running, 600)
            wait_until(lambda: False, 1)
            if not (Path(folder) / f"run-{run}.safetensors").exists():
                raise SystemExit(panel.bar.progress.text.text())
            gc.collect()
            resident.append(psutil.Process().memory_info().rss)
            print(
                json.dumps({"run": run, "rss": resident[-1], "gpu": gpu_bytes()}),
                flush=True,
            )
        viewer.close()
    grown = resident[-1] - resident[1]
    verdict = "PASSED" if grown < AIM and gpu_bytes() == 0 else "FAILED"
    print(json.dumps({"grown_since_the_second": grown, "verdict": verdict}))


if __name__ == "__main__":
    main()
