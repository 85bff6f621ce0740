"""Rows of maps that are written at the end, read in between and dropped in front."""

from __future__ import annotations

import random

import pytest
import torch

from napari_unetpp.nn._ring import RingRows, make_rows, rows_taken
from napari_unetpp.nn._rows import CountedRows, Rows


def written(start, stop):
    """Rows whose values say which they are; zeros before 0 are those of the border."""
    return torch.arange(start, stop).reshape(-1, 1, 1).expand(-1, 4, 2) + 1.0


def line(room):
    return Rows((4,), 2, torch.float32, room)


def ring(room):
    return RingRows((4,), 2, torch.float32, room, 3)


@pytest.mark.parametrize("kind", [line, ring])
@pytest.mark.parametrize("room", [2, 5, 40])
def test_what_is_kept_is_what_was_written(kind, room):
    chance = random.Random(room)
    rows, counted = kind(room), CountedRows()
    readers = [rows.reader(), rows.reader()]
    places = [counted.reader(), counted.reader()]
    needed = [-1, -1]
    for _ in range(200):
        n = chance.randrange(5)
        rows.extend(n).copy_(written(rows.stop - n, rows.stop))
        counted.extend(n)
        at = chance.randrange(2)
        needed[at] = chance.randint(needed[at], rows.stop)
        rows.release(readers[at], needed[at])
        counted.release(places[at], needed[at])
        for first in {min(needed), max(min(needed), rows.stop - 4)}:
            assert torch.equal(rows.view(first, rows.stop), written(first, rows.stop))
    assert rows.most == counted.most < 200
    assert rows.n_bytes < 200 * rows.row_bytes


@pytest.mark.parametrize("kind", [line, ring])
def test_before_the_first_row_and_after_the_last_there_are_zeros(kind):
    rows = kind(3)
    rows.reader()
    rows.extend(6).copy_(written(0, 6))
    rows.close()
    assert rows.total == rows.stop == 6
    assert rows.view(-1, 0).abs().max() == rows.view(6, 7).abs().max() == 0
    assert torch.equal(rows.view(0, 6).float(), written(0, 6))


def test_long_rows_lie_in_a_ring_as_long_as_was_said():
    for room in (3, 8, 9, 100):
        rows = make_rows((4,), 2, torch.float32, room, 2)
        assert isinstance(rows, RingRows) == (room > 8)
        rows.reader()
        for _ in range(room // 2):
            rows.extend(1)
        assert rows.n_bytes == rows_taken(room, 2) * rows.row_bytes
