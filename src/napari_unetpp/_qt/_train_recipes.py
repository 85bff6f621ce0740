"""Recipes of the Train panel."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal

from napari_unetpp._napari import (
    RecipeOpened,
    add_inputs,
    open_training,
    recipe_of,
    save_training,
)
from napari_unetpp._qt._recipe_buttons import RecipeButtons

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from napari.viewer import Viewer

    from napari_unetpp._napari import TrainRequest
    from napari_unetpp._qt._train_form import TrainForm


class TrainRecipes(RecipeButtons):
    """Recipes of trainings.

    `unfinished` carries the choices of a training that is to be gone on with.

    Parameters
    ----------
    viewer : Viewer
        The viewer.
    form : TrainForm
        Where a recipe is loaded to.
    make_request : callable
        Returns what the form says now.
    """

    unfinished = Signal(object)

    def __init__(
        self, viewer: Viewer, form: TrainForm, make_request: Callable[[], TrainRequest]
    ) -> None:
        super().__init__(viewer)
        self._form, self._make_request = form, make_request
        self._resuming = False

    def load_unfinished(self, output: Path) -> bool:
        """Open the recipe of an unfinished training; return whether there is one."""
        path = recipe_of(output)
        if not path.exists():
            return False
        self._resuming = True
        layers = not self._form.image_layers[0]
        self._start(partial(open_training, path, layers=layers))
        return True

    def _suggested(self) -> str:
        return self._form.name.output.stem

    def _saving(self, path: Path) -> Callable[[], Generator[Any, None, None]]:
        return partial(save_training, self._make_request(), path)

    def _loading(self, path: Path) -> Callable[[], Generator[Any, None, None]]:
        self._resuming = False
        return partial(open_training, path)

    def _is_opened(self, event: Any) -> bool:
        return isinstance(event, RecipeOpened)

    def _show(self, opened: RecipeOpened) -> None:
        if opened.inputs:
            self._form.pairs.choose(add_inputs(self._viewer, opened.inputs))
        self._form.show_choices(opened.choices)
        self._form.choose_device(opened.device)
        if self._resuming:
            self.unfinished.emit(opened.choices)
            return
        if opened.name:
            self._form.name.choose(opened.name)
        self.said.emit("The recipe is loaded; press Train to do it again.")
