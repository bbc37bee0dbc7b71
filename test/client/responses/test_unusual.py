"""Responses that are unusual: they are read, or are one exception; either way in time."""

from __future__ import annotations

import gzip
import zlib
from typing import Any, Union

import pytest

from libica.openapi import libtes

from ...operations import Operation
from ...server import Response, Server, Talk, wait_until
from ...wire import LAST_CHUNK, chunked, framed, head, hold
from ..calls import BODY, LAUNCH, PAGE, READ, check_failure, misbehaving, preloads, read_and_launch
from ..conftest import Connect
from .test_unusable import HTML, charset, encoded, typed

FULL = framed(BODY)
MORE = BODY[:-1]  # to be continued
GOOD: dict[str, bytes] = {
    # JSON
    "a byte-order mark": framed(b"\xef\xbb\xbf" + BODY),
    "a byte-order mark and a charset": framed(b"\xef\xbb\xbf" + BODY, "200 OK", *charset("utf-8")),
    "another content type": framed(BODY, "200 OK", *typed("text/html")),
    "no content type": head("200 OK", f"Content-Length: {len(BODY)}") + BODY,
    "unknown fields": framed(MORE + b', "new": {"a": [1e999]}, "": null}'),
    "unknown values": framed(MORE + b', "status": "Dreaming", "itemCount": 2}'),
    "nulls": framed(MORE + b', "logs": null, "acl": [null], "totalItemCount": null}'),
    "blanks around": framed(b"\r\n\t " + BODY + b"\n\n"),
    "a key twice": framed(b'{"id": "y", "items": [],' + BODY[1:]),
    "a large unknown number": framed(MORE + b', "new": ' + b"9" * 300 + b"}"),
    # Framing
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n\r\n" + BODY,
    "HTTP/1.9": FULL.replace(b"HTTP/1.1", b"HTTP/1.9"),
    "no length": head("200 OK", "Connection: close") + BODY,
    "chunks with an extension and a trailer": (
        chunked() + b"5\r\n" + BODY[:5] + b"\r\n1e;x=y\r\n" + BODY[5:] + b"\r\n0\r\nT: 1\r\n\r\n"
    ),
    "no reason": FULL.replace(b" OK", b""),
    "bare line feeds": FULL.replace(b"\r\n", b"\n"),
    "more than its length": FULL + b"more",
    "100 first": head("100 Continue") * 99 + FULL,
    "102 first": head("102 Processing") + FULL,
    "103 first": head("103 Early Hints", "Link: </x>") + FULL,
    "206": framed(BODY, "206 Partial Content"),
    "blanks before the head": b"  " + FULL,
    # Headers
    "99 headers": framed(BODY, "200 OK", *(f"X-{n}: y" for n in range(90))),
    "a header of 60,000 letters": framed(BODY, "200 OK", "X: " + "y" * 60_000),
    "a header without a colon": framed(BODY, "200 OK", "nonsense"),
    "a header without a name": framed(BODY, "200 OK", ": nonsense"),
    "a folded header": framed(BODY, "200 OK", "X: a", " b"),
    "a header with NUL": framed(BODY, "200 OK", "X: a\0b"),
    "a header of bytes": framed(BODY, "200 OK", "X: \xff\xfe\x80"),
    # Compression
    "gzip": framed(gzip.compress(BODY), "200 OK", *encoded("gzip")),
    "GZIP without a length": head("200 OK", *encoded("GZIP")) + gzip.compress(BODY),
    "gzip byte by byte": chunked(
        *(bytes([byte]) for byte in gzip.compress(BODY)), headers=encoded("gzip")
    )
    + LAST_CHUNK,
    "gzip in two parts": framed(
        gzip.compress(BODY[:9]) + gzip.compress(BODY[9:]), "200 OK", *encoded("gzip")
    ),
    "more after gzip": framed(gzip.compress(BODY) + b"more", "200 OK", *encoded("gzip")),
    "deflate": framed(zlib.compress(BODY), "200 OK", *encoded("deflate")),
    "raw deflate": framed(zlib.compress(BODY)[2:-4], "200 OK", *encoded("deflate")),
    "identity": framed(BODY, "200 OK", *encoded("identity")),
}


@pytest.mark.parametrize("key", GOOD)
def test_an_unusual_response_is_read(connect: Connect, key: str) -> None:
    with misbehaving(GOOD[key]) as raw:
        client = connect(raw.url)
        for operation in (READ, PAGE, LAUNCH):
            response = operation.call(client)
            assert (response.items[0] if operation is PAGE else response).id == "x"
            wait_until(lambda: raw.closed == raw.connections)
    assert len(raw.received) == 3


def test_the_scheme_of_the_host_may_be_in_capitals(connect: Connect, server: Server) -> None:
    server.respond(Response(body={"id": "x"}))
    assert READ.call(connect(server.url.replace("http:", "HTTP:"))).id == "x"


def lengths(*values: str) -> bytes:
    return head("200 OK", *(f"Content-Length: {value}" for value in values)) + BODY


# What http.client and urllib3 make of these differs from version to version.
ODD: dict[str, Union[Talk, bytes]] = {
    "another protocol": head("101 Switching Protocols", "Upgrade: x"),
    "206 with html": framed(HTML, "206 Partial Content"),
    "200 headers": framed(BODY, "200 OK", *(f"X-{n}: y" for n in range(200))),
    "a header of 70,000 letters": framed(BODY, "200 OK", "X: " + "y" * 70_000),
    "a status line of 70,000 letters": framed(BODY, "200 " + "O" * 70_000),
    "HTTP/2": FULL.replace(b"HTTP/1.1", b"HTTP/2"),
    "HTTP/9": FULL.replace(b"HTTP/1.1", b"HTTP/9.1"),
    "an empty line before the head": b"\r\n" + FULL,
    "two lengths that differ": lengths(str(len(BODY)), "5"),
    **{
        f"the length {value[:20]!r}": lengths(value)
        for value in (
            *("-1", "0", "5", "long", "", f"+{len(BODY)}", f"{len(BODY)}, 5", "9" * 100),
            *("9" * 5000, str(2**63 - 1), str(2**64)),
        )
    },
    "a length twice": lengths(*[str(len(BODY))] * 2),
    "chunks and a length": chunked(BODY, headers=("Content-Length: 5",)) + LAST_CHUNK,
    "chunks that are not": chunked() + BODY,
    "a chunk without a size": chunked() + b"\r\n" + BODY,
    "a chunk longer than its size": chunked() + b"5\r\n" + BODY + b"\r\n" + LAST_CHUNK,
    "a chunk without its line break": chunked() + b"23\r\n" + BODY + LAST_CHUNK,
    **{
        f"a chunk of the size {size[:16]!r}": hold(chunked() + size + b"\r\n" + BODY)
        for size in (b"-1", b"-23", b"7" + b"f" * 15, b"f" * 16, b"f" * 1000)
    },
    "an unknown transfer coding": head("200 OK", "Transfer-Encoding: klingon") + BODY,
    "gzip as transfer coding": (
        head("200 OK", "Transfer-Encoding: gzip, chunked") + gzip.compress(BODY)
    ),
    "chunked twice": chunked(BODY, headers=("Transfer-Encoding: chunked",)) + LAST_CHUNK,
    "204 with a body": framed(BODY, "204 No Content"),
    "304 with a body": framed(BODY, "304 Not Modified"),
    "a redirect to itself": head("302 Found", "Location: ?", "Content-Length: 0"),
    "a redirect of bytes": head("302 Found", "Location: //\xff\xfe:x/", "Content-Length: 0"),
    "a redirect of 60,000 letters": head("302 Found", "Location: /" + "x" * 60_000),
    "an infinite wait": head("503 Busy", "Retry-After: 1e999", "Content-Length: 0"),
    "escapes that warn": framed(b'{"id": "\\q"}', "200 OK", *charset("unicode_escape")),
    "the charset idna": framed(BODY, "200 OK", *charset("idna")),
    "the charset punycode": framed(BODY, "200 OK", *charset("punycode")),
    "a charset that takes for ever": framed(
        b"a-" + b"z9" * 300_000, "200 OK", *charset("punycode")
    ),
    "the charset uu": framed(BODY, "200 OK", *charset("uu")),
    "the charset zlib": framed(zlib.compress(BODY), "200 OK", *charset("zlib")),
    "reserved bits in gzip": framed(
        b"\x1f\x8b\x08\xe0" + gzip.compress(BODY)[4:], "200 OK", *encoded("gzip")
    ),
}


@preloads
@read_and_launch
@pytest.mark.parametrize("key", ODD)
def test_an_odd_response_is_read_or_is_one_exception(
    connect: Connect, key: str, operation: Operation, preload: bool
) -> None:
    with misbehaving(ODD[key]) as raw:
        client = connect(raw.url)
        seconds = 0.15 if callable(ODD[key]) else 30
        options = {"_request_timeout": (5, seconds), "_preload_content": preload}
        came: Any = None
        try:
            came = operation.call(client, **options)
        except libtes.ApiException as exception:
            if "redirect" not in key:
                check_failure(exception, operation)
        if came is not None and preload:
            assert (type(came), came.id) == (operation.model, "x")
        elif came is not None:
            came.close()
        wait_until(lambda: len(raw.received) > 0)
    if operation is LAUNCH:
        assert len(raw.received) == 1
