"""An image in, its prediction out, on the grid on which the network reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_unetpp._types import slices
from napari_unetpp.inference._events import RunStarted
from napari_unetpp.inference._plan import make_plan
from napari_unetpp.inference._results import Prediction
from napari_unetpp.inference._run import predict_tiles
from napari_unetpp.inference._scratch import Stores, finished_labels

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from napari_unetpp._types import Box, LazyArray
    from napari_unetpp.arrays import Image, IntensityRange, Rescaling
    from napari_unetpp.config import PredictionConfig
    from napari_unetpp.inference._events import BadPixels, MemoryLow, TileDone
    from napari_unetpp.inference._plan import Plan
    from napari_unetpp.nn import Model
    from napari_unetpp.tiling import Focus


def predict_on_grid(
    image: Image,
    model: Model,
    settings: PredictionConfig,
    run_id: str,
    *,
    folder: Path | None = None,
    keep_heads: bool = True,
    region: Box | None = None,
    loop: tuple[int, ...] | None = None,
    first: Box | Focus | None = None,
    mask: LazyArray | None = None,
    preview: bool = False,
    intensity: IntensityRange | None = None,
    rescaling: Rescaling | None = None,
) -> Generator[RunStarted | TileDone | MemoryLow | BadPixels, None, Prediction]:
    """Predict an image, or a view of it, on the grid on which the network reads it.

    Parameters
    ----------
    image, model, settings, region, loop, first, mask, preview, intensity, rescaling
        As in `make_plan`.
    run_id : str
        Stands in the events.
    folder : Path, optional
        Folder for the probabilities; without it they are in memory if they are small
        and in the system's temporary folder if not. What is made there is deleted when
        the prediction is dropped.
    keep_heads : bool
        Whether the heads are kept beside their mean.

    Yields
    ------
    RunStarted
        Once, with the arrays that fill.
    TileDone, MemoryLow, BadPixels
        As in `predict_tiles`.

    Returns
    -------
    Prediction
        Complete.
    """
    plan = make_plan(
        image,
        model,
        settings,
        region=region,
        loop=loop,
        first=first,
        mask=mask,
        preview=preview,
        intensity=intensity,
        in_memory=folder is None,
        rescaling=rescaling,
    )
    try:
        stores = Stores(
            plan.shape,
            plan.grid.core,
            plan.predictor.head_names,
            model.config.class_names,
            keep_heads=keep_heads,
            folder=folder,
            head_weights=plan.predictor.head_weights,
            background=0 if model.config.task == "instances" else None,
            depths=plan.predictor.adaptive is not None and plan.streams,
        )
        prediction = _prediction(plan, stores)
        yield RunStarted(
            run_id,
            len(plan.tiles),
            plan.grid.core,
            plan.grid.halo,
            plan.predictor.level,
            str(plan.predictor.device),
            prediction,
            plan.memory.total,
            streams=plan.streams,
        )
        yield from predict_tiles(plan, stores, run_id)
    finally:
        plan.close()
    return prediction


def _prediction(plan: Plan, stores: Stores) -> Prediction:
    """Return the arrays that look into `stores`, placed where the result lies."""
    image, kept = plan.whole, slices(plan.kept)
    objects = plan.model.task == "instances"
    scale, translate = plan.placement
    return Prediction(
        heads=stores.heads.heads()[(..., *kept)],
        mean=stores.mean.mean()[(..., *kept)],
        uncertainty=stores.mean.uncertainty(objects=objects)[kept],
        head_names=stores.heads.head_names,
        class_names=stores.heads.class_names,
        axes=image.result_axes,
        scale=scale,
        units=image.result_units,
        translate=translate,
        name=image.image.name,
        model_name=plan.model.name,
        depth=None if stores.depths is None else finished_labels(stores.depths)[kept],
    )
