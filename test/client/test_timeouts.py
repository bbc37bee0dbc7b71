"""Services that are silent or slow: a call ends in time, and a write is sent once."""

from __future__ import annotations

import gzip
import socket
import threading
from typing import Any, Optional

import pytest

from libica.openapi import libtes

from ..authority import Authority
from ..operations import Operation
from ..server import Asked, RawServer, Response, Server, Talk, say, wait_until
from ..wire import chunked, drip, framed, head, hold
from .calls import BODY, ENDLESS, LAUNCH, READ, each_call, failure, read_and_launch
from .conftest import Clock, Connect

FULL = framed(BODY)
GZIP = head("200 OK", "Content-Encoding: gzip")
NO_HEAD: dict[str, Talk] = {
    "silence": hold(),
    "silence in the head": hold(FULL[:30]),
    "a status line in drops": drip(b"", b"HTTP/1.1 200 " + b"O" * 9999),
    "a header in drops": drip(FULL[:30], b"x"),
    "headers in drops": drip(FULL[:17], b"A: b\r\n"),
    "100 in drops": drip(b"", head("100 Continue")),
}
NO_BODY: dict[str, Talk] = {
    "silence in the body": hold(FULL[:-5]),
    "silence in a chunk": hold(chunked(BODY)[:-9]),
    "silence after a body without a length": hold(head() + BODY),
    "a body in drops": drip(head("200 OK", "Content-Length: 5000"), b" "),
    "a body without a length in drops": drip(head(), b" "),
    "a chunk in drops": drip(chunked() + b"ffff\r\n", b" "),
    "chunks in drops": drip(chunked(), b"1\r\n \r\n"),
    "the size of a chunk in drops": drip(chunked(), b"0"),
    "the trailer of chunks in drops": drip(chunked(BODY) + b"0\r\n", b"A: b\r\n"),
    "gzip in drops": drip(GZIP + gzip.compress(BODY)[:10], b"\0\0\0\xff\xff"),
}
SLOW = {**NO_HEAD, **NO_BODY}
PAIR, DEADLINE = (30, 0.1), 0.1
SOME = ("silence", "headers in drops", "a body in drops", "chunks in drops")


@pytest.mark.parametrize(
    ("key", "timeout", "scheme"),
    [
        *((key, PAIR, "http") for key in SLOW),
        *((key, DEADLINE, "http") for key in SOME),
        *((key, PAIR, "https") for key in SOME),
        *((key, 0.5, "https") for key in SOME[-2:]),  # with time for the handshake
    ],
)
def test_a_slow_response_takes_no_longer_than_the_timeout(
    connect: Connect, authority: Authority, key: str, timeout: Any, scheme: str
) -> None:
    context = authority.server("127.0.0.1") if scheme == "https" else None
    with RawServer(SLOW[key], context=context) as raw:
        client = connect(raw.url, ssl_ca_cert=str(authority.file))
        exception = failure(client, LAUNCH, _request_timeout=timeout)
        if isinstance(exception, libtes.ConnectTimeoutException):
            assert timeout == 0.5  # on a busy machine
            return
        assert type(exception) is (
            libtes.ReadTimeoutException if timeout is PAIR else libtes.DeadlineException
        )
        # On a busy machine the time may be over before the head is read.
        assert exception.status in ((None,) if key in NO_HEAD else (None, 200))
        assert "127.0.0.1" in str(exception)
        wait_until(lambda: len(raw.received) > 0)
    assert len(raw.received) == 1


@read_and_launch
@pytest.mark.parametrize("timeout", [(None, 0.1), (30, 0.1), 0.1], ids=repr)
def test_a_pair_is_the_timeout_of_an_attempt_and_a_number_that_of_the_call(
    connect: Connect, operation: Operation, timeout: Any
) -> None:
    attempts, cls = 1, libtes.DeadlineException
    if isinstance(timeout, tuple):
        attempts, cls = 3 if operation is READ else 1, libtes.ReadTimeoutException
    for setting, options in ((timeout, {}), ((30, 30), {"_request_timeout": timeout})):
        with RawServer(hold()) as raw:
            exception = failure(connect(raw.url, timeout=setting), operation, **options)
            assert type(exception) is cls
            wait_until(lambda: len(raw.received) == attempts)


def test_the_deadline_ends_the_attempt_at_hand(connect: Connect) -> None:
    with RawServer(say(FULL[:-5]), say(b""), hold()) as raw:
        exception = failure(connect(raw.url), READ, _request_timeout=1.5)
        assert type(exception) is libtes.DeadlineException
        assert len(raw.received) <= 3


@each_call
def test_the_deadline_ends_attempts_to_connect(
    connect: Connect, refusing: str, operation: Operation, clock: Clock
) -> None:
    client = connect(f"http://{refusing}", retries=ENDLESS)
    exception = failure(client, operation, _request_timeout=200)
    assert type(exception) is libtes.ConnectException
    assert 1 < len(clock.waits) < 1000
    assert sum(clock.waits) < 200


needs_backlog = pytest.mark.skipif(
    not hasattr(socket, "TCP_INFO"), reason="needs the backlog of Linux"
)


@pytest.mark.parametrize(
    "talk",
    [
        pytest.param(None, id="not accepted", marks=needs_backlog),
        pytest.param(hold(), id="a handshake in silence"),
        pytest.param(drip(b"\x16\x03\x03\x40\x00", b"\x02\x00\x3f\xfc"), id="a handshake in drops"),
    ],
)
@read_and_launch
@pytest.mark.parametrize("timeout", [(0.1, 30), 0.1], ids=["pair", "deadline"])
def test_a_connection_or_handshake_that_is_not_made_in_time_is_no_connection(
    connect: Connect, full: str, talk: Optional[Talk], operation: Operation, timeout: Any
) -> None:
    with RawServer(talk or hold(), read=False) as stuck:
        host = stuck.url.replace("http:", "https:") if talk else full
        exception = failure(connect(host, retries=0), operation, _request_timeout=timeout)
        assert type(exception) is libtes.ConnectTimeoutException
        assert stuck.connections == (1 if talk else 0)


def test_a_slow_response_that_comes_in_time_is_read(connect: Connect) -> None:
    def slow(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(FULL), 10):
            connection.sendall(FULL[start : start + 10])
            threading.Event().wait(0.002)

    with RawServer(slow) as raw:
        client = connect(raw.url, retries=0)
        for timeout in ((60, 60), 60, (None, 60), (60, None), None):
            assert READ.call(client, _request_timeout=timeout).id == "x"
            wait_until(lambda: raw.closed == raw.connections)
    assert len(raw.received) == 5


def test_a_response_that_is_too_late_is_not_that_of_the_next_call(connect: Connect) -> None:
    def late(connection: socket.socket) -> None:
        over.wait(30)
        connection.sendall(FULL.replace(b'"x"', b'"y"'))

    over = threading.Event()
    with RawServer(late, say(FULL)) as raw:
        client = connect(raw.url)
        failure(client, LAUNCH, _request_timeout=(30, 0.05))
        over.set()
        assert READ.call(client).id == "x"
    assert raw.connections == 2


def test_each_call_has_the_whole_timeout(connect: Connect, server: Server, clock: Clock) -> None:
    def slow(asked: Asked) -> Response:
        clock.ahead += 200
        return Response(body={"id": "x"})

    server.respond(slow)
    client = connect(server.url, retries=0)
    for timeout in (300, 300, (100, 300), 300):
        assert READ.call(client, _request_timeout=timeout).id == "x"
    assert server.connections == 1
