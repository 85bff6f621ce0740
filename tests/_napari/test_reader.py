"""Results written as OME-Zarr open as layers with the scale of their image."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tifffile

from napari_unetpp._napari import is_result
from napari_unetpp.cli import main
from napari_unetpp.io import save_model


def segmented(tmp_path, model_file):
    """Segment a small stack with a scale, as the command line does."""
    rng = np.random.default_rng(0)
    stack = rng.integers(0, 2000, (3, 40, 48)).astype(np.uint16)
    tifffile.imwrite(
        tmp_path / "cells.tif",
        stack,
        imagej=True,
        resolution=(4, 4),
        metadata={"axes": "ZYX", "spacing": 2.0, "unit": "um"},
    )
    arguments = ["segment", tmp_path / "cells.tif", "-o", tmp_path]
    options = ["--format", "zarr", "--device", "cpu", "--model", model_file]
    with pytest.raises(SystemExit) as end:
        main([str(a) for a in [*arguments, *options]])
    assert end.value.code == 0
    return tmp_path / "cells.ome.zarr"


def test_dropped_on_the_viewer_results_become_layers(
    make_napari_viewer, model_file, tmp_path
):
    viewer = make_napari_viewer()
    viewer.open(str(segmented(tmp_path, model_file)), plugin="napari-unetpp")
    names = [layer.name for layer in viewer.layers]
    assert names == [
        "cells | head 2",
        "cells | head 1",
        "cells | uncertainty",
        "cells | mean",
        "cells | labels",
    ]
    for layer in viewer.layers:
        np.testing.assert_allclose(layer.scale, (2.0, 0.25, 0.25))
        assert layer.axis_labels == ("Z", "Y", "X")
        assert layer.data.shape == (3, 40, 48)
    assert [layer.visible for layer in viewer.layers] == [False] * 3 + [True] * 2
    assert viewer.layers["cells | uncertainty"].contrast_limits == [0, 1]
    viewer.layers["cells | labels"].paint((0, 5, 5), 1)
    assert all(is_result(layer) for layer in viewer.layers)  # no panel offers them


def test_every_class_of_every_head_is_a_layer(small_model, tmp_path):
    from napari_unetpp._napari._reader import get_reader

    config = small_model.config
    classes = config.model_copy(
        update={
            "task": "classes",
            "class_names": ("background", "class 3", "class 7"),
            "class_values": (0, 3, 7),
        }
    )
    model = save_model(replace(small_model, config=classes), tmp_path / "m.safetensors")
    path = str(segmented(tmp_path, model))
    layers = get_reader(path)(path)
    assert [options["name"] for _, options, _ in layers] == [
        *(f"cells | head {h}, class {c}" for h in (2, 1) for c in (3, 2, 1)),
        "cells | uncertainty",
        *(f"cells | mean, class {c}" for c in (3, 2, 1)),
        "cells | labels",
    ]
    assert all(data.shape == (3, 40, 48) for data, _, _ in layers)


def test_other_zarrs_are_left_to_others(tmp_path):
    from napari_unetpp._napari._reader import get_reader

    (tmp_path / "image.ome.zarr").mkdir()
    assert get_reader(str(tmp_path / "image.ome.zarr")) is None
    assert get_reader(str(tmp_path / "cells.tif")) is None
    assert get_reader([str(tmp_path)]) is None
