"""Connections that break: what is raised, and what is retried."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from typing import Any, Optional

import pytest
import urllib3

from libica.openapi import libtes

from ...authority import Authority
from ...helpers import ROOT
from ...operations import RUN, Operation
from ...server import RawServer, Response, Server, Talk, say, wait_until
from ...wire import framed, head, reset
from ..calls import BODY, LAUNCH, READ, each_call, failure, misbehaving, read_and_launch
from ..conftest import Connect

FULL = framed(BODY)


def test_a_read_whose_connection_is_lost_is_repeated_as_it_was(connect: Connect) -> None:
    with RawServer(say(b""), say(FULL[:-5]), say(FULL)) as raw:
        assert READ.call(connect(raw.url)).id == "x"
    assert len(raw.received) == 3
    assert len(set(raw.received)) == 1


def test_a_body_that_is_lost_while_it_is_read_raw_is_an_error_of_urllib3(connect: Connect) -> None:
    with misbehaving(FULL[:-5]) as raw:
        response = READ.call(connect(raw.url), _preload_content=False)
        assert response.status == 200
        with pytest.raises(urllib3.exceptions.HTTPError):
            response.read()
        response.close()


def test_a_connection_that_the_service_closed_while_idle_is_no_error(connect: Connect) -> None:
    with RawServer(say(FULL)) as raw:
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
        exception = failure(client, operation)
        assert type(exception) is libtes.ConnectionLostException
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
    def early(connection: socket.socket) -> None:
        connection.recv(1000)
        talk(connection)

    with RawServer(early, read=False) as raw:
        exception = failure(connect(raw.url), LAUNCH, body=LARGE)
        assert exception.status in statuses
        assert not isinstance(exception, libtes.ConnectException)
        assert raw.connections == 1


@pytest.mark.parametrize("timeout", [(0.3, 0.3), 0.3], ids=["pair", "deadline"])
def test_a_request_that_nobody_reads_ends_in_time(connect: Connect, timeout: Any) -> None:
    over = threading.Event()
    with RawServer(lambda _: over.wait(60), read=False) as deaf:
        exception = failure(connect(deaf.url), LAUNCH, body=LARGE, _request_timeout=timeout)
        over.set()
        assert isinstance(exception, libtes.ApiConnectionException)
        assert exception.may_have_happened
        assert deaf.connections == 1


# -- No connection ---------------------------------------------------------------------------------


@each_call
def test_a_host_that_refuses(connect: Connect, refusing: str, operation: Operation) -> None:
    port = refusing.rpartition(":")[2]
    for host in ("127.0.0.1", "localhost"):
        exception = failure(connect(f"http://{host}:{port}"), operation)
        assert type(exception) is libtes.ConnectException
        assert exception.status is None
        assert host in str(exception)


@each_call
def test_every_call_is_repeated_if_no_connection_was_made(
    connect: Connect, refusing: str, operation: Operation, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = []

    def refused_twice(address: Any, *args: Any, **options: Any) -> Any:
        attempts.append(address)
        there = address if len(attempts) < 3 else ("127.0.0.1", raw.port)
        return real(there, *args, **options)

    real = urllib3.util.connection.create_connection
    monkeypatch.setattr(urllib3.util.connection, "create_connection", refused_twice)
    with RawServer(say(FULL)) as raw:
        operation.call(connect(f"http://{refusing}"), _preload_content=False).close()
    assert len(attempts) == 3
    [request] = raw.received
    assert request.startswith(f"{operation.method} {operation.target} ".encode())


@read_and_launch
@pytest.mark.parametrize("timeout", [(5, 5), 5], ids=["pair", "deadline"])
def test_an_unknown_host(connect: Connect, operation: Operation, timeout: Any) -> None:
    for host in ("http://nowhere.invalid:8080/base", "https://nowhere.invalid"):
        exception = failure(connect(host, retries=0), operation, _request_timeout=timeout)
        assert type(exception) is libtes.UnknownHostException
        assert exception.status is None
        assert "nowhere.invalid" in str(exception)
        root: Any = exception
        while root.__cause__ or root.__context__:
            root = root.__cause__ or root.__context__
        assert isinstance(root, socket.gaierror)


def test_a_name_that_no_host_can_have(connect: Connect) -> None:
    for host in ("a" * 64 + ".invalid", "a..invalid", "xn--.invalid", "*.invalid"):
        exception = failure(connect(f"http://{host}", retries=0), READ)
        assert isinstance(exception, libtes.ConnectException)
        assert not isinstance(exception, (libtes.ProxyException, libtes.TlsException))


def test_the_look_up_of_a_name_is_retried(
    connect: Connect, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up = []
    look_up = socket.getaddrinfo

    def unknown_at_first(host: Any, *args: Any, **options: Any) -> Any:
        looked_up.append(host)
        if len(looked_up) < 3:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return look_up("127.0.0.1", *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", unknown_at_first)
    server.respond(Response(201, {"id": "x"}))
    assert LAUNCH.call(connect(f"http://tes.example:{server.port}")).id == "x"
    assert len(server.asked) == 1
    assert looked_up == ["tes.example"] * 3


# -- Several processes and threads -----------------------------------------------------------------

FORK = """
import os, sys
from libica.openapi import libtes
configuration = libtes.Configuration(host=sys.argv[1])
with libtes.ApiClient(configuration) as client:
    runs = libtes.TaskRunsApi(client)
    runs.get_task_run("parent")
    child = os.fork()
    os.write(1, runs.get_task_run(" parent" if child else " child").id.encode())
    if child:
        assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_process_makes_connections_of_its_own(server: Server) -> None:
    server.respond(lambda asked: Response(body={"id": asked.path.rpartition("%20")[2] + " "}))
    command = [sys.executable, "-W", "error", "-c", FORK, server.url]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.stderr, done.returncode) == ("", 0)
    assert sorted(done.stdout.split()) == ["child", "parent"]
    assert server.connections == 2


def test_a_pool_that_another_thread_closes_is_no_error(
    connect: Connect, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = connect(server.url)
    server.respond(Response(body={"id": "x"}))
    open_pool = urllib3.HTTPConnectionPool.urlopen

    def close_first(pool: Any, *args: Any, **options: Any) -> Any:
        monkeypatch.undo()
        client.close()
        return open_pool(pool, *args, **options)

    monkeypatch.setattr(urllib3.HTTPConnectionPool, "urlopen", close_first)
    assert libtes.TaskRunsApi(client).get_task_run(RUN).id == "x"
    assert len(server.asked) == 1
