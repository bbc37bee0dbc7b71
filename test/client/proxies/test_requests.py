"""What a proxy is sent, and what is raised when it is stuck, talks nonsense or is not trusted."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any, Optional

import pytest

from libica.openapi import libtes

from ...authority import Authority
from ...conftest import TOKEN
from ...operations import RUN, Operation
from ...server import RawServer, Response, Server, Talk
from ...wire import drip, framed, head, hold
from ..calls import BASIC, LAUNCH, PROXY_LOGIN, READ, failure, misbehaving, read_and_launch
from ..conftest import Connect
from .conftest import Relay

FAR = "http://tes.example"


def with_login(url: str) -> str:
    return url.replace("//", f"//{PROXY_LOGIN}")


def proxy_authorization(proxy: Server) -> Optional[str]:
    headers = {name.lower(): value for name, value in proxy.last.headers.items()}
    return headers.get("proxy-authorization")


# -- Which proxy -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def test_the_proxy_of_the_environment_is_sent_the_whole_url(
    connect: Connect, other: Server, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, with_login(other.url))
    assert READ.call(connect(FAR)).id == "x"
    assert other.last.target == f"{FAR}/v1/tasks/runs/{RUN}"
    assert other.last.headers["Host"] == "tes.example"
    assert other.last.headers["Authorization"] == f"Bearer {TOKEN}"
    assert proxy_authorization(other) == BASIC


def test_the_environment_is_asked_about_each_host(
    connect: Connect, server: Server, other: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", other.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    client = connect(server.url)
    libtes.TasksApi(client).list_tasks()
    assert (len(server.asked), len(other.asked)) == (1, 0)
    client.call_api("/v1/x", "GET", _host=FAR)
    client.configuration.host = FAR
    READ.call(client)
    assert (len(server.asked), len(other.asked)) == (1, 2)


def test_the_proxy_of_the_configuration_comes_before_that_of_the_environment(
    connect: Connect, other: Server, refusing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://{refusing}")
    monkeypatch.setenv("NO_PROXY", "*")
    client = connect(FAR, proxy=with_login(f"127.0.0.1:{other.port}"))
    client.configuration.proxy = with_login(other.url)
    assert READ.call(client).id == "x"
    assert proxy_authorization(other) == BASIC
    assert BASIC not in repr(client.configuration)
    client.configuration.proxy = f"127.0.0.1:{other.port}"  # the scheme may be left out
    assert READ.call(client).id == "x"


def test_settings_that_are_changed_later_hold_from_the_next_call_on(
    connect: Connect, server: Server, other: Server
) -> None:
    client = connect(server.url)
    changes: list[dict[str, Any]] = [
        {},
        {"proxy": other.url},
        {"proxy_headers": {"X-Team": "genomics", "Proxy-Authorization": "Bearer x"}},
        {"proxy": None},
    ]
    for change in changes:
        for name, value in change.items():
            setattr(client.configuration, name, value)
        libtes.TasksApi(client).list_tasks()
    assert (len(server.asked), len(other.asked)) == (2, 2)
    assert [asked.headers.get("X-Team") for asked in other.asked] == [None, "genomics"]
    assert proxy_authorization(other) == "Bearer x"


# -- Tunnels ---------------------------------------------------------------------------------------


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


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # older http.client leaves a socket open
@pytest.mark.parametrize("status", [407, 403, 502])
def test_a_refused_tunnel_is_a_proxy_exception(
    connect: Connect, other: Server, status: int
) -> None:
    other.respond(Response(status, "<html>not you</html>", {"Content-Type": "text/html"}))
    exception = failure(connect("https://tes.example", proxy=with_login(other.url)), LAUNCH)
    assert type(exception) is libtes.ProxyException
    assert str(status) in str(exception)
    asked = other.asked[0]
    # A wrong password, sent again and again, might lock an account.
    assert len(other.asked) == (3 if status == 502 else 1)
    assert (asked.method, asked.target) == ("CONNECT", "tes.example:443")
    assert proxy_authorization(other) == BASIC
    assert "Authorization" not in asked.headers
    del exception
    gc.collect()


STUCK: dict[str, Talk] = {
    "silence": hold(),
    "a status line in drops": drip(b"", b"HTTP/1.1 200 OK"),
    "a header in drops": drip(b"HTTP/1.1 200 OK\r\nX: ", b"y"),
    "headers in drops": drip(b"HTTP/1.1 200 OK\r\n", b"A: b\r\n"),
    "a refusal in drops": drip(b"HTTP/1.1 407 Who\r\n", b"A: b\r\n"),
    "a tunnel that leads nowhere": hold(head()),
}


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # older http.client leaves a socket open
@pytest.mark.parametrize("timeout", [(0.1, 0.1), 0.1], ids=["pair", "deadline"])
@pytest.mark.parametrize("key", STUCK)
def test_a_proxy_that_makes_no_tunnel_in_time(connect: Connect, key: str, timeout: Any) -> None:
    with RawServer(STUCK[key]) as proxy:
        client = connect("https://tes.example", proxy=with_login(proxy.url), retries=0)
        exception = failure(client, LAUNCH, _request_timeout=timeout)
        # Older http.client does not read the headers of a refusal.
        refusal = (libtes.ProxyException,) if key == "a refusal in drops" else ()
        assert type(exception) in (libtes.ConnectTimeoutException, *refusal)
        assert "tes.example" in str(exception)
    assert [request.split()[0] for request in proxy.received] in ([], [b"CONNECT"])
    assert TOKEN.encode() not in b"".join(proxy.received)


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # older http.client leaves a socket open
@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.1 20",
        b"SSH-2.0-x\r\n",
        b"HTTP/1.1 200 OK\r\n",
        head("302 Found", "Location: http://127.0.0.1/"),
        head() + framed(b"{}", "201 Created"),
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 1000 + b"\r\n",
        head("200 " + "O" * 100_000),
        head("407 \x1b[31mWho"),
    ],
    ids=lambda said: repr(said[:24]),
)
def test_a_proxy_that_talks_nonsense(connect: Connect, said: bytes) -> None:
    with misbehaving(said) as proxy:
        client = connect("https://tes.example", proxy=with_login(proxy.url), retries=0)
        assert isinstance(failure(client, LAUNCH), libtes.ConnectException)
    assert len(proxy.received) == 1


# -- Proxies that cannot be used -------------------------------------------------------------------


@read_and_launch
@pytest.mark.parametrize("host", [FAR, "https://tes.example"])
def test_a_proxy_that_is_down_or_unknown_shows_no_password(
    connect: Connect,
    refusing: str,
    operation: Operation,
    host: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for address in (refusing, "nowhere.invalid:3128"):
        monkeypatch.setenv("ALL_PROXY", with_login(f"http://{address}"))
        exception = failure(connect(host), operation)
        assert type(exception) is libtes.ProxyException
        assert "tes.example" in str(exception)


def test_a_refusal_without_a_tunnel_is_not_retried(connect: Connect, other: Server) -> None:
    other.respond(Response(407, "who?"))
    assert type(failure(connect(FAR, proxy=other.url), READ)) is libtes.ProxyException
    assert len(other.asked) == 1


@pytest.mark.parametrize("trusted", [True, False], ids=["trusted", "not trusted"])
def test_a_proxy_may_have_tls_itself_and_is_then_verified(
    connect: Connect, secure: Server, authority: Authority, tmp_path: Path, trusted: bool
) -> None:
    known = authority if trusted else Authority(tmp_path)
    client = connect(FAR, proxy=with_login(secure.url), ssl_ca_cert=str(known.file))
    if trusted:
        assert LAUNCH.call(client).id == "x"
        assert len(secure.asked) == 1
    else:
        exception = failure(client, LAUNCH)
        assert isinstance(exception, (libtes.ProxyException, libtes.TlsException))
        assert secure.asked == []
