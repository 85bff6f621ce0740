import numpy as np
import pytest

from napari_unetpp.training._places import choose_sides

EDGE = 32


def grid(shape=(8, 8), n_classes=2, share=1.0, seed=0):
    """Return counts (K, *grid) of blocks, a share of which is labelled."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 100, (n_classes, *shape))
    return counts * (rng.random(shape) < share)


def sides_of(counts, fraction=0.2, seed=0, known=None):
    return choose_sides(counts, EDGE, fraction, seed, known or {})


def held_share(counts, sides):
    out = sides.blocks(0, counts.shape[1:], EDGE)
    return counts[:, out].sum(axis=1) / counts.reshape(len(counts), -1).sum(axis=1)


def test_about_the_wanted_share_of_every_class_is_held_out():
    counts = grid((20, 20), n_classes=3)
    share = held_share(counts, sides_of([counts]))
    assert ((share > 0.1) & (share < 0.35)).all()


def test_a_rare_class_in_two_places_is_learnt_in_one_and_held_out_in_the_other():
    counts = grid((8, 8))
    counts[1] = 0
    counts[1, 0, 0] = counts[1, 7, 7] = 5
    out = sides_of([counts]).blocks(0, (8, 8), EDGE)
    assert out[0, 0] != out[7, 7]


def test_a_class_in_one_place_is_learnt():
    counts = grid((8, 8))
    counts[1] = 0
    counts[1, 3, 3] = 5
    assert not sides_of([counts]).blocks(0, (8, 8), EDGE)[3, 3]


def test_places_keep_their_side_while_labels_are_added():
    few = grid((10, 10), share=0.1)
    before = sides_of([few])
    after = sides_of([grid((10, 10))], known=before.held)
    assert after.edge == before.edge
    assert {key: after.held[key] for key in before.held} == before.held
    assert len(after.held) > len(before.held)


def test_erased_places_keep_their_side_for_when_they_are_painted_again():
    before = sides_of([grid((10, 10))])
    after = sides_of([grid((10, 10), share=0.1)], known=before.held)
    assert dict(after.held) == dict(before.held)


def test_blocks_are_large_where_there_are_many_of_them_and_small_for_few_strokes():
    assert sides_of([grid((40, 40))]).edge == 128
    assert sides_of([grid((4, 4))]).edge == 32
    assert "blocks of 128 x 128 pixels" in sides_of([grid((40, 40))]).words


def test_whole_images_are_held_out_where_several_are_labelled():
    counts = [grid(seed=k) for k in range(5)]
    sides = sides_of(counts)
    assert sides.edge is None
    assert sides.words == "1 of 5 images, chosen at random (seed 0)"
    assert sum(sides.blocks(k, (8, 8), EDGE).all() for k in range(5)) == 1


def test_a_class_in_one_of_several_images_is_shared_out_by_blocks():
    counts = [grid(seed=k) * np.array([1, k == 0])[:, None, None] for k in range(5)]
    assert sides_of(counts).edge is not None


def test_nothing_is_held_out_on_request_or_where_there_is_one_place():
    one = np.zeros((2, 4, 4), int)
    one[:, 1, 1] = 9
    for sides in (sides_of([grid()], fraction=0), sides_of([one])):
        assert sides.words == "nothing is held out"
        assert not any(sides.held.values())


@pytest.mark.parametrize("shape", [(6, 7), (3, 5, 4)])
def test_the_same_seed_gives_the_same_sides(shape):
    counts = grid(shape)
    assert sides_of([counts], seed=1).held == sides_of([counts], seed=1).held
    assert sides_of([counts], seed=1).held != sides_of([counts], seed=2).held
