"""Checks options of engines."""

from __future__ import annotations

import math
from typing import Union


def positive(name: str, given: Union[float, str]) -> float:
    """Return an option as a number.

    Raises:
        ValueError: It is not a number above 0.
    """
    try:
        number = float(given)
    except ValueError:
        number = math.nan
    if not number > 0:
        raise ValueError(f"{name} must be a number above 0, not {given!r}")
    return number
