"""Connections that send nothing, little or slowly take neither the service nor its runs down."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from libica.local import LocalTes
from libica.local.service import connections
from libica.openapi import libtes

from .caller import PATIENCE, SLEEP, Caller, wait_until
from .observing import metrics
from .tls import Authority, trusting

resource = pytest.importorskip("resource")

SERVE = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))
from libica.local.__main__ import main
main(["serve", "--port", "0", *sys.argv[1:]])
"""


def connect(url: str) -> socket.socket:
    host, port = url.partition("://")[2].split(":")
    return socket.create_connection((host, int(port)), timeout=PATIENCE)


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limits[1] < 6000:
        pytest.skip("this machine allows too few descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (6000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.slow
@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "tls"])
def test_a_service_with_1024_descriptors_serves_and_runs_beside_5000_idle_connections(
    encrypted: bool, many_descriptors: None, authority: Authority, tmp_path: Path
) -> None:
    options = authority.options("127.0.0.1", tmp_path) if encrypted else []
    process = subprocess.Popen(
        # asyncio leaves a connection unclosed that it accepts while the service ends.
        [sys.executable, "-W", "ignore::ResourceWarning", "-c", SERVE, "--no-page", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        url, token = (process.stdout.readline().strip().partition("=")[2] for _ in range(2))
        configuration = libtes.Configuration(url, {"Authorization": f"Bearer {token}"})
        configuration.retries = 0
        configuration.ssl_ca_cert = str(authority.file(tmp_path))
        with ExitStack() as stack, libtes.ApiClient(configuration) as client:
            runs = libtes.TaskRunsApi(client)
            execution = libtes.Execution(image=libtes.Image("x"), command="true")
            launched = []
            for number in range(5000):
                idle = stack.enter_context(connect(url))
                if number % 2:
                    idle.sendall(b"GET /v1/tasks HTTP/1.1\r\nHost:")
                if number % 500 == 0:
                    body = libtes.CreateTaskRunRequest(execution=execution)
                    launched.append(runs.create_task_run(body=body))
            for run in launched:
                wait_until(lambda: runs.get_task_run(run.id).status == "Completed")  # noqa: B023
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=PATIENCE)
    assert errors.replace("libica.local: clients must trust", "").count("\n") <= encrypted, errors


@pytest.mark.parametrize("sent", [b"", b"GET /v1/tasks HTTP/1.1\r\nHost:"], ids=["nothing", "half"])
def test_a_connection_whose_head_does_not_arrive_in_time_is_closed(
    sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.3)
    with LocalTes() as tes, connect(tes.url) as connection:
        connection.sendall(sent)
        with suppress(ConnectionResetError):
            assert connection.recv(1) == b""


def head_of_a_launch(tes: LocalTes, length: int) -> bytes:
    lines = (
        "POST /v1/tasks HTTP/1.1",
        "Host: x",
        f"Authorization: Bearer {tes.token}",
        "Content-Type: application/json",
        f"Content-Length: {length}",
    )
    return "\r\n".join([*lines, "\r\n"]).encode()


def test_a_body_may_take_longer_than_a_head_but_not_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.2)
    with LocalTes() as tes, connect(tes.url) as connection:
        connection.sendall(head_of_a_launch(tes, 12))
        time.sleep(0.5)  # longer than a head may take
        connection.sendall(b'{"name":"x"}')
        assert connection.recv(12) == b"HTTP/1.1 201"
        monkeypatch.setattr(connections, "SILENT_SECONDS", 0.3)
        connection.sendall(head_of_a_launch(tes, 12) + b'{"name"')
        with suppress(ConnectionResetError):
            while connection.recv(4096):
                pass


def test_a_client_that_does_not_read_a_response_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "SILENT_SECONDS", 0.5)
    with LocalTes() as tes, Caller(tes.url, tes.token) as caller:
        task = caller.ok("POST", "/v1/tasks", {"name": "t"})
        path = f"/v1/tasks/{task['id']}"
        for number in range(20):  # more than the buffers of a connection hold
            execution = {**SLEEP, "command": "x" * 900_000}
            version = {"version": str(number), "execution": execution}
            caller.ok("POST", f"{path}/versions", version)
        before = metrics(caller)["tes_connections"]
        with connect(tes.url) as connection:
            head = f"PATCH {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {tes.token}\r\n\r\n"
            connection.sendall(head.encode())
            wait_until(lambda: metrics(caller).get("tes_requests_total updateTask 200"))
            wait_until(lambda: metrics(caller)["tes_connections"] == before)


def test_as_many_connections_as_half_of_the_descriptors_are_kept() -> None:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert connections.most_connections() == min(2000, limit // 2)


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "tls"])
def test_one_connection_too_many_ends_the_one_that_was_silent_longest(
    encrypted: bool, monkeypatch: pytest.MonkeyPatch, authority: Authority, tmp_path: Path
) -> None:
    monkeypatch.setattr(connections, "most_connections", lambda: 3)
    tls = authority.files("127.0.0.1", tmp_path) if encrypted else {}
    with ExitStack() as stack, LocalTes(**tls) as tes:
        idle = [stack.enter_context(connect(tes.url)) for _ in range(20)]
        for each in idle[:17]:
            with suppress(ConnectionResetError):
                assert each.recv(1) == b""
        with libtes.ApiClient(trusting(tes, authority, tmp_path)) as client:
            assert libtes.TasksApi(client).list_tasks().items == []
