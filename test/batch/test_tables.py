"""Frames, rows of dicts and headings: what they are taken for, and what is refused of them."""

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


def dicts(columns: dict[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(columns, row)) for row in zip(*columns.values())]


FRAMES = {
    "pandas": pandas.DataFrame,
    "polars": polars.DataFrame,
    "lazy": polars.LazyFrame,
    "arrow": pyarrow.table,
    "batch": pyarrow.RecordBatch.from_pydict,
    "dicts": dicts,
    "generator": lambda columns: iter(dicts(columns)),
}
each_frame = pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
each_typed_frame = pytest.mark.parametrize(
    "frame", [FRAMES["pandas"], FRAMES["polars"], FRAMES["lazy"], FRAMES["arrow"]]
)

# What is read


@each_frame
def test_a_frame_is_read_by_its_columns(frame: Any) -> None:
    assert read(frame(COLUMNS)) == ROWS


@each_frame
def test_integers_become_their_digits(frame: Any) -> None:
    big = 2**60 + 1
    found = read(frame({"name": [7, 8], "x": [1431, -5], "y": [0, big]}))
    assert found == [("7", "1431", "0"), ("8", "-5", str(big))]


@each_frame
def test_fractions_are_sent_as_they_are_written(frame: Any) -> None:
    found = read(frame({"name": ["a", "b"], "x": [0.1, 2.0], "y": [1e-9, 123456.789]}))
    assert found == [("a", "0.1", "1e-09"), ("b", "2.0", "123456.789")]


@each_frame
def test_blanks_around_headings_do_not_count(frame: Any) -> None:
    assert read(frame({" Name ": ["a"], "x ": ["1"], "\ufeffy": ["2"]})) == [ROW]


@each_frame
def test_another_column_may_have_the_names(frame: Any) -> None:
    columns = {"name": ["1"], "y": ["2"], "sample": ["a"]}
    with_x = {**columns, "x": ["1"]}
    assert read(frame(columns), ["name", "y"], name_column="sample") == [ROW]
    assert read(frame(with_x), name_column="sample", ignore_columns=["name"]) == [ROW]
    assert read(frame(columns), ["sample", "y"], name_column="sample", ignore_columns=["name"]) == [
        ("a", "a", "2")
    ]


def test_integers_with_gaps_elsewhere_stay_integers() -> None:
    frame = pandas.DataFrame({"name": ["a", "b"], "x": pandas.array([1, 2], "Int64"), "y": "z"})
    assert read(frame) == [("a", "1", "z"), ("b", "2", "z")]


def test_numbers_and_texts_of_numpy_in_columns_of_objects_are_read() -> None:
    numpy = pytest.importorskip("numpy")
    values = [numpy.int64(1), numpy.str_("2")]
    frame = pandas.DataFrame({"name": ["a"], "x": [values[0]], "y": [values[1]]}, dtype=object)
    assert read(frame) == [ROW]


def test_a_categorical_column_is_one_of_texts() -> None:
    frame = pandas.DataFrame(COLUMNS).astype("category")
    assert read(frame) == read(polars.from_pandas(frame)) == ROWS


@pytest.mark.parametrize("label", [None, "name", "sample", "x"])
def test_the_index_of_a_frame_may_be_the_names(label: Any) -> None:
    columns = {key: COLUMNS[key] for key in ("x", "y") if key != label}
    frame = pandas.DataFrame(columns, index=pandas.Index(["a", "b"], name=label))
    found = [("a", "a", "2"), ("b", "b", "4")] if label == "x" else ROWS
    assert read(frame) == found
    if label:
        assert read(frame, name_column=label) == found


def test_a_level_of_the_index_may_be_the_names_and_the_others_arguments() -> None:
    frame = pandas.DataFrame({**COLUMNS, "run": [1, 2]}).set_index(["run", "name", "x"])
    assert read(frame) == ROWS
    assert read(frame.set_index(frame.index.droplevel("run"))) == ROWS


def test_an_index_that_says_nothing_is_left_alone() -> None:
    frame = pandas.DataFrame(COLUMNS)
    assert read(frame.set_index(pandas.Index([5, 7], name="row"))) == ROWS
    assert read(frame.set_index("name", drop=False)) == ROWS
    assert read(frame[frame["x"] == "3"]) == ROWS[1:]


def test_the_rows_of_a_csv_reader_are_read() -> None:
    text = "\ufeffname ,x,y\r\na,1,2\r\n\r\nb,3,4.0\r\n"
    assert read(csv.DictReader(io.StringIO(text))) == [ROW, ("b", "3", "4.0")]


@pytest.mark.parametrize(
    "request_",
    [
        {"name": "a", "x": "1", "y": 2},
        {"name": "a", "arguments": {"x": "1", "y": "2"}},
        {"Name": "a", "Arguments": {"x": "1", "y": "2"}, "description": "d"},
        libtes.LaunchTaskRequest(name="a", arguments={"x": "1", "y": "2"}),
    ],
)
def test_flat_and_nested_dicts_and_requests_may_be_mixed(request_: Any) -> None:
    assert read([request_, {"name": "b", "x": "3", "y": "4"}]) == ROWS


@pytest.mark.parametrize("key", ["description", "arguments", "acl"])
def test_a_placeholder_may_be_called_as_a_field_of_a_request(key: str) -> None:
    assert read([{"name": "a", key: "1"}], [key]) == [("a", "1")]
    assert read([{"name": "a", "arguments": {key: "1"}}], [key]) == [("a", "1")]


# What is refused


@each_frame
def test_a_missing_value_is_refused(frame: Any) -> None:
    (problem,) = problems(frame({"name": ["a", "b"], "x": ["1", None], "y": ["2", "4"]}))
    assert problem.startswith("row 2 ('b'): x has no value (")
    (problem,) = problems(frame({"name": ["a"], "x": ["1"], "y": [float("nan")]}))
    assert problem.startswith("row 1 ('a'): y has no value (")
    (problem,) = problems(frame({"name": ["a", None], "x": ["1", "2"], "y": ["2", "4"]}))
    assert problem.startswith("row 2: the name has no value (")


@pytest.mark.parametrize("value", [pandas.NA, pandas.NaT, None, float("nan")])
def test_each_kind_of_missing_value_is_refused_as_it_is_and_as_text(value: Any) -> None:
    frame = pandas.DataFrame({"name": ["a"], "x": ["1"], "y": [value]}, dtype=object)
    (problem,) = problems(frame)
    assert problem.startswith("row 1 ('a'): y has no value")
    (problem,) = problems([{"name": "a", "x": "1", "y": str(value)}])
    assert problem.startswith(f"row 1 ('a'): y is the text {str(value)!r}, which represents a")


@each_frame
def test_integers_that_became_floats_are_one_problem(frame: Any) -> None:
    columns = {"name": [f"s{each}" for each in range(300)], "x": [5.0] * 300, "y": ["-"] * 300}
    (problem,) = problems(frame(columns))
    assert problem.startswith("row 1 ('s0'): x has integers stored as floats, such as 1431.0")


@each_typed_frame
def test_integers_that_became_floats_and_then_texts_are_refused(frame: Any) -> None:
    (problem,) = problems(frame({"name": ["a", "b"], "x": ["7", "1431.0"], "y": ["1.0", "1.1"]}))
    assert problem.startswith("row 2 ('b'): x has integers stored as floats")


def test_a_frame_of_integers_with_a_gap_cannot_be_smuggled_in_as_text() -> None:
    frame = pandas.DataFrame({"name": ["a", "b", "c"], "x": [1, None, 3], "y": "z"})
    assert len(problems(frame)) == 2
    found = problems(pandas.DataFrame({each: list(map(str, frame[each])) for each in frame}))
    assert found[0].startswith("row 1 ('a'): x has integers stored as floats")
    assert found[1].startswith("row 2 ('b'): x is the text 'nan'")


@each_typed_frame
@pytest.mark.parametrize("value", [True, datetime.date(2020, 1, 2), b"1", float("inf")])
def test_what_has_more_than_one_text_is_refused(frame: Any, value: Any) -> None:
    (problem,) = problems(frame({"name": ["a"], "x": [value], "y": ["2"]}))
    assert problem.startswith("row 1 ('a'): x ")


@each_frame
def test_an_empty_cell_is_refused_unless_wanted(frame: Any) -> None:
    made = {"name": ["a"], "x": ["1"], "y": [""]}
    assert problems(frame(made)) == ["row 1 ('a'): y is empty (to allow that, pass allow_empty=True)"]
    assert read(frame(made), allow_empty=True) == [("a", "1", "")]


@each_frame
def test_a_column_that_fits_no_placeholder_is_one_problem(frame: Any) -> None:
    count = 200
    columns = {key: [f"{key}{each}" for each in range(count)] for key in ("name", "x", "y")}
    columns = {**columns, "batch": ["-"] * count, "Notes": [""] * count}
    assert problems(frame(columns)) == [
        "table: no placeholder for the columns 'batch', 'Notes' (the version has 'x', 'y'); to "
        "ignore them, pass ignore_columns=['batch', 'Notes']"
    ]
    assert len(read(frame(columns), ignore_columns=["batch", "Notes"])) == count


@each_typed_frame
def test_a_placeholder_without_a_column_is_one_problem(frame: Any) -> None:
    columns = {"name": ["a", "b"], "x": ["1", ""]}
    assert problems(frame(columns)) == [
        "table: no column for the placeholders 'y'",
        "row 2 ('b'): x is empty (to allow that, pass allow_empty=True)",
    ]
    (problem,) = problems(frame(COLUMNS), ignore_columns=["y"])
    assert problem == "table: no column for the placeholders 'y'; ignore_columns excludes 'y'"


def test_a_key_that_a_row_lacks_is_a_problem_of_that_row() -> None:
    rows = [{"name": "a", "x": "1", "y": "2"}, {"name": "b", "x": "3"}, {"x": "1", "y": "2"}]
    assert problems(rows) == ["row 2 ('b'): no argument for y", "row 3: has no name"]


@each_frame
def test_a_name_of_two_lines_is_refused(frame: Any) -> None:
    (problem,) = problems(frame({"name": ["a\nb"], "x": ["1"], "y": ["2"]}))
    assert problem.startswith("row 1 ('a\\nb'): the name contains a line break")


@each_typed_frame
def test_a_table_without_names_says_what_it_has(frame: Any) -> None:
    columns = {"sample": ["a"], "x": ["1"], "y": ["2"]}
    found = "the table has 'sample', 'x', 'y'; choose one with name_column=..."
    assert refusal(frame(columns)) == f"no column 'name' with the names of the runs; {found}"
    assert found in refusal(frame(columns), name_column="Sample")


@each_frame
def test_headings_that_are_the_same_are_refused(frame: Any) -> None:
    assert "two columns are named 'x'" in refusal(frame({"name": ["a"], "x": ["1"], "x ": ["2"]}))
    found = refusal(frame({"name": ["a"], "Name": ["b"], "x": ["1"], "y": ["2"]}))
    assert found.startswith("several columns may have the names of the runs: 'name', 'Name';")


def test_a_frame_with_the_same_column_twice_is_refused() -> None:
    frame = pandas.DataFrame([["a", "1", "2"]], columns=["name", "x", "x"])
    assert "two columns are named 'x'; the table has 'name', 'x', 'x'" in refusal(frame)


def test_a_string_is_no_list_of_columns() -> None:
    with pytest.raises(libtes.ApiTypeError, match="ignore_columns must be a list"):
        read(COLUMNS, ignore_columns="xy")


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("b,3", "line 3 ('b'): has 2 cells, but the table has 3 columns"),
        ("b,3,4,5", "line 3 ('b'): has 4 cells, but the table has 3 columns"),
        ('b,"3,4', "line 3 ('b'): a quoted cell spans several lines; look for"),
        ("b,,4", "line 3 ('b'): x is empty"),
    ],
)
@pytest.mark.parametrize("ends", [True, False])
def test_the_rows_of_a_csv_reader_are_refused_with_their_lines(
    row: str, problem: str, ends: bool
) -> None:
    lines = f'name,x,y\na,1,2\n{row}\n\nc,5,"6"\n'.splitlines(keepends=ends)
    found = problems(csv.DictReader(lines))
    assert found[0].startswith(problem)
    assert len(found) == 1


def test_an_error_of_a_csv_reader_has_its_line() -> None:
    reader = csv.DictReader(["name,x,y", "a,1,2", 'b,"3"x,4'], strict=True)
    assert "line 3 of the table: " in refusal(reader)


def test_a_csv_reader_that_was_begun_goes_on_with_its_lines() -> None:
    reader = csv.DictReader(["name,x,y", "a,1,2", "b,3,4", "c,5"])
    next(reader)
    assert problems(reader) == ["line 4 ('c'): has 2 cells, but the table has 3 columns"]


@pytest.mark.parametrize("launches", [None, 5, b"cohort.csv", COLUMNS, io.StringIO("name,x")])
def test_what_holds_no_launches_is_an_error(launches: Any) -> None:
    with pytest.raises(libtes.ApiTypeError, match="launches must be an iterable"):
        read(launches, WANTED)


cells = st.text(st.characters(exclude_categories=["Cs"]), max_size=5) | st.sampled_from(
    ["nan", "<NA>", "1.0", "-3.0", "7", "0.5", "None", "NaT"]
)


@each_frame
@settings(deadline=None)
@given(rows=st.lists(st.tuples(cells, cells, cells), min_size=1, max_size=4))
def test_texts_are_sent_as_they_are_or_refused(frame: Any, rows: Any) -> None:
    columns = {key: [str(row[at]) for row in rows] for at, key in enumerate(["name", *WANTED])}
    try:
        found = read(frame(columns), allow_empty=True)
    except libtes.ApiValueError:
        return
    assert found == [row for row in rows if any(cell.strip() for cell in row)]
    for row in found:
        assert not {"nan", "<NA>", "None", "NaT"}.intersection(cell.strip() for cell in row)
