"""How a job is done: in the tiles and blocks that it was begun with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_unetpp.errors import SettingsError
from napari_unetpp.inference._plan import make_plan
from napari_unetpp.inference._request import aligned_mask, rescaling_of
from napari_unetpp.inference._session import blocks_of, job_blocks
from napari_unetpp.inference._stages import window_bytes
from napari_unetpp.inference._wanted import RescaledFocus

if TYPE_CHECKING:
    from napari_unetpp._types import Box
    from napari_unetpp.inference._job_file import JobFile
    from napari_unetpp.inference._object_size import ObjectSize
    from napari_unetpp.inference._plan import Plan
    from napari_unetpp.inference._request import JobRequest
    from napari_unetpp.tiling import Focus


def plan_job(
    request: JobRequest,
    file: JobFile | None,
    size: ObjectSize | None,
    first: Box | Focus | None,
    preview: bool,
) -> Plan:
    """Plan a job; one that was begun keeps its tiles, blocks and intensities.

    Parameters
    ----------
    request : JobRequest
        What is asked for.
    file : JobFile, optional
        Of a job that was begun.
    size : ObjectSize, optional
        Of the image's objects, if a diameter was asked for.
    first : Box or Focus, optional
        What is looked at, in pixels of the image.
    preview : bool
        Whether that is predicted by head 1 before.

    Raises
    ------
    SettingsError
        If the memory is too little for the tiles that it was begun with.
    """
    mask = aligned_mask(request.mask, request.image, request.model)
    if file is None:
        blocks = job_blocks(request.model.config, request.settings)
    else:
        blocks = blocks_of(file.result_layout)
    rescaling = rescaling_of(size, request.image, request.model)
    plan = make_plan(
        request.image,
        request.model,
        request.settings,
        first=first if rescaling is None else RescaledFocus(first, rescaling),
        mask=mask,
        preview=preview,
        intensity=None if file is None else file.intensity,
        core=None if file is None else file.core,
        label_bytes=window_bytes(blocks),
        rescaling=rescaling,
    )
    memory, needed = request.settings.memory, plan.memory.total
    if memory is not None and needed > memory:
        plan.close()
        least = -(-needed // 10**6)
        raise SettingsError(
            f"memory={memory // 10**6} MB is too little: {request.job_folder} was begun"
            f" with tiles of {' x '.join(map(str, plan.grid.core))} pixels, which take"
            f" {least} MB; give at least {least}MB, or remove that folder to begin anew"
        )
    return plan
