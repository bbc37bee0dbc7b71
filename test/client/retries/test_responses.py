"""Calls that are retried after a response, over HTTP."""

from __future__ import annotations

import itertools
import threading
import time
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
import urllib3

from libica.openapi import libtes

from ...operations import OPERATIONS, Operation
from ...server import Asked, Response, Server
from ..calls import LAUNCH, READ, WRITES, each_call, failure, read_and_launch
from ..conftest import Clock, Connect
from .test_policy import PAST_DATES

NOW = {"Retry-After": "0"}
FOUND = Response(body={"id": "x"})


def test_a_read_is_repeated_as_it_was_after_a_status_that_passes(
    server: Server, connect: Connect, clock: Clock
) -> None:
    client = connect(server.url)
    for status in (408, 429, 500, 502, 503, 504):
        server.asked.clear()
        server.respond(Response(status), Response(status, headers=NOW), FOUND)
        assert READ.call(client).id == "x"
        first, second, third = server.asked
        assert first == second == third
    assert len(clock.waits) == 12


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_every_call_is_repeated_as_it_was_after_429(
    server: Server, connect: Connect, operation: Operation
) -> None:
    busy = Response(429, headers=NOW)
    server.respond(busy, busy, Response(operation.status, operation.answer))
    assert type(operation.call(connect(server.url))) is operation.model
    first, second, third = server.asked
    assert first == second == third


def test_a_write_is_not_repeated_after_any_other_status(server: Server, connect: Connect) -> None:
    client = connect(server.url)
    for number, (operation, status) in enumerate(
        itertools.product(WRITES, (408, 500, 502, 503, 504)), 1
    ):
        server.respond(Response(status, headers=NOW))
        exception = failure(client, operation)
        assert exception.status == status
        assert exception.may_have_happened
        assert len(server.asked) == number


def test_the_last_error_is_raised_when_retries_are_used_up(
    server: Server, connect: Connect
) -> None:
    for retries in (0, 1, 5):
        server.asked.clear()
        server.respond(*[Response(503, {"message": f"attempt {n}"}, NOW) for n in range(9)])
        exception = failure(connect(server.url, retries=retries), READ)
        assert type(exception) is libtes.ServiceException
        assert exception.message == f"attempt {retries}"
        assert len(server.asked) == retries + 1


def test_the_raw_response_is_that_of_the_last_attempt(server: Server, connect: Connect) -> None:
    server.respond(Response(503), FOUND)
    assert READ.call(connect(server.url), _preload_content=False).data == b'{"id": "x"}'
    assert len(server.asked) == 2


def test_waits_are_random_parts_of_the_backoff(
    server: Server, connect: Connect, clock: Clock
) -> None:
    server.respond(Response(503))
    patient = urllib3.Retry(total=12, backoff_factor=1)
    failure(connect(server.url, retries=patient, timeout=(100, 100)), READ)
    assert len(server.asked) == 13
    limits = [min(2**n, 120) for n in range(12)]
    assert all(0 <= wait <= limit for wait, limit in zip(clock.waits, limits))
    assert len({wait / limit for wait, limit in zip(clock.waits, limits)}) > 2


# -- Retry-After -----------------------------------------------------------------------------------


@read_and_launch
def test_retry_after_is_obeyed(
    server: Server, connect: Connect, clock: Clock, operation: Operation
) -> None:
    until = datetime.now(timezone.utc) + timedelta(seconds=100)
    for value, least, most in [
        ("0", 0, 0),
        (" 7 ", 7, 7),
        ("120", 120, 120),
        (format_datetime(until, usegmt=True), 1, 100),
        *((date, 0, 0) for date in PAST_DATES),
    ]:
        server.respond(Response(429, headers={"Retry-After": value}), FOUND)
        slow = urllib3.Retry(total=1, backoff_factor=60)
        clock.waits.clear()
        assert operation.call(connect(server.url, retries=slow)).id == "x"
        [wait] = clock.waits
        assert least <= wait <= most


@read_and_launch
def test_retry_after_beyond_its_limit_raises_the_error_at_once(
    server: Server, connect: Connect, clock: Clock, operation: Operation
) -> None:
    far = datetime.now(timezone.utc) + timedelta(hours=1)
    for value in ("121", "86400", "9" * 400, format_datetime(far, usegmt=True)):
        server.asked.clear()
        server.respond(Response(429, {"message": "slow down"}, {"Retry-After": value}))
        exception = failure(connect(server.url), operation)
        assert type(exception) is libtes.TooManyRequestsException
        assert exception.message == "slow down"
        assert exception.headers["Retry-After"] == value
        assert len(server.asked) == 1
    assert clock.waits == []


def test_a_thread_does_not_wait_for_the_retries_of_another(
    server: Server, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    asleep, awake = threading.Event(), threading.Event()
    monkeypatch.setattr(time, "sleep", lambda _: asleep.set() or awake.wait(30))
    server.respond(Response(503), FOUND)
    client = connect(server.url)
    slow = READ.call(client, async_req=True)
    assert asleep.wait(30)
    assert READ.call(client).id == "x"
    awake.set()
    assert slow.get(30).id == "x"
    assert len(server.asked) == 3


def test_a_read_is_retried_where_a_redirect_led(server: Server, connect: Connect) -> None:
    moved = Response(302, b"", {"Location": "/moved"})
    server.respond(moved, Response(503), FOUND)
    assert READ.call(connect(server.url)).id == "x"
    assert [asked.target for asked in server.asked][1:] == ["/moved", "/moved"]


# -- The deadline of a call, given as one number ---------------------------------------------------


def test_all_attempts_are_within_the_deadline(
    server: Server, connect: Connect, clock: Clock
) -> None:
    def busy(asked: Asked) -> Response:
        clock.ahead += 200
        return Response(503, {"message": "busy"})

    server.respond(busy)
    exception = failure(connect(server.url, retries=100), READ, _request_timeout=500)
    assert isinstance(exception, (libtes.ServiceException, libtes.DeadlineException))
    assert 2 <= len(server.asked) <= 3


@each_call
def test_a_wait_that_ends_after_the_deadline_is_not_begun(
    server: Server, connect: Connect, clock: Clock, operation: Operation
) -> None:
    server.respond(Response(429, {"message": "busy"}, {"Retry-After": "100"}))
    exception = failure(connect(server.url), operation, _request_timeout=99.0)
    assert type(exception) is libtes.TooManyRequestsException
    slow = urllib3.Retry(total=3, backoff_factor=1e9)
    slow.backoff_max = 1e9
    server.respond(Response(503, {"message": "busy"}))
    exception = failure(connect(server.url, retries=slow), operation, _request_timeout=99)
    assert type(exception) is libtes.ServiceException
    assert len(server.asked) == 2
    assert clock.waits == []


def test_redirects_are_within_the_deadline(server: Server, connect: Connect) -> None:
    def slow(asked: Asked) -> Response:
        threading.Event().wait(0.15)
        return Response(302, b"", {"Location": "/round"})

    server.respond(slow)
    exception = failure(connect(server.url), READ, _request_timeout=0.35)
    assert type(exception) is libtes.DeadlineException
    assert len(server.asked) <= 3


def test_a_token_is_refreshed_within_the_deadline(
    server: Server, connect: Connect, clock: Clock
) -> None:
    def slow(configuration: libtes.Configuration) -> None:
        clock.ahead += 400
        configuration.api_key["Authorization"] += " renewed"

    client = connect(server.url, refresh_api_key_hook=slow)
    server.respond(Response(401), FOUND)
    assert READ.call(client, _request_timeout=(5, 300)).id == "x"
    server.respond(Response(401), FOUND)
    assert type(failure(client, LAUNCH, _request_timeout=300)) is libtes.UnauthorizedException
    assert len(server.asked) == 3
