"""Measure the local service: calls per second, the start of a run, and its memory."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import urllib3

ROOT = str(Path(__file__).resolve().parents[1])
CLIENTS = (1, 8, 64)
RUNS = 1000  # at least this many exist when gets and lists are measured
SLEEP = {"image": {"name": "any"}, "command": "sleep", "args": ["600"], "retryLimit": 0}
TRUE = {"image": {"name": "any"}, "command": "true", "retryLimit": 0}
CALLS = {
    "launch": ("POST", "/v1/tasks/{task}/versions/{version}:launch"),
    "get": ("GET", "/v1/tasks/runs/{run}"),
    "list, pages of 10": ("GET", "/v1/tasks/runs?pageSize=10"),
    "list, pages of 1000": ("GET", "/v1/tasks/runs?pageSize=1000"),
}


class Service(NamedTuple):
    """A service in a process of its own."""

    url: str
    token: str
    pid: int


class Client:
    """A client of urllib3 alone, with its own connection."""

    def __init__(self, service: Service) -> None:
        self._url = service.url
        authorization = f"Bearer {service.token}"
        self._pool = urllib3.PoolManager(
            headers={"Authorization": authorization, "Content-Type": "application/json"}
        )

    def send(self, method: str, path: str, body: bytes = b"{}") -> bytes:
        """Return the body of a successful response; exit with an error otherwise."""
        sent = body if method == "POST" else None
        response = self._pool.request(method, self._url + path, body=sent, retries=False)
        if response.status not in (200, 201):
            raise SystemExit(f"{method} {path}: {response.status} {response.data!r}")
        return response.data

    def create(self, path: str, body: object) -> Any:
        """Return the object that a POST creates."""
        return json.loads(self.send("POST", path, json.dumps(body).encode()))


def main() -> None:
    """Measure the service in memory and with a data folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--seconds", type=float, default=0.7, help="of each measurement (default: %(default)s)"
    )
    parser.add_argument(
        "--launches", type=int, default=5000, help="to measure memory over (default: %(default)s)"
    )
    given = parser.parse_args()
    seconds = given.seconds
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores\n")
    titles = [
        f"{prefix}{clients} client{'s' * (clients > 1)}"
        for prefix in ("in memory, ", "with `--data`, ")
        for clients in CLIENTS
    ]
    print(f"| calls per second | {' | '.join(titles)} |")
    print("|---" + "|--:" * len(titles) + "|")
    columns = [_measured(kept, clients, seconds) for kept in (False, True) for clients in CLIENTS]
    for name in CALLS:
        print(f"| {name} | " + " | ".join(f"{each[name]:.0f}" for each in columns) + " |")
    print(f"\nFrom a launch to the first byte of its output: {_first_byte():.1f} ms")
    memory = ", ".join(f"{size:.0f} MB after {count}" for count, size in _memory(given.launches))
    print(f"Memory of the service with `--data`, by launches: {memory}")


def _measured(kept: bool, clients: int, seconds: float) -> dict[str, float]:
    """Return the calls per second of each kind, measured with a new service."""
    with tempfile.TemporaryDirectory() as data, start_service(["--data", data] * kept) as service:
        first = Client(service)
        # This run takes longer than the measurement, so that the launched runs stay pending: this
        # measures the service, not how fast this machine starts processes.
        first.create("/v1/tasks/runs", {"execution": SLEEP})
        versions = [{"version": "1", "execution": TRUE}]
        task = first.create("/v1/tasks", {"name": "load", "taskVersions": versions})
        names = {"task": task["id"], "version": task["taskVersions"][0]["id"]}
        launch = CALLS["launch"][1].format(**names)
        names["run"] = first.create(launch, {})["id"]
        several = [Client(service) for _ in range(clients)]
        found = {}
        for name, (method, path) in CALLS.items():
            found[name] = _rate(several, method, path.format(**names), seconds)
            if name == "launch":
                for _ in range(RUNS - round(found[name] * seconds)):
                    first.send("POST", launch)
        return found


def _rate(clients: Sequence[Client], method: str, path: str, seconds: float) -> float:
    """Return the calls per second of all clients together."""
    counts = [0] * len(clients)
    start = threading.Barrier(len(clients) + 1)

    def work(number: int) -> None:
        clients[number].send(method, path)
        start.wait()
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            clients[number].send(method, path)
            counts[number] += 1

    threads = [threading.Thread(target=work, args=(each,)) for each in range(len(clients))]
    for thread in threads:
        thread.start()
    start.wait()
    started = time.perf_counter()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - started)


def _first_byte() -> float:
    """Return the median milliseconds from a launch to the first byte that its run writes."""
    found = []
    with tempfile.TemporaryDirectory() as folder, start_service([]) as service:
        output = os.path.join(folder, "output")
        os.mkfifo(output)
        execution = {**TRUE, "command": "sh", "args": ["-c", f"echo >{output}"]}
        body = json.dumps({"execution": execution}).encode()
        client = Client(service)
        for _ in range(50):
            started = time.perf_counter()
            client.send("POST", "/v1/tasks/runs", body)
            with open(output, "rb") as file:
                file.read(1)
            found.append(time.perf_counter() - started)
            time.sleep(0.02)  # in which the run ends
    return statistics.median(found) * 1000


def _memory(launches: int) -> Iterator[tuple[int, float]]:
    """Yield numbers of launches, and the resident megabytes of the service after so many."""
    with tempfile.TemporaryDirectory() as data, start_service(["--data", data]) as service:
        client = Client(service)
        client.create("/v1/tasks/runs", {"execution": SLEEP})
        body = json.dumps({"execution": TRUE}).encode()
        for count in range(1, launches + 1):
            client.send("POST", "/v1/tasks/runs", body)
            if count in (launches // 10, launches // 2, launches):
                yield count, psutil.Process(service.pid).memory_info().rss / 1e6


@contextmanager
def start_service(options: Sequence[str]) -> Iterator[Service]:
    """Start the service in a separate process."""
    options = ["--port", "0", "--workers", "1", *options]
    command = [sys.executable, "-m", "libica.local", "serve", *options]
    path = os.pathsep.join(filter(None, (ROOT, os.environ.get("PYTHONPATH"))))
    with subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            lines = [process.stdout.readline().strip().partition("=")[2] for _ in range(2)]
            yield Service(lines[0], lines[1], process.pid)
        finally:
            process.terminate()


if __name__ == "__main__":
    main()
