"""What ``info MODEL`` tells: what a model finds, and how it was made."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from napari_unetpp import api
from napari_unetpp._recipe import plain
from napari_unetpp.errors import SettingsError
from napari_unetpp.io import recipe_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_unetpp.config import IntensityConfig, ModelConfig
    from napari_unetpp.nn import Model

_TOLD = (
    "images",
    "n_images",  # of models made before there were regions
    "n_regions",
    "n_validation",
    "held_out",
    "base",
    "steps",
    "epochs",
    "best_epoch",
    "seconds",
    "device",
    "precision",
    "imported_from",
    "authors",
    "licence",
)
"""What is shown of the record of a training, in this order."""

_NO_CLIP = 1e6
"""Limits that are further apart change nothing."""


def told(name: str | None, *, recipe: bool, as_json: bool) -> str:
    """Return what is told of a model.

    Parameters
    ----------
    name : str or None
        A bundled model, or a model file.
    recipe : bool
        Only the recipe that made it: YAML that can be run from any folder.
    as_json : bool
        As JSON.

    Raises
    ------
    SettingsError
        If no model is named.
    RecipeError
        If the recipe is asked for, and the model has none.
    ModelFileError
        If there is no such model.
    """
    if name is None:
        raise SettingsError("--recipe needs a model: napari-unetpp info MODEL --recipe")
    if recipe:
        found = api.model_recipe(name)
        if as_json:
            return json.dumps(plain(found), indent=2)
        return recipe_text(found, note=f"The recipe that made {name}.").rstrip()
    model = api.load_model(name)
    values = _gather(model)
    return json.dumps(values, indent=2) if as_json else "\n".join(_lines(values, name))


def _gather(model: Model) -> dict[str, Any]:
    """Return what is told of a model, as plain values."""
    config, record = model.config, model.config.training
    best = record.get("best_epoch")
    history = record.get("history")
    scores = [
        each
        for each in (history if isinstance(history, list) else [])
        if isinstance(each, dict) and each.get("epoch") == best
    ]
    return {
        "name": config.name,
        "type": config.task,
        "spatial_dims": config.network.spatial_dims,
        "channels": config.channels,
        "in_channels": config.network.in_channels,
        "classes": _classes(config),
        "diameter": config.diameter,
        "temperatures": list(config.temperatures),
        "head_weights": [list(shares) for shares in config.head_weights],
        "intensity": _intensity(config.intensity),
        "program": config.network.program and config.network.program.kind,
        "heads": config.network.n_heads,
        "parameters": model.n_parameters,
        "description": config.description,
        "training": {key: record[key] for key in _TOLD if key in record},
        "validation": scores[-1] if scores else None,
        "has_recipe": bool(record.get("recipe")),
    }


def _classes(config: ModelConfig) -> list[dict[str, Any]]:
    colours = config.class_colours or (None,) * len(config.class_names)
    return [
        {"value": value, "name": name, "colour": colour}
        for value, name, colour in zip(
            config.class_values, config.class_names, colours, strict=True
        )
    ]


def _lines(values: dict[str, Any], name: str) -> Iterator[str]:
    """Yield what a person reads."""
    yield from _network_lines(values)
    yield "classes:"
    for each in values["classes"]:
        colour = f" {each['colour']}" if each["colour"] else ""
        yield f"    {each['value']}: {each['name']}{colour}"
    if values["training"]:
        yield "training:"
    for key, value in values["training"].items():
        yield f"    {key.replace('_', ' ')}: {_shown(value)}"
    best = values["validation"]
    if best and best.get("accurate") is not None:
        heads = " ".join(f"{iou:.3f}" for iou in best["validation"])
        yield f"    validation IoU: {best['accurate']:.3f} (heads {heads})"
    if values["has_recipe"]:
        yield f"recipe: napari-unetpp info {name} --recipe"
    else:
        yield "recipe: none in its header"


def _network_lines(values: dict[str, Any]) -> Iterator[str]:
    """Yield what a model finds, in what, and how sure its heads are."""
    channels = {"grey": "any image, made grey", "rgb": "grey or colour"}.get(
        values["channels"], ""
    )
    if not channels:
        channels = f"{values['in_channels']} channel{'s' * (values['in_channels'] > 1)}"
    size = f"{values['heads']} heads, {values['parameters']:,} parameters"
    if values["program"]:
        size = f"an imported {values['program']} program"
    yield (
        f"{values['name']}: finds {values['type']} in {values['spatial_dims']}-D"
        f" ({channels}), {size}"
    )
    if values["description"]:
        yield values["description"]
    yield f"intensities: {values['intensity']}"
    if values["diameter"]:
        yield f"objects learnt: {values['diameter']:.3g} pixels in diameter"
    if values["temperatures"]:
        heads = " ".join(f"{each:.3g}" for each in values["temperatures"])
        yield f"calibrated: temperatures of the heads {heads}"
    if values["head_weights"]:
        shares = " ".join(f"{each:.3g}" for each in values["head_weights"][-1])
        yield f"shares of the heads in their mean {shares}"


def _intensity(config: IntensityConfig) -> str:
    """Return what becomes 0 and 1, in words."""
    of = "all channels" if config.joint else "each channel"
    what = {
        "percentiles": f"percentiles {config.low_percentile:g} and"
        f" {config.high_percentile:g} of {of} of the whole image",
        "standard": f"the mean, and a standard deviation above it, of {of}",
        "fixed": " and ".join(
            ", ".join(f"{value:g}" for value in ends)
            for ends in zip(*config.fixed, strict=True)
        ),
    }[config.rule]
    low, high = config.clip
    clip = f", clipped to {low:g} ... {high:g}" if high - low < _NO_CLIP else ""
    return f"{what} become 0 and 1{clip}"


def _shown(value: object) -> str:
    if isinstance(value, list):
        names = ", ".join(map(str, value[:5]))
        return names + (f" and {len(value) - 5} more" if len(value) > 5 else "")
    return str(value)
