"""``max_response_bytes``: no response takes more memory or time than that allows."""

from __future__ import annotations

import contextlib
import gzip
import re
import socket
import threading
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from libica.openapi import libtes

from ...server import RawServer, Talk, say, wait_until
from ...wire import LAST_CHUNK, chunked, flood, framed, head
from ..calls import BODY, LAUNCH, READ, failure
from ..conftest import Connect
from .test_kinds import encoded

ZEROS = bytes(1 << 20)


def _bomb() -> tuple[bytes, bytes]:
    packer = zlib.compressobj(9, wbits=31)
    first, more = (packer.compress(ZEROS) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    return first, more * 20


ENDLESS_GZIP = _bomb()
"""The start of a gzip stream, and 20 KB that may follow again and again, 20 MB each."""


@contextlib.contextmanager
def little_memory() -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 64 << 20  # urllib3 1.26 decompresses all that one read gave


def test_the_limit_is_64_mib_unless_it_is_set_to_a_number_of_bytes_or_none() -> None:
    configuration = libtes.Configuration()
    assert configuration.max_response_bytes == 64 * 1024 * 1024
    invalid: list[Any] = [0, -1, True, 1.5, "1000"]
    for value in invalid:
        error = libtes.ApiValueError if type(value) is int else libtes.ApiTypeError
        with pytest.raises(error, match="max_response_bytes"):
            configuration.max_response_bytes = value
    configuration.max_response_bytes = 1
    configuration.max_response_bytes = None


FORMS: dict[str, Callable[[bytes], bytes]] = {
    "with its length": framed,
    "until the end": lambda body: head() + body,
    "in chunks": lambda body: chunked(body[:500], body[500:]) + LAST_CHUNK,
    "as gzip": lambda body: framed(gzip.compress(body), "200 OK", encoded("gzip")),
    "as deflate": lambda body: framed(zlib.compress(body), "200 OK", encoded("deflate")),
    "as gzip in chunks": lambda body: (
        chunked(gzip.compress(body), headers=(encoded("gzip"),)) + LAST_CHUNK
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_limit_holds_to_the_byte_and_from_the_next_call_on(connect: Connect, form: str) -> None:
    exact = BODY.ljust(1000)
    talks = [say(FORMS[form](body)) for body in (exact, exact + b" ", exact + b" ")]
    with RawServer(*talks) as raw:
        client = connect(raw.url, max_response_bytes=1000)
        assert READ.call(client).id == "x"
        wait_until(lambda: raw.closed == raw.connections)
        exception = failure(client, READ)
        assert type(exception) is libtes.InvalidResponseException
        assert exception.status == 200
        assert re.search(r"max_response_bytes.*\b1,?000\b", exception.reason)
        wait_until(lambda: raw.closed == raw.connections)
        client.configuration.max_response_bytes = None
        assert READ.call(client).id == "x"
    assert len(raw.received) == 3


def test_the_connection_of_a_body_beyond_the_limit_is_dropped(connect: Connect) -> None:
    dropped = threading.Event()
    endless = flood(head("200 OK", f"Content-Length: {10**12}"), b" " * 65536)

    def talk(connection: socket.socket) -> None:
        try:
            endless(connection)
        finally:
            dropped.set()

    with RawServer(talk, say(framed(BODY))) as raw:
        client = connect(raw.url, max_response_bytes=1000)
        failure(client, LAUNCH)
        assert dropped.wait(30)
        assert READ.call(client).id == "x"
    assert raw.connections == 2


GROWING: dict[str, Talk] = {
    "a body": flood(head(), b" " * 65536),
    "a body with a length": flood(head("200 OK", f"Content-Length: {10**12}"), b" " * 65536),
    "chunks": flood(chunked(), b"2000\r\n" + b" " * 8192 + b"\r\n"),
    "empty chunks": flood(chunked(), b"1\r\n \r\n" * 999),
    "gzip": flood(head("200 OK", encoded("gzip")) + ENDLESS_GZIP[0], ENDLESS_GZIP[1]),
    "gzip in one chunk": say(chunked(b"".join(ENDLESS_GZIP) * 20, headers=(encoded("gzip"),))),
    "gzip in parts": flood(head("200 OK", encoded("gzip")), gzip.compress(ZEROS) * 20),
    "a chunk": flood(chunked() + b"fffffffffff\r\n", b" " * 65536),
    "a chunk of a negative size": flood(chunked() + b"-1\r\n", b" " * 65536),
    "the size of a chunk": flood(chunked(), b"0" * 65536),
    "the extension of a chunk": flood(chunked() + b"5;", b"x" * 65536),
    "a header": flood(head()[:-2], b"x" * 65536),
    "headers": flood(head()[:-2], b"A: b\r\n" * 1000),
    "100": flood(b"", head("100 Continue") * 1000),
    "102": flood(b"", head("102 Processing") * 1000),
    "the trailer of chunks": flood(chunked(BODY) + b"0\r\n", b"A: b\r\n" * 1000),
}


IN_SMALL_PIECES = ("empty chunks", "100", "102", "the trailer of chunks")  # which take long to read


@pytest.mark.parametrize("key", GROWING)
def test_an_endless_response_takes_little_memory_and_is_sent_once(
    connect: Connect, key: str
) -> None:
    timeout = (5, 0.3 if key in IN_SMALL_PIECES else 60)
    with RawServer(GROWING[key]) as raw:
        client = connect(raw.url, max_response_bytes=1 << 20, timeout=timeout)
        with little_memory():
            exception = failure(client, LAUNCH)
        wait_until(lambda: len(raw.received) > 0)
    assert len(raw.received) == 1
    if key not in IN_SMALL_PIECES:  # so that its size ended it
        assert not isinstance(exception, libtes.ReadTimeoutException)
