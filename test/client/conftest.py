"""Fixtures: clients that are closed at the end, an authority, a port that refuses, a clock."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from libica.openapi import libtes

from ..authority import Authority
from ..server import Response, Server
from ..wire import Wire
from .calls import AT_ONCE, configuration_for

Connect = Callable[..., libtes.ApiClient]


@pytest.fixture
def connect(configuration: libtes.Configuration) -> Iterator[Connect]:
    """Return a function that makes a client of a host, with a cookie and a header of its own."""
    clients: list[libtes.ApiClient] = []

    def make(host: str, **settings: Any) -> libtes.ApiClient:
        configuration.host = host
        configuration.retries = AT_ONCE
        for name, value in settings.items():
            setattr(configuration, name, value)
        client = libtes.ApiClient(configuration, "X-Mine", "header-of-mine", "a=cookie-of-mine")
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def secure(authority: Authority) -> Iterator[Server]:
    """A server with a certificate for 127.0.0.1 and localhost."""
    with Server(authority.server("127.0.0.1", "localhost")) as secure:
        secure.respond(Response(body={"id": "x"}))
        yield secure


@pytest.fixture
def other() -> Iterator[Server]:
    """A second server, which is another origin or a proxy that responds itself."""
    with Server() as other:
        other.respond(Response(body={"id": "x"}))
        yield other


@pytest.fixture
def refusing() -> Iterator[str]:
    """The address of a port that refuses connections."""
    with socket.socket() as taken:  # which does not listen
        taken.bind(("127.0.0.1", 0))
        yield "127.0.0.1:{1}".format(*taken.getsockname())


@pytest.fixture
def full() -> Iterator[str]:
    """The address of a server that takes no more connections."""
    with socket.socket() as listening, contextlib.ExitStack() as stack:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        yield "http://127.0.0.1:{1}".format(*listening.getsockname())


class Clock:
    """The time, which the test's own thread passes without waiting and anybody may put forward.

    Attributes:
        waits: The seconds of each wait of the test's thread.
        ahead: Seconds by which the clock is ahead of the real time.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.waits: list[float] = []
        self.ahead = 0.0
        waiting, sleep, monotonic = threading.get_ident(), time.sleep, time.monotonic

        def wait(seconds: float) -> None:
            if threading.get_ident() == waiting:
                self.waits.append(seconds)
                self.ahead += seconds
            else:
                sleep(seconds)

        patch.setattr(time, "sleep", wait)
        patch.setattr(time, "monotonic", lambda: monotonic() + self.ahead)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture(scope="module")
def looked_up() -> Iterator[list[str]]:
    """The names that are looked up; none is found but 127.0.0.1."""
    names: list[str] = []
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        names.append(host.decode() if isinstance(host, bytes) else host)
        if names[-1] != "127.0.0.1":
            raise socket.gaierror(socket.EAI_NONAME, "not known here")
        return real(host, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", getaddrinfo)
        yield names


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    with Wire() as wire:
        yield wire


@pytest.fixture(scope="module")
def wired(wire: Wire) -> Iterator[libtes.ApiClient]:
    """A client of the wire."""
    with libtes.ApiClient(configuration_for(wire)) as client:
        yield client
