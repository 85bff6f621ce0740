"""Where to label next: unsure regions first, labelled ones last, none near another."""

from __future__ import annotations

import math

import dask.array as da
import numpy as np
import pytest

from napari_unetpp.errors import ImageError
from napari_unetpp.inference import (
    BlockDone,
    LiveImages,
    LivePredictor,
    PlaceSearch,
    PlacesFound,
    Searched,
    search_places,
)
from napari_unetpp.inference import _places as places_module
from napari_unetpp.io import as_image

pytestmark = pytest.mark.usefixtures("one_thread")

EDGE = 96


def _searched(pixels, labels, axes, model):
    images = LiveImages([as_image(each, axes, None) for each in pixels], model.config)
    return [Searched(images[k], each) for k, each in enumerate(labels)]


def _half_sure(*shape, spots):
    """Return an image that is dark or bright, but for spots of the value between.

    Of the model that knows what is brighter than half of the range, these spots are
    where nothing is sure.
    """
    image = np.zeros(shape, np.float32)
    image[..., ::2, :] = 1
    for spot in spots:
        image[spot] = 0.5
    return image


@pytest.fixture
def model(threshold_model):
    return threshold_model()


@pytest.fixture
def threshold_model(model_file):
    from napari_unetpp.io import load_model_file

    return lambda: load_model_file(model_file)


def test_the_unsure_spot_is_the_first_place(model):
    spot = (slice(210, 230), slice(110, 130))
    image = _half_sure(400, 300, spots=[spot])
    labels = np.zeros(image.shape, np.uint8)
    search = PlaceSearch(
        _searched([image], [labels], "YX", model), LivePredictor(model)
    )
    events = list(search_places(search, LivePredictor(model), "run"))
    assert [type(event) for event in events[:-1]] == [BlockDone] * search.n_tiles
    found = events[-1]
    assert isinstance(found, PlacesFound)
    assert found.run_id == "run"
    first = found.places[0]
    assert first.image == 0
    for at, (start, stop), inside in zip(first.centre, first.box, spot, strict=True):
        assert start <= at < stop
        assert inside.start - 12 <= at < inside.stop + 12
    scores = [place.score for place in found.places]
    assert scores == sorted(scores, reverse=True)


def test_what_is_labelled_comes_last_and_what_is_full_not_at_all(model):
    spots = [(slice(10, 90), slice(10, 90)), (slice(10, 90), slice(202, 282))]
    image = _half_sure(96, 288, spots=spots)
    labels = np.zeros(image.shape, np.uint8)
    predictor = LivePredictor(model)

    def boxes():
        search = PlaceSearch(_searched([image], [labels], "YX", model), predictor)
        while not search.finished:
            search.look(predictor)
        return [place.box[1][0] // EDGE for place in search.places()]

    assert set(boxes()[:2]) == {0, 2}
    labels[40, 50] = 1
    assert boxes() == [2, 0]  # the one between is near both
    labels[:, :EDGE] = 1
    assert boxes() == [2]
    labels[:] = 1
    assert boxes() == []


def test_places_are_apart(make_model):
    model = make_model(channels="as_is", widths=(4, 8))
    rng = np.random.default_rng(1)
    image = rng.normal(size=(500, 600)).astype(np.float32)
    labels = np.zeros(image.shape, np.uint8)
    predictor = LivePredictor(model)
    search = PlaceSearch(_searched([image], [labels], "YX", model), predictor, n=6)
    while not search.finished:
        search.look(predictor)
    places = search.places()
    assert len(places) == 6
    middles = [[(a + b) / 2 for a, b in place.box] for place in places]
    for k, one in enumerate(middles):
        for other in middles[:k]:
            assert math.dist(one, other) >= EDGE


@pytest.mark.parametrize(
    ("axes", "shape", "dims"),
    [
        ("TYX", (3, 100, 90), 2),
        ("CTYX", (1, 2, 40, 50), 2),
        ("TZYX", (2, 9, 40, 70), 3),
    ],
)
def test_planes_series_and_stacks(make_model, axes, shape, dims):
    model = make_model(spatial_dims=dims, channels="as_is", widths=(4, 8, 16))
    image = np.random.default_rng(2).normal(size=shape).astype(np.float32)
    size = tuple(n for a, n in zip(axes, shape, strict=True) if a != "C")
    labels = np.zeros(size, np.uint8)
    labels[0] = 1
    predictor = LivePredictor(model)
    search = PlaceSearch(_searched([image], [labels], axes, model), predictor)
    while not search.finished:
        search.look(predictor)
    places = search.places()
    assert places
    for place in places:
        assert place.box[0][0] > 0  # the first plane or stack is labelled
        assert len(place.box) == len(place.centre) == len(size)
        for at, (start, stop), n in zip(place.centre, place.box, size, strict=True):
            assert 0 <= start <= at < stop <= n


def test_of_a_large_image_an_even_part_is_looked_at(make_model, monkeypatch):
    monkeypatch.setattr(places_module, "MAX_PIXELS", {2: 3 * 480**2, 3: 0})
    model = make_model(channels="as_is", widths=(4, 8))
    rng = np.random.default_rng(3)
    lazy = da.random.default_rng(0).random((9_600, 4_800), chunks=(480, 480))
    lazy = lazy.astype(np.float32)
    small = rng.random((480, 480)).astype(np.float32)
    labels = [da.zeros(lazy.shape, np.uint8, chunks=(480, 480)), np.zeros_like(small)]
    predictor = LivePredictor(model)
    searched = _searched([lazy, small], labels, "YX", model)
    search = PlaceSearch(searched, predictor)
    assert 1 <= search.n_tiles <= 4
    search.look(predictor)
    assert search.n_done == 1
    assert search.places()  # what has been found so far


def test_a_search_through_several_images(model):
    images = [_half_sure(96, 96, spots=[]) for _ in range(3)]
    images[1][30:60, 30:60] = 0.5
    labels = [np.zeros(each.shape, np.uint8) for each in images]
    predictor = LivePredictor(model)
    search = PlaceSearch(_searched(images, labels, "YX", model), predictor, n=2)
    while not search.finished:
        search.look(predictor)
    places = search.places()
    assert next(place.image for place in places) == 1
    assert len(places) == 2


def test_images_take_turns(model):
    odd = _half_sure(96, 288, spots=[(slice(0, 96), slice(0, 288))])
    usual = _half_sure(96, 288, spots=[(slice(30, 60), slice(220, 250))])
    odd[0, 0] = 1
    odd[0, 1] = 0
    labels = [np.zeros(odd.shape, np.uint8) for _ in range(2)]
    predictor = LivePredictor(model)

    def images():
        searched = _searched([odd, usual], labels, "YX", model)
        search = PlaceSearch(searched, predictor, n=2)
        while not search.finished:
            search.look(predictor)
        return [place.image for place in search.places()]

    assert images() == [0, 1]
    labels[0][40, 50:150] = 1  # most of what there is to label has been begun
    assert images() == [1, 1]


def test_pixels_that_are_not_finite_are_told(make_model):
    model = make_model(channels="as_is")
    image = np.random.default_rng(2).normal(size=(50, 60)).astype(np.float32)
    image[0, 0] = np.inf
    with pytest.raises(ImageError, match="infinite"):
        _searched([image], [np.zeros(image.shape, np.uint8)], "YX", model)
