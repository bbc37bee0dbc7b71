"""Cells of a table: what may be sent of them, as which text, and why the others may not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import Any, Generic, NamedTuple, Optional, TypeVar, Union

MISSING = frozenset("nan NaN None <NA> NaT #N/A #NULL! #REF! #VALUE! #NAME? #NUM! #DIV/0!".split())
"""Texts that stand for a missing value: of pandas' ``astype(str)``, and Excel's errors."""


_INTEGER = re.compile(r"-?\d+|\s*")
_WHOLE = re.compile(r"-?\d+\.0")
_HIDDEN = "\0\ufeff"  # what is left of another encoding, or of files put together


Place = TypeVar("Place")


class Unfit(NamedTuple):
    """Stands for a cell that cannot be sent.

    Attributes:
        why: What is wrong with it, to follow the name of the column.
    """

    why: str


class Line(NamedTuple):
    """A row of a table.

    Attributes:
        cells: What it holds, as far as it can be read.
        number: Its line in the file, the first being 1; `None` if it does not come from a file.
        broken: Why it cannot be read to its end, if it cannot.
    """

    cells: Sequence[object]
    number: Optional[int] = None
    broken: str = ""


class Table(NamedTuple):
    """A table, to be gone through once.

    Attributes:
        columns: The headings, whatever they are.
        lines: The rows below them.
        exact: Whether texts are what somebody wrote, not perhaps numbers made into text.
        levels: How many of the first columns are an index, which need not fit any placeholder.
        name: Which column has the names, if not that with the heading.
    """

    columns: Sequence[object]
    lines: Iterable[Line]
    exact: bool = True
    levels: int = 0
    name: Optional[int] = None


def heading(label: object) -> str:
    """Return the name of a column: without blanks around it, and none for an empty cell."""
    return "" if label is None else str(label).strip("\ufeff").strip()


def is_blank(value: object) -> bool:
    """Tell whether a cell is empty."""
    return isinstance(value, str) and not value.strip()


def text(value: Any) -> Union[str, Unfit]:
    """Return the text of a cell, or why it has none that is beyond doubt."""
    if isinstance(value, Unfit):
        return value
    if isinstance(value, str):
        if value.strip() in MISSING:
            why = f"is the text {value.strip()!r}, which stands for a missing value"
            return Unfit(f"{why}; where it is meant, use LaunchTaskRequests")
        hidden = next((each for each in _HIDDEN if each in value), "")
        return Unfit(f"holds the invisible U+{ord(hidden):04X}") if hidden else str(value)
    kind = type(value).__name__
    if value is None or kind in ("NAType", "NaTType"):
        return Unfit(f"has no value ({'None' if value is None else value})")
    if isinstance(value, bool) or not isinstance(value, (Integral, float)):
        return Unfit(f"must be text or a number, not {kind}")
    if isinstance(value, Integral):
        return str(int(value))
    if value != value:
        return Unfit("has no value (NaN)")
    if value in (float("inf"), float("-inf")):
        return Unfit("is infinite")
    return repr(float(value))


class Wholes(Generic[Place]):
    """Finds the columns in which integers became floats: ``1431.0`` for 1431.

    That happens to integers as soon as a value is missing among them. A column with fractions is
    one of floats, in which ``1.0`` is what it seems.

    Args:
        exact: Whether texts are left alone.
    """

    def __init__(self, exact: bool) -> None:
        self._exact = exact
        self._first: dict[str, Place] = {}
        self._others: set[str] = set()

    def see(self, place: Place, column: str, value: object) -> None:
        """Look at a cell."""
        if isinstance(value, float):
            shown = repr(float(value))
        elif isinstance(value, str) and not self._exact:
            shown = value
        else:
            return
        if _WHOLE.fullmatch(shown):
            self._first.setdefault(column, place)
        elif shown not in MISSING and not _INTEGER.fullmatch(shown):
            self._others.add(column)

    def found(self) -> dict[str, Place]:
        """Return the columns that hold such cells, each with the place of the first."""
        return {key: place for key, place in self._first.items() if key not in self._others}
