"""A launch is sent once, and what is told of it is what happened, whichever way it went."""

from __future__ import annotations

import socket
import socketserver
import ssl
from typing import Any, Optional

import pytest
import urllib3

from libica.openapi import libtes
from test.authority import Authority
from test.server import Listener, read_request, wait_until

from .conftest import WAYS, reset

RUN = b'{"id":"trn.0"}'
COMPLETE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n" + RUN


def close(connection: socket.socket) -> None:
    pass


def half_a_head(connection: socket.socket) -> None:
    connection.sendall(COMPLETE[:30])


def half_a_body(connection: socket.socket) -> None:
    connection.sendall(COMPLETE[:-5])


def silence(connection: socket.socket) -> None:
    connection.settimeout(30)
    connection.recv(1)  # until the client has had enough


ENDS = {
    "close": close,
    "reset": reset,
    "half a head": half_a_head,
    "half a body": half_a_body,
    "silence": silence,
}


class Service(Listener):
    """Completes so many responses, then ends the next one in its own way."""

    def __init__(self, end: str, complete: int, context: Optional[ssl.SSLContext]) -> None:
        self.received: list[bytes] = []
        owner = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                while (request := read_request(self.request)).strip():
                    owner.received.append(request)
                    if len(owner.received) > complete:
                        ENDS[end](self.request)
                        return
                    self.request.sendall(COMPLETE)

        super().__init__(Handler, context)

    @property
    def sends(self) -> int:
        return len(self.received)


# tinyproxy closes a connection after each response without announcing it, so a second request over
# that connection may reach nobody.
CONNECTIONS = [
    (scheme, way, kept)
    for scheme in ("http", "https")
    for way in WAYS
    for kept in ("fresh", "kept")
    if (scheme, way, kept) != ("http", "tinyproxy", "kept")
]


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # sockets of half a TLS connection
@pytest.mark.parametrize(("scheme", "way", "connection"), CONNECTIONS)
@pytest.mark.parametrize("end", ENDS)
def test_a_launch_whose_response_is_lost_is_sent_once_and_may_have_happened(
    end: str, connection: str, scheme: str, way: str, ways: Any, authority: Authority
) -> None:
    kept = connection == "kept"
    context = authority.server("127.0.0.1") if scheme == "https" else None
    proxy = ways(way, authority)
    with Service(end, int(kept), context) as service:
        configuration = libtes.Configuration(service.url)
        configuration.ssl_ca_cert = str(authority.file)
        configuration.retries = urllib3.Retry(total=3, backoff_factor=0.01)
        configuration.proxy = proxy
        configuration.timeout = (10, 0.5 if end == "silence" else 10)
        with libtes.ApiClient(configuration) as client:
            api = libtes.TaskRunsApi(client)
            if kept:
                assert api.create_task_run(body={}).id == "trn.0"
            with pytest.raises(libtes.ApiException) as caught:
                api.create_task_run(body={})
        wait_until(lambda: service.sends > kept)
    assert service.sends == kept + 1, service.received
    assert caught.value.may_have_happened
    expected = [libtes.ReadTimeoutException if end == "silence" else libtes.ConnectionLostException]
    if scheme == "http" and proxy:
        # It says itself that it had no response, with 502, 503 or 504; squid completes a head.
        expected += [libtes.ServiceException, libtes.InvalidResponseException]
    assert type(caught.value) in expected, caught.value
