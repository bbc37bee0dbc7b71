"""The operations of TES v1: the method, path and models of each, and what it does.

Operations read the store and make large texts, so they run in threads beside the event loop. One
that changes the store returns without waiting for the disk, which the loop then does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Optional, Union

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
from ..node.staging import check_mounts
from ..store import lists, objects
from ..store.identity import Identity
from ..store.objects import Json
from ..store.rows import dumps
from ..store.store import Store
from . import paging
from .access import Caller, short_lived
from .errors import Refused


@dataclass(frozen=True)
class Service:
    """What the operations work on.

    Attributes:
        store: Tasks, versions and runs.
        scheduler: Starts and stops runs.
        url: Base URL of the service, for the `href` of objects.
        gds: The folder or URL that `gds://` URLs refer to.
    """

    store: Store
    scheduler: Scheduler
    url: str
    gds: str

    def linked(self, summary: str) -> str:
        """Return summaries with absolute `href`s; the store keeps them without the host.

        Text that a user wrote cannot match, since its quotation marks are escaped.
        """
        return summary.replace('"href":"/', f'"href":"{self.url}/')


@dataclass(frozen=True)
class Call:
    """One checked request: caller, ids in the path, query (with lower-case names) and body."""

    caller: Caller
    ids: Mapping[str, str]
    query: Mapping[str, str]
    body: Json

    @property
    def by(self) -> Identity:
        """The user in whose name the caller acts."""
        return self.caller.identity


@dataclass(frozen=True)
class Written:
    """A response that is sent when a change is on disk.

    Attributes:
        future: Is done then.
        respond: Makes the response from the future's result, without taking long.
    """

    future: Future[Any]
    respond: Callable[[Any], bytes]


MAX_FILLED = 8 << 20
"""Bytes that arguments may add to an execution; a small request can ask for a huge one."""

Handler = Callable[[Service, Call], Union[str, Written]]


@dataclass(frozen=True)
class Operation:
    """One operation of the contract.

    Attributes:
        handler: Carries it out and returns the response as JSON, or what it waits for.
        method: Its HTTP method.
        path: Its path, with ids as `{name}`.
        status: The HTTP status of success.
        body: The model of the request body; ``None`` for none.
        returns: The model of the response.
        taken: The HTTP status if a name is taken.
    """

    handler: Handler
    method: str
    path: str
    status: int
    body: Optional[type[Model]]
    returns: type[Model]
    taken: int = 409

    @property
    def name(self) -> str:
        """The operationId."""
        return camel_case(self.handler.__name__)


def create_task(service: Service, call: Call) -> Written:
    """Create a task, with versions if given."""
    task = objects.task(call.body, call.by)
    versions = [
        (objects.version(each, task["id"], call.by), each.get("execution"))
        for each in call.body.get("taskVersions", ())
    ]
    future = service.store.add_task(task, versions)
    shown = _task(service, dumps(task), [(dumps(v), e and dumps(e)) for v, e in versions])
    return _written(future, shown)


def get_task(service: Service, call: Call) -> str:
    """Return a task without its versions."""
    return service.linked(service.store.task(call.ids["taskId"], call.by))


def list_tasks(service: Service, call: Call) -> str:
    """List tasks."""
    return _page(service, call, lists.TASKS)


def update_task(service: Service, call: Call) -> Written:
    """Change the given fields of a task."""
    task_id, by = call.ids["taskId"], call.by

    def change(task: Json) -> Json:
        task.update(call.body)
        return objects.named(objects.changed(task, by), "task", task["name"])

    versions = service.store.versions(task_id, by)
    future = service.store.change_task(task_id, by, change)
    return Written(future, lambda summary: _task(service, summary, versions).encode())


def create_task_version(service: Service, call: Call) -> Written:
    """Add a version to a task."""
    task_id, execution = call.ids["taskId"], call.body.get("execution")
    service.store.task(task_id, call.by)
    version = objects.version(call.body, task_id, call.by)
    future = service.store.add_version(task_id, version, execution)
    return _written(future, _version(service, dumps(version), execution and dumps(execution)))


def get_task_version(service: Service, call: Call) -> str:
    """Return a version."""
    ids = call.ids["taskId"], call.ids["versionId"]
    return _version(service, *service.store.version(*ids, call.by))


def list_task_versions(service: Service, call: Call) -> str:
    """List the versions of a task."""
    service.store.task(call.ids["taskId"], call.by)
    return _page(service, call, lists.VERSIONS, call.ids["taskId"])


def update_task_version(service: Service, call: Call) -> Written:
    """Change the given fields of a version."""
    ids, by = (call.ids["taskId"], call.ids["versionId"]), call.by
    execution = call.body.get("execution")
    given = {name: value for name, value in call.body.items() if name != "execution"}

    def change(version: Json) -> Json:
        version.update(given)
        return objects.named(objects.changed(version, by), "taskversion", version["version"])

    future = service.store.change_version(*ids, by, change, execution)
    return Written(future, lambda changed: _version(service, *changed).encode())


def launch_task_run(service: Service, call: Call) -> Written:
    """Launch a version with arguments for its placeholders.

    Each placeholder needs an argument. Arguments without a placeholder are ignored: the contract
    does not mention them, and scripts use the same arguments for several versions.
    """
    return _start(service, *launched(service, call))


def create_task_run(service: Service, call: Call) -> Written:
    """Run an execution without a task."""
    return _start(service, *created(service, call))


def start_once(service: Service, runs: Sequence[tuple[Json, Json]]) -> Written:
    """Add runs, each with its execution, all or none; the response is how many of them are new.

    This is no operation of the contract. A run whose id is known was started before.
    """

    def respond(added: int) -> bytes:
        service.scheduler.wake()
        return dumps(added).encode()

    return Written(service.store.add_runs(runs), respond)


def launched(service: Service, call: Call, key: str = "") -> tuple[Json, Json]:
    """Return a run of a version, and its execution; its id ends with the key, if one is given."""
    ids = call.ids["taskId"], call.ids["versionId"]
    summary, execution = service.store.version(*ids, call.by)
    if execution is None:
        raise Refused(400, f"Version {ids[1]} has no execution to run")
    version = json.loads(summary)
    inherited = {"name": version["version"], "description": version.get("description")}
    given = {**{name: value for name, value in inherited.items() if value}, **call.body}
    filled = _filled(service, json.loads(execution), call.body.get("arguments", {}))
    run = objects.run(given, filled, call.by, key)
    return {**run, "taskVersionSummary": version}, filled


def created(service: Service, call: Call, key: str = "") -> tuple[Json, Json]:
    """Return a run of a given execution, and the execution; the key is as for `launched`."""
    execution = call.body.get("execution")
    if execution is None:
        raise Refused(400, "$.execution must be given", "$.execution")
    filled = _filled(service, execution, {})
    return objects.run(call.body, filled, call.by, key), filled


def get_task_run(service: Service, call: Call) -> str:
    """Return a run with its execution and logs."""
    return _run(service, *service.store.run(call.ids["runId"], call.by))


def list_task_runs(service: Service, call: Call) -> str:
    """List runs."""
    return _page(service, call, lists.RUNS)


def abort_task_run(service: Service, call: Call) -> Written:
    """Abort a run; one that is running becomes `Aborted` when its command has ended."""
    run_id = call.ids["runId"]

    def respond(summary: str) -> bytes:
        service.scheduler.abort(run_id)
        return service.linked(summary).encode()

    return Written(service.store.abort(run_id, call.by), respond)


def heartbeat_task_run(service: Service, call: Call) -> str:
    """Accept a heartbeat: respond with a fresh token and change nothing.

    The token ends at the latest a day after the use of the access token that it came from. Runs
    of this service have no agents that could be lost, so nothing waits for heartbeats.
    """
    service.store.run(call.ids["runId"], call.by)
    return dumps({"jwt": short_lived(call.caller, service.store.key)})


class _Limited(dict[str, str]):
    """Arguments that can be filled in until the execution gets too large."""

    added = 0

    def __getitem__(self, name: str) -> str:
        value = super().__getitem__(name)
        self.added += len(dumps(value))
        if self.added > MAX_FILLED:
            raise Refused(
                400,
                f"$.arguments must add at most {MAX_FILLED} bytes to the execution; those "
                f"up to {name!r} add {self.added}",
                "$.arguments",
            )
        return value


def _filled(service: Service, execution: Json, arguments: Mapping[str, str]) -> Json:
    """Fill in the placeholders of an execution and check what can be known before it runs."""
    try:
        filled: Json = fill(execution, _Limited(arguments))
        machine_of(filled.get("environment", {}).get("resources"))
        check_mounts(filled, service.gds)
    except ValueError as error:
        missing = sorted(set(find(execution)) - arguments.keys())
        raise Refused(400, f"The execution cannot run: {error}", *missing) from None
    return {**filled, "retryCount": 0}


def _start(service: Service, run: Json, execution: Json) -> Written:
    """Add a run; wake the scheduler when it is on disk."""
    future = service.store.add_run(run, execution)
    response = _run(service, dumps(run), dumps(execution), "[]").encode()

    def respond(_: object) -> bytes:
        service.scheduler.wake()
        return response

    return Written(future, respond)


def _written(future: Future[None], response: str) -> Written:
    encoded = response.encode()
    return Written(future, lambda _: encoded)


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
    # This operation, unlike its siblings, has no 409 in the contract.
    Operation(
        update_task_version,
        "PATCH",
        _VERSION,
        200,
        UpdateTaskVersionRequest,
        TaskVersion,
        taken=400,
    ),
    Operation(launch_task_run, "POST", f"{_VERSION}:launch", 201, LaunchTaskRequest, TaskRun),
)
