"""Previews while a network learns: the same pixels as the run over the whole image."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_unetpp.arrays import entropy_of_mean
from napari_unetpp.config import PredictionConfig
from napari_unetpp.errors import AxesError, ImageError
from napari_unetpp.inference import (
    LiveImages,
    LivePredictor,
    Previewer,
    ViewFocus,
    predict_image,
    result_of,
)
from napari_unetpp.io import as_image

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = PredictionConfig(device="cpu", precision="float32")
HALF = 1e-3
"""What float16 rounds probabilities by."""


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def _noise(*shape):
    return np.random.default_rng(5).normal(100, 20, shape).astype(np.float32)


def _setup(pixels, axes, model, clock):
    images = LiveImages([as_image(each, axes, None) for each in pixels], model.config)
    focus = ViewFocus()
    return images, focus, Previewer(focus, "run", clock), LivePredictor(model)


def _whole_pass(previewer, predictor, images, clock, step=1):
    """Return the tiles of a pass; time passes as far as it must."""
    tiles = []
    while not tiles or not tiles[-1].done:
        clock.now += 10
        tile = previewer.tile(predictor, images, step)
        assert tile is not None
        tiles.append(tile)
    return tiles


def _put_together(tiles, shape):
    """Return the mean (K, *shape) and uncertainty that tiles show, NaN elsewhere."""
    mean = np.full((len(tiles[0].mean), *shape), np.nan, np.float32)
    spread = np.full(shape, np.nan, np.float32)
    for tile in tiles:
        box = tuple(slice(*span) for span in tile.box)
        assert np.isnan(spread[box]).all()  # no pixel twice
        mean[(slice(None), *box)] = tile.mean.reshape(mean[(slice(None), *box)].shape)
        spread[box] = tile.uncertainty.reshape(spread[box].shape)
    return mean, spread


@pytest.mark.parametrize(
    ("axes", "shape", "region", "loop", "dims"),
    [
        ("YX", (300, 277), ((0, 300), (0, 277)), (), 2),
        ("YX", (300, 277), ((37, 290), (11, 276)), (), 2),
        ("TYX", (3, 90, 70), ((5, 70), (3, 60)), (2,), 2),
        ("TCZYX", (2, 1, 20, 40, 33), ((3, 4), (5, 40), (0, 33)), (1,), 3),
    ],
)
def test_a_pass_equals_the_run_over_the_image(
    axes, shape, region, loop, dims, clock, make_model
):
    model = make_model(spatial_dims=dims, channels="as_is", widths=(4, 8, 16))
    image = _noise(*shape)
    images, focus, previewer, predictor = _setup([image], axes, model, clock)
    focus.look_at(0, region, loop)
    tiles = _whole_pass(previewer, predictor, images, clock)
    expected = result_of(predict_image(as_image(image, axes, None), model, CPU, "x"))
    mean, spread = _put_together(tiles, expected.shape)
    view = tuple(slice(*s) for s in (*((at, at + 1) for at in loop), *region))
    assert np.isfinite(spread[view]).all()
    assert np.isfinite(spread).sum() == spread[view].size
    assert np.allclose(
        mean[(slice(None), *view)], expected.mean[(slice(None), *view)], atol=HALF
    )
    assert np.allclose(spread[view], expected.uncertainty[view], atol=HALF)
    assert {(t.region, t.loop, t.step, t.run_id) for t in tiles} == {
        (region, loop, 1, "run")
    }


def test_the_middle_of_the_view_comes_first(clock, make_model):
    model = make_model(channels="as_is", widths=(4, 8))
    images, focus, previewer, predictor = _setup([_noise(700, 40)], "YX", model, clock)
    focus.look_at(0, ((0, 700), (0, 40)), ())
    first, *rest = _whole_pass(previewer, predictor, images, clock)
    assert len(rest) > 1
    assert first.box[0][0] < 350 < first.box[0][1]


def test_the_network_is_left_as_it_was(clock, make_model):
    model = make_model(channels="as_is")
    model.network.train()
    before = {k: v.clone() for k, v in model.network.state_dict().items()}
    images, focus, previewer, predictor = _setup([_noise(64, 64)], "YX", model, clock)
    focus.look_at(0, ((0, 64), (0, 64)), ())
    (tile,) = _whole_pass(previewer, predictor, images, clock)
    assert model.network.training
    assert all(m.training for m in model.network.modules())
    for name, value in model.network.state_dict().items():
        assert torch.equal(value, before[name])
    assert predictor._network is model.network  # nothing is copied
    model.network.eval()
    expected = result_of(predict_image(images[0].canonical.image, model, CPU, "x"))
    assert np.allclose(tile.mean, expected.mean, atol=HALF)


def test_bfloat16_is_near(clock, make_model):
    model = make_model(channels="as_is")
    image = as_image(_noise(64, 64), "YX", None)
    images, focus = LiveImages([image], model.config), ViewFocus()
    focus.look_at(0, ((0, 64), (0, 64)), ())
    predictor = LivePredictor(model, "bfloat16")
    tile = Previewer(focus, "run", clock).tile(predictor, images, 1)
    expected = result_of(predict_image(image, model, CPU, "x"))
    assert tile is not None
    assert np.abs(tile.mean - np.asarray(expected.mean)).mean() < 0.03


def test_passes_have_their_time(clock, make_model):
    model = make_model(channels="as_is")
    images, focus, previewer, predictor = _setup([_noise(64, 64)], "YX", model, clock)

    def tile(step):
        return previewer.tile(predictor, images, step)

    assert tile(1) is None  # nothing is looked at
    focus.look_at(0, ((0, 64), (0, 64)), ())
    first = tile(1)
    assert (first.pass_number, first.done) == (1, True)
    clock.now += 2.9
    assert tile(2) is None  # not within three seconds
    clock.now += 0.2
    assert tile(1) is None  # nothing has been learnt since
    assert tile(2).pass_number == 2
    focus.look_at(0, ((0, 64), (0, 64)), ())  # no move
    assert tile(3) is None
    focus.look_at(0, ((0, 64), (0, 60)), ())  # a move: at once, learnt or not
    assert tile(2).pass_number == 3
    focus.look_away()
    clock.now += 100
    assert tile(9) is None


def test_rests_in_proportion_to_the_work(clock, make_model):
    model = make_model(channels="as_is")
    images, focus, previewer, predictor = _setup([_noise(64, 64)], "YX", model, clock)
    focus.look_at(0, ((0, 64), (0, 64)), ())
    answer = predictor.heads(np.zeros((1, 64, 64), np.float32), ((0, 64), (0, 64)))

    def slowly(x, crop):
        clock.now += 6
        return answer

    predictor.heads = slowly
    worked, steps = 0.0, 0
    while clock.now < 1000:
        steps += 1
        clock.now += 0.5
        worked += 6 * (previewer.tile(predictor, images, steps) is not None)
    assert 0.17 < worked / clock.now < 0.23


def test_a_view_that_moves_is_followed(clock, make_model):
    model = make_model(channels="as_is", widths=(4, 8))
    pixels = [_noise(700, 300), _noise(200, 100)]
    images, focus, previewer, predictor = _setup(pixels, "YX", model, clock)
    focus.look_at(0, ((0, 700), (0, 300)), ())
    assert not previewer.tile(predictor, images, 1).done
    focus.look_at(1, ((0, 200), (50, 1000)), ())
    clock.now += 10
    tile = previewer.tile(predictor, images, 1)
    assert (tile.image, tile.pass_number) == (1, 2)
    assert tile.region == ((0, 200), (50, 100))


@pytest.mark.parametrize(
    ("image", "region", "loop"),
    [
        (7, ((0, 10), (0, 10)), ()),
        (0, ((50, 60), (70, 90)), ()),
        (0, ((0, 10), (0, 10)), (3,)),
        (0, ((0, 10),), ()),
    ],
)
def test_what_is_not_there_is_not_predicted(image, region, loop, clock, make_model):
    model = make_model(channels="as_is")
    images, focus, previewer, predictor = _setup([_noise(64, 64)], "YX", model, clock)
    focus.look_at(image, region, loop)
    for _ in range(3):
        clock.now += 10
        assert previewer.tile(predictor, images, 1) is None


def test_of_a_wide_view_the_middle_is_predicted(clock, make_model):
    model = make_model(channels="as_is", widths=(4, 8))
    images, focus, previewer, predictor = _setup([_noise(9, 3000)], "YX", model, clock)
    focus.look_at(0, ((0, 9), (0, 3000)), ())
    tiles = _whole_pass(previewer, predictor, images, clock)
    assert {tile.region for tile in tiles} == {((0, 9), (476, 2524))}
    assert sum(tile.uncertainty.size for tile in tiles) == 9 * 2048


def test_large_3d_tiles_are_cut_to_the_memory(make_model):
    from napari_unetpp.inference._live import EDGES, Cut, bytes_per_pixel

    model = make_model(spatial_dims=3, channels="as_is", widths=(16, 32, 64, 128, 256))
    predictor = LivePredictor(model)
    shape = (64, 1000, 1000)
    cut = Cut.fitting(predictor, shape, EDGES[3])
    assert cut.n_pixels(shape) * bytes_per_pixel(predictor.config) <= 2**30
    assert all(n % 16 == 0 for n in (*cut.core, *cut.halo))
    slow = Cut.fitting(LivePredictor(make_model()), (999, 999), EDGES[2], 1)
    assert slow.core == (128, 128)  # with all of its halo
    assert min(slow.halo) >= max(LivePredictor(make_model()).radius)


def test_images_that_cannot_be_read_say_so(clock, make_model):
    model = make_model(channels="as_is")
    bad = _noise(64, 64)
    bad[3, 4] = np.nan
    images, focus, previewer, predictor = _setup([bad], "YX", model, clock)
    focus.look_at(0, ((0, 64), (0, 64)), ())
    with pytest.raises(ImageError, match="NaN"):
        previewer.tile(predictor, images, 1)
    two = LiveImages([as_image(_noise(2, 64, 64), "CYX", None)], model.config)
    with pytest.raises(AxesError, match="2 channels"):
        previewer.tile(predictor, two, 1)
    taken = LiveImages([as_image(bad, "YX", None)], model.config, "background")
    assert previewer.tile(predictor, taken, 1).done


def test_a_search_is_taken_once():
    focus = ViewFocus()
    assert focus.take_wanted() is None
    focus.find_places()
    focus.find_places([np.zeros((3, 3), int)])
    assert focus.take_wanted().labels[0].shape == (3, 3)
    assert focus.take_wanted() is None


def test_one_head_is_unsure_too(clock, make_model):
    model = make_model(channels="as_is", architecture="unet")
    images, focus, previewer, predictor = _setup([_noise(64, 64)], "YX", model, clock)
    focus.look_at(0, ((0, 64), (0, 64)), ())
    (tile,) = _whole_pass(previewer, predictor, images, clock)
    expected = entropy_of_mean(np.float32(tile.mean), objects=True)
    assert np.allclose(tile.uncertainty, expected, atol=HALF)
    assert replace(tile, step=2).step == 2
