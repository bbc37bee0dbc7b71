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
BUFFERFUL = framed(json.dumps({"id": "first"}).ljust(8000).encode())
BUFFERFUL = framed(json.dumps({"id": "first"}).ljust(8000 + 8192 - len(BUFFERFUL)).encode())
RESPONSES: dict[str, tuple[bytes, bytes]] = {
    "another response": (run("first"), run("evil")),
    "another response after a full buffer": (BUFFERFUL, run("evil")),
    "another response after chunks": (chunked(b'{"id": "first"}') + LAST_CHUNK, run("evil")),
    "another response after 103": (head("103 Early Hints") + run("first"), run("evil")),
    "the rest of a body that is longer than its length": (
        head("200 OK", "Content-Length: 15") + b'{"id": "first"}',
        run("evil"),
    ),
    "a body after 204": (head("204 No Content"), run("evil")),
    "a body after 304": (head("304 Not Modified"), run("evil")),
    "a response after an error": (framed(b"{}", "400 Bad Request"), run("evil")),
    "a response after an unusable one": (framed(b"[]"), run("evil")),
    "a hundred responses": (run("first"), run("evil") * 100),
}


@pytest.mark.parametrize("later", [False, True], ids=["at once", "later"])
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("key", RESPONSES)
def test_what_nobody_asked_for_is_never_the_response_of_the_next_call(
    connect: Connect, authority: Authority, key: str, scheme: str, later: bool
) -> None:
    first, evil = RESPONSES[key]
    heard, sent = threading.Event(), threading.Event()

    def talk(connection: socket.socket) -> None:
        if not sent.is_set():
            read_request(connection)
            if later:
                connection.sendall(first)
                heard.wait(30)
            connection.sendall(evil if later else first + evil)
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
