"""A table of samples, pasted as CSV or tab-separated text: one launch for each row."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Mapping
from typing import NamedTuple

_NAME = "name"
_MOST_PROBLEMS = 5  # that are mentioned


class Row(NamedTuple):
    """What a row launches: the name of the run, empty for the default, and the arguments."""

    name: str
    arguments: Mapping[str, str]


def rows_of(text: str, placeholders: Collection[str]) -> list[Row]:
    """Return the rows of a table whose columns are the placeholders and, if given, `name`.

    Raises:
        ValueError: The table cannot be launched; the message says what is wrong in which row.
    """
    text = text.strip("\ufeff\r\n")
    delimiter = "\t" if "\t" in text.partition("\n")[0] else ","
    lines = io.StringIO(text, newline="")
    try:
        table = [row for row in csv.reader(lines, delimiter=delimiter, strict=True) if row]
    except csv.Error as error:
        raise ValueError(f"The table cannot be read: {error}") from None
    if len(table) < 2:
        raise ValueError("The table must have a line with the names of the columns, and rows")
    columns = [column.strip() for column in table[0]]
    _check_columns(columns, placeholders)
    problems, rows = [], []
    for number, cells in enumerate(table[1:], 2):
        given = dict(zip(columns, cells))
        empty = [name for name in placeholders if not given.get(name)]
        if len(cells) != len(columns):
            problems.append(f"row {number} has {len(cells)} cells, not {len(columns)}")
        elif empty:
            problems.append(f"row {number} has no {', '.join(empty)}")
        rows.append(Row(given.get(_NAME, ""), {name: given.get(name, "") for name in placeholders}))
    if problems:
        more = f"; and {len(problems) - _MOST_PROBLEMS} more" * (len(problems) > _MOST_PROBLEMS)
        raise ValueError(f"Nothing was launched: {'; '.join(problems[:_MOST_PROBLEMS])}{more}")
    return rows


def _check_columns(columns: list[str], placeholders: Collection[str]) -> None:
    doubled = sorted({column for column in columns if columns.count(column) > 1})
    missing = [name for name in placeholders if name not in columns]
    unknown = [each for each in columns if each not in placeholders and each != _NAME]
    for names, problem in (
        (doubled, "The table has columns twice"),
        (missing, "The table lacks the columns"),
        (unknown, "The version has no placeholders for the columns"),
    ):
        if names:
            raise ValueError(f"{problem}: {', '.join(map(repr, names))}")
