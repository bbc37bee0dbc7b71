"""Bytes that nobody asked for are never the response of the next call."""

from __future__ import annotations

import contextlib
import json
import socket
import threading

import pytest

from libica.openapi import libtes

from ...authority import Authority
from ...server import RawServer, read_request
from ...wire import LAST_CHUNK, chunked, framed, head, wait_for_delivery
from ..calls import READ
from ..conftest import Connect


def run(name: str) -> bytes:
    return framed(json.dumps({"id": name}).encode())


# As much as http.client reads at once, so that the rest stays with the socket or TLS.
BUFFERFUL = run("first").replace(b"Length: 15", b"Length: 8119").ljust(8192)
FIRST = {
    "a response": run("first"),
    "a full buffer": BUFFERFUL,
    "chunks": chunked(b'{"id": "first"}') + LAST_CHUNK,
    "103": head("103 Early Hints") + run("first"),
    "a body of no type": head("200 OK", "Content-Length: 15") + b'{"id": "first"}',
    "204": head("204 No Content"),
    "304": head("304 Not Modified"),
    "an error": framed(b"{}", "400 Bad Request"),
    "an unusable response": framed(b"[]"),
}
EVIL = run("evil") * 9


@pytest.mark.parametrize("later", [False, True], ids=["at once", "later"])
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("after", FIRST)
def test_what_nobody_asked_for_is_never_the_response_of_the_next_call(
    connect: Connect, authority: Authority, after: str, scheme: str, later: bool
) -> None:
    first = FIRST[after]
    heard, sent = threading.Event(), threading.Event()

    def talk(connection: socket.socket) -> None:
        if not sent.is_set():
            read_request(connection)
            if later:
                connection.sendall(first)
                heard.wait(30)
            connection.sendall(EVIL if later else first + EVIL)
            wait_for_delivery(connection)
            sent.set()
        while read_request(connection).strip():
            connection.sendall(run("second"))

    context = authority.server("127.0.0.1") if scheme == "https" else None
    with RawServer(talk, context=context, read=False) as hostile:
        client = connect(hostile.url, retries=0, ssl_ca_cert=str(authority.file))
        with contextlib.suppress(libtes.ApiException):
            assert READ.call(client).id == "first"
        heard.set()
        assert sent.wait(30)
        for _ in range(3):
            # The call may fail, or have a response on this or another connection.
            with contextlib.suppress(libtes.ApiException):
                assert READ.call(client).id == "second"
