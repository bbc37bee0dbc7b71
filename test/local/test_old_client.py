"""The last public client, libica 2.5.0, works unchanged against the service."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from libica.local import LocalTes

from ..real_parts import lacking
from .caller import Caller

pytestmark = pytest.mark.slow

# Only those of its requirements that TES needs; it calls what urllib3 2 deprecates.
PACKAGES = ["libica==2.5.0", "certifi", "python-dateutil", "six", "urllib3<2"]

SCRIPT = """
import json, sys, time
sys.path.insert(0, sys.argv[3])
from libica.openapi import libtes

configuration = libtes.Configuration(
    host=sys.argv[1],
    api_key={"Authorization": sys.argv[2]},
    api_key_prefix={"Authorization": "Bearer"},
)
seen = {"from": libtes.__file__}

def execution(command, *args):
    return libtes.Execution(
        image=libtes.Image(name="alpine", tag="3"), command=command, args=list(args), retry_limit=0
    )

def sizes(list_page, *ids, **options):
    page = list_page(*ids, page_size=2, **options)
    found = [len(page.items)]
    while page.next_page_token:
        page = list_page(*ids, page_size=2, page_token=page.next_page_token)
        found.append(len(page.items))
    return found

def waited(run_id, status):
    run = runs.get_task_run(run_id)
    while run.status in ("Pending", "Running") and run.status != status:
        time.sleep(0.05)
        run = runs.get_task_run(run_id)
    return run

def refused(call):
    try:
        call()
    except libtes.ApiException as error:
        return [error.status, "message" in error.body]

with libtes.ApiClient(configuration) as client:
    tasks, versions = libtes.TasksApi(client), libtes.TaskVersionsApi(client)
    runs = libtes.TaskRunsApi(client)
    made = [
        tasks.create_task(body=libtes.CreateTaskRequest(name=f"task {i}", description="one"))
        for i in range(5)
    ]
    task = made[0].id
    body = libtes.UpdateTaskRequest(description="two")
    seen["create_task"] = [each.name for each in made]
    seen["update_task"] = tasks.update_task(task, body=body).description
    seen["get_task"] = tasks.get_task(task).description
    seen["list_tasks"] = sizes(tasks.list_tasks, sort="name desc")
    echo = execution("echo", "{{word}}")
    first, *_ = [
        versions.create_task_version(
            task, body=libtes.CreateTaskVersionRequest(version=f"{i}", execution=echo)
        )
        for i in range(3)
    ]
    body = libtes.UpdateTaskVersionRequest(version="first")
    seen["create_task_version"] = first.execution.args
    seen["update_task_version"] = versions.update_task_version(task, first.id, body=body).version
    seen["get_task_version"] = versions.get_task_version(task, first.id).version
    seen["list_task_versions"] = sizes(versions.list_task_versions, task)
    body = libtes.LaunchTaskRequest(name="run", arguments={"word": "hello"})
    launched = versions.launch_task_run(task, first.id, body=body)
    seen["launch_task_run"] = launched.execution.args
    run = waited(launched.id, "Completed")
    seen["get_task_run"] = [run.status, run.time_created.tzinfo is not None, len(run.logs)]
    body = libtes.CreateTaskRunRequest(name="long", execution=execution("sleep", "600"))
    new = runs.create_task_run(body=body).id
    seen["create_task_run"] = waited(new, "Running").status
    heartbeat = runs.heartbeat_task_run(new, body=libtes.HeartbeatTaskRunRequest())
    seen["heartbeat_task_run"] = bool(heartbeat.jwt)
    seen["abort_task_run"] = [runs.abort_task_run(new).id == new, waited(new, "Aborted").status]
    for i in range(3):
        runs.create_task_run(body=libtes.CreateTaskRunRequest(execution=execution("true")))
    seen["list_task_runs"] = sizes(runs.list_task_runs, sort="timeCreated desc")
    seen["refused"] = [
        refused(lambda: tasks.get_task("tdn." + "0" * 32)),
        refused(lambda: tasks.create_task(body=libtes.CreateTaskRequest(name="task 0"))),
    ]
print(json.dumps(seen))
"""
EXPECTED = {
    "create_task": [f"task {i}" for i in range(5)],
    "update_task": "two",
    "get_task": "two",
    "list_tasks": [2, 2, 1],
    "create_task_version": ["{{word}}"],
    "update_task_version": "first",
    "get_task_version": "first",
    "list_task_versions": [2, 1],
    "launch_task_run": ["hello"],
    "get_task_run": ["Completed", True, 1],
    "create_task_run": "Running",
    "heartbeat_task_run": True,
    "abort_task_run": [True, "Aborted"],
    "list_task_runs": [2, 2, 1],
    "refused": [[404, True], [409, True]],
}


@pytest.fixture(scope="session")
def old_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to import the old client from."""
    folder = tmp_path_factory.mktemp("old-client")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--retries", "1", "--timeout", "9"]
    command = [*pip, "--no-deps", "--no-compile", "--target", str(folder), *PACKAGES]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=180)
    except subprocess.TimeoutExpired:
        lacking("pypi", "libica 2.5.0 could not be installed: it took too long")
    if done.returncode:
        lacking("pypi", f"libica 2.5.0 could not be installed: {done.stderr.strip()[-300:]}")
    return folder


def test_the_old_client_does_all_operations(
    old_client: Path, shared_tes: LocalTes, caller: Caller
) -> None:
    ran = subprocess.run(
        [sys.executable, "-I", "-c", SCRIPT, shared_tes.url, caller.token, str(old_client)],
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert ran.returncode == 0, ran.stderr
    seen = json.loads(ran.stdout)
    assert Path(seen.pop("from")).is_relative_to(old_client)
    assert seen == EXPECTED
