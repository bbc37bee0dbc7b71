"""What type checkers make of each call; never run, only read by them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Optional

from typing_extensions import assert_type
from urllib3 import HTTPHeaderDict
from urllib3.response import BaseHTTPResponse

from libica.openapi import libtes
from libica.openapi.libtes import (
    AsyncResult,
    Task,
    TaskRun,
    TaskRunHeartbeat,
    TaskRunSummary,
    TaskRunSummaryPagedItems,
    TaskSummary,
    TaskSummaryPagedItems,
    TaskVersion,
    TaskVersionSummary,
    TaskVersionSummaryPagedItems,
)
from libica.openapi.libtes.api.tasks_api import TasksApi
from libica.openapi.libtes.models.task import Task as TaskOfItsModule
from libica.openapi.libtes.rest import ApiException

client = libtes.ApiClient(libtes.Configuration(host="https://tes.example"))
tasks = libtes.TasksApi(client)
versions = libtes.TaskVersionsApi(client)
runs = libtes.TaskRunsApi()

# Plain calls

assert_type(tasks.list_tasks(), TaskSummaryPagedItems)
assert_type(tasks.create_task(body=libtes.CreateTaskRequest(name="x")), Task)
assert_type(tasks.get_task("t"), TaskSummary)
assert_type(tasks.update_task("t", body=libtes.UpdateTaskRequest()), Task)
assert_type(versions.list_task_versions("t"), TaskVersionSummaryPagedItems)
assert_type(versions.create_task_version("t", body={"version": "1"}), TaskVersion)
assert_type(versions.get_task_version("t", "v"), TaskVersion)
assert_type(versions.update_task_version("t", "v", body={}), TaskVersion)
assert_type(versions.launch_task_run("t", "v", body=libtes.LaunchTaskRequest()), TaskRun)
assert_type(runs.list_task_runs(), TaskRunSummaryPagedItems)
assert_type(runs.create_task_run(body={"Execution": {"Image": {"Name": "x"}}}), TaskRun)
assert_type(runs.get_task_run("r"), TaskRun)
assert_type(runs.abort_task_run("r"), TaskRunSummary)
assert_type(runs.heartbeat_task_run("r", body=libtes.HeartbeatTaskRunRequest()), TaskRunHeartbeat)

assert_type(tasks.get_task(task_id="t"), TaskSummary)
assert_type(versions.get_task_version("t", version_id="v"), TaskVersion)
assert_type(versions.get_task_version(task_id="t", version_id="v"), TaskVersion)
assert_type(versions.launch_task_run("t", "v"), TaskRun)
assert_type(versions.launch_task_run("t", "v", body=None), TaskRun)

# An id may be passed on from an answer, where type checkers think that it may be missing

assert_type(runs.get_task_run(versions.launch_task_run("t", "v", body={}).id), TaskRun)
assert_type(versions.get_task_version(tasks.get_task("t").id, version_id=None), TaskVersion)

# Options and the query

assert_type(tasks.get_task("t", _request_timeout=30), TaskSummary)
assert_type(tasks.get_task("t", _request_timeout=0.5), TaskSummary)
assert_type(tasks.get_task("t", _request_timeout=(5, 30.0)), TaskSummary)
assert_type(tasks.get_task("t", _request_timeout=(None, 30)), TaskSummary)
assert_type(tasks.get_task("t", _request_timeout=None), TaskSummary)
assert_type(tasks.get_task("t", async_req=False, _preload_content=True), TaskSummary)
assert_type(
    tasks.list_tasks(
        names=["a", "b"], acls="tid:x", page_size=10, sort="name asc", page_token="next"
    ),
    TaskSummaryPagedItems,
)
assert_type(
    versions.list_task_versions("t", versions="1", ids=("a",), acls=None, page_size=None),
    TaskVersionSummaryPagedItems,
)
assert_type(
    runs.list_task_runs(names="a", status=["Running"], versions=["v"], acls=["tid:x"]),
    TaskRunSummaryPagedItems,
)

# In the background

assert_type(tasks.get_task("t", async_req=True), AsyncResult[TaskSummary])
assert_type(tasks.get_task("t", async_req=True).get(), TaskSummary)
assert_type(tasks.get_task("t", async_req=True).get(timeout=5), TaskSummary)
assert_type(tasks.get_task("t", async_req=True).wait(5), None)
assert_type(tasks.get_task("t", async_req=True).ready(), bool)
assert_type(tasks.get_task("t", async_req=True).successful(), bool)
assert_type(versions.launch_task_run("t", "v", body={}, async_req=True).get(), TaskRun)
assert_type(runs.list_task_runs(page_size=5, async_req=True), AsyncResult[TaskRunSummaryPagedItems])

# The answer as it is

assert_type(tasks.get_task("t", _preload_content=False), BaseHTTPResponse)
assert_type(runs.create_task_run(body={}, _preload_content=False).status, int)
assert_type(runs.create_task_run(body={}, _preload_content=False).data, bytes)
assert_type(runs.get_task_run("r", _preload_content=False).headers, HTTPHeaderDict)

# Both, and options that are not known before

assert_type(tasks.get_task("t", async_req=True, _preload_content=False), Any)
assert_type(tasks.get_task("t", async_req=bool(client.cookie), _preload_content=False), Any)
options: dict[str, Any] = {"_request_timeout": 5}
assert_type(tasks.get_task("t", **options), Any)
assert_type(tasks.iter_tasks(page_size=5, **options), Iterator[TaskSummary])

# Data, status and headers

assert_type(tasks.get_task_with_http_info("t"), tuple[TaskSummary, int, HTTPHeaderDict])
assert_type(
    versions.launch_task_run_with_http_info("t", "v", body={}), tuple[TaskRun, int, HTTPHeaderDict]
)
assert_type(
    runs.get_task_run_with_http_info("r", async_req=True),
    AsyncResult[tuple[TaskRun, int, HTTPHeaderDict]],
)
assert_type(runs.get_task_run_with_http_info("r", _preload_content=False), BaseHTTPResponse)
run, status, headers = runs.get_task_run_with_http_info("r")
assert_type(run, TaskRun)
assert_type(status, int)
assert_type(headers["Content-Type"], str)
assert_type(runs.get_task_run_with_http_info("r", _return_http_data_only=True), TaskRun)
assert_type(
    runs.get_task_run_with_http_info("r", _return_http_data_only=False),
    tuple[TaskRun, int, HTTPHeaderDict],
)
assert_type(runs.get_task_run("r", _return_http_data_only=True), TaskRun)
assert_type(runs.get_task_run("r", _return_http_data_only=False), TaskRun)
assert_type(versions.launch_task_run("t", "v", body={}, _return_http_data_only=True), TaskRun)

# Walks

assert_type(tasks.iter_tasks(), Iterator[TaskSummary])
assert_type(tasks.iter_tasks(names=["a"], page_size=100, _request_timeout=5), Iterator[TaskSummary])
assert_type(versions.iter_task_versions("t"), Iterator[TaskVersionSummary])
assert_type(versions.iter_task_versions(task_id="t", sort="version"), Iterator[TaskVersionSummary])
assert_type(runs.iter_task_runs(status="Running"), Iterator[TaskRunSummary])
for each in runs.iter_task_runs():
    assert_type(each.status, Optional[str])

# What stands around the calls

with client as same:
    assert_type(same, libtes.ApiClient)
assert_type(client.user_agent, str)
assert_type(libtes.Configuration.get_default_copy(), libtes.Configuration)
assert_type(libtes.Configuration.from_env().api_key, dict[str, str])
assert_type(TasksApi(api_client=client).get_task("t"), TaskSummary)
assert_type(TaskOfItsModule().task_versions, Optional[list[TaskVersion]])
try:
    runs.get_task_run("r")
except ApiException as exception:
    assert_type(exception.status, Optional[int])
    assert_type(exception.body, Optional[str])
    assert_type(exception.headers, Optional[Mapping[str, str]])
    assert_type(exception.code, Optional[str])
    assert_type(exception.may_have_happened, bool)
