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

# Of what it needs only what TES does; it calls what urllib3 2 deprecates.
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
said = {}


def execution(command, *args):
    return libtes.Execution(
        image=libtes.Image(name="alpine", tag="3"), command=command, args=list(args), retry_limit=0
    )


def paged(list_page, **options):
    page = list_page(page_size=2, **options)
    sizes = [len(page.items)]
    while page.next_page_token:
        page = list_page(page_size=2, page_token=page.next_page_token)
        sizes.append(len(page.items))
    return sizes


def waited(run_id, *statuses):
    until = time.monotonic() + 60
    run = runs.get_task_run(run_id)
    while run.status not in statuses and time.monotonic() < until:
        time.sleep(0.05)
        run = runs.get_task_run(run_id)
    return run


with libtes.ApiClient(configuration) as client:
    tasks, versions = libtes.TasksApi(client), libtes.TaskVersionsApi(client)
    runs = libtes.TaskRunsApi(client)

    made = [
        tasks.create_task(body=libtes.CreateTaskRequest(name=f"task {i}", description="one"))
        for i in range(5)
    ]
    said["create_task"] = [task.name for task in made]
    task = made[0]
    said["update_task"] = tasks.update_task(
        task.id, body=libtes.UpdateTaskRequest(description="two")
    ).description
    said["get_task"] = tasks.get_task(task.id).description
    said["list_tasks"] = paged(tasks.list_tasks, sort="name desc")

    first, *_ = [
        versions.create_task_version(
            task.id,
            body=libtes.CreateTaskVersionRequest(
                version=f"{i}", execution=execution("echo", "{{word}}")
            ),
        )
        for i in range(3)
    ]
    said["create_task_version"] = first.execution.args
    said["update_task_version"] = versions.update_task_version(
        task.id, first.id, body=libtes.UpdateTaskVersionRequest(version="first")
    ).version
    said["get_task_version"] = versions.get_task_version(task.id, first.id).version
    said["list_task_versions"] = paged(lambda **more: versions.list_task_versions(task.id, **more))

    launched = versions.launch_task_run(
        task.id, first.id, body=libtes.LaunchTaskRequest(name="run", arguments={"word": "hello"})
    )
    said["launch_task_run"] = launched.execution.args
    run = waited(launched.id, "Completed", "Failed", "TimedOut", "Aborted")
    said["get_task_run"] = [run.status, run.time_created.tzinfo is not None, len(run.logs)]

    new = runs.create_task_run(
        body=libtes.CreateTaskRunRequest(name="long", execution=execution("sleep", "600"))
    )
    said["create_task_run"] = waited(new.id, "Running", "Failed").status
    said["heartbeat_task_run"] = bool(
        runs.heartbeat_task_run(new.id, body=libtes.HeartbeatTaskRunRequest()).jwt
    )
    said["abort_task_run"] = [
        runs.abort_task_run(new.id).id == new.id, waited(new.id, "Aborted", "Completed").status
    ]
    for i in range(3):
        runs.create_task_run(body=libtes.CreateTaskRunRequest(execution=execution("true")))
    said["list_task_runs"] = paged(runs.list_task_runs, sort="timeCreated desc")

    for call in (
        lambda: tasks.get_task("tdn." + "0" * 32),
        lambda: tasks.create_task(body=libtes.CreateTaskRequest(name="task 0")),
    ):
        try:
            call()
        except libtes.ApiException as error:
            said.setdefault("refused", []).append([error.status, "message" in error.body])

said["from"] = libtes.__file__
print(json.dumps(said))
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


def test_old_client_does_all_operations(
    old_client: Path, shared_tes: LocalTes, caller: Caller
) -> None:
    ran = subprocess.run(
        [sys.executable, "-I", "-c", SCRIPT, shared_tes.url, caller.token, str(old_client)],
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert ran.returncode == 0, ran.stderr
    said = json.loads(ran.stdout)
    assert Path(said.pop("from")).is_relative_to(old_client)
    assert said == EXPECTED
