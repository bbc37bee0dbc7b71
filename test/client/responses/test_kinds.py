"""Responses of all kinds: read, or one exception that says what came; a write is sent once."""

from __future__ import annotations

import gzip
import json
import sys
import zlib
from collections.abc import Iterable
from typing import Any, NamedTuple, Optional, Union

import pytest
from urllib3.exceptions import DecodeError

from libica.openapi import libtes

from ...server import Response, Server, Talk, wait_until
from ...wire import LAST_CHUNK, chunked, framed, head, hold, reset
from ..calls import BODY, LAUNCH, PAGE, READ, check_failure, failure, misbehaving, preloads
from ..conftest import Connect

Invalid, Lost = libtes.InvalidResponseException, libtes.ConnectionLostException
OK, HTML = "200 OK", b"<!doctype html><title>Log in</title>"
FULL, GZIP, MORE = framed(BODY), gzip.compress(BODY), BODY[:-1]
JSON_TYPE = "application/json"


class Kind(NamedTuple):
    """What comes, and the exception for it, if any: its class, statuses, and parts of its text."""

    talk: Union[Talk, bytes]
    cls: Optional[type[libtes.ApiException]] = None
    statuses: tuple[Optional[int], ...] = (200,)
    says: tuple[str, ...] = ()


def typed(content_type: str) -> str:
    return f"Content-Type: {content_type}"


def charset(name: str) -> str:
    return typed(f"{JSON_TYPE}; charset={name}")


def encoded(coding: str) -> str:
    return f"Content-Encoding: {coding}"


def unusable(body: Union[bytes, str], *says: str, header: str = typed(JSON_TYPE)) -> Kind:
    data = body.encode() if isinstance(body, str) else body
    size = () if "ncoding" in header else (f"{len(data)} bytes of",)
    return Kind(framed(data, OK, header), Invalid, says=(*size, *says))


def in_a_field(run: Any, page: Any, *says: str) -> Kind:
    """Return a body that is wrong as a run and as a page: unknown fields are ignored."""
    return unusable(json.dumps({**run, **page}), *says)


READABLE = {
    "a byte-order mark": framed(b"\xef\xbb\xbf" + BODY),
    "a byte-order mark and a charset": framed(b"\xef\xbb\xbf" + BODY, OK, charset("utf-8")),
    "another content type": framed(BODY, OK, typed("text/html")),
    "no content type": head(OK, f"Content-Length: {len(BODY)}") + BODY,
    "unknown fields": framed(MORE + b', "new": {"a": [1e999]}, "": null}'),
    "unknown values": framed(MORE + b', "status": "Dreaming", "itemCount": 2}'),
    "nulls": framed(MORE + b', "logs": null, "acl": [null], "totalItemCount": null}'),
    "blanks around": framed(b"\r\n\t " + BODY + b"\n\n"),
    "a key twice": framed(b'{"id": "y", "items": [],' + BODY[1:]),
    "a large unknown number": framed(MORE + b', "new": ' + b"9" * 300 + b"}"),
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n\r\n" + BODY,
    "no length": head() + BODY,
    "an extension and a trailer": chunked()
    + b"5\r\n%b\r\n1e;x=y\r\n%b\r\n0\r\nT: 1\r\n\r\n" % (BODY[:5], BODY[5:]),
    "more than its length": FULL + b"more",
    "100 first": head("100 Continue") * 99 + FULL,
    "102 and 103 first": head("102 Processing") + head("103 Hints", "Link: </x>") + FULL,
    "206": framed(BODY, "206 Partial Content"),
    "90 headers": framed(BODY, OK, *(f"X-{n}: y" for n in range(90))),
    "a header of 60,000 letters": framed(BODY, OK, "X: " + "y" * 60_000),
    "odd headers": framed(BODY, OK, "no colon", ": no name", "X: a", " b", "Y: a\0b\xff\xfe\x80"),
    "GZIP in chunks": chunked(GZIP[:1], GZIP[1:], headers=(encoded("GZIP"),)) + LAST_CHUNK,
    "more after gzip": framed(GZIP + b"more", OK, encoded("gzip")),
    "deflate": framed(zlib.compress(BODY), OK, encoded("deflate")),
    "identity": framed(BODY, OK, encoded("identity")),
}
LONG = ("9223372036854775808", "1e400", "-1e400", "1" + "0" * 400)
UNUSABLE = {
    # Another kind of content
    "html": unusable(HTML, "text/html", "JSON", header=typed("text/html; charset=utf-8")),
    "html labelled as JSON": unusable(HTML, JSON_TYPE, "JSON"),
    "plain text": unusable("OK", "text/plain", "JSON", header=typed("text/plain")),
    "XML": unusable("<id>x</id>", "application/xml", "JSON", header=typed("application/xml")),
    "empty": unusable("", "JSON"),
    "empty without a length": Kind(head(), Invalid, says=("0 bytes", "JSON")),
    "empty in chunks": Kind(chunked(b""), Invalid, says=("0 bytes", "JSON")),
    **{
        f"status {status}": Kind(head(f"{status} Empty", "Content-Length: 0"), Invalid, (status,))
        for status in (202, 204, 205)
    },
    "blanks": unusable(" \r\n\t ", "JSON"),
    **{
        kind: unusable(body, f"$ must be an object, not {kind}")
        for kind, body in {"list": b"[%b]" % BODY, "str": '"x"', "int": "5", "bool": "true"}.items()
    },
    "null": unusable("null", "None"),
    "two objects": unusable(BODY * 2, "JSON"),
    "JSON that is cut short": unusable(BODY[:-3], "JSON"),
    "single quotes": unusable("{'id': 'x'}", "JSON"),
    # Text
    "invalid UTF-8": unusable(b'{"id": "\xff"}', "utf-8"),
    "UTF-8 labelled as ASCII": unusable('{"id": "é"}', "ascii", header=charset("us-ascii")),
    "UTF-8 labelled as UTF-16": unusable(BODY, "utf-16", header=charset("utf-16")),
    "UTF-16 without a label": unusable(BODY.decode().encode("utf-16"), "utf-8"),
    "an invalid name of a charset": unusable(BODY, header=charset('"../\x7f"')),
    "a charset of non-ASCII letters": unusable(BODY, header=charset("\xff")),
    "a charset with a long name": unusable(BODY, header=charset("x" * 1000)),
    **{
        f"the charset {name}": unusable(BODY, name, header=charset(name))
        for name in ("klingon", "hex", "rot13", "undefined")
    },
    # Values
    "nested arrays": unusable("[" * 100_000, "JSON"),
    "nested objects": unusable('{"x":' * 100_000, "JSON"),
    "nested and closed": unusable('{"x": ' + "[" * 99_999 + "]" * 99_999 + "}", "JSON"),
    "NaN": unusable('{"x": NaN}', "NaN", "JSON"),
    "-Infinity": unusable('{"x": [-Infinity]}', "Infinity", "JSON"),
    **{
        f"the integer {n[:5]}": unusable(
            f'{{"execution": {{"retryLimit": {n}}}, "totalItemCount": {n}}}', "number of 64 bit"
        )
        for n in LONG
    },
    **{
        f"the time {time!r}": in_a_field(
            *({"timeCreated": time}, {"items": [{"timeCreated": time}]}),
            "timeCreated must be a date and time",
        )
        for time in ("yesterday", "2021-02-30T00:00:00Z", "", "0000-00-00", 1615176354)
    },
    "an integer as id": in_a_field(
        {"id": 5}, {"items": [{}, {"id": 5}]}, "id must be a string, not int"
    ),
    "an object for an array": in_a_field({"logs": {}}, {"items": {}}, "must be an array, not dict"),
    # Compression
    "gzip that is not": unusable(BODY, "decompress", header=encoded("gzip")),
    "a wrong checksum": unusable(GZIP[:-8] + b"\0" * 8, "decompress", header=encoded("gzip")),
    "gzip that is cut short": unusable(GZIP[:-12], header=encoded("gzip")),
    "gzip of html": unusable(gzip.compress(HTML), "JSON", header=encoded("gzip")),
    "gzip of nothing": unusable(gzip.compress(b""), "JSON", header=encoded("gzip")),
    "deflate that is not": unusable(b"\xff" * 40, "decompress", header=encoded("deflate")),
    **{
        f"coding {coding[:12]}": unusable(GZIP, "Content-Encoding", header=encoded(coding))
        for coding in ("gzip, gzip", ", ".join(["gzip"] * 100), "br", "zstd", "klingon")
    },
}
if hasattr(sys, "get_int_max_str_digits"):  # otherwise this Python reads integers of any length
    UNUSABLE["5,000 digits"] = unusable(f'{{"x": {"1" * 5000}}}', "JSON")
NOT_HTTP = {
    "a banner": b"SSH-2.0-OpenSSH_9.6\r\n",
    "TLS": b"\x15\x03\x01\x00\x02\x02\x46\r\n",
    "random bytes": bytes(range(128, 256)) * 4 + b"\r\n\r\n",
    "HTTP/0.9": HTML + b"\r\n\r\n",
    "a status that is a word": b"HTTP/1.1 OK\r\n\r\n",
    **{f"the status {status}": head(f"{status} Odd") for status in (0, 99, 1000, -1)},
}
HEAD, CHUNKS = FULL.index(b"\r\n\r\n"), chunked(BODY)
IN_THE_HEAD: dict[str, Union[Talk, bytes]] = {
    **{f"{size} bytes of the head": FULL[:size] for size in (0, 12, 17, 30, 34, HEAD, HEAD + 2)},
    **{f"{size} bytes and a reset": reset(FULL[:size]) for size in (0, 30)},
}
IN_THE_BODY: dict[str, Union[Talk, bytes]] = {
    **{f"{size} bytes of the body": FULL[: HEAD + 4 + size] for size in (0, len(BODY) - 5)},
    **{f"{size} bytes of chunks": CHUNKS[:size] for size in (79, 80, 111, len(CHUNKS))},
    "an invalid size of a chunk": chunked() + b"zz\r\n",
    "reset in the body": reset(FULL[:-5]),
    "reset in a chunk": reset(CHUNKS[:-9]),
    "reset in a body without a length": reset(head() + BODY[:-5]),
}
WITHOUT_HEAD = {
    **{name: Kind(data, Invalid, (None,)) for name, data in NOT_HTTP.items()},
    **{name: Kind(talk, Lost, (None,)) for name, talk in IN_THE_HEAD.items()},
}
KINDS: dict[str, Kind] = {
    **{name: Kind(data) for name, data in READABLE.items()},
    **UNUSABLE,
    **WITHOUT_HEAD,
    # A reset may overtake what was sent before it.
    **{name: Kind(talk, Lost, (None, 200)) for name, talk in IN_THE_BODY.items()},
}


@pytest.mark.parametrize("name", KINDS)
def test_a_response_is_read_or_is_one_exception_that_says_what_came(
    connect: Connect, name: str
) -> None:
    kind = KINDS[name]
    with misbehaving(kind.talk) as raw:
        client = connect(raw.url)
        for operation in (READ, PAGE, LAUNCH):
            raw.received.clear()
            if kind.cls is None:
                response = operation.call(client)
                assert (response.items[0] if operation is PAGE else response).id == "x"
            else:
                exception = failure(client, operation)
                assert type(exception) is kind.cls
                assert exception.status in kind.statuses
                assert [part for part in kind.says if part not in str(exception)] == []
                if "JSON" in kind.says or "$" in "".join(kind.says):
                    assert operation.returns in str(exception)
                if "decompress" in kind.says:
                    assert isinstance(exception.__cause__, DecodeError)
            retried = kind.cls is Lost and operation is not LAUNCH
            assert len(raw.received) == (3 if retried else 1)
            wait_until(lambda: raw.closed == raw.connections)


@pytest.mark.parametrize("name", WITHOUT_HEAD)
def test_a_raw_response_without_a_head_fails_like_any_other(connect: Connect, name: str) -> None:
    with misbehaving(KINDS[name].talk) as raw:
        for operation in (READ, LAUNCH):
            exception = failure(connect(raw.url), operation, _preload_content=False)
            assert (type(exception), exception.status) == (KINDS[name].cls, None)


def test_a_number_beyond_a_float_is_named_by_its_place(connect: Connect) -> None:
    for number in LONG[1:]:
        body = f'{{"execution": {{"environment": {{"resources": {{"cpuCores": {number}}}}}}}}}'
        with misbehaving(framed(body.encode())) as raw:
            exception = failure(connect(raw.url), LAUNCH)
        assert type(exception) is Invalid
        place = "$.execution.environment.resources.cpuCores must be a number"
        assert place in str(exception)


def test_a_call_in_the_background_fails_like_any_other(connect: Connect) -> None:
    for talk in (framed(HTML), hold(head(OK, "Content-Length: 1000000000"))):
        with misbehaving(talk) as raw:
            result = LAUNCH.call(connect(raw.url), async_req=True)
            with pytest.raises(Invalid) as caught:
                result.get(30)
            check_failure(caught.value, LAUNCH)
        assert len(raw.received) == 1


def test_the_scheme_of_the_host_may_be_in_capitals(connect: Connect, server: Server) -> None:
    server.respond(Response(body={"id": "x"}))
    assert READ.call(connect(server.url.replace("http:", "HTTP:"))).id == "x"


# -- Responses that versions of Python and urllib3 take differently --------------------------------


def odd() -> Iterable[Union[Talk, bytes]]:
    yield head("101 Switching Protocols", "Upgrade: x")
    yield from (framed(BODY, status) for status in ("204 None", "304 Same", "200 " + "O" * 70_000))
    yield framed(BODY, OK, *(f"X-{n}: y" for n in range(200)))
    yield framed(BODY, OK, "X: " + "y" * 70_000)
    yield from (FULL.replace(b"HTTP/1.1", b"HTTP/" + version) for version in (b"2", b"9.1"))
    yield b"\r\n" + FULL
    lengths = ["-1", "0", "5", "long", "", "+35", "35, 5", "9" * 100, "9" * 5000, str(2**63)]
    for length in [*lengths, "35\r\n5", "35\r\nContent-Length: 5"]:
        yield head(OK, f"Content-Length: {length}") + BODY
    for size in (b"-1", b"-23", b"7" + b"f" * 15, b"f" * 16, b"f" * 1000):
        yield hold(chunked() + size + b"\r\n" + BODY)
    yield chunked(BODY, headers=("Content-Length: 5", "Transfer-Encoding: chunked")) + LAST_CHUNK
    yield from (chunked() + data + BODY for data in (b"", b"\r\n", b"5\r\n", b"23\r\n"))
    yield head(OK, "Transfer-Encoding: klingon") + BODY
    yield head(OK, "Transfer-Encoding: gzip, chunked") + GZIP
    for location in ("?", "//\xff\xfe:x/", "/" + "x" * 60_000):
        yield head("302 Found", f"Location: {location}", "Content-Length: 0")
    yield head("503 Busy", "Retry-After: 1e999", "Content-Length: 0")
    yield framed(b'{"id": "\\q"}', OK, charset("unicode_escape"))  # which warns
    yield framed(b"a-" + b"z9" * 300_000, OK, charset("punycode"))  # which takes for ever
    yield from (framed(zlib.compress(BODY), OK, charset(name)) for name in ("idna", "uu", "zlib"))
    yield framed(b"\x1f\x8b\x08\xe0" + GZIP[4:], OK, encoded("gzip"))  # reserved bits


ODD = list(odd())


@preloads
@pytest.mark.parametrize("talk", ODD, ids=range(len(ODD)))
def test_an_odd_response_is_read_or_is_one_exception(
    connect: Connect, talk: Any, preload: bool
) -> None:
    for operation in (READ, LAUNCH):
        with misbehaving(talk) as raw:
            seconds = 0.1 if callable(talk) else 30
            options = {"_request_timeout": (5, seconds), "_preload_content": preload}
            try:
                came = operation.call(connect(raw.url), **options)
            except libtes.ApiException as exception:
                check_failure(exception, operation)
            else:
                assert came.close() is None if not preload else came.id == "x"
            wait_until(lambda: len(raw.received) > 0)
        assert operation is READ or len(raw.received) == 1
