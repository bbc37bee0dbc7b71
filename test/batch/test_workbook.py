"""Excel workbooks: the shown text is sent, and ambiguous cells are refused."""

from __future__ import annotations

import datetime
import io
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libica.openapi import libtes

from .tables import ROW, problems, read, refusal

openpyxl: Any = pytest.importorskip("openpyxl")
HEAD = ["name", "x", "y"]


def write(folder: Path, *rows: list[Any], **cells: Any) -> Path:
    """Write a workbook; a cell is a value, or a value and the format it is shown in."""
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    for place, value in cells.items():
        value, shown = value if isinstance(value, tuple) else (value, "")
        book.active[place] = value
        if shown:
            book.active[place].number_format = shown
    path = folder / "cohort.xlsx"
    book.save(path)
    return path


def test_numbers_are_sent_as_excel_shows_them(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        [],
        [" name", None, "x ", "y", None],
        [],
        ["a", "", 1431, "007", " "],
        ["b", None, 1431.0, 0.5],
        ["c", None, 0.1 + 0.2, -3],
        [7, None, 123456789012345, "1\n2"],
        ["d", None, 3],
        G12=("", "@"),
        A13=(None, "@"),
        H20=" ",
    )
    assert read(path, allow_empty=True) == [
        ("a", "1431", "007"),
        ("b", "1431", "0.5"),
        ("c", "0.3", "-3"),
        ("7", "123456789012345", "1\n2"),
        ("d", "3", ""),
    ]


REFUSED: list[tuple[list[Any], list[str]]] = [
    ([[], HEAD, [], ["a", 1, 2], ["b", 3]], ["line 5 ('b'): y is empty (to allow that,"]),
    ([HEAD, ["a", 1, 2, None, 5], [None, 3, 4]], ["line 2 ('a'): has 5 cells", "line 3: has no"]),
    ([["name", None, "x", "y"], ["a", "?", 1, 2]], ["line 2 ('a'): cell 2 is in a column without"]),
    ([HEAD, ["a\nb", 1, 2]], ["line 2 ('a\\nb'): the name contains a line break"]),
]
AMBIGUOUS = [
    (datetime.datetime(2024, 9, 2), "x is a date or time in Excel, not text"),
    (datetime.time(9, 2), "x is a date or time in Excel, not text"),
    (True, "x is of type bool in Excel, not text"),
    ((0.05, "0%"), "x is a number shown as '0%'"),
    ((42, "00000"), "x is a number shown as '00000'"),
    ((1.5, "0"), "x is a number shown as '0'"),
    ((1431, "#,##0"), "x is a number shown as '#,##0'"),
    (1.23456789012346e18, "x is a number of more than 15 digits, which Excel rounds"),
    ("=A2&1", "x is a formula without a stored value: open the file in Excel and save it"),
    ("#REF!", "x is the text '#REF!', which represents a missing value"),
    ("nan", "x is the text 'nan', which represents a missing value"),
]


@pytest.mark.parametrize(
    ("rows", "cells", "expected"),
    [
        *((rows, {}, expected) for rows, expected in REFUSED),
        *(
            ([HEAD, ["a", 1, 2]], {"B2": cell}, [f"line 2 ('a'): {told}"])
            for cell, told in AMBIGUOUS
        ),
    ],
)
def test_ambiguous_rows_and_cells_are_refused_with_the_line_in_excel(
    rows: Any, cells: dict[str, Any], expected: list[str], tmp_path: Path
) -> None:
    found = problems(write(tmp_path, *rows, **cells))
    assert [each[: len(start)] for each, start in zip(found, expected)] == expected
    assert len(found) == len(expected)


def test_the_value_of_a_formula_is_sent(tmp_path: Path) -> None:
    path = write(tmp_path, HEAD, ["a", "=1+0", 2])
    made = io.BytesIO()  # a workbook with a stored value, which openpyxl cannot write
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            sheet = old.read(name)
            new.writestr(name, re.sub(rb"(?<=</f>)<v(></v| ?/)>", b"<v>1</v>", sheet))
    path.write_bytes(made.getvalue())
    assert read(path) == [ROW]


def test_only_one_sheet_may_have_data(tmp_path: Path) -> None:
    path = write(tmp_path, HEAD, ["a", 1, 2])
    book = openpyxl.load_workbook(path)
    notes = book.create_sheet("Notes", 0)
    book.save(path)
    assert read(path) == [ROW]
    notes["C3"] = "by hand"
    book.save(path)
    assert "has several sheets with data, 'Notes', 'Sheet': keep one" in refusal(path)


def test_a_workbook_is_told_by_its_content_and_not_by_its_name(tmp_path: Path) -> None:
    path = write(tmp_path, HEAD, ["a", 1, 2])
    assert read(path.rename(tmp_path / "cohort.csv")) == [ROW]
    path.write_bytes(b"PK\3\4 and no more")
    assert "cohort.xlsx cannot be read as an .xlsx workbook" in refusal(path)
    path.write_bytes(b"name,x,y\na,1,2\n")
    assert read(path) == [ROW]
    assert "the table has no columns" in refusal(write(tmp_path))


@pytest.mark.slow
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    place=st.floats(0, 1, exclude_max=True),
    change=st.integers(1, 255),
    length=st.just(1.0) | st.floats(0.5, 1),
)
def test_a_damaged_workbook_is_read_as_it_was_or_refused(
    place: float, change: int, length: float, tmp_path: Path
) -> None:
    path = write(tmp_path, HEAD, ["a", 1, 2], ["b", "x", "y"])
    book = bytearray(path.read_bytes())
    book[int(place * len(book))] ^= change
    path.write_bytes(book[: round(length * len(book))])
    try:
        found = read(path)
    except libtes.ApiValueError:
        return
    assert found == [ROW, ("b", "x", "y")]
