"""Text tables: read exactly as written, or refused with the line number."""

from __future__ import annotations

import codecs
import csv
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libica.openapi import libtes

from ..helpers import many_examples
from .tables import ROW, problems, read, refusal

PROPERTY = settings(many_examples, suppress_health_check=[HealthCheck.function_scoped_fixture])


def write(folder: Path, content: Any, encoding: str = "utf-8") -> Path:
    path = folder / "cohort.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


# Accepted


@pytest.mark.parametrize(
    "text",
    [
        "name,x,y\ra,1,2\r",
        "name,x,y\r\na,1,2\r\n\r\n",
        "x\ty\tname\n1\t2\ta",
        "x;NAME;y\n1;a;2\n",
        'y,x,name\n"2",1,"a"\n',
        "\n\n name , x,\ty\n\na,1,2\n",
        "sep=;\nname;x;y\na;1;2\n",
        "sep=\t\nname\tx\ty\na\t1\t2\n",
        '"sep=,",,\nname,x,y\na,1,2\n',
        # Excel writes empty rows and columns.
        "name,x,y,,\na,1,2,,\n,,,,\n",
        "name,x,,y\na,1,,2\n",
        "name;x;y\n;;\na;1;2\n  ; ;\n",
    ],
)
def test_a_table_is_read_by_its_headings(text: str, tmp_path: Path) -> None:
    path = write(tmp_path, text)
    assert read(path) == read(str(path)) == [ROW]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_the_encoding_is_detected(encoding: str, tmp_path: Path) -> None:
    for mark in ("", "\ufeff")["32" in encoding :]:
        path = write(tmp_path, f"{mark}name,x,y\nä€😀,1,2\n", encoding)
        assert read(path) == [("ä€😀", "1", "2")]


def test_cells_are_sent_as_written_and_names_may_be_arguments_too(tmp_path: Path) -> None:
    path = write(tmp_path, 'name,x,y\n007,1431.0,\na,"",1\n')
    expected = [("007", "007", "1431.0", ""), ("a", "a", "", "1")]
    assert read(path, ["name", "x", "y"], allow_empty=True) == expected
    told = [each.partition(" (to")[0] for each in problems(path, ["name", "x", "y"])]
    assert told == ["line 2 ('007'): y is empty", "line 3 ('a'): x is empty"]


# Refused

AMBIGUOUS = {
    'b,"3,4': "line 3 ('b'): the opening quote of cell 2 is not closed on its line; no cell may",
    '"b,3,4': "line 3: the opening quote of cell 1 is not closed on its line",
    'b,3,4"': "line 3 ('b'): cell 3 contains a quote but does not start with one",
    'b, "3",4': "line 3 ('b'): cell 2 contains a quote but",
    'b,"3"x,4': "line 3 ('b'): text follows the closing quote of cell 2",
    'b,"3","4""': "line 3 ('b'): the opening quote of cell 3 is not closed",
    "b": "line 3 ('b'): has 1 cell, but the table has 3 columns",
    "b,3,4,,5,": "line 3 ('b'): has 6 cells, but the table has 3 columns",
    "b,3, ": "line 3 ('b'): y has only white space",
    ",3,4": "line 3: has no name",
    "b, 3,4": "line 3 ('b'): x has surrounding spaces",
    "b ,3,4": "line 3: the name has surrounding spaces",
    "b,'3',4": "line 3 ('b'): x is quoted with ''",
    "b,\u201c3\u201d,4": "line 3 ('b'): x is quoted with \u201c\u201d",
    "b,3,nan": "line 3 ('b'): y is the text 'nan', which represents a missing value",
    "NaT,3,4": "line 3: the name is the text 'NaT'",
    "b,#N/A,4": "line 3 ('b'): x is the text '#N/A'",
    "b,\ufeff3,4": "line 3 ('b'): x contains the invisible character U+FEFF",
    "b,3\0,4": "line 3 ('b'): x contains the invisible character U+0000",
    "a,3,4": "line 3 ('a'): has the same name as line 2",
    "b\x0bc,3,4": "line 3 ('b\\x0bc'): the name contains a line break",
}
BALANCED = 'name,x,y\ns1,1,2\ns2,"1,2\ns3,1,2\ns4,1",2\ns5,1,2'
EMPTY_COLUMNS = "\ufeffsep=,\r\n\r\nname,x,y,,\r\n\r\n,,\r\na,1,2,\r\nb,1,2,,,\r\nc,1,2,,3\r\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *((f"name,x,y\na,1,2\n{row}\nc,5,6\n", [told]) for row, told in AMBIGUOUS.items()),
        (BALANCED, ["line 3 ('s2'): the opening", "line 5 ('s4'): cell 2 contains a quote"]),
        # A row has all of the empty columns at the end, or none.
        (EMPTY_COLUMNS, [f"line {n} ('{name}'): has" for n, name in enumerate("abc", 6)]),
        (
            "name,x,y\na, ,1\n,1,2\n",
            ["line 2 ('a'): x has only white space", "line 3: has no name"],
        ),
    ],
)
def test_an_ambiguous_row_is_told_by_line(text: str, expected: list[str], tmp_path: Path) -> None:
    found = problems(write(tmp_path, text), allow_empty=True)
    assert [each[: len(start)] for each, start in zip(found, expected)] == expected
    assert len(found) == len(expected)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name,x,y\nä,1,2\n".encode("latin-1"), "cohort.csv, line 2 is not UTF-8: save it as"),
        (codecs.BOM_UTF16_LE + b"n\0a", "is not UTF-16"),
        (b'name,"x,y\na,1,2', "cohort.csv, line 1: the opening quote of cell 2 is not closed"),
        (b"sep=|\nname|x|y\na|1|2", "cells must be separated by commas, tabs or semicolons"),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
            "is an old or encrypted Excel file: save it as .xlsx",
        ),
        (b"", "no column 'name' with the names of the runs; the table has no columns"),
        (b"\n \n", "the table has no columns"),
    ],
)
def test_what_is_no_text_table_is_an_error(content: bytes, message: str, tmp_path: Path) -> None:
    assert message in refusal(write(tmp_path, content))


# Properties

cells = st.text(st.sampled_from("ab1\"',;\t|\\ \n\x0bé\ufeff"), max_size=5)
tables = st.lists(st.tuples(cells, cells, cells), max_size=5)
dialects = st.fixed_dictionaries(
    {
        "delimiter": st.sampled_from(",;\t|"),
        "quotechar": st.sampled_from("\"'"),
        "quoting": st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL, csv.QUOTE_NONNUMERIC]),
        "lineterminator": st.sampled_from(["\n", "\r\n", "\r"]),
        "doublequote": st.just(True),
    }
)


def written(rows: Any, dialect: Any) -> str:
    file = io.StringIO()
    csv.writer(file, **dialect).writerows([("name", "x", "y"), *rows])
    return file.getvalue()


@PROPERTY
@given(rows=tables, dialect=dialects)
def test_a_table_of_csv_is_read_back_or_refused(rows: Any, dialect: Any, tmp_path: Path) -> None:
    # In a file of single quotes, "" would be two characters; older Pythons quote no other breaks.
    quote, end = dialect["quotechar"], dialect["lineterminator"]
    rows = [tuple(each.replace('"', quote).replace("\n", end) for each in row) for row in rows]
    try:
        found = read(write(tmp_path, written(rows, dialect)), allow_empty=True)
    except libtes.ApiValueError:
        return
    assert found == [row for row in rows if any(cell.strip() for cell in row)]


plain = st.text(st.sampled_from("ab1,;\"' é"), min_size=1, max_size=6).map("<{}>".format)
row = st.tuples(plain, plain, plain)
plain_tables = st.lists(row, min_size=1, max_size=5, unique_by=lambda row: row[0])
plain_dialects = dialects.filter(lambda each: each["quotechar"] == '"' and each["delimiter"] != "|")


@PROPERTY
@given(rows=plain_tables, dialect=plain_dialects, data=st.data())
def test_every_changed_quote_is_noticed(rows: Any, dialect: Any, data: Any, tmp_path: Path) -> None:
    text = written(rows, dialect)
    assert read(write(tmp_path, text)) == rows
    at = data.draw(st.integers(0, len(text) - 1))
    if text[at] == '"':
        instead = data.draw(st.sampled_from(["", "'", "x", ",", '""']))
    else:
        instead = '"' + data.draw(st.sampled_from(["", text[at]]))
    path = write(tmp_path, text[:at] + instead + text[at + 1 :])
    with pytest.raises(libtes.ApiValueError, match="quote"):
        read(path)
