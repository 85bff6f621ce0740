"""What is not computed: outside a mask, constant tiles, pieces that cannot be read."""

from __future__ import annotations

import shutil

import dask.array as da
import numpy as np
import pytest
import zarr

from napari_unetpp.config import PredictionConfig
from napari_unetpp.errors import ImageError, ImageGoneError
from napari_unetpp.inference import BadPixels, TileDone, label, predict_image
from napari_unetpp.inference._plan import make_plan
from napari_unetpp.io import as_image, read_image

CPU = PredictionConfig(device="cpu", tile=64)
SKIP = CPU.model_copy(update={"skip_bad": True})


def tiles_of(events):
    return [event for event in events if isinstance(event, TileDone)]


def failing(pixels, chunks, bad, reads=None):
    """A lazy image of which some chunks cannot be read."""

    def read(block_info=None):
        at = tuple(block_info[None]["chunk-location"])
        if reads is not None:
            reads.append(at)
        if at in bad:
            raise OSError(f"chunk {at} is damaged")
        where = block_info[None]["array-location"]
        return pixels[tuple(slice(*span) for span in where)]

    chunks = da.core.normalize_chunks(chunks, pixels.shape)
    return da.map_blocks(read, chunks=chunks, dtype=pixels.dtype, meta=pixels[:0, :0])


@pytest.fixture
def predict(finish, lively_model):
    """Return a function that predicts: events and result."""

    def run(pixels, axes="YX", settings=CPU, **kinds):
        image = as_image(pixels, axes)
        return finish(predict_image(image, lively_model, settings, "run", **kinds))

    return run


def test_a_mask_leaves_the_rest_as_it_is(predict, noise, finish, lively_model):
    pixels = noise(200, 330)
    mask = np.zeros((200, 330), np.uint8)
    mask[10:90, 5:70], mask[150, 200] = 3, 1
    _, whole = predict(pixels)
    events, part = predict(pixels, mask=mask)
    mean, inside = part.mean.compute(), mask != 0
    assert np.array_equal(mean[:, inside], whole.mean.compute()[:, inside])
    assert (mean[:, ~inside] == np.array([[1], [0], [0]])).all()
    assert (part.foreground.compute()[~inside] == 0).all()
    tiles = tiles_of(events)
    for event in tiles:
        within = inside[tuple(slice(*span) for span in event.box)]
        assert event.skipped == (not within.any())
        assert event.record == b""
    assert [event.n_done for event in tiles] == list(range(1, len(tiles) + 1))
    _, result = finish(label(part, lively_model.config, "run"))
    assert not result.labels[~inside].any()


def test_tiles_outside_the_mask_are_not_read(lively_model, noise, finish):
    reads = []
    pixels = noise(64, 64 * 40)
    lazy = failing(pixels, (64, 64), (), reads)
    mask = np.zeros(pixels.shape, bool)
    mask[:, 64 * 30] = True
    run = predict_image(as_image(lazy, "YX"), lively_model, CPU, "run", mask=mask)
    next(run)
    reads.clear()  # the intensities were read before
    finish(run)
    assert {column for _, column in reads} <= {29, 30, 31}


@pytest.mark.parametrize("spatial", [True, False])
def test_a_mask_for_every_plane_or_for_all(predict, noise, spatial):
    pixels = noise(3, 70, 150)
    mask = da.from_array(noise(3, 70, 150) > 3990, chunks=(1, 64, 64))
    mask = mask[0] if spatial else mask
    _, part = predict(pixels, "TYX", mask=mask)
    outside = np.broadcast_to(~mask.compute(), (3, 70, 150))
    assert not part.foreground.compute()[outside].any()
    assert part.foreground.compute()[~outside].all()


def test_a_mask_of_a_view(predict, noise):
    pixels = noise(2, 300, 310)
    mask = noise(2, 300, 310) > 2000
    region = ((130, 200), (61, 250))
    _, part = predict(pixels, "TYX", mask=mask, region=region, loop=(1,))
    _, whole = predict(pixels, "TYX", mask=mask)
    expected = whole.mean[:, 1:2, 130:200, 61:250]
    assert np.abs(part.mean - expected).max().compute() < 1e-5


def test_classes_outside_the_mask_are_0(make_model, noise, finish):
    model = make_model(widths=(4, 8, 16))
    config = model.config.model_copy(
        update={"task": "classes", "class_names": ("a", "b", "c")}
    )
    config = config.model_copy(update={"class_values": (4, 5, 6)})
    model = type(model)(model.network, config)
    pixels = noise(70, 90)
    mask = np.zeros((70, 90), bool)
    mask[5:20, 3:80] = True
    run = predict_image(as_image(pixels, "YX"), model, CPU, "run", mask=mask)
    _, result = finish(label(finish(run)[1], config, "run"))
    assert np.array_equal(result.labels != 0, mask)
    assert not result.prediction.foreground.compute()[~mask].any()


@pytest.mark.parametrize("shape", [(300, 200), (2, 200, 300), (3,)])
def test_a_mask_that_does_not_fit_is_refused(lively_model, noise, shape):
    image = as_image(noise(2, 200, 330), "TYX")
    with pytest.raises(ImageError, match=r"mask.*\(2, 200, 330\).*\(200, 330\)"):
        make_plan(image, lively_model, CPU, mask=np.zeros(shape))


def test_constant_tiles_are_computed_once(predict, noise):
    pixels = np.full((64 * 9, 64 * 9), 7, np.uint16)
    pixels[:90, :80] = noise(90, 80)
    events, found = predict(pixels)
    skipped = [event for event in tiles_of(events) if event.skipped]
    assert 20 < len(skipped) < 81
    settings = CPU.model_copy(update={"tile": 1024})
    _, whole = predict(pixels, settings=settings)
    assert np.abs(found.heads - whole.heads).max().compute() <= 1e-5


def test_other_values_are_another_answer(predict):
    pixels = np.zeros((64, 64 * 30), np.uint16)
    for n in range(10):
        pixels[:, 192 * n : 192 * (n + 1)] = 10 * n * n
    settings = CPU.model_copy(update={"level": 1})
    events, found = predict(pixels, settings=settings)
    whole = CPU.model_copy(update={"level": 1, "tile": 4096})
    _, expected = predict(pixels, settings=whole)
    assert not any(event.skipped for event in tiles_of(events)[:3])
    assert np.abs(found.heads - expected.heads).max().compute() <= 1e-5


def test_one_channel_that_varies_is_not_constant(make_model, noise, finish):
    model = make_model(in_channels=2, widths=(4, 8, 16), channels="as_is")
    pixels = np.stack([np.full((64, 640), 5, np.uint16), noise(64, 640)])
    run = predict_image(as_image(pixels, "CYX"), model, CPU, "run")
    events, _ = finish(run)
    assert not any(event.skipped for event in tiles_of(events))


def test_an_unreadable_piece_ends_the_run_and_keeps_what_is_done(
    lively_model, noise, finish
):
    pixels = noise(64, 64 * 30)
    bad = set()
    lazy = failing(pixels, (64, 64), bad)
    run = predict_image(as_image(lazy, "YX"), lively_model, CPU, "run")
    events = [next(run)]
    bad.add((0, 20))
    with pytest.raises(ImageError, match=r"image: .*chunk \(0, 20\) is damaged"):
        events.extend(run)
    assert [event.n_done for event in tiles_of(events)] == list(range(1, 20))


def test_what_is_readable_at_the_second_try_is_read(lively_model, noise, finish):
    pixels, tries = noise(64, 640), []

    class Once(dict):
        def __contains__(self, at):
            tries.append(at)
            return at == (0, 5) and tries.count(at) < 3

    image = as_image(failing(pixels, (64, 64), Once()), "YX")
    _, found = finish(predict_image(image, lively_model, CPU, "run"))
    _, expected = finish(predict_image(as_image(pixels), lively_model, CPU, "run"))
    assert np.array_equal(found.mean.compute(), expected.mean.compute())


@pytest.mark.parametrize("tile", [32, 64, 4096])
def test_bad_pieces_are_dark_whatever_the_tiles_are(predict, noise, lively_model, tile):
    pixels, bad = noise(300, 200), {(1, 0), (3, 2)}
    lazy = failing(pixels, (70, 80), bad)
    settings = SKIP.model_copy(update={"tile": tile})
    events, found = predict(lazy, settings=settings)
    told = [event for event in events if isinstance(event, BadPixels)]
    boxes = sorted(event.box for event in told)
    assert boxes == [((70, 140), (0, 80)), ((210, 280), (160, 200))]
    assert all("is damaged" in event.reason for event in told)
    plan = make_plan(as_image(lazy, "YX"), lively_model, settings)
    dark = pixels.copy()
    for box in boxes:
        dark[tuple(slice(*span) for span in box)] = int(plan.intensity.low[0])
    _, expected = predict(dark, intensity=plan.intensity)
    assert np.abs(found.heads - expected.heads).max().compute() <= 1e-5


def test_the_range_of_intensities_leaves_bad_pieces_out(noise, lively_model):
    pixels = noise(300, 200)
    pixels[70:140, :80] = 60000
    image = as_image(failing(pixels, (70, 80), {(1, 0)}), "YX")
    with pytest.raises(ImageError, match="is damaged"):
        make_plan(image, lively_model, CPU)
    assert make_plan(image, lively_model, SKIP).intensity.high[0] <= 4000


def test_a_file_that_vanishes_is_told_of(lively_model, noise, tmp_path):
    path = tmp_path / "image.zarr"
    pixels = noise(64, 64 * 30)
    zarr.create_array(path, data=pixels, chunks=(64, 64))
    run = predict_image(read_image(path), lively_model, SKIP, "run")
    events = [next(run), next(run)]
    shutil.rmtree(path)
    with pytest.raises(ImageGoneError, match="no longer there"):
        events.extend(run)
    assert tiles_of(events)


def test_an_image_of_which_nothing_can_be_read(lively_model, noise):
    lazy = failing(noise(64, 64), (64, 64), {(0, 0)})
    with pytest.raises(ImageError, match="no pixel of the sample"):
        make_plan(as_image(lazy, "YX"), lively_model, SKIP)
