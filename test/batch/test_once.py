"""Exactly once, where responses are lost, lists cannot be trusted, and launches make two runs."""

from __future__ import annotations

import itertools
import pickle
from pathlib import Path
from typing import Any

import pytest

from libica.batch import BatchWarning, Launch, Report, calling, wait_all
from libica.openapi import libtes

from ..server import Answer, Asked
from .service import EVER, Service, UnrulyService, cohort, is_launch, is_list, lose, on, refuse

hasty = pytest.mark.usefixtures("hasty")
doubled = pytest.warns(BatchWarning, match="launches with more than one run: ")
FIRST = range(1)

# Properties with a service that loses a third of all responses

SCALE = 50
"""How many times shorter than usual all delays are."""

LAUNCHES = 40
FAULTS: dict[str, dict[str, Any]] = {
    "equal times": {},
    "clocks 3 h apart": {"skew": 10_800},
    "a sort that is ignored": {"unsorted": True},
    "no times": {"without": "timeCreated"},
    "no versions": {"without": "taskVersionSummary"},
    "lists 5 s late": {"lag": 5 / SCALE},
}


@pytest.fixture
def _scaled(monkeypatch: pytest.MonkeyPatch) -> None:
    real = calling.Waits()
    looks = tuple(each / SCALE for each in real.looks)
    scaled = calling.Waits(looks, real.again / SCALE, backoff=0.01, tick=0.01)
    monkeypatch.setattr(calling, "WAITS", scaled)


def another_cohort(service: UnrulyService) -> None:
    """Make runs with the same names: older ones, and some of another version."""
    for each in cohort(LAUNCHES):
        service.make(each, service.ids[1])
    service.old.update(service.runs)
    for each in cohort(LAUNCHES)[::2]:
        service.make(each, "tvn.other")


def check(service: UnrulyService, report: Report) -> None:
    """Check that a report has all runs of each launch, or says that it is unsure."""
    for launch in report:
        made = set(service.runs_of(launch.name))
        assert {launch.run_id, *launch.doubles} - {None} == made or launch.outcome == "Unsure"
        assert launch.run_id is None or launch.outcome != "Unsure"


@pytest.mark.slow
@pytest.mark.usefixtures("_scaled")
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("mark", [True, False], ids=["marks", "names"])
@pytest.mark.parametrize("fault", FAULTS)
def test_each_launch_makes_one_run_or_is_unsure(fault: str, mark: bool, seed: int) -> None:
    with UnrulyService(seed, **FAULTS[fault]) as service:
        another_cohort(service)
        report = service.launch(LAUNCHES, mark=mark)
        check(service, report)
        assert all(len(service.runs_of(launch.name)) <= 1 for launch in report)
        assert not [*report.doubled, *report.lost]
        # Without marks, nothing can be proven about launches that were sent before the old runs
        # were listed. Delays are short here, so on a busy machine a proof may come too late.
        assert len(report.unsure) <= (LAUNCHES // 4 if mark else LAUNCHES // 2)


@hasty
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("kept", [0, 10, 60])
def test_a_service_that_cuts_descriptions_is_noticed(kept: int, seed: int) -> None:
    with UnrulyService(seed, most_described=kept) as service:
        service.version["description"] = "A text that is longer than that. " * 2
        report = service.launch(30)
        check(service, report)
        assert all(len(service.runs_of(launch.name)) <= 1 for launch in report)
        assert "does not keep marks" in report.notes[0]
        assert report.batch is None


@hasty
@pytest.mark.parametrize("seed", range(2))
def test_the_report_has_each_additional_and_each_lost_run(seed: int) -> None:
    with UnrulyService(seed, doubled=0.3, lag=0.01) as service, doubled:
        check(service, service.launch(LAUNCHES))


# Several runs


def twice(service: Service, which: range = FIRST) -> None:
    """Have the service act on some launches twice."""
    service.before = on(which, is_launch, lambda asked: service.act(asked) and None)


@hasty
def test_second_runs_are_reported_and_can_be_aborted(service: Service, tmp_path: Path) -> None:
    service.journal = tmp_path / "journal"
    twice(service, range(1, 3))
    with doubled:
        report = service.launch()
    service.check(report)
    assert len(report.doubled) == 2
    assert repr(report) == "<Report: 5 launches, 5 Pending, 2 with several runs>"
    told = Report.from_journal(service.journal)
    assert [each.doubles for each in told] == [each.doubles for each in report]
    with doubled:
        assert len(service.launch().doubled) == 2
    for each in report.doubled:
        assert f"several runs: {each.run_id}, {each.doubles[0]}" in str(report)
    aborted = report.abort_doubles()
    assert aborted.summary() == {"Aborted": 2}
    assert {each.run_id for each in aborted} == {each.doubles[0] for each in report.doubled}
    assert {service.runs[each]["status"] for each in report.run_ids} == {"Pending"}


@hasty
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


def test_a_second_run_that_may_be_an_old_one_is_noted(service: Service) -> None:
    twice(service)
    report = service.launch(mark=False)
    (second,) = set(service.runs) - set(report.run_ids)
    told = "other runs with names of this batch, either older or second runs of a launch: 1 "
    assert report.notes == [f"{told}({second})"]


# The closing audit


@hasty
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


MISSING = "5 of 5 runs are missing from the list of runs: launches with several runs may not have "


@hasty
@pytest.mark.parametrize(
    ("items", "ends", "note"),
    [
        ([], True, MISSING),
        ([{"id": "trn.1"}], True, MISSING),
        ([], False, ""),
        ([{"id": "trn.1"}], False, ""),
        (None, True, "the closing audit failed: GET"),
    ],
)
def test_unlisted_runs_are_not_lost(service: Service, items: Any, ends: bool, note: str) -> None:
    """Also where lists have no end, or are refused."""
    tokens = itertools.repeat(None) if ends else itertools.count()

    def page(asked: Asked) -> Answer:
        listed = Answer(200, {"items": items, "nextPageToken": next(tokens)})
        return refuse(403)(asked) if items is None else listed

    service.before = on(EVER, is_list, page)
    report = service.launch()
    assert report.summary() == {"Pending": 5}
    assert note in str(report)
    assert not note or report.notes[0].startswith(note)


def test_an_audit_takes_one_request_for_1000_runs(service: Service) -> None:
    service.add_runs(["old"] * 5000, age=60)
    service.launch(1200)
    assert sum(map(is_list, service.asked)) == 2
