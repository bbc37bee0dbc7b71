"""Waiting: until all runs have finished, with few calls, through failures; and stopping runs."""

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


def finish(service: Service, *rounds: list[str]) -> None:
    """Have some runs finish before each round of looking, the first one included."""
    left = list(rounds)

    def before(asked: Asked) -> Optional[Answer]:
        if "pageToken" not in asked.query and left:
            service.set_status(left.pop(0))
        return None

    service.before = before


def calls(service: Service) -> list[str]:
    return ["list" if is_list(each) else each.method for each in service.asked]


# How runs are looked at


def test_runs_are_looked_at_by_lists_until_all_have_finished(service: Service) -> None:
    names = [f"s{number}" for number in range(20)]
    ids = service.add_runs(names)
    finish(service, [], ids[:5], ids[5:10], ids[10:])
    report = wait_all(service.client, ids, poll=SOON)
    assert report.summary() == {"Completed": 20}
    assert report.run_ids == ids
    assert [each.name for each in report] == names
    assert calls(service) == ["list"] * 4


def test_10_000_runs_take_10_calls_a_round(service: Service) -> None:
    service.add_runs(["other"] * 1000, age=7200, version="tvn.other")
    ids = service.add_runs(["s"] * 10_000)
    finish(service, ids[::2], ids[1::2])
    assert wait_all(service.client, ids, poll=SOON).summary() == {"Completed": 10_000}
    assert calls(service) == ["list"] * 20
    assert {each.query["pageSize"] for each in service.asked} == {"1000"}


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
    empty = Answer(200, {"items": []})
    service.before = on(EVER, lambda asked: "versions" in asked.query, lambda _: empty)
    service.after = on(range(9, 10), lambda _: True, lambda _: service.set_status(ids))
    assert wait_all(service.client, ids, poll=SOON).summary() == {"Completed": 1500}
    assert sum("versions" in each.query for each in service.asked) == 1


def test_no_list_is_read_beyond_the_oldest_run(service: Service) -> None:
    service.add_runs(["old"] * 3000, age=7200)
    ids = [*service.add_runs(["s"] * 5), "trn.none"]
    runs = [libtes.TaskRunSummary(id=each, status="Running", time_created=NOW) for each in ids]
    wait_all(service.client, runs, timeout=0)
    assert calls(service) == ["list", "GET"]


def test_what_no_list_shows_is_looked_at_one_by_one(service: Service) -> None:
    ids = service.add_runs(["s"] * 15)
    hidden = on(EVER, is_list, lambda _: Answer(200, {"items": []}))
    service.before = hidden
    service.set_status(ids)
    report = wait_all(service.client, ids, poll=SOON)
    assert report.summary() == {"Completed": 15}
    assert calls(service) == ["list"] + ["GET"] * 10 + ["list"] + ["GET"] * 5


def test_all_that_no_list_shows_have_their_turn(service: Service) -> None:
    ids = service.add_runs(["s"] * 25)
    service.before = on(EVER, is_list, lambda _: Answer(200, {"items": []}))
    service.set_status(ids[20:])
    report = wait_all(service.client, ids, poll=SOON, timeout=0.3)
    assert report.summary() == {"Completed": 5, "Running": 20}


def test_a_single_run_is_looked_at_itself(service: Service) -> None:
    (run_id,) = service.add_runs(["s"])
    finish(service, [], [], [run_id])
    launch = wait(service.client, run_id, poll=SOON)
    assert (launch.name, launch.run_id, launch.status) == ("s", run_id, "Completed")
    assert calls(service) == ["GET"] * 3


def test_stragglers_are_looked_at_one_by_one_where_lists_would_take_more(service: Service) -> None:
    ids = service.add_runs(["s"] * 3000)
    finish(service, ids[2:], [], [], [], ids)
    wait_all(service.client, ids, poll=SOON)
    assert calls(service)[:3] == ["list"] * 3
    assert set(calls(service)[3:]) == {"GET"}


def test_a_run_that_is_not_there_is_given_up(service: Service) -> None:
    (run_id,) = service.add_runs(["s"])
    service.set_status([run_id])
    report = wait_all(service.client, ["trn.none", run_id], poll=SOON)
    assert report.summary() == {"Completed": 1, "Unknown": 1}
    assert "404" in str(report[0].error)


# What can be waited for, and what comes of it


def test_runs_of_all_kinds_can_be_waited_for(service: Service) -> None:
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
    given = Report(
        [Launch("a", ids[0], "Pending", 3), Launch("x", error="400"), Launch("b", ids[1])]
    )
    report = wait_all(service.client, given, poll=SOON)
    assert [each.name for each in report] == ["a", "x", "b"]
    assert [each.attempts for each in report] == [3, 0, 0]
    assert report.summary() == {"Completed": 2, "Not launched": 1}
    assert report[1].error == "400"
    assert given.summary() == {"Pending": 1, "Unknown": 1, "Not launched": 1}


@pytest.mark.parametrize("runs", [[], [Launch("a")], [Launch("a", "trn.1", "Failed")]])
def test_what_needs_no_waiting_makes_no_calls(service: Service, runs: Any) -> None:
    assert len(wait_all(service.client, runs)) == len(runs)
    assert not service.asked


@pytest.mark.parametrize("runs", ["trn.1", None, 5, [None], [5], Launch("a", "trn.1")])
def test_what_is_no_list_of_runs_is_an_error(service: Service, runs: Any) -> None:
    with pytest.raises(libtes.ApiTypeError):
        wait_all(service.client, runs)


@pytest.mark.parametrize("status", FINISHED)
def test_each_final_status_ends_the_waiting(service: Service, status: str) -> None:
    ids = service.add_runs(["s"] * 3)
    finish(service, [])
    service.set_status(ids, status)
    assert wait_all(service.client, ids, poll=SOON).summary() == {status: 3}


@pytest.mark.parametrize("status", ["Pending", "Running", "CheckedOut", "New", "completed"])
def test_any_other_status_is_waited_out(service: Service, status: str) -> None:
    ids = service.add_runs(["s"] * 3)
    service.set_status(ids, status)
    assert wait_all(service.client, ids, poll=SOON, timeout=0.05).summary() == {status: 3}


# How long


def test_a_time_out_returns_what_is_known(service: Service) -> None:
    ids = service.add_runs(["a", "b"])
    service.set_status(ids[:1])
    started = time.monotonic()
    report = wait_all(service.client, ids, timeout=0.1)
    assert 0.1 <= time.monotonic() - started < 2
    assert report.summary() == {"Completed": 1, "Running": 1}
    assert report.unfinished.run_ids == ids[1:]


def test_a_time_out_of_zero_looks_once(service: Service) -> None:
    ids = service.add_runs(["a", "b"])
    assert wait_all(service.client, ids, timeout=0).summary() == {"Running": 2}
    assert calls(service) == ["list"]


def test_the_interval_grows_up_to_the_longest(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(waiting, "sleep", slept.append)
    ids = service.add_runs(["a", "b"])
    finish(service, *[[]] * 9, ids)
    wait_all(service.client, ids)
    assert slept == pytest.approx(
        [1, 1.5, 2.25, 3.375, 5.0625, 7.59375, 11.390625, 17.0859375, 25.62890625]
    )


@pytest.mark.parametrize("poll", [0, -1, (2, 1), (0, 1), float("inf"), float("nan")])
def test_a_poll_that_is_no_time_is_an_error(service: Service, poll: Any) -> None:
    with pytest.raises(libtes.ApiValueError, match="poll must be positive seconds"):
        wait_all(service.client, [], poll=poll)


def test_ctrl_c_returns_what_is_known(service: Service) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    ids = service.add_runs(["a", "b"])
    service.set_status(ids[:1])
    report = wait_all(service.client, ids, progress=interrupt)
    assert report.summary() == {"Completed": 1, "Running": 1}


def test_progress_is_told(service: Service) -> None:
    told: list[tuple[int, int]] = []
    ids = service.add_runs(["s"] * 3)
    finish(service, ids[:1], ids[1:])
    wait_all(service.client, ids, poll=SOON, progress=lambda *counts: told.append(counts))
    assert told[-1] == (3, 3)
    assert (1, 3) in told


# Failures


@pytest.mark.parametrize("failure", [lose, refuse(500), refuse(503), refuse(429)])
def test_failures_that_pass_are_waited_out(service: Service, failure: Any) -> None:
    ids = service.add_runs(["a", "b"])
    service.set_status(ids)
    service.before = on(range(4), is_list, failure)
    assert wait_all(service.client, ids, poll=SOON).summary() == {"Completed": 2}
    assert len(service.asked) == 5


def test_the_service_is_not_asked_before_it_wants_to_be(service: Service) -> None:
    ids = service.add_runs(["a", "b"])
    service.set_status(ids)
    service.before = on(range(1), is_list, refuse(429, Retry_After="1"))
    started = time.monotonic()
    wait_all(service.client, ids, poll=SOON)
    assert time.monotonic() - started >= 1


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_refusal_to_list_runs_ends_the_waiting(service: Service, status: int) -> None:
    ids = service.add_runs(["a", "b"])
    service.before = on(range(1, 2), is_list, refuse(status))
    with pytest.raises(BatchError, match=f"the waiting was ended: GET .* {status}") as caught:
        wait_all(service.client, ids, poll=SOON)
    assert caught.value.report.summary() == {"Running": 2}
    assert isinstance(caught.value.__cause__, libtes.ApiException)


def test_a_service_that_stays_away_ends_the_waiting(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calling, "WAITS", dataclasses.replace(HASTY, patience=0.05))
    ids = service.add_runs(["a", "b"])
    service.before = on(EVER[1:], is_list, lose)
    with pytest.raises(BatchError, match="connection lost") as caught:
        wait_all(service.client, ids, poll=SOON)
    assert caught.value.report.summary() == {"Running": 2}
    assert len(service.asked) > 4


def test_failures_between_good_answers_do_not_add_up(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calling, "WAITS", dataclasses.replace(HASTY, patience=0.05))
    ids = service.add_runs(["a", "b"])
    finished = on(range(20, 21), is_list, lambda _: service.set_status(ids))
    failing = on(EVER, lambda _: len(service.asked) % 2 == 0, lose)
    service.before = lambda asked: finished(asked) or failing(asked)
    assert wait_all(service.client, ids, poll=SOON).summary() == {"Completed": 2}


# Stopping runs


def test_runs_that_have_not_finished_are_aborted(service: Service) -> None:
    ids = service.add_runs(["a", "b", "c"])
    service.set_status(ids[:1])
    runs = [*libtes.TaskRunsApi(service.client).iter_task_runs(), Launch("d")]
    service.asked.clear()
    report = abort_all(service.client, runs)
    assert report.summary() == {"Completed": 1, "Aborted": 2, "Not launched": 1}
    assert calls(service) == ["PUT"] * 2


def test_that_a_run_has_finished_meanwhile_is_no_error(service: Service) -> None:
    ids = service.add_runs(["a", "b"])
    service.set_status(ids[:1])
    report = abort_all(service.client, ids)
    assert report.summary() == {"Completed": 1, "Aborted": 1}
    assert [each.error for each in report] == [None, None]


@pytest.mark.parametrize("status", [400, 409, 404])
def test_a_run_that_cannot_be_aborted_is_reported(service: Service, status: int) -> None:
    ids = service.add_runs(["a", "b"])
    aborts = on(range(1), lambda asked: ids[0] in asked.path, refuse(status))
    service.before = aborts
    report = abort_all(service.client, ids)
    assert str(status) in str(report[0].error)
    assert report[1].status == "Aborted"


def test_aborting_is_tried_again_after_failures_that_pass(
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
    with pytest.raises(BatchError) as caught:
        abort_all(service.client, ids, concurrency=1)
    assert caught.value.report.summary() == {"Aborted": 3, "Unknown": 97}
    assert len(service.asked) < 50


# What runs tell


@pytest.mark.parametrize("status", FINISHED)
def test_a_final_status_is_finished(status: str) -> None:
    assert is_finished(status)
    assert is_finished(Launch("a", status=status))
    assert is_finished(libtes.TaskRun(status=status))
    assert is_finished(libtes.TaskRunSummary(status=status))


@pytest.mark.parametrize("status", [None, "", "Pending", "Running", "Other"])
def test_any_other_status_is_not_finished(status: Optional[str]) -> None:
    assert not is_finished(status)
    assert not is_finished(Launch("a", status=status))
    assert not is_finished(libtes.TaskRun(status=status))


LATER = NOW + timedelta(minutes=5)


@pytest.mark.parametrize("cls", [Launch, libtes.TaskRun, libtes.TaskRunSummary])
@pytest.mark.parametrize(
    ("status", "created", "modified", "expected"),
    [
        ("Completed", NOW, LATER, timedelta(minutes=5)),
        ("Failed", NOW, LATER, timedelta(minutes=5)),
        ("Running", NOW, LATER, None),
        ("Completed", None, LATER, None),
        ("Completed", NOW, None, None),
    ],
)
def test_the_duration_of_a_run_is_from_created_to_finished(
    cls: Any, status: str, created: Any, modified: Any, expected: Any
) -> None:
    run = cls(name="a", status=status, time_created=created, time_modified=modified)
    assert duration(run) == expected


# What a service may do meanwhile


def test_a_run_that_is_forbidden_is_given_up_and_the_others_are_waited_for(
    service: Service,
) -> None:
    ids = service.add_runs(["a", "b", "c"])
    hidden = on(EVER, is_list, lambda _: Answer(200, {"items": []}))
    forbidden = on(EVER, lambda asked: ids[0] in asked.path, refuse(403))
    service.before = lambda asked: hidden(asked) or forbidden(asked)
    service.set_status(ids[1:])
    report = wait_all(service.client, ids, poll=SOON)
    assert report.summary() == {"Completed": 2, "Unknown": 1}
    assert "403" in str(report[0].error)


@pytest.mark.parametrize("status", [400, 404, 410])
def test_a_page_token_that_has_expired_begins_the_round_again(
    service: Service, status: int
) -> None:
    ids = service.add_runs(["s"] * 2500)
    service.set_status(ids)
    expired = on(range(2), lambda asked: "pageToken" in asked.query, refuse(status))
    service.before = expired
    assert wait_all(service.client, ids, poll=SOON).summary() == {"Completed": 2500}


def test_a_run_that_is_on_two_pages_is_no_error(service: Service) -> None:
    ids = service.add_runs(["s"] * 1500)
    service.add_runs(["other"] * 10, age=-60, version="tvn.other")
    seen = service.tes._list

    def twice(query: Any, owner: str) -> Any:
        page = seen(query, owner)
        page["items"] = page["items"] + page["items"][:5]
        return page

    service.tes._list = twice  # type: ignore[method-assign]
    service.set_status(ids)
    assert wait_all(service.client, ids, poll=SOON).summary() == {"Completed": 1500}


@pytest.mark.parametrize("timeout", [0.5, 1.0])
def test_a_service_that_freezes_does_not_outlast_the_timeout(
    service: Service, timeout: float
) -> None:
    ids = service.add_runs(["a", "b"])
    thawed = threading.Event()
    service.before = on(EVER, lambda _: True, lambda _: thawed.wait(30) and None)
    started = time.monotonic()
    report = wait_all(service.client, ids, timeout=timeout, poll=SOON)
    took = time.monotonic() - started
    thawed.set()
    assert timeout <= took < 15
    assert report.summary() == {"Unknown": 2}


def test_one_look_at_a_service_that_freezes_ends_too(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "ONCE", 0.3)
    thawed = threading.Event()
    service.before = on(EVER, lambda _: True, lambda _: thawed.wait(30) and None)
    assert len(wait_all(service.client, service.add_runs(["a", "b"]), timeout=0)) == 2
    thawed.set()


# Why runs failed


def fail(service: Service, run_id: str, **more: Any) -> None:
    log = {"stdout": f"gds://logs/{run_id}.out", "stderr": f"gds://logs/{run_id}.err"}
    first = {"stdout": "gds://logs/first.out", "stderr": "gds://logs/first.err"}
    service.tes._things[run_id].update(status="Failed", logs=[first, log], **more)


def test_each_run_that_did_not_complete_is_looked_at_once_for_why(service: Service) -> None:
    ids = service.add_runs(["a", "b", "c", "d"])
    service.set_status(ids[:2])
    for run_id in ids[2:]:
        fail(service, run_id, statusDetails="The command 'sh' ended with exit status 3.")
    report = wait_all(service.client, ids, poll=SOON)
    assert calls(service) == ["list", "GET", "GET"]
    for launch in report.failed:
        assert launch.status_details == "The command 'sh' ended with exit status 3."
        assert launch.exit_status == 3
        assert launch.stdout == f"gds://logs/{launch.run_id}.out"
        assert launch.stderr == f"gds://logs/{launch.run_id}.err"
    assert {each.stderr for each in report.completed} == {None}
    service.asked.clear()
    assert wait_all(service.client, report).failed.to_dicts() == report.failed.to_dicts()
    assert not service.asked


def test_failed_runs_are_looked_at_together(service: Service) -> None:
    ids = service.add_runs(["s"] * 20)
    for run_id in ids:
        fail(service, run_id)
    service.before = on(EVER, lambda asked: not is_list(asked), lambda _: time.sleep(0.05))  # type: ignore[arg-type,return-value]
    wait_all(service.client, ids, poll=SOON)
    assert service.most_under_way > 4


@pytest.mark.parametrize(
    ("details", "status"),
    [
        ("exit status 3", 3),
        ("The container exited with code 137.", 137),
        ("Exit code: 1", 1),
        ("exit status -9", -9),
        ("ExitCode=2", 2),
        ("evicted", None),
        ("existing 5", None),
        ("", None),
        (None, None),
    ],
)
def test_the_exit_status_is_read_from_the_details(
    details: Optional[str], status: Optional[int]
) -> None:
    launch = Launch("a", "trn.1", "Failed")
    waiting.explain(launch, libtes.TaskRun(status_details=details, logs=[]))
    assert (launch.exit_status, launch.stderr) == (status, None)


def test_the_errors_of_a_log_stand_in_for_details(service: Service) -> None:
    log = libtes.TaskRunLogs(error="Killed", error_details="exit code 137")
    launch = Launch("a", "trn.1", "Failed")
    waiting.explain(launch, libtes.TaskRun(logs=[log]))
    assert (launch.status_details, launch.exit_status) == ("Killed", 137)


def test_a_run_whose_reason_cannot_be_had_is_reported_without(service: Service) -> None:
    ids = service.add_runs(["a", "b"])
    service.set_status(ids, "Failed")
    service.before = on(EVER, lambda asked: not is_list(asked), refuse(500))
    report = wait_all(service.client, ids, poll=SOON)
    assert report.summary() == {"Failed": 2}
    assert {each.status_details for each in report} == {None}
