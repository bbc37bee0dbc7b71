"""Tables in memory: frames, rows of dicts and csv readers, read or refused by the same rules."""

from __future__ import annotations

import csv
import datetime
import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libica.openapi import libtes

from .tables import ROW, WANTED, problems, read, refusal

pandas: Any = pytest.importorskip("pandas")
polars: Any = pytest.importorskip("polars")
pyarrow: Any = pytest.importorskip("pyarrow")

COLUMNS = {"x": ["1", "3"], "name": ["a", "b"], "y": ["2", "4"]}
ROWS = [ROW, ("b", "3", "4")]
X_IS_NAME = [("a", "a", "2"), ("b", "b", "4")]


def dicts(columns: dict[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(columns, row)) for row in zip(*columns.values())]


TYPED = {
    "pandas": pandas.DataFrame,
    "polars": polars.DataFrame,
    "lazy": polars.LazyFrame,
    "arrow": pyarrow.table,
}
COLUMNAR = {**TYPED, "batch": pyarrow.RecordBatch.from_pydict}
FRAMES = {**COLUMNAR, "dicts": dicts, "generator": lambda columns: iter(dicts(columns))}
each_frame = pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
each_typed_frame = pytest.mark.parametrize("frame", TYPED.values(), ids=TYPED)

# Accepted


@each_frame
def test_a_frame_is_read_by_its_columns(frame: Any) -> None:
    assert read(frame(COLUMNS)) == ROWS
    assert read(frame({" Name ": ["a"], "x ": ["1"], "\ufeffy": ["2"]})) == [ROW]
    integers = {"name": [7, 8], "x": [1431, -5], "y": [0, 2**60 + 1]}
    assert read(frame(integers)) == [("7", "1431", "0"), ("8", "-5", str(2**60 + 1))]
    fractions = {"name": ["a", "b"], "x": [0.1, 2.0], "y": [1e-9, 123456.789]}
    assert read(frame(fractions)) == [("a", "0.1", "1e-09"), ("b", "2.0", "123456.789")]


@each_frame
def test_another_column_may_have_the_names(frame: Any) -> None:
    table = frame({"name": ["1"], "y": ["2"], "sample": ["a"]})
    more = frame({"name": ["1"], "y": ["2"], "sample": ["a"], "x": ["1"]})
    assert read(more, name_column="sample", ignore_columns=["name"]) == [ROW]
    found = read(table, ["sample", "y"], name_column="sample", ignore_columns=["name"])
    assert found == [("a", "a", "2")]


def test_pandas_columns_of_any_type_of_texts_and_integers_are_read() -> None:
    frame = pandas.DataFrame({"name": ["a", "b"], "x": pandas.array([1, 2], "Int64"), "y": "z"})
    assert read(frame) == [("a", "1", "z"), ("b", "2", "z")]
    numpy = pytest.importorskip("numpy")
    columns = {"name": ["a"], "x": [numpy.int64(1)], "y": [numpy.str_("2")]}
    assert read(pandas.DataFrame(columns, dtype=object)) == [ROW]
    frame = pandas.DataFrame(COLUMNS).astype("category")
    assert read(frame) == read(polars.from_pandas(frame)) == ROWS


def test_an_index_and_its_levels_may_be_names_and_arguments_or_be_ignored() -> None:
    for label, found in {None: ROWS, "name": ROWS, "sample": ROWS, "x": X_IS_NAME}.items():
        columns = {key: COLUMNS[key] for key in ("x", "y") if key != label}
        frame = pandas.DataFrame(columns, index=pandas.Index(["a", "b"], name=label))
        assert read(frame) == found
        assert not label or read(frame, name_column=label) == found
    frame = pandas.DataFrame({**COLUMNS, "run": [1, 2]}).set_index(["run", "name", "x"])
    assert read(frame) == ROWS
    assert read(frame.set_index(frame.index.droplevel("run"))) == ROWS
    frame = pandas.DataFrame(COLUMNS)
    assert read(frame.set_index(pandas.Index([5, 7], name="row"))) == ROWS
    assert read(frame.set_index("name", drop=False)) == ROWS
    assert read(frame[frame["x"] == "3"]) == ROWS[1:]


def test_rows_and_requests_may_be_mixed() -> None:
    arguments = {"x": "1", "y": "2"}
    for first in (
        {"name": "a", "x": "1", "y": 2},
        {"Name": "a", "Arguments": arguments, "description": "d"},
        libtes.LaunchTaskRequest(name="a", arguments=arguments),
    ):
        assert read([first, {"name": "b", "x": "3", "y": "4"}]) == ROWS
    for key in ("description", "arguments", "acl"):  # placeholders may have the names of fields
        assert read([{"name": "a", key: "1"}], [key]) == [("a", "1")]
        assert read([{"name": "a", "arguments": {key: "1"}}], [key]) == [("a", "1")]


# Refused


UNCLEAR: list[tuple[dict[str, list[Any]], str]] = [
    ({"x": ["1", None]}, "row 2 ('b'): x has no value ("),
    ({"x": [1.5, float("nan")]}, "row 2 ('b'): x has no value ("),
    ({"name": ["a", None]}, "row 2: the name has no value ("),
    ({"name": ["a", "b\nc"]}, "row 2 ('b\\nc'): the name contains a line break"),
    ({"x": [5.0, 5.0]}, "row 1 ('a'): x has integers stored as floats, such as 1431.0"),
    ({"x": ["1", ""]}, "row 2 ('b'): x is empty (to allow that, pass allow_empty=True)"),
]


@each_frame
@pytest.mark.parametrize(("columns", "problem"), UNCLEAR)
def test_a_cell_without_a_clear_text_is_one_problem(frame: Any, columns: Any, problem: str) -> None:
    (found,) = problems(frame({**COLUMNS, **columns}))
    assert found.startswith(problem)


@each_frame
def test_an_empty_cell_is_an_argument_if_allowed(frame: Any) -> None:
    table = frame({**COLUMNS, "x": ["1", ""]})
    assert read(table, allow_empty=True) == [ROW, ("b", "", "4")]


def test_each_kind_of_missing_value_is_refused_also_as_text() -> None:
    for value in (pandas.NA, pandas.NaT, None, float("nan")):
        frame = pandas.DataFrame({"name": ["a"], "x": ["1"], "y": [value]}, dtype=object)
        (problem,) = problems(frame)
        assert problem.startswith("row 1 ('a'): y has no value")
        (problem,) = problems([{"name": "a", "x": "1", "y": str(value)}])
        assert problem.startswith(f"row 1 ('a'): y is the text {str(value)!r}, which represents a")


@each_typed_frame
def test_a_value_with_more_than_one_text_is_refused(frame: Any) -> None:
    for value in (True, datetime.date(2020, 1, 2), b"1", float("inf")):
        (problem,) = problems(frame({"name": ["a"], "x": [value], "y": ["2"]}))
        kind = f"must be text or a number, not {type(value).__name__}"
        assert problem == f"row 1 ('a'): x {'is infinite' if value == float('inf') else kind}"


@each_typed_frame
def test_a_column_of_texts_that_were_floats_is_refused(frame: Any) -> None:
    (problem,) = problems(frame({"name": ["a", "b"], "x": ["7", "1431.0"], "y": ["1.0", "1.1"]}))
    assert problem.startswith("row 2 ('b'): x has integers stored as floats")


@each_frame
def test_columns_and_placeholders_without_a_match_are_one_problem_each(frame: Any) -> None:
    columns = {**COLUMNS, "batch": ["-"] * 2, "Notes": [""] * 2}
    assert problems(frame(columns)) == [
        "table: no placeholder for the columns 'batch', 'Notes' (the version has 'x', 'y'); to "
        "ignore them, pass ignore_columns=['batch', 'Notes']"
    ]
    assert read(frame(columns), ignore_columns=["batch", "Notes"]) == ROWS
    if frame in COLUMNAR.values():  # the rows of others have keys of their own
        (problem,) = problems(frame(COLUMNS), ignore_columns=["y"])
        told = "table: no column for the placeholders 'y'"
        assert problem == f"{told}; ignore_columns excludes 'y'"
        assert told in problems(frame({"name": ["a"], "x": [""]}))


def test_a_key_that_a_row_lacks_is_a_problem_of_that_row() -> None:
    rows = [{"name": "a", "x": "1", "y": "2"}, {"name": "b", "x": "3"}, {"x": "1", "y": "2"}]
    assert problems(rows) == ["row 2 ('b'): no argument for y", "row 3: has no name"]


@each_typed_frame
def test_a_table_without_names_is_refused_with_its_columns(frame: Any) -> None:
    columns = {"sample": ["a"], "x": ["1"], "y": ["2"]}
    found = "the table has 'sample', 'x', 'y'; choose one with name_column=..."
    assert refusal(frame(columns)) == f"no column 'name' with the names of the runs; {found}"
    assert found in refusal(frame(columns), name_column="Sample")


@each_frame
def test_equal_headings_are_refused(frame: Any) -> None:
    assert "two columns are named 'x'" in refusal(frame({"name": ["a"], "x": ["1"], "x ": ["2"]}))
    found = refusal(frame({"name": ["a"], "Name": ["b"], "x": ["1"], "y": ["2"]}))
    assert found.startswith("several columns may have the names of the runs: 'name', 'Name';")
    twice = pandas.DataFrame([["a", "1", "2"]], columns=["name", "x", "x"])
    assert "two columns are named 'x'; the table has 'name', 'x', 'x'" in refusal(twice)


@pytest.mark.parametrize("ends", [True, False])
def test_the_rows_of_a_csv_reader_are_refused_with_their_lines(ends: bool) -> None:
    for row, problem in {
        "b,3": "line 3 ('b'): has 2 cells, but the table has 3 columns",
        "b,3,4,5": "line 3 ('b'): has 4 cells, but the table has 3 columns",
        'b,"3,4': "line 3 ('b'): a quoted cell spans several lines; look for an",
        "b,,4": "line 3 ('b'): x is empty",
    }.items():
        lines = f'name,x,y\na,1,2\n{row}\n\nc,5,"6"\n'.splitlines(keepends=ends)
        (found,) = problems(csv.DictReader(lines))
        assert found.startswith(problem)


def test_the_lines_of_a_csv_reader_count_from_its_start() -> None:
    reader = csv.DictReader(["\ufeffname ,x,y", "a,1,2", "", "b,3,4.0"])
    assert read(reader) == [ROW, ("b", "3", "4.0")]
    reader = csv.DictReader(["name,x,y", "a,1,2", 'b,"3"x,4'], strict=True)
    assert "line 3 of the table: " in refusal(reader)
    reader = csv.DictReader(["name,x,y", "a,1,2", "b,3,4", "c,5"])
    next(reader)
    assert problems(reader) == ["line 4 ('c'): has 2 cells, but the table has 3 columns"]


@pytest.mark.parametrize("launches", [None, 5, b"cohort.csv", COLUMNS, io.StringIO("name,x")])
def test_a_value_of_another_type_is_an_error(launches: Any) -> None:
    with pytest.raises(libtes.ApiTypeError, match="launches must be an iterable"):
        read(launches, WANTED)
    with pytest.raises(libtes.ApiTypeError, match="ignore_columns must be a list"):
        read(COLUMNS, ignore_columns="xy")


cells = st.text(st.characters(exclude_categories=["Cs"]), max_size=5) | st.sampled_from(
    ["nan", "<NA>", "1.0", "-3.0", "7", "0.5", "None", "NaT"]
)


@each_frame
@settings(deadline=None)
@given(rows=st.lists(st.tuples(cells, cells, cells), min_size=1, max_size=4))
def test_texts_are_sent_unchanged_or_refused(frame: Any, rows: Any) -> None:
    columns = {key: [str(row[at]) for row in rows] for at, key in enumerate(["name", *WANTED])}
    try:
        found = read(frame(columns), allow_empty=True)
    except libtes.ApiValueError:
        return
    assert found == [row for row in rows if any(cell.strip() for cell in row)]
    for row in found:
        assert not {"nan", "<NA>", "None", "NaT"}.intersection(cell.strip() for cell in row)
