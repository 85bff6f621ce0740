"""Training runs for real, on images made here, with a network of a few maps."""

import itertools
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_unetpp.config import (
    INSTANCE_CLASSES,
    AugmentConfig,
    ModelConfig,
    NetworkConfig,
    TrainingConfig,
)
from napari_unetpp.data import TrainingPair
from napari_unetpp.errors import SettingsError, TrainingError
from napari_unetpp.nn import Model
from napari_unetpp.training import (
    CheckpointSaved,
    EpochDone,
    StepDone,
    TrainingData,
    TrainingFinished,
    TrainingStarted,
    fit,
)

CPU = torch.device("cpu")
SETTINGS = TrainingConfig(
    epochs=2,
    steps_per_epoch=4,
    patch=32,
    batch=2,
    rim=2,
    learning_rate=5e-3,
    precision="float32",
    augment=AugmentConfig(blur=0),
)


def discs(seed, shape=(48, 48)):
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, np.int32)
    grid = np.indices(shape)
    for k in range(1, 5):
        centre = [rng.integers(6, n - 6) for n in shape]
        distance = sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True))
        labels[(distance < 30) & (labels == 0)] = k
    image = (labels > 0) + rng.normal(0, 0.1, shape)
    return TrainingPair(image[None].astype(np.float32), labels, f"discs {seed}")


def new_model(spatial_dims=2):
    network = NetworkConfig(spatial_dims=spatial_dims, widths=(4, 8, 8), out_channels=3)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Model.new(
            ModelConfig(
                network=network,
                task="instances",
                class_names=INSTANCE_CLASSES,
                class_values=(0, 1, 2),
            )
        )


DATA = TrainingData([discs(k) for k in range(3)], [discs(9)], "one image by hand")


def finished(events):
    *_, last = events
    assert isinstance(last, TrainingFinished)
    return last


def same_weights(a, b):
    a, b = a.network.state_dict(), b.network.state_dict()
    return all(torch.equal(a[key], b[key]) for key in a)


def test_events_come_in_order_and_name_one_run():
    events = list(fit(new_model(), DATA, SETTINGS, CPU))
    kinds = [type(e) for e in events]
    epoch = [StepDone] * 4 + [EpochDone]
    assert kinds == [TrainingStarted, *epoch, *epoch, TrainingFinished]
    assert len({e.run_id for e in events}) == 1
    steps = [e for e in events if isinstance(e, StepDone)]
    assert all(len(e.head_losses) == 2 for e in steps)
    epochs = [e for e in events if isinstance(e, EpochDone)]
    assert all(len(e.validation) == 2 for e in epochs)
    assert epochs[-1].progress == 1


def test_training_learns_to_find_discs():
    settings = SETTINGS.model_copy(update={"epochs": 6, "steps_per_epoch": 15})
    record = finished(fit(new_model(), DATA, settings, CPU)).record
    assert record["history"][-1]["loss"] < 0.6 * record["history"][0]["loss"]
    assert record["history"][-1]["accurate"] > 0.6


def test_the_same_seed_gives_the_same_weights_and_the_start_is_untouched():
    model = new_model()
    before = {k: v.clone() for k, v in model.network.state_dict().items()}
    first = finished(fit(model, DATA, SETTINGS, CPU)).model
    second = finished(fit(model, DATA, SETTINGS, CPU)).model
    assert same_weights(first, second)
    after = model.network.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
    other = SETTINGS.model_copy(update={"seed": 1})
    assert not same_weights(first, finished(fit(model, DATA, other, CPU)).model)


def test_a_stopped_run_goes_on_and_ends_as_if_it_had_not_been_stopped(tmp_path):
    checkpoint = tmp_path / "run.checkpoint"
    whole = finished(fit(new_model(), DATA, SETTINGS, CPU)).model
    events = fit(new_model(), DATA, SETTINGS, CPU, checkpoint=checkpoint)
    for event in events:
        if isinstance(event, CheckpointSaved):
            break
    next(events)  # a step of the second epoch is lost, as in a crash
    events.close()
    rest = list(
        fit(new_model(), DATA, SETTINGS, CPU, checkpoint=checkpoint, resume=True)
    )
    assert rest[0].epoch == 1
    assert same_weights(whole, rest[-1].model)
    assert [p.name for p in tmp_path.iterdir()] == ["run.checkpoint"]


FULL = """
import resource, sys
from pathlib import Path
import torch
from napari_unetpp.config import NetworkConfig, TrainingConfig
from napari_unetpp.nn import UNetPlusPlus
from napari_unetpp.training._state import TrainingState
path = Path(sys.argv[1]) / "run.checkpoint"
network = UNetPlusPlus(NetworkConfig(widths=(16, 32)))
state = TrainingState.new(network, TrainingConfig(epochs=1), torch.device("cpu"))
for limit in (2**12, resource.RLIM_INFINITY, 2**12):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        state.save(path, "mine")
    except OSError as error:
        print(type(error).__name__, error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
state.load(path, "mine")
"""


def test_a_full_disk_keeps_the_last_checkpoint_and_says_so(tmp_path):
    """A limit on the size of files stands for the disk: the same kind of error."""
    command = [sys.executable, "-c", FULL, str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    first, second = ran.stdout.splitlines()
    for line in (first, second):
        assert line.startswith("OutputError no room to write"), ran.stdout
    assert first.endswith("free space and start again")
    assert "the last checkpoint is kept" in second
    assert "--resume" in second
    assert [p.name for p in tmp_path.iterdir()] == ["run.checkpoint"]


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    checkpoint = tmp_path / "run.checkpoint"
    list(fit(new_model(), DATA, SETTINGS, CPU, checkpoint=checkpoint))
    other = SETTINGS.model_copy(update={"batch": 3})
    with pytest.raises(TrainingError, match="other images, labels or settings"):
        list(fit(new_model(), DATA, other, CPU, checkpoint=checkpoint, resume=True))
    repainted = [replace(pair, labels=pair.labels[::-1]) for pair in DATA.pairs]
    other_data = replace(DATA, pairs=repainted)
    with pytest.raises(TrainingError, match="other images, labels or settings"):
        list(
            fit(
                new_model(),
                other_data,
                SETTINGS,
                CPU,
                checkpoint=checkpoint,
                resume=True,
            )
        )


@pytest.mark.parametrize("content", [b"not a checkpoint", b"hello world", b"", None])
def test_a_damaged_checkpoint_is_refused(tmp_path, content):
    checkpoint = tmp_path / "run.checkpoint"
    if content is None:
        torch.save({"of": "another program"}, checkpoint)
    else:
        checkpoint.write_bytes(content)
    with pytest.raises(TrainingError, match="damaged"):
        list(fit(new_model(), DATA, SETTINGS, CPU, checkpoint=checkpoint, resume=True))


def test_training_stops_early_when_the_score_no_longer_rises():
    settings = SETTINGS.model_copy(
        update={
            "epochs": 50,
            "patience": 2,
            "learning_rate": 1e-9,
            "steps_per_epoch": 1,
        }
    )
    record = finished(fit(new_model(), DATA, settings, CPU)).record
    assert record["epochs"] < 50
    assert record["epochs"] == record["best_epoch"] + 2


def test_minutes_are_a_budget_too():
    settings = SETTINGS.model_copy(update={"epochs": None, "minutes": 0.02})
    assert finished(fit(new_model(), DATA, settings, CPU)).record["seconds"] < 10


def test_a_loss_that_is_not_finite_is_an_error_with_a_cure():
    broken = discs(0)
    broken.image[:] = np.nan
    with pytest.raises(TrainingError, match="lower the learning rate"):
        list(fit(new_model(), TrainingData([broken]), SETTINGS, CPU))


def test_a_batch_too_small_for_batch_norm_is_refused():
    settings = TrainingConfig(epochs=1, patch=16, batch=1)
    network = NetworkConfig(widths=(2, 2, 2, 2, 2), out_channels=3)
    model = Model.new(new_model().config.model_copy(update={"network": network}))
    with pytest.raises(SettingsError, match="larger patches"):
        next(fit(model, DATA, settings, CPU))


def test_without_validation_the_latest_weights_are_kept():
    data = TrainingData(DATA.pairs)
    events = list(fit(new_model(), data, SETTINGS, CPU))
    epochs = [e for e in events if isinstance(e, EpochDone)]
    assert all(e.best and e.validation == () for e in epochs)
    assert events[-1].record["best_epoch"] == 2


def test_three_dimensions_train_with_the_same_code():
    data = TrainingData([discs(0, (16, 24, 24))], [discs(1, (16, 24, 24))])
    settings = SETTINGS.model_copy(update={"patch": 16, "epochs": 1})
    assert finished(fit(new_model(3), data, settings, CPU)).record["steps"] == 4


def test_closing_the_generator_leaves_no_thread():
    import threading

    events = fit(new_model(), DATA, SETTINGS, CPU)
    list(itertools.islice(events, 3))
    events.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("unetpp")]
