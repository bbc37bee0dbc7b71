"""What holds launches, be it what it may: files, frames, rows and requests, one by one."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple, Optional, Union

from libica.openapi.libtes import ApiTypeError, ApiValueError, LaunchTaskRequest

from . import delimited, workbook
from .cells import Line, Table, Unfit, Wholes, heading, is_blank, text

FIELDS = {name.lower(): name for name in LaunchTaskRequest.attribute_map.values()}
"""The JSON names of a request's fields, by their lowercase."""

_NO_ROWS = (Mapping, bytes, io.IOBase)  # though they can be iterated over
_ZIP = b"PK\x03\x04"
_OLD_EXCEL = b"\xd0\xcf\x11\xe0"


class Problem(NamedTuple):
    """Why a launch cannot be sent, or a table not be used.

    Attributes:
        row: Which launch it is, the first being 1; `None` if it concerns the whole table.
        name: The name of its run, if it has one.
        text: What is wrong.
        line: The line of the file, or the row as Excel counts it, the first being 1; none where
            the launches come from no file.
    """

    row: Optional[int]
    name: Optional[str]
    text: str
    line: Optional[int] = None

    @property
    def place(self) -> str:
        """Where it is: the line, or else the row, and the name."""
        if self.row is None:
            return "table" if self.line is None else f"line {self.line}"
        name = f" ({self.name!r})" if self.name else ""
        return f"row {self.row}{name}" if self.line is None else f"line {self.line}{name}"

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


class Given(NamedTuple):
    """A launch as it was given.

    Attributes:
        row: Which it is, the first being 1.
        request: What is to be its request.
        wanted: The placeholders that it must have arguments for.
        line: The line of the file.
    """

    row: int
    request: object
    wanted: Sequence[str]
    line: Optional[int] = None


class _Layout(NamedTuple):
    """What the cells of a row are.

    Attributes:
        labels: The headings, without blanks around them; empty where there is none.
        name: Which cell is the name; `None` if no column has names.
        arguments: The placeholders, each with the cell that is its argument.
        surplus: The headings that fit no placeholder.
        levels: How many of the first cells are an index.
    """

    labels: Sequence[str]
    name: Optional[int]
    arguments: Mapping[str, int]
    surplus: Sequence[str]
    levels: int = 0

    def misfit(self, cells: Sequence[object]) -> str:
        """Return why a row has not as many cells as there are columns, if so.

        It may lack, or have, all of the empty columns at the end. It may not have others, though
        they are empty: with a separator that is not quoted, its cells would be shifted.
        """
        count, columns = len(cells), len(self.labels)
        while columns and not self.labels[columns - 1]:
            columns -= 1
        extra = [at for at, cell in enumerate(cells[columns:], columns) if not is_blank(cell)]
        if count not in (columns, len(self.labels)) or extra:
            return f"has {count} cell{'s' * (count != 1)} for {columns} columns"
        for at in range(self.levels, columns):
            if not self.labels[at] and not is_blank(cells[at]):
                return f"cell {at + 1} has no heading above it"
        return ""


Found = Iterator[Union[Given, Problem]]
_Place = tuple[int, str, Optional[int]]


class Reader:
    """Reads launches.

    Args:
        wanted: The placeholders of the version.
        name_column: The column that holds the names of the runs; ``name`` in any casing if unset.
        ignore_columns: Columns that are left out.
        allow_empty: Whether an empty cell is an argument.
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
        """Yield the launches, and what is wrong with their rows or the table.

        Raises:
            ApiTypeError: It is nothing that holds launches.
            ApiValueError: The table cannot be read, or has no column for the names.
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
        """Return what has columns as a table."""
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
        """Return a frame as a table, in which the index comes first."""
        columns = list(frame.columns)
        levels = [None if each in columns else each for each in frame.index.names]
        columns = [*levels, *columns]
        name = None
        if self._name_column is None and not self._names(columns) and len(frame.index):
            # An index of texts: what else should it be?
            name = 0 if all(isinstance(each, str) for each in frame.index) else None
        rows = frame.itertuples(index=True, name=None)
        if len(levels) > 1:
            rows = ((*first, *rest) for first, *rest in rows)
        return Table(columns, map(Line, rows), exact=False, levels=len(levels), name=name)

    def _names(self, columns: Sequence[object]) -> list[int]:
        """Return which columns have the names of the runs."""
        labels = [heading(each) for each in columns]
        if self._name_column is not None:
            return [at for at, each in enumerate(labels) if each == self._name_column.strip()]
        return [at for at, each in enumerate(labels) if each.lower() == "name"]

    def _layout(
        self, columns: Sequence[object], levels: int = 0, name: Optional[int] = None
    ) -> _Layout:
        """Return what the cells below headings are.

        Raises:
            ApiValueError: A heading stands there twice, or several may be that of the names.
        """
        labels = [heading(each) for each in columns]
        names = self._names(columns) if name is None else [name]
        if len(names) > 1:
            found = _quoted(labels[each] for each in names)
            raise ApiValueError(
                f"several columns could be the names of the runs: {found}; choose one with "
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
                raise ApiValueError(f"two columns are called {label!r}; the table has {found}")
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
                f"no column {looked!r} for the names of the runs; the table has {found}; choose "
                "one with name_column=..."
            )
        yield from self._surplus(layout.surplus)
        missing = [each for each in self._wanted if each not in layout.arguments]
        if missing:
            ignored = [each for each in missing if each in self._ignored]
            why = f"; ignore_columns leaves out {_quoted(ignored)}" if ignored else ""
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
        """Yield requests as they are, and dicts whose keys are columns as rows."""
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
        """Tell whether the keys are columns, not the fields of a request."""
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
                continue  # the name is checked as such
            wholes.see((row, shown, line.number), label, cells[each])
            if isinstance(value, Unfit):
                found.append(f"{label} {value.why}")
            elif value and is_blank(value):
                found.append(f"{label} holds nothing but blanks")
            elif not value and not self._allow_empty:
                found.append(f"{label} is empty (allow_empty=True permits that)")
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
                f"no placeholder for the columns {_quoted(columns)} ({version}); to leave them "
                f"out, pass ignore_columns={list(columns)!r}",
            )


def _whole(wholes: Wholes[_Place]) -> Found:
    for column, (row, name, line) in wholes.found().items():
        why = "holds integers stored as floats, such as 1431.0: make them integers again (pandas: "
        how = "astype('Int64')); if the .0 is meant, use a text file or LaunchTaskRequests"
        yield Problem(row, name, f"{column} {why}{how}", line)


def _of_reader(reader: Any) -> Iterator[Line]:
    """Yield the rows of a csv.reader, which lets a quote swallow lines and says nothing."""
    before = reader.line_num
    try:
        for cells in reader:
            broken = ""
            if reader.line_num > before + 1 or any("\n" in each or "\r" in each for each in cells):
                broken = "a quoted cell spans several lines: is a quote unbalanced?"
            yield Line(cells, before + 1, broken)
            before = reader.line_num
    except csv.Error as error:
        raise ApiValueError(f"line {reader.line_num} of the table: {error}") from error


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))


def kind(value: object) -> str:
    """Return what a value is, for the text of an error."""
    return "None" if value is None else type(value).__name__
