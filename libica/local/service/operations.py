"""The operations of TES v1: the method, path and models of each, and what it does."""

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
from libica.openapi.libtes.placeholders import fill, find

from ..engine.scheduler import Scheduler
from ..node.machines import machine_of
from ..store import lists, objects
from ..store.errors import NameTakenError
from ..store.identity import Identity
from ..store.objects import Json
from ..store.rows import dumps
from ..store.store import Store
from . import paging
from .access import jwt
from .errors import Refused


@dataclass(frozen=True)
class Service:
    """What the operations work on.

    Attributes:
        store: Tasks, versions and runs.
        scheduler: Starts and stops runs.
        url: Base URL of the service, for the `href` of objects.
    """

    store: Store
    scheduler: Scheduler
    url: str

    def linked(self, summary: str) -> str:
        """Return summaries with absolute `href`s; the store keeps them without the host.

        Text that a user wrote cannot match, since its quotation marks are escaped.
        """
        return summary.replace('"href":"/', f'"href":"{self.url}/')


@dataclass(frozen=True)
class Call:
    """One checked request: caller, ids in the path, query (with lower-case names) and body."""

    by: Identity
    ids: Mapping[str, str]
    query: Mapping[str, str]
    body: Json


_MAX_FILLED = 64 << 20  # characters; a small request can ask for a huge execution

Handler = Callable[[Service, Call], Coroutine[Any, Any, str]]


@dataclass(frozen=True)
class Operation:
    """One operation of the contract.

    Attributes:
        handler: Carries it out and returns the response as JSON.
        method: Its HTTP method.
        path: Its path, with ids as `{name}`.
        status: The HTTP status of success.
        body: The model of the request body; ``None`` for none.
        returns: The model of the response.
    """

    handler: Handler
    method: str
    path: str
    status: int
    body: Optional[type[Model]]
    returns: type[Model]

    @property
    def name(self) -> str:
        """The operationId."""
        return camel_case(self.handler.__name__)


async def create_task(service: Service, call: Call) -> str:
    """Create a task, with versions if given."""
    task = objects.task(call.body, call.by)
    versions = [
        (objects.version(each, task["id"], call.by), each.get("execution"))
        for each in call.body.get("taskVersions", ())
    ]
    await asyncio.wrap_future(service.store.add_task(task, versions))
    return _task(service, dumps(task), [(dumps(v), e and dumps(e)) for v, e in versions])


async def get_task(service: Service, call: Call) -> str:
    """Return a task without its versions."""
    return service.linked(service.store.task(call.ids["taskId"], call.by))


async def list_tasks(service: Service, call: Call) -> str:
    """List tasks."""
    return _page(service, call, lists.TASKS)


async def update_task(service: Service, call: Call) -> str:
    """Change the given fields of a task."""
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
    """Return a version."""
    ids = call.ids["taskId"], call.ids["versionId"]
    return _version(service, *service.store.version(*ids, call.by))


async def list_task_versions(service: Service, call: Call) -> str:
    """List the versions of a task."""
    service.store.task(call.ids["taskId"], call.by)
    return _page(service, call, lists.VERSIONS, call.ids["taskId"])


async def update_task_version(service: Service, call: Call) -> str:
    """Change the given fields of a version."""
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
    """Launch a version with arguments for its placeholders.

    Each placeholder needs an argument. Arguments without a placeholder are ignored: the contract
    does not mention them, and scripts use the same arguments for several versions.
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
    """Run an execution without a task."""
    execution = call.body.get("execution")
    if execution is None:
        raise Refused(400, "$.execution must be given", "$.execution")
    return await _start(service, call.by, call.body, _filled(execution, {}))


async def get_task_run(service: Service, call: Call) -> str:
    """Return a run with its execution and logs."""
    return _run(service, *service.store.run(call.ids["runId"], call.by))


async def list_task_runs(service: Service, call: Call) -> str:
    """List runs."""
    return _page(service, call, lists.RUNS)


async def abort_task_run(service: Service, call: Call) -> str:
    """Abort a run; one that is running becomes `Aborted` when its command has ended."""
    run_id = call.ids["runId"]
    summary = await asyncio.wrap_future(service.store.abort(run_id, call.by))
    service.scheduler.abort(run_id)
    return service.linked(summary)


async def heartbeat_task_run(service: Service, call: Call) -> str:
    """Accept a heartbeat: respond with a fresh token and change nothing.

    Runs of this service have no agents that could be lost, so nothing waits for heartbeats.
    """
    service.store.run(call.ids["runId"], call.by)
    return dumps({"jwt": jwt(call.by, service.store.key)})


def _filled(execution: Json, arguments: Mapping[str, str]) -> Json:
    """Fill in the placeholders of an execution and check the machine that it asks for."""
    longest = max(map(len, arguments.values()), default=0)
    if dumps(execution).count("{{") * longest > _MAX_FILLED:
        raise Refused(400, f"$.arguments must not expand to more than {_MAX_FILLED} characters")
    try:
        filled: Json = fill(execution, arguments)
        machine_of(filled.get("environment", {}).get("resources"))
    except ValueError as error:
        missing = sorted(set(find(execution)) - arguments.keys())
        raise Refused(400, f"The execution cannot run: {error}", *missing) from None
    return {**filled, "retryCount": 0}


async def _start(
    service: Service, by: Identity, given: Json, execution: Json, version: Optional[Json] = None
) -> str:
    """Add a run and wake the scheduler."""
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
    """Return a JSON object with more members, whose values are JSON."""
    return ",".join([content[:-1], *(f'"{name}":{value}' for name, value in more.items())]) + "}"


_TASK = "/v1/tasks/{taskId}"
_VERSIONS = f"{_TASK}/versions"
_VERSION = f"{_VERSIONS}/{{versionId}}"
_RUNS = "/v1/tasks/runs"
_RUN = f"{_RUNS}/{{runId}}"

# Runs come first, since the path of a task would match theirs.
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
