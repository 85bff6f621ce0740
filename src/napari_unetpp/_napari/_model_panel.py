"""What the Models panel runs in other threads: lists, previews, files in and out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unetpp._napari._background import behind_the_viewer
from napari_unetpp._napari._view import View

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    import numpy.typing as npt

    from napari_unetpp._napari._source import Source
    from napari_unetpp.config import ModelConfig
    from napari_unetpp.inference import Segmentation
    from napari_unetpp.io import ExportFormat, ModelEntry

    Picture = npt.NDArray[np.uint8]

_EDGE = {"Y": 384, "X": 384, "Z": 12}
"""Pixels of a preview along each axis, at most."""


@dataclass(frozen=True, slots=True)
class ModelShown:
    """A model of the list, with all that is shown of it.

    Attributes
    ----------
    entry : ModelEntry
        What it is, and where.
    finds : str
        What it finds, in a few words.
    facts : tuple of (str, str)
        What it takes and how it was made: names and values.
    scores : tuple of tuple of str
        A row for the mean and for each head: its name, IoU on what was held out,
        temperature and share in the mean. Empty if the model has no record.
    card : str
        Its card, Markdown; may be empty.
    """

    entry: ModelEntry
    finds: str
    facts: tuple[tuple[str, str], ...]
    scores: tuple[tuple[str, ...], ...]
    card: str

    @property
    def is_mine(self) -> bool:
        """Whether it can be renamed and deleted."""
        return self.entry.origin != "bundled"


@dataclass(frozen=True, slots=True)
class ModelsListed:
    """The models at hand."""

    models: tuple[ModelShown, ...]


@dataclass(frozen=True, slots=True)
class ModelMade:
    """A model file that was imported or got another name."""

    model: str
    text: str


@dataclass(frozen=True, slots=True)
class ModelExported:
    """A model that was written for other programs."""

    path: Path
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class ModelPreview:
    """What a model makes of a part of an image.

    Attributes
    ----------
    model : str
        Name or path.
    picture : ndarray of uint8, (Y, X, 3)
        The image with what was found.
    text : str
        What was found, and where.
    """

    model: str
    picture: Picture
    text: str


@dataclass(frozen=True, slots=True)
class PreviewRequest:
    """What a model is tried on.

    Attributes
    ----------
    source : Source
        The image.
    view : View
        What is looked at; its middle is used.
    model : str
        Name or path.
    device : str
        Where to compute.
    spare_cores : int
        Processor cores left to the viewer.
    """

    source: Source
    view: View
    model: str
    device: str
    spare_cores: int

    @property
    def part(self) -> View:
        """The middle of the view, small enough to be quick."""
        axes = "ZYX"[-len(self.view.region) :]
        region = []
        for letter, (start, stop) in zip(axes, self.view.region, strict=True):
            size = min(stop - start, _EDGE[letter])
            first = start + (stop - start - size) // 2
            region.append((first, first + size))
        return View(tuple(region), self.view.loop)


def list_source(folder: Path) -> Generator[ModelsListed, None, None]:
    """Find the models at hand and what is known of them."""
    from napari_unetpp.io import list_models, model_card

    yield ModelsListed(
        tuple(shown(entry, model_card(entry.path)) for entry in list_models(folder))
    )


def shown(entry: ModelEntry, card: str) -> ModelShown:
    """Return what is shown of a model."""
    if entry.config is None:
        return ModelShown(
            entry, "cannot be read", (("Problem", entry.problem),), (), ""
        )
    config = entry.config
    what = "objects" if config.task == "instances" else "classes"
    finds = f"{config.network.spatial_dims}-D {what}"
    return ModelShown(entry, finds, tuple(_facts(entry, config)), _scores(config), card)


def _facts(
    entry: ModelEntry, config: ModelConfig
) -> Generator[tuple[str, str], None, None]:
    """Yield names and values of what a user asks about a model."""
    network = config.network
    if config.description:
        yield "For", config.description
    if config.task == "classes":
        yield "Classes", ", ".join(config.class_names)
    taken = {"grey": "one grey channel", "rgb": "colour, or grey"}
    n = network.in_channels
    yield "Takes", taken.get(config.channels, f"{n} channel{'s' * (n > 1)}")
    if config.diameter is not None:
        yield "Learnt size", f"{config.diameter:.3g} px in diameter"
    if network.program is not None:
        kind = {"torchscript": "TorchScript", "onnx": "ONNX"}[network.program.kind]
        yield "Network", f"{kind} program of others, sees {network.program.halo[-1]} px"
    else:
        widths = ", ".join(map(str, network.widths))
        yield "Network", f"{network.n_heads} heads, widths {widths}"
    record = config.training
    for key, name in (("steps", "Steps"), ("imported_from", "From")):
        if record.get(key):
            yield name, str(record[key])
    yield "File", f"{entry.path}, {max(entry.n_bytes / 1e6, 0.1):.1f} MB"


def _scores(config: ModelConfig) -> tuple[tuple[str, ...], ...]:
    """Return a row for the mean and for each head, if the model has a record."""
    best, history = config.training.get("best_epoch"), config.training.get("history")
    epochs = [
        each
        for each in (history if isinstance(history, list) else [])
        if isinstance(each, dict) and each.get("epoch") == best
    ]
    if not epochs:
        return ()
    values = epochs[-1].get("validation")
    heads: list[Any] = values if isinstance(values, list) else []
    n = config.network.n_heads
    shares = config.head_weights[-1] if config.head_weights else (1 / n,) * n
    temperatures = config.temperatures or (1.0,) * n
    rows = [("mean", _number(epochs[-1].get("accurate")), "", "")]
    for j, (score, share, t) in enumerate(
        zip(heads, shares, temperatures, strict=False), start=1
    ):
        rows.append((f"head {j}", _number(score), f"{t:.2f}", f"{share:.0%}"))
    return tuple(rows)


def _number(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float | int) else "not measured"


def preview_model(
    request: PreviewRequest,
) -> Generator[ModelPreview | None, None, None]:
    """Segment the middle of what is looked at, and draw it.

    Raises
    ------
    UnetppError
        If the image, the model or the device does not fit.
    """
    from napari_unetpp import api
    from napari_unetpp.config import PredictionConfig
    from napari_unetpp.io._figure import labels_panel

    model, source, part = api.load_model(request.model), request.source, request.part
    with behind_the_viewer(request.spare_cores):
        events = api.segmenting(
            source,
            model,
            PredictionConfig(device=request.device),
            axes=source.axes,
            heads=False,
            region=part.region,
            loop=part.loop,
        )
        found = yield from _silently(events)
        image = _pixels(source, part)
    labels, config = _plane(np.asarray(found.labels), 2), model.config
    text = _found(labels, found.n_objects, config)
    if config.task == "classes":
        labels = labels * (labels != config.class_values[0])
    picture = labels_panel("", image, labels).pixels
    size = " x ".join(str(stop - start) for start, stop in part.region)
    yield ModelPreview(request.model, picture, f"{text} in {size} px of the view")


def _silently(
    events: Generator[Any, None, Segmentation],
) -> Generator[None, None, Segmentation]:
    """Go through events without telling them, so that a run can still be stopped."""
    while True:
        try:
            next(events)
        except StopIteration as end:
            result: Segmentation = end.value
            return result
        yield


def _found(labels: npt.NDArray[Any], n_objects: int | None, config: ModelConfig) -> str:
    """Return what was found, in words."""
    if n_objects is not None:
        return f"{n_objects} object{'s' * (n_objects != 1)}"
    shares = (float((labels == value).mean()) for value in config.class_values)
    pairs = zip(config.class_names, shares, strict=True)
    return ", ".join(f"{name} {share:.0%}" for name, share in pairs)


def _plane(array: npt.NDArray[Any], n: int) -> npt.NDArray[Any]:
    """Return the middle of an array along all axes but the last `n`."""
    while array.ndim > n:
        array = array[len(array) // 2]
    return array


def _pixels(source: Source, part: View) -> npt.NDArray[Any]:
    """Return the pixels (Y, X) or (Y, X, 3) of the middle plane of a part."""
    from napari_unetpp.arrays import canonical
    from napari_unetpp.io import as_image

    image = as_image(source, source.axes, None)
    dims = len(part.region)
    whole = canonical(image, dims, "as_is", source.n_channels)
    data = whole.data[(*part.loop, slice(None), *(slice(*at) for at in part.region))]
    pixels: npt.NDArray[Any] = np.asarray(data.compute(scheduler="synchronous"))
    if dims == 3:
        pixels = pixels[:, pixels.shape[1] // 2]
    if len(pixels) == 3:
        bright = pixels.astype(np.float32)
        top = float(np.percentile(bright, 99.8)) if pixels.dtype != np.uint8 else 255
        bright *= 255 / max(top, 1e-6)
        pixels = np.clip(np.moveaxis(bright, 0, -1), 0, 255)
    else:
        pixels = pixels.mean(axis=0)
    return pixels


def export_source(
    model: str, output: Path, form: ExportFormat
) -> Generator[ModelExported, None, None]:
    """Write a model for other programs, over what is there."""
    from napari_unetpp import api

    done = api.export_model(model, output, form, overwrite=True)
    text = f"Written: {done.path}"
    if done.difference is not None:
        text += f"; it answers as the model does (difference {done.difference:.1g})"
    yield ModelExported(done.path, text)


def import_source(source: Path, folder: Path) -> Generator[ModelMade, None, None]:
    """Take over a model into the folder of the user's models, under a free name."""
    from napari_unetpp import api

    folder.mkdir(parents=True, exist_ok=True)
    name = api.import_name(source)
    target = folder / f"{name}.safetensors"
    number = 2
    while target.exists():
        target = folder / f"{name} {number}.safetensors"
        number += 1
    path = api.import_model(source, target)
    yield ModelMade(str(path), f"Imported: {path}")


def rename_source(path: Path, name: str) -> Generator[ModelMade, None, None]:
    """Give a model another name."""
    from napari_unetpp.io import rename_model

    renamed = rename_model(path, name)
    yield ModelMade(str(renamed), f"Renamed: {renamed}")
