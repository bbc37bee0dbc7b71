"""Calls that are retried after a response, over HTTP."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any, Optional

import pytest
import urllib3

from libica.openapi import libtes

from ...operations import OPERATIONS, Operation
from ...server import Asked, Response, Server
from ..calls import LAUNCH, READ, each_call, failure, read_and_launch
from ..conftest import Clock, Connect

NOW = {"Retry-After": "0"}
FOUND = Response(body={"id": "x"})


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_a_read_is_repeated_as_it_was_after_a_status_that_passes_and_a_write_after_429(
    server: Server, connect: Connect, clock: Clock, operation: Operation
) -> None:
    client = connect(server.url)
    for status in (408, 429, 500, 502, 503, 504):
        server.asked.clear()
        done = Response(operation.status, operation.answer)
        server.respond(Response(status), Response(status, headers=NOW), done)
        if operation.method == "GET" or status == 429:
            assert type(operation.call(client)) is operation.model
            first, second, third = server.asked
            assert first == second == third
        else:
            exception = failure(client, operation)
            assert exception.status == status
            assert exception.may_have_happened
            assert len(server.asked) == 1
    assert len(clock.waits) == (12 if operation.method == "GET" else 2)


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
    parts = [wait / min(2**n, 120) for n, wait in enumerate(clock.waits)]
    assert len(parts) == len(server.asked) - 1 == 12
    assert all(0 <= part <= 1 for part in parts)
    assert len(set(parts)) > 2


@read_and_launch
@pytest.mark.parametrize(
    ("value", "waits"),
    [
        *(("0", range(1)), (" 7 ", range(7, 8)), ("120", range(120, 121))),
        *((timedelta(hours=-1), range(1)), (timedelta(seconds=110), range(1, 111))),
        *((value, None) for value in ("121", "86400", "9" * 400, timedelta(hours=9))),
    ],
    ids=lambda value: str(value)[:9],
)
def test_retry_after_is_obeyed_up_to_120_seconds_or_else_the_error_is_raised_at_once(
    server: Server,
    connect: Connect,
    clock: Clock,
    operation: Operation,
    value: Any,
    waits: Optional[range],
) -> None:
    if isinstance(value, timedelta):
        value = format_datetime(datetime.now(timezone.utc) + value, usegmt=True)
    server.respond(Response(429, {"message": "slow down"}, {"Retry-After": value}), FOUND)
    client = connect(server.url, retries=urllib3.Retry(total=1, backoff_factor=60))
    if waits is None:
        exception = failure(client, operation)
        assert type(exception) is libtes.TooManyRequestsException
        assert exception.message == "slow down"
        assert exception.headers["Retry-After"] == value
        assert clock.waits == []
    else:
        assert operation.call(client).id == "x"
        assert [int(wait) in waits for wait in clock.waits] == [True]


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
    server.respond(Response(302, b"", {"Location": "/moved"}), Response(503), FOUND)
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
    server.respond(Response(429, headers={"Retry-After": "100"}), Response(503))
    slow = urllib3.Retry(total=3, backoff_factor=1e9)
    slow.backoff_max = 1e9
    for expected in (libtes.TooManyRequestsException, libtes.ServiceException):
        exception = failure(connect(server.url, retries=slow), operation, _request_timeout=99.0)
        assert type(exception) is expected
    assert len(server.asked) == 2
    assert clock.waits == []


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
