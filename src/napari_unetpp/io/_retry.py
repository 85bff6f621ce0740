"""Reading that fails now and then: disks of a network, files that are being copied."""

from __future__ import annotations

import time
import zlib
from typing import TYPE_CHECKING, TypeVar

from napari_unetpp.errors import ImageError, ImageGoneError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

UNREADABLE = (OSError, ValueError, RuntimeError, zlib.error)
"""What libraries raise for pixels that cannot be read or decoded."""

_PAUSES = (0.05, 0.25)  # in seconds


def read_again(read: Callable[[], T], name: str) -> T:
    """Return what `read` does, which gets three tries.

    Parameters
    ----------
    read : callable
        Reads pixels.
    name : str
        What the image is called in messages.

    Raises
    ------
    ImageGoneError
        At once, if the file is not there any more.
    ImageError
        If the pixels cannot be read.
    """
    for pause in _PAUSES:
        try:
            return read()
        except ImageGoneError:
            raise
        except UNREADABLE:
            time.sleep(pause)
    try:
        return read()
    except ImageError:
        raise
    except UNREADABLE as error:
        raise ImageError(unreadable(name, error)) from error


def unreadable(name: str, error: Exception) -> str:
    """Return the message for pixels that cannot be read."""
    return (
        f"{name}: the pixels cannot be read ({error}); the file is damaged or"
        " incomplete, copy or export it again"
    )
