"""What the panels run in other threads: generators of events, without Qt.

Torch and dask are imported in here when a generator runs, never with the plugin: that
takes seconds, which the thread has and the viewer has not.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_unetpp._napari import _results
from napari_unetpp._napari._background import behind_the_viewer, load_what_napari_needs
from napari_unetpp._napari._layers import MEAN, UNCERTAINTY
from napari_unetpp._napari._messages import Described, Prepared
from napari_unetpp.errors import ImageError, ModelFileError

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from napari_unetpp._napari._request import SegmentRequest
    from napari_unetpp.nn import Model


def own_models(folder: Path) -> tuple[str, ...]:
    """Return the paths of the models in a folder, the newest first."""
    found = []
    for path in folder.glob("*.safetensors"):
        with suppress(OSError):  # gone meanwhile
            found.append((path.stat().st_mtime, str(path)))
    return tuple(path for _, path in sorted(found, reverse=True))


def prepare(models_folder: Path) -> Generator[Prepared, None, None]:
    """Find models and devices.

    Parameters
    ----------
    models_folder : Path
        Folder of the user's own models; it need not exist.
    """
    from napari_unetpp.inference import cuda_hint, devices
    from napari_unetpp.io import bundled_models

    bundled, own = bundled_models(), own_models(models_folder)
    words = _descriptions({**bundled, **{model: Path(model) for model in own}})
    yield Prepared((*bundled, *own), tuple(devices()), cuda_hint(), words)
    load_what_napari_needs()


def _descriptions(models: Mapping[str, Path]) -> dict[str, str]:
    """Return what models say of themselves; one that is damaged says nothing yet."""
    from napari_unetpp.io import read_model_config

    words = {}
    for name, path in models.items():
        with suppress(ModelFileError):  # told when it is chosen
            words[name] = read_model_config(path).description
    return words


def describe(model: str) -> Generator[Described, None, None]:
    """Look into a model."""
    from napari_unetpp.api import load_model

    loaded = load_model(model)
    yield Described(model, loaded.config, loaded.n_parameters)


def segment_source(request: SegmentRequest) -> Generator[Any, None, None]:
    """Segment an image or a view of it.

    Yields
    ------
    ArraysReady, Progress, Note or LabelsReady
        The arrays first, the labels last.

    Raises
    ------
    UnetppError
        If the image, the model or the device does not fit.
    """
    from napari_unetpp import api
    from napari_unetpp._napari._saved import save_source
    from napari_unetpp._napari._volatile import show_source

    model = api.load_model(request.model)
    names = _names(request, model)
    large = _shown_bytes(request, len(names)) > _results.MOST_IN_MEMORY
    if large and request.view is not None:
        raise ImageError(
            f"{request.n_pixels:,} pixels of {request.source.name!r} are in view, too"
            " many to keep in memory; zoom in, or segment the whole image"
        )
    run = save_source if large or request.folder is not None else show_source
    with behind_the_viewer(request.spare_cores):
        yield from run(request, model, names)


def _names(request: SegmentRequest, model: Model) -> tuple[str, ...]:
    """Return what is shown: the main result, then the others, the lowest first."""
    network, settings = model.config.network, request.settings
    level = model.network.check_level(settings.level)
    if settings.mode == "fast" or network.n_heads == 1 or level == 1:
        return (f"head {level}",)
    heads = tuple(f"head {j}" for j in range(1, level + 1))
    return (MEAN, UNCERTAINTY, *heads) if request.heads else (MEAN,)


def _shown_bytes(request: SegmentRequest, n_names: int) -> int:
    """Return the bytes of all shown arrays, if they were in memory."""
    size = request.n_pixels * 2 * n_names
    return size + size // 3  # smaller and smaller copies
