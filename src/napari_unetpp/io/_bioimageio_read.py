"""What a bioimage.io package says, in one form for the versions 0.4 and 0.5.

Only what is needed to run a model over images is read: one input, the outputs, which
weights there are. Nothing of the package is executed here.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from napari_unetpp.errors import ModelFileError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_unetpp._types import FloatArray

_NAMES = ("bioimageio.yaml", "rdf.yaml", "model.yaml")
_LETTERS = {"batch": "b", "channel": "c"}
_LARGEST = 2**31
"""Bytes of a file in a package that is read, at most."""

Step = tuple[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input or an output of a model.

    Attributes
    ----------
    name : str
        Its name.
    axes : str
        One letter for each axis: b, c, z, y, x.
    least, step : dict of str to int
        Smallest size along each spatial axis, and by what it grows; a step of 0 is a
        size that is fixed. Of outputs, empty.
    halo : dict of str to int
        What is cut off at each side.
    scale : dict of str to float
        Size along an axis by that of the input; an offset makes it 0.
    channels : tuple of str
        Names of the channels; empty where it gives none.
    steps : tuple of (str, dict)
        What is done before (input) or behind (output), by name and arguments.
    test : str
        File with pixels to try it; empty if there is none.
    """

    name: str
    axes: str
    least: dict[str, int]
    step: dict[str, int]
    halo: dict[str, int]
    scale: dict[str, float]
    channels: tuple[str, ...]
    steps: tuple[Step, ...]
    test: str


class Package:
    """A package: a ZIP file, a folder, or the description in it.

    Parameters
    ----------
    path : Path
        Where it lies.

    Raises
    ------
    ModelFileError
        If it is none, or describes something else than a model.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.parent if path.suffix in (".yaml", ".yml") else path
        names = _NAMES if self.path == path else (path.name,)
        found = next((name for name in names if self._has(name)), None)
        if found is None:
            raise ModelFileError(
                f"{path}: not a bioimage.io package (there is no {names[0]} in it);"
                " download the model as a ZIP file"
            )
        try:
            content = yaml.safe_load(self.read(found))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ModelFileError(
                f"{path}: its description cannot be read ({error}); download it again"
            ) from error
        if not isinstance(content, dict) or content.get("type", "model") != "model":
            raise ModelFileError(f"{path}: it describes no model; choose another")
        self.content: dict[str, Any] = content

    def _has(self, name: str) -> bool:
        if self.path.is_dir():
            return (self.path / name).is_file()
        if not zipfile.is_zipfile(self.path):
            return False
        with zipfile.ZipFile(self.path) as package:
            return name in package.namelist()

    def read(self, name: str, sha256: str | None = None) -> bytes:
        """Return the content of a file of the package.

        Raises
        ------
        ModelFileError
            If it is not there, too large, or another than was described.
        """
        name = name.removeprefix("./")
        if "://" in name or Path(name).is_absolute() or ".." in Path(name).parts:
            raise ModelFileError(
                f"{self.path}: {name} is not in the package; download the model with"
                " all of its files, as a ZIP file"
            )
        try:
            content = self._content(name)
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            raise ModelFileError(
                f"{self.path}: {name} cannot be read ({error}); download it again"
            ) from error
        if sha256 and hashlib.sha256(content).hexdigest() != sha256:
            raise ModelFileError(
                f"{self.path}: {name} is damaged (another SHA-256 than described);"
                " download it again"
            )
        return content

    def _content(self, name: str) -> bytes:
        if self.path.is_dir():
            return (self.path / name).read_bytes()
        with zipfile.ZipFile(self.path) as package:
            if package.getinfo(name).file_size > _LARGEST:
                raise ModelFileError(
                    f"{self.path}: {name} is larger than {_LARGEST >> 30} GiB"
                )
            return package.read(name)

    def weights(self, form: str) -> bytes | None:
        """Return the weights of a format, or ``None`` if there are none."""
        entry = self.content.get("weights", {}).get(form)
        if not isinstance(entry, dict) or entry.get("external_data"):
            return None
        return self.read(_source(entry), entry.get("sha256"))

    @property
    def formats(self) -> tuple[str, ...]:
        """Formats of the weights."""
        return tuple(self.content.get("weights", {}))

    def text(self, key: str) -> str:
        """Return the text file that an entry names; empty if there is none."""
        entry = self.content.get(key)
        name = _source(entry) if entry else ""
        if not name or not self._has(name.removeprefix("./")):
            return ""
        return self.read(name).decode("utf-8", "replace")

    def array(self, name: str) -> FloatArray | None:
        """Return test pixels as float32, or ``None`` if there are none."""
        if not name.endswith(".npy"):
            return None
        array = np.load(io.BytesIO(self.read(name)), allow_pickle=False)
        return np.asarray(array, np.float32)

    def tensors(self) -> tuple[list[Tensor], list[Tensor]]:
        """Return the inputs and the outputs.

        Raises
        ------
        ModelFileError
            If the description is of another version, or lacks something.
        """
        version = str(self.content.get("format_version", ""))
        read = {"0.4": _tensor_04, "0.5": _tensor_05}.get(version[:3])
        if read is None:
            raise ModelFileError(
                f"{self.path}: format {version or 'unknown'}; packages of 0.4 and 0.5"
                " are read: bring it up to date (bioimageio update-format)"
            )
        try:
            return self._both(read)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelFileError(
                f"{self.path}: its description lacks something ({error!r}); test it"
                " with bioimageio validate-format"
            ) from error

    def _both(self, read: Any) -> tuple[list[Tensor], list[Tensor]]:
        found = []
        for kind, tests in (("inputs", "test_inputs"), ("outputs", "test_outputs")):
            listed = self.content.get(tests) or []
            entries = [e for e in self.content[kind] if not e.get("optional")]
            found.append(
                [
                    read(entry, listed[i] if i < len(listed) else "")
                    for i, entry in enumerate(entries)
                ]
            )
        return found[0], found[1]


def _source(entry: Any) -> str:
    """Return the name of a file, which stands alone or with more about it."""
    return str(entry.get("source", "") if isinstance(entry, dict) else entry or "")


def _tensor_05(entry: Mapping[str, Any], _: str) -> Tensor:
    letters = ""
    channels: tuple[str, ...] = ()
    least: dict[str, int] = {}
    step: dict[str, int] = {}
    halo: dict[str, int] = {}
    scale: dict[str, float] = {}
    for axis in entry["axes"]:
        kind = axis["type"]
        letter = _LETTERS.get(kind) or (axis["id"] if kind == "space" else "?")
        letters += letter
        if kind == "channel":
            channels = _channel_names(axis)
        size = axis.get("size")
        if kind != "space":
            continue
        halo[letter] = int(axis.get("halo", 0))
        scale[letter] = float(axis.get("scale", 1.0))
        if isinstance(size, int):
            least[letter], step[letter] = size, 0
        elif isinstance(size, dict) and "min" in size:
            least[letter], step[letter] = int(size["min"]), int(size["step"])
        elif isinstance(size, dict) and size.get("offset"):
            scale[letter] = 0.0
    return Tensor(
        name=str(entry.get("id", "")),
        axes=letters,
        least=least,
        step=step,
        halo=halo,
        scale=scale,
        channels=channels,
        steps=_steps(entry, "id"),
        test=_source(entry.get("test_tensor")),
    )


def _channel_names(axis: Mapping[str, Any]) -> tuple[str, ...]:
    names = axis.get("channel_names", ())
    return tuple(map(str, names)) if isinstance(names, list) else ()


def _tensor_04(entry: Mapping[str, Any], test: str) -> Tensor:
    axes, shape = str(entry["axes"]), entry["shape"]
    spatial = [letter for letter in axes if letter in "zyx"]

    def by_axis(values: Sequence[Any]) -> dict[str, Any]:
        return {a: v for a, v in zip(axes, values, strict=True) if a in spatial}

    least: dict[str, int] = {}
    step: dict[str, int] = {}
    scale: dict[str, float] = dict.fromkeys(spatial, 1.0)
    if isinstance(shape, list):
        least, step = by_axis(shape), dict.fromkeys(spatial, 0)
    elif "min" in shape:
        least, step = by_axis(shape["min"]), by_axis(shape["step"])
    else:
        moved = by_axis(shape["offset"])
        factors = by_axis([s or 1 for s in shape["scale"]])
        scale = {a: 0.0 if moved[a] else float(factors[a]) for a in spatial}
    halo = by_axis(entry["halo"]) if entry.get("halo") else dict.fromkeys(spatial, 0)
    return Tensor(
        name=str(entry.get("name", "")),
        axes=axes,
        least=least,
        step=step,
        halo=halo,
        scale=scale,
        channels=(),
        steps=_steps(entry, "name"),
        test=_source(test),
    )


def _steps(entry: Mapping[str, Any], key: str) -> tuple[Step, ...]:
    found = (entry.get("preprocessing") or []) + (entry.get("postprocessing") or [])
    return tuple((str(step[key]), dict(step.get("kwargs") or {})) for step in found)
