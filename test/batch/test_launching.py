"""Launching: one run a launch, whatever fails, and what becomes of the others meanwhile."""

from __future__ import annotations

import dataclasses
import itertools
import pickle
import threading
import time
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path
from typing import Any, Optional

import pytest

from libica.batch import (
    BatchError,
    BatchInterrupt,
    Report,
    calling,
    finding,
    launch_all,
    launching,
    sending,
)
from libica.openapi import libtes
from libica.openapi.libtes.rest import retry_after

from .. import small_tes
from ..server import Answer, Asked
from .conftest import HASTY
from .service import EVER, Service, cohort, is_launch, is_list, lose, on, refuse


def launch(service: Service, launches: Any = 5, **options: Any) -> Report:
    given = cohort(launches) if isinstance(launches, int) else launches
    return launch_all(service.client, *service.ids, given, **options)


def check(service: Service, report: Report) -> None:
    """Check that each launch has become one run, and that the report knows which."""
    assert {each.run_id: each.name for each in report} == service.runs
    assert [each.error for each in report] == [None] * len(report)


# What is launched


def test_each_launch_becomes_a_run_in_the_order_given(service: Service) -> None:
    report = launch(service, 40)
    check(service, report)
    assert [each.name for each in report] == [each["name"] for each in cohort(40)]
    assert report.summary() == {"Pending": 40}
    assert {each.attempts for each in report} == {1}
    now = datetime.now(timezone.utc)
    for each in report:
        assert each.time_created is not None
        assert timedelta() <= now - each.time_created < timedelta(minutes=1)
        assert each.time_modified is None


def test_the_requests_are_sent_as_given(service: Service) -> None:
    request = libtes.LaunchTaskRequest(
        name="n", description="d", acl=["wid:1"], arguments=cohort(1)[0]["arguments"]
    )
    launch(service, [request], mark=False)
    (sent,) = [each.json for each in service.asked if is_launch(each)]
    assert sent == service.client.sanitize_for_serialization(request)


def test_nothing_to_launch_is_an_empty_report(service: Service, tmp_path: Path) -> None:
    assert len(launch(service, [], journal=tmp_path / "journal")) == 0


@pytest.mark.parametrize("concurrency", [1, 3])
def test_no_more_calls_are_under_way_than_allowed(service: Service, concurrency: int) -> None:
    service.before = lambda asked: time.sleep(0.005)  # type: ignore[func-returns-value]
    launch(service, 12, concurrency=concurrency)
    assert service.most_under_way == concurrency


@pytest.mark.parametrize("option", ["concurrency", "max_in_flight"])
def test_a_number_below_1_is_an_error(service: Service, option: str) -> None:
    with pytest.raises(libtes.ApiValueError, match=f"{option} must be 1 or more"):
        launch(service, 1, **{option: 0})


@pytest.mark.usefixtures("hasty")
def test_no_more_runs_are_under_way_than_allowed(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launching, "POLL", (0.01, 0.02))
    under_way: list[int] = []

    def open_runs() -> list[str]:
        things = service.tes._things
        return [each for each in service.runs if things[each]["status"] == "Pending"]

    def before(asked: Asked) -> None:
        if is_launch(asked):
            under_way.append(len(open_runs()) + service.under_way)
        else:
            service.set_status(open_runs()[:2])

    service.before = before  # type: ignore[assignment]
    check(service, launch(service, 30, max_in_flight=4))
    assert max(under_way) == 4


def test_runs_of_an_earlier_call_count_among_those_under_way(
    service: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(launching, "POLL", (0.01, 0.02))
    service.before = on(range(3, 4), is_launch, refuse(401))
    with pytest.raises(BatchError):
        launch(service, 5, concurrency=1, journal=tmp_path / "journal")
    seen: list[set[str]] = []

    def before(asked: Asked) -> None:
        if is_launch(asked):
            seen.append({service.tes._things[each]["status"] for each in service.runs})

    service.before = before  # type: ignore[assignment]
    launch(service, 5, journal=tmp_path / "journal", max_in_flight=1, concurrency=4)
    assert seen == [{"Completed"}] * 2  # as they are once they are looked at


def test_the_calls_are_made_as_the_given_client_would(service: Service) -> None:
    service.client.set_default_header("X-Trace", "cohort")
    service.client.cookie = "a=b"
    service.client.configuration.retries = 7
    launch(service, 2)
    assert service.last.headers["X-Trace"] == "cohort"
    assert service.last.headers["Cookie"] == "a=b"
    assert service.client.configuration.retries == 7


def test_progress_is_told_up_to_the_end(service: Service) -> None:
    told: list[tuple[int, int]] = []
    launch(service, 30, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (30, 30)
    assert told == sorted(told)


def test_a_launch_that_is_refused_is_reported_and_the_others_go_on(service: Service) -> None:
    service.before = on(range(1), lambda asked: "s2" in str(asked.body), refuse(400))
    report = launch(service)
    assert report.summary() == {"Pending": 4, "Not launched": 1}
    assert report[2].run_id is None
    assert report[2].attempts == 1
    assert str(report[2].error).endswith(":launch: 400 Bad Request: TES.400: No.")


def test_the_secrets_of_a_launch_are_masked_in_its_error(service: Service) -> None:
    def echo(asked: Asked) -> Optional[Answer]:
        if not is_launch(asked):
            return None
        return Answer(400, {"message": f"bad: {asked.json['arguments']}"})

    service.before = echo
    version = {"version": "1", "execution": {"args": ["{{SECURE_K}} {{url}}"]}}
    body = {"name": "t", "taskVersions": [version]}
    task = libtes.TasksApi(service.client).create_task(body=body)
    ids = task.id, (task.task_versions or [])[0].id
    arguments = {"SECURE_K": "hush", "url": "https://x/y?signature"}
    (row,) = launch_all(service.client, *ids, [{"name": "a", "arguments": arguments}])  # type: ignore[arg-type]
    assert "bad: {'SECURE_K': '***', 'url': 'https://x/y?***" in str(row.error)


# Exactly once


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(
    "failure", [lose, refuse(500), refuse(503), lambda _: Answer(201, "<html>")]
)
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_launch_without_an_answer_is_one_run_in_the_end(
    service: Service, moment: str, failure: Any
) -> None:
    setattr(service, moment, on(range(3), is_launch, failure))
    report = launch(service)
    check(service, report)
    assert len(service.launches) == {"before": 8, "after": 5}[moment]
    assert sum(each.attempts for each in report) == len(service.launches)


@pytest.mark.usefixtures("hasty")
def test_what_is_still_on_its_way_is_waited_for(service: Service) -> None:
    service.before = on(range(1, 2), is_list, lambda _: Answer(200, {"items": []}))
    service.after = on(range(1), is_launch, lose)
    check(service, launch(service, 1))
    assert len(service.launches) == 1


@pytest.mark.usefixtures("hasty")
def test_a_run_of_the_same_name_from_before_is_not_taken_for_it(service: Service) -> None:
    old = service.add_runs(["s0", "s1"])
    service.before = on(range(2), is_launch, lose)
    report = launch(service, 4, concurrency=1)
    assert len(report.run_ids) == 4
    assert not set(old) & set(report.run_ids)
    assert len(service.launches) == 6


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("hours", [-3, 3])
def test_the_clock_of_this_machine_does_not_matter(
    service: Service, hours: int, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def now() -> str:
        shifted = datetime.now(timezone.utc) + timedelta(hours=hours)
        return shifted.strftime("%Y-%m-%dT%H:%M:%S.%f0Z")

    monkeypatch.setattr(small_tes, "_now", now)
    (old,) = service.add_runs(["s0"], age=-3600 * hours)
    setattr(service, moment, on(range(1), is_launch, lose))
    launched = launch(service, 2).run_ids
    assert set(service.runs) == {old, *launched}
    assert len(service.launches) == {"before": 3, "after": 2}[moment]


@pytest.mark.usefixtures("hasty")
def test_a_run_of_the_same_name_of_another_version_is_not_taken_for_it(service: Service) -> None:
    def elsewhere(asked: Asked) -> Answer:
        service.add_runs(["s0"], version="tvn.other")
        return lose(asked)

    service.before = on(range(1), is_launch, elsewhere)
    report = launch(service, 2, concurrency=1)
    assert report[0].attempts == 2
    assert report.run_ids == list(service.runs)[:0:-1]


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("moment", ["before", "after"])
def test_names_of_all_kinds_are_found(service: Service, moment: str) -> None:
    names = ["a,b", "ä ö/?&=#%+", "a", "x" * 255, "日本" * 100, '"quoted"', "b"]
    launches = [{**each, "name": name} for each, name in zip(cohort(7), names)]
    setattr(service, moment, on(range(6), is_launch, lose))
    check(service, launch(service, launches))
    assert len(service.launches) == {"before": 13, "after": 7}[moment]


def test_many_are_looked_for_at_once(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calling, "WAITS", calling.Waits(looks=(0.3, 0.3)))
    launches = [{**each, "name": f"{number}" * 20} for number, each in enumerate(cohort(300))]
    service.after = on(EVER, lambda asked: is_launch(asked) and len(service.runs) % 3 == 0, lose)
    check(service, launch(service, launches))
    assert sum(map(is_list, service.asked)) < 30


@pytest.mark.usefixtures("hasty")
def test_a_launch_that_fails_for_ever_is_given_up(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "SENDS", 2)
    service.before = on(EVER, lambda asked: "s1" in str(asked.body), refuse(500))
    report = launch(service, 8)
    assert report.summary() == {"Pending": 7, "Not launched": 1}
    assert report[1].attempts == 2
    assert str(report[1].error).startswith("sent 2 times and not found: POST")


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("status", [400, 403, 404])
def test_what_cannot_be_looked_for_is_unsure_and_not_repeated(
    service: Service, status: int
) -> None:
    service.before = on(EVER, is_list, refuse(status))
    service.after = on(range(1), is_launch, lose)
    report = launch(service, 3)
    assert report.summary() == {"Pending": 2, "Unsure": 1}
    assert len(service.launches) == 3
    (unsure,) = report.unsure
    why = f"unsure: no list of runs could be had: GET /v1/tasks/runs: {status}"
    assert str(unsure.error).startswith(why)


@pytest.mark.usefixtures("hasty")
def test_a_look_that_fails_is_repeated(service: Service) -> None:
    service.before = on(range(1, 4), is_list, lose)
    service.after = on(range(1), is_launch, lose)
    check(service, launch(service, 2))


# What slows a batch down, and what stops it


def test_429_slows_all_down_as_long_as_the_service_asks(service: Service) -> None:
    refused_at: list[float] = []
    launched_at: list[float] = []

    def before(asked: Asked) -> Optional[Answer]:
        if is_launch(asked) and len(service.launches) == 10:
            refused_at.append(time.monotonic())
            return Answer(429, {}, {"Retry-After": "1"})
        if is_launch(asked):
            launched_at.append(time.monotonic())
            time.sleep(0.002)
        return None

    service.before = before
    check(service, launch(service, 60, concurrency=4))
    (refused,) = refused_at
    assert not [at for at in launched_at if refused + 0.1 < at < refused + 0.9]
    assert [at for at in launched_at if at > refused + 0.9]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("5", 5),
        (" 120 ", 120),
        ("in an hour", 3600),
        ("Mon, 08 Mar 2021 04:05:54 GMT", 0),
        ("soon", None),
        ("-1", None),
        ("", None),
    ],
    ids=str,
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: Optional[float]) -> None:
    if value == "in an hour":
        value = format_datetime(datetime.now(timezone.utc) + timedelta(hours=1), usegmt=True)
    error = libtes.ApiException(429)
    error.headers = {"Retry-After": value}
    assert retry_after(error.headers) == (
        seconds and pytest.approx(seconds, abs=60 * (seconds > 999))
    )


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("failure", [refuse(429), refuse(429, Retry_After="soon")])
def test_429_without_a_time_is_waited_out_too(service: Service, failure: Any) -> None:
    service.before = on(range(20), is_launch, failure)
    check(service, launch(service, 30))


def test_what_is_tried_again_is_not_for_the_client_to_decide(service: Service) -> None:
    service.client.configuration.retries = 3
    service.before = on(range(4), is_launch, refuse(429, Retry_After="0"))
    report = launch(service, 2)
    check(service, report)
    assert sum(each.attempts for each in report) == len(service.launches) == 6


def test_a_refused_token_stops_the_batch(service: Service) -> None:
    service.before = on(range(5, 6), is_launch, refuse(401))
    with pytest.raises(BatchError, match=r"stopped: POST .* 401") as caught:
        launch(service, 100, concurrency=1)
    report = caught.value.report
    assert isinstance(caught.value.__cause__, libtes.ApiException)
    assert report.summary() == {"Pending": 5, "Not launched": 95}
    assert len(service.launches) == 6
    assert report[6].error == "not sent: the batch was stopped"
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_token_is_renewed_on_the_way(service: Service) -> None:
    renewed: list[int] = []

    def before(asked: Asked) -> Optional[Answer]:
        old = is_launch(asked) and asked.headers["Authorization"] != "Bearer new"
        return refuse(401)(asked) if old else None

    def renew(configuration: libtes.Configuration) -> None:
        renewed.append(1)
        configuration.api_key["Authorization"] = "new"

    service.before = before
    service.client.configuration.refresh_api_key_hook = renew
    check(service, launch(service, 40))
    assert renewed == [1]
    assert service.client.configuration.api_key["Authorization"] == "new"


def test_a_refusal_stops_the_batch_if_asked_to(service: Service) -> None:
    service.before = on(range(1), lambda asked: "s3" in str(asked.body), refuse(400))
    with pytest.raises(BatchError) as caught:
        launch(service, 50, concurrency=1, stop_on_error=True)
    assert caught.value.report.summary() == {"Pending": 3, "Not launched": 47}
    assert isinstance(caught.value.__cause__, libtes.BadRequestException)


@pytest.mark.usefixtures("hasty")
def test_a_stopped_batch_still_looks_for_what_had_no_answer(service: Service) -> None:
    service.after = on(range(1), is_launch, lose)
    service.before = on(range(1), lambda asked: "s3" in str(asked.body), refuse(400))
    with pytest.raises(BatchError) as caught:
        launch(service, 50, concurrency=1, stop_on_error=True)
    assert caught.value.report.summary() == {"Pending": 3, "Not launched": 47}


@pytest.mark.usefixtures("hasty")
def test_a_service_that_is_gone_stops_the_batch_after_a_time(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calling, "WAITS", dataclasses.replace(HASTY, patience=0.05))
    service.before = on(EVER, is_launch, lose)
    with pytest.raises(BatchError, match="connection lost") as caught:
        launch(service, 50)
    assert caught.value.report.summary().keys() <= {"Not launched", "Unsure"}


@pytest.mark.parametrize("status", [400, 403, 404])
def test_the_fate_of_a_row_is_its_own(service: Service, status: int) -> None:
    service.before = on(range(30), lambda asked: b'"s1' in asked.body, refuse(status))
    report = launch(service, 30)
    assert {each.name for each in report.not_launched} == {
        name for name in (f"s{number}" for number in range(30)) if name.startswith("s1")
    }
    assert all(str(status) in str(each.error) for each in report.not_launched)


def test_20_rows_in_a_row_that_are_forbidden_stop_the_batch(service: Service) -> None:
    service.before = on(range(5, 100), is_launch, refuse(403))
    with pytest.raises(BatchError, match=r"stopped: POST .* 403") as caught:
        launch(service, 100, concurrency=1)
    assert caught.value.report.summary() == {"Pending": 5, "Not launched": 95}
    assert len(service.launches) == 25


def test_rows_that_are_forbidden_now_and_then_do_not_stop_it(service: Service) -> None:
    service.before = on(EVER, lambda _: len(service.launches) % 10 != 0, refuse(403))
    assert service.before is not None
    refused = service.before
    service.before = lambda asked: refused(asked) if is_launch(asked) else None
    report = launch(service, 100, concurrency=1)
    assert report.summary() == {"Pending": 10, "Not launched": 90}


def test_ctrl_c_stops_at_once(service: Service) -> None:
    def interrupt(done: int, total: int) -> None:
        if done >= 20:
            raise KeyboardInterrupt

    service.before = lambda asked: time.sleep(0.002)  # type: ignore[func-returns-value]
    started = time.monotonic()
    with pytest.raises(BatchInterrupt) as caught:
        launch(service, 2000, progress=interrupt)
    assert time.monotonic() - started < 10
    assert isinstance(caught.value, KeyboardInterrupt)
    assert len(caught.value.report) == 2000
    assert set(caught.value.report.run_ids) <= set(service.runs)
    assert len(caught.value.report.run_ids) >= 20
    launched = len(service.launches)
    assert launched < 1500
    time.sleep(0.02)
    assert len(service.launches) == launched


def test_ctrl_c_while_it_begins_has_the_report(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, begun = threading.Thread.start, itertools.count()

    def start(thread: threading.Thread) -> None:
        if thread.name == "libica-batch" and next(begun) == 2:
            raise KeyboardInterrupt
        begin(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(BatchInterrupt) as caught:
        launch(service)
    assert set(caught.value.report.run_ids) == set(service.runs)


def test_a_second_ctrl_c_has_the_report_too(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sending.Sender, "join", interrupt)
    with pytest.raises(BatchInterrupt) as caught:
        launch(service, progress=interrupt)
    assert len(caught.value.report) == 5
