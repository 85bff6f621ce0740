"""One run of the paper's table: train a network, test it, write a line.

All networks go through `napari_unetpp.training.fit`, with the same patches in the same
order: those depend on the seed alone. Weights are the running mean, and the epoch is
picked by the validation images; the test images are read after that.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from _paper_networks import build
from napari_unetpp.config import TrainingConfig
from napari_unetpp.nn import Model, probabilities
from napari_unetpp.nn._metrics import (
    ImageScore,
    class_iou,
    confusion_matrix,
    summarise,
)
from napari_unetpp.training import EpochDone, TrainingStarted, fit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from _paper_sets import Recipe, Region, Split
    from napari_unetpp.nn._unetpp import Network

_EPOCHS = 5
"""Validations of a run; the weights are those of one of these epochs."""


@dataclass(frozen=True, slots=True)
class Request:
    """What decides the result of a run, but for the images.

    Attributes
    ----------
    set_name, model : str
        Of `_paper_sets.SETS` and `_paper_networks.titles`.
    seed : int
        Of weights and patches.
    split : str
        Digest of the split.
    widths : tuple of int
        Of the UNet++ that is compared with.
    steps, patch, batch : int
        Updates, edge of a patch in pixels, patches an update.
    validated, edge : int
        Validation regions, and their longest edge in pixels.
    tests : int, optional
        Test regions at most; ``None`` is all.
    """

    set_name: str
    model: str
    seed: int
    split: str
    widths: tuple[int, ...]
    steps: int
    patch: int
    batch: int
    validated: int
    edge: int
    tests: int | None

    def settings(self) -> TrainingConfig:
        """Return the training: the defaults of the project but for what is named."""
        return TrainingConfig(
            epochs=_EPOCHS,
            steps_per_epoch=max(1, self.steps // _EPOCHS),
            patch=self.patch,
            batch=self.batch,
            patience=None,
            rim=8,
            seed=self.seed,
            calibrate=False,
        )


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained network, and what it took."""

    network: Network
    n_parameters: int
    best_epoch: int
    validation: list[float]
    """Mean IoU on the validation images after each epoch."""
    cpu_seconds: float
    wall_seconds: float
    precision: str


class Results:
    """The lines of the runs that are done, in a file that only grows.

    Parameters
    ----------
    path : Path
        One JSON object a line. A line that was cut off by a crash is skipped.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.rows = list(self._read()) if path.exists() else []

    def find(self, request: Request) -> dict[str, Any] | None:
        """Return the line of this very run, ``None`` if it is not done."""
        wanted = json.loads(json.dumps(asdict(request)))
        return next((row for row in self.rows if row["request"] == wanted), None)

    def add(self, row: dict[str, Any]) -> None:
        """Write a finished run."""
        self.rows.append(json.loads(json.dumps(row)))
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a+") as file:
            if file.tell():
                self._end_line(file)
            file.write(json.dumps(row) + "\n")

    def _end_line(self, file: Any) -> None:
        """Begin a new line where a crash has left half of one."""
        with self._path.open("rb") as content:
            content.seek(-1, 2)
            if content.read() != b"\n":
                file.write("\n")

    def _read(self) -> Iterator[dict[str, Any]]:
        for line in self._path.read_text().splitlines():
            try:
                row = json.loads(line)
            except json.JSONDecodeError:
                continue
            yield row


def run(
    request: Request, recipe: Recipe, split: Split, device: torch.device, files: Path
) -> dict[str, Any]:
    """Train and test one network; return its line.

    Parameters
    ----------
    files : Path
        Folder for what is too large for a line: the weights, and the confusion of
        every test image.
    """
    trained = train(request, recipe, split, device)
    tested = list(split.sides["test"])[: request.tests]
    began = time.process_time()
    tables = test(trained.network, tested, recipe.n_classes, device)
    answers = names_of_answers(tables.shape[1])
    files.mkdir(parents=True, exist_ok=True)
    stem = f"{request.set_name}-{request.model}-{request.seed}"
    torch.save(trained.network.state_dict(), files / f"{stem}.pt")
    names = [region.pair.name for region in tested]
    np.savez_compressed(files / f"{stem}.npz", tables=tables, names=names)
    return {
        "request": asdict(request),
        "answers": answers,
        "n_parameters": trained.n_parameters,
        "n_train": len(split.sides["train"]),
        "n_test": len(tested),
        "best_epoch": trained.best_epoch,
        "validation": trained.validation,
        "precision": trained.precision,
        "device": str(device),
        "train_cpu_seconds": round(trained.cpu_seconds, 2),
        "train_wall_seconds": round(trained.wall_seconds, 2),
        "test_cpu_seconds": round(time.process_time() - began, 2),
        "torch": torch.__version__,
        "scores": scores_by_kind(tables, tested, answers),
    }


def train(
    request: Request, recipe: Recipe, split: Split, device: torch.device
) -> Trained:
    """Train a network and return it with the weights that validation picked."""
    config = recipe.model(request.widths)
    built = build(request.model, config.network, request.seed)
    config = config.model_copy(update={"network": built.network.config})
    data = split.training_data(request.validated, request.edge)
    weights: dict[str, torch.Tensor] = {}
    validation: list[float] = []
    live, epoch, precision = built.network, 0, ""
    clocks = time.process_time(), time.monotonic()
    model = Model(built.network, config)
    for event in fit(model, data, request.settings(), device):
        if isinstance(event, TrainingStarted):
            live, precision = event.live.network, event.precision
        elif isinstance(event, EpochDone):
            validation.append(round(event.accurate or 0.0, 4))
            if event.best:
                epoch, weights = event.epoch, _copy(live)
            if event.progress >= 1:
                break  # what `fit` would build now is a network of this project
    built.network.load_state_dict(weights)
    return Trained(
        built.network.eval(),
        built.n_parameters,
        epoch,
        validation,
        time.process_time() - clocks[0],
        time.monotonic() - clocks[1],
        precision,
    )


def _copy(network: Network) -> dict[str, torch.Tensor]:
    state = network.state_dict()
    return {key: value.detach().cpu().clone() for key, value in state.items()}


def test(
    network: Network,
    regions: Sequence[Region],
    n_classes: int,
    device: torch.device,
) -> npt.NDArray[np.int64]:
    """Return the confusion of every answer on every region, whole and in float32.

    The shape is (regions, answers, K, K); answers are the heads, and behind them their
    mean if there are several.
    """
    layout = torch.channels_last if network.config.spatial_dims == 2 else None
    network = network.to(device)
    if layout is not None:
        network = network.to(memory_format=layout)
    tables = []
    for region in regions:
        image, truth = region.pair.image, region.pair.labels
        heads = predict(network, image, device)
        if len(heads) > 1:
            heads.append(np.mean(heads, axis=0))
        found = [_decide(each) for each in heads]
        tables.append([confusion_matrix(truth, each, n_classes) for each in found])
    return np.array(tables)


def predict(
    network: Network, image: npt.NDArray[np.float32], device: torch.device
) -> list[npt.NDArray[np.float32]]:
    """Return the probabilities (K, *S) of all heads for a whole image (C, *S)."""
    size = image.shape[1:]
    missing = [
        (0, -n % m) for n, m in zip(size, network.config.alignment(), strict=True)
    ]
    padded = np.pad(image, [(0, 0), *missing], mode="edge")
    with torch.inference_mode():
        logits = network(torch.from_numpy(padded)[None].to(device))
        heads = [probabilities(each.float())[0].cpu().numpy() for each in logits]
    return [head[:, *(slice(n) for n in size)] for head in heads]


def _decide(probability: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Return the class (*S) from probabilities (K, *S)."""
    if len(probability) == 1:
        return (probability[0] > 0.5).astype(np.int64)
    return probability.argmax(0)


def names_of_answers(n: int) -> list[str]:
    """Return what the answers of `test` are called, the one to go by last."""
    heads = [f"head {j}" for j in range(1, n)]
    return [*heads, "mean"] if n > 1 else ["head"]


def scores_by_kind(
    tables: npt.NDArray[np.int64], regions: Sequence[Region], answers: Sequence[str]
) -> dict[str, dict[str, dict[str, float]]]:
    """Return all measures by kind of image ("all" first) and answer."""
    kinds = sorted({region.kind for region in regions if region.kind})
    chosen = {"all": np.ones(len(regions), bool)}
    for kind in kinds:
        chosen[kind] = np.array([region.kind == kind for region in regions])
    return {
        kind: {answer: measures(tables[which, k]) for k, answer in enumerate(answers)}
        for kind, which in chosen.items()
    }


def measures(tables: npt.NDArray[np.int64]) -> dict[str, float]:
    """Return the measures of images from their confusion (images, K, K).

    Those of `napari_unetpp.nn._metrics.summarise`, and the IoU of each class, pooled.
    """
    summary = summarise([ImageScore(table) for table in tables])
    each = class_iou(tables.sum(axis=0))
    classes = {f"pooled_iou_{k}": float(value) for k, value in enumerate(each)}
    return {key: round(value, 6) for key, value in (summary | classes).items()}
