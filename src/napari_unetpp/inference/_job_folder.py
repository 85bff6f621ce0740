"""The folder of a job: made, found again, held by one run at a time, and left.

A job is shared out in parts where several processes run without knowing of each other:
part 2 of 8 keeps its own ledger. Whoever has the ledger of the whole takes over what
the parts have done, and makes the labels.
"""

from __future__ import annotations

import glob
import shutil
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Literal
from uuid import uuid4

import numpy as np

from napari_unetpp.errors import (
    JobChangedError,
    OutputBusyError,
    OutputError,
    OutputExistsError,
)
from napari_unetpp.inference._fingerprint import differences, fingerprint
from napari_unetpp.inference._job_file import JOB_FILE, JobFile
from napari_unetpp.inference._job_labels import PREDICTED
from napari_unetpp.inference._job_resize import results_folder
from napari_unetpp.inference._session import MODEL, job_blocks
from napari_unetpp.io import (
    Ledger,
    ResultLayout,
    ResultStore,
    check_outputs,
    read_fingerprint,
    save_model,
)
from napari_unetpp.io._disk import disk_errors, remove
from napari_unetpp.io._result_store import RESULT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

    from napari_unetpp.inference._object_size import ObjectSize
    from napari_unetpp.inference._plan import Plan
    from napari_unetpp.inference._request import JobRequest

JobState = Literal["new", "unfinished", "done"]

BAD = "unreadable"
"""Kind of the notes in a ledger that say which pixels could not be read."""
_LEDGER = "ledger.sqlite"
_NEW = ".new-"
"""In the name of a folder that is not a job yet."""


def job_state(request: JobRequest, parts: dict[str, str]) -> JobState:
    """Return what there is of the results that a request asks for.

    Parameters
    ----------
    request : JobRequest
        What is asked for.
    parts : dict
        Its `fingerprint_parts`.

    Raises
    ------
    OutputExistsError
        If other results are there already and may not be replaced.
    OutputError
        If the folder cannot be written to.
    """
    paths, word = set(request.paths.values()), fingerprint(parts)
    existing = [path for path in paths if path.exists()]
    others = [path for path in existing if read_fingerprint(path) != word]
    if request.outputs.labels_beside and request.paths["labels"] in others:
        raise OutputExistsError(
            f"{request.paths['labels']}: exists already, was made in another way, and"
            " labels beside an image are never overwritten; remove them, or rename"
            " them, if they are not needed"
        )
    if others and not request.overwrite:
        raise OutputExistsError(
            f"{', '.join(map(str, sorted(others)))}: exists already, was made in"
            " another way, and is not overwritten; choose another folder, allow it"
            " with --overwrite, or move it away"
        )
    made = len(existing) == len(paths) and not others
    if made and (not request.overwrite or _is_published(request.job_folder)):
        return "done"
    check_outputs(paths, overwrite=True)
    return "unfinished" if request.job_folder.exists() else "new"


def find_job(request: JobRequest, parts: dict[str, str]) -> JobFile | None:
    """Return the unfinished job of the same request; ``None`` if there is none.

    Raises
    ------
    JobChangedError
        If there is one of another request, which may not be dropped.
    OutputBusyError
        If another run works on it.
    OutputError
        If it is damaged.
    """
    folder = request.job_folder
    if not folder.exists():
        return None
    try:
        file = JobFile.read(folder)
    except OutputError:
        if not request.overwrite:
            raise
        drop_job(folder)
        return None
    changed = differences(file.parts, parts)
    if changed and not request.overwrite:
        raise JobChangedError(
            f"{folder} was begun differently: {'; '.join(changed)}. Ask for the same"
            " again to go on, or choose another folder; to start anew, delete that one"
            " or give --overwrite"
        )
    if changed:
        drop_job(folder)
        return None
    return file


def make_job(
    request: JobRequest,
    parts: dict[str, str],
    plan: Plan,
    size: ObjectSize | None = None,
) -> JobFile:
    """Make the folder of a new job, whole or not at all.

    Another process may make the same at the same time; the first wins.

    Parameters
    ----------
    request : JobRequest
        What is asked for.
    parts : dict
        Its `fingerprint_parts`.
    plan : Plan
        How it is done.
    size : ObjectSize, optional
        Of the image's objects, if a diameter was asked for.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    folder = request.job_folder
    layout = _layout(request, plan, parts, size)
    file = JobFile.new(request, parts, plan, layout, size)
    new = folder.with_name(f"{folder.name}{_NEW}{uuid4().hex}")
    with disk_errors(folder):
        try:
            new.mkdir(parents=True)
            save_model(request.model, new / MODEL)
            ResultStore.create(new, layout)
            file.write(new)
            new.rename(folder)
        except OSError:
            if not (folder / JOB_FILE).exists():
                raise
        finally:
            remove(new)
    made = find_job(request, parts)
    return file if made is None else made


@contextmanager
def whole_ledger(folder: Path) -> Iterator[Ledger]:
    """Hold the ledger of the whole, which has taken over what parts have done.

    Raises
    ------
    OutputBusyError
        If another run holds it, or one of the parts, or has just ended the job.
    """
    with Ledger.open(folder / _LEDGER) as ledger:
        _check_goes_on(folder)
        for path in sorted(folder.glob("ledger-*-of-*.sqlite")):
            with Ledger.read_only(path) as part:
                ledger.mark_many(PREDICTED, part.records(PREDICTED))
                for text in part.notes(BAD):
                    ledger.note(BAD, text)
        yield ledger


@contextmanager
def part_ledger(folder: Path, shard: tuple[int, int]) -> Iterator[Ledger]:
    """Hold the ledger of a part.

    Raises
    ------
    OutputBusyError
        If another run holds it, or has just ended the job.
    """
    with Ledger.open(folder / _part_name(*shard)) as ledger:
        _check_goes_on(folder)
        yield ledger


def part_of(n_tiles: int, shard: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Return (n_tiles,) which tiles part i of n has: neighbours, all parts alike."""
    i, n = shard
    index = np.arange(n_tiles)
    found: npt.NDArray[np.bool_] = index * n // n_tiles == i - 1
    return found


def done_tiles(folder: Path, n_tiles: int) -> npt.NDArray[np.bool_]:
    """Return (n_tiles,) what is done as far as ledgers can be looked into now."""
    done = np.zeros(n_tiles, bool)
    for path in folder.glob("ledger*.sqlite"):
        try:
            with Ledger.read_only(path) as ledger:
                done |= ledger.done(PREDICTED, n_tiles)
        except OutputBusyError:
            continue  # somebody is at it
    return done


def parts_waiting(folder: Path, n_tiles: int, n_parts: int) -> tuple[str, ...]:
    """Return the parts of which tiles are not done, or not known to be."""
    done = done_tiles(folder, n_tiles)
    return tuple(
        f"part {i} of {n_parts}"
        for i in range(1, n_parts + 1)
        if not done[part_of(n_tiles, (i, n_parts))].all()
    )


def check_not_held(folder: Path) -> None:
    """Refuse to go on beside a run of the whole.

    Raises
    ------
    OutputBusyError
        If there is one.
    """
    Ledger.open(folder / _LEDGER).close()


def end_job(folder: Path) -> None:
    """Make of a job a folder that nobody goes on with; its ledger must be held.

    Its files cannot go all at once, and half of them would be taken for tiles of zeros.
    """
    with disk_errors(folder):
        (folder / JOB_FILE).unlink(missing_ok=True)


def remove_job(folder: Path) -> None:
    """Delete the folder of a job that has ended, and what killed runs left beside it.

    What cannot be deleted does no harm: the results are complete without it.
    """
    shutil.rmtree(folder, ignore_errors=True)
    for new in folder.parent.glob(f"{glob.escape(folder.name)}{_NEW}*"):
        shutil.rmtree(new, ignore_errors=True)


def drop_job(folder: Path) -> None:
    """End and delete a job.

    Raises
    ------
    OutputBusyError
        If a run works on it.
    """
    with Ledger.open(folder / _LEDGER):
        for path in folder.glob("ledger-*-of-*.sqlite"):
            Ledger.open(path).close()
        end_job(folder)
    remove_job(folder)


def _is_published(folder: Path) -> bool:
    """Return whether a job was killed after its results had been moved away."""
    return (folder / JOB_FILE).exists() and not (
        results_folder(folder) / RESULT
    ).exists()


def _check_goes_on(folder: Path) -> None:
    """Refuse a job that somebody has ended while its ledger was waited for."""
    if not (folder / JOB_FILE).exists():
        raise OutputBusyError(
            f"{folder} is in use: another run has just completed these results, or"
            " removes them; wait for it to end, and give the same command again"
        )


def _part_name(i: int, n: int) -> str:
    return f"ledger-{i}-of-{n}.sqlite"


def _layout(
    request: JobRequest,
    plan: Plan,
    parts: dict[str, str],
    size: ObjectSize | None,
) -> ResultLayout:
    """Return what the stores of a job look like."""
    found, model = plan.whole, plan.model
    scale, translate = plan.placement
    return ResultLayout(
        name=request.stem,
        axes=found.result_axes,
        shape=plan.shape,
        scale=scale,
        units=found.result_units,
        translate=translate,
        core=plan.grid.core,
        block=job_blocks(model, plan.settings).edges,
        kinds=request.outputs.kinds,
        task=model.task,
        head_names=plan.predictor.head_names,
        class_names=model.class_names,
        probability=request.outputs.probability,
        ome_zarr=request.outputs.ome_zarr,
        attributes={
            "fingerprint": fingerprint(parts),
            "model": model.name,
            "version": version("napari-unetpp"),
            "made": dict(parts),
            "recipe": request.settings.model_dump(mode="json"),
            **({} if size is None else {"diameter": size.diameter}),
        },
    )
