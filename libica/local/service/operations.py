"""The operations of TES v1: what each one is called by, and what it does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Optional

from libica.openapi.libtes.models import (
    CreateTaskRequest,
    CreateTaskRunRequest,
    CreateTaskVersionRequest,
    HeartbeatTaskRunRequest,
    LaunchTaskRequest,
    Task,
    TaskRun,
    TaskRunHeartbeat,
    TaskRunSummary,
    TaskRunSummaryPagedItems,
    TaskSummary,
    TaskSummaryPagedItems,
    TaskVersion,
    TaskVersionSummaryPagedItems,
    UpdateTaskRequest,
    UpdateTaskVersionRequest,
)
from libica.openapi.libtes.models.base import Model, camel_case

from ..engine.scheduler import Scheduler
from ..node.machines import machine_of
from ..placeholders import fill, names
from ..store import lists, objects
from ..store.errors import NameTakenError
from ..store.identity import Identity
from ..store.objects import Json
from ..store.store import Store, dumps
from . import paging
from .access import jwt
from .errors import Refused


@dataclass(frozen=True)
class Service:
    """What the operations work on.

    Attributes:
        store: What there is.
        scheduler: What starts and stops runs.
        url: Where the service is, for the addresses of objects.
    """

    store: Store
    scheduler: Scheduler
    url: str

    def linked(self, summary: str) -> str:
        """Return summaries with full addresses; the store keeps them without the host.

        No text within can be taken for one: its quotation marks are escaped.
        """
        return summary.replace('"href":"/', f'"href":"{self.url}/')


@dataclass(frozen=True)
class Call:
    """One call, checked: who calls, with which ids, query (its names in lower case) and body."""

    by: Identity
    ids: Mapping[str, str]
    query: Mapping[str, str]
    body: Json


_MOST_FILLED = 64 << 20  # characters of an execution: few bytes can ask for far more

Handler = Callable[[Service, Call], Coroutine[Any, Any, str]]


@dataclass(frozen=True)
class Operation:
    """One operation of the contract.

    Attributes:
        handler: What it does; gives the answer as JSON.
        method: Its HTTP method.
        path: Its path, with names for ids.
        status: The status of its success.
        body: The model of its body, if it has one.
        answer: The model of its answer.
    """

    handler: Handler
    method: str
    path: str
    status: int
    body: Optional[type[Model]]
    answer: type[Model]

    @property
    def name(self) -> str:
        """Its operationId."""
        return camel_case(self.handler.__name__)


async def create_task(service: Service, call: Call) -> str:
    """Make a task, with versions if they are given."""
    task = objects.task(call.body, call.by)
    versions = [
        (objects.version(each, task["id"], call.by), each.get("execution"))
        for each in call.body.get("taskVersions", ())
    ]
    await asyncio.wrap_future(service.store.add_task(task, versions))
    return _task(service, dumps(task), [(dumps(v), e and dumps(e)) for v, e in versions])


async def get_task(service: Service, call: Call) -> str:
    """Show a task, without its versions."""
    return service.linked(service.store.task(call.ids["taskId"], call.by))


async def list_tasks(service: Service, call: Call) -> str:
    """List the tasks."""
    return _page(service, call, lists.TASKS)


async def update_task(service: Service, call: Call) -> str:
    """Change what is given of a task."""
    task_id, by = call.ids["taskId"], call.by

    def change(task: Json) -> Json:
        task.update(call.body)
        return objects.named(objects.changed(task, by), "task", task["name"])

    summary = await asyncio.wrap_future(service.store.change_task(task_id, by, change))
    return _task(service, summary, service.store.versions(task_id, by))


async def create_task_version(service: Service, call: Call) -> str:
    """Add a version to a task."""
    task_id, execution = call.ids["taskId"], call.body.get("execution")
    service.store.task(task_id, call.by)
    version = objects.version(call.body, task_id, call.by)
    await asyncio.wrap_future(service.store.add_version(task_id, version, execution))
    return _version(service, dumps(version), execution and dumps(execution))


async def get_task_version(service: Service, call: Call) -> str:
    """Show a version."""
    ids = call.ids["taskId"], call.ids["versionId"]
    return _version(service, *service.store.version(*ids, call.by))


async def list_task_versions(service: Service, call: Call) -> str:
    """List the versions of a task."""
    service.store.task(call.ids["taskId"], call.by)
    return _page(service, call, lists.VERSIONS, call.ids["taskId"])


async def update_task_version(service: Service, call: Call) -> str:
    """Change what is given of a version."""
    ids, by = (call.ids["taskId"], call.ids["versionId"]), call.by
    execution = call.body.get("execution")
    given = {name: value for name, value in call.body.items() if name != "execution"}

    def change(version: Json) -> Json:
        version.update(given)
        return objects.named(objects.changed(version, by), "taskversion", version["version"])

    store = service.store
    try:
        changed = await asyncio.wrap_future(store.change_version(*ids, by, change, execution))
    except NameTakenError as error:
        # This operation, unlike its siblings, has no 409 in the contract.
        raise Refused(400, error.message, *error.details) from None
    return _version(service, *changed)


async def launch_task_run(service: Service, call: Call) -> str:
    """Run a version, its placeholders filled in.

    Each placeholder needs an argument. An argument without a placeholder is passed over: the
    contract does not say what to do with it, and scripts share arguments among versions.
    """
    ids = call.ids["taskId"], call.ids["versionId"]
    summary, execution = service.store.version(*ids, call.by)
    if execution is None:
        raise Refused(400, f"Version {ids[1]} has no execution to run")
    version = json.loads(summary)
    inherited = {"name": version["version"], "description": version.get("description")}
    given = {**{name: value for name, value in inherited.items() if value}, **call.body}
    filled = _filled(json.loads(execution), call.body.get("arguments", {}))
    return await _start(service, call.by, given, filled, version)


async def create_task_run(service: Service, call: Call) -> str:
    """Run an execution, without a task."""
    execution = call.body.get("execution")
    if execution is None:
        raise Refused(400, "$.execution must be given: there is nothing to run", "$.execution")
    return await _start(service, call.by, call.body, _filled(execution, {}))


async def get_task_run(service: Service, call: Call) -> str:
    """Show a run, with its execution and logs."""
    return _run(service, *service.store.run(call.ids["runId"], call.by))


async def list_task_runs(service: Service, call: Call) -> str:
    """List the runs."""
    return _page(service, call, lists.RUNS)


async def abort_task_run(service: Service, call: Call) -> str:
    """Stop a run; one that is under way is `Aborted` when its command has ended."""
    run_id = call.ids["runId"]
    summary = await asyncio.wrap_future(service.store.abort(run_id, call.by))
    service.scheduler.abort(run_id)
    return service.linked(summary)


async def heartbeat_task_run(service: Service, call: Call) -> str:
    """Hear that a run goes on; it is answered with a fresh token, and changes nothing.

    The runs of this service have no agents that could be lost, so nothing waits for it.
    """
    service.store.run(call.ids["runId"], call.by)
    return dumps({"jwt": jwt(call.by, service.store.key)})


def _filled(execution: Json, arguments: Mapping[str, str]) -> Json:
    """Fill in the placeholders of an execution that is about to run, and check its machine."""
    longest = max(map(len, arguments.values()), default=0)
    if dumps(execution).count("{{") * longest > _MOST_FILLED:
        raise Refused(400, f"$.arguments must not fill in more than {_MOST_FILLED} characters")
    try:
        filled: Json = fill(execution, arguments)
        machine_of(filled.get("environment", {}).get("resources"))
    except ValueError as error:
        missing = sorted(names(execution) - arguments.keys())
        raise Refused(400, f"The execution cannot run: {error}", *missing) from None
    return {**filled, "retryCount": 0}


async def _start(
    service: Service, by: Identity, given: Json, execution: Json, version: Optional[Json] = None
) -> str:
    """Add a run and have it started when its turn comes."""
    run = objects.run(given, execution, by)
    if version is not None:
        run["taskVersionSummary"] = version
    await asyncio.wrap_future(service.store.add_run(run, execution))
    service.scheduler.wake()
    return _run(service, dumps(run), dumps(execution), "[]")


def _task(service: Service, summary: str, versions: list[Any]) -> str:
    shown = ",".join(_version(service, *version) for version in versions)
    return _with(service.linked(summary), taskVersions=f"[{shown}]")


def _version(service: Service, summary: str, execution: Optional[str]) -> str:
    linked = service.linked(summary)
    return linked if execution is None else _with(linked, execution=execution)


def _run(service: Service, summary: str, execution: str, logs: str) -> str:
    raw = dumps(execution)
    return _with(service.linked(summary), execution=execution, logs=logs, executionRawJson=raw)


def _page(service: Service, call: Call, listing: lists.Listing, scope: str = "") -> str:
    store = service.store
    cursor = paging.read(listing, scope, call.query, store.key)
    page = store.page(listing, cursor, call.by, paging.wants_total(call.query))
    items = service.linked(",".join(page.items))
    return _with(dumps(paging.envelope(page, store.key)), items=f"[{items}]")


def _with(content: str, **more: str) -> str:
    """Return a JSON object with more members, each of them JSON."""
    return ",".join([content[:-1], *(f'"{name}":{value}' for name, value in more.items())]) + "}"


_TASK = "/v1/tasks/{taskId}"
_VERSIONS = f"{_TASK}/versions"
_VERSION = f"{_VERSIONS}/{{versionId}}"
_RUNS = "/v1/tasks/runs"
_RUN = f"{_RUNS}/{{runId}}"

# Runs come first: their path could also be that of a task.
OPERATIONS = (
    Operation(list_task_runs, "GET", _RUNS, 200, None, TaskRunSummaryPagedItems),
    Operation(create_task_run, "POST", _RUNS, 201, CreateTaskRunRequest, TaskRun),
    Operation(get_task_run, "GET", _RUN, 200, None, TaskRun),
    Operation(abort_task_run, "PUT", f"{_RUN}:abort", 200, None, TaskRunSummary),
    Operation(
        heartbeat_task_run,
        "POST",
        f"{_RUN}:heartbeat",
        200,
        HeartbeatTaskRunRequest,
        TaskRunHeartbeat,
    ),
    Operation(list_tasks, "GET", "/v1/tasks", 200, None, TaskSummaryPagedItems),
    Operation(create_task, "POST", "/v1/tasks", 201, CreateTaskRequest, Task),
    Operation(get_task, "GET", _TASK, 200, None, TaskSummary),
    Operation(update_task, "PATCH", _TASK, 200, UpdateTaskRequest, Task),
    Operation(list_task_versions, "GET", _VERSIONS, 200, None, TaskVersionSummaryPagedItems),
    Operation(create_task_version, "POST", _VERSIONS, 201, CreateTaskVersionRequest, TaskVersion),
    Operation(get_task_version, "GET", _VERSION, 200, None, TaskVersion),
    Operation(update_task_version, "PATCH", _VERSION, 200, UpdateTaskVersionRequest, TaskVersion),
    Operation(launch_task_run, "POST", f"{_VERSION}:launch", 201, LaunchTaskRequest, TaskRun),
)
