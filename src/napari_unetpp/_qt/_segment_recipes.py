"""Recipes of the Segment panel."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from napari_unetpp._napari import (
    SegmentationOpened,
    add_segmentation,
    file_of,
    open_segmentation,
    save_segmentation,
)
from napari_unetpp._qt._recipe_buttons import RecipeButtons

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from napari.viewer import Viewer

    from napari_unetpp._napari import SegmentRequest
    from napari_unetpp._qt._segment_form import SegmentForm


class SegmentRecipes(RecipeButtons):
    """Recipes of segmentations.

    Parameters
    ----------
    viewer : Viewer
        The viewer.
    form : SegmentForm
        Where a recipe is loaded to.
    make_request : callable
        Returns the last run, or what the form says now for the whole image.
    """

    def __init__(
        self,
        viewer: Viewer,
        form: SegmentForm,
        make_request: Callable[[], SegmentRequest],
    ) -> None:
        super().__init__(viewer)
        self._form, self._make_request = form, make_request

    def _suggested(self) -> str:
        layer = self._form.layer
        return "segment" if layer is None else f"segment {layer.name}"

    def _saving(self, path: Path) -> Callable[[], Generator[Any, None, None]]:
        layer = self._form.layer
        image_file = None if layer is None else file_of(layer)
        return partial(save_segmentation, self._make_request(), image_file, path)

    def _loading(self, path: Path) -> Callable[[], Generator[Any, None, None]]:
        return partial(open_segmentation, path)

    def _is_opened(self, event: Any) -> bool:
        return isinstance(event, SegmentationOpened)

    def _show(self, opened: SegmentationOpened) -> None:
        image, mask = add_segmentation(self._viewer, opened)
        self._form.show_recipe(opened.recipe, image, mask)
        n = len(opened.recipe.inputs)
        text = "The recipe is loaded; press a button to do it again."
        if n > 1:
            text = f"The first of {n} images of the recipe is loaded."
        if opened.input.region is not None:
            text += " Its region is not in the panel: napari-unetpp run keeps it."
        self.said.emit(text)
