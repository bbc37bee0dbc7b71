"""Excel workbooks: each cell is read as the text that Excel shows, or refused."""

from __future__ import annotations

import os
import warnings
import zlib
from collections.abc import Iterator
from importlib import import_module
from typing import Any, Union
from zipfile import BadZipFile

from libica.openapi.libtes import ApiValueError
from libica.openapi.libtes.exceptions import kind

from .cells import Line, Table, Unfit, is_blank

_BROKEN = (
    *(BadZipFile, zlib.error, EOFError, NotImplementedError),
    *(LookupError, ValueError, TypeError, AttributeError, SyntaxError),
)
"""Exceptions that openpyxl and the modules below it raise for damaged files."""

_DIGITS = 15
"""Number of digits that Excel stores and shows of a number."""


def read(path: Union[str, os.PathLike[str]]) -> Table:
    """Read the only sheet of a workbook that is not empty.

    Raises:
        ApiValueError: It is not an .xlsx workbook, or several sheets are not empty.
        ModuleNotFoundError: openpyxl is not installed.
    """
    lines = _lines(path)
    for line in lines:
        if not all(map(is_blank, line.cells)):
            columns = [cell.why if isinstance(cell, Unfit) else cell for cell in line.cells]
            return Table(columns, (_padded(each, len(columns)) for each in lines))
    return Table([], [])


def _padded(line: Line, count: int) -> Line:
    """Return a row with its trailing empty cells cut or filled up to this number of cells."""
    cells = list(line.cells)
    while len(cells) > count and is_blank(cells[-1]):
        cells.pop()
    return line._replace(cells=[*cells, *[""] * (count - len(cells))])


def _lines(path: Union[str, os.PathLike[str]]) -> Iterator[Line]:
    """Yield the rows, numbered as in Excel."""
    try:
        load: Any = import_module("openpyxl").load_workbook
    except ModuleNotFoundError as error:
        if error.name == "openpyxl":
            error.msg += "; it comes with: pip install 'libica-libtes[excel]'"
        raise
    try:
        # The first has the formulas, the second their values when the file was saved.
        with open(path, "rb") as first, open(path, "rb") as second:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about styles and the like
                formulas = load(first, read_only=True)
                values = load(second, read_only=True, data_only=True)
            title = _filled(formulas, path)
            pairs = zip(_rows(formulas[title]), _rows(values[title])) if title else ()
            for number, pair in enumerate(pairs, 1):
                yield Line([_shown(*cells) for cells in zip(*pair)], number)
    except ApiValueError:
        raise
    except _BROKEN as error:
        raise ApiValueError(f"{os.fspath(path)} cannot be read as an .xlsx workbook") from error


def _filled(book: Any, path: Union[str, os.PathLike[str]]) -> str:
    """Return the title of the only sheet that is not empty; an empty string if all are empty."""
    filled = [sheet.title for sheet in book.worksheets if any(map(_is_filled, _rows(sheet)))]
    if len(filled) > 1:
        found = ", ".join(map(repr, filled))
        how = "keep one, or read it with pandas.read_excel(path, sheet_name=..., dtype=str)"
        raise ApiValueError(f"{os.fspath(path)} has several sheets with data, {found}: {how}")
    return filled[0] if filled else ""


def _rows(sheet: Any) -> Iterator[Any]:
    sheet.reset_dimensions()  # the dimensions stored in the file may be wrong
    found: Iterator[Any] = sheet.iter_rows()
    return found


def _is_filled(row: Any) -> bool:
    return any(cell.value is not None for cell in row)


def _shown(formula: Any, cell: Any) -> Union[str, Unfit]:
    """Return the text that Excel shows for a cell, or why it is ambiguous."""
    value = cell.value
    if value is None:
        if formula.value is None:
            return ""
        return Unfit("is a formula without a stored value: open the file in Excel and save it")
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        what = "a date or time" if hasattr(value, "isoformat") else f"of type {kind(value)}"
        return Unfit(f"is {what} in Excel, not text: format the cell as text and type it again")
    whole = value == int(value)
    if cell.number_format not in ("General", "@", *["0"] * whole):
        return Unfit(f"is a number shown as {cell.number_format!r}: format it as General or text")
    if isinstance(value, float) and abs(value) >= 10**_DIGITS:
        return Unfit(f"is a number of more than {_DIGITS} digits, which Excel rounds: make it text")
    return str(int(value)) if whole else format(value, f".{_DIGITS}g")
