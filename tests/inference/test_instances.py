"""Objects are the same for any cut into blocks, and their ids have no gaps."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise

import dask.array as da
import numpy as np
import pytest

from napari_unetpp._types import slices
from napari_unetpp.config import InstanceConfig
from napari_unetpp.inference._instances import BlockWork, segment_instances
from napari_unetpp.inference._labelling import PredictedArrays
from napari_unetpp.inference._stages import Blocks, LocalStages, blocks_for
from napari_unetpp.io import Ledger
from touching import touching

ONE_BLOCK = {2: Blocks((1024, 1024), (16, 64)), 3: Blocks((128, 128, 128), (16, 64))}


@pytest.fixture
def objects_of(finish):
    """Return a function that labels probabilities."""

    def label(mean, blocks, **config):
        nodes, *grown = np.zeros((3, *mean.shape[1:]), np.uint32)
        arrays, config = PredictedArrays(mean, nodes, grown), InstanceConfig(**config)
        with Ledger.in_memory() as ledger:
            stages = LocalStages(ledger, BlockWork(arrays, config, blocks), "run")
            run = segment_instances(arrays, config, blocks, stages)
            events, n = finish(run)
        return nodes, n, events

    return label


@pytest.mark.parametrize("edges", [(64, 64), (100, 70), (128, 33), (400, 512)])
@pytest.mark.parametrize("min_size", [0, 40])
def test_2d_blocks_equal_one_block(objects_of, same_partition, edges, min_size):
    mean = touching((300, 401), 300, 6)
    whole, n_whole, _ = objects_of(mean, ONE_BLOCK[2], min_size=min_size)
    cut, n_cut, _ = objects_of(mean, Blocks(edges, (16, 128)), min_size=min_size)
    assert n_cut == n_whole > 100
    assert same_partition(cut, whole)


@pytest.mark.parametrize("edges", [(16, 32, 32), (30, 40, 25)])
def test_3d_blocks_equal_one_block(objects_of, same_partition, edges):
    mean = touching((40, 70, 80), 60, 6)
    whole, n_whole, _ = objects_of(mean, ONE_BLOCK[3])
    cut, n_cut, _ = objects_of(mean, Blocks(edges, (8, 64)))
    assert n_cut == n_whole >= 20
    assert same_partition(cut, whole)


def test_the_usual_blocks_equal_smaller_ones(objects_of, same_partition):
    mean = np.tile(touching((350, 350), 300, 6), (1, 3, 4))
    usual, n_usual, _ = objects_of(mean, blocks_for(2))
    small, n_small, _ = objects_of(mean, Blocks((256, 200), (32, 128)))
    assert n_small == n_usual > 1000
    assert same_partition(small, usual)


def test_ids_have_no_gaps_and_are_unique_over_planes(objects_of):
    mean = np.stack([touching((90, 101), 30, 6, seed) for seed in range(6)], axis=1)
    mean = mean.reshape(3, 2, 3, 90, 101)
    mean[:, 0, 2] = np.array([1.0, 0.0, 0.0]).reshape(3, 1, 1)  # an empty plane
    labels, n, _ = objects_of(mean, Blocks((40, 64), (16, 64)), min_size=30)
    ids = [set(np.unique(plane)) - {0} for plane in labels.reshape(6, 90, 101)]
    assert ids[2] == set()
    assert set.union(*ids) == set(range(1, n + 1))
    assert sum(map(len, ids)) == n  # no id stands in two planes
    sizes = np.bincount(labels.ravel())[1:]
    assert sizes.min() >= 30


def test_planes_are_labelled_as_they_are_alone(objects_of, same_partition):
    planes = [touching((90, 101), 30, 6, seed) for seed in (1, 2)]
    labels, _, _ = objects_of(np.stack(planes, axis=1), Blocks((40, 64), (16, 64)))
    for plane, mean in zip(labels, planes, strict=True):
        assert same_partition(plane, objects_of(mean, ONE_BLOCK[2])[0])


def test_size_is_counted_over_all_blocks(objects_of):
    mean = np.zeros((3, 64, 64), np.float32)
    mean[0] = 1
    mean[:, 28:36, 30:34] = np.array([0.0, 1.0, 0.0]).reshape(3, 1, 1)  # 32 pixels
    for min_size, n in ((32, 1), (33, 0)):
        labels, found, _ = objects_of(
            mean, Blocks((32, 32), (8, 16)), min_size=min_size
        )
        assert found == n
        assert (labels > 0).sum() == 32 * n


def test_foreground_without_a_seed_is_one_object(objects_of):
    mean = np.zeros((3, 100, 100), np.float32)
    mean[0] = 1
    boundary = np.array([0.0, 0.2, 0.8]).reshape(3, 1, 1)
    mean[:, 10:60, 10:20] = boundary  # an L across blocks, without a seed
    mean[:, 50:60, 10:90] = boundary
    mean[:, 70:90, 40:60] = boundary  # a square with a seed
    mean[:, 78:82, 48:52] = np.array([0.0, 1.0, 0.0]).reshape(3, 1, 1)
    labels, n, _ = objects_of(mean, Blocks((32, 32), (8, 16)))
    assert n == 2
    assert len(np.unique(labels[mean[0] < 0.5])) == 2
    assert len(np.unique(labels[10:60, 10:20])) == 1
    assert len(np.unique(labels[70:90, 40:60])) == 1


def test_an_object_larger_than_any_window_is_complete(objects_of):
    mean = np.zeros((3, 300, 300), np.float32)
    mean[0] = 1
    mean[:, 50:250, 50:250] = np.array([0.0, 0.0, 1.0]).reshape(3, 1, 1)
    mean[:, 60:64, 60:64] = np.array([0.0, 1.0, 0.0]).reshape(3, 1, 1)
    labels, n, events = objects_of(mean, Blocks((32, 32), (8, 16)))
    assert n == 1
    assert np.array_equal(labels > 0, mean[0] < 0.5)
    assert "grow objects" not in {event.stage for event in events}  # one seed: known
    mean[:, 200:204, 200:204] = np.array([0.0, 1.0, 0.0]).reshape(3, 1, 1)
    labels, n, events = objects_of(mean, Blocks((32, 32), (8, 16)))
    assert n == 2
    assert np.array_equal(labels > 0, mean[0] < 0.5)
    assert "grow large objects" in {event.stage for event in events}


def test_only_blocks_with_several_seeds_in_a_piece_are_grown(objects_of):
    mean = np.zeros((3, 96, 160), np.float32)
    mean[0] = 1
    boundary, interior = np.float32([[0, 0.2, 0.8], [0, 1, 0]]).reshape(2, 3, 1, 1)
    mean[:, 10:90, 5:155:30] = boundary  # lines across blocks, one seed each
    mean[:, 40:44, 5:155:30] = interior
    mean[:, 70:72, 125:140] = boundary  # the last has a second one
    mean[:, 70:72, 136:140] = interior
    labels, n, events = objects_of(mean, Blocks((32, 32), (8, 16)))
    assert n == 6
    assert np.array_equal(labels > 0, mean[0] < 0.5)
    assert len(np.unique(labels[10:90, 5:100:30])) == 4
    grown = [event for event in events if event.stage == "grow objects"]
    assert len(grown) == 4  # those of column 3 of blocks, and the one beside


def test_a_window_is_proved_or_made_larger(objects_of, same_partition):
    mean = touching((300, 401), 120, 12)
    blocks = [Blocks((128, 128), halos) for halos in ((128,), (2, 4, 8, 128), (8, 128))]
    whole, *others = (objects_of(mean, each)[0] for each in blocks)
    assert whole.max() > 30
    for other in others:
        assert np.array_equal(other, whole)


def test_nothing_there(objects_of):
    mean = np.zeros((3, 70, 80), np.float32)
    mean[0] = 1
    labels, n, events = objects_of(mean, Blocks((32, 32), (8, 16)))
    assert n == 0
    assert not labels.any()
    assert events[-1].n_done == events[-1].n_tiles == 9


def test_lazy_probabilities_give_the_same(objects_of):
    mean = touching((120, 130), 40, 6)
    blocks = Blocks((64, 64), (16, 64))
    expected = objects_of(mean, blocks)[0]
    lazy = da.from_array(mean, (1, 50, 70))
    assert np.array_equal(objects_of(lazy, blocks)[0], expected)


def test_progress_is_told_block_by_block(objects_of):
    _, _, events = objects_of(touching((120, 130), 40, 6), Blocks((64, 64), (16, 64)))
    for before, event in pairwise(events):
        same_stage = event.stage == before.stage
        assert event.n_done == (before.n_done + 1 if same_stage else 1)
    assert {event.run_id for event in events} == {"run"}


class Arrays:
    """Arrays of a job, in memory: they outlive those who work on them."""

    def __init__(self, mean):
        steps = np.rint(mean * 255).astype(np.uint8)
        self.shape = mean.shape[1:]
        self.interior, self.foreground = steps[1], 255 - steps[0]
        self.nodes, self.labels, *grown = np.zeros((4, *self.shape), np.uint32)
        self.grown = tuple(grown)

    def planes(self, index):
        return self.interior[index], self.foreground[index]

    def write(self, tile, labels):
        self.labels[(*tile.loop, *slices(tile.core))] = labels


def stack_of_planes():
    """Four planes, each like the one before but a bit to the side, and one empty."""
    mean = touching((90, 101), 30, 6)
    planes = [np.roll(mean, 2 * z, axis=2) for z in range(5)]
    planes[3] = np.zeros_like(mean)
    planes[3][0] = 1
    return np.stack(planes, axis=1)


def two_large_objects():
    """Two objects that meet, larger than any window; each grows for several turns."""
    mean = np.zeros((3, 200, 170), np.float32)
    mean[0] = 1
    mean[:, 10:190, 10:160] = np.array([0.0, 0.2, 0.8]).reshape(3, 1, 1)
    mean[:, 12:16, 12:16] = mean[:, 180:186, 150:156] = np.array(
        [0.0, 1.0, 0.0]
    ).reshape(3, 1, 1)
    return mean


CASES = {
    "2-D": (touching((120, 130), 40, 6), Blocks((64, 64), (16, 64)), None),
    "3-D": (touching((24, 40, 50), 25, 5), Blocks((16, 20, 32), (8, 32)), None),
    "planes": (stack_of_planes(), Blocks((40, 64), (16, 64)), None),
    "linked": (stack_of_planes(), Blocks((40, 64), (16, 64)), 0),
    "large": (two_large_objects(), Blocks((32, 48), (8, 16)), None),
}
CONFIG = InstanceConfig(min_size=30)


class Job:
    """A case, its arrays, and what has been done to them."""

    def __init__(self, case):
        mean, self.blocks, self.axis = CASES[case]
        self.arrays = Arrays(mean)
        self.work = BlockWork(self.arrays, CONFIG, self.blocks)
        self.pieces = []

    def do(self, stage, index, state):
        self.pieces.append((stage, index))
        return self.work(stage, index, state)

    def labelling(self, ledger, do=None, kind=LocalStages, **empty):
        stages = kind(ledger, do or self.do, "run")
        return segment_instances(
            self.arrays, CONFIG, self.blocks, stages, link_axis=self.axis, **empty
        )


@pytest.fixture(scope="module", params=list(CASES))
def in_one_go(request, finish):
    """The name of a case, its labels, their number and the pieces of the work."""
    job = Job(request.param)
    with Ledger.in_memory() as ledger:
        _, n = finish(job.labelling(ledger))
    assert n > 1
    assert job.arrays.labels.max() == n
    return request.param, job.arrays.labels, n, job.pieces


def test_stopped_after_any_piece_and_gone_on_with(in_one_go, tmp_path):
    case, labels, n, pieces = in_one_go
    job, found = Job(case), None
    while found is None:
        with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
            run = job.labelling(ledger)
            try:
                next(run)
            except StopIteration as end:
                found = end.value
            run.close()
    assert job.pieces == pieces  # none is done twice
    assert found == n
    assert np.array_equal(job.arrays.labels, labels)


def test_killed_in_every_piece_and_gone_on_with(in_one_go, finish, tmp_path):
    case, labels, n, pieces = in_one_go
    job, found = Job(case), None

    def do(stage, index, state):
        again = (stage, index) in job.pieces
        record = job.do(stage, index, state)
        if not again:
            raise KeyboardInterrupt  # written, but not marked
        return record

    while found is None:
        with (
            Ledger.open(tmp_path / "ledger.sqlite") as ledger,
            suppress(KeyboardInterrupt),
        ):
            _, found = finish(job.labelling(ledger, do))
    assert job.pieces == [piece for piece in pieces for _ in range(2)]
    assert found == n
    assert np.array_equal(job.arrays.labels, labels)


def test_pieces_done_twice_in_any_order_give_the_same(in_one_go, finish):
    case, labels, n, pieces = in_one_go
    job, rng = Job(case), np.random.default_rng(7)

    def twice(stage, index, state):
        record = job.do(stage, index, state)
        assert job.work(stage, index, state) == record
        return record

    class Shuffled(LocalStages):
        def run(self, stage, indices, state):
            for index in rng.permutation(indices):
                yield from super().run(stage, np.array([index]), state)
            for index in rng.permutation(indices):  # a worker that comes late
                assert job.work(stage, int(index), state) is not None

    with Ledger.in_memory() as ledger:
        _, found = finish(job.labelling(ledger, twice, Shuffled))
    assert sorted(job.pieces) == sorted(pieces)
    assert found == n
    assert np.array_equal(job.arrays.labels, labels)


def test_blocks_known_to_be_empty_are_not_looked_at(in_one_go, finish):
    case, labels, n, pieces = in_one_go
    job = Job(case)
    grid = job.blocks.grid(job.arrays.shape)
    empty = np.array(
        [
            not (job.arrays.foreground[(*t.loop, *slices(t.core))] > 127).any()
            for t in grid
        ]
    )
    with Ledger.in_memory() as ledger:
        _, found = finish(job.labelling(ledger, empty=empty))
    assert found == n
    assert np.array_equal(job.arrays.labels, labels)
    assert job.pieces == [piece for piece in pieces if not empty[piece[1]]]


def test_what_is_large_grows_for_several_turns(in_one_go):
    case, _, _, pieces = in_one_go
    turns = {stage for stage, _ in pieces if stage.startswith("grow")}
    assert len(turns) > 3 if case == "large" else turns == {"grow 0"}


@pytest.mark.parametrize("edges", [(32, 32), (200, 64), (45, 101)])
def test_linked_planes_are_the_same_for_any_blocks(finish, same_partition, edges):
    found = []
    for blocks in (Blocks(edges, (16, 128)), ONE_BLOCK[2]):
        job = Job("linked")
        job.blocks, job.work = blocks, BlockWork(job.arrays, CONFIG, blocks)
        with Ledger.in_memory() as ledger:
            _, n = finish(job.labelling(ledger))
        assert set(np.unique(job.arrays.labels)) == set(range(n + 1))
        found.append(job.arrays.labels)
    assert same_partition(*found)
    sections = [set(np.unique(plane)) - {0} for plane in found[0]]
    assert len(sections[0] & sections[1] & sections[2]) > 5  # followed through
    assert not sections[2] & sections[4]  # an empty plane lies between
