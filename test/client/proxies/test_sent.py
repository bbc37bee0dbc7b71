"""A launch is sent once, directly or through any proxy, however its response is lost."""

from __future__ import annotations

import socket

import pytest
import urllib3

from libica.openapi import libtes

from ...authority import Authority
from ...server import RawServer, Talk, read_request, wait_until
from ...wire import framed, hold, reset
from .conftest import WAYS, Start

COMPLETE = framed(b'{"id":"trn.0"}')
ENDS: dict[str, Talk] = {
    "close": lambda connection: None,
    "reset": reset(),
    "half a head": lambda connection: connection.sendall(COMPLETE[:30]),
    "half a body": lambda connection: connection.sendall(COMPLETE[:-5]),
    "silence": hold(),
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # sockets of half a TLS connection
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("kept", [False, True], ids=["fresh", "kept"])
@pytest.mark.parametrize("end", ENDS)
def test_a_launch_whose_response_is_lost_is_sent_once_and_may_have_happened(
    end: str, kept: bool, scheme: str, way: str, proxies: Start, authority: Authority
) -> None:
    received: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        while (request := read_request(connection)).strip():
            received.append(request)
            if len(received) > kept:
                ENDS[end](connection)
                return
            connection.sendall(COMPLETE)

    context = authority.server("127.0.0.1") if scheme == "https" else None
    with RawServer(talk, context=context, read=False) as service:
        configuration = libtes.Configuration(service.url)
        configuration.ssl_ca_cert = str(authority.file)
        configuration.retries = urllib3.Retry(total=3, backoff_factor=0.01)
        configuration.proxy = proxies(way)
        configuration.timeout = (10, 0.3 if end == "silence" else 10)
        with libtes.ApiClient(configuration) as client:
            api = libtes.TaskRunsApi(client)
            if kept:
                assert api.create_task_run(body={}).id == "trn.0"
            with pytest.raises(libtes.ApiException) as caught:
                api.create_task_run(body={})
            lost = isinstance(caught.value, libtes.ConnectionLostException)
            if way == "tinyproxy" and lost and len(received) == kept:
                # It closed the kept connection just as it was used, and forwarded nothing.
                with pytest.raises(libtes.ApiException) as caught:
                    api.create_task_run(body={})
        wait_until(lambda: len(received) > kept)
    assert len(received) == kept + 1, received
    assert caught.value.may_have_happened
    expected = [libtes.ReadTimeoutException if end == "silence" else libtes.ConnectionLostException]
    if scheme == "http" and way != "direct":
        # The proxy says so itself, with 502, 503 or 504; squid completes a head.
        expected += [libtes.ServiceException, libtes.InvalidResponseException]
    assert type(caught.value) in expected, caught.value
