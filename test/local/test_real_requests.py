"""Requests that people really send become versions with placeholders, are launched, and run."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from libica.local import LocalTes, placeholders
from libica.openapi import libtes

from .simple import Bench
from .test_runner import ARGUMENTS, real, stand_ins


@pytest.mark.parametrize(
    "name", ["create-bam-index.json", "ega-encrypt-task-run.json", "fastq-gzip-to-ora.json"]
)
def test_a_real_request_runs_as_a_version(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution = real(name)
    bench = Bench(tmp_path)
    stand_ins(bench)
    monkeypatch.setenv("PATH", f"{bench.bin}{os.pathsep}{os.environ['PATH']}")
    version = {"version": "1.0.0", "execution": execution}
    body = {"name": "real", "taskVersions": [version]}
    launch = {"arguments": {each: ARGUMENTS[each] for each in placeholders.names(execution)}}

    with LocalTes(gds=bench.gds) as tes, libtes.ApiClient(tes.configuration()) as client:
        task = libtes.TasksApi(client).create_task(body=body)
        assert task.task_versions is not None
        version_id = task.task_versions[0].id
        run = libtes.TaskVersionsApi(client).launch_task_run(task.id, version_id, body=launch)
        until = time.monotonic() + 30
        while run.status in ("Pending", "Running"):
            assert time.monotonic() < until
            time.sleep(0.02)
            run = libtes.TaskRunsApi(client).get_task_run(run.id)
        assert run.status == "Completed", run
