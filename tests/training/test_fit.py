"""Training runs for real, on images made here, with a network of a few maps."""

import itertools
import threading

import pytest
import torch

from napari_unetpp.config import NetworkConfig, TrainingConfig
from napari_unetpp.errors import SettingsError
from napari_unetpp.nn import Model
from napari_unetpp.training import (
    CheckpointSaved,
    EpochDone,
    StepDone,
    TrainingData,
    TrainingFinished,
    TrainingStarted,
    Validating,
    fit,
)

CPU = torch.device("cpu")


def test_events_come_in_order_and_name_one_run(new_model, data, settings):
    events = list(fit(new_model(), data, settings, CPU))
    kinds = [type(e) for e in events if not isinstance(e, Validating)]
    epoch = [StepDone] * 4 + [EpochDone]
    assert kinds == [TrainingStarted, *epoch, *epoch, TrainingFinished]
    assert len({e.run_id for e in events}) == 1
    steps = [e for e in events if isinstance(e, StepDone)]
    assert all(len(e.head_losses) == 2 for e in steps)
    epochs = [e for e in events if isinstance(e, EpochDone)]
    assert all(len(e.validation) == 2 for e in epochs)
    assert epochs[-1].progress == 1
    assert 0 < epochs[0].seconds_total < epochs[1].seconds_total
    assert not events[-1].stopped


def test_training_learns_to_find_discs(new_model, data, settings, finished):
    settings = settings.model_copy(update={"epochs": 6, "steps_per_epoch": 15})
    record = finished(fit(new_model(), data, settings, CPU)).record
    assert record["history"][-1]["loss"] < 0.6 * record["history"][0]["loss"]
    assert record["history"][-1]["accurate"] > 0.6


def test_the_same_seed_gives_the_same_weights_and_the_start_is_untouched(
    new_model, data, settings, finished, same_weights
):
    model = new_model()
    before = {k: v.clone() for k, v in model.network.state_dict().items()}
    first = finished(fit(model, data, settings, CPU)).model
    second = finished(fit(model, data, settings, CPU)).model
    assert same_weights(first, second)
    after = model.network.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
    other = settings.model_copy(update={"seed": 1})
    assert not same_weights(first, finished(fit(model, data, other, CPU)).model)


def test_the_live_network_learns_and_may_be_used_between_events(
    new_model, data, settings, finished, same_weights
):
    alone = finished(fit(new_model(), data, settings, CPU)).model
    seen, live = [], None
    torch.manual_seed(3)  # random numbers of others change nothing either
    for event in fit(new_model(), data, settings, CPU):
        torch.rand(7)
        if isinstance(event, TrainingStarted):
            assert live is None
            live = event.live
        elif isinstance(event, StepDone | EpochDone):
            assert not live.network.training
            with torch.inference_mode():
                seen.append(live.network(torch.ones(1, 1, 16, 16))[-1])
    assert same_weights(alone, event.model)
    assert all(not torch.equal(a, b) for a, b in itertools.pairwise(seen[:4]))


@pytest.mark.parametrize("patience", [2, 5])
def test_training_stops_early_when_the_score_no_longer_rises(
    new_model, data, settings, finished, patience
):
    settings = settings.model_copy(
        update={
            "epochs": 50,
            "patience": patience,
            "learning_rate": 1e-9,
            "steps_per_epoch": 1,
            "ema": 0.0,
        }
    )
    record = finished(fit(new_model(), data, settings, CPU)).record
    # Weights as good as the highest score are kept later; patience counts from that.
    highest = record["epochs"] - patience
    assert 1 <= highest <= record["best_epoch"] <= record["epochs"] < 50
    scores = [each["accurate"] for each in record["history"]]
    assert max(scores[highest - 1 :]) == pytest.approx(scores[highest - 1], abs=0.01)


def test_minutes_are_a_budget_too(new_model, data, settings, finished):
    settings = settings.model_copy(update={"epochs": None, "minutes": 0.02})
    assert finished(fit(new_model(), data, settings, CPU)).record["seconds"] < 10


def test_a_batch_too_small_for_batch_norm_is_refused(new_model, data):
    settings = TrainingConfig(epochs=1, patch=16, batch=1)
    network = NetworkConfig(widths=(2, 2, 2, 2, 2), out_channels=3)
    model = Model.new(new_model().config.model_copy(update={"network": network}))
    with pytest.raises(SettingsError, match="larger patches"):
        next(fit(model, data, settings, CPU))


def test_without_validation_the_latest_weights_are_kept(new_model, data, settings):
    *events, last = fit(new_model(), TrainingData(data.pairs), settings, CPU)
    epochs = [e for e in events if isinstance(e, EpochDone)]
    assert all(e.best and e.validation == () for e in epochs)
    assert last.record["best_epoch"] == 2
    assert "nothing was held out" in last.record["kept"]
    live = events[0].live.network.state_dict()
    kept = last.model.network.state_dict()
    assert all(torch.equal(live[key], kept[key]) for key in live)


def test_three_dimensions_train_with_the_same_code(
    new_model, discs, settings, finished
):
    data = TrainingData([discs(0, (16, 24, 24))], [discs(1, (16, 24, 24))])
    settings = settings.model_copy(update={"patch": 16, "epochs": 1})
    assert finished(fit(new_model(3), data, settings, CPU)).record["steps"] == 4


def test_closing_the_generator_leaves_no_thread(new_model, data, settings, tmp_path):
    events = fit(new_model(), data, settings, CPU, checkpoint=tmp_path / "c")
    next(e for e in events if isinstance(e, CheckpointSaved))
    next(events)
    events.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("unetpp")]
    assert [p.name for p in tmp_path.iterdir()] == ["c"]
