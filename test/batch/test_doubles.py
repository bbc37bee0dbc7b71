"""Launches with several runs and lost runs: how they are noticed, reported and aborted."""

from __future__ import annotations

import itertools
import pickle
from pathlib import Path
from typing import Any

import pytest

from libica.batch import BatchWarning, Launch, Report, wait_all
from libica.openapi import libtes

from ..server import Answer, Asked
from .service import EVER, Service, UnrulyService, is_launch, is_list, lose, on, refuse

pytestmark = pytest.mark.usefixtures("hasty")
doubled = pytest.warns(BatchWarning, match="launches with more than one run: ")


def twice(service: Service, which: range = EVER[:1]) -> None:
    """Have the service act on some launches twice."""
    service.before = on(which, is_launch, lambda asked: service.act(asked) and None)


def test_launches_that_made_two_runs_are_reported_and_the_second_can_be_aborted(
    service: Service, tmp_path: Path
) -> None:
    twice(service, range(1, 3))
    with doubled:
        report = service.launch(journal=tmp_path / "journal")
    service.check(report)
    assert len(report.doubled) == 2
    assert repr(report) == "<Report: 5 launches, 5 Pending, 2 with several runs>"
    told = Report.from_journal(tmp_path / "journal")
    assert [each.doubles for each in told] == [each.doubles for each in report]
    with doubled:
        assert len(service.launch(journal=tmp_path / "journal").doubled) == 2
    for each in report.doubled:
        assert f"several runs: {each.run_id}, {each.doubles[0]}" in str(report)
    aborted = report.abort_doubles()
    assert aborted.summary() == {"Aborted": 2}
    assert {each.run_id for each in aborted} == {each.doubles[0] for each in report.doubled}
    assert {service.runs[each]["status"] for each in report.run_ids} == {"Pending"}


@pytest.mark.parametrize("lost", [0, 1])
def test_the_oldest_run_is_that_of_the_launch(service: Service, lost: int) -> None:
    twice(service)
    service.after = on(range(lost), is_launch, lose)
    with doubled:
        report = service.launch(concurrency=1)
    service.check(report)
    assert report[0].run_id == next(iter(service.runs))


def test_without_a_client_nothing_can_be_aborted(service: Service) -> None:
    assert len(Report([Launch("a", "trn.1")]).abort_doubles()) == 0
    twice(service)
    with doubled:
        report = pickle.loads(pickle.dumps(service.launch()))
    with pytest.raises(libtes.ApiValueError, match="needs an api_client"):
        report.abort_doubles()
    assert report.abort_doubles(service.client).summary() == {"Aborted": 1}


def test_waiting_finds_second_runs_that_were_listed_later(service: Service) -> None:
    report = service.launch()
    first = service.runs[report.run_ids[0]]
    second = service.make({"name": "s0", "description": first["description"]}, service.ids[1])
    service.set_status(service.runs)
    service.asked.clear()
    waited = wait_all(service.client, report, poll=0.01)
    assert waited[0].doubles == (second["id"],)
    assert waited.summary() == {"Completed": 5}
    assert [is_list(each) for each in service.asked] == [True]


def test_waiting_finds_the_run_of_an_unsure_launch(service: Service) -> None:
    service.before = on(EVER, is_list, refuse(403))
    service.after = on(range(1), is_launch, lose)
    report = service.launch()
    assert report.summary() == {"Pending": 4, "Unsure": 1}
    service.before = service.after = None
    service.set_status(service.runs)
    assert wait_all(service.client, report, poll=0.01).summary() == {"Completed": 5}


@pytest.mark.parametrize("lost", [True, False])
def test_a_lost_run_is_told_from_one_that_cannot_be_requested(service: Service, lost: bool) -> None:
    def forget(asked: Asked) -> Any:
        if is_list(asked) and len(service.runs) == 5:
            run_id = next(iter(service.names))
            service.hidden.add(run_id)
            if lost:
                del service.runs[run_id]
        return refuse(500)(asked) if "/trn." in asked.path and not lost else None

    service.before = forget
    if not lost:
        report = service.launch(concurrency=1)
        assert report.summary() == {"Pending": 5}
        assert report.notes[0].startswith(f"run {report[0].run_id} is missing from the list of")
        return
    with pytest.warns(BatchWarning, match="launches whose runs the service lost: 1 "):
        report = service.launch(concurrency=1)
    assert report.summary() == {"Pending": 4, "Lost": 1}
    assert report.lost[0].name == "s0"
    assert str(report.lost[0].error).startswith("lost: ")
    assert report.unfinished.run_ids == list(service.runs)


@pytest.mark.parametrize("items", [[], [{"id": "trn.1"}]])
@pytest.mark.parametrize("ends", [True, False])
def test_runs_missing_from_lists_are_not_lost(service: Service, items: Any, ends: bool) -> None:
    """Also where lists have no end."""
    tokens = itertools.repeat(None) if ends else itertools.count()

    def page(_: Asked) -> Answer:
        return Answer(200, {"items": items, "nextPageToken": next(tokens)})

    service.before = on(EVER, is_list, page)
    report = service.launch()
    assert report.summary() == {"Pending": 5}
    if ends:
        note = "5 of 5 runs are missing from the list of runs: launches with several runs may not "
        assert report.notes == [note + "have been noticed"]
        assert report.notes[0] in str(report)


def test_a_second_run_that_may_be_an_old_one_is_noted(service: Service) -> None:
    twice(service)
    report = service.launch(mark=False)
    (second,) = set(service.runs) - set(report.run_ids)
    assert report.notes == [
        "other runs with names of this batch, either older or second runs of a launch: "
        f"1 ({second})"
    ]


def test_a_closing_audit_that_fails_is_noted(service: Service) -> None:
    service.before = on(EVER, is_list, refuse(403))
    report = service.launch()
    assert report.summary() == {"Pending": 5}
    assert report.notes[0].startswith("the closing audit failed: GET")


def test_the_run_of_a_refused_launch_is_found(service: Service) -> None:
    service.after = on(range(1), is_launch, refuse(400))
    service.check(service.launch())


def test_an_audit_takes_one_request_for_1000_runs(service: Service) -> None:
    service.add_runs(["old"] * 5000, age=60)
    service.launch(1200)
    assert sum(map(is_list, service.asked)) == 2


@pytest.mark.parametrize("seed", range(2))
def test_the_report_has_each_additional_and_each_lost_run(seed: int) -> None:
    with UnrulyService(seed, doubled=0.3, lag=0.01) as service:
        with doubled:
            report = service.launch(40)
        for each in report:
            made = set(service.runs_of(each.name))
            assert {each.run_id, *each.doubles} - {None} == made or each.outcome == "Unsure"
