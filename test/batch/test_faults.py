"""A cohort launched through a failing proxy by a process that is killed repeatedly."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from libica.batch import abort_all, duration, launch_all, wait_all
from libica.local import LocalTes
from libica.local.engine.here import Here
from libica.local.node.job import Outcome
from libica.openapi import libtes

from ..helpers import ROOT
from ..server import wait_until
from .faults import SHARES, FaultyProxy

pytestmark = pytest.mark.slow

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


@pytest.fixture
def tes(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalTes]:
    monkeypatch.setattr(Here, "run", lambda *_: Outcome("Completed", "", {}))
    with LocalTes() as tes:
        yield tes


@pytest.fixture
def proxy(tes: LocalTes) -> Iterator[FaultyProxy]:
    with FaultyProxy(int(tes.url.rpartition(":")[2])) as proxy:
        yield proxy


@pytest.fixture
def client(tes: LocalTes) -> Iterator[libtes.ApiClient]:
    with libtes.ApiClient(tes.configuration()) as client:
        yield client


@pytest.fixture
def ids(client: libtes.ApiClient) -> tuple[str, str]:
    execution: dict[str, Any] = {"image": {"name": "none"}, "command": "{{sample}}"}
    body = {"name": "cohort", "taskVersions": [{"version": "1", "execution": execution}]}
    task = libtes.TasksApi(client).create_task(body=body)
    return str(task.id), str((task.task_versions or [])[0].id)


def test_a_cohort_is_launched_and_waited_for(
    client: libtes.ApiClient, ids: tuple[str, str]
) -> None:
    launches = [{"name": f"s{n}", "arguments": {"sample": f"{n}"}} for n in range(50)]
    launched = launch_all(client, *ids, launches)
    finished = wait_all(client, launched, poll=0.05, timeout=30)
    assert finished.summary() == {"Completed": 50}
    assert finished.run_ids == launched.run_ids
    assert all(duration(each) is not None for each in finished)
    assert abort_all(client, launched).summary() == {"Completed": 50}


def test_each_launch_makes_one_run_despite_kills_and_failures(
    tes: LocalTes,
    client: libtes.ApiClient,
    ids: tuple[str, str],
    proxy: FaultyProxy,
    tmp_path: Path,
) -> None:
    journal = tmp_path / "cohort.jsonl"
    arguments = [proxy.url, tes.token, *ids, str(journal)]
    command = [sys.executable, "-W", "error", "-c", LAUNCH, *arguments]

    for launches in KILLS:
        with subprocess.Popen(command, cwd=ROOT) as process:
            wait_until(lambda n=launches: proxy.launches >= n or process.poll() is not None, 60)
            process.kill()
        assert process.returncode == -9
    last = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert last.returncode == 0, last.stderr

    told = dict(line.split() for line in last.stdout.splitlines())
    unsure = {name for name in told if told[name] == "unsure"}
    runs = list(libtes.TaskRunsApi(client).iter_task_runs())
    listed = {str(run.name): run.id for run in runs}
    assert set(listed) | unsure == {f"sample-{i}" for i in range(RUNS)}
    assert len(runs) == len(listed)
    assert {**listed, **dict.fromkeys(unsure, "unsure")} == told
    assert all(proxy.faults[fault] for fault in SHARES)
