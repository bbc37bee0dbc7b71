"""Connections that send nothing, little or slowly take neither the service nor its runs down."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress

import pytest

from libica.local import LocalTes
from libica.local.service import connections
from libica.openapi import libtes

from ..server import wait_until

resource = pytest.importorskip("resource")

SERVE = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
from libica.local.__main__ import main
main(["serve", "--port", "0"])
"""


def connect(url: str) -> socket.socket:
    host, port = url.partition("://")[2].split(":")
    return socket.create_connection((host, int(port)), timeout=30)


@pytest.mark.slow
def test_a_service_with_256_descriptors_serves_and_runs_beside_600_idle_connections() -> None:
    process = subprocess.Popen([sys.executable, "-c", SERVE], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        url, token = (process.stdout.readline().strip().partition("=")[2] for _ in range(2))
        configuration = libtes.Configuration(url, {"Authorization": f"Bearer {token}"})
        configuration.retries = 0
        with ExitStack() as stack, libtes.ApiClient(configuration) as client:
            for number in range(600):
                idle = stack.enter_context(connect(url))
                if number % 2:
                    idle.sendall(b"GET /v1/tasks HTTP/1.1\r\nHost:")
            runs = libtes.TaskRunsApi(client)
            execution = libtes.Execution(image=libtes.Image("x"), command="true")
            run = runs.create_task_run(body=libtes.CreateTaskRunRequest(execution=execution))
            wait_until(lambda: runs.get_task_run(run.id).status == "Completed")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("sent", [b"", b"GET /v1/tasks HTTP/1.1\r\nHost:"], ids=["nothing", "half"])
def test_a_connection_whose_head_does_not_arrive_in_time_is_closed(
    sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.3)
    with LocalTes() as tes, connect(tes.url) as connection:
        connection.sendall(sent)
        with suppress(ConnectionResetError):
            assert connection.recv(1) == b""


def test_a_request_that_is_being_responded_to_is_not_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.2)
    with LocalTes() as tes, connect(tes.url) as connection:
        head = f"POST /v1/tasks HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {tes.token}\r\n"
        head += "Content-Type: application/json\r\nContent-Length: 12\r\n\r\n"
        connection.sendall(head.encode())
        time.sleep(0.5)  # longer than a head may take
        connection.sendall(b'{"name":"x"}')
        assert connection.recv(12) == b"HTTP/1.1 201"


def test_as_many_connections_as_half_of_the_descriptors_are_kept() -> None:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert connections.most_connections() == min(2000, limit // 2)
