"""What stages are made of: records, counts, blocks that fit into memory."""

from __future__ import annotations

import numpy as np
import pytest

from napari_unetpp.inference._stages import (
    LocalStages,
    Rows,
    blocks_for,
    counted,
    counted_pairs,
    pack,
    unpack,
    window_bytes,
)
from napari_unetpp.io import Ledger


def test_records_give_back_what_was_packed():
    values = {
        "labels": np.arange(24, dtype=np.uint32).reshape(2, 3, 4),
        "newlines": np.full(7, 10, np.uint8),
        "nothing": np.zeros((0, 2), np.int64),
        "flag": np.True_,
    }
    found = unpack(pack(**values))
    assert list(found) == list(values)
    for name, value in values.items():
        assert found[name].dtype == value.dtype
        assert np.array_equal(found[name], value)
    assert unpack(pack()) == {}


def test_records_are_small():
    assert len(pack(face=np.ones((2, 1024), np.int32))) < 200


@pytest.mark.parametrize("dtype", [np.int32, np.uint32, np.int64])
@pytest.mark.parametrize("n", [0, 1, 5, 1000])
def test_counts_are_those_of_unique(dtype, n):
    rng = np.random.default_rng(n)
    values = np.repeat(rng.integers(0, 20, n), rng.integers(1, 9, n)).astype(dtype)
    found = counted(values)
    expected = np.unique(values, return_counts=True)
    assert np.array_equal(found, expected)
    assert found[0].dtype == dtype


def test_pairs_are_counted_where_both_are():
    first = np.array([[0, 1, 1, 2], [2**31 - 1, 1, 0, 2]], np.uint32)
    second = np.array([[5, 5, 5, 2**31 - 1], [7, 0, 3, 1]], np.int32)
    ids, others, pixels = counted_pairs(first, second)
    assert ids.tolist() == [1, 2, 2, 2**31 - 1]
    assert others.tolist() == [5, 1, 2**31 - 1, 7]
    assert pixels.tolist() == [2, 1, 1, 1]


def test_rows_are_gathered():
    rows = Rows(2)
    assert rows.columns().shape == (2, 0)
    rows.add(np.array([1, 2], np.uint32), np.array([3, 4]))
    rows.add(np.array([2**40]), np.array([5]))
    assert rows.columns().tolist() == [[1, 2, 2**40], [3, 4, 5]]


def test_what_the_ledger_has_is_not_done_again(finish):
    seen = []

    def work(stage, index, state):
        seen.append((stage, index, *state))
        return b"%d" % index

    with Ledger.in_memory() as ledger:
        ledger.mark("find", 4, b"old")
        stages = LocalStages(ledger, work, "run")
        events, _ = finish(stages.run("find", np.array([2, 4, 7]), {"table": None}))
        assert seen == [("find", 2, "table"), ("find", 7, "table")]
        assert [(event.n_done, event.n_tiles) for event in events] == [(2, 3), (3, 3)]
        assert list(stages.records("find")) == [(2, b"2"), (4, b"old"), (7, b"7")]
        assert finish(stages.run("grow 0", np.arange(0), {}))[0] == []


@pytest.mark.parametrize("dims", [2, 3])
def test_less_memory_means_smaller_blocks(dims):
    usual = blocks_for(dims)
    assert blocks_for(dims, window_bytes(usual)) == usual
    memory, needs = window_bytes(usual) - 1, []
    while (blocks := blocks_for(dims, memory)) and window_bytes(blocks) <= memory:
        needs.append(window_bytes(blocks))
        memory = needs[-1] - 1
    assert len(needs) == 3
    assert needs[-1] < 128 * 2**20
    assert blocks_for(dims, 0) == blocks
