"""What ``demo`` does: two images that come with the package, through ``segment``."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import imageio.v3 as iio
import numpy as np
import skimage.data
import tifffile
import typer

from napari_unetpp.cli._display import Display
from napari_unetpp.cli._segment import Failed, Segmented, segment_images
from napari_unetpp.io import as_image
from napari_unetpp.io._disk import disk_errors
from napari_unetpp.io._figure import (
    UNSURE_COLOURS,
    Panel,
    image_panel,
    labels_panel,
    map_panel,
    write_figure,
)
from napari_unetpp.io._synthetic import nuclei_stack
from napari_unetpp.nn._metrics import (
    ImageScore,
    confusion_matrix,
    match_instances,
    summarise,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

    from napari_unetpp._types import LabelArray
    from napari_unetpp.cli._job import Job
    from napari_unetpp.config import OutputKind
    from napari_unetpp.io._synthetic import SyntheticImage

_TISSUE = "ihc.png"
_STACK = "nuclei3d.tif"
_TRUTH = "nuclei3d_truth.tif"
_FIGURE = "demo.png"


def run(job: Job, *, as_json: bool) -> None:
    """Segment a stained tissue and a generated stack; draw both, score the latter.

    Parameters
    ----------
    job : Job
        Model, settings and the folder for all files.
    as_json : bool
        Print ``results`` (as ``segment --json`` has them), ``figure`` (path), ``score``
        of the stack, its planes joined to objects in 3-D, and ``seconds``.
    """
    start = time.monotonic()
    stack = nuclei_stack()
    inputs = _write_inputs(job.folder, stack)
    with Display() as display:
        done = list(_segment(inputs, job, display))
    figure = job.folder / _FIGURE
    planes = [(), (stack.data.shape[0] // 2,)]
    write_figure(figure, [_row(*each) for each in zip(done, planes, strict=True)])
    score = _score(stack.labels, _read(done[1], "labels"))
    seconds = round(time.monotonic() - start, 3)
    if not as_json:
        typer.echo("\n".join(_lines(done, figure, score, seconds)))
        return
    results = [one.summary() for one in done]
    summary = {"results": results, "figure": str(figure), "score": score}
    typer.echo(json.dumps({**summary, "seconds": seconds}, indent=2))


def _segment(inputs: list[Path], job: Job, display: Display) -> Iterator[Segmented]:
    """Do what the command does; here no image may fail."""
    for outcome in segment_images(inputs, job, display):
        if isinstance(outcome, Failed):
            raise outcome.error
        yield outcome


def _lines(
    done: list[Segmented], figure: Path, score: dict[str, float], seconds: float
) -> Iterator[str]:
    """Yield what a person reads."""
    for one in done:
        yield from one.lines()
    yield f"{figure}: images, labels and heads side by side"
    yield (
        f"score of {_STACK} against its truth, as objects in 3-D:"
        f" IoU {score['iou']:.3f}, AP50 {score['ap50']:.3f}, F1 {score['f1']:.3f}"
        f" ({score['n_pred']} objects, {score['n_true']} true)"
    )
    yield f"all in {seconds:.1f} s"


def _write_inputs(folder: Path, stack: SyntheticImage) -> list[Path]:
    """Write the two images, and the truth of the second, to files."""
    z, y, x = stack.scale
    sizes = {"PhysicalSizeZ": z, "PhysicalSizeY": y, "PhysicalSizeX": x}
    units = {f"{name}Unit": "µm" for name in sizes}
    metadata = {"axes": stack.axes, **sizes, **units}
    with disk_errors(folder / _TISSUE):
        folder.mkdir(parents=True, exist_ok=True)
        iio.imwrite(folder / _TISSUE, skimage.data.immunohistochemistry())
        for name, data in ((_STACK, stack.data), (_TRUTH, stack.labels)):
            tifffile.imwrite(folder / name, data, ome=True, metadata=metadata)
    return [folder / _TISSUE, folder / _STACK]


def _row(done: Segmented, plane: tuple[int, ...]) -> list[Panel]:
    """Return the panels of one image, at one plane of it."""
    image = np.asarray(as_image(done.image).data[plane])
    labels = _read(done, "labels")[plane]
    where = f", plane {plane[0]}" if plane else ""
    n_objects = np.unique(labels[labels > 0]).size
    panels = [
        image_panel(f"{done.image.name}{where}", image),
        labels_panel(f"labels: {n_objects} objects", image, labels),
    ]
    heads = _read(done, "heads").reshape(-1, *done.saved.shape)  # (H, ...)
    for number, head in enumerate(heads, 1):
        panels.append(map_panel(f"head {number}, foreground", head[plane]))
    panels.append(map_panel("mean", _read(done, "mean")[plane]))
    if "uncertainty" in done.saved.outputs:
        unsure = _read(done, "uncertainty")[plane]
        panels.append(map_panel("uncertainty", unsure, UNSURE_COLOURS, 1.0))
    return panels


def _read(done: Segmented, kind: OutputKind) -> npt.NDArray[Any]:
    """Return a result that was written."""
    return np.asarray(tifffile.imread(done.saved.outputs[kind]))


def _score(truth: LabelArray, found: LabelArray) -> dict[str, float]:
    """Score a stack whose planes were segmented on their own and then joined."""
    pixels = confusion_matrix(truth > 0, found > 0, 2)
    summary = summarise([ImageScore(pixels, match_instances(truth, found))])
    # ap50 is TP / (TP + FP + FN), so this is F1 = 2 TP / (2 TP + FP + FN):
    f1 = 2 * summary["ap50"] / (1 + summary["ap50"])
    kept = {name: summary[name] for name in ("iou", "ap50", "n_true", "n_pred")}
    return {**kept, "f1": f1}
