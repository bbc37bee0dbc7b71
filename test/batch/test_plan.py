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
from .tables import CLIENT, WANTED, problems

ARGUMENTS = {"x": "1", "y": "2"}
GOOD: dict[str, Any] = {"name": "a", "arguments": ARGUMENTS}


def read(launches: Any) -> list[Any]:
    with Plan(CLIENT, launches, WANTED) as plan:
        return [json.loads(plan.request(row)) for row in range(len(plan))]


def test_a_request_is_a_model_or_a_dict_in_any_casing() -> None:
    for request in (
        libtes.LaunchTaskRequest(name="a", arguments={"x": "1", "y": "2"}),
        {"Name": "a", "ARGUMENTS": {"x": "1", "y": "2"}, "acl": None},
    ):
        assert read([request]) == read(iter([request])) == [GOOD]
    longest = changed(name="x" * 255, description="x" * 4096)
    for more in (longest, {**GOOD, "acl": ["wid:1"], "unknown": {"a": [1, None]}}):
        assert read([more]) == [more]


def changed(**changes: Any) -> dict[str, Any]:
    return {**GOOD, **changes}


def modified() -> libtes.LaunchTaskRequest:
    request = libtes.LaunchTaskRequest(**changed(arguments=dict(ARGUMENTS)))
    request.arguments["y"] = 2  # type: ignore[index,assignment]
    return request


@pytest.mark.parametrize(
    ("launch", "problem"),
    [
        (changed(name=None), ": has no name"),
        (changed(name=" \t"), " (' \\t'): has no name"),
        (changed(name=5), ": name must be a string, not int"),
        (changed(name=5.5), ": Invalid type for `LaunchTaskRequest.name`, must be str"),
        (changed(description=5), " ('a'): description must be a string, not int"),
        (changed(name="\ud800"), " ('\\ud800'): the name contains half a surrogate pair"),
        (changed(name="x" * 256), "must be 0 to 255 characters, got 256"),
        (changed(description="x" * 4097), "must be 0 to 4096 characters, got 4097"),
        (changed(arguments={"x": "1"}), " ('a'): no argument for y"),
        (changed(arguments=None), " ('a'): no argument for x, y"),
        (changed(arguments=["x"]), " ('a'): arguments must be a dict, not list"),
        (changed(arguments={**ARGUMENTS, "z": "3"}), " ('a'): no placeholder for z"),
        (
            changed(arguments={"x": 1, "y": None}),
            ": argument x must be a string, not int; argument y must be a string, not None",
        ),
        (modified(), " ('a'): argument y must be a string, not int"),
        (changed(name="a\nb"), " ('a\\nb'): the name contains a line break or a control character"),
        (changed(name="a\u2028b"), " ('a\\u2028b'): the name contains a line break or"),
        (changed(name="\ufeffa"), " ('\\ufeffa'): the name contains a line break or"),
        (changed(Name="b"), " ('a'): name is given twice, with different casing"),
        (changed(more=float("nan")), " ('a'): cannot be converted to JSON: Out of range float"),
        (changed(more=object()), " ('a'): cannot be converted to JSON: Invalid type for"),
        ("a", ": must be a LaunchTaskRequest or a dict, not str"),
        (None, ": must be a LaunchTaskRequest or a dict, not None"),
    ],
)
def test_an_invalid_launch_is_named_with_the_problem(launch: Any, problem: str) -> None:
    (found,) = problems([launch])
    assert found.startswith("row 1")
    assert problem in found


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
