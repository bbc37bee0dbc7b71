"""A batch behind a real proxy that loses the first response to each launch."""

from __future__ import annotations

import contextlib
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from libica import batch
from libica.local import LocalTes
from libica.openapi import libtes

from ..authority import Authority
from ..client.proxies.conftest import squid
from .faults import FaultyProxy

pytestmark = pytest.mark.slow

COUNT = 20


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_each_launch_makes_one_run_behind_squid_if_each_first_response_is_lost(
    scheme: str, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    context = authority.server("127.0.0.1") if scheme == "https" else None
    with contextlib.ExitStack() as stack:
        tes = stack.enter_context(LocalTes())
        front = stack.enter_context(
            FaultyProxy(urlsplit(tes.url).port or 0, context, first_only=True)
        )
        configuration = tes.configuration()
        configuration.host = front.url
        configuration.ssl_ca_cert = str(authority.file)
        (tmp_path / "squid").mkdir()
        configuration.proxy = stack.enter_context(squid(tmp_path / "squid"))
        client = stack.enter_context(libtes.ApiClient(configuration))
        execution = libtes.Execution(libtes.Image("x"), "true", environment=None)
        task = libtes.TasksApi(client).create_task(body=libtes.CreateTaskRequest("t"))
        version = libtes.TaskVersionsApi(client).create_task_version(
            task.id, body=libtes.CreateTaskVersionRequest("1", execution=execution)
        )
        launches = [{"name": f"run-{number}"} for number in range(COUNT)]
        report = batch.launch_all(client, task.id, version.id, launches, concurrency=4)
        names = [run.name for run in libtes.TaskRunsApi(client).iter_task_runs()]
    assert sorted(names) == sorted(str(launch["name"]) for launch in launches)
    assert len(report.run_ids) == len(set(report.run_ids)) == COUNT
    assert front.launches == COUNT
