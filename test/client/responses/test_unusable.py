"""Responses that cannot be used: each is one exception that says what came, and is sent once."""

from __future__ import annotations

import gzip
import json
import sys
from typing import Any, Union

import pytest
from urllib3.exceptions import DecodeError

from libica.openapi import libtes

from ...server import wait_until
from ...wire import chunked, framed, head, hold
from ..calls import (
    BODY,
    LAUNCH,
    PAGE,
    READ,
    check_failure,
    failure,
    misbehaving,
    preloads,
    read_and_launch,
)
from ..conftest import Connect

HTML = b"<!doctype html><title>Log in</title>"


def typed(content_type: str) -> tuple[str, ...]:
    return (f"Content-Type: {content_type}",)


def charset(name: str) -> tuple[str, ...]:
    return typed(f"application/json; charset={name}")


def encoded(coding: str) -> tuple[str, ...]:
    return (f"Content-Encoding: {coding}",)


def unusable(body: Union[bytes, str], *says: str, headers: tuple[str, ...] = ()) -> Any:
    """Return a response, and what the exception has to say."""
    data = body.encode() if isinstance(body, str) else body
    size = () if any("ncoding" in each for each in headers) else (f"{len(data)} bytes of",)
    return framed(data, "200 OK", *headers), (*size, *says)


def in_a_field(run: Any, page: Any) -> str:
    """Return a body that is wrong as a run and as a page: unknown fields are ignored."""
    return json.dumps({**run, **page})


UNUSABLE: dict[str, tuple[bytes, tuple[str, ...]]] = {
    # Another kind of content
    "html": unusable(HTML, "text/html", "JSON", headers=typed("text/html; charset=utf-8")),
    "html labelled as JSON": unusable(HTML, "application/json", "JSON"),
    "empty": unusable("", "JSON"),
    "empty without a length": (head(), ("0 bytes", "JSON")),
    "empty in chunks": (chunked(b""), ("0 bytes", "JSON")),
    "blanks": unusable(" \r\n\t ", "JSON"),
    "an array": unusable(b"[" + BODY + b"]", "$ must be an object, not list"),
    "a string": unusable('"x"', "$ must be an object, not str"),
    "an integer": unusable("5", "$ must be an object, not int"),
    "a number": unusable("0.5", "$ must be an object, not float"),
    "a boolean": unusable("true", "$ must be an object, not bool"),
    "null": unusable("null", "None"),
    "two objects": unusable(BODY * 2, "JSON"),
    "JSON that is cut short": unusable(BODY[:-3], "JSON"),
    "single quotes": unusable("{'id': 'x'}", "JSON"),
    "XML": unusable("<run/>", "application/xml", headers=typed("application/xml")),
    # Text
    "invalid UTF-8": unusable(b'{"id": "\xff"}', "utf-8"),
    "Latin-1 labelled as UTF-8": unusable(b'{"id": "\xe9"}', "utf-8", headers=charset("utf-8")),
    "UTF-8 labelled as ASCII": unusable('{"id": "é"}', "ascii", headers=charset("us-ascii")),
    "UTF-8 labelled as UTF-16": unusable(BODY, "utf-16", headers=charset("utf-16")),
    "UTF-16 without a label": unusable(BODY.decode().encode("utf-16"), "utf-8"),
    "an unknown charset": unusable(BODY, "klingon", headers=charset("klingon")),
    "an invalid name of a charset": unusable(BODY, headers=charset('"../\x7f"')),
    "a charset of non-ASCII letters": unusable(BODY, headers=charset("\xff")),
    "a charset with a long name": unusable(BODY, headers=charset("x" * 1000)),
    "a codec of bytes": unusable(BODY, "hex", headers=charset("hex")),
    "a codec of texts": unusable(BODY, "rot13", headers=charset("rot13")),
    "a codec that always fails": unusable(BODY, "undefined", headers=charset("undefined")),
    # Values
    "nested arrays": unusable("[" * 100_000, "JSON"),
    "nested objects": unusable('{"x":' * 100_000, "JSON"),
    "nested and closed": unusable('{"x": ' + "[" * 99_999 + "]" * 99_999 + "}", "JSON"),
    "NaN": unusable('{"x": NaN}', "NaN", "JSON"),
    "-Infinity": unusable('{"x": [-Infinity]}', "Infinity", "JSON"),
    "an integer of more than 64 bits": unusable(
        in_a_field({"execution": {"retryLimit": 2**63}}, {"itemCount": -(2**63) - 1}),
        "must be a whole number of 64 bit",
    ),
    "an integer of 1e400": unusable(
        '{"execution": {"retryLimit": 1e400}, "totalItemCount": -1e400}',
        "must be a whole number of 64 bit",
    ),
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
    **{
        f"the time {text!r}": unusable(
            in_a_field({"timeCreated": text}, {"items": [{"timeCreated": text}]}),
            "timeCreated must be a date and time",
        )
        for text in ("yesterday", "2021-02-30T00:00:00Z", "", "0000-00-00")
    },
    # Compression
    "gzip that is not": unusable(BODY, "decompress", headers=encoded("gzip")),
    "gzip with a wrong checksum": unusable(
        gzip.compress(BODY)[:-8] + b"\0" * 8, "decompress", headers=encoded("gzip")
    ),
    "gzip that is cut short": unusable(gzip.compress(BODY)[:-12], headers=encoded("gzip")),
    "gzip of html": unusable(gzip.compress(HTML), "JSON", headers=encoded("gzip")),
    "gzip of nothing": unusable(gzip.compress(b""), "JSON", headers=encoded("gzip")),
    "deflate that is not": unusable(b"\xff" * 40, "decompress", headers=encoded("deflate")),
    "two headers of gzip": unusable(
        gzip.compress(gzip.compress(BODY)), "Content-Encoding", headers=encoded("gzip") * 2
    ),
    **{
        f"compressed by {coding[:12]}": unusable(BODY, "Content-Encoding", headers=encoded(coding))
        for coding in ("gzip, gzip", ", ".join(["gzip"] * 100), "br", "zstd", "compress", "klingon")
    },
}
if hasattr(sys, "get_int_max_str_digits"):  # otherwise this Python reads integers of any length
    UNUSABLE["an integer of 5,000 digits"] = unusable(f'{{"x": {"1" * 5000}}}', "JSON")


@pytest.mark.parametrize("key", UNUSABLE)
def test_an_unusable_response_is_one_exception_that_says_what_came(
    connect: Connect, key: str
) -> None:
    data, says = UNUSABLE[key]
    with misbehaving(data) as raw:
        client = connect(raw.url)
        for number, operation in enumerate((READ, PAGE, LAUNCH), 1):
            exception = failure(client, operation)
            assert type(exception) is libtes.InvalidResponseException
            assert exception.status == 200
            for part in says:
                assert part in str(exception)
            if "JSON" in says or "$" in "".join(says):
                assert operation.returns in str(exception)
            assert len(raw.received) == number
            wait_until(lambda: raw.closed == raw.connections)


@read_and_launch
@pytest.mark.parametrize("number", ["1e400", "-1e400", "1" + "0" * 400])
def test_a_number_beyond_a_float_is_named_by_its_place(
    connect: Connect, operation: Any, number: str
) -> None:
    body = f'{{"execution": {{"environment": {{"resources": {{"cpuCores": {number}}}}}}}}}'
    with misbehaving(framed(body.encode())) as raw:
        exception = failure(connect(raw.url), operation)
    assert type(exception) is libtes.InvalidResponseException
    place = "$.execution.environment.resources.cpuCores must be a number"
    assert place in str(exception)


@pytest.mark.parametrize("status", ["202 Accepted", "204 No Content", "205 Reset Content"])
def test_a_status_without_a_body_is_unusable(connect: Connect, status: str) -> None:
    with misbehaving(head(status, "Content-Length: 0")) as raw:
        exception = failure(connect(raw.url), LAUNCH)
        assert type(exception) is libtes.InvalidResponseException
        assert exception.status == int(status[:3])
        assert "0 bytes" in str(exception)
        assert len(raw.received) == 1


NOT_HTTP = {
    "an SSH banner": b"SSH-2.0-OpenSSH_9.6\r\n",
    "TLS": b"\x15\x03\x01\x00\x02\x02\x46\r\n",
    "random bytes": bytes(range(128, 256)) * 4 + b"\r\n\r\n",
    "HTTP/0.9": HTML + b"\r\n\r\n",
    "JSON without a head": BODY + b"\r\n",
    "a status that is a word": b"HTTP/1.1 OK\r\n\r\n",
    **{f"the status {status}": head(f"{status} Odd") for status in (0, 99, 1000, -1)},
}


@preloads
@pytest.mark.parametrize("key", NOT_HTTP)
def test_what_is_not_http_is_one_exception(connect: Connect, key: str, preload: bool) -> None:
    with misbehaving(NOT_HTTP[key]) as raw:
        for number, operation in enumerate((READ, LAUNCH), 1):
            exception = failure(connect(raw.url), operation, _preload_content=preload)
            assert type(exception) is libtes.InvalidResponseException
            assert exception.status is None
            assert len(raw.received) == number


def test_a_call_in_the_background_fails_like_any_other(connect: Connect) -> None:
    length = "Content-Length: 1000000000"
    for talk in (framed(HTML, "200 OK", *typed("text/html")), hold(head("200 OK", length))):
        with misbehaving(talk) as raw:
            result = LAUNCH.call(connect(raw.url), async_req=True)
            with pytest.raises(libtes.InvalidResponseException) as caught:
                result.get(30)
            check_failure(caught.value, LAUNCH)
        assert len(raw.received) == 1


def test_an_error_of_decompression_is_the_cause(connect: Connect) -> None:
    with misbehaving(framed(BODY, "200 OK", *encoded("gzip"))) as raw:
        assert isinstance(failure(connect(raw.url), LAUNCH).__cause__, DecodeError)
