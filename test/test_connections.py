"""Connections that fail in their own ways, and the time that a call may take, over real sockets.

What is tried again, redirects, proxies and TLS that work are in ``test_rest.py``.
"""

from __future__ import annotations

import contextlib
import itertools
import pickle
import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Optional

import pytest
import urllib3

from libica.openapi import libtes

from .authority import Authority
from .conftest import TOKEN
from .operations import OPERATIONS, RUN, Operation
from .server import Answer, Asked, Listener, RawServer, Server, Talk, read_request, say, wait_until

NAMED = {each.name: each for each in OPERATIONS}
READ, LAUNCH, UPDATE = (NAMED[name] for name in ("get_task_run", "launch_task_run", "update_task"))
FULL = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"id": "x"}'
SLACK = 4.0  # a machine may be slow
SECRETS = (TOKEN, "Bearer", "cookie-of-mine", "header-of-mine", "p:w@rd", "p%3Aw%40rd", "cDp3QHJk")
AT_ONCE = urllib3.Retry(total=2, backoff_factor=0.001)
ENDLESS = urllib3.Retry(total=100_000, backoff_factor=0.01)

Connect = Callable[..., libtes.ApiClient]

each_call = pytest.mark.parametrize("operation", [READ, LAUNCH, UPDATE], ids=str)


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


def failed(
    client: libtes.ApiClient, operation: Operation, path: str = "", **options: Any
) -> tuple[libtes.ApiException, float]:
    """Call, check what every failure tells and keeps to itself, and return it and its seconds.

    The path is that to which the call was redirected, if it was.
    """
    started = time.monotonic()
    with pytest.raises(libtes.ApiException) as caught:
        operation.call(client, **options)
    seconds = time.monotonic() - started
    exception = caught.value
    assert exception.method == operation.method
    assert exception.path in (operation.target, path)
    assert str(exception).isprintable()
    if isinstance(exception, libtes.ApiConnectionException):
        assert exception.__cause__ is not None
        assert exception.body is None
    link: Optional[BaseException] = exception
    while link is not None:
        for secret in SECRETS:
            assert secret not in str(link) + repr(link) + repr(vars(link))
        link = link.__cause__ or link.__context__
    twin = pickle.loads(pickle.dumps(exception))
    assert (type(twin), str(twin)) == (type(exception), str(exception))
    assert twin.may_have_happened == exception.may_have_happened
    return exception, seconds


def listening(talk: Talk, context: Optional[ssl.SSLContext] = None) -> Listener:
    """Return a server whose talk has the connection from its start."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                talk(self.request)

    return Listener(Handler, context)


def silent(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


def drip(start: bytes, drops: bytes) -> Talk:
    """Send the start, then one byte after the other, so that no single wait is long."""

    def talk(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError):
            connection.sendall(start)
            for drop in itertools.islice(itertools.cycle(drops), 2000):
                connection.sendall(bytes([drop]))
                time.sleep(0.01)

    return talk


@pytest.fixture
def refusing() -> Iterator[str]:
    """The address of a port that nobody listens at."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield "127.0.0.1:{1}".format(*taken.getsockname())


# -- The classes -----------------------------------------------------------------------------------


def test_an_unknown_host_and_a_deadline_have_classes_of_their_own() -> None:
    assert issubclass(libtes.UnknownHostException, libtes.ConnectException)
    assert issubclass(libtes.DeadlineException, libtes.ReadTimeoutException)
    assert not libtes.UnknownHostException(method="POST").may_have_happened
    assert libtes.DeadlineException(method="POST").may_have_happened


# -- Hosts -----------------------------------------------------------------------------------------


@each_call
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("timeout", [(5, 5), 5], ids=["pair", "whole"])
def test_a_name_that_nobody_knows(
    connect: Connect, operation: Operation, scheme: str, timeout: Any
) -> None:
    client = connect(f"{scheme}://nowhere.invalid:8080/base", retries=0)
    started = time.monotonic()
    with pytest.raises(libtes.UnknownHostException) as caught:
        operation.call(client, _request_timeout=timeout)
    assert time.monotonic() - started < 5 + SLACK
    exception = caught.value
    assert type(exception) is libtes.UnknownHostException
    assert exception.status is None
    assert exception.path == f"/base{operation.target}"
    assert "nowhere.invalid" in str(exception)
    assert not exception.may_have_happened
    root: Any = exception
    while root.__cause__ or root.__context__:
        root = root.__cause__ or root.__context__
    assert isinstance(root, socket.gaierror)


@pytest.mark.parametrize("host", ["a" * 64 + ".invalid", "a..invalid", "xn--.invalid"])
def test_a_name_that_can_be_nobodys_is_unknown(connect: Connect, host: str) -> None:
    exception, _ = failed(connect(f"http://{host}", retries=0), READ)
    assert isinstance(exception, libtes.ConnectException)
    assert not isinstance(exception, (libtes.ProxyException, libtes.TlsException))


def test_a_name_is_asked_for_again(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    lookup = socket.getaddrinfo

    def unknown_at_first(host: Any, *args: Any, **options: Any) -> Any:
        asked.append(host)
        if len(asked) < 3:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return lookup("127.0.0.1", *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", unknown_at_first)
    with Server() as server:
        server.answer(Answer(201, {"id": "x"}))
        client = connect(f"http://tes.example:{server.port}")
        assert LAUNCH.call(client).id == "x"
        assert len(server.asked) == 1
    assert asked == ["tes.example"] * 3


@each_call
def test_the_name_of_a_proxy_that_nobody_knows(connect: Connect, operation: Operation) -> None:
    for host in ("http://tes.example", "https://tes.example"):
        client = connect(host, proxy="http://user:p%3Aw%40rd@nowhere.invalid:3128", retries=0)
        exception, _ = failed(client, operation)
        assert type(exception) is libtes.ProxyException
        assert "tes.example" in str(exception)
        assert not exception.may_have_happened


def test_a_name_that_is_refused_everywhere_names_the_host(connect: Connect, refusing: str) -> None:
    port = refusing.rpartition(":")[2]
    exception, _ = failed(connect(f"http://localhost:{port}"), READ)
    assert type(exception) is libtes.ConnectException
    assert "localhost" in str(exception)


# -- How long a call may take ----------------------------------------------------------------------


def test_the_time_to_read_is_that_of_each_attempt(connect: Connect) -> None:
    with RawServer(silent) as raw:
        exception, seconds = failed(connect(raw.url), READ, _request_timeout=(5, 0.15))
        assert type(exception) is libtes.ReadTimeoutException
        assert 0.45 <= seconds < 0.45 + SLACK
        wait_until(lambda: len(raw.received) == 3)


@each_call
@pytest.mark.parametrize("where", ["call", "configuration"])
def test_one_number_is_the_time_of_the_whole_call(
    connect: Connect, operation: Operation, where: str
) -> None:
    with RawServer(silent) as raw:
        client = connect(raw.url, retries=ENDLESS)
        options = {"_request_timeout": 0.2} if where == "call" else {}
        if where == "configuration":
            client.configuration.timeout = 0.2
        exception, seconds = failed(client, operation, **options)
        assert type(exception) is libtes.DeadlineException
        assert exception.status is None
        assert "127.0.0.1" in str(exception)
        assert 0.2 <= seconds < 0.2 + SLACK
        assert exception.may_have_happened == (operation is not READ)
    assert len(raw.received) == 1


def test_the_whole_time_has_all_attempts_in_it(connect: Connect) -> None:
    """Each attempt alone is short, so that only their sum can be too long."""

    def busy(asked: Asked) -> Answer:
        time.sleep(0.05)
        return Answer(503, {"message": "busy"})

    with Server() as server:
        server.answer(busy)
        client = connect(server.url, retries=ENDLESS)
        exception, seconds = failed(client, READ, _request_timeout=0.5)
        assert isinstance(exception, (libtes.ServiceException, libtes.DeadlineException))
        assert seconds < 0.5 + SLACK
        assert 2 <= len(server.asked) <= 10


def test_what_ends_the_whole_time_is_the_last_failure(connect: Connect) -> None:
    with RawServer(say(FULL[:-5]), say(b""), silent) as raw:
        exception, seconds = failed(connect(raw.url), READ, _request_timeout=0.3)
        assert type(exception) is libtes.DeadlineException
        assert seconds < 0.3 + SLACK
    assert len(raw.received) == 3


@pytest.mark.parametrize(
    ("answer", "cls"),
    [
        (Answer(503, {"message": "busy"}, {"Retry-After": "100"}), libtes.ServiceException),
        (Answer(429, {"message": "busy"}, {"Retry-After": "100"}), libtes.TooManyRequestsException),
    ],
    ids=["503", "429"],
)
@pytest.mark.parametrize("timeout", [5, 30.0])
def test_a_wait_beyond_the_whole_time_is_not_begun(
    connect: Connect, answer: Answer, cls: Any, timeout: float
) -> None:
    with Server() as server:
        server.answer(answer)
        exception, seconds = failed(connect(server.url), READ, _request_timeout=timeout)
        assert type(exception) is cls
        assert seconds < SLACK
        assert len(server.asked) == 1


def test_a_wait_of_our_own_beyond_the_whole_time_is_not_begun(connect: Connect) -> None:
    with Server() as server:
        server.answer(Answer(503, {"message": "busy"}))
        slow = urllib3.Retry(total=3, backoff_factor=10_000)
        client = connect(server.url, retries=slow)
        exception, seconds = failed(client, READ, _request_timeout=0.5)
        assert type(exception) is libtes.ServiceException
        assert seconds < 0.5 + SLACK


@each_call
def test_where_no_connection_is_made_the_whole_time_ends_the_attempts(
    connect: Connect, refusing: str, operation: Operation
) -> None:
    client = connect(f"http://{refusing}", retries=ENDLESS)
    exception, seconds = failed(client, operation, _request_timeout=0.2)
    assert type(exception) is libtes.ConnectException
    assert seconds < 0.2 + SLACK
    assert not exception.may_have_happened


@pytest.mark.skipif(not hasattr(socket, "TCP_INFO"), reason="needs the backlog of Linux")
@pytest.mark.parametrize("timeout", [0.2, (0.1, 30)], ids=["whole", "pair"])
def test_a_connection_that_is_not_taken_ends_in_time(connect: Connect, timeout: Any) -> None:
    with socket.socket() as full, contextlib.ExitStack() as waiting:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):
            each = waiting.enter_context(socket.socket())
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        client = connect(f"http://127.0.0.1:{full.getsockname()[1]}")
        exception, seconds = failed(client, LAUNCH, _request_timeout=timeout)
    assert type(exception) is libtes.ConnectTimeoutException
    assert not exception.may_have_happened
    assert seconds < 0.3 + SLACK


def test_redirects_are_within_the_whole_time(connect: Connect) -> None:
    def slow(asked: Asked) -> Answer:
        time.sleep(0.15)
        return Answer(302, b"", {"Location": "/round"})

    with Server() as server:
        server.answer(slow)
        client = connect(server.url, retries=ENDLESS)
        exception, seconds = failed(client, READ, "/round", _request_timeout=0.35)
        assert isinstance(exception, libtes.DeadlineException)
        assert seconds < 0.35 + SLACK
        assert len(server.asked) == 3


def test_a_token_that_is_refreshed_is_within_the_whole_time(connect: Connect) -> None:
    def slow(configuration: libtes.Configuration) -> None:
        time.sleep(0.4)
        configuration.api_key["Authorization"] += " renewed"

    with Server() as server:
        server.answer(Answer(401), Answer(body={"id": "x"}))
        client = connect(server.url, refresh_api_key_hook=slow)
        assert READ.call(client, _request_timeout=(5, 0.3)).id == "x"
        server.answer(Answer(401), Answer(body={"id": "x"}))
        exception, _ = failed(client, LAUNCH, _request_timeout=0.3)
        assert isinstance(exception, libtes.UnauthorizedException)
    assert len(server.asked) == 3


SLOW: dict[str, tuple[Talk, Optional[int]]] = {
    "a head": (drip(b"", FULL), None),
    "a header": (drip(FULL[:30], b"x"), None),
    "a body": (drip(FULL[:-11].replace(b"11", b"5000"), b" "), 200),
    "chunks": (drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"), 200),
}


@pytest.mark.parametrize("timeout", [(5, 0.1), 0.2], ids=["pair", "whole"])
@pytest.mark.parametrize("key", SLOW)
def test_an_answer_in_drops_over_tls_takes_no_longer_than_one_that_does_not_come(
    connect: Connect, authority: Authority, key: str, timeout: Any
) -> None:
    talk, status = SLOW[key]
    with RawServer(talk, context=authority.server("127.0.0.1")) as raw:
        client = connect(raw.url, ssl_ca_cert=str(authority.file), retries=0)
        exception, seconds = failed(client, LAUNCH, _request_timeout=timeout)
        whole = isinstance(timeout, float)
        assert type(exception) is (
            libtes.DeadlineException if whole else libtes.ReadTimeoutException
        )
        assert exception.status == status
        assert exception.may_have_happened
        assert 0.05 < seconds < 0.2 + SLACK
    assert len(raw.received) == 1


def test_a_slow_answer_that_comes_in_time_is_read(connect: Connect) -> None:
    def slow(connection: socket.socket) -> None:
        for start in range(0, len(FULL), 10):
            connection.sendall(FULL[start : start + 10])
            time.sleep(0.01)

    with RawServer(slow) as raw:
        client = connect(raw.url)
        for timeout in ((5, 5), 5, (None, 5), (5, None), None):
            assert READ.call(client, _request_timeout=timeout).id == "x"
    assert len(raw.received) == 5


def test_a_time_that_was_used_up_leaves_nothing_for_the_next_call(connect: Connect) -> None:
    """The answer that came too late is not that of the next call."""

    def late(connection: socket.socket) -> None:
        over.wait(10)
        connection.sendall(FULL.replace(b'"x"', b'"y"'))

    over = threading.Event()
    with RawServer(late, say(FULL)) as raw:
        client = connect(raw.url)
        failed(client, LAUNCH, _request_timeout=(5, 0.05))
        over.set()
        assert READ.call(client).id == "x"
    assert raw.connections == 2


def test_a_time_is_that_of_one_call_alone(connect: Connect) -> None:
    with Server() as server:
        server.answer(lambda asked: time.sleep(0.1) or Answer(body={"id": "x"}))
        client = connect(server.url)
        for _ in range(4):
            assert READ.call(client, _request_timeout=0.3).id == "x"
        assert READ.call(client, _request_timeout=(5, 5)).id == "x"
    assert server.connections == 1


# -- TLS -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def days(count: int) -> datetime:
    return datetime.now(timezone.utc) + timedelta(days=count)


VALIDITIES: dict[str, dict[str, Any]] = {
    "has expired": {"not_before": days(-20), "not_after": days(-10)},
    "not yet valid": {"not_before": days(10), "not_after": days(20)},
}


@each_call
@pytest.mark.parametrize("reason", VALIDITIES)
def test_a_certificate_out_of_its_time(
    connect: Connect, authority: Authority, operation: Operation, reason: str
) -> None:
    with Server(authority.server("127.0.0.1", **VALIDITIES[reason])) as server:
        client = connect(server.url, ssl_ca_cert=str(authority.file))
        exception, _ = failed(client, operation)
        assert type(exception) is libtes.TlsException
        assert reason in str(exception)
        assert "127.0.0.1" in str(exception)
        assert not exception.may_have_happened
        assert server.asked == []


def test_a_certificate_that_vouches_for_itself(connect: Connect, tmp_path: Path) -> None:
    own = Authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.ca.private_key_pem.write_to_path(tmp_path / "key")
    context.load_cert_chain(own.file, tmp_path / "key")
    with Server(context) as server:
        exception, _ = failed(connect(server.url), LAUNCH)
        assert type(exception) is libtes.TlsException
        assert server.asked == []


@pytest.mark.parametrize("timeout", [(0.2, 30), 0.2], ids=["pair", "whole"])
@pytest.mark.parametrize(
    "talk", [silent, drip(b"\x16\x03\x03\x40\x00", b"\x02\x00\x3f\xfc")], ids=["silence", "drops"]
)
def test_a_handshake_that_does_not_end_is_no_connection_in_time(
    connect: Connect, talk: Talk, timeout: Any
) -> None:
    with listening(talk) as stuck:
        client = connect(stuck.url.replace("http:", "https:"), retries=0)
        exception, seconds = failed(client, LAUNCH, _request_timeout=timeout)
        assert isinstance(exception, libtes.ConnectException)
        assert not exception.may_have_happened
        assert seconds < 0.2 + SLACK
        assert stuck.connections == 1


@pytest.mark.parametrize(
    "said",
    [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-x\r\n", b"\x15\x03\x01\x00\x02\x02\x28"],
)
def test_what_speaks_no_tls_is_never_sent_the_call(connect: Connect, said: bytes) -> None:
    seen: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        seen.append(connection.recv(65536))
        connection.sendall(said)

    with listening(talk) as plain:
        client = connect(plain.url.replace("http:", "https:"), retries=0)
        exception, _ = failed(client, LAUNCH)
        assert isinstance(exception, libtes.ConnectException)
        assert not exception.may_have_happened
    assert TOKEN.encode() not in b"".join(seen)


def test_an_answer_over_tls_that_is_cut_without_a_farewell_is_none(
    connect: Connect, authority: Authority
) -> None:
    """A body without a length ends with the connection, which anybody on the way may cut."""

    def cut(connection: Any) -> None:
        connection.sendall(b'HTTP/1.1 200 OK\r\n\r\n{"id": "x"}')
        socket.socket(fileno=connection.detach()).close()

    with RawServer(cut, context=authority.server("127.0.0.1")) as raw:
        client = connect(raw.url, ssl_ca_cert=str(authority.file))
        with contextlib.suppress(libtes.ConnectionLostException):
            assert LAUNCH.call(client).id == "x"
    assert len(raw.received) == 1


# -- Proxies ---------------------------------------------------------------------------------------

LOGIN = "user:p%3Aw%40rd@"
STUCK: dict[str, Talk] = {
    "silence": silent,
    "a status line in drops": drip(b"", b"HTTP/1.1 200 OK"),
    "a header in drops": drip(b"HTTP/1.1 200 OK\r\nX: ", b"y"),
    "headers in drops": drip(b"HTTP/1.1 200 OK\r\n", b"A: b\r\n"),
    "a refusal in drops": drip(b"HTTP/1.1 407 Who\r\n", b"A: b\r\n"),
    "a way that leads nowhere": lambda connection: (
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n"),
        silent(connection),
    ),
}


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # older http.client leaves a socket open
@pytest.mark.parametrize("timeout", [(0.2, 0.2), 0.2], ids=["pair", "whole"])
@pytest.mark.parametrize("key", STUCK)
def test_a_proxy_that_makes_no_way_in_time(connect: Connect, key: str, timeout: Any) -> None:
    def talk(connection: socket.socket) -> None:
        seen.append(read_request(connection))
        STUCK[key](connection)

    seen: list[bytes] = []
    with listening(talk) as proxy:
        url = proxy.url.replace("//", f"//{LOGIN}")
        client = connect("https://tes.example", proxy=url, retries=0)
        exception, seconds = failed(client, LAUNCH, _request_timeout=timeout)
        assert isinstance(exception, libtes.ConnectException)
        assert not exception.may_have_happened
        assert "tes.example" in str(exception)
        assert seconds < 0.2 + SLACK / 2
    assert [line.split(b"\r\n")[0].split()[0] for line in seen] == [b"CONNECT"]
    assert TOKEN.encode() not in b"".join(seen)


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # older http.client leaves a socket open
@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.1 20",
        b"SSH-2.0-x\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 201 Created\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 1000 + b"\r\n",
        b"HTTP/1.1 200 " + b"O" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 407 \x1b[31mWho\r\n\r\n",
    ],
    ids=lambda said: repr(said[:24]),
)
def test_a_proxy_that_talks_nonsense(connect: Connect, said: bytes) -> None:
    with RawServer(say(said)) as proxy:
        url = proxy.url.replace("//", f"//{LOGIN}")
        client = connect("https://tes.example", proxy=url, retries=0)
        exception, seconds = failed(client, LAUNCH, _request_timeout=(2, 2))
        assert isinstance(exception, libtes.ConnectException)
        assert not exception.may_have_happened
        assert seconds < 2 + SLACK
    assert len(proxy.received) == 1


@pytest.mark.parametrize("timeout", [(5, 0.2), 0.2], ids=["pair", "whole"])
@pytest.mark.parametrize("talk", [silent, drip(b"", FULL)], ids=["silence", "drops"])
def test_a_proxy_that_passes_on_a_call_and_no_answer_may_have_passed_it_on(
    connect: Connect, talk: Talk, timeout: Any
) -> None:
    with RawServer(talk) as proxy:
        client = connect("http://tes.example", proxy=proxy.url.replace("//", f"//{LOGIN}"))
        exception, seconds = failed(client, LAUNCH, _request_timeout=timeout)
        assert isinstance(exception, libtes.ReadTimeoutException)
        assert exception.may_have_happened
        assert "tes.example" in str(exception)
        assert seconds < 0.2 + SLACK
    assert len(proxy.received) == 1


@pytest.mark.parametrize("trusted", [True, False], ids=["trusted", "not trusted"])
def test_a_proxy_may_have_tls_itself_and_is_then_verified(
    connect: Connect, authority: Authority, tmp_path: Path, trusted: bool
) -> None:
    known = authority if trusted else Authority(tmp_path)
    with Server(authority.server("127.0.0.1")) as proxy:
        proxy.answer(Answer(body={"id": "x"}))
        url = proxy.url.replace("//", f"//{LOGIN}")
        client = connect("http://tes.example", proxy=url, ssl_ca_cert=str(known.file))
        if trusted:
            assert LAUNCH.call(client).id == "x"
            assert len(proxy.asked) == 1
        else:
            exception, _ = failed(client, LAUNCH)
            assert isinstance(exception, (libtes.ProxyException, libtes.TlsException))
            assert not exception.may_have_happened
            assert proxy.asked == []


@pytest.mark.parametrize("operation", [READ, LAUNCH], ids=str)
def test_a_proxy_of_the_environment_that_is_down_shows_no_password(
    connect: Connect, refusing: str, operation: Operation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", f"http://{LOGIN}{refusing}")
    for scheme in ("http", "https"):
        exception, _ = failed(connect(f"{scheme}://tes.example"), operation)
        assert type(exception) is libtes.ProxyException
        assert not exception.may_have_happened


@pytest.mark.parametrize(
    "proxy",
    ["", "nonsense://127.0.0.1", "socks5://127.0.0.1:1", "http://", "http://:80", "http://a b"],
)
def test_a_proxy_of_the_environment_that_is_none_is_an_error_of_ours(
    connect: Connect, proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy)
    with Server() as server:
        server.answer(Answer(body={"id": "x"}))
        client = connect(server.url)
        if not proxy:
            assert READ.call(client).id == "x"
            return
        with pytest.raises(libtes.OpenApiException):
            READ.call(client)
        assert server.asked == []


# -- Redirects and cookies -------------------------------------------------------------------------


def secretless(asked: Asked) -> None:
    """Check that a request holds nothing of what is for one host alone."""
    assert not {"Authorization", "Cookie", "X-Mine"} & set(asked.headers)
    for secret in SECRETS:
        assert secret not in repr(asked)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("preload", [True, False], ids=["read", "raw"])
def test_a_redirect_from_https_to_http_carries_no_secret(
    connect: Connect, authority: Authority, status: int, preload: bool
) -> None:
    with Server(authority.server("127.0.0.1")) as secure, Server() as plain:
        plain.answer(Answer(body={"id": "x"}))
        secure.answer(Answer(status, b"", {"Location": f"{plain.url}/x"}))
        client = connect(secure.url, ssl_ca_cert=str(authority.file))
        answer = READ.call(client, _preload_content=preload)
        assert preload or answer.data == b'{"id": "x"}'
        secretless(plain.last)
        for operation in (LAUNCH, UPDATE, NAMED["abort_task_run"]):
            exception, _ = failed(client, operation, _preload_content=preload)
            assert exception.status == status
            assert not exception.may_have_happened
        assert len(plain.asked) == 1


def test_a_redirect_to_the_same_host_by_another_scheme_or_port_carries_no_secret(
    connect: Connect, authority: Authority
) -> None:
    with Server(authority.server("127.0.0.1")) as secure, Server() as plain:
        secure.answer(Answer(body={"id": "x"}))
        plain.answer(Answer(302, b"", {"Location": f"{secure.url}/x"}))
        client = connect(plain.url, ssl_ca_cert=str(authority.file))
        assert READ.call(client).id == "x"
        secretless(secure.last)


def test_a_redirect_to_a_refused_host_shows_no_secret_and_names_it(
    connect: Connect, refusing: str
) -> None:
    with Server() as server:
        server.answer(Answer(302, b"", {"Location": f"http://user:p%3Aw%40rd@{refusing}/x"}))
        exception, _ = failed(connect(server.url, retries=0), READ, "/x")
    assert type(exception) is libtes.ConnectException
    assert "127.0.0.1" in str(exception)


def test_where_a_redirect_leads_a_refused_token_is_not_refreshed_and_sent(connect: Connect) -> None:
    """A stranger who answers 401 must not be given a token."""
    with Server() as server, Server() as stranger:
        stranger.answer(Answer(401))
        server.answer(Answer(302, b"", {"Location": f"{stranger.url}/x"}))
        client = connect(server.url)

        def hook(configuration: libtes.Configuration) -> None:
            configuration.api_key["Authorization"] = f"new {TOKEN}"

        client.configuration.refresh_api_key_hook = hook
        exception, _ = failed(client, READ, "/x")
        assert exception.status == 401
        for asked in stranger.asked:
            secretless(asked)


def test_a_cookie_that_a_service_sets_is_not_sent_back(connect: Connect) -> None:
    with Server() as server:
        server.answer(Answer(headers={"Set-Cookie": "session=theirs; Path=/"}))
        client = connect(server.url)
        for _ in range(2):
            libtes.TasksApi(client).list_tasks()
        client.cookie = None
        libtes.TasksApi(client).list_tasks()
        sent = [asked.headers.get("Cookie") for asked in server.asked]
        assert sent == ["a=cookie-of-mine", "a=cookie-of-mine", None]


def test_a_login_in_a_netrc_file_is_not_sent(
    connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password p:w@rd\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with Server() as server:
        client = connect(server.url, api_key={})
        client.call_api(f"/v1/tasks/runs/{RUN}", "GET", auth_settings=["Bearer"])
        assert "Authorization" not in server.last.headers
