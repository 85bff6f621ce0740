"""Pause, stop and new labels, said from outside while a run goes on."""

import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_unetpp.config import ModelConfig, NetworkConfig
from napari_unetpp.data import TrainingPair
from napari_unetpp.errors import LabelsError, TrainingError
from napari_unetpp.nn import Model
from napari_unetpp.training import (
    EpochDone,
    LabelsTaken,
    Notice,
    Paused,
    StepDone,
    TrainingControl,
    TrainingData,
    TrainingFinished,
    TrainingStarted,
    fit,
)

CPU = torch.device("cpu")


def until(events, kind, n=1):
    """Exhaust events up to the n-th of a kind, and return all of them."""
    seen = []
    for event in events:
        seen.append(event)
        if sum(isinstance(e, kind) for e in seen) == n:
            break
    return seen


def test_wishes_are_heard_in_any_thread():
    control = TrainingControl()
    control.pause()
    assert control.rest(0.01)
    threading.Timer(0.05, control.go_on).start()
    began = time.monotonic()
    assert not control.rest(10)
    assert time.monotonic() - began < 5
    assert not control.paused
    control.put_labels([np.zeros(3, int)])
    newest = [np.ones(3, int)]
    control.put_labels(newest)
    assert control.take_labels()[0] is newest[0]
    assert control.take_labels() is None


def test_stop_takes_effect_within_two_steps_and_keeps_the_best(
    new_model, data, settings
):
    control = TrainingControl()
    events = fit(new_model(), data, settings, CPU, control=control)
    best = until(events, EpochDone)[-1]
    until(events, StepDone)
    control.stop()
    rest = list(events)
    assert sum(isinstance(e, StepDone) for e in rest) <= 1
    assert isinstance(rest[-1], TrainingFinished)
    assert rest[-1].stopped
    assert rest[-1].record["stopped"]
    assert rest[-1].record["best_epoch"] == best.epoch == 1


def test_stop_in_the_first_epoch_keeps_the_latest_weights(
    new_model, data, settings, tmp_path, finished, same_weights
):
    control, path = TrainingControl(), tmp_path / "c"
    events = fit(new_model(), data, settings, CPU, control=control, checkpoint=path)
    *_, live, _, _ = (None, *until(events, StepDone, 2))
    control.stop()
    last = finished(events)
    assert "first epoch" in last.record["kept"]
    assert last.record["steps"] == 2
    assert same_weights(last.model, live.live)
    # What was learnt is in the checkpoint too, in the middle of an epoch.
    whole = finished(fit(new_model(), data, settings, CPU)).model
    resumed = fit(new_model(), data, settings, CPU, checkpoint=path, resume=True)
    assert same_weights(finished(resumed).model, whole)


def test_stop_before_the_first_step_makes_no_model(new_model, data, settings, tmp_path):
    """Untrained weights are no model."""
    control, path = TrainingControl(), tmp_path / "c"
    control.stop()
    events = fit(new_model(), data, settings, CPU, control=control, checkpoint=path)
    with pytest.raises(TrainingError, match="before its first step"):
        list(events)
    assert not path.exists()


def test_the_shortest_budget_has_a_step(new_model, data, settings):
    settings = settings.model_copy(update={"minutes": 1e-9})
    *_, last = fit(new_model(), data, settings, CPU)
    assert last.record["steps"] == 1
    assert not last.stopped


def test_a_pause_changes_nothing_and_is_not_in_the_budget(
    new_model, data, settings, finished, same_weights
):
    whole = finished(fit(new_model(), data, settings, CPU)).model
    control, began = TrainingControl(), time.monotonic()
    events = fit(new_model(), data, settings, CPU, control=control)
    until(events, StepDone, 2)
    control.pause()
    pauses = until(events, Paused, 4)
    assert all(isinstance(e, Paused) for e in pauses)
    time.sleep(0.5)
    control.go_on()
    rest = list(events)
    assert same_weights(rest[-1].model, whole)
    *_, last = (e for e in rest if isinstance(e, EpochDone))
    assert last.seconds_total < time.monotonic() - began - 1  # 3 rests and the sleep


def test_a_paused_run_can_be_stopped_and_closed(new_model, data, settings):
    for way in ("stop", "close"):
        control = TrainingControl()
        events = fit(new_model(), data, settings, CPU, control=control)
        until(events, StepDone, 1)
        control.pause()
        until(events, Paused, 1)
        if way == "stop":
            control.stop()
            assert isinstance(list(events)[-1], TrainingFinished)
        else:
            events.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("unetpp")]


def painted(pair, labels):
    return replace(pair, labels=labels.astype(np.int64))


def test_new_labels_enter_at_the_next_epoch(new_model, data, settings):
    """The best so far is judged anew: its old score was on other pixels."""
    settings = settings.model_copy(update={"epochs": 3})
    control = TrainingControl()
    held = [painted(p, p.labels[::-1, ::-1]) for p in data.validation]

    def relabel(labels):
        pairs = [painted(p, new) for p, new in zip(data.pairs, labels, strict=True)]
        return TrainingData(pairs, held, "others")

    events = fit(new_model(), data, settings, CPU, control=control, relabel=relabel)
    until(events, StepDone, 2)
    control.put_labels([np.zeros_like(p.labels) + (p.labels > 0) for p in data.pairs])
    seen = until(events, LabelsTaken)
    assert [type(e) for e in seen[-2:]] == [EpochDone, LabelsTaken]
    assert seen[-1].epoch == 2
    assert seen[-1].n_labelled == 4 * 48 * 48
    *_, last = events
    assert last.record["held_out"] == "others"


def test_labels_that_cannot_be_used_are_not_lost_and_no_error(
    new_model, data, settings
):
    control = TrainingControl()

    def relabel(labels):
        raise LabelsError("no labelled pixel in any image: label some first")

    events = fit(new_model(), data, settings, CPU, control=control, relabel=relabel)
    until(events, StepDone)
    control.put_labels([])
    rest = list(events)
    notices = [e.text for e in rest if isinstance(e, Notice)]
    assert len(notices) == 1
    assert "no labelled pixel" in notices[0]
    assert "goes on with the last" in notices[0]
    assert rest[-1].record["epochs"] == 2


def classes(k, names):
    network = NetworkConfig(widths=(4, 8, 8), out_channels=k)
    return ModelConfig(
        network=network, task="classes", class_names=names, class_values=(3, 7, 5)[:k]
    )


def test_a_new_class_grows_the_heads_and_keeps_the_rest(settings, tmp_path, finished):
    """Its rows are added; a resumed run knows it too."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, (48, 48))
    pair = TrainingPair(rng.random((1, 48, 48), np.float32), labels)
    more = painted(pair, np.where(rng.random((48, 48)) < 0.2, 2, labels))
    small, large = classes(2, ("a", "b")), classes(3, ("a", "b", "new"))
    settings = settings.model_copy(update={"epochs": 3})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        start = Model.new(small)
    control, path = TrainingControl(), tmp_path / "c"
    events = fit(
        start,
        TrainingData([pair], [pair]),
        settings,
        CPU,
        control=control,
        relabel=lambda _: TrainingData([more], [more], grown=large),
        checkpoint=path,
    )
    seen = until(events, EpochDone)
    before = seen[0].live.network.state_dict()
    before = {name: value.clone() for name, value in before.items()}
    control.put_labels([more.labels])
    again = until(events, TrainingStarted)[-1]
    assert again.epoch == 1
    assert again.live.config.class_names == ("a", "b", "new")
    for name, value in again.live.network.state_dict().items():
        assert torch.equal(
            value[: len(before[name])] if value.ndim else value, before[name]
        )
    seen = until(events, StepDone, 6)
    assert any("new" in e.text for e in seen if isinstance(e, Notice))
    events.close()
    start = replace(again.live, network=Model.new(large).network)
    rest = fit(
        start, TrainingData([more], [more]), settings, CPU, checkpoint=path, resume=True
    )
    model = finished(rest).model
    assert model.config.class_values == (3, 7, 5)
    assert model.network.heads["1"].weight.shape[0] == 3
