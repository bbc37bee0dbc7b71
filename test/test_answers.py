"""Answers that are none: each is one exception that says what came, in time, and is sent but once.

All of them come from raw sockets, to calls that return an object and a page, and to a launch.
"""

from __future__ import annotations

import contextlib
import gzip
import itertools
import json
import pickle
import re
import socket
import socketserver
import ssl
import struct
import sys
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Optional, Union

import pytest
import trustme
import urllib3
from urllib3.exceptions import DecodeError

from libica.openapi import libtes

from .conftest import TOKEN
from .operations import OPERATIONS, Operation
from .server import Listener, RawServer, Talk, read_request, say, wait_until

NAMED = {each.name: each for each in OPERATIONS}
OBJECT, PAGE, LAUNCH = (NAMED[name] for name in ("get_task_run", "list_tasks", "launch_task_run"))
CALLS = (OBJECT, PAGE, LAUNCH)
FEW = (OBJECT, LAUNCH)  # for what takes its time
PATIENT = (5.0, 5.0)  # for what ends by itself
BRIEF = (5.0, 0.2)  # for what never ends
SLACK = 5.0  # a machine may be slow

Json = Any
Connect = Callable[..., libtes.ApiClient]

preloads = pytest.mark.parametrize("preload", [True, False], ids=["read", "raw"])


@pytest.fixture
def connect(configuration: libtes.Configuration) -> Iterator[Connect]:
    """Return a function that makes a client of a host, which repeats what it may once."""
    clients: list[libtes.ApiClient] = []

    def make(host: str, **settings: Any) -> libtes.ApiClient:
        configuration.host = host
        configuration.retries = urllib3.Retry(total=1, backoff_factor=0.001)
        for name, value in settings.items():
            setattr(configuration, name, value)
        clients.append(libtes.ApiClient(configuration))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


# -- How to answer ---------------------------------------------------------------------------------

HTML = b"<!doctype html><title>Log in</title>"


def head(status: str = "200 OK", *lines: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode("latin-1")


def complete(body: Union[bytes, str], *lines: str, status: str = "200 OK") -> bytes:
    """Return an answer that has the length it says, as JSON unless a line says what it is."""
    data = body.encode() if isinstance(body, str) else body
    if not any(line.lower().startswith("content-type") for line in lines):
        lines = ("Content-Type: application/json", *lines)
    return head(status, f"Content-Length: {len(data)}", *lines) + data


def chunks(*parts: bytes, lines: tuple[str, ...] = ()) -> bytes:
    """Return an answer in chunks that lacks the one that ends it."""
    start = ("Content-Type: application/json", "Transfer-Encoding: chunked")
    framed = (b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    return head("200 OK", *start, *lines) + b"".join(framed)


def reset(data: bytes) -> Talk:
    """Send this, and break the connection instead of closing it."""

    def talk(connection: socket.socket) -> None:
        connection.sendall(data)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    return talk


def drip(start: bytes, drops: bytes) -> Talk:
    """Send the start, then one byte after the other for ever, so that no single wait is long."""

    def talk(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(start)
        with contextlib.suppress(OSError):
            for drop in itertools.islice(itertools.cycle(drops), 2000):
                connection.sendall(bytes([drop]))
                time.sleep(0.01)

    return talk


def flood(start: bytes, block: bytes) -> Talk:
    """Send the start, then the block for ever, as fast as it is taken."""

    def talk(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection.sendall(start)
            while True:
                connection.sendall(block)

    return talk


def hold(data: bytes) -> Talk:
    """Send this, and then nothing until the client gives up."""

    def talk(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection.sendall(data)
            while connection.recv(65536):
                pass

    return talk


ZEROS = bytes(1 << 20)


def bomb(megabytes: int) -> bytes:
    """Return the start of a gzip stream that unfolds to so much, a thousandth of it."""
    packer = zlib.compressobj(9, wbits=31)
    first, more = (packer.compress(ZEROS) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    return first + more * (megabytes - 1)


# -- Answers that are none, as the issue lists them ------------------------------------------------


@dataclass(frozen=True)
class Row:
    """What comes, and what is raised for it."""

    talk: Union[Talk, bytes]
    cls: type[libtes.ApiException]
    status: Optional[int] = 200
    says: tuple[str, ...] = ()
    timeout: Any = PATIENT
    limit: Optional[int] = 1 << 20
    calls: tuple[Operation, ...] = CALLS
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def repeated(self) -> bool:
        """Whether a call that only reads is made again."""
        passing = self.status is not None and self.status in (408, 429, 500, 502, 503, 504)
        if issubclass(self.cls, libtes.DeadlineException):
            return False
        return passing or issubclass(self.cls, libtes.ApiConnectionException)


def unusable(body: Union[bytes, str], *says: str, lines: tuple[str, ...] = ()) -> Row:
    came = () if any("ncoding" in line for line in lines) else (f"{len(_data(body))} bytes of",)
    return Row(complete(body, *lines), libtes.InvalidResponseException, says=(*came, *says))


def _data(body: Union[bytes, str]) -> bytes:
    return body.encode() if isinstance(body, str) else body


def typed(content_type: str) -> tuple[str, ...]:
    return (f"Content-Type: {content_type}",)


def encoded(coding: str) -> tuple[str, ...]:
    return (f"Content-Encoding: {coding}",)


def in_a_field(run: Json, page: Json) -> str:
    """Return a body that is wrong as a run and wrong as a page: unknown fields are passed over."""
    return json.dumps({**run, **page})


WHOLE = b'{"id": "x", "items": [{"id": "x"}]}'
FULL = complete(WHOLE)
WRONG_TIMES = ("yesterday", "2021-02-30T00:00:00Z", "2021-03-08T25:00:00Z", "", "0000-00-00")
LARGE = (2**63, -(2**63) - 1, 10**30)
HUGE = "1e400", "-1e400", "1" + "0" * 400

Invalid, Lost = libtes.InvalidResponseException, libtes.ConnectionLostException
Late = libtes.ReadTimeoutException

ROWS: dict[str, Row] = {
    # Not what was asked for
    "html": unusable(HTML, "text/html", "JSON", lines=typed("text/html; charset=utf-8")),
    "html that says it is JSON": unusable(HTML, "application/json", "JSON"),
    "plain text": unusable("OK", "text/plain", "JSON", lines=typed("text/plain")),
    "empty": unusable("", "JSON"),
    "empty without a length": Row(head(), Invalid, says=("0 bytes", "JSON")),
    "empty in chunks": Row(chunks(b""), Invalid, says=("0 bytes", "JSON")),
    "204": Row(head("204 No Content"), Invalid, 204, ("0 bytes", "JSON")),
    "205": Row(head("205 Reset Content", "Content-Length: 0"), Invalid, 205, ("0 bytes", "JSON")),
    "202 and empty": Row(head("202 Accepted", "Content-Length: 0"), Invalid, 202, ("0 bytes",)),
    "spaces": unusable(" \r\n\t ", "JSON"),
    "an array": unusable("[]", "$ must be an object, not list"),
    "an array of what was asked for": unusable(b"[" + WHOLE + b"]", "$ must be an object"),
    "a string": unusable('"x"', "$ must be an object, not str"),
    "a whole number": unusable("5", "$ must be an object, not int"),
    "a number": unusable("0.5", "$ must be an object, not float"),
    "true": unusable("true", "$ must be an object, not bool"),
    "null": unusable("null", "None"),
    "two objects": unusable(WHOLE * 2, "JSON"),
    "JSON that is cut short": unusable(WHOLE[:-3], "JSON"),
    "single quotes": unusable("{'id': 'x'}", "JSON"),
    "XML": unusable("<run><id>x</id></run>", "application/xml", lines=typed("application/xml")),
    # Text
    "bad UTF-8": unusable(b'{"id": "\xff"}', "utf-8"),
    "Latin-1 that says UTF-8": unusable(
        '{"id": "é"}'.encode("latin-1"), "utf-8", lines=typed("application/json; charset=utf-8")
    ),
    "Latin-1 that says nothing": unusable('{"id": "é"}'.encode("latin-1"), "utf-8"),
    "UTF-8 that says ASCII": unusable(
        '{"id": "é"}', "ascii", lines=typed("application/json; charset=us-ascii")
    ),
    "UTF-8 that says UTF-16": unusable(
        WHOLE + b" ", "utf-16", lines=typed("application/json; charset=utf-16")
    ),
    "UTF-16 that says nothing": unusable(WHOLE.decode().encode("utf-16"), "utf-8"),
    "an unknown charset": unusable(
        WHOLE, "klingon", lines=typed("application/json; charset=klingon")
    ),
    "a charset that is no name": unusable(
        WHOLE, lines=typed('application/json; charset="../\x7f"')
    ),
    "a charset of a thousand letters": unusable(
        WHOLE, lines=typed("application/json; charset=" + "x" * 1000)
    ),
    "a charset of bytes": unusable(WHOLE, "hex", lines=typed("application/json; charset=hex")),
    "a charset of texts": unusable(WHOLE, "rot13", lines=typed("application/json; charset=rot13")),
    "a charset that refuses": unusable(
        WHOLE, "undefined", lines=typed("application/json; charset=undefined")
    ),
    # Values
    "arrays without end": unusable("[" * 100_000, "JSON"),
    "objects without end": unusable('{"x":' * 100_000, "JSON"),
    "deep": unusable('{"x": ' + "[" * 99_999 + "]" * 99_999 + "}", "JSON"),
    "NaN": unusable('{"x": NaN}', "NaN", "JSON"),
    "Infinity": unusable('{"x": Infinity}', "Infinity", "JSON"),
    "-Infinity": unusable('{"x": [-Infinity]}', "Infinity", "JSON"),
    **{
        f"{number} for a whole number": unusable(
            in_a_field({"execution": {"retryLimit": number}}, {"itemCount": number}),
            "must be a whole number of 64 bit",
        )
        for number in LARGE
    },
    **{
        f"{number[:6]} for a whole number": unusable(
            f'{{"execution": {{"retryLimit": {number}}}, "totalItemCount": {number}}}',
            "must be a whole number of 64 bit",
        )
        for number in HUGE
    },
    **{
        f"{number[:6]} for a number": Row(
            complete(
                f'{{"execution": {{"environment": {{"resources": {{"cpuCores": {number}}}}}}}}}'
            ),
            Invalid,
            says=("$.execution.environment.resources.cpuCores must be a number",),
            calls=(OBJECT, LAUNCH),
        )
        for number in HUGE
    },
    **{
        f"the time {text!r}": unusable(
            in_a_field({"timeCreated": text}, {"items": [{"timeCreated": text}]}),
            "timeCreated must be a date and time",
        )
        for text in WRONG_TIMES
    },
    "a time that is a number": unusable(
        in_a_field({"timeCreated": 1615176354}, {"items": [{"timeCreated": 1615176354}]}),
        "timeCreated must be a date and time",
    ),
    "an id that is a number": unusable(
        in_a_field({"id": 5}, {"items": [{}, {"id": 5}]}), "id must be a string, not int"
    ),
    "an object for an array": unusable(
        in_a_field({"logs": {}}, {"items": {}}), "must be an array, not dict"
    ),
    # Compression
    "gzip that is none": unusable(WHOLE, "decompress", lines=encoded("gzip")),
    "gzip that breaks": unusable(gzip.compress(WHOLE)[:12] + b"\xff" * 20, lines=encoded("gzip")),
    "gzip whose sum is wrong": unusable(
        gzip.compress(WHOLE)[:-8] + b"\0" * 8, "decompress", lines=encoded("gzip")
    ),
    "gzip that is cut short": unusable(gzip.compress(WHOLE)[:-12], lines=encoded("gzip")),
    "gzip of a page": unusable(gzip.compress(HTML), "JSON", lines=encoded("gzip")),
    "gzip of nothing": unusable(gzip.compress(b""), "JSON", lines=encoded("gzip")),
    "deflate that is none": unusable(b"\xff" * 40, "decompress", lines=encoded("deflate")),
    "gzip in gzip": unusable(
        gzip.compress(gzip.compress(WHOLE)), "Content-Encoding", lines=encoded("gzip, gzip")
    ),
    "gzip in gzip by two headers": unusable(
        gzip.compress(gzip.compress(WHOLE)), "Content-Encoding", lines=encoded("gzip") * 2
    ),
    "gzip a hundred times": unusable(
        WHOLE, "Content-Encoding", lines=encoded(", ".join(["gzip"] * 100))
    ),
    "brotli": unusable(WHOLE, "Content-Encoding", lines=encoded("br")),
    "zstd": unusable(WHOLE, "Content-Encoding", lines=encoded("zstd")),
    "compress": unusable(WHOLE, "Content-Encoding", lines=encoded("compress")),
    "an unknown compression": unusable(WHOLE, "Content-Encoding", lines=encoded("klingon")),
    # Size
    "a length beyond the limit": Row(
        hold(head("200 OK", "Content-Length: 1000000000") + WHOLE), Invalid, timeout=(5, 1)
    ),
    "a body beyond the limit": Row(flood(head(), b" " * 65536), Invalid, timeout=(5, 60)),
    "chunks beyond the limit": Row(
        flood(chunks(), b"2000\r\n" + b" " * 8192 + b"\r\n"), Invalid, timeout=(5, 60)
    ),
    "gzip that unfolds without end": Row(
        flood(head("200 OK", *encoded("gzip")) + bomb(1), bomb(2)[len(bomb(1)) :] * 20),
        Invalid,
        timeout=(5, 60),
    ),
    "gzip in so many parts": Row(
        flood(head("200 OK", *encoded("gzip")), gzip.compress(ZEROS) * 20), Invalid, timeout=(5, 60)
    ),
    # No HTTP
    "an SSH banner": Row(b"SSH-2.0-OpenSSH_9.6\r\n", Invalid, None),
    "TLS": Row(b"\x15\x03\x01\x00\x02\x02\x46\r\n", Invalid, None),
    "random bytes": Row(bytes(range(128, 256)) * 4 + b"\r\n\r\n", Invalid, None),
    "HTTP/0.9": Row(HTML + b"\r\n\r\n", Invalid, None),
    "JSON without a head": Row(WHOLE + b"\r\n", Invalid, None),
    "a status that is a word": Row(b"HTTP/1.1 OK\r\n\r\n", Invalid, None),
    "status 0": Row(head("0 Nothing"), Invalid, None),
    "status 99": Row(head("99 Odd"), Invalid, None),
    "status 1000": Row(head("1000 Odd"), Invalid, None),
    "status -1": Row(head("-1 Odd"), Invalid, None),
    # Cut short
    "nothing": Row(b"", Lost, None),
    "a status line that is cut short": Row(FULL[:10], Lost, None),
    "a status that is cut short": Row(b"HTTP/1.1 20", Lost, None),
    "a status line without an end": Row(b"HTTP/1.1 200 OK", Lost, None),
    "a status line alone": Row(b"HTTP/1.1 200 OK\r\n", Lost, None),
    "a header that is cut short": Row(FULL[:30], Lost, None),
    "a head without an end": Row(FULL[: FULL.index(b"\r\n\r\n") + 2], Lost, None),
    "a head whose length is cut short": Row(b"HTTP/1.1 200 OK\r\nContent-Length: 1", Lost, None),
    "no body": Row(FULL[: -len(WHOLE)], Lost),
    "a body that is cut short": Row(FULL[:-1], Lost),
    "a chunk that is cut short": Row(chunks(WHOLE)[:-9], Lost),
    "chunks without an end": Row(chunks(WHOLE), Lost),
    "the length of a chunk that is cut short": Row(chunks() + b"1", Lost),
    "reset before the head": Row(reset(b""), Lost, None),
    "reset in the head": Row(reset(FULL[:30]), Lost, None),
    "reset before the body": Row(reset(FULL[: -len(WHOLE)]), Lost),
    "reset in the body": Row(reset(FULL[:-5]), Lost),
    "reset in a chunk": Row(reset(chunks(WHOLE)[:-9]), Lost),
    "reset in a body without a length": Row(reset(head() + WHOLE[:-5]), Lost),
    # Too slow
    "silence": Row(hold(b""), Late, None, timeout=BRIEF, calls=FEW),
    "silence in the head": Row(hold(FULL[:30]), Late, None, timeout=BRIEF, calls=FEW),
    "silence in the body": Row(hold(FULL[:-5]), Late, timeout=BRIEF, calls=FEW),
    "silence in a chunk": Row(hold(chunks(WHOLE)[:-9]), Late, timeout=BRIEF, calls=FEW),
    "silence after a body without a length": Row(
        hold(head() + WHOLE), Late, timeout=BRIEF, calls=FEW
    ),
    "a status line in drops": Row(
        drip(b"", b"HTTP/1.1 200 " + b"O" * 9999), Late, None, timeout=BRIEF, calls=FEW
    ),
    "a header in drops": Row(drip(FULL[:30], b"x"), Late, None, timeout=BRIEF, calls=FEW),
    "headers in drops": Row(drip(FULL[:17], b"A: b\r\n"), Late, None, timeout=BRIEF, calls=FEW),
    "a body in drops": Row(
        drip(head("200 OK", "Content-Length: 5000"), b" "), Late, timeout=BRIEF, calls=FEW
    ),
    "a body without a length in drops": Row(drip(head(), b" "), Late, timeout=BRIEF, calls=FEW),
    "a chunk in drops": Row(drip(chunks() + b"ffff\r\n", b" "), Late, timeout=BRIEF, calls=FEW),
    "chunks in drops": Row(drip(chunks(), b"1\r\n \r\n"), Late, timeout=BRIEF, calls=FEW),
    "the length of a chunk in drops": Row(drip(chunks(), b"0"), Late, timeout=BRIEF, calls=FEW),
    "what follows the chunks in drops": Row(
        drip(chunks(WHOLE) + b"0\r\n", b"A: b\r\n"), Late, timeout=BRIEF, calls=FEW
    ),
    "gzip in drops": Row(
        drip(head("200 OK", *encoded("gzip")), gzip.compress(WHOLE)[:10] + b"\0"),
        libtes.ApiException,  # it may break first
        timeout=BRIEF,
    ),
}
# One number is the time for the whole call, so it is not made again.
for key in ("silence", "headers in drops", "a body in drops", "chunks in drops"):
    ROWS[f"{key}, by the whole time"] = Row(
        ROWS[key].talk, libtes.DeadlineException, ROWS[key].status, timeout=0.25, calls=FEW
    )
if not hasattr(sys, "get_int_max_str_digits"):
    pass  # this Python reads numbers of any length, so that none is too long
else:
    ROWS["a number of 5,000 digits"] = unusable(f'{{"x": {"1" * 5000}}}', "JSON")

TABLE = [(key, each) for key, row in ROWS.items() for each in row.calls]


def check(
    caught: pytest.ExceptionInfo[Any], operation: Operation, row: Row, seconds: float
) -> None:
    """Check what every exception of a call tells."""
    exception, text = caught.value, str(caught.value)
    if row.cls is libtes.ApiException:
        assert isinstance(exception, row.cls)
    else:
        assert type(exception) is row.cls
        assert exception.status == row.status
    assert (exception.method, exception.path) == (operation.method, operation.target)
    limits = row.timeout if isinstance(row.timeout, tuple) else (row.timeout,)
    assert seconds < limits[-1] * 2 + SLACK
    assert text.isprintable()
    assert len(text) < 2000
    for part in (operation.method, operation.target, *row.says):
        assert part in text
    if isinstance(exception, libtes.ApiConnectionException):
        assert "127.0.0.1" in text
    elif "JSON" in row.says or "$" in "".join(row.says):
        assert operation.returns in text
    refused = exception.status is not None and 300 <= exception.status < 500
    assert exception.may_have_happened == (operation.method != "GET" and not refused)
    assert exception.__cause__ is not exception
    shown = text + repr(exception) + repr(vars(exception)) + repr(exception.__cause__)
    for secret in (TOKEN, "Bearer"):
        assert secret not in shown
    twin = pickle.loads(pickle.dumps(exception))
    assert (str(twin), type(twin)) == (text, type(exception))


def caught_from(
    client: libtes.ApiClient, operation: Operation, **options: Any
) -> tuple[pytest.ExceptionInfo[Any], float]:
    started = time.monotonic()
    with pytest.raises(libtes.ApiException) as caught:
        operation.call(client, **options)
    return caught, time.monotonic() - started


def rest(raw: RawServer) -> None:
    """Wait until the server has closed what it has to, so that nobody writes to it any more."""
    wait_until(lambda: raw.closed == raw.connections)


def talking(talk: Union[Talk, bytes]) -> RawServer:
    return RawServer(say(talk) if isinstance(talk, bytes) else talk)


@pytest.mark.parametrize(("key", "operation"), TABLE, ids=str)
def test_an_answer_that_is_none_is_one_exception_that_says_so(
    connect: Connect, key: str, operation: Operation
) -> None:
    row = ROWS[key]
    with talking(row.talk) as raw:
        client = connect(raw.url, max_response_bytes=row.limit, **row.settings)
        caught, seconds = caught_from(client, operation, _request_timeout=row.timeout)
        check(caught, operation, row, seconds)
        if row.cls is not libtes.ApiException:
            tries = 2 if row.repeated and operation.method == "GET" else 1
            wait_until(lambda: len(raw.received) >= tries)
            assert len(raw.received) == tries
    if operation.method != "GET":
        assert len(raw.received) == 1


NO_HEAD = [key for key, row in ROWS.items() if row.status is None and "drops" not in key]


@pytest.mark.parametrize("key", NO_HEAD)
def test_where_no_head_comes_the_raw_answer_fails_like_any_other(
    connect: Connect, key: str
) -> None:
    row = ROWS[key]
    for operation in (OBJECT, LAUNCH):
        with talking(row.talk) as raw:
            options = {"_request_timeout": row.timeout, "_preload_content": False}
            caught, seconds = caught_from(connect(raw.url), operation, **options)
            check(caught, operation, row, seconds)
            tries = 2 if row.repeated and operation.method == "GET" else 1
            wait_until(lambda: len(raw.received) >= tries)  # noqa: B023 it is called at once
        assert len(raw.received) == tries


def test_a_call_in_the_background_fails_like_any_other(connect: Connect) -> None:
    for key in ("html", "no body", "a body in drops", "a body beyond the limit"):
        row = ROWS[key]
        with talking(row.talk) as raw:
            client = connect(raw.url, max_response_bytes=row.limit)
            result = LAUNCH.call(client, async_req=True, _request_timeout=row.timeout)
            with pytest.raises(row.cls) as caught:
                result.get(20)
            check(caught, LAUNCH, row, 0)
        assert len(raw.received) == 1


# -- Answers that are unusual and good -------------------------------------------------------------


def squeezed(wbits: int) -> bytes:
    packer = zlib.compressobj(wbits=wbits)
    return packer.compress(WHOLE) + packer.flush()


GOOD: dict[str, bytes] = {
    "a byte-order mark": complete(b"\xef\xbb\xbf" + WHOLE),
    "a byte-order mark with a charset": complete(
        b"\xef\xbb\xbf" + WHOLE, *typed("application/json; charset=utf-8")
    ),
    "no content type": head("200 OK", f"Content-Length: {len(WHOLE)}") + WHOLE,
    "another content type": complete(WHOLE, *typed("text/html")),
    "unknown fields": complete(WHOLE[:-1] + b', "new": {"a": [1e999]}, "": null}'),
    "unknown values": complete(WHOLE[:-1] + b', "status": "Dreaming", "itemCount": 2}'),
    "nulls": complete(WHOLE[:-1] + b', "logs": null, "acl": [null], "totalItemCount": null}'),
    "spaces around": complete(b"\r\n\t " + WHOLE + b"\n\n"),
    "a key twice": complete(b'{"id": "y", "items": [],' + WHOLE[1:]),
    "a large unknown number": complete(WHOLE[:-1] + b', "new": ' + b"9" * 300 + b"}"),
    "gzip": complete(gzip.compress(WHOLE), *encoded("gzip")),
    "GZIP": complete(gzip.compress(WHOLE), *encoded("GZIP")),
    "gzip in chunks": chunks(gzip.compress(WHOLE), lines=encoded("gzip")) + b"0\r\n\r\n",
    "gzip byte by byte": chunks(
        *(bytes([byte]) for byte in gzip.compress(WHOLE)), lines=encoded("gzip")
    )
    + b"0\r\n\r\n",
    "gzip in two parts": complete(
        gzip.compress(WHOLE[:9]) + gzip.compress(WHOLE[9:]), *encoded("gzip")
    ),
    "deflate": complete(squeezed(15), *encoded("deflate")),
    "raw deflate": complete(squeezed(-15), *encoded("deflate")),
    "identity": complete(WHOLE, *encoded("identity")),
    "a hundred continues": head("100 Continue") * 99 + FULL,
}


@pytest.mark.parametrize("key", GOOD)
def test_an_unusual_answer_is_read(connect: Connect, key: str) -> None:
    with RawServer(say(GOOD[key])) as raw:
        client = connect(raw.url)
        for operation in CALLS:
            answer = operation.call(client)
            assert (answer.items[0] if operation is PAGE else answer).id == "x"
            rest(raw)
    assert len(raw.received) == 3


# -- Error statuses --------------------------------------------------------------------------------

JSON_TYPE = "application/json"
ODD_BODIES: dict[str, tuple[bytes, str]] = {
    "html": (HTML, "text/html"),
    "nothing": (b"", "text/plain"),
    "a list": (b'["x"]', JSON_TYPE),
    "a string": (b'"x"', JSON_TYPE),
    "null": (b"null", JSON_TYPE),
    "an empty object": (b"{}", JSON_TYPE),
    "problem details": (b'{"title": "Bad", "status": 1, "errors": {"a": ["b"]}}', JSON_TYPE),
    "an error in an error": (b'{"error": {"code": "C", "message": "M"}}', JSON_TYPE),
    "wrong types": (b'{"code": 5, "message": ["x"], "details": "x"}', JSON_TYPE),
    "JSON that is cut": (b'{"code": "x', JSON_TYPE),
    "no text": (b"\xff\xfe\x00", "application/octet-stream"),
    "deep": (b"[" * 100_000, JSON_TYPE),
    "an unknown charset": (b'"x"', f"{JSON_TYPE}; charset=klingon"),
}
ERRORS: dict[str, type[libtes.ApiException]] = {
    "401 Unauthorized": libtes.UnauthorizedException,
    "404 Not Found": libtes.NotFoundException,
    "429 Too Many Requests": libtes.TooManyRequestsException,
    "502 Bad Gateway": libtes.ServiceException,
}


@preloads
@pytest.mark.parametrize("status", ERRORS)
@pytest.mark.parametrize("body", ODD_BODIES)
def test_an_error_of_any_body_has_its_class_and_says_what_came(
    connect: Connect, body: str, status: str, preload: bool
) -> None:
    data, content_type = ODD_BODIES[body]
    answer = complete(data, *typed(content_type), "Retry-After: 0", status=status)
    with RawServer(say(answer)) as raw:
        client = connect(raw.url, retries=0)
        for number, operation in enumerate(CALLS, 1):
            caught, _ = caught_from(client, operation, _preload_content=preload)
            exception = caught.value
            assert type(exception) is ERRORS[status]
            assert exception.status == int(status[:3])
            assert (exception.code, exception.message, exception.details) == (None, None, None)
            assert exception.body == data.decode("utf-8", "replace")
            assert status in str(exception)
            assert f"{len(exception.body)} characters of {content_type}" in str(exception)
            assert str(exception).isprintable()
            assert len(raw.received) == number
            rest(raw)


@preloads
@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
def test_a_redirect_to_nowhere_is_an_error(connect: Connect, status: int, preload: bool) -> None:
    answer = head(f"{status} Elsewhere", "Content-Length: 0", "Connection: close")
    with RawServer(say(answer)) as raw:
        for number, operation in enumerate(CALLS, 1):
            caught, _ = caught_from(connect(raw.url), operation, _preload_content=preload)
            assert type(caught.value) is libtes.ApiException
            assert caught.value.status == status
            assert not caught.value.may_have_happened
            assert len(raw.received) == number


ERROR_BODY = b'{"code": "C", "message": "M"}'
BAD_GATEWAY = complete(ERROR_BODY, status="502 Bad Gateway")
SPOILED_ERRORS: dict[str, Union[Talk, bytes]] = {
    "cut short": BAD_GATEWAY[:-1],
    "reset": reset(BAD_GATEWAY[:-1]),
    "silent": hold(BAD_GATEWAY[:-1]),
    "in drops": drip(head("502 Bad Gateway", "Content-Length: 9999"), b" "),
    "beyond the limit": flood(head("502 Bad Gateway"), b" " * 65536),
    "of a length beyond the limit": hold(head("502 Bad Gateway", "Content-Length: 1000000000")),
    "gzip without end": flood(
        head("502 Bad Gateway", *encoded("gzip")) + bomb(1), bomb(2)[len(bomb(1)) :] * 20
    ),
    "broken gzip": complete(ERROR_BODY, *encoded("gzip"), status="502 Bad Gateway"),
    "an unknown compression": complete(ERROR_BODY, *encoded("x-y"), status="502 Bad Gateway"),
    "a chunk without a length": (
        chunks().replace(b"200 OK", b"502 Bad Gateway") + b"zz\r\n" + ERROR_BODY
    ),
    "a chunk of a length below zero": hold(
        chunks().replace(b"200 OK", b"502 Bad Gateway") + b"-23\r\n" + ERROR_BODY
    ),
}


@preloads
@pytest.mark.parametrize("operation", [OBJECT, LAUNCH], ids=str)
@pytest.mark.parametrize("key", SPOILED_ERRORS)
def test_an_error_whose_body_is_spoiled_keeps_its_status(
    connect: Connect, key: str, operation: Operation, preload: bool
) -> None:
    with talking(SPOILED_ERRORS[key]) as raw:
        client = connect(raw.url, max_response_bytes=1 << 20)
        options = {"_request_timeout": (5, 0.2), "_preload_content": preload}
        caught, seconds = caught_from(client, operation, **options)
        assert type(caught.value) is libtes.ServiceException
        assert caught.value.status == 502
        assert "502 Bad Gateway" in str(caught.value)
        assert caught.value.may_have_happened == (operation is LAUNCH)
        assert seconds < 0.4 + SLACK
        tries = 1 if operation is LAUNCH else 2
        wait_until(lambda: len(raw.received) >= tries)
        assert len(raw.received) == tries


def test_what_a_service_says_is_put_on_one_printable_line(connect: Connect) -> None:
    message = "first\nsecond\r\x1b[31mred\x00\x7f\u2028\u202e end " + "x" * 5000
    body = json.dumps({"code": "A\nB", "message": message})
    answer = complete(body, status="400 Bad\x1b[2JRequest")
    with RawServer(say(answer)) as raw:
        caught, _ = caught_from(connect(raw.url), LAUNCH)
    text = str(caught.value)
    assert text.isprintable()
    assert "first second" in text
    assert len(text) < 1500
    assert caught.value.message == message


# -- How much may come -----------------------------------------------------------------------------


def test_a_body_may_have_64_mib_unless_a_configuration_says_otherwise() -> None:
    assert libtes.Configuration().max_response_bytes == 64 * 1024 * 1024


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (0, libtes.ApiValueError),
        (-1, libtes.ApiValueError),
        (True, libtes.ApiTypeError),
        (1.5, libtes.ApiTypeError),
        ("1000", libtes.ApiTypeError),
    ],
    ids=repr,
)
def test_a_limit_that_is_none_is_refused_at_once(value: Any, error: Any) -> None:
    configuration = libtes.Configuration()
    with pytest.raises(error, match="max_response_bytes"):
        configuration.max_response_bytes = value
    configuration.max_response_bytes = 1
    configuration.max_response_bytes = None


FORMS: dict[str, Callable[[bytes], bytes]] = {
    "with its length": complete,
    "until the end": lambda body: head() + body,
    "in chunks": lambda body: chunks(body[:500], body[500:]) + b"0\r\n\r\n",
    "as gzip": lambda body: complete(gzip.compress(body), *encoded("gzip")),
    "as deflate": lambda body: complete(zlib.compress(body), *encoded("deflate")),
    "as gzip in chunks": lambda body: (
        chunks(gzip.compress(body), lines=encoded("gzip")) + b"0\r\n\r\n"
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_as_much_as_the_limit_is_read_and_no_byte_more(connect: Connect, form: str) -> None:
    exact = WHOLE + b" " * (1000 - len(WHOLE))
    answers = [say(FORMS[form](body)) for body in (exact, exact + b" ", exact + b" ")]
    with RawServer(*answers) as raw:
        client = connect(raw.url, max_response_bytes=1000)
        assert OBJECT.call(client).id == "x"
        rest(raw)
        caught, _ = caught_from(client, OBJECT)
        assert type(caught.value) is Invalid
        assert caught.value.status == 200
        assert "max_response_bytes" in caught.value.reason
        assert re.search(r"\b1,?000\b", caught.value.reason)
        rest(raw)
        client.configuration.max_response_bytes = None
        assert OBJECT.call(client).id == "x"
    assert len(raw.received) == 3


def test_a_limit_that_is_changed_later_holds_for_the_next_call(connect: Connect) -> None:
    with RawServer(say(FULL)) as raw:
        client = connect(raw.url)
        assert OBJECT.call(client).id == "x"
        client.configuration.max_response_bytes = 10
        with pytest.raises(Invalid, match="max_response_bytes"):
            OBJECT.call(client)


def test_the_connection_of_a_body_beyond_the_limit_is_dropped(connect: Connect) -> None:
    dropped = threading.Event()
    endless = flood(head("200 OK", f"Content-Length: {10**12}"), b" " * 65536)

    def talk(connection: socket.socket) -> None:
        endless(connection)
        dropped.set()

    with RawServer(talk, say(FULL)) as raw:
        client = connect(raw.url, max_response_bytes=1000)
        caught_from(client, LAUNCH)
        assert dropped.wait(10)
        assert OBJECT.call(client).id == "x"
    assert raw.connections == 2


GROWING: dict[str, Talk] = {
    "a body": flood(head(), b" " * 65536),
    "a body with a length": flood(head("200 OK", f"Content-Length: {10**12}"), b" " * 65536),
    "gzip": say(head("200 OK", *encoded("gzip")) + bomb(400)),
    "gzip in one chunk": say(chunks(bomb(400), lines=encoded("gzip"))),
    "gzip in parts": say(head("200 OK", *encoded("gzip")) + gzip.compress(ZEROS) * 400),
    "a chunk": flood(chunks() + b"fffffffffff\r\n", b" " * 65536),
    "a chunk of a length below zero": flood(chunks() + b"-1\r\n", b" " * 65536),
    "the length of a chunk": flood(chunks(), b"0" * 65536),
    "the extension of a chunk": flood(chunks() + b"5;", b"x" * 65536),
    "a header": flood(FULL[:30], b"x" * 65536),
    "headers": flood(FULL[:17], b"A: b\r\n" * 1000),
    "continues": flood(b"", head("100 Continue") * 1000),
    "what follows the chunks": flood(chunks(WHOLE) + b"0\r\n", b"A: b\r\n" * 1000),
}


@pytest.mark.parametrize(
    ("key", "status"),
    # An error is read in the same way; a few of them will do.
    [*((key, b"200 OK") for key in GROWING), *((key, b"404 No") for key in list(GROWING)[:3])],
)
def test_no_answer_takes_all_memory(connect: Connect, key: str, status: bytes) -> None:
    def talk(connection: socket.socket) -> None:
        GROWING[key](Replacing(connection, b"200 OK", status))  # type: ignore[arg-type]

    with RawServer(talk) as raw:
        client = connect(raw.url, max_response_bytes=1 << 20, retries=0)
        tracemalloc.start()
        try:
            # An error is read even where the raw answer is asked for.
            raw_error = status != b"200 OK"
            options = {"_request_timeout": (5, 0.25), "_preload_content": not raw_error}
            caught, seconds = caught_from(client, OBJECT, **options)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert seconds < 0.25 + SLACK
    assert peak < 64 << 20  # urllib3 1.26 decompresses all that one read gave
    assert TOKEN not in str(caught.value)


class Replacing:
    """A socket that sends one text for another."""

    def __init__(self, connection: socket.socket, old: bytes, new: bytes) -> None:
        self.connection, self.old, self.new = connection, old, new

    def sendall(self, data: bytes) -> None:
        self.connection.sendall(data.replace(self.old, self.new))


def test_what_cannot_be_decompressed_has_the_error_of_urllib3_as_its_cause(
    connect: Connect,
) -> None:
    with RawServer(say(complete(WHOLE, *encoded("gzip")))) as raw:
        caught, _ = caught_from(connect(raw.url), LAUNCH)
    assert isinstance(caught.value.__cause__, DecodeError)


# -- Misbehaviour of other kinds: whatever comes, it ends, is one exception, and is sent once ------

LENGTH = f"Content-Length: {len(WHOLE)}"
Fine = True  # an answer may be made of it
ODD: dict[str, tuple[Union[Talk, bytes], bool]] = {
    "continues without end": (flood(b"", head("100 Continue")), False),
    "continues in drops": (drip(b"", head("100 Continue")), False),
    "early hints": (head("103 Early Hints", "Link: </x>") + FULL, Fine),
    "processing": (head("102 Processing") + FULL, Fine),
    "another protocol": (head("101 Switching Protocols", "Upgrade: x"), False),
    "partial content": (complete(WHOLE, status="206 Partial Content"), Fine),
    "partial content of a page": (complete(HTML, status="206 Partial Content"), False),
    "99 headers": (complete(WHOLE, *(f"X-{n}: y" for n in range(90))), Fine),
    "200 headers": (complete(WHOLE, *(f"X-{n}: y" for n in range(200))), False),
    "a header without end": (flood(FULL[:30], b"x" * 65536), False),
    "a header of 60,000 letters": (complete(WHOLE, "X: " + "y" * 60_000), Fine),
    "a header of 70,000 letters": (complete(WHOLE, "X: " + "y" * 70_000), False),
    "headers without end": (flood(FULL[:17], b"A: b\r\n" * 1000), False),
    "a status line of 70,000 letters": (complete(WHOLE, status="200 " + "O" * 70_000), False),
    "a header without a colon": (complete(WHOLE, "nonsense"), Fine),
    "a header without a name": (complete(WHOLE, ": nonsense"), Fine),
    "a header that is folded": (complete(WHOLE, "X: a", " b"), Fine),
    "a header with NUL": (complete(WHOLE, "X: a\0b"), Fine),
    "a header of bytes": (complete(WHOLE, "X: \xff\xfe\x80"), Fine),
    "HTTP/2": (FULL.replace(b"HTTP/1.1", b"HTTP/2"), False),
    "HTTP/1.9": (FULL.replace(b"HTTP/1.1", b"HTTP/1.9"), Fine),
    "HTTP/9": (FULL.replace(b"HTTP/1.1", b"HTTP/9.1"), False),
    "spaces before the head": (b"  " + FULL, Fine),
    "an empty line before the head": (b"\r\n" + FULL, False),
    "a length below zero": (head("200 OK", "Content-Length: -1") + WHOLE, Fine),
    "a length of zero": (head("200 OK", "Content-Length: 0") + WHOLE, False),
    "a length that is too short": (head("200 OK", "Content-Length: 5") + WHOLE, False),
    "a length that is a word": (head("200 OK", "Content-Length: long") + WHOLE, Fine),
    "a length that is empty": (head("200 OK", "Content-Length: ") + WHOLE, Fine),
    "a length with a sign": (head("200 OK", f"Content-Length: +{len(WHOLE)}") + WHOLE, Fine),
    "a length of all digits": (head("200 OK", f"Content-Length: {'9' * 100}") + WHOLE, False),
    "a length of 5,000 digits": (head("200 OK", f"Content-Length: {'9' * 5000}") + WHOLE, Fine),
    "a length of 63 bits": (head("200 OK", f"Content-Length: {2**63 - 1}") + WHOLE, False),
    "a length of 64 bits": (head("200 OK", f"Content-Length: {2**64}") + WHOLE, False),
    "a length twice": (head("200 OK", LENGTH, LENGTH) + WHOLE, Fine),
    "two lengths": (head("200 OK", LENGTH, "Content-Length: 5") + WHOLE, False),
    "two lengths in one": (head("200 OK", f"{LENGTH}, 5") + WHOLE, False),
    "chunks and a length": (chunks(WHOLE, lines=("Content-Length: 5",)) + b"0\r\n\r\n", Fine),
    "chunks that are none": (chunks() + WHOLE, False),
    "a chunk of no length": (chunks() + b"\r\n" + WHOLE, False),
    "a chunk of a length below zero": (hold(chunks() + b"-1\r\n" + WHOLE), False),
    "a chunk of -23": (hold(chunks() + b"-23\r\n" + WHOLE), False),
    "a chunk of 63 bits": (hold(chunks() + b"7fffffffffffffff\r\n" + WHOLE), False),
    "a chunk of 64 bits": (hold(chunks() + b"ffffffffffffffff\r\n" + WHOLE), False),
    "a chunk of 1,000 digits": (hold(chunks() + b"f" * 1000 + b"\r\n" + WHOLE), False),
    "a chunk longer than it says": (chunks() + b"5\r\n" + WHOLE + b"\r\n0\r\n\r\n", False),
    "a chunk without its line break": (chunks() + b"23\r\n" + WHOLE + b"0\r\n\r\n", Fine),
    "the length of a chunk without end": (flood(chunks(), b"0" * 65536), False),
    "chunks of nothing without end": (flood(chunks(), b"1\r\n \r\n" * 999), False),
    "what follows the chunks without end": (
        flood(chunks(WHOLE) + b"0\r\n", b"A: b\r\n" * 999),
        False,
    ),
    "an unknown transfer": (head("200 OK", "Transfer-Encoding: klingon", LENGTH) + WHOLE, Fine),
    "gzip as transfer": (
        head("200 OK", "Transfer-Encoding: gzip, chunked") + gzip.compress(WHOLE),
        False,
    ),
    "chunked twice": (chunks(WHOLE, lines=("Transfer-Encoding: chunked",)) + b"0\r\n\r\n", Fine),
    "204 with a body": (complete(WHOLE, status="204 No Content"), False),
    "304 with a body": (complete(WHOLE, status="304 Not Modified"), False),
    "a redirect to itself": (head("302 Found", "Location: ?", "Content-Length: 0"), False),
    "a redirect of bytes": (
        head("302 Found", "Location: //\xff\xfe:x/", "Content-Length: 0"),
        False,
    ),
    "a redirect of 60,000 letters": (head("302 Found", "Location: /" + "x" * 60_000), False),
    "a redirect with a body without end": (
        flood(head("302 Found", "Location: /x"), b" " * 65536),
        False,
    ),
    "an error with a body without end": (flood(head("503 Busy"), b" " * 65536), False),
    "a wait that is no number": (
        head("503 Busy", "Retry-After: 1e999", "Content-Length: 0"),
        False,
    ),
    "a warning as text": (
        complete(b'{"id": "\\q"}', *typed("application/json; charset=unicode_escape")),
        False,
    ),
    "a charset of domains": (complete(WHOLE, *typed("a/b; charset=idna")), Fine),
    "a charset of punycode": (complete(WHOLE, *typed("a/b; charset=punycode")), False),
    "a charset that takes for ever": (
        complete(b"a-" + b"z9" * 300_000, *typed("a/b; charset=punycode")),
        False,
    ),
    "a charset of lines": (complete(WHOLE, *typed("a/b; charset=uu")), False),
    "a charset of zip": (complete(zlib.compress(WHOLE), *typed("a/b; charset=zlib")), False),
    "reserved bits in gzip": (
        complete(b"\x1f\x8b\x08\xe0" + gzip.compress(WHOLE)[4:], *encoded("gzip")),
        False,
    ),
    "more after gzip": (complete(gzip.compress(WHOLE) + b"more", *encoded("gzip")), Fine),
}


@preloads
@pytest.mark.parametrize("operation", FEW, ids=str)
@pytest.mark.parametrize("key", ODD)
def test_whatever_comes_it_ends_with_an_answer_or_one_exception(
    connect: Connect, key: str, operation: Operation, preload: bool
) -> None:
    talk, fine = ODD[key]
    with talking(talk) as raw:
        client = connect(raw.url, max_response_bytes=1 << 20)
        started = time.monotonic()
        seconds = 0.15 if callable(talk) else 5  # those that end by themselves may be slow
        options = {"_request_timeout": (5, seconds), "_preload_content": preload}
        answer: Any = None
        exception: Optional[libtes.ApiException] = None
        try:
            answer = operation.call(client, **options)
        except libtes.ApiException as raised:
            exception = raised
        if exception is not None:
            assert TOKEN not in str(exception) + repr(vars(exception))
            assert str(exception).isprintable()
            assert exception.method == operation.method
            assert exception.path == operation.target or "redirect" in key
            refused = exception.status is not None and 300 <= exception.status < 500
            assert exception.may_have_happened == (operation is LAUNCH and not refused)
        elif preload:
            assert fine
            assert isinstance(answer, operation.model)
            assert answer.id == "x"
        else:
            answer.close()
        assert time.monotonic() - started < seconds * 2 + SLACK
        wait_until(lambda: len(raw.received) > 0)
    if operation is LAUNCH:
        assert len(raw.received) == 1


# -- Answers that come too soon, and answers that nobody asked for --------------------------------


def listening(talk: Talk, context: Optional[ssl.SSLContext] = None) -> Listener:
    """Return a server whose talk reads the requests itself, if at all."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                talk(self.request)

    return Listener(Handler, context)


LARGE_BODY = {"name": "x" * 8_000_000}
TOO_LARGE = complete('{"code": "TOO_LARGE", "message": "no"}', status="413 Too Large")


def swallow(connection: socket.socket) -> None:
    while connection.recv(1 << 20):
        pass


def test_an_answer_before_the_request_is_sent_in_full_is_heard(connect: Connect) -> None:
    def talk(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(TOO_LARGE)
        connection.shutdown(socket.SHUT_WR)
        swallow(connection)

    with listening(talk) as early:
        with pytest.raises(libtes.ApiException) as caught:
            LAUNCH.call(connect(early.url), body=LARGE_BODY)
        assert (caught.value.status, caught.value.code) == (413, "TOO_LARGE")
        assert not caught.value.may_have_happened
        assert early.connections == 1


@pytest.mark.parametrize("said", [b"", TOO_LARGE], ids=["nothing", "an answer"])
def test_a_connection_that_ends_while_the_request_is_sent_is_one_exception(
    connect: Connect, said: bytes
) -> None:
    def talk(connection: socket.socket) -> None:
        connection.recv(1000)
        reset(said)(connection)

    with listening(talk) as early:
        with pytest.raises(libtes.ApiException) as caught:
            LAUNCH.call(connect(early.url), body=LARGE_BODY)
        assert caught.value.may_have_happened or caught.value.status == 413
        assert not isinstance(caught.value, libtes.ConnectException)
        assert early.connections == 1


@pytest.mark.parametrize("timeout", [(0.3, 0.3), 0.3], ids=["pair", "whole"])
def test_a_request_that_nobody_reads_ends_in_time(connect: Connect, timeout: Any) -> None:
    over = threading.Event()

    def talk(connection: socket.socket) -> None:
        over.wait(20)

    with listening(talk) as deaf:
        started = time.monotonic()
        with pytest.raises(libtes.ApiConnectionException) as caught:
            LAUNCH.call(connect(deaf.url), body=LARGE_BODY, _request_timeout=timeout)
        assert time.monotonic() - started < SLACK
        over.set()
        assert not isinstance(caught.value, libtes.ConnectException)
        assert caught.value.may_have_happened
        assert deaf.connections == 1


def run(name: str, *lines: str) -> bytes:
    return complete(json.dumps({"id": name}), *lines)


SECOND = run("second")
# As much as http.client reads at once, so that the rest stays with the socket or TLS.
BUFFERFUL = complete(json.dumps({"id": "first"}).ljust(8000))
BUFFERFUL = complete(json.dumps({"id": "first"}).ljust(8000 + 8192 - len(BUFFERFUL)))
SURPLUS: dict[str, bytes] = {
    "another answer": run("first") + run("evil"),
    "another answer at the end of a buffer": BUFFERFUL + run("evil"),
    "another answer after chunks": chunks(b'{"id": "first"}') + b"0\r\n\r\n" + run("evil"),
    "another answer after 103": head("103 Early Hints") + run("first") + run("evil"),
    "rest of a body that is longer than it said": (
        head("200 OK", "Content-Length: 15") + b'{"id": "first"}' + run("evil")
    ),
    "a body after 204": head("204 No Content") + run("evil"),
    "a body after 304": head("304 Not Modified") + run("evil"),
    "a body after an error": complete("{}", status="400 Bad Request") + run("evil"),
    "a body after an array": complete("[]") + run("evil"),
    "a hundred answers": run("first") + run("evil") * 100,
}


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.mark.parametrize("later", [False, True], ids=["at once", "later"])
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("key", SURPLUS)
def test_what_nobody_asked_for_is_never_the_answer_of_the_next_call(
    connect: Connect, authority: trustme.CA, tmp_path: Any, key: str, scheme: str, later: bool
) -> None:
    first, evil = SURPLUS[key], len(run("evil")) * (100 if "hundred" in key else 1)
    sent = threading.Event()

    def talk(connection: socket.socket) -> None:
        if not sent.is_set():
            read_request(connection)
            if later:
                connection.sendall(first[:-evil])
                heard.wait(10)
            connection.sendall(first[-evil:] if later else first)
            sent.set()
        while read_request(connection).strip():
            connection.sendall(SECOND)

    heard = threading.Event()
    context = None
    if scheme == "https":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        authority.cert_pem.write_to_path(tmp_path / "authority")
    with listening(talk, context) as hostile:
        client = connect(hostile.url)
        client.configuration.retries = 0
        client.configuration.ssl_ca_cert = str(tmp_path / "authority") if context else None
        with contextlib.suppress(libtes.ApiException):
            assert OBJECT.call(client).id == "first"
        heard.set()
        assert sent.wait(10)
        for _ in range(3):
            # The call may fail, or be answered on this or another connection.
            with contextlib.suppress(libtes.ApiException):
                assert OBJECT.call(client).id == "second"
