"""A proxy that refuses, is down or is unusable: nothing was sent, and the error says why."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Optional

import pytest
import urllib3

from libica.openapi import libtes
from test.authority import Authority
from test.real_parts import free_port, real_part, running
from test.server import Response, Server

from .conftest import Start

QUOTED = "somebody:pass%3Aw%40rd%2Fof%20proxy@"
REFUSALS = {
    "squid that forbids": 403,
    "squid with a login": 407,
    "tinyproxy that forbids": 403,
    "tinyproxy with a login": 407,
}


@pytest.fixture(params=["http", "https"])
def service(request: pytest.FixtureRequest, authority: Authority) -> Iterator[Server]:
    context = authority.server("127.0.0.1", "localhost") if request.param == "https" else None
    with Server(context) as service:
        service.asked.clear()
        yield service


def through(proxy: Optional[str], service: Server, authority: Authority) -> libtes.ApiClient:
    configuration = libtes.Configuration(service.url, {"Authorization": "token"})
    configuration.ssl_ca_cert = str(authority.file)
    configuration.retries = urllib3.Retry(total=2, backoff_factor=0.01)
    configuration.proxy = proxy
    return libtes.ApiClient(configuration)


def launch(client: libtes.ApiClient) -> None:
    with client:
        libtes.TaskRunsApi(client).create_task_run(body={})


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # older http.client leaves a socket open
@pytest.mark.parametrize("name", REFUSALS)
def test_a_proxy_that_refuses_is_a_proxy_exception_and_nothing_was_sent(
    name: str, service: Server, authority: Authority, proxies: Start
) -> None:
    with pytest.raises(libtes.ProxyException) as caught:
        launch(through(proxies(name), service, authority))
    assert str(REFUSALS[name]) in str(caught.value)
    assert not caught.value.may_have_happened
    assert service.asked == []


def test_a_login_opens_a_proxy_that_wants_one(
    service: Server, authority: Authority, proxies: Start
) -> None:
    url = proxies("squid with a login")
    assert url is not None
    launch(through(url.replace("//", f"//{QUOTED}"), service, authority))
    with pytest.raises(libtes.ProxyException) as caught:
        launch(through(url.replace("//", "//somebody:wr0ng-w0rd@"), service, authority))
    assert "wr0ng-w0rd" not in str(caught.value)
    assert len(service.asked) == 1


def test_a_wrong_login_at_tinyproxy_is_not_taken_for_a_401_of_the_service(
    service: Server, authority: Authority, proxies: Start
) -> None:
    refreshed: list[libtes.Configuration] = []
    # Version 1.11.1 responds with 401; later ones with 407.
    url = proxies("tinyproxy with a login")
    assert url is not None
    client = through(url.replace("//", "//somebody:wr0ng-w0rd@"), service, authority)
    client.configuration.refresh_api_key_hook = refreshed.append
    with pytest.raises(libtes.ProxyException, match=f"through {url}.*40[17]") as caught:
        launch(client)
    assert not caught.value.may_have_happened
    assert "wr0ng-w0rd" not in str(caught.value)
    assert (service.asked, refreshed) == ([], [])


def test_a_refusal_is_not_retried_which_might_lock_an_account(authority: Authority) -> None:
    for scheme in ("http", "https"):
        with Server() as proxy, Server() as service:
            proxy.respond(Response(407, "who?", {"Connection": "close"}))
            url = service.url.replace("http", scheme, 1)
            configuration = libtes.Configuration(url)
            configuration.retries = urllib3.Retry(total=2, backoff_factor=0.01)
            configuration.proxy = proxy.url
            with pytest.raises(libtes.ProxyException):
                libtes.TaskRunsApi(libtes.ApiClient(configuration)).get_task_run("trn.0")
            assert len(proxy.asked) == 1


@pytest.mark.parametrize("scheme", ["http", "https", "socks5h"])
def test_a_proxy_that_is_down_is_a_proxy_exception_and_nothing_was_sent(
    scheme: str, service: Server, authority: Authority
) -> None:
    client = through(f"{scheme}://127.0.0.1:{free_port()}", service, authority)
    with pytest.raises(libtes.ProxyException) as caught:
        launch(client)
    assert not caught.value.may_have_happened
    assert service.asked == []


def test_a_403_of_the_service_is_not_taken_for_the_proxys(
    service: Server, authority: Authority, proxies: Start
) -> None:
    service.respond(Response(403, {"code": "no", "message": "not yours"}))
    with pytest.raises(libtes.ForbiddenException):
        launch(through(proxies("relay"), service, authority))


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
@pytest.mark.parametrize("login", ["", "somebody:s3cret-w0rd@"])
def test_a_socks_proxy_takes_calls(
    scheme: str,
    login: str,
    service: Server,
    authority: Authority,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program, port = real_part("microsocks"), free_port()
    command = [program, "-i", "127.0.0.1", "-p", str(port)]
    command += ["-u", "somebody", "-P", "s3cret-w0rd"] if login else []
    with running(command, port, tmp_path):
        # The name is looked up by the proxy with socks5h, here with socks5.
        monkeypatch.setenv("ALL_PROXY", f"{scheme}://{login}127.0.0.1:{port}")
        with through("", service, authority) as client:
            client.configuration.proxy = None
            client.configuration.host = service.url.replace("127.0.0.1", "localhost")
            libtes.TaskRunsApi(client).create_task_run(body={})
            if login:
                monkeypatch.setenv("ALL_PROXY", f"{scheme}://somebody:wr0ng-w0rd@127.0.0.1:{port}")
                client.close()
                with pytest.raises(libtes.ProxyException) as caught:
                    libtes.TaskRunsApi(client).create_task_run(body={})
                assert not caught.value.may_have_happened
                assert "wr0ng-w0rd" not in str(caught.value)
    assert len(service.asked) == 1
