"""From a new model to the panel that segments with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from napari.layers import Image
    from napari.viewer import Viewer

    from napari_unetpp._qt._segment_widget import SegmentWidget

_PANEL = ("napari-unetpp", "UNet++: segment")


def segment_with(
    viewer: Viewer, model: Path, level: int | None, layer: Image | None
) -> SegmentWidget:
    """Open the Segment panel, or bring it to the front, with a model chosen.

    Parameters
    ----------
    viewer : Viewer
        The viewer.
    model : Path
        The model file.
    level : int or None
        Head for fast mode; ``None`` for all heads.
    layer : Image or None
        Image to segment, if it is still there.
    """
    dock, panel = viewer.window.add_plugin_dock_widget(*_PANEL, tabify=True)
    dock.show()
    dock.raise_()
    panel.form.models.choose(str(model))
    fields = panel.form.how.fields
    mode = "accurate" if level is None else "fast"
    fields["mode"].setCurrentIndex(fields["mode"].findData(mode))
    if level is not None:
        fields["level"].setValue(level)
    if layer is not None and layer in viewer.layers:
        panel.form.layers.choose(layer)
    found: SegmentWidget = panel
    return found
