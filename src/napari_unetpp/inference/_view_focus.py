"""What a viewer shows while a network learns, and what its user asks for."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_unetpp._types import Box, LabelArray


@dataclass(frozen=True, slots=True)
class LookedAt:
    """A part of one of the images of a training.

    Attributes
    ----------
    image : int
        Which image, counted from 0 in the order in which they were given.
    region : Box
        (start, stop) in pixels for each spatial axis of the model.
    loop : tuple of int
        Index along each other axis but C.
    """

    image: int
    region: Box
    loop: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class PlacesWanted:
    """A search that was asked for.

    Attributes
    ----------
    labels : sequence of ndarray of int, optional
        The labels as they are now, one array for each image, in order and shape as at
        the start of the training; ``None`` for those that the training knows.
    """

    labels: Sequence[LabelArray] | None = None


class ViewFocus:
    """What a viewer shows of the images of a training; all methods are thread-safe.

    One thread says what is looked at and what is wanted, the one that trains asks.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: tuple[int, LookedAt | None] = (0, None)
        self._wanted: PlacesWanted | None = None

    def look_at(self, image: int, region: Box, loop: tuple[int, ...]) -> None:
        """Show a part of an image; that it is the same as before is no move.

        Parameters
        ----------
        image, region, loop
            As in `LookedAt`.
        """
        self._move(LookedAt(image, tuple(region), tuple(loop)))

    def look_away(self) -> None:
        """Show none of the images; nothing is predicted for a view until one is."""
        self._move(None)

    def find_places(self, labels: Sequence[LabelArray] | None = None) -> None:
        """Ask, once, where the next label helps most.

        Parameters
        ----------
        labels : sequence of ndarray of int, optional
            As in `PlacesWanted`; what is labelled there is left out.
        """
        with self._lock:
            self._wanted = PlacesWanted(labels)

    @property
    def seen(self) -> tuple[int, LookedAt | None]:
        """How often the view has moved, and what is looked at now."""
        return self._seen

    def take_wanted(self) -> PlacesWanted | None:
        """Return the search that was asked for since the last call, if any."""
        with self._lock:
            wanted, self._wanted = self._wanted, None
        return wanted

    def _move(self, seen: LookedAt | None) -> None:
        with self._lock:
            version, before = self._seen
            if seen != before:
                self._seen = (version + 1, seen)
