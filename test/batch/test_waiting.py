"""Waiting: few requests, through failures, up to a timeout; and aborting runs."""

from __future__ import annotations

import dataclasses
import threading
import time
from datetime import datetime, timedelta, timezone
from typing import Any, Optional

import pytest

from libica.batch import (
    BatchError,
    Launch,
    Report,
    abort_all,
    calling,
    duration,
    is_finished,
    wait,
    wait_all,
    waiting,
)
from libica.openapi import libtes

from ..server import Answer, Asked
from .conftest import HASTY
from .service import EVER, Service, is_list, lose, on, refuse

FINISHED = ["Completed", "Failed", "TimedOut", "Aborted"]
SOON = 0.01
NOW = datetime.now(timezone.utc)
LATER = refuse(429, Retry_After="1")


def finish(service: Service, *rounds: list[str]) -> None:
    """Have some runs finish before each round of checks, the first one included."""
    left = list(rounds)

    def before(asked: Asked) -> Optional[Answer]:
        if "pageToken" not in asked.query and left:
            service.set_status(left.pop(0))
        return None

    service.before = before


def calls(service: Service) -> list[str]:
    return ["list" if is_list(each) else each.method for each in service.asked]


def filtered(asked: Asked) -> bool:
    return "versions" in asked.query


# How runs are checked


@pytest.mark.parametrize("count", [20, pytest.param(10_000, marks=pytest.mark.slow)])
def test_all_runs_are_listed_until_they_have_finished(service: Service, count: int) -> None:
    service.add_runs(["other"] * 1000, age=7200, version="tvn.other")
    names = [f"s{number}" for number in range(count)]
    ids = service.add_runs(names)
    finish(service, [], ids[::4], ids[1::4], ids)
    told: list[tuple[int, int]] = []
    report = wait_all(service.client, ids, poll=SOON, progress=lambda *counts: told.append(counts))
    assert report.summary() == {"Completed": count}
    assert (report.run_ids, [each.name for each in report]) == (ids, names)
    assert calls(service) == ["list"] * 4 * max(count // 1000, 1)
    assert {each.query["pageSize"] for each in service.asked} == {"1000"}
    assert told == [(done * count // 4, count) for done in (0, 1, 2, 4)]


def test_runs_of_other_versions_are_filtered_out(service: Service) -> None:
    ids = service.add_runs(["s"] * 2500)
    service.add_runs(["other"] * 4000, age=-60, version="tvn.other")
    finish(service, [], [], [], ids)
    assert wait_all(service.client, ids, poll=SOON).summary() == {"Completed": 2500}
    # The first list shows others, and a run tells the version.
    assert calls(service) == ["list", "GET"] + ["list"] * 6


def test_a_filter_that_finds_nothing_is_not_used_again(service: Service) -> None:
    ids = service.add_runs(["s"] * 1500)
    service.add_runs(["other"] * 10, age=-60, version="tvn.other")
    service.before = on(EVER, filtered, lambda _: Answer(200, {"items": []}))
    service.after = on(range(9, 10), lambda _: True, lambda _: service.set_status(ids))
    assert wait_all(service.client, ids, poll=SOON).summary() == {"Completed": 1500}
    assert sum(map(filtered, service.asked)) == 1


def test_no_list_is_read_beyond_the_oldest_run(service: Service) -> None:
    service.add_runs(["old"] * 3000, age=7200)
    ids = [*service.add_runs(["s"] * 5), "trn.none"]
    runs = [libtes.TaskRunSummary(id=each, status="Running", time_created=NOW) for each in ids]
    wait_all(service.client, runs, timeout=0)
    assert calls(service) == ["list", "GET"]


def test_runs_missing_from_lists_are_requested_in_turn(service: Service) -> None:
    ids = service.add_runs(["s"] * 15)
    service.hidden.update(ids)
    service.set_status(ids)
    assert wait_all(service.client, ids, poll=SOON).summary() == {"Completed": 15}
    assert calls(service) == ["list"] + ["GET"] * 10 + ["list"] + ["GET"] * 5


def test_a_single_run_is_requested_itself(service: Service) -> None:
    (run_id,) = service.add_runs(["s"])
    finish(service, [], [], [run_id])
    launch = wait(service.client, run_id, poll=SOON)
    assert (launch.name, launch.run_id, launch.status) == ("s", run_id, "Completed")
    assert calls(service) == ["GET"] * 3


def test_stragglers_are_requested_one_by_one_if_lists_take_more_requests(service: Service) -> None:
    ids = service.add_runs(["s"] * 3000)
    finish(service, ids[2:], [], [], [], ids)
    wait_all(service.client, ids, poll=SOON)
    assert calls(service)[:3] == ["list"] * 3
    assert set(calls(service)[3:]) == {"GET"}


@pytest.mark.parametrize("status", [404, 403])
def test_a_run_that_cannot_be_requested_is_given_up_and_the_others_are_waited_for(
    service: Service, status: int
) -> None:
    ids = service.add_runs(["a", "b", "c"])
    service.hidden.update(ids)
    service.before = on(EVER, lambda asked: ids[0] in asked.path, refuse(status))
    service.set_status(ids[1:])
    report = wait_all(service.client, ids, poll=SOON)
    assert report.summary() == {"Completed": 2, "Unknown": 1}
    assert str(status) in str(report[0].error)


@pytest.mark.parametrize("status", [400, 404, 410])
def test_an_expired_page_token_restarts_the_round(service: Service, status: int) -> None:
    ids = service.add_runs(["s"] * 2500)
    service.set_status(ids)
    service.before = on(range(2), lambda asked: "pageToken" in asked.query, refuse(status))
    assert wait_all(service.client, ids, poll=SOON).summary() == {"Completed": 2500}


def test_a_run_on_two_pages_is_no_error(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = service.add_runs(["s"] * 1500)
    service.set_status(ids)
    listed = service.listed
    monkeypatch.setattr(service, "listed", lambda runs: listed([*runs, *runs]))
    assert wait_all(service.client, ids, poll=SOON).summary() == {"Completed": 1500}


# What can be waited for, and the report


def test_ids_runs_summaries_and_launches_can_be_waited_for(service: Service) -> None:
    ids = service.add_runs(["a", "b", "c", "d"])
    api = libtes.TaskRunsApi(service.client)
    run = api.get_task_run(ids[1])
    summary = next(each for each in api.iter_task_runs() if each.id == ids[2])
    runs = [ids[0], run, summary, Launch("d", ids[3]), ids[0]]
    service.set_status(ids, "Failed")
    report = wait_all(service.client, runs, poll=SOON)
    assert [(each.name, each.status) for each in report] == [(n, "Failed") for n in "abcda"]
    assert report[0].time_modified is not None


def test_a_report_keeps_its_rows_and_is_not_changed(service: Service) -> None:
    ids = service.add_runs(["a", "b"])
    service.set_status(ids)
    rows = [Launch("a", ids[0], "Pending", 3), Launch("x", error="400"), Launch("b", ids[1])]
    given = Report(rows)
    report = wait_all(service.client, given, poll=SOON)
    found = [(each.name, each.outcome, each.attempts, each.error) for each in report]
    assert found == [
        ("a", "Completed", 3, None),
        ("x", "Not launched", 0, "400"),
        ("b", "Completed", 0, None),
    ]
    assert given.summary() == {"Pending": 1, "Unknown": 1, "Not launched": 1}


def test_finished_runs_and_invalid_arguments_take_no_requests(service: Service) -> None:
    runs: Any
    for runs in ([], [Launch("a")], [Launch("a", "trn.1", "Failed")]):
        assert len(wait_all(service.client, runs)) == len(runs)
    for runs in ("trn.1", None, 5, [None], [5], Launch("a", "trn.1")):
        with pytest.raises(libtes.ApiTypeError, match=r"must be (a report|an id)"):
            wait_all(service.client, runs)
    for poll in (0, -1, (2, 1), (0, 1), float("inf"), float("nan")):
        with pytest.raises(libtes.ApiValueError, match="poll must be a positive number of seconds"):
            wait_all(service.client, [], poll=poll)  # type: ignore[arg-type]
    assert not service.asked


def test_only_final_statuses_end_the_waiting(service: Service) -> None:
    others = ["Pending", "Running", "CheckedOut", "New", "completed"]
    ids = service.add_runs(["s"] * 9)
    for run_id, status in zip(ids, [*FINISHED, *others]):
        service.set_status([run_id], status)
    report = wait_all(service.client, ids, timeout=0)
    assert [each.status for each in report] == [*FINISHED, *others]
    assert report.unfinished.run_ids == ids[4:]


# How long


@pytest.mark.parametrize("timeout", [0, 0.3])
def test_a_timeout_returns_the_current_state(service: Service, timeout: float) -> None:
    ids = service.add_runs(["a", "b"])
    service.set_status(ids[:1])
    started = time.monotonic()
    report = wait_all(service.client, ids, timeout=timeout)
    assert time.monotonic() - started >= timeout
    assert report.summary() == {"Completed": 1, "Running": 1}
    assert timeout or calls(service) == ["list"]  # a timeout of 0 checks once


def test_the_delay_grows_up_to_the_longest(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(waiting, "sleep", slept.append)
    ids = service.add_runs(["a", "b"])
    finish(service, *[[]] * 10, ids)
    wait_all(service.client, ids)
    assert slept == pytest.approx([*(1.5**each for each in range(9)), 30])


def test_ctrl_c_returns_the_current_state(service: Service) -> None:
    def interrupt(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    ids = service.add_runs(["s"] * 15)
    service.hidden.update(ids)  # so runs are requested one by one
    service.set_status(ids[12:])
    report = wait_all(service.client, ids, progress=interrupt)
    assert report[12:].summary() == {"Completed": 3}
    assert report.summary() == {"Completed": 3, "Running": 12}


@pytest.mark.parametrize("timeout", [0.5, 0])
def test_a_service_that_freezes_does_not_outlast_the_timeout(
    service: Service, timeout: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "ONCE", 0.3)
    ids = service.add_runs(["a", "b"])
    thawed = threading.Event()
    service.before = on(EVER, lambda _: True, lambda _: thawed.wait(60) and None)
    report = wait_all(service.client, ids, timeout=timeout, poll=SOON)
    assert not thawed.is_set()
    thawed.set()
    assert report.summary() == {"Unknown": 2}


# Failures


@pytest.mark.parametrize(
    "failure", [lose, refuse(503), refuse(429), pytest.param(LATER, marks=pytest.mark.slow)]
)
def test_transient_failures_are_retried_not_before_the_service_allows_it(
    service: Service, failure: Any
) -> None:
    ids = service.add_runs(["a", "b"])
    service.set_status(ids)
    service.before = on(range(2), is_list, failure)
    started = time.monotonic()
    assert wait_all(service.client, ids, poll=SOON).summary() == {"Completed": 2}
    assert len(service.asked) == 3
    assert time.monotonic() - started >= (2 if failure is LATER else 0)


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_refusal_to_list_runs_ends_the_waiting(service: Service, status: int) -> None:
    ids = service.add_runs(["a", "b"])
    service.before = on(range(1, 2), is_list, refuse(status))
    with pytest.raises(BatchError, match=f"stopped waiting: GET .* {status}") as caught:
        wait_all(service.client, ids, poll=SOON)
    assert caught.value.report.summary() == {"Running": 2}
    assert isinstance(caught.value.__cause__, libtes.ApiException)


@pytest.mark.parametrize("between", [False, True], ids=["without", "with other responses"])
def test_only_failures_in_succession_for_long_end_the_waiting(
    service: Service, monkeypatch: pytest.MonkeyPatch, between: bool
) -> None:
    monkeypatch.setattr(calling, "WAITS", dataclasses.replace(HASTY, patience=0.05))
    ids = service.add_runs(["a", "b"])
    if between:
        finished = on(range(20, 21), is_list, lambda _: service.set_status(ids))
        failing = on(EVER, lambda _: len(service.asked) % 2 == 0, lose)
        service.before = lambda asked: finished(asked) or failing(asked)
        assert wait_all(service.client, ids, poll=SOON).summary() == {"Completed": 2}
    else:
        service.before = on(EVER[1:], is_list, lose)
        with pytest.raises(BatchError, match="connection lost") as caught:
            wait_all(service.client, ids, poll=SOON)
        assert caught.value.report.summary() == {"Running": 2}
        assert len(service.asked) > 4


# Aborting runs


def test_runs_that_have_not_finished_are_aborted(service: Service) -> None:
    ids = service.add_runs(["a", "b", "c", "d"])
    service.set_status(ids[:2])
    known = libtes.TaskRunsApi(service.client).iter_task_runs()
    runs = [ids[1] if each.id == ids[1] else each for each in known]  # of an id nothing is known
    service.asked.clear()
    report = abort_all(service.client, [*runs, Launch("e")])
    assert report.summary() == {"Completed": 2, "Aborted": 2, "Not launched": 1}
    assert {each.error for each in report} == {None}
    assert sorted(calls(service)) == ["GET", *["PUT"] * 3]


@pytest.mark.parametrize("status", [400, 409, 404])
def test_a_run_that_cannot_be_aborted_is_reported(service: Service, status: int) -> None:
    ids = service.add_runs(["a", "b"])
    service.before = on(range(1), lambda asked: ids[0] in asked.path, refuse(status))
    report = abort_all(service.client, ids)
    assert str(status) in str(report[0].error)
    assert report[1].status == "Aborted"


def test_aborting_is_retried_after_transient_failures(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "sleep", lambda seconds: None)
    ids = service.add_runs(["a"])
    service.before = on(range(2), lambda _: True, lose)
    service.after = on(range(1), lambda _: True, lose)
    report = abort_all(service.client, ids)
    assert [(each.status, each.error) for each in report] == [("Aborted", None)]


def test_a_refused_token_ends_the_aborting(service: Service) -> None:
    ids = service.add_runs(["a"] * 100)
    service.before = on(EVER[3:], lambda _: True, refuse(401))
    with pytest.raises(BatchError, match="stopped aborting") as caught:
        abort_all(service.client, ids, concurrency=1)
    assert caught.value.report.summary() == {"Aborted": 3, "Unknown": 97}
    assert len(service.asked) < 50


# Properties of runs


@pytest.mark.parametrize("cls", [Launch, libtes.TaskRun, libtes.TaskRunSummary])
def test_a_run_has_finished_with_a_final_status_and_then_has_a_duration(cls: Any) -> None:
    later = NOW + timedelta(minutes=5)
    for status in [*FINISHED, "", "Running", "Other", None]:
        run = cls(name="a", status=status, time_created=NOW, time_modified=later)
        final = status in FINISHED
        assert is_finished(run) is is_finished(status) is final
        assert duration(run) == (timedelta(minutes=5) if final else None)
    for times in ({"time_created": NOW}, {"time_modified": later}):
        assert duration(cls(name="a", status="Failed", **times)) is None


# Why runs failed


def fail(service: Service, run_id: str, **more: Any) -> None:
    log = {"stdout": f"gds://logs/{run_id}.out", "stderr": f"gds://logs/{run_id}.err"}
    first = {"stdout": "gds://logs/first.out", "stderr": "gds://logs/first.err"}
    service.runs[run_id].update(status="Failed", logs=[first, log], **more)


def test_each_run_that_did_not_complete_is_requested_once_for_the_reason(service: Service) -> None:
    ids = service.add_runs(["a", "b", "c", "d"])
    service.set_status(ids[:2])
    details = "The command 'sh' ended with exit status 3."
    for run_id in ids[2:]:
        fail(service, run_id, statusDetails=details)
    report = wait_all(service.client, ids, poll=SOON)
    assert calls(service) == ["list", "GET", "GET"]
    for launch in report.failed:
        assert (launch.status_details, launch.exit_status) == (details, 3)
        logs = [f"gds://logs/{launch.run_id}.{each}" for each in ("out", "err")]
        assert [launch.stdout, launch.stderr] == logs
    assert {each.stderr for each in report.completed} == {None}
    service.asked.clear()
    assert wait_all(service.client, report).failed.to_dicts() == report.failed.to_dicts()
    assert not service.asked


def test_failed_runs_are_requested_concurrently(service: Service) -> None:
    ids = service.add_runs(["s"] * 20)
    for run_id in ids:
        fail(service, run_id)
    service.before = service.gather(lambda asked: not is_list(asked), 5)
    wait_all(service.client, ids, poll=SOON)
    assert service.most_under_way > 4


def test_the_exit_status_is_read_from_the_details_or_else_from_the_log() -> None:
    for details, status in {
        "exit status 3": 3,
        "The container exited with code 137.": 137,
        "Exit code: 1": 1,
        "exit status -9": -9,
        "ExitCode=2": 2,
        "evicted": None,
        "existing 5": None,
        None: None,
    }.items():
        launch = Launch("a", "trn.1", "Failed")
        waiting.explain(launch, libtes.TaskRun(status_details=details, logs=[]))
        assert (launch.exit_status, launch.stderr) == (status, None)
    log = libtes.TaskRunLogs(error="Killed", error_details="exit code 137")
    waiting.explain(launch, libtes.TaskRun(logs=[log]))
    assert (launch.status_details, launch.exit_status) == ("Killed", 137)


def test_a_run_whose_reason_cannot_be_requested_is_reported_without(service: Service) -> None:
    ids = service.add_runs(["a", "b"])
    service.set_status(ids, "Failed")
    service.before = on(EVER, lambda asked: not is_list(asked), refuse(500))
    report = wait_all(service.client, ids, poll=SOON)
    assert report.summary() == {"Failed": 2}
    assert {each.status_details for each in report} == {None}
