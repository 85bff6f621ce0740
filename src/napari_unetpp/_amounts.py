"""Amounts that people write with a unit: memory, and the size of an object.

What is refused is a `ValueError`, which settings name as theirs.
"""

from __future__ import annotations

import math
import re

AUTO = "auto"
"""As a diameter: to be measured in the image."""

_LENGTHS = {"nm": "nm", "um": "um", "µm": "um", "μm": "um", "micron": "um", "mm": "mm"}
"""Units of a diameter, and how they are written."""


def parse_diameter(value: object) -> object:
    """Return a number of pixels, a length such as "12 um", "auto" or ``None``."""
    if value is None:
        return None
    found = re.fullmatch(r"\s*(\d*\.?\d+(?:[eE][-+]?\d+)?)\s*(\S*)\s*", str(value))
    if str(value).strip().lower() == AUTO:
        return AUTO
    number = float(found[1]) if found else math.nan
    unit = found[2].lower().removesuffix("s") if found else ""
    unit = {"px": "", "pixel": "", "micrometer": "um", **_LENGTHS}.get(unit, unit)
    if not 0 < number < math.inf or unit not in ("", *_LENGTHS.values()):
        raise ValueError(
            f"diameter={value!r} is no size of an object; give a number of pixels above"
            " 0 (24), a length (12um; nm, um or mm), or auto to have it measured"
        )
    return f"{number:g} {unit}" if unit else number


def parse_bytes(text: str) -> int:
    """Return the number of bytes that a text such as "4GB" or "500 MiB" means."""
    found = re.fullmatch(
        r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?\s*", text, re.IGNORECASE
    )
    if found is None:
        raise ValueError(
            f"memory={text!r} is not an amount of memory; give a number and a unit, for"
            " example 4GB or 500 MiB"
        )
    number, prefix, binary = found.groups()
    power = "kmgt".find(prefix.lower()) + 1 if prefix else 0
    return int(float(number) * (1024 if binary else 1000) ** power)
