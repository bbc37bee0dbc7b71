"""A proxy that refuses or is down: nothing was sent, and the error says why."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from libica.openapi import libtes

from ...authority import Authority
from ...real_parts import free_port, real_part, running
from ...server import Response, Server
from ..calls import LAUNCH, failure
from ..conftest import Connect
from .conftest import Start

USER = "somebody:pass%3Aw%40rd%2Fof%20proxy@"
WRONG = "somebody:wr0ng-w0rd@"


@pytest.fixture(params=["http", "https"])
def service(request: pytest.FixtureRequest, authority: Authority) -> Iterator[Server]:
    context = authority.server("127.0.0.1", "localhost") if request.param == "https" else None
    with Server(context) as service:
        yield service


@pytest.fixture
def client(connect: Connect, service: Server, authority: Authority) -> libtes.ApiClient:
    return connect(service.url, ssl_ca_cert=str(authority.file))


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # older http.client leaves a socket open
@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("squid that forbids", "403"),
        ("squid with a login", "407"),
        ("tinyproxy that forbids", "403"),
        ("tinyproxy with a login", "407"),
    ],
)
def test_a_proxy_that_refuses_is_a_proxy_exception_and_nothing_was_sent(
    name: str, status: str, client: libtes.ApiClient, service: Server, proxies: Start
) -> None:
    client.configuration.proxy = proxies(name)
    exception = failure(client, LAUNCH)
    assert type(exception) is libtes.ProxyException
    assert status in str(exception)
    assert service.asked == []


@pytest.mark.parametrize("name", ["squid", "tinyproxy"])
def test_a_wrong_login_is_not_taken_for_a_401_of_the_service(
    name: str, client: libtes.ApiClient, service: Server, proxies: Start
) -> None:
    refreshed: list[libtes.Configuration] = []
    client.configuration.refresh_api_key_hook = refreshed.append
    url = str(proxies(f"{name} with a login"))
    client.configuration.proxy = url.replace("//", f"//{WRONG}")
    exception = failure(client, LAUNCH)
    assert type(exception) is libtes.ProxyException
    assert f"through {url}" in str(exception)
    # tinyproxy 1.11.1 responds with 401; later ones with 407.
    assert any(status in str(exception) for status in ("401", "407"))
    assert "wr0ng-w0rd" not in str(exception)
    assert (service.asked, refreshed) == ([], [])


def test_a_login_opens_a_proxy_that_wants_one(
    client: libtes.ApiClient, service: Server, proxies: Start
) -> None:
    client.configuration.proxy = str(proxies("squid with a login")).replace("//", f"//{USER}")
    LAUNCH.call(client)
    assert len(service.asked) == 1


@pytest.mark.parametrize("scheme", ["http", "https", "socks5h"])
def test_a_proxy_that_is_down_is_a_proxy_exception_and_nothing_was_sent(
    scheme: str, client: libtes.ApiClient
) -> None:
    client.configuration.proxy = f"{scheme}://{USER}127.0.0.1:{free_port()}"
    assert type(failure(client, LAUNCH)) is libtes.ProxyException


def test_a_403_of_the_service_is_not_taken_for_the_proxys(
    client: libtes.ApiClient, service: Server, proxies: Start
) -> None:
    service.respond(Response(403, {"code": "no", "message": "not yours"}))
    client.configuration.proxy = proxies("relay")
    assert type(failure(client, LAUNCH)) is libtes.ForbiddenException


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
@pytest.mark.parametrize("login", ["", "somebody:s3cret-w0rd@"])
def test_a_socks_proxy_takes_calls(
    scheme: str,
    login: str,
    client: libtes.ApiClient,
    service: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program, port = real_part("microsocks"), free_port()
    command = [program, "-i", "127.0.0.1", "-p", str(port)]
    command += ["-u", "somebody", "-P", "s3cret-w0rd"] if login else []
    # The name is looked up by the proxy with socks5h, here with socks5.
    client.configuration.host = service.url.replace("127.0.0.1", "localhost")
    with running(command, port, tmp_path):
        client.configuration.proxy = f"{scheme}://{login}127.0.0.1:{port}"
        LAUNCH.call(client)
        if login:
            client.configuration.proxy = f"{scheme}://{WRONG}127.0.0.1:{port}"
            waits: list[float] = []
            with monkeypatch.context() as patch:
                patch.setattr(time, "sleep", waits.append)
                exception = failure(client, LAUNCH)
            assert type(exception) is libtes.ProxyException
            assert "wr0ng-w0rd" not in str(exception)
            assert waits == []  # another attempt might lock an account
    assert len(service.asked) == 1
