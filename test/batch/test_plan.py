"""Checks of launches before anything is sent, and dry runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from libica.batch import LaunchesError
from libica.batch.plan import Plan
from libica.openapi import libtes

from .service import Service, cohort, is_launch, on, refuse
from .tables import CLIENT, WANTED, problems, refusal

ARGUMENTS = {"x": "1", "y": "2"}
GOOD: dict[str, Any] = {"name": "a", "arguments": ARGUMENTS}


def requests(launches: Any) -> list[Any]:
    with Plan(CLIENT, launches, WANTED) as plan:
        return [json.loads(plan.request(row)) for row in range(len(plan))]


def changed(**changes: Any) -> dict[str, Any]:
    return {**GOOD, **changes}


def modified() -> libtes.LaunchTaskRequest:
    request = libtes.LaunchTaskRequest(**changed(arguments=dict(ARGUMENTS)))
    request.arguments["y"] = 2  # type: ignore[index,assignment]
    return request


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (libtes.LaunchTaskRequest(**GOOD), GOOD),
        ({"Name": "a", "ARGUMENTS": ARGUMENTS, "acl": None}, GOOD),
        *((each, each) for each in (changed(name="x" * 255), changed(description="x" * 4096))),
        *((each, each) for each in (changed(acl=["wid:1"]), changed(unknown={"a": [1, None]}))),
    ],
)
def test_a_request_is_a_model_or_a_dict_in_any_casing(given: Any, sent: Any) -> None:
    assert requests([given]) == requests(iter([given])) == [sent]


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
            ": argument x must be a string, not int; argument",
        ),
        (changed(arguments={"x": "1", "y": None}), ": argument y must be a string, not None"),
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
        requests([changed(arguments={**ARGUMENTS, str(each): ""}) for each in range(1500)])
    shown = str(caught.value).splitlines()
    assert (len(shown), shown[-1].strip()) == (22, "... and 1,480 more [errors#launches-error]")
    with pytest.raises(LaunchesError) as caught:
        requests([None] * 1500)
    head, line = str(caught.value).splitlines()
    assert head == "nothing was launched: 1,500 launches cannot be sent"
    assert line.startswith("  row 1, row 2, row 3 and 1,497 more: must be a LaunchTaskRequest")
    assert len(caught.value.problems) == 1500
    (problem,) = problems([changed(arguments=dict.fromkeys("xz", "s3cret"), name=["s3cret"])])
    assert "s3cret" not in problem


def test_an_error_of_the_given_iterator_is_raised(service: Service) -> None:
    def broken() -> Any:
        yield from cohort(3)
        raise KeyError("sheet")

    with pytest.raises(KeyError, match="sheet"):
        service.launch(broken())
    assert not service.launches


# Tables

OPTIONS: dict[str, Any] = {"name_column": "run", "ignore_columns": ["notes"], "allow_empty": True}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "cohort.csv"
    path.write_text("sample,run,url,notes\n1,s1,gds://v/1,-\n2,s2,,-\n")
    return path


def test_a_table_is_sent_as_the_options_say(
    service: Service, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tqdm")
    service.before = on(range(1), is_launch, refuse(400))
    report = service.launch(table, progress=True, **OPTIONS)
    assert [each.name for each in report] == ["s1", "s2"]
    sent = {each.json["name"]: each.json["arguments"] for each in service.asked if is_launch(each)}
    assert sent == {"s1": {"sample": "1", "url": "gds://v/1"}, "s2": {"sample": "2", "url": ""}}
    shown = capsys.readouterr().err.rpartition("\r")[2]
    assert "2/2" in shown
    assert "1 failed]" in shown


def test_a_dry_run_checks_all_launches_and_sends_none(service: Service, table: Path) -> None:
    service.journal = table.with_name("journal")
    report = service.launch(table, dry_run=True, **OPTIONS)
    assert [each.error for each in report] == ["not sent: dry run"] * 2
    for dry_run in (True, False):
        with pytest.raises(LaunchesError, match=r"line 3 \('s2'\): url is empty"):
            service.launch(table, dry_run=dry_run, **{**OPTIONS, "allow_empty": False})
    assert [each.method for each in service.asked] == ["GET"] * 3
    assert not service.journal.exists()


def test_a_table_without_rows_is_refused_by_its_path(table: Path) -> None:
    table.write_text("name,x,y\n")
    assert "cohort.csv has no rows" in refusal(table)
