"""``job.json``: what a process must know to go on with a job, or to help with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import JsonValue, ValidationError

from napari_unetpp.arrays import IntensityRange  # noqa: TC001 (pydantic reads it)
from napari_unetpp.config import (
    OutputConfig,
    PredictionConfig,
    Settings,
    wrong_settings,
)
from napari_unetpp.errors import OutputError
from napari_unetpp.inference._object_size import (
    ObjectSize,  # noqa: TC001 (pydantic reads it)
)
from napari_unetpp.io import ResultLayout
from napari_unetpp.io._disk import beside

if TYPE_CHECKING:
    from typing import Self

    from napari_unetpp.inference._plan import Plan
    from napari_unetpp.inference._request import JobRequest

JOB_FILE = "job.json"
"""Without it a folder is no job, or none any more."""


class JobFile(Settings):
    """What is in the file."""

    format: Literal[1] = 1
    parts: dict[str, str]
    """What decides the result, see `fingerprint_parts`."""
    image: str | None
    """Path of the image; ``None`` if it lies in memory."""
    axes: str | None
    channel: int | None
    mask: str | None
    settings: PredictionConfig
    outputs: OutputConfig
    intensity: IntensityRange
    core: tuple[int, ...]
    size: ObjectSize | None = None
    """Of the objects, where a diameter was asked for: what was measured stays."""
    layout: dict[str, JsonValue]

    @classmethod
    def new(
        cls,
        request: JobRequest,
        parts: dict[str, str],
        plan: Plan,
        layout: ResultLayout,
        size: ObjectSize | None = None,
    ) -> Self:
        """Return what is written about a job that begins."""
        return cls(
            parts=parts,
            image=_path(request.source),
            axes=request.axes,
            channel=request.channel,
            mask=_path(request.mask),
            settings=request.settings,
            outputs=request.outputs,
            intensity=plan.intensity,
            core=plan.grid.core,
            size=size,
            layout=layout.to_json(),
        )

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the file in the folder of a job.

        Raises
        ------
        OutputError
            If it is not there, or damaged.
        """
        path = folder / JOB_FILE
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            why = error.strerror or str(error)
        except ValidationError as error:
            why = wrong_settings(error, "; ")
        raise OutputError(
            f"{path} cannot be read ({why}), so {folder} cannot be gone on with; start"
            " anew with --overwrite, or delete that folder"
        )

    def write(self, folder: Path) -> None:
        """Write the file into the folder of a job."""
        with beside(folder / JOB_FILE) as part:
            part.write_text(self.model_dump_json(indent=2))

    def renewed(self, request: JobRequest) -> Self:
        """Return what workers need to go on as is asked for now, not at the start.

        What may differ from run to run: the device, what is done about unreadable
        pixels, where the image lies.
        """
        return self.model_copy(
            update={
                "image": _path(request.source),
                "mask": _path(request.mask),
                "settings": request.settings,
            }
        )

    @property
    def result_layout(self) -> ResultLayout:
        """The layout of the results."""
        return ResultLayout.from_json(self.layout)


def _path(source: object) -> str | None:
    """Return the path that `source` is, if it is one."""
    return str(Path(source).resolve()) if isinstance(source, (str, Path)) else None
