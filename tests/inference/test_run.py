"""How a run goes: events, threads, errors, cancelling, memory that runs out."""

from __future__ import annotations

import gc
import threading
import time

import dask.array as da
import numpy as np
import pytest
import torch

from napari_unetpp.config import PredictionConfig
from napari_unetpp.errors import DeviceMemoryError, ImageError, SettingsError
from napari_unetpp.inference import (
    MemoryLow,
    RunStarted,
    TileDone,
    label,
    predict_image,
)
from napari_unetpp.inference._plan import make_plan
from napari_unetpp.io import as_image
from napari_unetpp.nn import Model, UNetPlusPlus

CPU = PredictionConfig(device="cpu", tile=64, precision="float32")


class SmallMemory(UNetPlusPlus):
    """A network on a device that holds no more than `most` pixels at a time."""

    most = 0

    def forward(self, x, level=None):
        if x.numel() > self.most:
            raise torch.OutOfMemoryError(f"{x.numel()} pixels do not fit")
        return super().forward(x, level)


def small_memory(model, most):
    network = SmallMemory(model.network.config)
    network.load_state_dict(model.network.state_dict())
    network.most = most
    return Model(network.eval(), model.config)


def our_threads():
    return [t.name for t in threading.enumerate() if t.name.startswith("unetpp")]


def counting(pixels, chunks, reads, fail_at=None):
    """A lazy image that notes what is read, and may fail."""

    def read(block_info=None):
        at = tuple(block_info[None]["chunk-location"])
        reads.append(at)
        if at == fail_at:
            raise ImageError("the disk with this chunk is gone")
        where = block_info[None]["array-location"]
        return pixels[tuple(slice(*span) for span in where)]

    chunks = da.core.normalize_chunks(chunks, pixels.shape)
    return da.map_blocks(read, chunks=chunks, dtype=pixels.dtype, meta=pixels[:0, :0])


def test_events_tell_what_happens(lively_model, noise, finish):
    pixels = noise(2, 150, 131)
    run = predict_image(as_image(pixels, "TYX"), lively_model, CPU, "an id")
    first = next(run)
    assert isinstance(first, RunStarted)
    assert (first.n_tiles, first.core, first.level) == (18, (64, 64), 3)
    assert first.device == "cpu"
    heads = first.prediction.heads  # made before the first tile is predicted
    assert heads.shape == (3, 3, 2, 150, 131)
    assert not heads.compute().any()
    events, prediction = finish(run)
    assert prediction is first.prediction
    assert {event.run_id for event in events} == {"an id"}
    assert all(isinstance(event, TileDone) for event in events)
    assert [event.n_done for event in events] == list(range(1, 19))
    assert {event.n_tiles for event in events} == {18}
    seconds = [event.seconds for event in events]
    assert seconds == sorted(seconds)
    covered = np.zeros((2, 150, 131), int)
    for event in events:
        covered[tuple(slice(*span) for span in event.box)] += 1
    assert (covered == 1).all()


def test_a_tile_is_there_when_it_is_told_of(lively_model, noise):
    run = predict_image(as_image(noise(150, 131), "YX"), lively_model, CPU, "run")
    heads = next(run).prediction.heads
    for event in run:
        part = heads[(..., *(slice(*span) for span in event.box))]
        assert part.compute().min() > 0


def test_no_thread_is_left(lively_model, noise, finish):
    run = predict_image(as_image(noise(150, 131), "YX"), lively_model, CPU, "run")
    next(run)
    next(run)
    assert our_threads()
    finish(run)
    assert our_threads() == []


def test_closing_stops_within_a_few_tiles(lively_model, noise):
    reads = []
    pixels = noise(64, 64 * 200)
    lazy = counting(pixels, (64, 64), reads)
    run = predict_image(as_image(lazy, "YX"), lively_model, CPU, "run")
    next(run)
    reads.clear()  # the intensities were read before
    while next(run).n_done < 5:
        pass
    start = time.monotonic()
    run.close()
    assert time.monotonic() - start < 2
    assert our_threads() == []
    # Two tiles more on their way to the device and two behind it, each with halo.
    assert max(column for _, column in reads) <= 5 + 4 + 1
    n_read = len(reads)
    time.sleep(0.2)
    assert len(reads) == n_read


def test_reading_stays_a_few_tiles_ahead(lively_model, noise):
    reads = []
    lazy = counting(noise(64, 64 * 60), (64, 64), reads)
    run = predict_image(as_image(lazy, "YX"), lively_model, CPU, "run")
    next(run)
    reads.clear()
    for event in run:
        time.sleep(0.005)  # whoever listens may be slow: readers wait for it
        assert max(column for _, column in reads) <= event.n_done + 6


def test_an_error_while_reading_comes_out(lively_model, noise, finish):
    reads = []
    pixels = noise(64, 64 * 30)
    lazy = counting(pixels, (64, 64), reads)
    plan_image = as_image(lazy, "YX")
    run = predict_image(plan_image, lively_model, CPU, "run")
    next(run)
    run.close()
    failing = counting(pixels, (64, 64), reads, fail_at=(0, 12))
    with pytest.raises(ImageError, match="this chunk is gone"):
        finish(predict_image(as_image(failing, "YX"), lively_model, CPU, "run"))
    assert our_threads() == []


def test_an_error_while_writing_comes_out(lively_model, noise, tmp_path):
    run = predict_image(
        as_image(noise(64, 640), "YX"), lively_model, CPU, "run", folder=tmp_path
    )
    next(run)  # nothing writes yet: a writer would make the folder anew
    for store in tmp_path.glob("*/probabilities.zarr"):
        store.rename(store.with_name("moved"))
        store.write_text("a file where a folder should be")
    with pytest.raises(OSError, match="cannot be written"):
        for _ in run:
            pass
    assert our_threads() == []


def test_nan_beyond_the_sample_is_refused_where_it_is_met(lively_model, noise, finish):
    pixels = noise(150, 131).astype(np.float32)
    pixels[100, 100] = np.nan
    image = as_image(pixels, "YX")
    with pytest.raises(ImageError, match="nonfinite"):
        finish(predict_image(image, lively_model, CPU, "run"))
    settings = CPU.model_copy(update={"nonfinite": "background"})
    _, found = finish(predict_image(image, lively_model, settings, "run"))
    assert np.isfinite(found.heads.compute()).all()


@pytest.mark.parametrize("most", [160 * 160, 120 * 150, 120 * 120])
def test_out_of_memory_halves_tiles_and_goes_on(lively_model, noise, finish, most):
    image = as_image(noise(203, 310), "YX")
    _, expected = finish(predict_image(image, lively_model, CPU, "run"))
    settings = CPU.model_copy(update={"tile": 128, "batch": 3})
    model = small_memory(lively_model, most)
    events, found = finish(predict_image(image, model, settings, "run"))
    low = [event for event in events if isinstance(event, MemoryLow)]
    done = [event for event in events if isinstance(event, TileDone)]
    assert low
    assert all(np.prod(event.largest) > most for event in low)
    assert len(low) <= 6  # what did not fit is not tried again
    assert len(done) == events[0].n_tiles == 6
    error = np.abs(found.heads.compute() - expected.heads.compute())
    assert error.max() <= 1e-5


def test_out_of_memory_halves_volumes(lively_model_3d, noise, finish):
    image = as_image(noise(24, 61, 45), "ZYX")
    settings = PredictionConfig(device="cpu", precision="float32")
    _, expected = finish(predict_image(image, lively_model_3d, settings, "run"))
    model = small_memory(lively_model_3d, 24 * 52 * 52)
    events, found = finish(predict_image(image, model, settings, "run"))
    assert any(isinstance(event, MemoryLow) for event in events)
    error = np.abs(found.heads.compute() - expected.heads.compute())
    assert error.max() <= 1e-5


def test_a_batch_that_does_not_fit_is_halved_first(lively_model, noise, finish):
    image = as_image(noise(64, 64 * 9), "YX")
    settings = CPU.model_copy(update={"batch": 4})
    _, expected = finish(predict_image(image, lively_model, CPU, "run"))
    model = small_memory(lively_model, 2 * 64 * 160)
    events, found = finish(predict_image(image, model, settings, "run"))
    assert not any(isinstance(event, MemoryLow) for event in events)
    error = np.abs(found.heads.compute() - expected.heads.compute())
    assert error.max() <= 1e-5


def test_a_device_too_small_for_any_tile(lively_model, noise, finish):
    model = small_memory(lively_model, 50 * 50)
    with pytest.raises(DeviceMemoryError, match="smallest") as caught:
        finish(predict_image(as_image(noise(200, 200), "YX"), model, CPU, "run"))
    assert "lower level" in str(caught.value)
    assert our_threads() == []


class Broken(UNetPlusPlus):
    def forward(self, x, level=None):
        raise RuntimeError("not a matter of memory")


def test_other_errors_of_the_network_are_not_taken_for_memory(
    lively_model, noise, finish
):
    model = Model(Broken(lively_model.network.config), lively_model.config)
    with pytest.raises(RuntimeError, match="not a matter of memory"):
        finish(predict_image(as_image(noise(80, 80), "YX"), model, CPU, "run"))


def test_folders_go_with_the_result(lively_model, noise, finish, tmp_path):
    run = predict_image(
        as_image(noise(100, 90), "YX"), lively_model, CPU, "run", folder=tmp_path
    )
    _, prediction = finish(run)
    _, result = finish(label(prediction, lively_model.config, "run", tmp_path))
    assert len(list(tmp_path.iterdir())) == 3  # mean, heads, labels
    mean, labels = prediction.mean, result.labels
    expected = mean.compute()
    del run, prediction, result
    gc.collect()
    assert len(list(tmp_path.iterdir())) == 2  # what still can be read
    assert np.array_equal(mean.compute(), expected)
    del mean, labels
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def test_a_cancelled_run_leaves_no_folder(lively_model, noise, tmp_path):
    run = predict_image(
        as_image(noise(100, 90), "YX"), lively_model, CPU, "run", folder=tmp_path
    )
    next(run)
    next(run)
    assert list(tmp_path.iterdir())
    run.close()
    del run
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def test_disk_and_memory_give_the_same_labels(lively_model, noise, finish, tmp_path):
    image = as_image(noise(190, 170), "YX")
    config = lively_model.config
    results = []
    for folder, heads in ((None, True), (tmp_path, True), (tmp_path, False)):
        run = predict_image(
            image, lively_model, CPU, "run", folder=folder, keep_heads=heads
        )
        _, prediction = finish(run)
        results.append(finish(label(prediction, config, "run", folder))[1])
    memory, disk, mean_only = results
    assert np.array_equal(memory.labels, disk.labels.compute())
    assert np.array_equal(memory.labels, mean_only.labels.compute())
    near = np.abs(memory.prediction.heads - disk.prediction.heads).max().compute()
    assert near <= 0.5 / 255 + 1e-6
    assert mean_only.prediction.head_names == ("mean",)
    unsure = [each.prediction.uncertainty.compute() for each in results]
    assert np.abs(unsure[1] - unsure[0]).max() < 0.03
    assert np.array_equal(unsure[2], unsure[1])


@pytest.mark.parametrize(
    ("region", "loop"),
    [
        (((0, 10), (5, 5)), (0,)),
        (((0, 101), (0, 10)), (0,)),
        (((-1, 10), (0, 10)), (0,)),
        (((0, 10),), (0,)),
        (None, (2,)),
        (None, (0, 0)),
    ],
)
def test_a_view_outside_the_image_is_refused(lively_model, noise, region, loop):
    image = as_image(noise(2, 100, 90), "TYX")
    with pytest.raises(SettingsError, match="not inside the image"):
        make_plan(image, lively_model, CPU, region=region, loop=loop)


def test_the_model_is_not_touched(lively_model, noise, finish):
    before = {k: v.clone() for k, v in lively_model.network.state_dict().items()}
    lively_model.network.train()
    try:
        finish(predict_image(as_image(noise(80, 80), "YX"), lively_model, CPU, "run"))
        assert lively_model.network.training
    finally:
        lively_model.network.eval()
    for name, value in lively_model.network.state_dict().items():
        assert torch.equal(value, before[name])


def test_uncertainty_is_the_entropy_of_the_foreground(lively_model, noise, finish):
    image = as_image(noise(80, 90), "YX")
    _, found = finish(predict_image(image, lively_model, CPU, "run"))
    heads = found.heads.compute()
    inside = np.float64(1 - heads.mean(axis=0)[0]).clip(1e-9, 1 - 1e-9)
    expected = -inside * np.log2(inside) - (1 - inside) * np.log2(1 - inside)
    assert np.allclose(found.uncertainty.compute(), expected, atol=1e-5)
    assert np.allclose(found.foreground, 1 - heads.mean(axis=0)[0], atol=1e-6)
    assert np.allclose(found.head_foreground, 1 - heads[:, 0], atol=1e-6)
