"""A proxy that refuses, is down, stuck or not trusted: nothing was sent, and the error says why."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from libica.openapi import libtes

from ...authority import Authority
from ...conftest import TOKEN
from ...real_parts import free_port, real_part, running
from ...server import RawServer, Response, Server, Talk, say
from ...wire import drip, framed, head, hold
from ..calls import LAUNCH, READ, failure, read_and_launch
from ..conftest import Clock, Connect
from .conftest import LOGIN, Start
from .test_requests import FAR, proxy_authorization, with_login

WRONG = "somebody:wr0ng-w0rd@"
# older http.client leaves a socket open
sockets_stay_open = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture(params=["http", "https"])
def service(request: pytest.FixtureRequest, authority: Authority) -> Iterator[Server]:
    context = authority.server("127.0.0.1", "localhost") if request.param == "https" else None
    with Server(context) as service:
        yield service


@pytest.fixture
def client(connect: Connect, service: Server, authority: Authority) -> libtes.ApiClient:
    return connect(service.url, ssl_ca_cert=str(authority.file))


@sockets_stay_open
@pytest.mark.parametrize(
    ("name", "login", "statuses"),
    [
        ("squid that forbids", "", {"403"}),
        ("squid with a login", "", {"407"}),
        ("squid with a login", WRONG, {"407"}),
        ("tinyproxy that forbids", "", {"403"}),
        ("tinyproxy with a login", "", {"407"}),
        ("tinyproxy with a login", WRONG, {"401", "407"}),  # the former until tinyproxy 1.11.1
    ],
)
def test_a_proxy_that_refuses_is_a_proxy_exception_and_nothing_was_sent(
    name: str,
    login: str,
    statuses: set[str],
    client: libtes.ApiClient,
    service: Server,
    proxies: Start,
) -> None:
    refreshed: list[libtes.Configuration] = []
    client.configuration.refresh_api_key_hook = refreshed.append  # 401 is not the service's
    url = str(proxies(name))
    client.configuration.proxy = url.replace("//", f"//{login}")
    exception = failure(client, LAUNCH)
    assert type(exception) is libtes.ProxyException
    assert f"through {url}" in str(exception)
    assert any(status in str(exception) for status in statuses)
    assert "wr0ng-w0rd" not in str(exception)
    assert (service.asked, refreshed) == ([], [])


def test_a_login_opens_a_proxy_that_wants_one(
    client: libtes.ApiClient, service: Server, proxies: Start
) -> None:
    login = "{}:pass%3Aw%40rd%2Fof%20proxy@".format(*LOGIN)
    client.configuration.proxy = str(proxies("squid with a login")).replace("//", f"//{login}")
    LAUNCH.call(client)
    assert len(service.asked) == 1


def test_a_403_of_the_service_is_not_taken_for_the_proxys(
    client: libtes.ApiClient, service: Server, proxies: Start
) -> None:
    service.respond(Response(403, {"code": "no", "message": "not yours"}))
    client.configuration.proxy = proxies("relay")
    assert type(failure(client, LAUNCH)) is libtes.ForbiddenException


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
@pytest.mark.parametrize("login", ["", "somebody:s3cret-w0rd@"])
def test_a_socks_proxy_takes_calls(
    scheme: str, login: str, client: libtes.ApiClient, service: Server, tmp_path: Path, clock: Clock
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
            clock.waits.clear()
            exception = failure(client, LAUNCH)
            assert type(exception) is libtes.ProxyException
            assert "wr0ng-w0rd" not in str(exception)
            assert clock.waits == []  # another attempt might lock an account
    assert len(service.asked) == 1


@read_and_launch
@pytest.mark.parametrize("host", [FAR, "https://tes.example"])
def test_a_proxy_that_is_down_unknown_or_not_trusted_shows_no_password_and_nothing_was_sent(
    connect: Connect,
    refusing: str,
    secure: Server,
    operation: Any,
    host: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    down = [f"{scheme}://{refusing}" for scheme in ("http", "https", "socks5h")]
    for url in (*down, "http://nowhere.invalid:3128", secure.url):
        monkeypatch.setenv("ALL_PROXY", with_login(url))
        exception = failure(connect(host), operation)
        untrusted = url == secure.url
        assert type(exception) is (libtes.TlsException if untrusted else libtes.ProxyException)
        assert "tes.example" in str(exception)
    assert secure.asked == []


@sockets_stay_open
@pytest.mark.parametrize("status", [407, 403, 502])
def test_a_refused_tunnel_is_a_proxy_exception(
    connect: Connect, other: Server, status: int
) -> None:
    other.respond(Response(status, "<html>not you</html>", {"Content-Type": "text/html"}))
    exception = failure(connect("https://tes.example", proxy=with_login(other.url)), LAUNCH)
    assert type(exception) is libtes.ProxyException
    assert str(status) in str(exception)
    # A wrong password, sent again and again, might lock an account.
    assert len(other.asked) == (3 if status == 502 else 1)
    assert (other.last.method, other.last.target) == ("CONNECT", "tes.example:443")
    assert proxy_authorization(other) is not None
    assert "Authorization" not in other.last.headers
    del exception
    gc.collect()


def test_a_refusal_without_a_tunnel_is_not_retried(connect: Connect, other: Server) -> None:
    other.respond(Response(407, "who?"))
    assert type(failure(connect(FAR, proxy=other.url), READ)) is libtes.ProxyException
    assert len(other.asked) == 1


STUCK: dict[str, Talk] = {
    "silence": hold(),
    "a status line in drops": drip(b"", b"HTTP/1.1 200 OK"),
    "a header in drops": drip(b"HTTP/1.1 200 OK\r\nX: ", b"y"),
    "headers in drops": drip(b"HTTP/1.1 200 OK\r\n", b"A: b\r\n"),
    "a refusal in drops": drip(b"HTTP/1.1 407 Who\r\n", b"A: b\r\n"),
    "a tunnel that leads nowhere": hold(head()),
}
NONSENSE = [
    *(b"", b"HTTP/1.1 20", b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\n", head("407 \x1b[31mWho")),
    *(head("302 Found", "Location: http://127.0.0.1/"), head() + framed(b"{}", "201 Created")),
    *(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 1000 + b"\r\n", head("200 " + "O" * 100_000)),
]


@sockets_stay_open
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


@sockets_stay_open
@pytest.mark.parametrize("said", NONSENSE, ids=lambda said: repr(said[:24]))
def test_a_proxy_that_talks_nonsense(connect: Connect, said: bytes) -> None:
    with RawServer(say(said)) as proxy:
        client = connect("https://tes.example", proxy=with_login(proxy.url), retries=0)
        assert isinstance(failure(client, LAUNCH), libtes.ConnectException)
    assert len(proxy.received) == 1
