"""Connections that break: what is raised, and what is retried."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from typing import Any, Optional

import pytest
import urllib3

from libica.openapi import libtes

from ...authority import Authority
from ...helpers import run_python
from ...operations import Operation
from ...server import RawServer, Response, Server, Talk, say, wait_until
from ...wire import framed, head, reset
from ..calls import BODY, LAUNCH, READ, each_call, failure, misbehaving
from ..conftest import Connect

FULL = framed(BODY)
Unknown = libtes.UnknownHostException
both_forms = pytest.mark.parametrize("form", [lambda s: (s, s), float], ids=["pair", "deadline"])


def test_a_read_whose_connection_is_lost_is_repeated_as_it_was(connect: Connect) -> None:
    with RawServer(say(b""), say(FULL[:-5]), say(FULL)) as raw:
        assert READ.call(connect(raw.url)).id == "x"
    assert len(raw.received) == 3
    assert len(set(raw.received)) == 1


def test_a_body_that_is_lost_while_it_is_read_raw_is_an_error_of_urllib3(connect: Connect) -> None:
    with misbehaving(FULL[:-5]) as raw:
        response = READ.call(connect(raw.url), _preload_content=False)
        with pytest.raises(urllib3.exceptions.HTTPError):
            response.read()
        response.close()


def test_a_connection_that_the_service_closed_while_idle_is_no_error(connect: Connect) -> None:
    with misbehaving(FULL) as raw:
        client = connect(raw.url, retries=0)
        for number in range(3):
            assert LAUNCH.call(client).id == "x"
            wait_until(lambda: raw.closed == number + 1)  # noqa: B023 it is called at once
    assert len(raw.received) == 3


@each_call
@pytest.mark.parametrize("data", [b"\x17\x03\x03\x00\x20" + b"x" * 32, b""], ids=["garbage", "end"])
def test_a_tls_connection_that_breaks_after_the_request_may_have_done_its_work(
    connect: Connect, authority: Authority, operation: Operation, data: bytes
) -> None:
    def break_off(connection: Any) -> None:
        with socket.socket(fileno=connection.detach()) as below:  # without TLS's farewell
            below.sendall(data)

    def cut(connection: Any) -> None:
        connection.sendall(head() + b'{"id": "x"}')
        break_off(connection)

    context = authority.server("127.0.0.1")
    with RawServer(break_off, context=context) as raw, RawServer(cut, context=context) as cutting:
        client = connect(raw.url, ssl_ca_cert=str(authority.file))
        assert type(failure(client, operation)) is libtes.ConnectionLostException
        assert len(raw.received) == (3 if operation is READ else 1)
        # A body without a length ends with the connection, which anybody on the way may cut.
        client.configuration.host = cutting.url
        with contextlib.suppress(libtes.ConnectionLostException):
            LAUNCH.call(client)
        assert len(cutting.received) == 1


# -- Requests that are not sent in full ------------------------------------------------------------

LARGE = {"name": "x" * 8_000_000}
TOO_LARGE = framed(b'{"code": "TOO_LARGE", "message": "no"}', "413 Too Large")


def close_later(connection: socket.socket) -> None:
    connection.sendall(TOO_LARGE)
    connection.shutdown(socket.SHUT_WR)
    while connection.recv(1 << 20):
        pass


@pytest.mark.parametrize(
    ("talk", "statuses"),
    [(close_later, [413]), (reset(TOO_LARGE), [None, 413]), (reset(), [None])],
    ids=["a response", "a response and a reset", "a reset"],
)
def test_a_response_or_reset_while_the_request_is_sent_is_one_exception(
    connect: Connect, talk: Talk, statuses: list[Optional[int]]
) -> None:
    with RawServer(lambda c: (c.recv(1000), talk(c)), read=False) as raw:
        exception = failure(connect(raw.url), LAUNCH, body=LARGE)
        assert exception.status in statuses
        assert not isinstance(exception, libtes.ConnectException)
        assert raw.connections == 1


@both_forms
def test_a_request_that_nobody_reads_ends_in_time(connect: Connect, form: Any) -> None:
    over = threading.Event()
    with RawServer(lambda _: over.wait(60), read=False) as deaf:
        exception = failure(connect(deaf.url), LAUNCH, body=LARGE, _request_timeout=form(0.3))
        over.set()
        assert isinstance(exception, libtes.ApiConnectionException)
        assert exception.may_have_happened
        assert deaf.connections == 1


# -- No connection ---------------------------------------------------------------------------------


@each_call
@both_forms
def test_a_host_that_refuses_or_is_unknown(
    connect: Connect, refusing: str, operation: Operation, form: Any
) -> None:
    refused = {f"http://{refusing}", f"http://{refusing.replace('127.0.0.1', 'localhost')}"}
    unknown = {"http://nowhere.invalid:8080/base", "https://nowhere.invalid"}
    impossible = {f"http://{name}.invalid" for name in ("a" * 64, "a.", "xn--", "*")}
    for host in refused | unknown | impossible:
        exception = failure(connect(host, retries=0), operation, _request_timeout=form(30.0))
        assert exception.status is None
        assert isinstance(exception, libtes.ConnectException)
        assert not isinstance(exception, (libtes.ProxyException, libtes.TlsException))
        if host not in impossible:
            assert type(exception) is (libtes.ConnectException if host in refused else Unknown)
            assert host.split("/")[2].partition(":")[0] in str(exception)
        root: Any = exception
        while root.__cause__ or root.__context__:
            root = root.__cause__ or root.__context__
        assert host not in unknown or isinstance(root, socket.gaierror)


@each_call
@pytest.mark.parametrize("known", [True, False], ids=["refused", "unknown"])
def test_every_call_is_repeated_if_no_connection_was_made(
    connect: Connect,
    server: Server,
    refusing: str,
    known: bool,
    operation: Operation,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    attempts = []
    look_up = socket.getaddrinfo

    def fails_at_first(host: str, port: int, *args: Any) -> Any:
        attempts.append(host)
        if len(attempts) == 3:
            return look_up("127.0.0.1", port, *args)
        if known:
            return look_up("127.0.0.1", refusing.partition(":")[2], *args)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", fails_at_first)
    server.respond(Response(operation.status, {"id": "x"}))
    assert operation.call(connect(f"http://tes.example:{server.port}")).id == "x"
    assert attempts == ["tes.example"] * 3
    [asked] = server.asked
    assert (asked.method, asked.target) == (operation.method, operation.target)


# -- Several processes and threads -----------------------------------------------------------------

FORK = """
import os, sys
from libica.openapi import libtes
with libtes.ApiClient(libtes.Configuration(sys.argv[1])) as client:
    runs = libtes.TaskRunsApi(client)
    runs.get_task_run("parent")
    child = os.fork()
    os.write(1, runs.get_task_run("parent" if child else "child").id.encode())
    assert not child or os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_process_makes_connections_of_its_own(server: Server) -> None:
    server.respond(lambda asked: Response(body={"id": asked.path.rpartition("/")[2] + " "}))
    assert sorted(run_python(FORK, server.url).split()) == ["child", "parent"]
    assert server.connections == 2


def test_a_pool_that_another_thread_closes_is_no_error(
    connect: Connect, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = connect(server.url)
    open_pool = urllib3.HTTPConnectionPool.urlopen

    def close_first(pool: Any, *args: Any, **options: Any) -> Any:
        monkeypatch.undo()
        client.close()
        return open_pool(pool, *args, **options)

    monkeypatch.setattr(urllib3.HTTPConnectionPool, "urlopen", close_first)
    server.respond(Response(body={"id": "x"}))
    assert READ.call(client).id == "x"
    assert len(server.asked) == 1
