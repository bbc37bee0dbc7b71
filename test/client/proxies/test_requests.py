"""What a proxy is sent, and by which settings and variables."""

from __future__ import annotations

from typing import Any, Optional

import pytest

from libica.openapi import libtes

from ...authority import Authority
from ...conftest import TOKEN
from ...operations import RUN
from ...server import Server
from ..calls import BASIC, LAUNCH, PROXY_LOGIN, READ
from ..conftest import Connect
from .conftest import Relay

FAR = "http://tes.example"


def with_login(url: str) -> str:
    return url.replace("//", f"//{PROXY_LOGIN}")


def proxy_authorization(proxy: Server) -> Optional[str]:
    headers = {name.lower(): value for name, value in proxy.last.headers.items()}
    return headers.get("proxy-authorization")


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def test_the_proxy_of_the_environment_is_sent_the_whole_url_unless_the_host_is_exempt(
    connect: Connect, server: Server, other: Server, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, with_login(other.url))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    client = connect(server.url)
    libtes.TasksApi(client).list_tasks()
    assert (len(server.asked), len(other.asked)) == (1, 0)
    client.call_api("/v1/x", "GET", _host=FAR)
    assert (len(server.asked), len(other.asked)) == (1, 1)
    client.configuration.host = FAR
    assert READ.call(client).id == "x"
    assert other.last.target == f"{FAR}/v1/tasks/runs/{RUN}"
    assert other.last.headers["Host"] == "tes.example"
    assert other.last.headers["Authorization"] == f"Bearer {TOKEN}"
    assert proxy_authorization(other) == BASIC


def test_the_proxy_of_the_configuration_comes_first_and_changes_from_call_to_call(
    connect: Connect, server: Server, other: Server, refusing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://{refusing}")
    monkeypatch.setenv("NO_PROXY", "*")
    client = connect(server.url)
    changes: list[tuple[dict[str, Any], Optional[str]]] = [
        ({"proxy": with_login(other.url)}, BASIC),
        ({"proxy": other.url[7:]}, None),  # the scheme may be left out
        ({"proxy_headers": {"X-Team": "t", "Proxy-Authorization": "Bearer x"}}, "Bearer x"),
    ]
    for change, expected in changes:
        for name, value in change.items():
            setattr(client.configuration, name, value)
        assert READ.call(client).id == "x"
        assert proxy_authorization(other) == expected
        assert BASIC not in repr(client.configuration)
    assert [asked.headers.get("X-Team") for asked in other.asked] == [None, None, "t"]
    client.configuration.proxy = None
    libtes.TasksApi(client).list_tasks()
    assert (len(server.asked), len(other.asked)) == (1, 3)


def test_a_proxy_sees_no_token_in_a_tunnel(
    connect: Connect, secure: Server, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Relay() as relay:
        monkeypatch.setenv("HTTPS_PROXY", with_login(relay.url))
        client = connect(secure.url, ssl_ca_cert=str(authority.file))
        assert READ.call(client).id == "x"
        client.close()
    [seen] = relay.heads
    assert seen.startswith(f"CONNECT 127.0.0.1:{secure.port} HTTP/1.".encode())
    assert BASIC.encode() in seen
    assert TOKEN.encode() not in seen
    assert secure.last.headers["Authorization"] == f"Bearer {TOKEN}"
    assert "Proxy-Authorization" not in secure.last.headers


def test_a_proxy_may_have_tls_itself(
    connect: Connect, secure: Server, authority: Authority
) -> None:
    client = connect(FAR, proxy=with_login(secure.url), ssl_ca_cert=str(authority.file))
    assert LAUNCH.call(client).id == "x"
    assert len(secure.asked) == 1
