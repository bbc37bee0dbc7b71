"""What type checkers make of the models; never run, only read by them."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, Optional

from typing_extensions import assert_type

from libica.openapi import libtes
from libica.openapi.libtes import (
    Credentials,
    Environment,
    Execution,
    Image,
    InputMountMappingWithCreds,
    MountMappingWithCreds,
    TaskRun,
    TaskRunLogs,
    TaskVersionSummary,
)

# Every field may be missing

run = TaskRun()
assert_type(run.id, Optional[str])
assert_type(run.time_created, Optional[datetime])
assert_type(run.execution, Optional[Execution])
assert_type(run.task_version_summary, Optional[TaskVersionSummary])
assert_type(run.logs, Optional[list[TaskRunLogs]])
assert_type(run.acl, Optional[list[str]])
if run.execution and run.execution.environment and run.execution.environment.resources:
    assert_type(run.execution.args, Optional[list[str]])
    assert_type(run.execution.retry_limit, Optional[int])
    assert_type(run.execution.inputs, Optional[list[InputMountMappingWithCreds]])
    assert_type(run.execution.outputs, Optional[list[MountMappingWithCreds]])
    assert_type(run.execution.environment.variables, Optional[dict[str, str]])
    assert_type(run.execution.environment.resources.cpu_cores, Optional[float])
assert_type(Image(name="x").name, Optional[str])
assert_type(libtes.HeartbeatTaskRunRequest().last_heartbeat, Optional[bool])
assert_type(libtes.ErrorResponse().details, Optional[list[object]])
page = libtes.TaskRunSummaryPagedItems()
assert_type(page.items, Optional[list[libtes.TaskRunSummary]])
assert_type(page.next_page_token, Optional[str])
assert_type(page.total_item_count, Optional[int])

# A model or a dict may stand for a model

Execution(image=Image(name="x", credentials=Credentials(username="me", password="secret")))
Execution(image={"Name": "x"}, environment={"Resources": {"Size": "small"}})
Execution(inputs=[InputMountMappingWithCreds(path="/a"), {"Path": "/b", "unknown": [1]}])
Execution(inputs=[], outputs=({"path": "/out"},), environment=Environment())
libtes.CreateTaskRunRequest(name="x", execution={"Command": "bwa", "unknown": None})
libtes.CreateTaskRequest("x", None, ["tid:x"], [{"version": "1"}])
libtes.CreateTaskVersionRequest("1", "first", Execution())
libtes.LaunchTaskRequest("x", "why", {"sample": "1"}, ["tid:x"])
libtes.LaunchTaskRequest(local_vars_configuration=libtes.Configuration())
libtes.TaskRun(time_created=datetime.now(timezone.utc), logs=[TaskRunLogs()])
run.execution = Execution()
run.execution = {"Command": "bwa"}
run.execution = None
run.logs = [{"stdout": "x"}, TaskRunLogs()]
run.status = "Running"
run.status = None

# What a model can do

assert_type(run.to_dict(), dict[str, Any])
assert_type(run.to_str(), str)
assert_type(run == run, bool)
assert_type(TaskRun.openapi_types, dict[str, str])
assert_type(run.attribute_map["id"], str)
