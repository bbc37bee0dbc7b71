"""Checks of launches before anything is sent."""

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
ARGUMENTS = {"x": "1", "y": "2"}
GOOD: dict[str, Any] = {"name": "a", "arguments": ARGUMENTS}


def read(launches: Any) -> list[Any]:
    with Plan(CLIENT, launches, ["x", "y"]) as plan:
        return [json.loads(plan.request(row)) for row in range(len(plan))]


def problems(launches: Any) -> list[str]:
    with pytest.raises(LaunchesError) as caught:
        read(launches)
    return [str(each) for each in caught.value.problems]


@pytest.mark.parametrize(
    "request_",
    [
        GOOD,
        libtes.LaunchTaskRequest(name="a", arguments={"x": "1", "y": "2"}),
        {"Name": "a", "ARGUMENTS": {"x": "1", "y": "2"}, "acl": None},
    ],
)
def test_a_request_is_a_model_or_a_dict_in_any_casing(request_: Any) -> None:
    assert read([request_]) == read(iter([request_])) == [GOOD]
    more = {**GOOD, "description": "d", "acl": ["wid:1"], "unknown": {"a": [1, None]}}
    assert read([more]) == [more]


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
        (changed(name="\ud800"), "row 1 ('\\ud800'): the name contains half a surrogate pair"),
        (changed(arguments={"x": "1"}), "row 1 ('a'): no argument for y"),
        (changed(arguments=None), "row 1 ('a'): no argument for x, y"),
        (changed(arguments=["x"]), "row 1 ('a'): arguments must be a dict, not list"),
        (changed(arguments={**ARGUMENTS, "z": "3"}), "row 1 ('a'): no placeholder for z"),
        (
            changed(arguments={"x": 1, "y": None}),
            "row 1 ('a'): argument x must be a string, not int; argument y must be a string, "
            "not None",
        ),
        (
            changed(name="a\nb"),
            "row 1 ('a\\nb'): the name contains a line break or a control character",
        ),
        (changed(name="a\u2028b"), "row 1 ('a\\u2028b'): the name contains a line break or"),
        (changed(name="\ufeffa"), "row 1 ('\\ufeffa'): the name contains a line break or"),
        (changed(Name="b"), "row 1 ('a'): name is given twice, with different casing"),
        (
            changed(more=float("nan")),
            "row 1 ('a'): cannot be converted to JSON: Out of range float",
        ),
        (changed(more=object()), "row 1 ('a'): cannot be converted to JSON: Invalid type for"),
        ("a", "row 1: must be a LaunchTaskRequest or a dict, not str"),
        (None, "row 1: must be a LaunchTaskRequest or a dict, not None"),
    ],
)
def test_an_invalid_launch_is_named_with_the_problem(launch: Any, problem: str) -> None:
    (found,) = problems([launch])
    assert found.startswith(problem)


@pytest.mark.parametrize("field", ["name", "description"])
def test_a_text_that_is_too_long_is_a_problem(field: str) -> None:
    most = {"name": 255, "description": 4096}[field]
    assert len(read([changed(**{field: "x" * most})])) == 1
    (problem,) = problems([changed(**{field: "x" * (most + 1)})])
    assert f"must be 0 to {most} characters, got {most + 1}" in problem


def test_a_modified_model_is_checked_too() -> None:
    request = libtes.LaunchTaskRequest(name="a", arguments={"x": "1", "y": "2"})
    (request.arguments or {})["y"] = 2  # type: ignore[assignment]
    assert problems([request]) == ["row 1 ('a'): argument y must be a string, not int"]


def test_all_problems_are_listed_by_row_and_name() -> None:
    launches = [GOOD, changed(name="b", arguments={}), GOOD, changed(name="c"), changed(name="b")]
    assert problems(launches) == [
        "row 2 ('b'): no argument for x, y",
        "row 3 ('a'): has the same name as row 1",
        "row 5 ('b'): has the same name as row 2",
    ]


def test_the_message_groups_equal_problems_shows_20_and_hides_arguments() -> None:
    with pytest.raises(LaunchesError) as caught:
        read([changed(arguments={**ARGUMENTS, str(each): ""}) for each in range(1500)])
    shown = str(caught.value).splitlines()
    assert len(shown) == 22
    assert shown[-1].strip() == "... and 1,480 more"
    with pytest.raises(LaunchesError) as caught:
        read([None] * 1500)
    head, line = str(caught.value).splitlines()
    assert head == "nothing was launched: 1,500 launches cannot be sent"
    assert line.startswith("  row 1, row 2, row 3 and 1,497 more: must be a LaunchTaskRequest")
    assert len(caught.value.problems) == 1500
    (problem,) = problems([changed(arguments=dict.fromkeys("xz", "s3cret"), name=["s3cret"])])
    assert "s3cret" not in problem


def test_nothing_is_sent_unless_all_launches_are_valid(service: Service) -> None:
    with pytest.raises(LaunchesError):
        launch_all(service.client, *service.ids, [*cohort(3), {"name": "bad"}])
    assert [each.method for each in service.asked] == ["GET"]


def test_an_error_of_the_given_iterator_is_raised(service: Service) -> None:
    def broken() -> Any:
        yield from cohort(3)
        raise KeyError("sheet")

    with pytest.raises(KeyError, match="sheet"):
        launch_all(service.client, *service.ids, broken())
    assert not service.launches


def test_a_table_without_rows_is_refused_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "cohort.csv"
    path.write_text("name,sample\n")
    with pytest.raises(libtes.ApiValueError, match=r"cohort\.csv has no rows"):
        Plan(CLIENT, path, ["sample"])
