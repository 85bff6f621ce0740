"""Images read at another size: results on their own pixels, exact for any tile."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
import torch

from conftest import class_config, random_model, threshold_model
from napari_unetpp import api
from napari_unetpp._types import slices
from napari_unetpp.arrays import Image, Rescaling
from napari_unetpp.config import PredictionConfig
from napari_unetpp.errors import JobChangedError, OutputExistsError, SettingsError
from napari_unetpp.inference import (
    Finished,
    ObjectSize,
    Rescaled,
    RunStarted,
    TileDone,
    result_of,
)
from napari_unetpp.inference._own_grid import OwnGrid, new_numbers, resize_labels
from napari_unetpp.io import read_image
from napari_unetpp.nn import Model

if TYPE_CHECKING:
    from pathlib import Path

    from napari_unetpp.inference import SavedSegmentation, Segmentation

pytestmark = pytest.mark.usefixtures("one_thread")

LEARNT = 10.0
SHAPE = (60, 88)


def with_diameter(model: Model, diameter: float = LEARNT) -> Model:
    """Return a model that has learnt objects of some size."""
    return Model(model.network, model.config.model_copy(update={"diameter": diameter}))


@pytest.fixture(scope="module")
def model() -> Model:
    """Finds what is brighter than half of the range, and has learnt 10 pixels."""
    return with_diameter(threshold_model())


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    """Six discs of 20 pixels, with noise."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    pixels = np.random.default_rng(0).normal(0, 0.03, SHAPE)
    for row, column in itertools.product((15, 45), (15, 44, 73)):
        pixels[(y - row) ** 2 + (x - column) ** 2 <= 100] += 1
    return pixels.astype(np.float32)


def run(
    image: object, model: Model, diameter: float | str | None, **options: object
) -> Segmentation:
    tile = options.pop("tile", None)
    settings = PredictionConfig(
        device="cpu", precision="float32", diameter=diameter, tile=tile
    )
    *_, last = api.segmenting(image, model, settings, **options)
    assert isinstance(last, Finished)
    return last.result


def save(
    path: Path, folder: Path, model: Model, diameter: float | str, **options: object
) -> SavedSegmentation:
    settings = PredictionConfig(
        device="cpu", precision="float32", diameter=diameter, tile=64
    )
    options = {"save": ["labels", "mean"]} | options
    *_, last = api.segmenting_to(path, folder, model, settings, **options)
    assert isinstance(last, Finished)
    return last.result


@pytest.mark.parametrize("diameter", [20.0, 5.0, 14.2])
def test_probabilities_are_those_of_the_resized_image_resized_back(
    image: np.ndarray, model: Model, diameter: float
) -> None:
    found = run(image, model, diameter).prediction
    low, high = np.percentile(image, (1, 99.8))
    pixels = np.clip((image - low) / (high - low), -1, 3)
    target = Rescaling.by(SHAPE, LEARNT / diameter).target
    resized = _resized(pixels, target)
    # The model: head j is sure of what is above 1/2 with a slope of 2 * 20 * j.
    heads = [1 / (1 + np.exp(-40.0 * j * (resized - 0.5))) for j in (1, 2)]
    expected = _resized(np.mean(heads, axis=0), SHAPE)
    np.testing.assert_allclose(np.asarray(found.foreground), expected, atol=2e-3)
    assert found.mean.shape == (3, *SHAPE)
    assert found.size == ObjectSize(diameter, LEARNT)


def _resized(pixels: np.ndarray, target: tuple[int, ...]) -> np.ndarray:
    """Return pixels at another size, as torch makes them."""
    return torch.nn.functional.interpolate(
        torch.from_numpy(np.asarray(pixels, np.float64))[None, None],
        size=target,
        mode="bilinear",
        antialias=True,
    )[0, 0].numpy()


@pytest.mark.parametrize("diameter", [23.0, 6.5])
def test_any_tile_gives_the_same(
    image: np.ndarray, small_model: Model, diameter: float
) -> None:
    model = with_diameter(small_model)
    whole = run(image, model, diameter)
    for tile in (16, 40):
        found = run(image, model, diameter, tile=tile)
        np.testing.assert_array_equal(found.labels, whole.labels)
        np.testing.assert_allclose(
            np.asarray(found.prediction.heads),
            np.asarray(whole.prediction.heads),
            atol=1e-6,
        )


@pytest.mark.parametrize("diameter", [23.0, 6.5])
def test_a_view_is_that_part_of_the_whole(
    image: np.ndarray, small_model: Model, diameter: float
) -> None:
    model, region = with_diameter(small_model), ((21, 52), (17, 70))
    whole = run(image, model, diameter).prediction
    view = run(image, model, diameter, region=region, tile=32).prediction
    np.testing.assert_allclose(
        np.asarray(view.heads), np.asarray(whole.heads)[..., *slices(region)], atol=1e-6
    )
    assert view.translate == (21.0, 17.0)
    assert view.scale == (1.0, 1.0)


def test_objects_lie_on_the_pixels_of_the_image(
    image: np.ndarray, model: Model
) -> None:
    plain = run(image, model, None)
    for diameter in (20.0, 7.0):
        found = run(image, model, diameter)
        assert found.n_objects == plain.n_objects == 6
        assert found.labels.shape == SHAPE
        changed = (np.asarray(found.labels) > 0) != (np.asarray(plain.labels) > 0)
        assert changed.mean() < 0.05  # half a pixel along the outlines
        assert set(np.unique(found.labels)) == set(range(7))


def test_sizes_that_are_nearly_those_learnt_leave_the_image_as_it_is(
    image: np.ndarray, small_model: Model
) -> None:
    model = with_diameter(small_model)
    plain = run(image, model, None).prediction
    near = run(image, model, 10.4).prediction
    np.testing.assert_array_equal(np.asarray(near.mean), np.asarray(plain.mean))
    assert near.size is not None
    assert near.size.factor == 1
    assert run(image, model, 10.6).prediction.read_on is not None


def test_nothing_is_found_outside_of_a_mask(image: np.ndarray, model: Model) -> None:
    mask = np.zeros(SHAPE, np.uint8)
    mask[:40, :50] = 1
    whole = np.asarray(run(image, model, 20.0).labels) > 0
    found = np.asarray(run(image, model, 20.0, mask=mask, tile=16).labels) > 0
    np.testing.assert_array_equal(found[:38, :48], whole[:38, :48])
    assert not found[42:].any()
    assert not found[:, 52:].any()


def test_what_is_looked_at_comes_first_and_tiles_tell_their_place(
    image: np.ndarray, model: Model
) -> None:
    settings = PredictionConfig(
        device="cpu", precision="float32", diameter=20.0, tile=16
    )
    first = ((40, 60), (60, 88))
    events = list(api.segmenting(image, model, settings, first=first))
    assert isinstance(events[0], Rescaled)
    assert isinstance(events[1], RunStarted)
    tiles = [event.box for event in events if isinstance(event, TileDone)]
    (top, bottom), (left, right) = tiles[0]
    assert top < 60
    assert bottom > 40
    assert left < 88
    assert right > 60
    covered = np.zeros(SHAPE, bool)
    for box in tiles:
        covered[slices(box)] = True
    assert covered.all()


def test_stacks_are_rescaled_along_all_axes_of_a_3d_model(image: np.ndarray) -> None:
    model = with_diameter(threshold_model(3))
    stack = np.repeat(image[None, :45, :60], 20, axis=0)
    found = run(stack, model, 20.0)
    assert found.labels.shape == stack.shape
    read_on = found.prediction.read_on
    assert read_on is not None
    assert read_on.prediction.shape == (10, 22, 30)
    flat = run(stack[:3], with_diameter(threshold_model()), 20.0).prediction.read_on
    assert flat is not None
    assert flat.prediction.shape == (3, 22, 30)


def test_pixels_that_are_no_numbers_do_not_spread(
    image: np.ndarray, model: Model
) -> None:
    broken = image.copy()
    broken[45:50] = np.nan
    settings = PredictionConfig(
        device="cpu", precision="float32", diameter=20.0, nonfinite="background"
    )
    *_, last = api.segmenting(broken, model, settings)
    assert np.isfinite(np.asarray(last.result.prediction.mean)).all()
    assert (np.asarray(last.result.labels)[:30] > 0).any()


# --- jobs ---


@pytest.fixture
def file(image: np.ndarray, tmp_path: Path) -> Path:
    """Two planes of the image in a file."""
    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, np.stack([image, image[::-1]]), metadata={"axes": "TYX"})
    return path


@pytest.mark.parametrize(("diameter", "form"), [(20.0, "zarr"), (6.5, "tif")])
def test_a_job_gives_what_a_run_in_memory_gives(
    file: Path, tmp_path: Path, model: Model, diameter: float, form: str
) -> None:
    expected = run(file, model, diameter)
    saved = save(file, tmp_path / "out", model, diameter, form=form)
    assert saved.shape == (2, *SHAPE)
    assert saved.n_objects == expected.n_objects
    assert saved.size == ObjectSize(diameter, LEARNT)
    labels, mean = _written(saved)
    np.testing.assert_array_equal(labels, np.asarray(expected.labels))
    foreground = np.asarray(expected.prediction.foreground)
    np.testing.assert_allclose(mean, foreground, atol=1 / 255)
    again = save(file, tmp_path / "out", model, diameter, form=form)
    assert again.up_to_date


def _written(saved: SavedSegmentation) -> tuple[np.ndarray, np.ndarray]:
    """Return the labels and the mean of a job."""
    labels, mean = saved.outputs["labels"], saved.outputs["mean"]
    if labels.suffix == ".zarr":
        labels, mean = labels / "labels" / "labels", mean / "mean"
    values = np.asarray(read_image(mean).data).astype(np.float32)
    scale = 255 if mean.suffix != ".tif" else 1
    return np.asarray(read_image(labels).data), values.reshape(saved.shape) / scale


@pytest.mark.parametrize("stage", ["predict", "resize"])
def test_a_job_that_was_stopped_goes_on(
    file: Path, tmp_path: Path, model: Model, stage: str
) -> None:
    expected = _written(save(file, tmp_path / "whole", model, 6.5))
    settings = PredictionConfig(
        device="cpu", precision="float32", diameter=6.5, tile=64
    )
    kept = ["labels", "mean"]
    events = api.segmenting_to(file, tmp_path / "out", model, settings, save=kept)
    for event in events:
        if getattr(event, "stage", "") == stage:
            break
    events.close()
    assert (tmp_path / "out" / "cells.job").exists()
    found = _written(save(file, tmp_path / "out", model, 6.5))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not (tmp_path / "out" / "cells.job").exists()


def test_parts_make_the_same(file: Path, tmp_path: Path, model: Model) -> None:
    expected = _written(save(file, tmp_path / "whole", model, 20.0))
    first = save(file, tmp_path / "out", model, 20.0, shard=(1, 2))
    assert first.waiting
    assert first.shape == (2, *SHAPE)
    found = _written(save(file, tmp_path / "out", model, 20.0, shard=(2, 2)))
    np.testing.assert_array_equal(found[0], expected[0])


def test_another_diameter_is_another_job(
    file: Path, tmp_path: Path, model: Model
) -> None:
    settings = PredictionConfig(
        device="cpu", precision="float32", diameter=20.0, tile=64
    )
    kept = {"save": ["labels"]}
    events = api.segmenting_to(file, tmp_path, model, settings, **kept)
    next(event for event in events if isinstance(event, TileDone))
    events.close()
    with pytest.raises(JobChangedError, match=r"diameter was 20.0, is 6.5"):
        save(file, tmp_path, model, 6.5, **kept)
    save(file, tmp_path, model, 20.0, **kept)
    with pytest.raises(OutputExistsError):
        save(file, tmp_path, model, 6.5, **kept)


# --- what is asked for ---


def test_lengths_need_the_size_of_a_pixel(image: np.ndarray, model: Model) -> None:
    known = Image(image, "YX", (0.5, 0.5), ("micrometer", "micrometer"))
    found = run(known, model, "10 um").prediction.size
    assert found is not None
    assert found.diameter == pytest.approx(20.0)
    with pytest.raises(SettingsError, match="does not say how large its pixels are"):
        run(image, model, "10 um")


def test_a_diameter_that_cannot_be_used_is_refused(
    image: np.ndarray, model: Model, small_model: Model, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match="does not say how large the objects"):
        run(image, small_model, 20.0)
    with pytest.raises(SettingsError, match="give what a line across an object"):
        run(image, model, 0.1)
    classes = with_diameter(random_model(class_config()))
    with pytest.raises(SettingsError, match="finds classes"):
        run(image, classes, "auto")
    settings = PredictionConfig(diameter=5000.0)
    with pytest.raises(SettingsError, match="times its size"):
        api.segmenting_to(image, tmp_path, model, settings)


@pytest.mark.parametrize("value", [0, -1, "big", "12 parsec", float("nan"), True, []])
def test_no_size(value: object) -> None:
    with pytest.raises(ValueError, match="is no size of an object"):
        PredictionConfig(diameter=value)


def test_sizes_as_people_write_them() -> None:
    written = {"24": 24.0, 24: 24.0, "24 px": 24.0, "12um": "12 um", "Auto": "auto"}
    for text, value in {**written, "1.5 µm": "1.5 um", "nm": None}.items():
        if value is not None:
            assert PredictionConfig(diameter=text).diameter == value


# --- the way back ---


def test_objects_between_the_pixels_are_left_out_and_the_others_numbered_anew() -> None:
    found = np.zeros((8, 8), np.uint32)
    found[0, 0], found[1:7, 1:7], found[7, 7] = 1, 2, 3
    grid = OwnGrid.of(Rescaling((2, 2), (8, 8)))
    labels = np.zeros((2, 2), np.uint32)
    events = resize_labels(found, grid, labels, "", objects=True)
    assert result_of(events) == 1
    np.testing.assert_array_equal(labels, [[1, 1], [1, 1]])


def test_new_numbers() -> None:
    table = new_numbers([np.array([0, 2, 5]), np.array([3])])
    np.testing.assert_array_equal(table, [0, 0, 1, 2, 0, 3])
    np.testing.assert_array_equal(new_numbers([]), [0])
