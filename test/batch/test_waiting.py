"""Waiting: few requests, through failures, up to a timeout; and aborting runs."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta, timezone
from typing import Any, Optional

import pytest

from libica.batch import BatchError, Launch, Report, waiting
from libica.batch.waiting import abort_all, duration, is_finished, wait, wait_all
from libica.openapi import libtes

from ..server import Answer, Asked
from .service import EVER, Service, any_request, is_list, lose, on, refuse

FINISHED = ["Completed", "Failed", "TimedOut", "Aborted"]
NOW = datetime.now(timezone.utc)
LATER = NOW + timedelta(minutes=5)
NONE, ALL = slice(0), slice(None)
OLD, NEW = (1000, 7200), (4000, -60)  # numbers of runs of other versions, and their age
param = pytest.param


def wait_for(service: Service, runs: Any, **options: Any) -> Report:
    return wait_all(service.client, runs, **{"poll": 0.01, **options})


def calls(service: Service) -> list[str]:
    return ["list" if is_list(each) else each.method for each in service.asked]


def finish(service: Service, *rounds: list[str]) -> None:
    """Have some runs finish before each round of checks, the first one included."""
    left = iter(rounds)

    def before(asked: Asked) -> None:
        if "pageToken" not in asked.query:
            service.set_status(next(left, []))

    service.before = before


# Few requests


# Number of runs, runs of other versions, which have finished in each round, and the requests
ROUNDS: dict[str, tuple[Any, ...]] = {
    "all are listed": (20, OLD, [NONE, slice(5), slice(10), ALL], "list " * 4),
    "a single run is requested itself": (1, OLD, [NONE, NONE, ALL], "GET GET GET"),
    # The first list shows runs of other versions, and a run tells the version to filter by.
    "lists are filtered": (2500, NEW, [NONE] * 3 + [ALL], "list GET " + "list " * 6),
    "the last two": (3000, OLD, [slice(2998), *[NONE] * 3, ALL], "list " * 3 + "GET " * 5),
    "many runs": (4000, OLD, [NONE, ALL], "list " * 8),
}


@pytest.mark.parametrize("case", ROUNDS.values(), ids=ROUNDS)
def test_runs_are_checked_with_few_requests_until_all_have_finished(
    service: Service, case: tuple[Any, ...]
) -> None:
    count, others, rounds, expected = case
    names = [f"s{number}" for number in range(count)]
    ids = service.add_runs(names)
    service.add_runs(["other"] * others[0], age=others[1], version="tvn.other")
    finish(service, *(ids[each] for each in rounds))
    told: list[tuple[int, int]] = []
    report = wait_for(service, ids, progress=lambda *counts: told.append(counts))
    assert report.summary() == {"Completed": count}
    assert (report.run_ids, [each.name for each in report]) == (ids, names)
    assert calls(service) == expected.split()
    assert {each.query["pageSize"] for each in service.asked if is_list(each)} <= {"1000"}
    assert told == sorted(told)
    assert {(len(ids[each]), count) for each in rounds if each is not NONE} <= set(told)


def test_a_filter_that_finds_nothing_is_not_used_again(service: Service) -> None:
    ids = service.add_runs(["s"] * 1500)
    service.add_runs(["other"] * 10, age=-60, version="tvn.other")
    service.before = on(EVER, filtered, lambda _: Answer(200, {"items": []}))
    service.after = on(range(9, 10), any_request, lambda _: service.set_status(ids))
    assert wait_for(service, ids).summary() == {"Completed": 1500}
    assert sum(map(filtered, service.asked)) == 1


def filtered(asked: Asked) -> bool:
    return "versions" in asked.query


def test_no_list_is_read_beyond_the_oldest_run(service: Service) -> None:
    service.add_runs(["old"] * 3000, age=7200)
    ids = [*service.add_runs(["s"] * 5), "trn.none"]
    runs = [libtes.TaskRunSummary(id=each, status="Running", time_created=NOW) for each in ids]
    wait_for(service, runs, timeout=0)
    assert calls(service) == ["list", "GET"]


def test_runs_missing_from_lists_are_requested_in_turn(service: Service) -> None:
    ids = service.add_runs(["s"] * 15, "Completed")
    service.hidden.update(ids)
    assert wait_for(service, ids).summary() == {"Completed": 15}
    assert calls(service) == ["list"] + ["GET"] * 10 + ["list"] + ["GET"] * 5


# What can be waited for, and the report


def test_ids_runs_summaries_and_launches_can_be_waited_for(service: Service) -> None:
    ids = service.add_runs(["a", "b", "c", "d"])
    api = libtes.TaskRunsApi(service.client)
    run = api.get_task_run(ids[1])
    summary = next(each for each in api.iter_task_runs() if each.id == ids[2])
    service.set_status(ids, "Failed")
    report = wait_for(service, [ids[0], run, summary, Launch("d", ids[3]), ids[0]])
    assert [(each.name, each.status) for each in report] == [(n, "Failed") for n in "abcda"]
    assert report[0].time_modified is not None
    assert wait(service.client, ids[0]) == report[0]


def test_a_report_keeps_its_rows_and_is_not_changed(service: Service) -> None:
    ids = service.add_runs(["a", "b"], "Completed")
    rows = [Launch("a", ids[0], "Pending", 3), Launch("x", error="400"), Launch("b", ids[1])]
    given = Report(rows)
    found = [(each.outcome, each.attempts, each.error) for each in wait_for(service, given)]
    assert found == [("Completed", 3, None), ("Not launched", 0, "400"), ("Completed", 0, None)]
    assert given.summary() == {"Pending": 1, "Unknown": 1, "Not launched": 1}


def test_finished_runs_and_invalid_arguments_take_no_requests(service: Service) -> None:
    runs: Any
    for runs in ([], [Launch("a")], [Launch("a", "trn.1", "Failed")]):
        assert len(wait_for(service, runs)) == len(runs)
    for runs in ("trn.1", None, 5, [None], [5], Launch("a", "trn.1")):
        with pytest.raises(libtes.ApiTypeError, match=r"must be (a report|an id)"):
            wait_for(service, runs)
    for poll in (0, -1, (2, 1), (0, 1), float("inf"), float("nan")):
        with pytest.raises(libtes.ApiValueError, match="poll must be a positive number of seconds"):
            wait_for(service, [], poll=poll)
    assert not service.asked


def test_only_final_statuses_end_the_waiting(service: Service) -> None:
    statuses = [*FINISHED, "Pending", "Running", "CheckedOut", "New", "completed"]
    ids = [service.add_runs(["s"], status)[0] for status in statuses]
    report = wait_for(service, ids, timeout=0)
    assert [each.status for each in report] == statuses
    assert report.unfinished.run_ids == ids[4:]


# How long


@pytest.mark.parametrize("timeout", [0, 0.3])
def test_a_timeout_returns_the_current_state(service: Service, timeout: float) -> None:
    ids = service.add_runs(["a"], "Completed") + service.add_runs(["b"])
    started = time.monotonic()
    report = wait_for(service, ids, timeout=timeout)
    assert time.monotonic() - started >= timeout
    assert report.summary() == {"Completed": 1, "Running": 1}
    assert timeout or calls(service) == ["list"]  # a timeout of 0 checks once


@pytest.mark.parametrize("timeout", [0.5, 0])
def test_a_service_that_freezes_does_not_outlast_the_timeout(
    service: Service, timeout: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "ONCE", 0.3)
    thawed = threading.Event()
    service.before = on(EVER, any_request, lambda _: thawed.wait(60) and None)
    report = wait_for(service, service.add_runs(["a", "b"]), timeout=timeout)
    assert not thawed.is_set()
    thawed.set()
    assert report.summary() == {"Unknown": 2}


def test_the_delay_grows_to_the_longest(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
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

    ids = service.add_runs(["s"] * 12) + service.add_runs(["s"] * 3, "Completed")
    service.hidden.update(ids)  # so runs are requested one by one
    report = wait_for(service, ids, poll=None, progress=interrupt)
    assert [each.status for each in report] == ["Running"] * 12 + ["Completed"] * 3


# Failures


@pytest.mark.parametrize("status", [404, 403])
def test_a_run_that_cannot_be_requested_is_given_up_alone(service: Service, status: int) -> None:
    ids = service.add_runs(["a", "b", "c"], "Completed")
    service.hidden.update(ids)
    service.before = on(EVER, lambda asked: ids[0] in asked.path, refuse(status))
    report = wait_for(service, ids)
    assert report.summary() == {"Completed": 2, "Unknown": 1}
    assert str(status) in str(report[0].error)


@pytest.mark.parametrize("status", [400, 404, 410])
def test_an_expired_page_token_restarts_the_round(service: Service, status: int) -> None:
    ids = service.add_runs(["s"] * 2500, "Completed")
    service.before = on(range(2), lambda asked: "pageToken" in asked.query, refuse(status))
    assert wait_for(service, ids).summary() == {"Completed": 2500}


def test_a_run_on_two_pages_is_no_error(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = service.add_runs(["s"] * 1500, "Completed")
    listed = service.listed
    monkeypatch.setattr(service, "listed", lambda runs: listed([*runs, *runs]))
    assert wait_for(service, ids).summary() == {"Completed": 1500}


AFTER_1_S = refuse(429, Retry_After="1")


@pytest.mark.parametrize(
    ("failure", "seconds"),
    [
        *((failure, 0) for failure in (lose, refuse(503), refuse(429))),
        param(AFTER_1_S, 2, marks=pytest.mark.slow),
    ],
)
def test_failures_that_pass_are_retried_later(
    service: Service, failure: Any, seconds: float
) -> None:
    ids = service.add_runs(["a", "b"], "Completed")
    service.before = on(range(2), is_list, failure)
    started = time.monotonic()
    assert wait_for(service, ids).summary() == {"Completed": 2}
    assert len(service.asked) == 3
    assert time.monotonic() - started >= seconds


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("failure", "requests", "message"),
    [
        *((refuse(status), 2, f"stopped waiting: GET .* {status}") for status in (400, 401, 403)),
        (lose, 5, "connection lost"),  # until the service has not responded for long
    ],
)
def test_a_refusal_or_failures_in_succession_for_long_end_the_waiting(
    service: Service, failure: Any, requests: int, message: str
) -> None:
    service.before = on(EVER[1:], is_list, failure)
    with pytest.raises(BatchError, match=message) as caught:
        wait_for(service, service.add_runs(["a", "b"]))
    assert caught.value.report.summary() == {"Running": 2}
    assert isinstance(caught.value.__cause__, libtes.ApiException)
    assert len(service.asked) >= requests


@pytest.mark.usefixtures("impatient")
def test_failures_between_successes_are_fine(service: Service) -> None:
    ids = service.add_runs(["a", "b"])

    def before(asked: Asked) -> Optional[Answer]:
        if len(service.asked) > 20:
            service.set_status(ids)
        return lose(asked) if len(service.asked) % 2 == 0 else None

    service.before = before
    assert wait_for(service, ids).summary() == {"Completed": 2}


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


def test_aborting_is_retried_after_failures(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "sleep", lambda seconds: None)
    service.before = on(range(2), any_request, lose)
    service.after = on(range(1), any_request, lose)
    report = abort_all(service.client, service.add_runs(["a"]))
    assert [(each.status, each.error) for each in report] == [("Aborted", None)]


def test_a_refused_token_ends_the_aborting(service: Service) -> None:
    service.before = on(EVER[3:], any_request, refuse(401))
    with pytest.raises(BatchError, match="stopped aborting") as caught:
        abort_all(service.client, service.add_runs(["a"] * 100), concurrency=1)
    assert caught.value.report.summary() == {"Aborted": 3, "Unknown": 97}
    assert len(service.asked) < 50


# How runs ended


@pytest.mark.parametrize("cls", [Launch, libtes.TaskRun, libtes.TaskRunSummary])
def test_a_run_has_finished_with_a_final_status_and_then_has_a_duration(cls: Any) -> None:
    for status in [*FINISHED, "", "Running", "Other", None]:
        run = cls(name="a", status=status, time_created=NOW, time_modified=LATER)
        final = status in FINISHED
        assert is_finished(run) is is_finished(status) is final
        assert duration(run) == (timedelta(minutes=5) if final else None)
    for times in ({"time_created": NOW}, {"time_modified": LATER}):
        assert duration(cls(name="a", status="Failed", **times)) is None


def test_each_run_that_did_not_complete_is_requested_once_for_the_reason(service: Service) -> None:
    ids = service.add_runs(["s"] * 20)
    service.set_status(ids[:10])
    first = {"stdout": "gds://logs/first.out", "stderr": "gds://logs/first.err"}
    for run_id in ids[10:]:
        log = {"stdout": f"gds://logs/{run_id}.out", "stderr": f"gds://logs/{run_id}.err"}
        more = {"logs": [first, log], "statusDetails": "It ended with exit status 3."}
        service.runs[run_id].update(status="Failed", **more)
    service.before = service.gather(lambda asked: not is_list(asked), 5)
    report = wait_for(service, ids)
    assert calls(service) == ["list"] + ["GET"] * 10
    assert service.most_under_way > 4  # they are requested concurrently
    for launch in report.failed:
        details = (launch.status_details, launch.exit_status, launch.stdout, launch.stderr)
        logs = [f"gds://logs/{launch.run_id}.{each}" for each in ("out", "err")]
        assert details == ("It ended with exit status 3.", 3, *logs)
    assert {each.stderr for each in report.completed} == {None}
    service.asked.clear()
    assert wait_for(service, report).failed.to_dicts() == report.failed.to_dicts()
    assert not service.asked


def test_a_run_whose_reason_cannot_be_requested_is_reported_without(service: Service) -> None:
    ids = service.add_runs(["a", "b"], "Failed")
    service.before = on(EVER, lambda asked: not is_list(asked), refuse(500))
    report = wait_for(service, ids)
    assert [(each.status, each.status_details) for each in report] == [("Failed", None)] * 2


@pytest.mark.parametrize(
    ("details", "log", "expected"),
    [
        ("exit status 3", None, 3),
        ("The container exited with code 137.", None, 137),
        ("Exit code: 1", None, 1),
        ("exit status -9", None, -9),
        ("ExitCode=2", None, 2),
        ("evicted", None, None),
        ("existing 5", None, None),
        (None, None, None),
        (None, libtes.TaskRunLogs(error="Killed", error_details="exit code 137"), 137),
    ],
)
def test_the_exit_status_is_read_from_the_details_or_else_from_the_log(
    details: Optional[str], log: Any, expected: Optional[int]
) -> None:
    launch = Launch("a", "trn.1", "Failed")
    waiting.explain(launch, libtes.TaskRun(status_details=details, logs=[log] if log else []))
    assert launch.exit_status == expected
    assert launch.status_details == (log.error if log else details)
