"""Our measures of objects against those of the published ``stardist.matching``.

    python benchmarks/metrics_against_stardist.py --python OTHER/bin/python [--cases N]

OTHER is any environment with ``stardist`` in it (``pip install stardist``); it may have
other versions of everything, since only files go between. Random label images are made
(2-D and 3-D, crowded and sparse, some empty), each is measured by both, and the largest
difference of every measure is printed. The script ends with 1 if any is above 1e-6:
StarDist keeps IoU in single precision.

StarDist pairs objects by an assignment of largest total IoU, ours by a largest matching
of the pairs above the threshold; the two must count alike. At IoU 0.5 its panoptic
quality counts pairs at, and ours pairs above 0.5, as Kirillov et al. define it: cases
with a pair at exactly 0.5 are counted and left out of these three measures.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from scipy import ndimage

from napari_unetpp.nn._metrics import (
    AP_THRESHOLDS,
    average_precision,
    match_instances,
    panoptic_quality,
)

THRESHOLDS = (0.1, 0.3, *AP_THRESHOLDS)
OTHER = """
import json, sys
import numpy as np
from stardist.matching import matching
cases = np.load(sys.argv[1])
thresholds = json.loads(sys.argv[2])
found = []
for number in range(len(cases.files) // 2):
    true, predicted = cases[f"true{number}"], cases[f"predicted{number}"]
    rows = {}
    for t in thresholds:
        m = matching(true, predicted, thresh=t)
        rows[str(t)] = [float(v) for v in (m.tp, m.fp, m.fn, m.accuracy)]
    m = matching(true, predicted, thresh=0.5)
    quality = [m.panoptic_quality, m.mean_matched_score, m.f1]
    found.append({"counts": rows, "quality": [float(q) for q in quality]})
json.dump(found, open(sys.argv[3], "w"))
"""


def labels(rng: np.random.Generator, shape: tuple[int, ...], n: int) -> np.ndarray:
    """Return up to `n` objects that touch, with gaps in their ids."""
    seeds = np.zeros(shape, int)
    places = [rng.integers(0, edge, n) for edge in shape]
    seeds[tuple(places)] = rng.permutation(3 * n)[:n] + 1
    far, nearest = ndimage.distance_transform_edt(seeds == 0, return_indices=True)
    grown = seeds[tuple(nearest)]
    return np.where(far < rng.uniform(2, 9), grown, 0)


def changed(rng: np.random.Generator, true: np.ndarray) -> np.ndarray:
    """Return the objects moved, some lost, some cut in two, some joined."""
    steps = rng.integers(-2, 3, true.ndim)
    moved = np.roll(true, steps, tuple(range(true.ndim)))
    ids = np.unique(moved[moved > 0])
    table = np.arange(moved.max() + 1)
    table[rng.choice(ids, ids.size // 6, replace=False)] = 0
    if ids.size > 1:
        table[rng.choice(ids, ids.size // 6)] = rng.choice(ids)
    moved = table[moved]
    half = np.indices(true.shape)[0] % 7 < 3
    cut = np.isin(moved, rng.choice(ids, ids.size // 5)) if ids.size else moved < 0
    return np.where(cut & half, moved + 10_000, moved)


def make_cases(n: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return pairs of true and predicted labels."""
    cases = []
    for number in range(n):
        rng = np.random.default_rng(number)
        shape = ((96, 80), (200, 160), (16, 40, 40))[number % 3]
        true = labels(rng, shape, int(rng.integers(1, 60)))
        predicted = changed(rng, true)
        if number % 25 == 0:
            true = np.zeros_like(true)
        if number % 50 == 0 or number % 33 == 0:
            predicted = np.zeros_like(predicted)
        cases.append((true.astype(np.int32), predicted.astype(np.int32)))
    return cases


def ours(true: np.ndarray, predicted: np.ndarray) -> dict:
    """Return our counts and quality in the form of the other side."""
    match = match_instances(true, predicted)
    counts = {}
    for t in THRESHOLDS:
        found = match.n_found(t)
        missed, false = match.n_true - found, match.n_predicted - found
        counts[str(t)] = [found, false, missed, average_precision([match], t)]
    quality = panoptic_quality([match])
    return {
        "counts": counts,
        "quality": [quality.pq, quality.sq, quality.rq],
        "tie": bool((match.iou.data == 0.5).any()),
        "nothing": match.n_true + match.n_predicted == 0,
        "n": [match.n_true, match.n_predicted],
    }


def theirs(cases: list, python: str) -> list[dict]:
    """Return what StarDist says of all cases."""
    with tempfile.TemporaryDirectory() as folder:
        arrays = {}
        for number, (true, predicted) in enumerate(cases):
            arrays[f"true{number}"], arrays[f"predicted{number}"] = true, predicted
        np.savez(Path(folder) / "cases.npz", **arrays)
        answer = Path(folder) / "found.json"
        arguments = [Path(folder) / "cases.npz", json.dumps(THRESHOLDS), answer]
        subprocess.run([python, "-c", OTHER, *map(str, arguments)], check=True)
        return json.loads(answer.read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--python", required=True, help="Python that has stardist")
    parser.add_argument("--cases", type=int, default=300)
    arguments = parser.parse_args()
    cases = make_cases(arguments.cases)
    own, other = [ours(*case) for case in cases], theirs(cases, arguments.python)
    worst = dict.fromkeys(("TP", "FP", "FN", "AP", "PQ", "SQ", "RQ"), 0.0)
    n_ties = n_nothing = 0
    for a, b in zip(own, other, strict=True):
        n_ties += a["tie"]
        n_nothing += a["nothing"]
        for t in map(str, THRESHOLDS):
            rows = zip(("TP", "FP", "FN"), a["counts"][t], b["counts"][t], strict=False)
            for name, x, y in rows:
                worst[name] = max(worst[name], abs(x - y))
            if not a["nothing"]:  # by definition 1 with us and 0 there
                worst["AP"] = max(
                    worst["AP"], abs(a["counts"][t][3] - b["counts"][t][3])
                )
        if not a["tie"] and not a["nothing"]:
            for name, x, y in zip(
                ("PQ", "SQ", "RQ"), a["quality"], b["quality"], strict=True
            ):
                worst[name] = max(worst[name], abs(x - y))
    n_true, n_predicted = (sum(each["n"][side] for each in own) for side in (0, 1))
    print(f"{len(cases)} cases, {n_true} true and {n_predicted} predicted objects,")
    print(f"{len(THRESHOLDS)} thresholds from {THRESHOLDS[0]} to {THRESHOLDS[-1]};")
    print(f"{n_nothing} cases without any object, {n_ties} with a pair at IoU 0.5")
    for name, difference in worst.items():
        print(f"  largest difference of {name}: {difference:.3g}")
    sys.exit(int(max(worst.values()) > 1e-6))


if __name__ == "__main__":
    main()
