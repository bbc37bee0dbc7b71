"""Text tables (CSV, TSV and the like), read so strictly that no stray quote can hide a row.

Each line of the file is a row. A quote opens a cell, closes it, or is doubled within it, so every
line has an even number of quotes. A missing or extra quote is therefore found on its own line.
"""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Union

from libica.openapi.libtes import ApiValueError

from .cells import Line, Table, Unfit, heading

Path = Union[str, "os.PathLike[str]"]

_ENCODINGS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # must precede UTF-16, whose mark is a prefix of this one
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF32_BE, "utf-32"),
)
_SEP = re.compile(r'"?sep=(.)"?[,;\t ]*', re.IGNORECASE)  # a first line that Excel understands
_QUOTES = "'\u2018\u2019\u201c\u201d\u201e"  # quotation marks that do not quote cells
_CELL = {
    each: re.compile(rf'(?:"([^"]*(?:""[^"]*)*)"|([^"{each}]*))({each}|\Z)') for each in ",\t;"
}


class _QuoteError(ValueError):
    """A quote is misplaced; ``args`` are the reason and the cells before it."""


def read(path: Path, fits: Callable[[Sequence[str]], bool]) -> Table:
    """Read a text table; the file stays open until all lines are read.

    Args:
        path: A file with values separated by commas, tabs or semicolons, in UTF-8, UTF-16 or
            UTF-32.
        fits: Returns whether headings are those of a table of launches; chooses the separator.

    Raises:
        ApiValueError: The encoding is not one of these, or the first line is malformed.
    """
    lines = ((number, line) for number, line in _lines(path) if line.strip())
    number, line = next(lines, (1, ""))
    marked = _SEP.fullmatch(line)
    if marked:
        number, line = next(lines, (number, ""))
    delimiters = marked[1] if marked else "".join(_CELL)
    found = {each: _headings(line, each) for each in delimiters if each in _CELL}
    readable = {each: columns for each, columns in found.items() if isinstance(columns, list)}
    if not readable:
        why = next(iter(found.values()), "cells must be separated by commas, tabs or semicolons")
        raise ApiValueError(f"{os.fspath(path)}, line {number}: {why}")
    best = max(readable, key=lambda each: (fits(readable[each]), len(readable[each])))
    return Table(readable[best], _rows(lines, best))


def _headings(line: str, delimiter: str) -> Union[list[str], str]:
    """Return the headings, or the reason why the line cannot be read."""
    try:
        return [heading(cell) for cell in split(line, delimiter, bare=str)]
    except _QuoteError as error:
        return str(error.args[0])


def split(line: str, delimiter: str, bare: Callable[[str], object]) -> list[object]:
    """Return the cells of a line; unquoted cells are passed through ``bare``.

    Raises:
        _QuoteError: A quote is misplaced.
    """
    if '"' not in line:
        return [bare(cell) for cell in line.split(delimiter)]
    cells: list[object] = []
    end, more = 0, delimiter
    while more:
        found = _CELL[delimiter].match(line, end)
        if not found:
            raise _QuoteError(_misplaced(line[end:], len(cells) + 1), cells)
        quoted, plain, more = found.groups()
        cells.append(bare(plain) if quoted is None else quoted.replace('""', '"'))
        end = found.end()
    return cells


def _misplaced(rest: str, cell: int) -> str:
    """Describe the misplaced quote."""
    if not rest.startswith('"'):
        return f"cell {cell} contains a quote but does not start with one"
    if not re.match('"[^"]*(?:""[^"]*)*"(?!")', rest):
        return f"the opening quote of cell {cell} is not closed on its line; no cell may span lines"
    return f"text follows the closing quote of cell {cell}; double each quote within a cell"


def _bare(cell: str) -> Union[str, Unfit]:
    """Return an unquoted cell, or why its text is ambiguous."""
    inner = cell.strip()
    if inner != cell and inner:
        return Unfit("has surrounding spaces: remove them, or quote the cell to keep them")
    if len(cell) > 1 and cell[0] in _QUOTES and cell[-1] in _QUOTES:
        found = cell[0] + cell[-1]
        return Unfit(f'is quoted with {found}: use "", or put "" around the cell to keep {found}')
    return cell


def _rows(lines: Iterator[tuple[int, str]], delimiter: str) -> Iterator[Line]:
    return (_row(number, line, delimiter) for number, line in lines)


def _row(number: int, line: str, delimiter: str) -> Line:
    try:
        return Line(split(line, delimiter, _bare), number)
    except _QuoteError as error:
        why, cells = error.args
        return Line(cells, number, why)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines without line ends, numbered from 1."""
    with open(path, "rb") as binary:
        start = binary.read(4)
    encoding = next((name for mark, name in _ENCODINGS if start.startswith(mark)), "")
    if not encoding:
        zeros = start[:2].find(b"\0")
        encoding = {0: "utf-16-be", 1: "utf-16-le"}.get(zeros, "utf-8")
    number = 0
    try:
        with open(path, encoding=encoding, newline="") as file:
            for number, line in enumerate(file, 1):
                yield number, _without_end(line)
    except UnicodeError as error:
        number = _undecodable(path) if encoding.startswith("utf-8") else number + 1
        where = f"{os.fspath(path)}, line {number}"
        raise ApiValueError(f"{where} is not {encoding.upper()}: save it as UTF-8") from error


def _without_end(line: str) -> str:
    return line[:-2] if line.endswith("\r\n") else line.rstrip("\r\n")


def _undecodable(path: Path) -> int:
    """Return the number of the first line that is not UTF-8.

    The decoder reads ahead in blocks, so the line at which it failed may be a later one.
    """
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
        broken = (
            number for number, line in enumerate(file, 1) if re.search("[\udc80-\udcff]", line)
        )
        return next(broken, 1)
