"""The wire: what is tried again, redirects, connections that fail, proxies and TLS."""

from __future__ import annotations

import contextlib
import gc
import gzip
import json
import math
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path
from typing import Any, Optional

import pytest
import trustme
import urllib3
from urllib3.exceptions import HTTPError, InsecureRequestWarning

from libica.openapi import libtes
from libica.openapi.libtes._transport import _redirected
from libica.openapi.libtes.rest import Request, RetryPolicy, retry_after, retry_delay
from libica.openapi.libtes.rest import Response as Received

from .authority import Authority
from .conftest import TOKEN
from .helpers import ROOT
from .operations import OPERATIONS, RUN, Operation
from .server import Answer, Asked, RawServer, Server, read_request, say, wait_until

BRIEF = urllib3.Retry(total=2, backoff_factor=0.01)
READS = [each for each in OPERATIONS if each.method == "GET"]
WRITES = [each for each in OPERATIONS if each.method != "GET"]
PASSWORD = "pass:w@rd/of proxy"

every_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=str)


@pytest.fixture
def runs(client: libtes.ApiClient) -> libtes.TaskRunsApi:
    return libtes.TaskRunsApi(client)


# -- When to try again, and how long to wait before: pure ------------------------------------------

POLICY = RetryPolicy(total=3, backoff=0.5, longest=8.0)
LOST = libtes.ConnectionLostException()
SILENT = libtes.ReadTimeoutException()
REFUSED = libtes.ConnectException()
LATE = libtes.ConnectTimeoutException()
NO_PROXY = libtes.ProxyException()
UNTRUSTED = libtes.TlsException()
WRITING = ("POST", "PUT", "PATCH", "DELETE")


def decisions() -> Iterator[tuple[str, Any, Optional[float]]]:
    """Tell for each method and outcome the first wait, or ``None`` for no other try."""
    for method in ("GET", "HEAD", *WRITING):
        read = method not in WRITING
        for status in (408, 500, 502, 503, 504):
            yield method, status, 0.5 if read else None
        yield method, 429, 0.5
        for status in (300, 302, 304, 400, 401, 403, 404, 405, 409, 410, 422, 501, 505, 599):
            yield method, status, None
        for outcome in (LOST, SILENT):
            yield method, outcome, 0.5 if read else None
        for outcome in (REFUSED, LATE, NO_PROXY):
            yield method, outcome, 0.5
        yield method, UNTRUSTED, None


@pytest.mark.parametrize(
    ("method", "outcome", "wait"),
    list(decisions()),
    ids=lambda given: type(given).__name__ if isinstance(given, Exception) else str(given),
)
def test_only_what_is_safe_and_may_help_is_tried_again(
    method: str, outcome: Any, wait: Optional[float]
) -> None:
    assert retry_delay(POLICY, 0, method, outcome) == wait


@pytest.mark.parametrize(
    ("tried", "wait"),
    [(0, 0.5), (1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (5, 8.0), (60, 8.0), (2000, 8.0)],
)
def test_waits_double_up_to_the_longest(tried: int, wait: float) -> None:
    patient = POLICY._replace(total=10_000)
    assert retry_delay(patient, tried, "GET", 503) == wait
    assert retry_delay(patient, tried, "POST", REFUSED, fraction=0.25) == wait * 0.25
    assert retry_delay(patient, tried, "GET", 503, fraction=0.0) == 0.0


@pytest.mark.parametrize(("total", "tried"), [(0, 0), (0, 1), (1, 1), (3, 3), (3, 4)])
def test_after_so_many_tries_it_ends(total: int, tried: int) -> None:
    policy = POLICY._replace(total=total)
    for outcome in (503, 429, REFUSED, LOST):
        assert retry_delay(policy, tried, "GET", outcome) is None
        assert retry_delay(policy, tried, "GET", outcome, retry_after=0.0) is None


@pytest.mark.parametrize(
    ("asked_for", "wait"),
    [(0, 0), (0.5, 0.5), (119.9, 119.9), (120, 120), (120.1, None), (3600, None), (math.inf, None)],
)
def test_the_service_may_say_how_long_to_wait(asked_for: float, wait: Optional[float]) -> None:
    for tried in (0, 2):
        for fraction in (0.0, 0.5, 1.0):
            assert retry_delay(POLICY, tried, "GET", 503, asked_for, fraction) == wait
            assert retry_delay(POLICY, tried, "POST", 429, asked_for, fraction) == wait


@pytest.mark.parametrize(
    ("left", "wait"), [(math.inf, 0.5), (0.6, 0.5), (0.5, None), (0.4, None), (0, None), (-1, None)]
)
def test_a_wait_that_the_call_would_not_outlast_is_not_begun(
    left: float, wait: Optional[float]
) -> None:
    assert retry_delay(POLICY, 0, "GET", 503, left=left) == wait
    assert retry_delay(POLICY, 2, "POST", 429, retry_after=0.5, left=left) == wait


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("7", 7),
        (" 86400 ", 86400),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Wed, 21 Oct 2015 07:28:00 -0000", 0),
        ("Wed, 21 Oct 2015 07:28:00 +0530", 0),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
    ],
)
def test_retry_after_is_a_number_of_seconds_or_a_date(value: str, seconds: Any) -> None:
    assert retry_after({"Retry-After": value}) == seconds


@pytest.mark.parametrize("headers", [None, {}, {"Location": "7"}])
def test_no_header_asks_for_no_wait(headers: Any) -> None:
    assert retry_after(headers) is None


@pytest.mark.parametrize("hours", [0, 5.5, -11.75])
def test_retry_after_counts_from_now_whatever_the_offset(hours: float) -> None:
    until = datetime.now(timezone(timedelta(hours=hours))) + timedelta(hours=1)
    for value in (format_datetime(until), format_datetime(until).replace("+0000", "-0000")):
        seconds = retry_after({"Retry-After": value})
        assert seconds is not None
        assert 3500 < seconds <= 3600


def test_what_is_not_tried_again_is_not_so_for_being_asked_to_wait() -> None:
    assert retry_delay(POLICY, 0, "POST", 503, retry_after=0.0) is None
    assert retry_delay(POLICY, 0, "GET", 404, retry_after=0.0) is None


@pytest.mark.parametrize(
    ("retries", "policy"),
    [
        (None, RetryPolicy(3, 0.5, 8.0)),
        (0, RetryPolicy(0, 0.5, 8.0)),
        (5, RetryPolicy(5, 0.5, 8.0)),
        (urllib3.Retry(total=2, backoff_factor=0.01), RetryPolicy(2, 0.01, 120)),
        (urllib3.Retry(0), RetryPolicy(0, 0, 120)),
        (urllib3.Retry(total=False), RetryPolicy(0, 0, 120)),
    ],
    ids=repr,
)
def test_retries_are_a_number_or_what_urllib3_has_for_it(retries: Any, policy: Any) -> None:
    assert RetryPolicy.of(retries) == policy


@pytest.mark.parametrize("retries", ["3", 1.5, (3,), b"3"], ids=repr)
def test_retries_of_another_type_are_refused(retries: Any) -> None:
    expected = r"for `retries`, must be int or urllib3\.Retry, not (str|float|tuple|bytes)$"
    with pytest.raises(libtes.ApiTypeError, match=expected):
        RetryPolicy.of(retries)


def test_retries_below_zero_are_refused() -> None:
    with pytest.raises(libtes.ApiValueError, match=r"for `retries`, must be 0 or more, got -1$"):
        RetryPolicy.of(-1)


def test_the_longest_wait_is_that_of_urllib3s_retry_where_it_has_one() -> None:
    retry: Any = urllib3.Retry(total=2, backoff_factor=3)
    retry.backoff_max = 7  # urllib3 1.26 has it on the class alone
    assert RetryPolicy.of(retry) == RetryPolicy(2, 3, 7)


def test_by_default_a_call_is_repeated_up_to_three_times() -> None:
    assert RetryPolicy.of(libtes.Configuration().retries) == RetryPolicy(3, 0.5, 8.0)


# -- Trying again over HTTP ------------------------------------------------------------------------

AT_ONCE = {"Retry-After": "0"}


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_read_is_repeated_after_a_status_that_passes(
    server: Server, runs: libtes.TaskRunsApi, status: int
) -> None:
    runs.api_client.configuration.retries = 2
    busy = Answer(status, headers=AT_ONCE)
    server.answer(busy, busy, Answer(body={"id": "x"}))
    assert runs.get_task_run(RUN).id == "x"
    first, second, third = server.asked
    assert first == second == third


@every_operation
def test_every_call_is_repeated_after_429(
    server: Server, client: libtes.ApiClient, operation: Operation
) -> None:
    client.configuration.retries = 2
    busy = Answer(429, headers=AT_ONCE)
    server.answer(busy, busy, Answer(operation.status, operation.answer))
    assert type(operation.call(client)) is operation.model
    first, second, third = server.asked
    assert first == second == third


@pytest.mark.parametrize("operation", WRITES, ids=str)
@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_a_write_is_not_repeated_after_another_status(
    server: Server, client: libtes.ApiClient, operation: Operation, status: int
) -> None:
    client.configuration.retries = 2
    server.answer(Answer(status, headers=AT_ONCE))
    with pytest.raises(libtes.ApiException) as caught:
        operation.call(client)
    assert caught.value.status == status
    assert caught.value.may_have_happened
    assert len(server.asked) == 1


@pytest.mark.parametrize("retries", [0, 1, 2, 5])
def test_the_last_error_is_raised_when_tries_are_used_up(
    server: Server, runs: libtes.TaskRunsApi, retries: int
) -> None:
    runs.api_client.configuration.retries = retries
    answers = [Answer(503, {"message": f"try {n}"}, AT_ONCE) for n in range(9)]
    server.answer(*answers)
    with pytest.raises(libtes.ServiceException, match=f"try {retries}$"):
        runs.get_task_run(RUN)
    assert len(server.asked) == retries + 1


def test_the_raw_answer_is_that_of_the_last_try(server: Server, runs: libtes.TaskRunsApi) -> None:
    runs.api_client.configuration.retries = BRIEF
    server.answer(Answer(503), Answer(body={"id": "x"}))
    assert runs.get_task_run(RUN, _preload_content=False).data == b'{"id": "x"}'
    assert len(server.asked) == 2


def test_tries_are_spaced_by_the_backoff(server: Server, runs: libtes.TaskRunsApi) -> None:
    runs.api_client.configuration.retries = urllib3.Retry(total=3, backoff_factor=0.02)
    server.answer(Answer(503))
    started = time.monotonic()
    with pytest.raises(libtes.ServiceException):
        runs.get_task_run(RUN)
    assert len(server.asked) == 4
    assert time.monotonic() - started < 5  # at most 0.14 s of it waiting


def test_retry_after_is_obeyed_in_seconds(server: Server, runs: libtes.TaskRunsApi) -> None:
    runs.api_client.configuration.retries = 1
    server.answer(Answer(503, headers={"Retry-After": "1"}), Answer(body={"id": "x"}))
    started = time.monotonic()
    assert runs.get_task_run(RUN).id == "x"
    assert 1 <= time.monotonic() - started < 10


def in_seconds(seconds: float) -> datetime:
    return datetime.now(timezone.utc) + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "value",
    [
        format_datetime(in_seconds(-3600), usegmt=True),
        format_datetime(in_seconds(-3600)),
        "Wed, 21 Oct 2015 07:28:00 -0000",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        " 0 ",
    ],
    ids=["past", "past with offset", "past without zone", "past of old", "spaces"],
)
def test_retry_after_that_is_over_is_not_waited_for(
    server: Server, runs: libtes.TaskRunsApi, value: str
) -> None:
    runs.api_client.configuration.retries = urllib3.Retry(total=1, backoff_factor=60)
    server.answer(Answer(503, headers={"Retry-After": value}), Answer(body={"id": "x"}))
    started = time.monotonic()
    assert runs.get_task_run(RUN).id == "x"
    assert time.monotonic() - started < 5


def test_retry_after_is_obeyed_as_a_date(server: Server, runs: libtes.TaskRunsApi) -> None:
    runs.api_client.configuration.retries = 1
    until = in_seconds(2)  # a date has no fraction of a second, so this waits for one at least
    headers = {"Retry-After": format_datetime(until, usegmt=True)}
    server.answer(Answer(503, headers=headers), Answer(body={"id": "x"}))
    assert runs.get_task_run(RUN).id == "x"
    assert datetime.now(timezone.utc) >= until.replace(microsecond=0)


@pytest.mark.parametrize("operation", [READS[0], WRITES[0]], ids=str)
@pytest.mark.parametrize(
    "value",
    ["121", "86400", "9" * 400, format_datetime(in_seconds(3600), usegmt=True)],
    ids=["121 s", "a day", "for ever", "an hour, as a date"],
)
def test_retry_after_beyond_its_limit_raises_the_error_at_once(
    server: Server, client: libtes.ApiClient, operation: Operation, value: str
) -> None:
    client.configuration.retries = 3
    server.answer(Answer(429, {"message": "slow down"}, {"Retry-After": value}))
    started = time.monotonic()
    with pytest.raises(libtes.TooManyRequestsException, match="slow down") as caught:
        operation.call(client)
    assert time.monotonic() - started < 5
    assert caught.value.headers["Retry-After"] == value
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "value",
    [
        "",
        "soon",
        "-1",
        "1.5",
        "1e3",
        "0x10",
        "²",
        "Wed, 99 Foo 2024 99:99:99 GMT",
        "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
        "Mon, 01 Jan 2024 00:00:00 +9999",
        "Jan 1.1 , (",
    ],
)
def test_retry_after_that_makes_no_sense_is_passed_over(
    server: Server, runs: libtes.TaskRunsApi, value: str
) -> None:
    runs.api_client.configuration.retries = BRIEF
    server.answer(Answer(503, headers={"Retry-After": value}))
    started = time.monotonic()
    with pytest.raises(libtes.ServiceException):
        runs.get_task_run(RUN)
    assert time.monotonic() - started < 5
    assert len(server.asked) == 3


def test_threads_do_not_wait_for_the_tries_of_others(
    server: Server, client: libtes.ApiClient
) -> None:
    client.configuration.retries = 1
    client.pool_threads = 2
    waiting = threading.Event()

    def answer(asked: Asked) -> Answer:
        if asked.path.endswith("slow") and not waiting.is_set():
            waiting.set()
            return Answer(503, headers={"Retry-After": "1"})
        return Answer(body={"id": "x"})

    server.answer(answer)
    runs = libtes.TaskRunsApi(client)
    slow = runs.get_task_run("slow", async_req=True)
    assert waiting.wait(10)
    assert runs.get_task_run("fast").id == "x"
    assert not slow.ready()
    assert slow.get(10).id == "x"


# -- Connections that break ------------------------------------------------------------------------

FULL = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"id": "x"}'
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
BROKEN: dict[str, bytes] = {
    "no answer": b"",
    "a status that is cut short": FULL[:12],
    "a header that is cut short": FULL[:30],
    "a head without end": FULL[: FULL.index(b"\r\n\r\n")],
    "no body": FULL[: -len(b'{"id": "x"}')],
    "half a body": FULL[:-5],
    "no chunk": CHUNKED,
    "half a chunk": CHUNKED + b'b\r\n{"id":',
    "a chunk without end": CHUNKED + b'b\r\n{"id": "x"}\r\n',
    "no length of a chunk": CHUNKED + b"zz\r\n",
}


Configured = Callable[[str], libtes.ApiClient]


@pytest.fixture
def configured(configuration: libtes.Configuration) -> Iterator[Configured]:
    """Return a function that makes a client for a host, to be closed with the others."""
    clients: list[libtes.ApiClient] = []

    def make(host: str) -> libtes.ApiClient:
        configuration.host = host
        clients.append(libtes.ApiClient(configuration))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


def lost(
    caught: pytest.ExceptionInfo[Any],
    operation: Operation,
    host: str = "127.0.0.1",
    status: Optional[int] = None,
) -> None:
    """Check what every error of a connection tells; a status only where a head came."""
    exception = caught.value
    assert (exception.method, exception.path) == (operation.method, operation.target)
    assert (exception.status, exception.body, exception.headers) == (status, None, None)
    assert isinstance(exception.__cause__, HTTPError)
    assert host in str(exception)
    assert operation.target in str(exception)
    assert "argument" not in exception.reason  # what urllib3 tried at first is not the reason
    for secret in (TOKEN, "Bearer", PASSWORD):
        assert secret not in str(exception) + repr(exception) + repr(vars(exception))


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_a_read_whose_connection_is_lost_is_repeated(configured: Configured, data: bytes) -> None:
    with RawServer(say(data), say(data), say(FULL)) as raw:
        client = configured(raw.url)
        client.configuration.retries = BRIEF
        assert libtes.TaskRunsApi(client).get_task_run(RUN).id == "x"
    assert len(raw.received) == 3
    assert len(set(raw.received)) == 1


@pytest.mark.parametrize("operation", [READS[-1], *WRITES], ids=str)
@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_a_connection_that_is_lost_is_an_error_and_a_write_is_sent_but_once(
    configured: Configured, operation: Operation, data: bytes
) -> None:
    with RawServer(say(data)) as raw:
        client = configured(raw.url)
        client.configuration.retries = BRIEF
        with pytest.raises(libtes.ConnectionLostException) as caught:
            operation.call(client)
    lost(caught, operation, status=200 if b"\r\n\r\n" in data else None)
    assert len(raw.received) == (3 if operation.method == "GET" else 1)
    assert caught.value.may_have_happened == (operation.method != "GET")


def silent(connection: socket.socket) -> None:
    connection.recv(1)  # until the client gives up


def halting(connection: socket.socket) -> None:
    connection.sendall(FULL[:-5])
    silent(connection)


@every_operation
@pytest.mark.parametrize("talk", [silent, halting], ids=["no answer", "half a body"])
def test_an_answer_that_does_not_come_in_time(
    configured: Configured, operation: Operation, talk: Any
) -> None:
    with RawServer(talk) as raw:
        client = configured(raw.url)
        client.configuration.retries = urllib3.Retry(total=1, backoff_factor=0.01)
        with pytest.raises(libtes.ReadTimeoutException) as caught:
            operation.call(client, _request_timeout=(5, 0.05))
        tries = 2 if operation.method == "GET" else 1
        wait_until(lambda: len(raw.received) >= tries)
    # On a busy machine the time may be over before the head is read.
    lost(caught, operation, status=caught.value.status if talk is halting else None)
    assert caught.value.status in (None, 200)
    assert len(raw.received) == tries
    assert caught.value.may_have_happened == (operation.method != "GET")


@pytest.mark.parametrize("timeout", [0.1, (5, 0.1), (None, 0.1)], ids=repr)
@pytest.mark.parametrize("where", ["call", "configuration"])
def test_a_timeout_may_be_one_number_or_two(
    configured: Configured, timeout: Any, where: str
) -> None:
    with RawServer(silent) as raw:
        client = configured(raw.url)
        options = {"_request_timeout": timeout} if where == "call" else {}
        if where == "configuration":
            client.configuration.timeout = timeout
        started = time.monotonic()
        with pytest.raises(libtes.ReadTimeoutException):
            libtes.TaskRunsApi(client).get_task_run(RUN, **options)
        assert time.monotonic() - started < 5


def test_a_body_that_is_lost_while_it_is_read_raw_is_an_error_of_urllib3(
    configured: Configured,
) -> None:
    with RawServer(say(FULL[:-5])) as raw:
        api = libtes.TaskRunsApi(configured(raw.url))
        answer = api.get_task_run(RUN, _preload_content=False)
        assert answer.status == 200
        with pytest.raises(HTTPError):
            answer.read()
        answer.close()


def test_an_error_whose_body_is_lost_is_still_what_its_status_says(configured: Configured) -> None:
    data = b"HTTP/1.1 404 Not Found\r\nContent-Length: 100\r\n\r\n{"
    with RawServer(say(data)) as raw:
        api = libtes.TaskRunsApi(configured(raw.url))
        for preload in (True, False):
            with pytest.raises(libtes.NotFoundException):
                api.get_task_run(RUN, _preload_content=preload)


def test_a_connection_that_was_closed_while_idle_is_no_error(configured: Configured) -> None:
    with RawServer(say(FULL)) as raw:
        runs = libtes.TaskRunsApi(configured(raw.url))
        for number in range(3):
            assert runs.create_task_run(body={}).id == "x"
            wait_until(lambda: raw.closed == number + 1)  # noqa: B023 it is called at once
    assert len(raw.received) == 3


BODY = b'{"id": "x"}'
UNUSUAL: dict[str, bytes] = {
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n\r\n" + BODY,
    "no length": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + BODY,
    "chunks": CHUNKED
    + b"5\r\n"
    + BODY[:5]
    + b"\r\n6;x=y\r\n"
    + BODY[5:]
    + b"\r\n0\r\nT: 1\r\n\r\n",
    "no reason": b"HTTP/1.1 200\r\nContent-Length: 11\r\n\r\n" + BODY,
    "100 before": b"HTTP/1.1 100 Continue\r\n\r\n" + FULL,
    "bare line feeds": FULL.replace(b"\r\n", b"\n"),
    "more than its length": FULL + b"more",
    "compressed": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(BODY),
}


@pytest.mark.parametrize("data", UNUSUAL.values(), ids=UNUSUAL)
def test_an_unusual_answer_is_one_all_the_same(configured: Configured, data: bytes) -> None:
    with RawServer(say(data)) as raw:
        assert libtes.TaskRunsApi(configured(raw.url)).get_task_run(RUN).id == "x"


@pytest.mark.parametrize("encoding", [b"gzip", b"deflate"])
def test_an_answer_that_cannot_be_decompressed_is_an_error(
    configured: Configured, encoding: bytes
) -> None:
    data = b"HTTP/1.1 200 OK\r\nContent-Encoding: " + encoding + b"\r\n\r\n\x1f\x8b broken"
    with RawServer(say(data)) as raw, pytest.raises(libtes.ApiException) as caught:
        libtes.TaskRunsApi(configured(raw.url)).create_task_run(body={})
    assert caught.value.may_have_happened
    assert len(raw.received) == 1


def test_scheme_and_host_may_be_in_capitals(configured: Configured, server: Server) -> None:
    server.answer(Answer(body={"id": "x"}))
    runs = libtes.TaskRunsApi(configured(server.url.replace("http:", "HTTP:")))
    assert runs.get_task_run(RUN).id == "x"


FORK = """
import os, sys
from libica.openapi import libtes
configuration = libtes.Configuration(host=sys.argv[1])
with libtes.ApiClient(configuration) as client:
    runs = libtes.TaskRunsApi(client)
    runs.get_task_run("parent")
    child = os.fork()
    os.write(1, runs.get_task_run(" parent" if child else " child").id.encode())
    if child:
        assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_process_makes_connections_of_its_own(server: Server) -> None:
    server.answer(lambda asked: Answer(body={"id": asked.path.rpartition("%20")[2] + " "}))
    command = [sys.executable, "-W", "error", "-c", FORK, server.url]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stderr, done.returncode) == ("", 0)
    assert sorted(done.stdout.split()) == ["child", "parent"]
    assert server.connections == 2


@pytest.fixture
def taken() -> Iterator[socket.socket]:
    """A socket that has its port and does not listen, so that it refuses."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken


@pytest.fixture
def closed(taken: socket.socket) -> str:
    """The address of a port that refuses."""
    return "127.0.0.1:{1}".format(*taken.getsockname())


@every_operation
def test_a_host_that_refuses(configured: Configured, closed: str, operation: Operation) -> None:
    client = configured(f"http://{closed}")
    client.configuration.retries = urllib3.Retry(total=1, backoff_factor=0.01)
    with pytest.raises(libtes.ConnectException) as caught:
        operation.call(client)
    assert type(caught.value) is libtes.ConnectException
    lost(caught, operation)
    assert not caught.value.may_have_happened


@every_operation
def test_a_host_that_is_not_known(configured: Configured, operation: Operation) -> None:
    with pytest.raises(libtes.UnknownHostException) as caught:
        operation.call(configured("http://nowhere.invalid"))
    lost(caught, operation, "nowhere.invalid")
    assert not caught.value.may_have_happened


@pytest.mark.parametrize(
    "host", ["http://" + "a" * 64 + ".invalid", "http://a..invalid", "http://*.invalid"]
)
def test_a_host_that_cannot_be_known(configured: Configured, host: str) -> None:
    with pytest.raises(libtes.ConnectException):
        libtes.TaskRunsApi(configured(host)).get_task_run(RUN)


@every_operation
def test_a_call_is_repeated_where_no_connection_was_made(
    configured: Configured, taken: socket.socket, closed: str, operation: Operation
) -> None:
    client = configured(f"http://{closed}")
    client.configuration.retries = urllib3.Retry(total=12, backoff_factor=0.01)
    thread = operation.call(client, async_req=True, _preload_content=False)
    time.sleep(0.03)
    assert not thread.ready()
    taken.listen()
    connection, _ = taken.accept()
    with connection:
        request = read_request(connection)
        connection.sendall(FULL)
    assert request.startswith(f"{operation.method} {operation.target} ".encode())
    assert json.loads(thread.get(10).data) == {"id": "x"}


@pytest.mark.skipif(not hasattr(socket, "TCP_INFO"), reason="needs the backlog of Linux")
@pytest.mark.parametrize("operation", [READS[-1], WRITES[0]], ids=str)
def test_a_host_that_does_not_take_the_connection_in_time(
    configured: Configured, operation: Operation
) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        client = configured(f"http://127.0.0.1:{full.getsockname()[1]}")
        with pytest.raises(libtes.ConnectTimeoutException) as caught:
            operation.call(client, _request_timeout=(0.1, 5))
        for each in waiting:
            each.close()
    lost(caught, operation)
    assert not caught.value.may_have_happened


# -- Redirects -------------------------------------------------------------------------------------

REDIRECTS = [301, 302, 303, 307, 308]


def to(location: str, status: int = 302) -> Answer:
    return Answer(status, b"", {"Location": location})


def received(status: int, headers: Any) -> Received:
    return Received(status, None, headers, b"")


HEADERS = {"Accept": "a", "User-Agent": "b", "Content-Type": "c", "X-Mine": "d", "Cookie": "e"}


@pytest.mark.parametrize(
    ("location", "url", "sent"),
    [
        ("http://h/b", "http://h/b", "a b c d e"),
        ("b?x=1", "http://h/v1/b?x=1", "a b c d e"),
        ("//h/b", "http://h/b", "a b c d e"),
        ("https://h/b", "https://h/b", "a b c"),
        ("http://h:80/b", "http://h:80/b", "a b c"),
        ("http://other/b", "http://other/b", "a b c"),
        ("//other/b", "http://other/b", "a b c"),
    ],
)
def test_a_redirect_keeps_the_headers_within_the_origin_and_the_public_ones_beyond(
    location: str, url: str, sent: str
) -> None:
    for method, status in (("GET", 301), ("HEAD", 308)):
        request = Request(method, "http://h/v1/a?y=2", HEADERS, None, 5, True)
        there = _redirected(request, received(status, {"Location": location}))
        headers = {name: each for name, each in HEADERS.items() if each in sent.split()}
        assert there == request._replace(url=url, headers=headers)


@pytest.mark.parametrize(
    ("method", "status", "headers"),
    [
        *(("GET", status, {"Location": "/x"}) for status in (200, 300, 304, 305, 306, 309, 404)),
        *(("GET", status, {}) for status in REDIRECTS),
        *(("GET", status, {"Location": ""}) for status in REDIRECTS),
        *((method, status, {"Location": "/x"}) for method in WRITING for status in REDIRECTS),
        *(("GET", 302, {"Location": to}) for to in ("ftp://h/", "file:///x", "http://[x", "a:b")),
    ],
)
def test_no_other_answer_is_a_redirect(method: str, status: int, headers: dict[str, str]) -> None:
    request = Request(method, "http://h/v1/a", HEADERS, None, 5, True)
    assert _redirected(request, received(status, headers)) is None


@pytest.mark.parametrize("status", REDIRECTS)
@pytest.mark.parametrize("form", ["{url}/v2/x?y=1", "/v2/x?y=1", "../../../v2/x?y=1"])
def test_a_read_is_redirected_with_its_token_within_the_host(
    server: Server, runs: libtes.TaskRunsApi, status: int, form: str
) -> None:
    runs.api_client.cookie = "a=1"
    runs.api_client.set_default_header("X-Mine", "1")
    server.answer(to(form.format(url=server.url), status), Answer(body={"id": "x"}))
    assert runs.get_task_run(RUN).id == "x"
    first, second = server.asked
    assert (second.method, second.target) == ("GET", "/v2/x?y=1")
    assert second.headers == first.headers
    assert second.headers["Authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("{url}", "/"),
        ("{url}?x=1", "/?x=1"),
        ("{url}/moved#part", "/moved"),
        ("{url}/a b?c d", "/a%20b?c%20d"),
        ("{url}/%C3%A9", "/%C3%A9"),
        ("{url}/é", "/%C3%A9"),
    ],
)
def test_a_redirect_may_lead_anywhere(
    server: Server, runs: libtes.TaskRunsApi, location: str, target: str
) -> None:
    with Server() as other:
        for there in (server, other):
            other.answer(Answer(body={"id": "x"}))
            server.answer(to(location.format(url=there.url)), Answer(body={"id": "x"}))
            assert runs.get_task_run(RUN).id == "x"
            assert there.last.target.replace("%C3%83%C2%A9", "%C3%A9") == target


@pytest.mark.parametrize("status", REDIRECTS)
def test_a_read_is_redirected_to_another_origin_without_secrets(
    server: Server, runs: libtes.TaskRunsApi, status: int
) -> None:
    client = runs.api_client
    client.cookie = "secret=1"
    client.set_default_header("X-Api-Key", "secret")
    client.user_agent = "pipeline/3"
    with Server() as other:
        other.answer(Answer(body={"id": "x"}))
        server.answer(to(f"{other.url}/v1/x", status))
        assert runs.get_task_run(RUN).id == "x"
    assert set(other.last.headers) <= {
        "Host",
        "Accept",
        "Accept-Encoding",
        "User-Agent",
        "Connection",
    }
    assert other.last.headers["User-Agent"] == "pipeline/3"
    assert TOKEN not in repr(other.last)
    assert "secret" not in repr(other.last)


def test_a_read_that_is_redirected_there_and_back_has_lost_its_secrets(
    server: Server, runs: libtes.TaskRunsApi
) -> None:
    with Server() as other:
        other.answer(to(f"{server.url}/back"))
        server.answer(to(other.url), Answer(body={"id": "x"}))
        assert runs.get_task_run(RUN).id == "x"
    assert "Authorization" not in server.last.headers


@pytest.mark.parametrize(
    "location", ["http://localhost:{port}/x", "//localhost:{port}/x", "http://127.0.0.1.:{port}/x"]
)
def test_another_name_of_the_same_host_is_another_origin(
    server: Server, runs: libtes.TaskRunsApi, location: str
) -> None:
    server.answer(to(location.format(port=server.port)), Answer(body={"id": "x"}))
    try:
        assert runs.get_task_run(RUN).id == "x"
    except libtes.ConnectException:  # where the name does not lead there
        return
    assert server.last.target == "/x"
    assert TOKEN not in repr(server.last)


@pytest.mark.parametrize("operation", WRITES, ids=str)
@pytest.mark.parametrize("status", REDIRECTS)
def test_a_write_is_never_redirected(
    server: Server, client: libtes.ApiClient, operation: Operation, status: int
) -> None:
    client.configuration.retries = BRIEF
    with Server() as other:
        for url in (server.url, other.url):
            server.answer(to(f"{url}/elsewhere", status))
            with pytest.raises(libtes.ApiException) as caught:
                operation.call(client)
            assert caught.value.status == status
            assert caught.value.headers["Location"] == f"{url}/elsewhere"
            assert not caught.value.may_have_happened
        assert other.asked == []
    assert [asked.target for asked in server.asked] == [operation.target] * 2


def test_a_redirect_that_goes_on_and_on_ends(server: Server, runs: libtes.TaskRunsApi) -> None:
    server.answer(to("/round"))
    with pytest.raises(libtes.ApiException) as caught:
        runs.get_task_run(RUN)
    assert caught.value.status == 302
    assert len(server.asked) == 6


@pytest.mark.parametrize(
    "location",
    [
        "",
        "ftp://127.0.0.1/x",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "http://:80/",
        "http://[bad",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1:port/",
        "http://nowhere.invalid/",
        "https://[::1/",
    ],
)
def test_a_redirect_to_where_no_call_can_go_is_an_error(
    server: Server, runs: libtes.TaskRunsApi, location: str
) -> None:
    server.answer(to(location))
    with pytest.raises(libtes.ApiException) as caught:
        runs.get_task_run(RUN)
    assert TOKEN not in str(caught.value)
    assert len(server.asked) == 1


def test_a_redirect_without_a_location_is_an_error(
    server: Server, runs: libtes.TaskRunsApi
) -> None:
    server.answer(Answer(302, b""))
    with pytest.raises(libtes.ApiException) as caught:
        runs.get_task_run(RUN)
    assert caught.value.status == 302
    assert len(server.asked) == 1


def test_a_redirect_may_lead_to_an_error(server: Server, runs: libtes.TaskRunsApi) -> None:
    server.answer(to("/gone"), Answer(404, {"message": "gone"}))
    with pytest.raises(libtes.NotFoundException, match="gone"):
        runs.get_task_run(RUN)


def test_after_a_redirect_a_read_is_still_tried_again(
    server: Server, runs: libtes.TaskRunsApi
) -> None:
    runs.api_client.configuration.retries = BRIEF
    server.answer(to("/moved"), Answer(503), Answer(body={"id": "x"}))
    assert runs.get_task_run(RUN).id == "x"
    assert [asked.target for asked in server.asked][1:] == ["/moved", "/moved"]


# -- Proxies ---------------------------------------------------------------------------------------

FAR = "http://tes.example"


@pytest.fixture
def proxy() -> Iterator[Server]:
    """A proxy that answers itself; what it was asked has the whole URL as its target."""
    with Server() as proxy:
        proxy.answer(Answer(body={"id": "x"}))
        yield proxy


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def test_the_proxy_of_the_environment_is_used(
    configured: Configured, proxy: Server, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, proxy.url)
    runs = libtes.TaskRunsApi(configured(FAR))
    assert runs.get_task_run(RUN).id == "x"
    assert proxy.last.target == f"{FAR}/v1/tasks/runs/{RUN}"
    assert proxy.last.headers["Host"] == "tes.example"
    assert proxy.last.headers["Authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    ("exempt", "used"),
    [
        ("127.0.0.1", False),
        ("127.0.0.1:{port}", False),
        ("tes.example,127.0.0.1", False),
        ("*", False),
        ("127.0.0.1:1", True),
        ("tes.example", True),
        ("", True),
    ],
)
def test_no_proxy_exempts_a_host(
    configured: Configured,
    server: Server,
    proxy: Server,
    monkeypatch: pytest.MonkeyPatch,
    exempt: str,
    used: bool,
) -> None:
    server.answer(Answer(body={"id": "direct"}))
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", exempt.format(port=server.port))
    run = libtes.TaskRunsApi(configured(server.url)).get_task_run(RUN)
    assert run.id == ("x" if used else "direct")
    assert (len(proxy.asked), len(server.asked)) == ((1, 0) if used else (0, 1))


def test_no_proxy_exempts_a_domain(
    configured: Configured, proxy: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", ".invalid")
    with pytest.raises(libtes.ConnectException):
        libtes.TaskRunsApi(configured("http://nowhere.invalid")).get_task_run(RUN)
    assert proxy.asked == []


def test_the_environment_is_asked_about_each_host(
    server: Server, proxy: Server, client: libtes.ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    libtes.TasksApi(client).list_tasks()
    assert (len(server.asked), len(proxy.asked)) == (1, 0)
    client.call_api("/v1/x", "GET", _host=FAR)
    assert (len(server.asked), len(proxy.asked)) == (1, 1)
    client.configuration.host = FAR
    libtes.TaskRunsApi(client).get_task_run(RUN)
    assert (len(server.asked), len(proxy.asked)) == (1, 2)


def test_the_proxy_of_the_configuration_comes_before_that_of_the_environment(
    configured: Configured, proxy: Server, closed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://{closed}")
    monkeypatch.setenv("NO_PROXY", "*")
    client = configured(FAR)
    client.configuration.proxy = proxy.url
    assert libtes.TaskRunsApi(client).get_task_run(RUN).id == "x"


def with_login(proxy: str) -> str:
    return proxy.replace("//", "//user%20name:pass%3Aw%40rd%2Fof%20proxy@")


def proxy_authorization(proxy: Server) -> Optional[str]:
    headers = {name.lower(): value for name, value in proxy.last.headers.items()}
    return headers.get("proxy-authorization")


BASIC = urllib3.make_headers(proxy_basic_auth=f"user name:{PASSWORD}")["proxy-authorization"]
LOGIN_SECRETS = (PASSWORD, "pass%3Aw%40rd", "w@rd", BASIC, BASIC.split()[1])


@pytest.mark.parametrize("where", ["configuration", "environment"])
def test_user_and_password_of_a_proxy_are_sent_as_a_header(
    configured: Configured, proxy: Server, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    client = configured(FAR)
    if where == "environment":
        monkeypatch.setenv("HTTP_PROXY", with_login(proxy.url))
    else:
        client.configuration.proxy = with_login(proxy.url)
    assert libtes.TaskRunsApi(client).get_task_run(RUN).id == "x"
    assert proxy_authorization(proxy) == BASIC
    assert PASSWORD not in repr(client.configuration)


def test_headers_for_a_proxy_are_sent_to_it(configured: Configured, proxy: Server) -> None:
    client = configured(FAR)
    client.configuration.proxy = proxy.url
    client.configuration.proxy_headers = {"X-Team": "genomics", "Proxy-Authorization": "Bearer x"}
    libtes.TaskRunsApi(client).get_task_run(RUN)
    assert proxy.last.headers["X-Team"] == "genomics"
    assert proxy_authorization(proxy) == "Bearer x"


def test_settings_of_a_proxy_that_are_changed_later_hold_for_the_next_call(
    configured: Configured, server: Server, proxy: Server
) -> None:
    client = configured(server.url)
    libtes.TasksApi(client).list_tasks()
    client.configuration.proxy = proxy.url
    libtes.TasksApi(client).list_tasks()
    client.configuration.proxy_headers = {"X-Team": "genomics"}
    libtes.TasksApi(client).list_tasks()
    client.configuration.proxy = None
    libtes.TasksApi(client).list_tasks()
    assert (len(server.asked), len(proxy.asked)) == (2, 2)
    assert [asked.headers.get("X-Team") for asked in proxy.asked] == [None, "genomics"]


def test_a_proxy_may_be_named_without_its_scheme(configured: Configured, proxy: Server) -> None:
    client = configured(FAR)
    client.configuration.proxy = f"127.0.0.1:{proxy.port}"
    assert libtes.TaskRunsApi(client).get_task_run(RUN).id == "x"


@every_operation
@pytest.mark.parametrize("far", [FAR, "https://tes.example"], ids=["http", "https"])
def test_a_proxy_that_is_down(
    configured: Configured, closed: str, operation: Operation, far: str
) -> None:
    client = configured(far)
    client.configuration.retries = urllib3.Retry(total=1, backoff_factor=0.01)
    client.configuration.proxy = with_login(f"http://{closed}")
    with pytest.raises(libtes.ProxyException) as caught:
        operation.call(client)
    lost(caught, operation, "tes.example")
    assert not caught.value.may_have_happened
    chain: Optional[BaseException] = caught.value
    while chain is not None:
        for secret in LOGIN_SECRETS:
            assert secret not in str(chain) + repr(chain)
        chain = chain.__cause__ or chain.__context__


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # older http.client leaves a socket open
@pytest.mark.parametrize("status", [407, 403, 502])
def test_a_proxy_that_does_not_let_a_call_through(
    configured: Configured, proxy: Server, status: int
) -> None:
    proxy.answer(Answer(status, "<html>not you</html>", {"Content-Type": "text/html"}))
    client = configured("https://tes.example")
    client.configuration.proxy = with_login(proxy.url)
    with pytest.raises(libtes.ProxyException) as caught:
        libtes.TaskRunsApi(client).create_task_run(body={})
    assert str(status) in str(caught.value)
    assert not caught.value.may_have_happened
    assert not any(secret in str(caught.value) for secret in LOGIN_SECRETS)
    [asked] = proxy.asked
    assert (asked.method, asked.target) == ("CONNECT", "tes.example:443")
    assert proxy_authorization(proxy) == BASIC
    assert "Authorization" not in asked.headers
    del caught
    gc.collect()


def tunnel(port: int) -> Callable[[socket.socket], None]:
    """Return the talk of a proxy that takes a connection through to a port of this machine."""

    def pipe(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def talk(connection: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", port)) as far:
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=pipe, args=(far, connection), daemon=True)
            back.start()
            pipe(connection, far)
            back.join()

    return talk


# -- TLS -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def secure(authority: Authority) -> Iterator[Server]:
    with Server(authority.server("127.0.0.1", "localhost")) as secure:
        secure.answer(Answer(body={"id": "x"}))
        yield secure


@pytest.fixture
def misnamed(authority: Authority) -> Iterator[Server]:
    with Server(authority.server("tes.example")) as secure:
        secure.answer(Answer(body={"id": "x"}))
        yield secure


@every_operation
def test_a_certificate_that_is_not_trusted(
    configured: Configured, secure: Server, operation: Operation
) -> None:
    client = configured(secure.url)
    client.configuration.retries = BRIEF
    with pytest.raises(libtes.TlsException, match="certificate") as caught:
        operation.call(client)
    lost(caught, operation)
    assert not caught.value.may_have_happened
    assert secure.asked == []


def test_a_certificate_of_an_own_authority_by_its_file(
    configured: Configured, secure: Server, authority: Authority
) -> None:
    client = configured(secure.url)
    client.configuration.ssl_ca_cert = str(authority.file)
    assert libtes.TaskRunsApi(client).get_task_run(RUN).id == "x"
    assert secure.last.headers["Authorization"] == f"Bearer {TOKEN}"


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl to name the files")
def test_a_certificate_of_an_own_authority_by_its_folder(
    configured: Configured, secure: Server, authority: Authority, tmp_path: Path
) -> None:
    command = ["openssl", "x509", "-hash", "-noout", "-in", str(authority.file)]
    name = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    shutil.copy(authority.file, tmp_path / f"{name}.0")
    client = configured(secure.url)
    client.configuration.ssl_ca_cert = str(tmp_path)
    assert libtes.TaskRunsApi(client).get_task_run(RUN).id == "x"


def test_a_folder_without_the_authority_does_not_help(
    configured: Configured, secure: Server, tmp_path: Path
) -> None:
    client = configured(secure.url)
    client.configuration.ssl_ca_cert = str(tmp_path)
    with pytest.raises(libtes.TlsException):
        libtes.TaskRunsApi(client).get_task_run(RUN)


def test_a_certificate_for_another_host(
    configured: Configured, misnamed: Server, authority: Authority
) -> None:
    client = configured(misnamed.url)
    client.configuration.ssl_ca_cert = str(authority.file)
    with pytest.raises(libtes.TlsException) as caught:
        libtes.TaskRunsApi(client).get_task_run(RUN)
    assert "127.0.0.1" in str(caught.value)
    assert misnamed.asked == []


@pytest.mark.parametrize(
    ("name", "accepted"), [("tes.example", True), (False, True), ("other.example", False)]
)
def test_the_name_in_the_certificate_can_be_said(
    configured: Configured, misnamed: Server, authority: Authority, name: Any, accepted: bool
) -> None:
    client = configured(misnamed.url)
    client.configuration.ssl_ca_cert = str(authority.file)
    client.configuration.assert_hostname = name
    runs = libtes.TaskRunsApi(client)
    if accepted:
        assert runs.get_task_run(RUN).id == "x"
    else:
        with pytest.raises(libtes.TlsException):
            runs.get_task_run(RUN)
        assert misnamed.asked == []


def test_without_verification_any_certificate_will_do(
    configured: Configured, misnamed: Server
) -> None:
    client = configured(misnamed.url)
    client.configuration.verify_ssl = False
    with pytest.warns(InsecureRequestWarning):
        assert libtes.TaskRunsApi(client).get_task_run(RUN).id == "x"


@pytest.mark.parametrize("name", ["verify_ssl", "ssl_ca_cert"])
@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_settings_of_tls_that_are_changed_later_hold_for_the_next_call(
    configured: Configured, secure: Server, authority: Authority, name: str
) -> None:
    client = configured(secure.url)
    runs = libtes.TaskRunsApi(client)
    with pytest.raises(libtes.TlsException):
        runs.get_task_run(RUN)
    setattr(client.configuration, name, False if name == "verify_ssl" else str(authority.file))
    assert runs.get_task_run(RUN).id == "x"


class Visitor:
    """Files with a client's certificate and its private key, and one of both."""

    def __init__(self, ca: trustme.CA, folder: Path) -> None:
        cert = ca.issue_cert("agent@tes.example")
        self.cert, self.key, self.both = folder / "cert", folder / "key", folder / "both"
        cert.cert_chain_pems[0].write_to_path(self.cert)
        cert.private_key_pem.write_to_path(self.key)
        cert.private_key_and_cert_chain_pem.write_to_path(self.both)


@pytest.fixture
def demanding(authority: Authority) -> Iterator[Server]:
    """A server that asks for a certificate of its own authority."""
    context = authority.server("127.0.0.1")
    authority.ca.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # where the client hears of it in time
    with Server(context) as secure:
        secure.answer(Answer(body={"id": "x"}))
        yield secure


@pytest.mark.parametrize("form", ["cert and key", "one file"])
def test_a_certificate_of_the_client(
    configured: Configured, demanding: Server, authority: Authority, tmp_path: Path, form: str
) -> None:
    visitor = Visitor(authority.ca, tmp_path)
    client = configured(demanding.url)
    settings = client.configuration
    settings.ssl_ca_cert = str(authority.file)
    if form == "one file":
        settings.cert_file = str(visitor.both)
    else:
        settings.cert_file, settings.key_file = str(visitor.cert), str(visitor.key)
    assert libtes.TaskRunsApi(client).get_task_run(RUN).id == "x"


@pytest.mark.parametrize("form", ["none", "of another authority"])
def test_without_the_right_certificate_of_the_client(
    configured: Configured, demanding: Server, authority: Authority, tmp_path: Path, form: str
) -> None:
    client = configured(demanding.url)
    client.configuration.ssl_ca_cert = str(authority.file)
    if form != "none":
        client.configuration.cert_file = str(Visitor(trustme.CA(), tmp_path).both)
    with pytest.raises(libtes.TlsException) as caught:
        libtes.TaskRunsApi(client).get_task_run(RUN)
    assert TOKEN not in str(caught.value)
    assert demanding.asked == []


def test_https_to_what_speaks_no_tls(configured: Configured, server: Server) -> None:
    client = configured(server.url.replace("http:", "https:"))
    with pytest.raises(libtes.ApiConnectionException) as caught:
        libtes.TaskRunsApi(client).get_task_run(RUN)
    assert TOKEN not in str(caught.value)
    assert server.asked == []


@pytest.mark.parametrize("operation", [READS[-1], *WRITES], ids=str)
def test_a_secure_connection_that_breaks_after_the_call_was_read_may_have_done_its_work(
    configured: Configured, authority: Authority, operation: Operation
) -> None:
    def break_records(connection: Any) -> None:
        # What is no record of TLS, past its encryption.
        with socket.socket(fileno=connection.detach()) as below:
            below.sendall(b"\x17\x03\x03\x00\x20" + b"x" * 32)

    with RawServer(break_records, context=authority.server("127.0.0.1")) as raw:
        client = configured(raw.url)
        client.configuration.ssl_ca_cert = str(authority.file)
        client.configuration.retries = BRIEF
        with pytest.raises(libtes.ApiConnectionException) as caught:
            operation.call(client)
    lost(caught, operation)
    assert caught.value.may_have_happened == (operation.method != "GET")
    if operation.method != "GET":
        assert len(raw.received) == 1


def test_a_secure_connection_that_is_closed_after_the_call_was_read(
    configured: Configured, authority: Authority
) -> None:
    def close(connection: Any) -> None:
        socket.socket(fileno=connection.detach()).close()

    with RawServer(close, context=authority.server("127.0.0.1")) as raw:
        client = configured(raw.url)
        client.configuration.ssl_ca_cert = str(authority.file)
        client.configuration.retries = BRIEF
        with pytest.raises(libtes.ConnectionLostException) as caught:
            libtes.TaskRunsApi(client).create_task_run(body={})
    assert caught.value.may_have_happened
    assert len(raw.received) == 1


def test_a_secure_call_goes_through_a_proxy_that_sees_no_token(
    configured: Configured, secure: Server, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawServer(tunnel(secure.port)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", with_login(proxy.url))
        client = configured(secure.url)
        client.configuration.ssl_ca_cert = str(authority.file)
        client.user_agent = "pipeline/3"
        assert libtes.TaskRunsApi(client).get_task_run(RUN).id == "x"
        client.close()
    [seen] = proxy.received
    assert seen.startswith(f"CONNECT 127.0.0.1:{secure.port} HTTP/1.".encode())
    assert BASIC.encode() in seen
    assert TOKEN.encode() not in seen
    assert secure.last.headers["Authorization"] == f"Bearer {TOKEN}"
    assert "Proxy-Authorization" not in secure.last.headers


def test_a_redirect_to_http_carries_no_token(
    configured: Configured, secure: Server, server: Server, authority: Authority
) -> None:
    client = configured(secure.url)
    client.configuration.ssl_ca_cert = str(authority.file)
    server.answer(Answer(body={"id": "x"}))
    secure.answer(to(f"{server.url}/x"))
    assert libtes.TaskRunsApi(client).get_task_run(RUN).id == "x"
    assert TOKEN not in repr(server.last)
