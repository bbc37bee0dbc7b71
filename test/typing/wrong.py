"""What type checkers must refuse: a mark that is not needed is an error too."""

from __future__ import annotations

from libica.openapi import libtes

tasks = libtes.TasksApi()
versions = libtes.TaskVersionsApi()
runs = libtes.TaskRunsApi()

# Calls

tasks.get_task()  # type: ignore
tasks.get_task(5)  # type: ignore
tasks.get_task("t", "v")  # type: ignore
tasks.get_task("t", bogus=1)  # type: ignore
tasks.get_task(taskId="t")  # type: ignore
tasks.get_task("t", _request_timeout="30")  # type: ignore
tasks.get_task("t", _request_timeout=(1, 2, 3))  # type: ignore
tasks.get_task("t", body={})  # type: ignore
tasks.create_task({"name": "x"})  # type: ignore
tasks.create_task(body=[])  # type: ignore
tasks.create_task(body=libtes.LaunchTaskRequest())  # type: ignore
tasks.list_tasks(page_size="10")  # type: ignore
tasks.list_tasks(names=[5])  # type: ignore
tasks.list_tasks(sort=["name"])  # type: ignore
tasks.list_tasks(status="Running")  # type: ignore
versions.get_task_version("t")  # type: ignore
versions.launch_task_run("t", "v", body=libtes.CreateTaskRunRequest())  # type: ignore
runs.get_task_run_with_http_info()  # type: ignore
tasks.list_tasks(page_sise=10, async_req=True)  # type: ignore
tasks.list_tasks(page_size="10", async_req=True)  # type: ignore
tasks.list_tasks(page_sise=10, _preload_content=False)  # type: ignore
tasks.get_task(5, _preload_content=False)  # type: ignore
tasks.get_task(async_req=True)  # type: ignore
tasks.get_task("t", "v", async_req=True)  # type: ignore
tasks.get_task("t", async_req="yes")  # type: ignore
versions.launch_task_run("t", "v", body=[], async_req=True)  # type: ignore
runs.list_task_runs_with_http_info(page_sise=10)  # type: ignore
runs.list_task_runs_with_http_info(page_sise=10, async_req=True)  # type: ignore
runs.list_task_runs_with_http_info(page_sise=10, _return_http_data_only=True)  # type: ignore
print(runs.get_task_run("r").no_such_field)  # type: ignore
tasks.iter_tasks(bogus=1)  # type: ignore
tasks.iter_tasks(async_req=True)  # type: ignore
versions.iter_task_versions()  # type: ignore
tasks.no_such_method()  # type: ignore

# Models

libtes.Image()  # type: ignore[call-arg]
libtes.Image(name=5)  # type: ignore[arg-type]
libtes.Image(name="x", bogus=1)  # type: ignore[call-arg]
libtes.CreateTaskRequest()  # type: ignore[call-arg]
libtes.Execution(image="bwa")  # type: ignore[arg-type]
libtes.Execution(args="mem")  # type: ignore[arg-type]
libtes.Execution(inputs={"path": "/a"})  # type: ignore[arg-type]
libtes.Execution(inputs=[libtes.Image(name="x")])  # type: ignore[list-item]
libtes.Execution(retry_limit="3")  # type: ignore[arg-type]
libtes.LaunchTaskRequest(arguments={"n": 1})  # type: ignore[dict-item]
libtes.TaskRun(time_created="2021-03-08")  # type: ignore[arg-type]
run = libtes.TaskRun()
run.status = 5  # type: ignore[assignment]
run.execution = libtes.Image(name="x")  # type: ignore[assignment]
run.no_such_field = 1  # type: ignore[attr-defined]
run.status.upper()  # type: ignore[union-attr]
libtes.NoSuchModel()  # type: ignore[attr-defined]

# What stands around them

libtes.Configuration(host=5)  # type: ignore[arg-type]
libtes.Configuration(token="x")  # type: ignore[call-arg]
libtes.ApiClient("https://tes.example")  # type: ignore[arg-type]
libtes.TasksApi(libtes.Configuration())  # type: ignore[arg-type]
