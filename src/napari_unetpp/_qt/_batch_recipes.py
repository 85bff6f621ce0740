"""Recipes of the Batch panel: what the command line does again."""

from __future__ import annotations

import shlex
from functools import partial
from typing import TYPE_CHECKING, Any

from napari_unetpp._napari import BatchItem, BatchOpened, open_batch, save_batch
from napari_unetpp._qt._recipe_buttons import RecipeButtons

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from napari.viewer import Viewer

    from napari_unetpp._napari import BatchRequest
    from napari_unetpp._qt._batch_form import BatchForm
    from napari_unetpp._qt._batch_images import BatchImages


class BatchRecipes(RecipeButtons):
    """Recipes of batches.

    Parameters
    ----------
    viewer : Viewer
        The viewer.
    form, images : BatchForm, BatchImages
        Where a recipe is loaded to.
    make_request : callable
        Returns what form and table say now.
    """

    def __init__(
        self,
        viewer: Viewer,
        form: BatchForm,
        images: BatchImages,
        make_request: Callable[[], BatchRequest],
    ) -> None:
        super().__init__(viewer)
        self._form, self._images, self._make_request = form, images, make_request

    def _saved_text(self, path: Path) -> str:
        line = f"napari-unetpp run {shlex.quote(str(path))}"
        return f"Saved: {path}\nOn the command line: {line}"

    def _suggested(self) -> str:
        return "batch"

    def _saving(self, path: Path) -> Callable[[], Generator[Any, None, None]]:
        return partial(save_batch, self._make_request(), path)

    def _loading(self, path: Path) -> Callable[[], Generator[Any, None, None]]:
        return partial(open_batch, path)

    def _is_opened(self, event: Any) -> bool:
        return isinstance(event, BatchOpened)

    def _show(self, opened: BatchOpened) -> None:
        inputs = opened.recipe.inputs
        self._images.replace([BatchItem.of_recipe(one) for one in inputs])
        self._form.show_recipe(opened.recipe)
        n = len(inputs)
        self.said.emit(
            f"The recipe is loaded, {n} image{'s' * (n != 1)}; press Start to do it"
            " again."
        )
