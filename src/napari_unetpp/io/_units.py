"""Names of units: many spellings in files, one in here (as OME-Zarr and napari)."""

from __future__ import annotations

from napari_unetpp.arrays import PIXEL

_SYMBOLS = {
    "angstrom": "Å",
    "nanometer": "nm",
    "micrometer": "µm",
    "millimeter": "mm",
    "centimeter": "cm",
    "meter": "m",
    "inch": "in",
    "millisecond": "ms",
    "second": "s",
    "minute": "min",
    "hour": "h",
}
_SPELLINGS = {
    **{symbol: name for name, symbol in _SYMBOLS.items()},
    "um": "micrometer",
    "\u03bcm": "micrometer",  # the Greek letter; the table has the micro sign
    r"\u00b5m": "micrometer",  # as ImageJ writes it
    "micron": "micrometer",
    "microns": "micrometer",
    "sec": "second",
}


def unit_name(text: object) -> str:
    """Return the full name of a unit however it is spelt, or ``"pixel"``."""
    spelt = str(text).strip()
    lower = spelt.lower().replace("metre", "meter")
    name = _SPELLINGS.get(spelt) or _SPELLINGS.get(lower, lower)
    return name if name in _SYMBOLS else PIXEL


def unit_symbol(name: str) -> str | None:
    """Return the symbol of a unit, ``None`` for pixels."""
    return _SYMBOLS.get(name)
