"""One run of `fit`: its epochs, and what it does when something goes wrong."""

from __future__ import annotations

import copy
import uuid
from typing import TYPE_CHECKING

import numpy as np

from napari_unetpp.errors import InputError, TrainingError
from napari_unetpp.nn import Model
from napari_unetpp.training._diameter import with_diameter
from napari_unetpp.training._events import (
    EpochDone,
    LabelsTaken,
    Notice,
    Paused,
    StepDone,
    TrainingStarted,
)
from napari_unetpp.training._finish import finished_model, finishing, uncalibrated
from napari_unetpp.training._growth import grow
from napari_unetpp.training._material import Material
from napari_unetpp.training._precision import choose_precision
from napari_unetpp.training._record import BEST, CUT_SHORT, LATEST, record_of
from napari_unetpp.training._recovery import (
    MAX_SETBACKS,
    NotFiniteError,
    check_batch,
    check_finite,
    free_memory,
    given_up,
    is_out_of_memory,
)
from napari_unetpp.training._saver import Saver
from napari_unetpp.training._schedule import learning_rate, progress
from napari_unetpp.training._state import new_state
from napari_unetpp.training._update import update

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
    from pathlib import Path

    import torch
    from pydantic import JsonValue

    from napari_unetpp._types import LabelArray
    from napari_unetpp.config import TrainingConfig
    from napari_unetpp.nn import Network
    from napari_unetpp.training._control import TrainingControl
    from napari_unetpp.training._events import TrainingEvent
    from napari_unetpp.training._loop import TrainingData
    from napari_unetpp.training._thresholds import ObjectFinder
    from napari_unetpp.training._validation import Scores

    Events = Iterator[TrainingEvent]

_REST = 0.2
"""Seconds between two events of a run that is paused."""


class Run:
    """A run of `fit`; call `begin`, `epochs`, `finish` and `close`, in this order.

    Parameters are those of `fit`.
    """

    def __init__(
        self,
        model: Model,
        data: TrainingData,
        config: TrainingConfig,
        device: torch.device,
        *,
        checkpoint: Path | None,
        control: TrainingControl,
        relabel: Callable[[Sequence[LabelArray]], TrainingData] | None,
        identity: str,
        recipe: Mapping[str, JsonValue] | None,
        find_objects: ObjectFinder | None,
    ) -> None:
        check_batch(model.config.network, config)
        model = uncalibrated(model)
        self._id = uuid.uuid4().hex
        self._config, self._device = model.config, device
        self._control, self._relabel = control, relabel
        self._find_objects = find_objects
        self._saver = Saver(checkpoint, model.config, config, identity, recipe)
        self._precision = choose_precision(
            config, device, model.config.network.spatial_dims
        )
        self._state = new_state(model, config, device)
        self._material = Material(model.config, config, device, self._precision)
        self._material.use(data, first=0)
        self._good = self._state.snapshot()
        self._told: set[str] = set()

    def begin(self, *, resume: bool) -> Events:
        """Go on from the checkpoint where that is wanted, and tell what is trained."""
        saved = self._saver.load(self._config, self._state) if resume else None
        if saved is not None:
            self._material.settings = saved.settings
            self._material.use(self._material.data, self._state.drawn)
            self._good = self._state.snapshot()
        new_classes = self._grow()
        yield self._started()
        yield from self._notices(new_classes, *self._material.data.notices)
        if saved is not None and saved.labels != self._material.labels:
            yield from self._notices(
                "the labels have changed since the run was stopped: it goes on with the"
                " new ones, and the best model so far is validated anew"
            )
            self._state.fresh_epoch = self._state.epoch
            yield from self._judge_best()

    def epochs(self) -> Events:
        """Train until the budget is spent, the score stops rising or `stop` is said."""
        while not self._finished():
            trouble = None
            try:
                yield from self._epoch()
            except NotFiniteError as error:
                yield from self._step_back(error)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                trouble = str(error)
            if trouble is not None:  # only here are the tensors of the failed step free
                free_memory(self._device)
                words = self._material.take_less(self._state.drawn, trouble)
                yield self._notice(words)

    def finish(self) -> Events:
        """Tell the best model.

        Raises
        ------
        TrainingError
            If it was stopped before anything was learnt.
        """
        state = self._state
        kept = BEST if self._material.judge.pieces else LATEST
        if not state.best_weights:
            self._leave_out_broken_steps()
            if state.step == 0:
                raise TrainingError(
                    "training was stopped before its first step, so there is no model"
                    " to keep; train again, and stop once there is a first prediction"
                )
            kept, self._saver.dirty = CUT_SHORT, True
            scores = yield from self._validated(state.smooth, whole=True)
            self._keep_if_best(scores)
        if self._saver.dirty:
            yield from self._save()
        record = record_of(state, self._material, kept) | {
            "stopped": self._control.stopping,
            "device": str(self._device),
            "precision": self._precision,
            "recipe": self._saver.recipe and dict(self._saver.recipe),
        }
        config = with_diameter(self._config, self._material.data)
        model = finished_model(config, state.best_weights, record)
        yield from finishing(
            self._id, model, record, self._material, self._device, self._find_objects
        )

    def close(self) -> None:
        """End the thread that makes batches and free the memory of the device."""
        self._material.close()
        del self._state
        free_memory(self._device)

    # --- an epoch ---

    def _finished(self) -> bool:
        state, settings = self._state, self._material.settings
        if self._control.stopping or progress(settings, state.step, state.tick()) >= 1:
            return True
        stale = state.epoch - state.fresh_epoch
        patience = settings.patience
        return bool(self._material.judge.pieces and patience and stale >= patience)

    def _epoch(self) -> Events:
        """Train to the end of an epoch, from wherever in it the state is; validate."""
        yield from self._take_labels()
        state, settings = self._state, self._material.settings
        end = (state.epoch + 1) * settings.steps_per_epoch
        while state.step < end:
            yield from self._rest()
            share = progress(settings, state.step, state.tick())
            if self._control.stopping or share >= 1:
                break
            yield self._step(share)
        if self._control.stopping or not state.losses:
            return
        for network in (state.network, state.smooth):
            check_finite(network, f"after epoch {state.epoch + 1}")
        scores = yield from self._validated(state.smooth)
        if scores is None and self._material.judge.pieces:
            return  # stop was said before all pieces were validated
        yield self._end_epoch(scores)
        yield from self._save()

    def _rest(self) -> Events:
        """Wait while the run is paused; this time is not in the budget."""
        while self._control.paused and not self._control.stopping:
            self._state.stand_still()
            yield Paused(self._id)
            self._control.rest(_REST)
        self._state.move_on()

    def _step(self, share: float) -> StepDone:
        state, settings = self._state, self._material.settings
        rate = learning_rate(settings, share) * state.rate_factor
        loss, heads = update(
            state,
            self._material.batch(),
            settings,
            self._device,
            rate=rate,
            precision=self._precision,
        )
        return StepDone(self._id, state.step, state.epoch + 1, loss, heads, rate, share)

    def _end_epoch(self, scores: Scores | None) -> EpochDone:
        state = self._state
        state.epoch += 1
        best = self._keep_if_best(scores)
        heads, accurate = (scores.heads, scores.accurate) if scores else ((), None)
        loss = float(np.mean(state.losses))
        state.history.append(
            {
                "epoch": state.epoch,
                "loss": loss,
                "validation": list(heads),
                "accurate": accurate,
                "n_labelled": self._material.n_labelled,
            }
        )
        seconds = state.tick() - state.epoch_began
        state.losses, state.epoch_began = [], state.seconds
        self._good, self._saver.dirty = state.snapshot(), True
        return EpochDone(
            self._id,
            state.epoch,
            progress(self._material.settings, state.step, state.seconds),
            seconds,
            loss,
            heads,
            accurate,
            best,
            state.seconds,
        )

    def _keep_if_best(self, scores: Scores | None) -> bool:
        if scores is not None:
            return self._state.keep_if_better(scores.selection, scores.error)
        self._state.keep()  # nothing to choose by: the latest
        return True

    def _save(self) -> Events:
        return self._saver.save(self._id, self._config, self._material, self._state)

    # --- validation ---

    def _validated(
        self, network: Network, *, whole: bool = False
    ) -> Generator[TrainingEvent, None, Scores | None]:
        """Return scores; ``None`` without held-out pixels, or if stop was said.

        `whole` says that stop does not cut it short.
        """
        control = self._control

        def not_wanted() -> bool:
            return control.stopping and not whole

        while True:
            try:
                judge = self._material.judge
                return (yield from judge.scored(network, self._id, not_wanted))
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
            yield self._notice(self._material.judge.halve())
            yield from self._judge_best()  # on what the next scores are of

    def _judge_best(self) -> Events:
        """Score the best weights anew, so that the next ones are compared with them."""
        state = self._state
        if not state.best_weights:
            return
        network = copy.deepcopy(state.smooth)
        network.load_state_dict(state.best_weights)
        scores = yield from self._validated(network)
        if not self._control.stopping:  # else nothing is compared with it any more
            state.best_score = scores.selection if scores else float("-inf")

    # --- new labels ---

    def _take_labels(self) -> Events:
        """Learn from the newest labels, if there are any that nobody has taken."""
        labels = self._control.take_labels() if self._relabel is not None else None
        if labels is None or self._relabel is None:
            return
        state, before = self._state, self._material.labels
        try:
            self._material.use(self._relabel(labels), state.drawn)
        except (InputError, MemoryError) as error:
            yield self._notice(
                f"the new labels are not learnt: {error}. Training goes on with the"
                " last ones"
            )
            return
        new_classes = self._grow()
        if new_classes:
            yield self._started()
        yield LabelsTaken(self._id, self._state.epoch + 1, self._material.n_labelled)
        yield from self._notices(new_classes, *self._material.data.notices)
        if self._material.labels != before:
            self._state.fresh_epoch = self._state.epoch
            yield from self._judge_best()

    def _grow(self) -> str:
        """Give the network the classes that labels have brought; return words."""
        wanted = self._material.data.grown
        if wanted is None or wanted.class_values == self._config.class_values:
            return ""
        new = wanted.class_names[len(self._config.class_values) :]
        settings = self._material.settings
        self._state = grow(self._state, wanted, settings, self._device)
        self._config = wanted
        self._good = self._state.snapshot()
        return (
            f"new classes are learnt from now on: {', '.join(new)}; what was learnt of"
            " the others is kept"
        )

    # --- trouble ---

    def _step_back(self, error: NotFiniteError) -> Events:
        """Go back to the last good epoch and learn more slowly from there.

        Raises
        ------
        TrainingError
            If that has not helped often enough.
        """
        state = self._state
        state.step_back(self._good)
        state.drawn += 1  # the batch it came to grief over is not drawn again
        self._material.restart(state.drawn)
        state.setbacks += 1
        if state.setbacks > MAX_SETBACKS:
            state.setbacks = 0  # whoever goes on from the checkpoint may try as often
            yield from self._save()
            rate, path = self._material.settings.learning_rate, self._saver.path
            best = state.best_epoch if state.best_weights else None
            raise TrainingError(given_up(error, rate, path, best)) from error
        state.rate_factor /= 2
        highest = self._material.settings.learning_rate * state.rate_factor
        yield self._notice(
            f"{error}: training goes back to the end of epoch {state.epoch} (step"
            f" {state.step}) and halves the learning rate, to {highest:.3g} at most"
            f" (setback {state.setbacks} of {MAX_SETBACKS})"
        )

    def _leave_out_broken_steps(self) -> None:
        """Go back to the last good epoch if the weights are not finite now."""
        try:
            check_finite(self._state.smooth, "when training was stopped")
        except NotFiniteError:
            self._state.step_back(self._good)

    # --- words ---

    def _started(self) -> TrainingStarted:
        data, live = self._material.data, Model(self._state.smooth, self._config)
        return TrainingStarted(
            self._id,
            len(data.pairs),
            len(data.validation),
            data.held_out,
            str(self._device),
            self._precision,
            live.n_parameters,
            live,
            self._state.epoch,
        )

    def _notice(self, text: str) -> Notice:
        return Notice(self._id, text)

    def _notices(self, *texts: str) -> Events:
        """Tell what has not been told yet."""
        for text in texts:
            if text and text not in self._told:
                self._told.add(text)
                yield self._notice(text)
