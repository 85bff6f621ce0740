"""Writing to disks that may be full, or not ours to write to."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from napari_unetpp.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}


@contextmanager
def disk_errors(path: Path, cure: str = "") -> Iterator[None]:
    """Turn what the system says while `path` is written into an `OutputError`.

    Its message ends in `cure`, or in what helps with most results.
    """
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(_message(error, path, cure)) from error


@contextmanager
def beside(path: Path, cure: str = "") -> Iterator[Path]:
    """Yield a path to write to; it takes the place of `path` when all went well.

    So `path` never holds half a result, and an interrupted run leaves nothing behind.
    Errors are those of `disk_errors`.
    """
    part = path.with_name(f"{path.name}.part-{os.getpid()}")
    with disk_errors(path, cure):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            yield part
            replace(part, path)
        finally:
            remove(part)


def remove(path: Path) -> None:
    """Delete a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def replace(part: Path, path: Path) -> None:
    """Move `part` to `path`, whose old content goes only once the new is complete."""
    if not path.is_dir():
        os.replace(part, path)
        return
    old = part.with_name(part.name + "-old")
    os.replace(path, old)
    os.replace(part, path)
    remove(old)


def _message(error: OSError, path: Path, cure: str) -> str:
    """Return what went wrong with `path`, the rule and the cure."""
    if error.errno not in _FULL:
        cure = cure or (
            "choose a folder that exists or can be made, and that you may write to"
        )
        why = error.strerror or error
        for parent in path.parents:
            if parent.exists() and not parent.is_dir():
                why = f"{parent} is a file, not a folder"
        return f"{path} cannot be written ({why}); {cure}"
    folder = next((p for p in path.parents if p.exists()), path)
    free = shutil.disk_usage(folder).free
    return (
        f"no room to write {path} ({error.strerror}): {free / 2**20:.0f} MiB are free"
        f" there; {cure or 'free some, or choose a folder on another disk'}"
    )
