"""Cells of a table: the text that is sent for a cell, or why it cannot be sent."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import Any, Generic, NamedTuple, Optional, TypeVar, Union

MISSING = frozenset("nan NaN None <NA> NaT #N/A #NULL! #REF! #VALUE! #NAME? #NUM! #DIV/0!".split())
"""Texts that represent missing values: those of pandas' ``astype(str)``, and Excel's errors."""

_INTEGER = re.compile(r"-?\d+|\s*")
_WHOLE = re.compile(r"-?\d+\.0")
_HIDDEN = "\0\ufeff"  # left over from a wrong encoding or from concatenated files


Place = TypeVar("Place")


class Unfit(NamedTuple):
    """A cell that cannot be sent.

    Attributes:
        why: The reason, as a phrase that follows the name of the column.
    """

    why: str


class Line(NamedTuple):
    """A row of a table.

    Attributes:
        cells: The cells, up to the first that cannot be read.
        number: Line number in the file, starting at 1; `None` if it does not come from a file.
        broken: Why the rest of the row cannot be read; empty if all of it was read.
    """

    cells: Sequence[object]
    number: Optional[int] = None
    broken: str = ""


class Table(NamedTuple):
    """A table whose rows can be iterated over once.

    Attributes:
        columns: The headings, of any type.
        lines: The rows below the headings.
        exact: Whether texts are as written by a person; if not, they may be converted numbers.
        levels: Number of leading index columns, which need not match a placeholder.
        name: Position of the column with the names; `None` to find it by its heading.
    """

    columns: Sequence[object]
    lines: Iterable[Line]
    exact: bool = True
    levels: int = 0
    name: Optional[int] = None


def heading(label: object) -> str:
    """Return the name of a column without surrounding spaces; empty for an empty cell."""
    return "" if label is None else str(label).strip("\ufeff").strip()


def is_blank(value: object) -> bool:
    """Return whether a cell is empty or has only white space."""
    return isinstance(value, str) and not value.strip()


def text(value: Any) -> Union[str, Unfit]:
    """Return the text of a cell, or why its text would be ambiguous or missing."""
    if isinstance(value, Unfit):
        return value
    if isinstance(value, str):
        if value.strip() in MISSING:
            why = f"is the text {value.strip()!r}, which represents a missing value"
            return Unfit(f"{why}; to send this text, use LaunchTaskRequest")
        hidden = next((each for each in _HIDDEN if each in value), "")
        found = f"contains the invisible character U+{ord(hidden):04X}" if hidden else ""
        return Unfit(found) if found else str(value)
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
    """Finds the columns whose integers were converted to floats, such as 1431 to ``1431.0``.

    Data frames do that to a column of integers with a missing value. A column that also has
    fractions is a column of floats, in which ``1.0`` is intended.

    Args:
        exact: Whether to look at numbers only, not at texts.
    """

    def __init__(self, exact: bool) -> None:
        self._exact = exact
        self._first: dict[str, Place] = {}
        self._others: set[str] = set()

    def see(self, place: Place, column: str, value: object) -> None:
        """Examine a cell."""
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
        """Return the columns with converted integers, each with the place of the first."""
        return {key: place for key, place in self._first.items() if key not in self._others}
