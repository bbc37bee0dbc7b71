"""Doubles and losses: how the closing audit sees them, and what may be done about them."""

from __future__ import annotations

import itertools
import pickle
from pathlib import Path
from typing import Any

import pytest

from libica.batch import BatchWarning, Launch, Report, launch_all, wait_all
from libica.openapi import libtes

from ..server import Answer, Asked
from .service import EVER, Service, cohort, is_launch, is_list, lose, on, refuse
from .unruly import UnrulyService

pytestmark = pytest.mark.usefixtures("hasty")
doubled = pytest.warns(BatchWarning, match="more than one run")


def twice(service: Service) -> Any:
    """Return a hook by which the service acts on a launch twice."""
    return lambda asked: service.tes(asked) and None


def launch(service: Service, count: int = 5, **options: Any) -> Report:
    return launch_all(service.client, *service.ids, cohort(count), **options)


def check(service: Service, report: Report) -> None:
    told = {run_id: each.name for each in report for run_id in (each.run_id, *each.doubles)}
    assert told == service.runs


def test_what_the_service_doubles_is_reported(service: Service) -> None:
    service.before = on(range(1, 3), is_launch, twice(service))
    with doubled:
        report = launch(service)
    check(service, report)
    assert len(report.doubled) == 2
    assert repr(report) == "<Report: 5 launches, 5 Pending, 2 doubled>"
    for each in report.doubled:
        assert f"doubled: {each.run_id}, {each.doubles[0]}" in str(report)


def test_the_run_that_was_made_first_is_that_of_the_launch(service: Service) -> None:
    service.before = on(range(1), is_launch, twice(service))
    with doubled:
        report = launch(service, concurrency=1)
    assert report[0].run_id == next(iter(service.runs))


def test_doubles_of_a_launch_without_a_response_are_reported(service: Service) -> None:
    service.before = on(range(1), is_launch, twice(service))
    service.after = on(range(1), is_launch, lose)
    with doubled:
        report = launch(service, concurrency=1)
    check(service, report)


def test_all_but_the_first_are_aborted(service: Service) -> None:
    service.before = on(range(1, 3), is_launch, twice(service))
    with doubled:
        report = launch(service)
    aborted = report.abort_doubles()
    assert aborted.summary() == {"Aborted": 2}
    assert {each.run_id for each in aborted} == {each.doubles[0] for each in report.doubled}
    things = service.tes._things
    assert {things[each]["status"] for each in report.run_ids} == {"Pending"}


def test_a_report_that_was_pickled_needs_a_client_to_abort_with(service: Service) -> None:
    service.before = on(range(1), is_launch, twice(service))
    with doubled:
        report = pickle.loads(pickle.dumps(launch(service)))
    with pytest.raises(libtes.ApiValueError, match="needs an api_client"):
        report.abort_doubles()
    assert report.abort_doubles(service.client).summary() == {"Aborted": 1}


def test_without_doubles_there_is_nothing_to_abort(service: Service) -> None:
    assert len(Report([Launch("a", "trn.1")]).abort_doubles()) == 0


def test_doubles_are_kept_in_the_journal(service: Service, tmp_path: Path) -> None:
    service.before = on(range(1), is_launch, twice(service))
    with doubled:
        report = launch(service, journal=tmp_path / "journal")
    told = Report.from_journal(tmp_path / "journal")
    assert [each.doubles for each in told] == [each.doubles for each in report]
    with doubled:
        again = launch(service, journal=tmp_path / "journal")
    assert len(again.doubled) == 1


def test_waiting_sees_doubles_that_were_listed_later(service: Service) -> None:
    report = launch(service)
    first = service.tes._things[report.run_ids[0]]
    double = service.tes._create({"name": "s0", "description": first["description"]}, "runs")
    service.set_status(service.runs)
    service.asked.clear()
    waited = wait_all(service.client, report, poll=0.01)
    assert waited[0].doubles == (double["id"],)
    assert waited.summary() == {"Completed": 5}
    assert [is_list(each) for each in service.asked] == [True]


def test_waiting_finds_the_run_of_a_launch_that_was_unsure(service: Service) -> None:
    service.before = on(EVER, is_list, refuse(403))
    service.after = on(range(1), is_launch, lose)
    report = launch(service)
    assert report.summary() == {"Pending": 4, "Unsure": 1}
    service.before = service.after = None
    service.set_status(service.runs)
    assert wait_all(service.client, report, poll=0.01).summary() == {"Completed": 5}


def test_a_run_that_the_service_loses_is_reported(service: Service) -> None:
    def forget(asked: Asked) -> None:
        if is_list(asked) and len(service.runs) == 5:
            run_id = next(iter(service.runs))
            del service.tes._things[run_id], service.tes._owners[run_id]

    service.before = forget  # type: ignore[assignment]
    with pytest.warns(BatchWarning, match="the service lost the runs of 1 launches"):
        report = launch(service, concurrency=1)
    assert report.summary() == {"Pending": 4, "Lost": 1}
    assert report.lost[0].name == "s0"
    assert str(report.lost[0].error).startswith("lost: ")
    assert report.unfinished.run_ids == list(service.runs)


def test_runs_that_lists_do_not_show_are_no_loss(service: Service) -> None:
    service.before = on(EVER, is_list, lambda _: Answer(200, {"items": []}))
    report = launch(service)
    assert report.summary() == {"Pending": 5}
    assert report.notes == [
        "the list of runs does not show 5 of 5 runs: doubles may not have been seen"
    ]
    assert report.notes[0] in str(report)


def test_a_double_that_cannot_be_told_from_a_run_of_old_is_noted(service: Service) -> None:
    service.before = on(range(1), is_launch, twice(service))
    report = launch(service, mark=False)
    (double,) = set(service.runs) - set(report.run_ids)
    assert report.notes == [
        f"further runs with names of this batch, doubles or older ones: 1 ({double})"
    ]


@pytest.mark.parametrize("items", [[], [{"id": "trn.1"}]])
def test_a_list_that_does_not_end_is_given_up(service: Service, items: list[Any]) -> None:
    tokens = itertools.count()
    pages = on(
        EVER, is_list, lambda _: Answer(200, {"items": items, "nextPageToken": next(tokens)})
    )
    service.before = pages
    assert launch(service).summary() == {"Pending": 5}


def test_an_audit_that_cannot_be_made_is_no_failure(service: Service) -> None:
    service.before = on(EVER, is_list, refuse(403))
    report = launch(service)
    assert report.summary() == {"Pending": 5}
    assert report.notes[0].startswith("the closing audit could not be made: GET")


def test_a_launch_that_was_refused_and_has_a_run_all_the_same_is_told(service: Service) -> None:
    service.after = on(range(1), is_launch, refuse(400))
    check(service, launch(service))


def test_an_audit_takes_one_call_for_1000_runs(service: Service) -> None:
    service.add_runs(["old"] * 5000, age=60)
    launch(service, 1500)
    assert sum(map(is_list, service.asked)) == 2


@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_doubled_or_lost_the_report_says_so(seed: int) -> None:
    with UnrulyService(seed, doubled=0.1, lag=0.5) as service:
        with doubled:
            report = launch(service, 40)
        for each in report:
            made = set(service.runs_of(each.name))
            assert {each.run_id, *each.doubles} - {None} == made or each.outcome == "Unsure"
        service.client.close()
