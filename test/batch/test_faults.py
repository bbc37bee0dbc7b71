"""Cohorts launched through failing proxies, by a process that is killed repeatedly."""

from __future__ import annotations

import random
import ssl
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

import pytest
import urllib3

from libica.batch import abort_all, duration, launch_all, wait_all
from libica.local import LocalTes
from libica.local.node import attempt
from libica.local.node.job import Outcome
from libica.openapi import libtes

from ..authority import Authority
from ..client.proxies.conftest import squid
from ..helpers import ROOT
from ..server import Asked, Response, Server, wait_until
from .service import LostError, is_launch, refused

pytestmark = pytest.mark.slow
SHARES = {"lost before": 0.05, "lost after": 0.05, "503": 0.03, "429": 0.02, "": 0.85}
RUNS = 400
KILLS = (90, 200, 310)
LAUNCH = """
import sys
from libica.batch import calling, launch_all
from libica.openapi import libtes

calling.WAITS = calling.Waits(looks=(0.05, 0.1, 0.2), again=0.2)  # shorter than usual
url, token, task, version, journal = sys.argv[1:]
configuration = libtes.Configuration(url, {"Authorization": token})
configuration.api_key_prefix["Authorization"] = "Bearer"
launches = ({"name": f"sample-{i}", "arguments": {"sample": f"s{i}"}} for i in range(RUNS))
client = libtes.ApiClient(configuration)
report = launch_all(client, task, version, launches, concurrency=32, journal=journal)
assert len(report.unsure) <= 1, report  # the last one has no witness
assert not report.doubled
for launch in report:
    print(launch.name, launch.run_id or "unsure")
""".replace("RUNS", str(RUNS))


class FaultyProxy(Server):
    """Forwards requests to a service, but fails like networks and services before or after that.

    Args:
        url: The service.
        context: Makes it serve TLS.
        first_only: Whether it loses the first response to each launch, and nothing else.

    Attributes:
        faults: How often it failed, by the kind of failure.
    """

    def __init__(
        self, url: str, context: Optional[ssl.SSLContext] = None, first_only: bool = False
    ) -> None:
        super().__init__(context)
        self.faults: Counter[str] = Counter()
        self._url, self._first_only = url, first_only
        self._pool = urllib3.PoolManager(maxsize=64)
        self._random = random.Random(5)
        self._bodies: set[bytes] = set()
        self.respond(self._forward)

    @property
    def launches(self) -> int:
        """Number of launch requests."""
        return sum(map(is_launch, self.asked))

    def close(self) -> None:
        super().close()
        self._pool.clear()

    def _forward(self, asked: Asked) -> Response:
        fault = self._fault(asked)
        response = Response()
        if fault in ("", "lost after") or (fault == "503" and self._random.random() < 0.5):
            url, headers = self._url + asked.target, asked.headers
            sent = self._pool.request(asked.method, url, body=asked.body, headers=headers)
            response = Response(sent.status, sent.data)
        if fault.startswith("lost"):
            raise LostError
        # A delay of a whole second is requested only once, to keep the test short.
        return (
            refused(int(fault), Retry_After=str(int(self.faults["429"] == 1)))
            if fault
            else response
        )

    def _fault(self, asked: Asked) -> str:
        if self._first_only:
            first = is_launch(asked) and asked.body not in self._bodies
            self._bodies.add(asked.body)
            return "lost after" if first else ""
        (fault,) = self._random.choices([*SHARES], [*SHARES.values()])
        self.faults[fault] += 1
        return fault


@pytest.fixture
def tes(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalTes]:
    monkeypatch.setattr(attempt, "run", lambda *_: Outcome("Completed", "", {}))
    with LocalTes() as tes:
        yield tes


@pytest.fixture
def client(tes: LocalTes) -> Iterator[libtes.ApiClient]:
    with libtes.ApiClient(tes.configuration()) as client:
        yield client


@pytest.fixture
def ids(client: libtes.ApiClient) -> tuple[str, str]:
    """The ids of a task and its version."""
    execution = {"image": {"name": "none"}, "command": "{{sample}}"}
    body = {"name": "cohort", "taskVersions": [{"version": "1", "execution": execution}]}
    task = libtes.TasksApi(client).create_task(body=body)
    return str(task.id), str((task.task_versions or [])[0].id)


def test_each_launch_makes_one_run_despite_kills_and_failures(
    tes: LocalTes, client: libtes.ApiClient, ids: tuple[str, str], tmp_path: Path
) -> None:
    with FaultyProxy(tes.url) as proxy:
        arguments = [proxy.url, tes.token, *ids, str(tmp_path / "cohort.jsonl")]
        command = [sys.executable, "-W", "error", "-c", LAUNCH, *arguments]
        for launches in KILLS:
            with subprocess.Popen(command, cwd=ROOT) as process:
                wait_until(lambda n=launches: proxy.launches >= n or process.poll() is not None, 60)
                process.kill()
            assert process.returncode == -9
        last = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert last.returncode == 0, last.stderr
        assert all(proxy.faults[fault] for fault in SHARES)

    told = dict(line.split() for line in last.stdout.splitlines())
    unsure = {name for name in told if told[name] == "unsure"}
    runs = list(libtes.TaskRunsApi(client).iter_task_runs())
    listed = {str(run.name): run.id for run in runs}
    assert set(listed) | unsure == {f"sample-{i}" for i in range(RUNS)}
    assert len(runs) == len(listed)
    assert {**listed, **dict.fromkeys(unsure, "unsure")} == told
    finished = wait_all(client, runs, poll=0.05, timeout=60)
    assert finished.summary() == abort_all(client, runs).summary() == {"Completed": len(runs)}
    assert all(duration(each) is not None for each in finished)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_each_launch_makes_one_run_behind_squid_if_each_first_response_is_lost(
    scheme: str, tes: LocalTes, ids: tuple[str, str], tmp_path: Path
) -> None:
    launches = [{"name": f"s{n}", "arguments": {"sample": f"{n}"}} for n in range(20)]
    authority = Authority(tmp_path)
    context = authority.server("127.0.0.1") if scheme == "https" else None
    (tmp_path / "squid").mkdir()
    configuration = tes.configuration()
    configuration.ssl_ca_cert = str(authority.file)
    with FaultyProxy(tes.url, context, first_only=True) as front, squid(tmp_path / "squid") as url:
        configuration.host, configuration.proxy = front.url, url
        with libtes.ApiClient(configuration) as client:
            report = launch_all(client, *ids, launches, concurrency=4)
            runs = list(libtes.TaskRunsApi(client).iter_task_runs())
    assert sorted(str(run.name) for run in runs) == sorted(each["name"] for each in launches)
    assert {run.id for run in runs} == set(report.run_ids)
    assert front.launches == 20
