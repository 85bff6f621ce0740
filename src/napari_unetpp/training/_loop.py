"""The loop: patches in, events out."""

from __future__ import annotations

import hashlib
import itertools
import math
import uuid
import zlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_unetpp.data import PatchSampler, TrainingPair, instance_target
from napari_unetpp.errors import SettingsError, TrainingError
from napari_unetpp.nn import Model, supervised_loss
from napari_unetpp.training._events import (
    CheckpointSaved,
    EpochDone,
    StepDone,
    TrainingFinished,
    TrainingStarted,
)
from napari_unetpp.training._schedule import learning_rate, progress
from napari_unetpp.training._state import TrainingState
from napari_unetpp.training._validation import Piece, cut_pieces, validate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from napari_unetpp._types import FloatArray, LabelArray
    from napari_unetpp.config import ModelConfig, NetworkConfig, TrainingConfig
    from napari_unetpp.training._events import TrainingEvent
    from napari_unetpp.training._validation import Scores

    Batch = tuple[FloatArray, npt.NDArray[np.int64]]

_AHEAD = 3
_CLIP = 5.0
"""Largest norm of the gradient of one update."""


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What is learnt from and what is held out, with the words that say how."""

    pairs: Sequence[TrainingPair]
    validation: Sequence[TrainingPair] = ()
    held_out: str = "nothing is held out"


def fit(
    model: Model,
    data: TrainingData,
    config: TrainingConfig,
    device: torch.device,
    *,
    checkpoint: Path | None = None,
    resume: bool = False,
) -> Iterator[TrainingEvent]:
    """Train a model and tell what happens.

    Parameters
    ----------
    model : Model
        Where training starts; it is not changed.
    data : TrainingData
        Labelled images, normalised, and the held-out ones.
    config : TrainingConfig
        Budget, patches, optimiser, augmentation, seed.
    device : torch.device
        Where the network is trained.
    checkpoint : Path, optional
        File that holds the state after every epoch.
    resume : bool
        Go on from `checkpoint` if it is there.

    Yields
    ------
    TrainingEvent
        The last one, `TrainingFinished`, carries the best model. Closing the
        generator stops after the step under way; the checkpoint stays.

    Raises
    ------
    TrainingError
        If the loss is not finite, or the checkpoint belongs to another run.
    """
    run_id = uuid.uuid4().hex
    run = _Run(model, data, config, device)
    if checkpoint is not None and resume and checkpoint.exists():
        run.state.load(checkpoint, run.fingerprint)
    yield TrainingStarted(
        run_id,
        len(data.pairs),
        len(data.validation),
        data.held_out,
        str(device),
        run.precision,
        model.n_parameters,
        run.state.epoch,
    )
    for batches in run.batches():
        while not run.finished():
            yield from run.epoch(run_id, batches)
            if checkpoint is not None:
                run.state.save(checkpoint, run.fingerprint)
                yield CheckpointSaved(run_id, checkpoint)
        best, record = run.result()
        yield TrainingFinished(run_id, best, record)


class _Run:
    """One run of `fit`: its parts and the steps over them."""

    def __init__(
        self,
        model: Model,
        data: TrainingData,
        config: TrainingConfig,
        device: torch.device,
    ) -> None:
        self.model, self.data, self.config, self.device = model, data, config, device
        self.precision = _precision(config, device, model.config.network.spatial_dims)
        self.state = TrainingState.new(model.network, config, device)
        self.target = target_maker(model.config, config)
        alignment = model.config.network.alignment()
        size = tuple(-(-config.patch // m) * m for m in alignment)
        _check_batch(model.config.network, size, config.batch)
        self.sampler = PatchSampler(
            data.pairs,
            size,
            self.target,
            config.augment,
            task=model.config.task,
            rim=config.rim,
            seed=config.seed,
        )
        self.pieces: list[Piece] = []
        if data.validation:
            self.pieces = cut_pieces(data.validation, self.target, alignment)

    @property
    def fingerprint(self) -> str:
        """What a checkpoint must agree on: model, settings, images and labels."""
        parts = [self.model.config.model_dump_json(exclude={"training"})]
        parts += [self.config.model_dump_json()]
        for pair in (*self.data.pairs, *self.data.validation):
            labels = zlib.crc32(np.ascontiguousarray(pair.labels).data)
            parts.append(f"{pair.name}{pair.image.shape}{pair.weight}{labels}")
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def finished(self) -> bool:
        """Whether the budget is spent or the score has stopped rising."""
        state, config = self.state, self.config
        if progress(config, state.step, state.tick()) >= 1:
            return True
        stale = state.epoch - state.best_epoch
        return bool(self.pieces and config.patience and stale >= config.patience)

    def batches(self) -> Iterator[Iterator[Batch]]:
        """Yield one iterator of batches that are made ahead in a thread."""
        pool = ThreadPoolExecutor(1, thread_name_prefix="unetpp-patches")
        make = partial(self.sampler.batch, n=self.config.batch)
        try:
            yield _made_ahead(pool, make, self.state.step)
        finally:
            pool.shutdown(cancel_futures=True)

    def epoch(self, run_id: str, batches: Iterator[Batch]) -> Iterator[TrainingEvent]:
        """Train for the steps of one epoch, then validate."""
        state, started = self.state, self.state.tick()
        losses = []
        for _ in range(self.config.steps_per_epoch):
            share = progress(self.config, state.step, state.tick())
            if share >= 1:
                break
            loss, heads, rate = self._step(next(batches), share)
            losses.append(loss)
            yield StepDone(
                run_id, state.step, state.epoch + 1, loss, heads, rate, share
            )
        state.epoch += 1
        mean_loss = float(np.mean(losses)) if losses else float("nan")
        scores, best = self._judge()
        state.history.append(
            {
                "epoch": state.epoch,
                "loss": mean_loss,
                "validation": list(scores.heads) if scores else [],
                "accurate": scores.accurate if scores else None,
            }
        )
        yield EpochDone(
            run_id,
            state.epoch,
            progress(self.config, state.step, state.tick()),
            state.seconds - started,
            mean_loss,
            scores.heads if scores else (),
            scores.accurate if scores else None,
            best,
        )

    def result(self) -> tuple[Model, dict[str, Any]]:
        """Return the best model and the record of its making."""
        network = Model.new(self.model.config).network
        if not self.state.best_weights:
            self._judge()
        network.load_state_dict(self.state.best_weights)
        network.eval()
        record = {
            "settings": self.config.model_dump(mode="json"),
            "n_images": len(self.data.pairs),
            "n_validation": len(self.data.validation),
            "held_out": self.data.held_out,
            "steps": self.state.step,
            "epochs": self.state.epoch,
            "best_epoch": self.state.best_epoch,
            "seconds": round(self.state.seconds, 1),
            "device": str(self.device),
            "precision": self.precision,
            "history": self.state.history,
        }
        config = self.model.config.model_copy(
            update={"training": {**self.model.config.training, **record}}
        )
        return Model(network, config), record

    def _step(
        self, batch: Batch, share: float
    ) -> tuple[float, tuple[float, ...], float]:
        """Update the weights once; return the loss, that of each head, and the rate."""
        state = self.state
        rate = learning_rate(self.config, share)
        for group in state.optimiser.param_groups:
            group["lr"] = rate
        images, target = (torch.from_numpy(each).to(self.device) for each in batch)
        state.network.train()
        with self._autocast():
            logits = state.network(images)
        loss, heads = supervised_loss(logits, target, self.config)
        if not torch.isfinite(loss):
            raise TrainingError(
                f"the loss is {loss.item()} at step {state.step}: lower the learning"
                f" rate (now {self.config.learning_rate}) and resume"
            )
        state.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(state.network.parameters(), _CLIP)
        state.optimiser.step()
        state.averaged.update_parameters(state.network)
        state.step += 1
        return loss.item(), tuple(h.item() for h in heads), rate

    def _judge(self) -> tuple[Scores | None, bool]:
        """Validate the averaged weights and keep them if they are the best."""
        if not self.pieces:
            # Nothing to choose by: the latest is the one to keep.
            return None, self.state.keep_if_better(float(self.state.step))
        scores = validate(
            self.state.smooth,
            self.pieces,
            self.model.config.task,
            self.device,
            self._autocast,
        )
        return scores, self.state.keep_if_better(scores.selection)

    def _autocast(self) -> AbstractContextManager[None]:
        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)


def target_maker(
    model: ModelConfig, config: TrainingConfig
) -> Callable[[LabelArray], npt.NDArray[np.int64]]:
    """Return what turns a patch of labels into class indices for this model."""
    if model.task == "instances":
        return partial(instance_target, width=config.boundary_width)
    return partial(np.asarray, dtype=np.int64)


def _made_ahead(
    pool: ThreadPoolExecutor, make: Callable[[int], Batch], first: int
) -> Iterator[Batch]:
    """Yield make(first), make(first + 1), ... with some under way in the pool."""
    waiting: deque[Future[Batch]] = deque()
    for index in itertools.count(first):
        while len(waiting) < _AHEAD:
            waiting.append(pool.submit(make, index + len(waiting)))
        yield waiting.popleft().result()


def _check_batch(network: NetworkConfig, size: tuple[int, ...], batch: int) -> None:
    """Refuse a batch of which batch norm would see one pixel at the deepest level."""
    deepest = [n // m for n, m in zip(size, network.alignment(), strict=True)]
    if network.norm == "batch" and batch * math.prod(deepest) < 2:
        raise SettingsError(
            f"batch={batch} of patches of {size} leaves one pixel at level"
            f" {network.depth}, and batch norm needs two; take larger patches or more"
        )


def _precision(config: TrainingConfig, device: torch.device, spatial_dims: int) -> str:
    """Return the precision of the forward pass: bfloat16 where it is hardware.

    Not in 3-D on a CPU: there bfloat16 convolutions of maps that are one or two pixels
    deep read memory that nobody has written (torch 2.13), so that the gradients of deep
    levels differ from run to run and are NaN now and then.
    """
    if config.precision != "auto":
        return config.precision
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    has_bf16 = getattr(torch.cpu, "_is_avx512_bf16_supported", bool)
    trusted = device.type == "cpu" and spatial_dims == 2
    return "bfloat16" if trusted and has_bf16() else "float32"
