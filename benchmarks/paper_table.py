"""The table of the UNet++ paper, made anew: one command, resumable, CPU or CUDA.

    python benchmarks/paper_table.py FOLDER --output paper-table
    python benchmarks/paper_table.py FOLDER --output small --quick

FOLDER holds the sets as folders (see ``_paper_sets.py``). U-Net, wide U-Net (as many
weights as UNet++), UNet++ without and with deep supervision are trained by the same
trainer on the same patches, from three seeds; then levels trained on their own, and
peers (``--peers``). Every finished run is a line in ``runs.jsonl``: the same command
does what is missing, so it can be stopped at any time. Tables (CSV, Markdown) and
pictures are written at the end, and with ``--report`` of what is done so far.

Without options the widths are the paper's (32...512), for a GPU. On a processor give
smaller ``--widths`` and fewer ``--steps``, for example

    python benchmarks/paper_table.py FOLDER --output paper-table --device cpu \
        --threads 1 --widths 16 32 64 128 256 --widths-3d 8 16 32 64 128 --steps 300
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from _paper_cost import measure_costs
from _paper_networks import PAPER, PEERS, fits, missing
from _paper_report import write_report
from _paper_runs import Request, Results, run
from _paper_sets import SETS, Split, load
from napari_unetpp.inference import resolve_device

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

STEPS = {
    "dsb2018": 6000,
    "dsb2018_fluorescence": 6000,
    "isbi2012_em": 4000,
    "axon_sem": 4000,
    "plant_nuclei3d": 3000,
}
"""Updates of a run where nothing else is asked for."""
WIDTHS = {2: (32, 64, 128, 256, 512), 3: (32, 64, 128, 256, 512)}
QUICK_WIDTHS = {2: (4, 8, 16, 32, 64), 3: (2, 4, 8, 16, 32)}
QUICK_STEPS = 20
STAGES = ("paper", "isolated", "peers")
"""What is trained first is what the table cannot do without."""


def main() -> None:
    options = parse()
    torch.set_num_threads(options.threads)
    device = resolve_device(options.device)
    results = Results(options.output / "runs.jsonl")
    splits = read(options)
    done = []
    for stage in STAGES:
        for seed in options.seeds:
            for request in requests(options, splits, stage, seed):
                row = results.find(request)
                if row is None and not options.report:
                    split = splits[request.set_name]
                    row = new_row(request, split, device, options.output / "files")
                    results.add(row)
                if row is not None:
                    done.append(row)
    if done:
        report(options, done, device)


def new_row(
    request: Request, split: Split, device: torch.device, files: Path
) -> dict[str, Any]:
    """Train and test one network, and say how good it is."""
    began = time.monotonic()
    row = run(request, SETS[request.set_name], split, device, files)
    scores = row["scores"]["all"][row["answers"][-1]]
    told = {key: round(scores[key], 4) for key in ("iou", "pooled_iou", "mean_iou")}
    words = f"{request.set_name} {request.model} seed {request.seed}"
    seconds = time.monotonic() - began
    print(f"{words}: {json.dumps(told)}, {seconds:.0f} s", flush=True)
    return row


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--output", type=Path, default=Path("paper-table"))
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--models", nargs="+", choices=list(PAPER), default=list(PAPER))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--split-seed", type=int, default=0)
    parser.add_argument(
        "--isolated",
        nargs="*",
        choices=list(SETS),
        default=list(SETS),
        help="sets on which levels are trained on their own too",
    )
    parser.add_argument("--peers", nargs="*", choices=list(PEERS), default=list(PEERS))
    parser.add_argument(
        "--peer-sets", nargs="*", choices=list(SETS), default=list(SETS)[:2]
    )
    parser.add_argument("--widths", nargs="+", type=int, help="of the 2-D networks")
    parser.add_argument("--widths-3d", nargs="+", type=int)
    parser.add_argument(
        "--steps", nargs="+", help="updates: a number, or SET=NUMBER for each set"
    )
    parser.add_argument("--batch", type=int, help="patches an update, in 2-D")
    parser.add_argument("--validated", type=int, default=16, help="regions at most")
    parser.add_argument("--tests", type=int, help="test regions at most; all of them")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument(
        "--report", action="store_true", help="train nothing: tables of what is done"
    )
    parser.add_argument(
        "--quick", action="store_true", help="tiny networks, one seed, some minutes"
    )
    return settle(parser.parse_args())


def settle(options: argparse.Namespace) -> argparse.Namespace:
    """Fill in what depends on other options, and say which peers are not there."""
    widths = QUICK_WIDTHS if options.quick else WIDTHS
    options.widths = {
        2: tuple(options.widths or widths[2]),
        3: tuple(options.widths_3d or widths[3]),
    }
    steps = dict.fromkeys(SETS, QUICK_STEPS) if options.quick else dict(STEPS)
    for word in options.steps or ():
        name, _, number = word.rpartition("=")
        steps |= {name: int(number)} if name else dict.fromkeys(SETS, int(number))
    options.steps = steps
    if options.quick:
        options.seeds, options.tests = options.seeds[:1], options.tests or 4
        options.validated = min(options.validated, 4)
    for name in list(options.peers):
        why = missing(name)
        if why:
            print(f"{PEERS[name]} is left out: {why}", file=sys.stderr, flush=True)
            options.peers.remove(name)
    return options


def read(options: argparse.Namespace) -> dict[str, Split]:
    """Return the sets, split, and print how."""
    splits = {}
    for name in options.sets:
        folder = options.folder / SETS[name].folder
        split = load(SETS[name], name, folder, options.split_seed)
        sides = ", ".join(f"{len(side)} {key}" for key, side in split.sides.items())
        print(f"{name}: split {split.digest} ({sides})", flush=True)
        splits[name] = split
    return splits


def requests(
    options: argparse.Namespace, splits: Mapping[str, Split], stage: str, seed: int
) -> Iterator[Request]:
    """Yield the runs of one stage and seed, set by set."""
    for name, split in splits.items():
        recipe = SETS[name]
        flat = recipe.spatial_dims == 2
        widths = options.widths[recipe.spatial_dims]
        for model in models(options, stage, name, len(widths) - 1):
            if fits(model, recipe.model(widths).network):
                yield Request(
                    name,
                    model,
                    seed,
                    split.digest,
                    widths,
                    options.steps[name],
                    recipe.patch,
                    (options.batch if flat else None) or recipe.batch,
                    options.validated,
                    256 if flat else 64,
                    options.tests,
                )


def models(options: argparse.Namespace, stage: str, name: str, depth: int) -> list[str]:
    """Return which networks a stage trains on a set."""
    if stage == "isolated" and name in options.isolated:
        return [f"isolated-{d}" for d in range(1, depth)]
    if stage == "peers" and name in options.peer_sets:
        return list(options.peers)
    return list(options.models) if stage == "paper" else []


def report(
    options: argparse.Namespace, rows: Sequence[Mapping], device: torch.device
) -> None:
    """Write tables and, where matplotlib is, pictures."""
    networks = {}
    for recipe in (SETS[name] for name in options.sets):
        dims = recipe.spatial_dims
        networks.setdefault(dims, recipe.model(options.widths[dims]))
    costs = measure_costs(
        networks, device, options.threads, options.output / "costs.json"
    )
    write_report(rows, costs, options.output)
    if find_spec("matplotlib") is not None:
        from _paper_plots import draw

        draw(rows, costs, options.output)
    print(f"tables and pictures: {options.output}", flush=True)


if __name__ == "__main__":
    main()
