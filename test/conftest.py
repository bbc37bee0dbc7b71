"""Fixtures: a server that answers as told, and a client that calls it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from libica.openapi import libtes

from .server import Server

TOKEN = "token-that-nobody-may-see"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def configuration(server: Server) -> libtes.Configuration:
    configuration = libtes.Configuration(
        host=server.url,
        api_key={"Authorization": TOKEN},
        api_key_prefix={"Authorization": "Bearer"},
    )
    configuration.retries = 0
    return configuration


@pytest.fixture
def client(configuration: libtes.Configuration) -> Iterator[libtes.ApiClient]:
    with libtes.ApiClient(configuration) as client:
        yield client
