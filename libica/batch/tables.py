"""Reads launches from files, data frames, rows and requests, one at a time."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple, Optional, Union

from libica.openapi.libtes import ApiTypeError, ApiValueError, LaunchTaskRequest
from libica.openapi.libtes.exceptions import kind

from . import delimited, workbook
from .cells import Line, Table, Unfit, Wholes, heading, is_blank, text

FIELDS = {name.lower(): name for name in LaunchTaskRequest.attribute_map.values()}
"""The JSON names of a request's fields, by their lower-case form."""

_NO_ROWS = (Mapping, bytes, io.IOBase)  # iterable, but not over launches
_ZIP = b"PK\x03\x04"
_OLD_EXCEL = b"\xd0\xcf\x11\xe0"


class Problem(NamedTuple):
    """Why a launch cannot be sent, or a table cannot be used.

    Attributes:
        row: Number of the launch, starting at 1; `None` if the whole table is concerned.
        name: Name of the run, if it has one.
        text: The problem.
        line: Line number in the file, or row number in Excel, starting at 1; `None` if the
            launches do not come from a file.
    """

    row: Optional[int]
    name: Optional[str]
    text: str
    line: Optional[int] = None

    @property
    def place(self) -> str:
        """The line (without a file, the row) and the name."""
        if self.row is None:
            return "table" if self.line is None else f"line {self.line}"
        name = f" ({self.name!r})" if self.name else ""
        return f"row {self.row}{name}" if self.line is None else f"line {self.line}{name}"

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


class Given(NamedTuple):
    """A launch as given, not yet checked.

    Attributes:
        row: Number of the launch, starting at 1.
        request: The request as given, of any type.
        wanted: The placeholders that need an argument.
        line: Line number in the file, if it comes from one.
    """

    row: int
    request: object
    wanted: Sequence[str]
    line: Optional[int] = None


class _Layout(NamedTuple):
    """The meaning of the cells of a row.

    Attributes:
        labels: The headings without surrounding spaces; empty for a column without a heading.
        name: Position of the name; `None` if no column has names.
        arguments: For each placeholder, the position of its argument.
        surplus: The headings that match no placeholder.
        levels: Number of leading index cells.
    """

    labels: Sequence[str]
    name: Optional[int]
    arguments: Mapping[str, int]
    surplus: Sequence[str]
    levels: int = 0

    def misfit(self, cells: Sequence[object]) -> str:
        """Return why the cells of a row do not match the columns; empty if they match.

        A row may include or omit the empty columns at the end, all of them together. Any other
        number of cells is an error even if the extra ones are empty: an unquoted separator
        within a cell shifts the cells behind it.
        """
        count, columns = len(cells), len(self.labels)
        while columns and not self.labels[columns - 1]:
            columns -= 1
        extra = [at for at, cell in enumerate(cells[columns:], columns) if not is_blank(cell)]
        if count not in (columns, len(self.labels)) or extra:
            return f"has {count} cell{'s' * (count != 1)}, but the table has {columns} columns"
        for at in range(self.levels, columns):
            if not self.labels[at] and not is_blank(cells[at]):
                return f"cell {at + 1} is in a column without a heading"
        return ""


Found = Iterator[Union[Given, Problem]]
_Place = tuple[int, str, Optional[int]]


class Reader:
    """Reads launches.

    Args:
        wanted: The placeholders of the version.
        name_column: Heading of the column with the names of the runs. Default: ``name`` in any
            casing.
        ignore_columns: Headings of columns to ignore.
        allow_empty: Whether an empty cell is a valid argument.
    """

    def __init__(
        self,
        wanted: Sequence[str],
        name_column: Optional[str] = None,
        ignore_columns: Iterable[str] = (),
        allow_empty: bool = False,
    ) -> None:
        if isinstance(ignore_columns, str):
            raise ApiTypeError("ignore_columns must be a list of names, not one string")
        self._wanted = list(wanted)
        self._name_column = name_column
        self._ignored = set(ignore_columns)
        self._allow_empty = allow_empty

    def read(self, launches: Any) -> Found:
        """Yield the launches, and the problems of rows and of the table.

        Raises:
            ApiTypeError: Launches cannot be read from a value of this type.
            ApiValueError: The table cannot be read, or has no column of names.
        """
        table = self._table(launches)
        if table is not None:
            yield from self._of_table(table)
        elif isinstance(launches, Iterable) and not isinstance(launches, _NO_ROWS):
            yield from self._of_requests(launches)
        else:
            accepted = "an iterable of LaunchTaskRequest or dicts, a frame, or the path of a table"
            raise ApiTypeError(f"launches must be {accepted}, not {kind(launches)}")

    def _table(self, launches: Any) -> Optional[Table]:
        """Return the launches as a table; `None` if they are not a table."""
        if isinstance(launches, (str, os.PathLike)):
            return self._of_file(launches)
        if type(launches) is csv.DictReader:
            return Table(launches.fieldnames or [], _of_reader(launches.reader))
        if hasattr(launches, "collect_schema") and not hasattr(launches, "iter_rows"):
            launches = launches.collect()  # polars' LazyFrame
        if hasattr(launches, "iter_rows"):  # polars
            return Table(launches.columns, map(Line, launches.iter_rows()), exact=False)
        if hasattr(launches, "itertuples"):  # pandas
            return self._of_pandas(launches)
        if hasattr(launches, "to_pylist") and hasattr(launches, "schema"):  # pyarrow
            batches = launches.to_batches() if hasattr(launches, "to_batches") else [launches]
            lists = ([each.to_pylist() for each in batch.columns] for batch in batches)
            rows = chain.from_iterable(zip(*columns) for columns in lists)
            return Table(launches.schema.names, map(Line, rows), exact=False)
        return None

    def _of_file(self, path: Union[str, os.PathLike[str]]) -> Table:
        with open(path, "rb") as file:
            start = file.read(4)
        if start == _OLD_EXCEL:
            raise ApiValueError(
                f"{os.fspath(path)} is an old or encrypted Excel file: save it as .xlsx or CSV"
            )
        if start == _ZIP:
            return workbook.read(path)
        return delimited.read(path, lambda columns: bool(self._names(columns)))

    def _of_pandas(self, frame: Any) -> Table:
        """Return a pandas frame as a table whose first columns are the index."""
        columns = list(frame.columns)
        levels = [None if each in columns else each for each in frame.index.names]
        columns = [*levels, *columns]
        name = None
        if self._name_column is None and not self._names(columns) and len(frame.index):
            # Without a column of names, an index of strings is taken as the names.
            name = 0 if all(isinstance(each, str) for each in frame.index) else None
        rows = frame.itertuples(index=True, name=None)
        if len(levels) > 1:
            rows = ((*first, *rest) for first, *rest in rows)
        return Table(columns, map(Line, rows), exact=False, levels=len(levels), name=name)

    def _names(self, columns: Sequence[object]) -> list[int]:
        """Return the positions of the columns that may have the names of the runs."""
        labels = [heading(each) for each in columns]
        if self._name_column is not None:
            return [at for at, each in enumerate(labels) if each == self._name_column.strip()]
        return [at for at, each in enumerate(labels) if each.lower() == "name"]

    def _layout(
        self, columns: Sequence[object], levels: int = 0, name: Optional[int] = None
    ) -> _Layout:
        """Return the meaning of the cells below these headings.

        Raises:
            ApiValueError: Two headings are equal, or several columns may have the names.
        """
        labels = [heading(each) for each in columns]
        names = self._names(columns) if name is None else [name]
        if len(names) > 1:
            found = _quoted(labels[each] for each in names)
            raise ApiValueError(
                f"several columns may have the names of the runs: {found}; choose one with "
                "name_column=..."
            )
        name = names[0] if names else None
        arguments: dict[str, int] = {}
        surplus: list[str] = []
        for at, label in enumerate(labels):
            if not label or label in self._ignored:
                continue
            if label in arguments or label in surplus:
                found = _quoted(filter(None, labels))
                raise ApiValueError(f"two columns are named {label!r}; the table has {found}")
            if label in self._wanted:
                arguments[label] = at
            elif at != name and at >= levels:
                surplus.append(label)
        return _Layout(labels, name, arguments, surplus, levels)

    def _of_table(self, table: Table) -> Found:
        layout = self._layout(table.columns, table.levels, table.name)
        if layout.name is None:
            looked = "name" if self._name_column is None else self._name_column
            found = _quoted(filter(None, layout.labels)) or "no columns"
            raise ApiValueError(
                f"no column {looked!r} with the names of the runs; the table has {found}; choose "
                "one with name_column=..."
            )
        yield from self._surplus(layout.surplus)
        missing = [each for each in self._wanted if each not in layout.arguments]
        if missing:
            ignored = [each for each in missing if each in self._ignored]
            why = f"; ignore_columns excludes {_quoted(ignored)}" if ignored else ""
            yield Problem(None, None, f"no column for the placeholders {_quoted(missing)}{why}")
        wanted = list(layout.arguments)
        wholes: Wholes[_Place] = Wholes(table.exact)
        row = 0
        for line in table.lines:
            if line.broken or not all(map(is_blank, line.cells)):
                row += 1
                yield self._of_row(row, layout, line, wanted, wholes)
        yield from _whole(wholes)

    def _of_requests(self, launches: Iterable[object]) -> Found:
        """Yield requests unchanged; treat dicts whose keys are columns as rows of a table."""
        layouts: dict[tuple[object, ...], _Layout] = {}
        wholes: Wholes[_Place] = Wholes(exact=True)
        for row, request in enumerate(launches, 1):
            if not isinstance(request, Mapping) or not self._is_flat(request):
                yield Given(row, request, self._wanted)
                continue
            keys = tuple(request)
            if keys not in layouts:
                layouts[keys] = self._layout(keys)
            line = Line(list(request.values()))
            yield self._of_row(row, layouts[keys], line, self._wanted, wholes)
        surplus = chain.from_iterable(each.surplus for each in layouts.values())
        yield from self._surplus(list(dict.fromkeys(surplus)))
        yield from _whole(wholes)

    def _is_flat(self, request: Mapping[Any, object]) -> bool:
        """Return whether the keys are columns, not the fields of a request."""
        for key in request:
            if str(key).lower() == "arguments":
                return key in self._wanted and isinstance(request[key], str)
        fields = [key for key in request if str(key).lower() in FIELDS]
        return len(fields) < len(request) or any(
            key in self._wanted for key in fields if str(key).lower() != "name"
        )

    def _of_row(
        self, row: int, layout: _Layout, line: Line, wanted: Sequence[str], wholes: Wholes[_Place]
    ) -> Union[Given, Problem]:
        cells, at = line.cells, layout.name
        name = text(cells[at]) if at is not None and at < len(cells) else ""
        shown = name if isinstance(name, str) else ""
        broken = line.broken or layout.misfit(cells)
        if broken:
            return Problem(row, shown, broken, line.number)
        found = [f"the name {name.why}"] if isinstance(name, Unfit) else []
        arguments = {}
        for label, each in layout.arguments.items():
            value = arguments[label] = text(cells[each])
            if each == at:
                continue  # already checked as the name
            wholes.see((row, shown, line.number), label, cells[each])
            if isinstance(value, Unfit):
                found.append(f"{label} {value.why}")
            elif value and is_blank(value):
                found.append(f"{label} has only white space")
            elif not value and not self._allow_empty:
                found.append(f"{label} is empty (to allow that, pass allow_empty=True)")
        if at is not None:
            wholes.see((row, shown, line.number), layout.labels[at] or "the name", cells[at])
        if found:
            return Problem(row, shown, "; ".join(found), line.number)
        return Given(row, {"name": name, "arguments": arguments}, wanted, line.number)

    def _surplus(self, columns: Sequence[str]) -> Found:
        if columns:
            version = f"the version has {_quoted(self._wanted)}" if self._wanted else "it has none"
            yield Problem(
                None,
                None,
                f"no placeholder for the columns {_quoted(columns)} ({version}); to ignore them, "
                f"pass ignore_columns={list(columns)!r}",
            )


def _whole(wholes: Wholes[_Place]) -> Found:
    for column, (row, name, line) in wholes.found().items():
        why = "has integers stored as floats, such as 1431.0: convert them to integers (pandas: "
        how = "astype('Int64')); to send the .0, use a text file or LaunchTaskRequest"
        yield Problem(row, name, f"{column} {why}{how}", line)


def _of_reader(reader: Any) -> Iterator[Line]:
    """Yield the rows of a csv.reader; it silently joins lines at an unbalanced quote."""
    before = reader.line_num
    try:
        for cells in reader:
            broken = ""
            if reader.line_num > before + 1 or any("\n" in each or "\r" in each for each in cells):
                broken = "a quoted cell spans several lines; look for an unbalanced quote"
            yield Line(cells, before + 1, broken)
            before = reader.line_num
    except csv.Error as error:
        raise ApiValueError(f"line {reader.line_num} of the table: {error}") from error


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))
