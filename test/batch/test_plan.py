"""What can be launched, and what is found wrong with it before anything is sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from libica.batch import LaunchesError, launch_all
from libica.batch.plan import Plan
from libica.openapi import libtes

from .service import Service, cohort

CLIENT = libtes.ApiClient(libtes.Configuration("http://127.0.0.1:1"))
GOOD = {"name": "a", "arguments": {"x": "1", "y": "2"}}
LINE = {"name": "a", "arguments": {"x": "1", "y": "2"}}


def read(launches: Any) -> list[Any]:
    with Plan(CLIENT, launches, ["x", "y"]) as plan:
        return [json.loads(plan.request(row)) for row in range(len(plan))]


def problems(launches: Any) -> list[str]:
    with pytest.raises(LaunchesError) as caught:
        read(launches)
    return [str(each) for each in caught.value.problems]


def write(folder: Path, text: str) -> Path:
    path = folder / "cohort.csv"
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize(
    "request_",
    [
        GOOD,
        libtes.LaunchTaskRequest(name="a", arguments={"x": "1", "y": "2"}),
        {"Name": "a", "ARGUMENTS": {"x": "1", "y": "2"}, "acl": None},
    ],
)
def test_a_request_is_a_model_or_a_dict_in_any_casing(request_: Any) -> None:
    assert read([request_]) == read(iter([request_])) == [LINE]


def test_all_of_a_request_is_kept() -> None:
    more = {**GOOD, "description": "d", "acl": ["wid:1"], "unknown": {"a": [1, None]}}
    assert read([more]) == [more]


@pytest.mark.parametrize(
    "text",
    [
        "name,x,y\na,1,2\n",
        "\ufeffname,x,y\r\na,1,2\r\n\r\n",
        "x\ty\tname\n1\t2\ta",
        "x;NAME;y\n1;a;2\n",
        'y,x,name\n"2",1,"a"\n',
    ],
)
def test_a_table_is_read_by_its_columns(text: str, tmp_path: Path) -> None:
    path = write(tmp_path, text)
    assert read(path) == read(str(path)) == [LINE]


def test_the_column_of_names_fills_a_placeholder_of_that_name_too(tmp_path: Path) -> None:
    with Plan(CLIENT, write(tmp_path, "name,x\na,1\n"), ["name", "x"]) as plan:
        assert json.loads(plan.request(0))["arguments"] == {"name": "a", "x": "1"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "needs one column `name`"),
        ("sample,x\na,1\n", "it has 'sample', 'x'"),
        ("name,x,x\na,1,2\n", "none twice"),
        ("name,Name\na,1\n", "needs one column `name`"),
    ],
)
def test_a_table_that_cannot_be_understood_is_an_error(
    text: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(libtes.ApiValueError, match=message):
        read(write(tmp_path, text))


def test_a_table_in_another_encoding_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "cohort.csv"
    path.write_bytes("name,x,y\nä,1,2\n".encode("latin-1"))
    with pytest.raises(libtes.ApiValueError, match=r"no table in UTF-8"):
        read(path)


def test_a_row_with_too_few_cells_is_named(tmp_path: Path) -> None:
    assert problems(write(tmp_path, "name,x,y\na,1\n")) == ["row 1: has 2 cells for 3 columns"]


class Polars:
    """Looks like a frame of polars."""

    columns = ("name", "x", "y")

    def iter_rows(self) -> Any:
        return iter([("a", "1", "2")])


def test_a_frame_of_polars_is_read_row_by_row() -> None:
    assert read(Polars()) == [LINE]


def test_a_frame_of_pandas_is_read_row_by_row() -> None:
    pandas = pytest.importorskip("pandas")
    assert read(pandas.DataFrame({"x": ["1"], "name": ["a"], "y": ["2"]})) == [LINE]
    found = problems(pandas.DataFrame({"x": [1], "name": ["a"], "y": [None]}))
    assert found == [
        "row 1 ('a'): argument x must be a string, not int; argument y must be a string, not None"
    ]


def changed(**changes: Any) -> dict[str, Any]:
    return {**GOOD, **changes}


@pytest.mark.parametrize(
    ("launch", "problem"),
    [
        (changed(name=""), "row 1: has no name"),
        (changed(name=None), "row 1: has no name"),
        (changed(name=" \t"), "row 1 (' \\t'): has no name"),
        (changed(name=5), "row 1: name must be a string, not int"),
        (changed(name=5.5), "row 1: Invalid type for `LaunchTaskRequest.name`, must be str"),
        (changed(description=5), "row 1 ('a'): description must be a string, not int"),
        (changed(name="\ud800"), "row 1 ('\\ud800'): the name holds half a surrogate pair"),
        (changed(arguments={"x": "1"}), "row 1 ('a'): no argument for y"),
        (changed(arguments=None), "row 1 ('a'): no argument for x, y"),
        (changed(arguments=["x"]), "row 1 ('a'): arguments must be a dict, not list"),
        (changed(arguments={**LINE["arguments"], "z": "3"}), "row 1 ('a'): no placeholder for z"),
        (
            changed(arguments={"x": 1, "y": None}),
            "row 1 ('a'): argument x must be a string, not int; argument y must be a string, "
            "not None",
        ),
        (changed(Name="b"), "row 1 ('a'): name is given twice, in two spellings"),
        (changed(more=float("nan")), "row 1 ('a'): cannot be sent as JSON: Out of range float"),
        (changed(more=object()), "row 1 ('a'): cannot be sent as JSON: Invalid type for"),
        ("a", "row 1: must be a LaunchTaskRequest or a dict, not str"),
        (None, "row 1: must be a LaunchTaskRequest or a dict, not None"),
    ],
)
def test_what_cannot_be_launched_is_named(launch: Any, problem: str) -> None:
    (found,) = problems([launch])
    assert found.startswith(problem)


@pytest.mark.parametrize("field", ["name", "description"])
def test_a_text_that_is_too_long_is_named(field: str) -> None:
    most = {"name": 255, "description": 4096}[field]
    assert len(read([changed(**{field: "x" * most})])) == 1
    (problem,) = problems([changed(**{field: "x" * (most + 1)})])
    assert f"must be 0 to {most} characters, got {most + 1}" in problem


def test_a_model_that_was_changed_since_is_checked_too() -> None:
    request = libtes.LaunchTaskRequest(name="a", arguments={"x": "1", "y": "2"})
    (request.arguments or {})["y"] = 2  # type: ignore[assignment]
    assert problems([request]) == ["row 1 ('a'): argument y must be a string, not int"]


def test_the_values_of_arguments_are_not_shown() -> None:
    secret = "s3cret"
    (problem,) = problems([changed(arguments={"x": [secret], "y": secret, "z": secret})])
    assert secret not in problem


def test_all_problems_are_told_together_by_row_and_name() -> None:
    launches = [GOOD, changed(name="b", arguments={}), GOOD, changed(name="c"), changed(name="b")]
    assert problems(launches) == [
        "row 2 ('b'): no argument for x, y",
        "row 3 ('a'): row 1 has the same name",
        "row 5 ('b'): row 2 has the same name",
    ]


def test_the_text_of_the_error_names_some_and_counts_the_others() -> None:
    with pytest.raises(LaunchesError) as caught:
        read([None] * 1500)
    shown = str(caught.value).splitlines()
    assert shown[0] == "nothing was launched: 1,500 launches cannot be sent"
    assert len(shown) == 22
    assert shown[-1].strip() == "... and 1,480 more"
    assert len(caught.value.problems) == 1500


@pytest.mark.parametrize("launches", [None, 5, b"cohort.csv", GOOD])
def test_what_holds_no_launches_is_an_error(launches: Any) -> None:
    with pytest.raises(libtes.ApiTypeError, match="launches must be an iterable"):
        read(launches)


def test_nothing_is_sent_unless_all_can_be(service: Service) -> None:
    with pytest.raises(LaunchesError):
        launch_all(service.client, *service.ids, [*cohort(3), {"name": "bad"}])
    assert [each.method for each in service.asked] == ["GET"]


def test_an_error_of_what_gives_the_launches_is_passed_on(service: Service) -> None:
    def broken() -> Any:
        yield from cohort(3)
        raise KeyError("sheet")

    with pytest.raises(KeyError, match="sheet"):
        launch_all(service.client, *service.ids, broken())
    assert not service.launches
