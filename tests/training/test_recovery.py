"""Numbers that are not finite, short memory, full disks, crashes: what a run does."""

import resource
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from napari_unetpp.config import ModelConfig, NetworkConfig, TrainingConfig
from napari_unetpp.data import PatchSampler
from napari_unetpp.errors import TrainingError
from napari_unetpp.training import (
    CheckpointSaved,
    EpochDone,
    Notice,
    StepDone,
    TrainingData,
    TrainingFinished,
    TrainingStarted,
    fit,
    read_checkpoint,
)
from napari_unetpp.training._recovery import check_batch, is_out_of_memory, smaller

CPU = torch.device("cpu")


def until(events, kind, n=1):
    """Exhaust events up to the n-th of a kind, and return all of them."""
    seen = []
    for event in events:
        seen.append(event)
        if sum(isinstance(e, kind) for e in seen) == n:
            break
    return seen


def notices(events):
    return [e.text for e in events if isinstance(e, Notice)]


def extreme(pair):
    """Pixels whose squares no float holds, so that batch norm sees infinity."""
    return replace(pair, image=pair.image * 1e25)


def with_one_bad_epoch(data, bad, settings):
    """Add an extreme image, and choose a seed that draws it in epoch 2 alone."""
    rare = replace(extreme(bad), weight=0.2)
    data = replace(data, pairs=[*data.pairs, rare])
    for seed in range(100):
        sampler = PatchSampler(
            data.pairs,
            (settings.patch, settings.patch),
            np.asarray,
            settings.augment,
            task="instances",
            rim=settings.rim,
            seed=seed,
        )
        hits = [k for k in range(17) if sampler.batch(k, settings.batch)[0].max() > 99]
        if hits and set(hits) <= {4, 5, 6, 7}:
            return data, settings.model_copy(update={"seed": seed})
    raise LookupError("no seed draws the image in the second epoch alone")


def test_training_steps_back_from_numbers_that_are_not_finite(
    new_model, data, settings, discs
):
    data, settings = with_one_bad_epoch(data, discs(5), settings)
    *events, last = fit(new_model(), data, settings, CPU)
    (said,) = notices(events)
    assert "not finite" in said
    assert "back to the end of epoch 1 (step 4)" in said
    assert "halves the learning rate, to 0.0025 at most (setback 1 of 5)" in said
    assert last.record["setbacks"] == 1
    assert last.record["epochs"] == 2
    weights = last.model.network.state_dict().values()
    assert all(value.isfinite().all() for value in weights)
    rates = [e.learning_rate for e in events if isinstance(e, StepDone)]
    assert max(rates[-4:]) <= 5e-3 / 2


def test_after_five_setbacks_it_is_an_error_and_the_best_is_kept(
    new_model, data, settings, tmp_path
):
    path = tmp_path / "c"
    begun = fit(new_model(), data, settings, CPU, checkpoint=path)
    until(begun, CheckpointSaved)
    begun.close()
    broken = TrainingData([extreme(p) for p in data.pairs], data.validation)
    events = fit(new_model(), broken, settings, CPU, checkpoint=path, resume=True)
    with pytest.raises(
        TrainingError, match=r"after 5 setbacks.*best model, of epoch 1"
    ):
        list(events)
    kept = read_checkpoint(path)
    assert kept.epoch == 1
    assert all(v.isfinite().all() for v in kept.state["best_weights"].values())
    mad = settings.model_copy(update={"learning_rate": 1e15})
    with pytest.raises(TrainingError, match="lower learning rate"):
        list(fit(new_model(), data, mad, CPU))


def test_settings_shrink_to_the_least_that_the_network_takes():
    network = NetworkConfig(widths=(2, 2, 2, 2, 2))
    tried = [TrainingConfig(epochs=1, batch=6, patch=200)]
    while (less := smaller(network, tried[-1])) is not None:
        check_batch(network, less)
        tried.append(less)
    sizes = [(c.batch, c.patch) for c in tried]
    assert sizes == [(6, 200), (3, 200), (1, 200), (1, 112), (1, 64), (1, 32)]
    assert all(b.batch * b.patch < a.batch * a.patch for a, b in pairwise(tried))


def test_errors_of_ours_are_no_shortage_of_memory():
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory."))
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 cannot be multiplied"))
    assert not is_out_of_memory(TrainingError("not enough memory for this"))


SHORT = """
import resource
import numpy as np, torch
torch.set_num_threads(1)
from napari_unetpp.config import INSTANCE_CLASSES, ModelConfig, NetworkConfig
from napari_unetpp.config import TrainingConfig
from napari_unetpp.data import TrainingPair
from napari_unetpp.nn import Model
from napari_unetpp.training import TrainingData, fit
rng = np.random.default_rng(0)
labels = np.zeros((96, 96), np.int64)
labels[20:60, 30:70] = 1
pair = TrainingPair(rng.random((1, 96, 96), np.float32), labels)
model = Model.new(ModelConfig(
    network=NetworkConfig(widths=(16, 16, 16), out_channels=3), task="instances",
    class_names=INSTANCE_CLASSES, class_values=(0, 1, 2)))
settings = TrainingConfig(
    epochs=1, steps_per_epoch=1, patch=96, batch=32, precision="float32", rim=0)
data = TrainingData([pair], [pair])
events = fit(model, data, settings, torch.device("cpu"))
next(events)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 300 * 2**20,) * 2)
for event in events:
    print(type(event).__name__, getattr(event, "text", ""))
print(event.record["settings"]["batch"])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on memory")
def test_short_memory_halves_the_batch_and_says_so():
    ran = subprocess.run(
        [sys.executable, "-c", SHORT],
        capture_output=True,
        text=True,
        check=True,
        # Freed tensors go back at once: what a heap in pieces holds would be chance.
        env={"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536"},
    )
    first, *_, last, batch = ran.stdout.splitlines()
    assert first.startswith("Notice not enough memory on cpu for 32 patches of 96")
    assert "16 of 96 from now on" in first
    assert last.startswith("TrainingFinished")
    assert int(batch) in (8, 16)


@contextmanager
def full_disk():
    """A limit on the size of files stands for the disk: the same kind of error."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**12, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_told_of_and_training_goes_on(
    new_model, data, settings, tmp_path
):
    path = tmp_path / "c"
    settings = settings.model_copy(update={"epochs": 4, "steps_per_epoch": 1})
    events = fit(new_model(), data, settings, CPU, checkpoint=path)
    until(events, CheckpointSaved)
    before = path.read_bytes()
    with full_disk():
        seen = until(events, EpochDone, 2)
        said = until(events, StepDone)
    told = notices([*seen, *said])
    assert len(told) == 1  # not again at every epoch
    assert told[0].startswith("checkpoint not written: no room to write")
    assert "the last checkpoint is kept" in told[0]
    assert path.read_bytes() == before
    kinds = [type(e) for e in events]
    assert kinds.count(CheckpointSaved) == 1
    assert kinds[-1] is TrainingFinished
    assert [p.name for p in tmp_path.iterdir()] == ["c"]


def test_a_killed_run_goes_on_and_ends_as_if_it_had_not_been(
    new_model, data, settings, tmp_path, finished, same_weights
):
    checkpoint = tmp_path / "c"
    whole = finished(fit(new_model(), data, settings, CPU))
    events = fit(new_model(), data, settings, CPU, checkpoint=checkpoint)
    until(events, CheckpointSaved)
    next(events)  # a step of the second epoch is lost, as in a crash
    events.close()
    rest = list(
        fit(new_model(), data, settings, CPU, checkpoint=checkpoint, resume=True)
    )
    assert rest[0].epoch == 1
    assert not notices(rest)
    assert same_weights(whole.model, rest[-1].model)
    for one, other in zip(
        whole.record["history"], rest[-1].record["history"], strict=True
    ):
        assert one == other
    assert [p.name for p in tmp_path.iterdir()] == ["c"]


def test_setbacks_too_are_repeated_by_a_resumed_run(
    new_model, data, settings, discs, tmp_path, finished, same_weights
):
    data, settings = with_one_bad_epoch(data, discs(5), settings)
    settings = settings.model_copy(update={"epochs": 3})
    path = tmp_path / "c"
    whole = finished(fit(new_model(), data, settings, CPU))
    events = fit(new_model(), data, settings, CPU, checkpoint=path)
    until(events, Notice)  # of the setback in epoch 2
    events.close()
    rest = finished(fit(new_model(), data, settings, CPU, checkpoint=path, resume=True))
    assert whole.record["setbacks"] == rest.record["setbacks"] == 1
    assert same_weights(whole.model, rest.model)


def test_labels_may_change_while_a_run_is_stopped(new_model, data, settings, tmp_path):
    path = tmp_path / "c"
    events = fit(
        new_model(), replace(data, sides={"a": True}), settings, CPU, checkpoint=path
    )
    until(events, CheckpointSaved)
    events.close()
    assert read_checkpoint(path).sides == {"a": True}
    repainted = [replace(p, labels=p.labels[::-1].copy()) for p in data.validation]
    rest = list(
        fit(
            new_model(),
            replace(data, validation=repainted),
            settings,
            CPU,
            checkpoint=path,
            resume=True,
        )
    )
    assert isinstance(rest[0], TrainingStarted)
    assert "labels have changed" in notices(rest)[0]
    assert rest[-1].record["epochs"] == 2


def test_a_checkpoint_of_another_run_is_refused(new_model, data, settings, tmp_path):
    path = tmp_path / "c"
    list(fit(new_model(), data, settings, CPU, checkpoint=path, identity="a.tif"))

    def resumed(model=None, settings=settings, identity="a.tif"):
        events = fit(
            model or new_model(),
            data,
            settings,
            CPU,
            checkpoint=path,
            resume=True,
            identity=identity,
        )
        return list(events)

    other_settings = settings.model_copy(update={"batch": 3})
    network = new_model().config.network.model_copy(update={"widths": (4, 8)})
    config: ModelConfig = new_model().config.model_copy(update={"network": network})
    for wrong in (
        {"settings": other_settings},
        {"identity": "b.tif"},
        {"model": replace(new_model(), config=config)},
    ):
        with pytest.raises(TrainingError, match="other images, classes or settings"):
            resumed(**wrong)
    assert isinstance(resumed()[-1], TrainingFinished)


@pytest.mark.parametrize("content", [b"not a checkpoint", b"hello world", b"", None])
def test_a_damaged_checkpoint_is_refused(new_model, data, settings, tmp_path, content):
    checkpoint = tmp_path / "c"
    if content is None:
        torch.save({"of": "another program"}, checkpoint)
    else:
        checkpoint.write_bytes(content)
    with pytest.raises(TrainingError, match="damaged"):
        list(fit(new_model(), data, settings, CPU, checkpoint=checkpoint, resume=True))
