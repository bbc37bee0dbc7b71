"""Launching: one run per launch whatever fails, and what delays or stops a batch."""

from __future__ import annotations

import itertools
import pickle
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Optional
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libica.batch import BatchError, BatchInterrupt, calling, finding, launching, sending
from libica.openapi import libtes

from ..server import Answer, Asked
from .service import EVER, Service, cohort, is_launch, is_list, lose, on, refuse

pytestmark = pytest.mark.usefixtures("hasty")
FIRST = range(1)


def of(name: str) -> Callable[[Asked], bool]:
    """Return a function that tells the requests of a launch."""
    return lambda asked: is_launch(asked) and asked.json["name"] == name


# Requests


def test_each_launch_becomes_a_run_in_the_order_given(service: Service, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    report = service.launch(40, progress=lambda done, total: told.append((done, total)))
    service.check(report)
    assert [each.name for each in report] == [each["name"] for each in cohort(40)]
    assert report.summary() == {"Pending": 40}
    for each in report:
        created = datetime.fromisoformat(service.runs[str(each.run_id)]["timeCreated"])
        assert (each.attempts, each.time_created, each.time_modified) == (1, created, None)
    assert told[-1] == (40, 40)
    assert told == sorted(told)
    assert len(service.launch([], journal=tmp_path / "journal")) == 0


def test_the_requests_are_sent_as_given_and_as_the_client_would(service: Service) -> None:
    service.client.set_default_header("X-Trace", "cohort")
    service.client.cookie = "a=b"
    service.client.configuration.retries = 7
    arguments = cohort(1)[0]["arguments"]
    request = libtes.LaunchTaskRequest("n", "d", acl=["wid:1"], arguments=arguments)
    service.launch([request], mark=False)
    (sent,) = [each for each in service.asked if is_launch(each)]
    assert sent.json == service.client.sanitize_for_serialization(request)
    assert (sent.headers["X-Trace"], sent.headers["Cookie"]) == ("cohort", "a=b")
    assert service.client.configuration.retries == 7


@pytest.mark.parametrize("concurrency", [1, 3])
def test_no_more_requests_are_in_progress_than_allowed(service: Service, concurrency: int) -> None:
    service.before = service.gather(is_launch, concurrency)
    service.launch(12, concurrency=concurrency)
    assert service.most_under_way == concurrency
    for option in ("concurrency", "max_in_flight"):
        with pytest.raises(libtes.ApiValueError, match=f"{option} must be 1 or more"):
            service.launch(1, **{option: 0})


def test_max_in_flight_limits_the_runs_that_have_not_finished_of_all_calls(
    service: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(launching, "POLL", (0.01, 0.02))
    service.journal = tmp_path / "journal"
    service.stop(at=4, launches=30)
    counts: list[int] = []

    def open_runs() -> list[str]:
        return [each for each in service.names if service.runs[each]["status"] == "Pending"]

    service.before = on(EVER, is_list, lambda _: service.set_status(open_runs()[:2]))
    service.after = on(EVER, is_launch, lambda _: counts.append(len(open_runs())))
    service.check(service.launch(30, max_in_flight=4))
    assert 1 < max(counts) <= 4


def test_secrets_of_a_launch_are_masked_in_its_error(service: Service) -> None:
    def echo(asked: Asked) -> Answer:
        return Answer(400, {"message": f"bad: {asked.json['arguments']}"})

    service.version["execution"] = {"args": ["{{SECURE_K}} {{url}}"]}
    service.before = on(EVER, is_launch, echo)
    arguments = {"SECURE_K": "hush-hush", "url": "https://x/y?signature"}
    (row,) = service.launch([{"name": "a", "arguments": arguments}])
    assert "bad: {'SECURE_K': '***', 'url': 'https://x/y?***" in str(row.error)


# Exactly once


@pytest.mark.parametrize(
    ("moment", "failure", "sent"),
    [
        *(("before", failure, 12) for failure in (lose, refuse(500), refuse(503))),
        *(("after", failure, 7) for failure in (lose, refuse(500), refuse(503), refuse(400))),
        ("before", lambda _: Answer(201, "<html>"), 12),
        ("after", lambda _: Answer(201, "<html>"), 7),
    ],
)
def test_a_launch_without_a_valid_response_makes_one_run(
    service: Service, moment: str, failure: Any, sent: int
) -> None:
    names = ["a,b", "ä ö/?&=#%+", "a", "x" * 255, "日本" * 100, '"quoted"', "b"]
    launches = [{**each, "name": name} for each, name in zip(cohort(7), names)]
    setattr(service, moment, on(range(5), is_launch, failure))
    report = service.launch(launches)
    service.check(report)
    assert sum(each.attempts for each in report) == len(service.launches) == sent


def test_many_runs_are_searched_at_once(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calling, "WAITS", calling.Waits(looks=(0.3, 0.3)))
    service.after = on(EVER, lambda asked: is_launch(asked) and len(service.runs) % 3 == 0, lose)
    service.check(service.launch(150))
    assert sum(map(is_list, service.asked)) < 30


def test_a_search_that_fails_is_repeated(service: Service) -> None:
    service.before = on(range(1, 4), is_list, lose)
    service.after = on(FIRST, is_launch, lose)
    service.check(service.launch(2))


REFUSED, UNSURE = "Not launched", "Unsure"
POSTED = "POST /v1/tasks/tdn.1/versions/{}:launch: "
GIVEN_UP = "sent 2 times without making a run: POST"
UNLISTED = "unsure: the runs could not be listed: GET /v1/tasks/runs: 40"
UNPROVEN = "unsure: no later launch exists to prove"
LOST = FIRST, is_launch, lose

# What fails before and after the service acts, launches, outcome, launch requests, the reason
FAILED: dict[str, tuple[Any, ...]] = {
    "a launch with 400": ((FIRST, of("s2"), refuse(400)), None, 5, REFUSED, 5, f"{POSTED}400 "),
    "a launch with 403": ((FIRST, of("s2"), refuse(403)), None, 5, REFUSED, 5, f"{POSTED}403 "),
    "a launch with 404": ((FIRST, of("s2"), refuse(404)), None, 5, REFUSED, 5, f"{POSTED}404 "),
    "a launch that always fails": ((EVER, of("s1"), refuse(500)), None, 8, REFUSED, 9, GIVEN_UP),
    "lost, and lists with 400": ((EVER, is_list, refuse(400)), LOST, 3, UNSURE, 3, UNLISTED),
    "lost, and lists with 403": ((EVER, is_list, refuse(403)), LOST, 3, UNSURE, 3, UNLISTED),
    "lost, and no other launch to prove a list": (LOST, None, 1, UNSURE, 1, UNPROVEN),
}


@pytest.mark.parametrize("case", FAILED.values(), ids=FAILED)
def test_a_launch_that_fails_is_reported_with_the_reason_and_the_others_continue(
    service: Service, monkeypatch: pytest.MonkeyPatch, case: tuple[Any, ...]
) -> None:
    before, after, launches, outcome, sent, reason = case
    monkeypatch.setattr(finding, "SENDS", 2)
    service.before, service.after = on(*before), after and on(*after)
    report = service.launch(launches)
    (failed,) = [each for each in report if each.outcome != "Pending"]
    assert (failed.outcome, failed.run_id, failed.attempts) == (outcome, None, 1 + sent - launches)
    assert str(failed.error).startswith(reason.format(service.ids[1]))
    assert len(service.launches) == sent


# What delays a batch


@pytest.mark.parametrize("after", ["1", "soon", ""])
def test_after_429_nothing_is_sent_before_it_is_allowed(service: Service, after: str) -> None:
    service.client.configuration.retries = 3  # has no effect in a batch
    sent: list[float] = []
    refusal = refuse(429, **({"Retry_After": after} if after else {}))

    def before(asked: Asked) -> Optional[Answer]:
        sent.append(time.monotonic())
        return refusal(asked) if len(sent) <= (1 if after == "1" else 20) else None

    service.before = on(EVER, is_launch, before)
    report = service.launch(20, concurrency=1 if after == "1" else 16)
    service.check(report)
    assert sum(each.attempts for each in report) == len(sent) == (21 if after == "1" else 40)
    assert sent[1] - sent[0] >= (1 if after == "1" else 0)


def test_one_429_delays_all_senders(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(calling, "monotonic", lambda: now[0])
    pace = calling.Pace()
    error = libtes.ApiException(429)
    error.headers = {"Retry-After": "5"}
    for waited in (5, 7):  # the second was in progress by then
        pace.failed(error, callers=16)
        assert (pace.wait(), pace.waited) == (5, waited)
        now[0] += 2
    pace.succeeded()
    assert pace.waited == 0


@mock.patch.object(calling, "monotonic", itertools.repeat(100.0).__next__)
@given(st.lists(st.sampled_from([429, 503, 500]), max_size=40), st.integers(1, 5))
def test_other_delays_grow_up_to_the_longest(statuses: list[int], callers: int) -> None:
    pace = calling.Pace()
    for status in statuses:
        before = pace.waited
        pace.failed(libtes.ApiException(status), callers)
        assert 0 <= pace.waited - before <= calling.WAITS.longest
    assert (pace.wait() > 0) == (429 in statuses or len(statuses) >= callers)


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
    service.check(service.launch(40))
    assert renewed == [1]
    assert service.client.configuration.api_key["Authorization"] == "new"


# What stops a batch


# Which launches are refused, the status, lost responses, whether to stop, runs, launch requests
STOPPED: dict[str, tuple[Any, ...]] = {
    "a refused token": (range(5, 6), 401, 0, False, 5, 6),
    "20 forbidden launches in succession": (range(5, 100), 403, 0, False, 5, 25),
    "any refusal with stop_on_error": (range(3, 4), 400, 0, True, 3, 4),
    "any refusal, after a search for lost runs": (range(3, 4), 400, 1, True, 3, 4),
}


@pytest.mark.parametrize("case", STOPPED.values(), ids=STOPPED)
def test_refusals_of_the_whole_batch_stop_it(service: Service, case: tuple[Any, ...]) -> None:
    refused, status, lost, stop, made, sent = case
    service.before = on(refused, is_launch, refuse(status))
    service.after = on(range(lost), is_launch, lose)
    with pytest.raises(BatchError, match=rf"stopped: POST .* {status}") as caught:
        service.launch(100, concurrency=1, stop_on_error=stop)
    report = caught.value.report
    assert isinstance(caught.value.__cause__, libtes.ApiException)
    assert report.summary() == {"Pending": made, "Not launched": 100 - made}
    assert set(report.run_ids) == set(service.names)
    assert len(service.launches) == sent
    assert report[sent].error == "not sent: the batch was stopped"
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@pytest.mark.usefixtures("impatient")
def test_a_long_silence_stops_the_batch(service: Service) -> None:
    service.before = on(EVER, is_launch, lose)
    with pytest.raises(BatchError, match="connection lost") as caught:
        service.launch(50)
    assert caught.value.report.summary().keys() <= {"Not launched", "Unsure"}


def test_occasional_forbidden_launches_do_not_stop_the_batch(service: Service) -> None:
    service.before = on(EVER, lambda _: len(service.launches) % 10 != 0, refuse(403))
    report = service.launch(99, concurrency=1)
    assert report.summary() == {"Pending": 9, "Not launched": 90}


def test_ctrl_c_stops_the_batch_with_the_report(service: Service) -> None:
    def interrupt(done: int, total: int) -> None:
        if done >= 20:
            raise KeyboardInterrupt

    service.before = on(EVER, is_launch, lambda _: time.sleep(0.002))
    with pytest.raises(BatchInterrupt) as caught:
        service.launch(2000, progress=interrupt)
    report = caught.value.report
    assert isinstance(caught.value, KeyboardInterrupt)
    assert str(caught.value).startswith("interrupted: <Report: 2000 launches")
    assert set(report.run_ids) == set(service.names)
    assert (len(report), len(report.run_ids) >= 20) == (2000, True)
    assert len(service.launches) < 2000
    assert not [each for each in threading.enumerate() if each.name == "libica-batch"]


@pytest.mark.parametrize("moment", ["while threads start", "again while they end"])
def test_ctrl_c_at_any_other_moment_has_the_report_too(
    service: Service, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    begin, begun = threading.Thread.start, itertools.count()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    def start(thread: threading.Thread) -> None:
        if thread.name == "libica-batch" and next(begun) == 2:
            interrupt()
        begin(thread)

    if moment == "while threads start":
        monkeypatch.setattr(threading.Thread, "start", start)
    else:
        monkeypatch.setattr(sending.Sender, "join", interrupt)
    with pytest.raises(BatchInterrupt) as caught:
        service.launch(progress=interrupt)
    assert len(caught.value.report) == 5
    assert set(caught.value.report.run_ids) <= set(service.names)
