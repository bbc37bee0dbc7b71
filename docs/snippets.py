"""The examples of the reference pages, assembled from the declarations of methods and models."""

from __future__ import annotations

import json
import operator
import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, Optional, get_args

from libica.openapi import libtes
from libica.openapi.libtes.api.endpoint import Endpoint
from libica.openapi.libtes.models.base import Model, ModelType

WIDTH = 88


class Code(str):
    """A value that is inserted verbatim."""


# Arguments of each model: `...` stands for the sample of the nested model, a dict for that
# sample with changes.
SAMPLES: dict[str, Mapping[str, Any]] = {
    "ContainerState": {"running": ...},
    "ContainerStateRunning": {"started_at": Code("datetime.now(timezone.utc)")},
    "ContainerStateTerminated": {"exit_code": 0, "reason": "Completed"},
    "ContainerStateWaiting": {"reason": "ContainerCreating"},
    "ContainerStatus": {"name": "main", "state": ...},
    "CreateTaskRequest": {"name": Code('f"example-{uuid.uuid4()}"'), "task_versions": ...},
    "CreateTaskRunRequest": {"name": "hello", "execution": {"args": ["Hello"]}},
    "CreateTaskVersionRequest": {"version": "1.0.0", "execution": ...},
    "Credentials": {
        "username": "reader",
        "password": Code('os.environ.get("REGISTRY_PASSWORD", "")'),
    },
    "Environment": {"variables": {"LANG": "C.UTF-8"}, "resources": ...},
    "Execution": {"image": ..., "command": "echo", "args": ["Hello, {{name}}"]},
    "HeartbeatTaskRunRequest": {"pod_name": "hello-0", "container_status": ...},
    "Image": {"name": "public.ecr.aws/docker/library/alpine", "tag": "3.20"},
    "InputMountMappingWithCreds": {
        "url": "gds://volume/sample.bam",
        "path": "/data/sample.bam",
        "mode": "stream",
    },
    "InputStreamSettings": {"cache_size_gb": 100, "prefetch_blocks": 16},
    "LaunchTaskRequest": {"name": "hello", "arguments": {"name": "World"}},
    "MountMappingWithCreds": {"path": "/data/results", "url": "gds://volume/results"},
    "Resources": {"type": "standardHiCpu", "size": "medium", "tier": "economy"},
    "SystemFiles": {"url": "gds://volume/logs"},
    "UpdateTaskRequest": {"description": "Says hello."},
    "UpdateTaskVersionRequest": {"description": "Says hello."},
}

# Models that are created in a separate statement when they are part of another.
OWN_STATEMENT = ("ContainerState", "ContainerStatus", "CreateTaskVersionRequest", "Execution")

# Examples of the page on cohorts, which build on one another in this order.
OF_BATCH = {
    "launch_all": """\
from libica import batch
from libica.openapi import libtes

client = libtes.ApiClient(libtes.Configuration.from_env())
execution = {"image": {"name": "alpine"}, "command": "echo", "args": ["{{sample}}"]}
task = libtes.TasksApi(client).create_task(
    body={"name": "echo", "taskVersions": [{"version": "1.0.0", "execution": execution}]}
)
version = next(libtes.TaskVersionsApi(client).iter_task_versions(task.id))
launches = [{"name": each, "sample": each} for each in ("NA12878", "NA12891")]
report = batch.launch_all(client, task.id, version.id, launches, journal="cohort.jsonl")""",
    "wait_all": """\
report = batch.wait_all(client, report, timeout=3600)
print(report.summary())""",
    "live": "batch.live(report)",
    "relaunch": 'report = batch.relaunch(client, "cohort.jsonl", launches)',
    "abort_all": "report = batch.abort_all(client, report)",
    "wait": """\
launch = batch.wait(client, report[0].run_id)
print(launch.status, launch.why)""",
    "duration": "print(batch.duration(launch))",
    "is_finished": "print(batch.is_finished(launch))",
    "placeholders": "print(batch.placeholders(execution))  # ['sample']",
    "Launch": """\
for launch in report:
    print(launch.name, launch.outcome, launch.why)""",
    "Report": """\
saved = batch.Report.from_journal("cohort.jsonl")
print(saved.failed)
report.to_csv("report.csv")
report.to_html("report.html")""",
}

# How to create the object for the last id that a method takes: the model of the body, changes to
# its sample, the call, and the arguments that result.
_TASK = "created = {TasksApi}.create_task(body=new)"
_RUN = "created = {TaskRunsApi}.create_task_run(body=new)"
NEEDS: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "task_id": ("CreateTaskRequest", {"task_versions": None}, _TASK, "created.id"),
    "version_id": ("CreateTaskRequest", {}, _TASK, "created.id, created.task_versions[0].id"),
    "run_id": ("CreateTaskRunRequest", {}, _RUN, "created.id"),
}

# Query parameters. An example shows the first two that the method accepts.
QUERY = {"status": '"Completed"', "sort": '"timeCreated desc"', "page_size": "20"}

# What an example prints of a response.
SHOWN = {
    "Task": "task.id, task.name",
    "TaskSummary": "task.id, task.name",
    "TaskVersion": "version.id, version.version",
    "TaskVersionSummary": "version.id, version.version",
    "TaskRun": "run.id, run.status",
    "TaskRunSummary": "run.id, run.status",
    "TaskRunHeartbeat": "heartbeat",
}

# How to read a model: the method that returns it, and what to do with it if not as in SHOWN.
READING = {
    "Task": (
        "TasksApi.create_task",
        "for version in task.task_versions:\n    print(version.id, version.version)",
    ),
    "TaskRun": (
        "TaskRunsApi.get_task_run",
        "print(run.name, run.status, run.time_created)\nprint(run.execution.command)",
    ),
    "TaskRunHeartbeat": ("TaskRunsApi.heartbeat_task_run", None),
    "TaskRunLogs": (
        "TaskRunsApi.get_task_run",
        "for log in run.logs or []:\n    print(log.start_time, log.end_time, log.stdout)",
    ),
    "TaskRunSummary": ("TaskRunsApi.iter_task_runs", None),
    "TaskRunSummaryPagedItems": ("TaskRunsApi.list_task_runs", None),
    "TaskSummary": ("TasksApi.get_task", "print(task.name, task.time_created)"),
    "TaskSummaryPagedItems": ("TasksApi.list_tasks", None),
    "TaskVersion": (
        "TaskVersionsApi.get_task_version",
        "print(version.version, version.execution.image.name)",
    ),
    "TaskVersionSummary": ("TaskVersionsApi.iter_task_versions", None),
    "TaskVersionSummaryPagedItems": ("TaskVersionsApi.list_task_versions", None),
}

ERROR_RESPONSE = """\
try:
    api.get_task("tdn." + 32 * "0")
except libtes.NotFoundException as error:
    print(error.code, error.message, error.details)"""


def of_method(endpoint: Endpoint, walk: bool) -> str:
    """Return the example for a method, or for iterating over its pages."""
    use = _use(endpoint, walk)
    return _script(endpoint, f"try:\n{_indented(use)}\n{_caught(endpoint)}")


def of_options(endpoint: Endpoint) -> str:
    """Return the example for the options and the variant of a method that returns a page."""
    given = ", ".join(_given(endpoint))
    use = [
        f"page, status, headers = api.{endpoint.name}_with_http_info({given})",
        "print(status, len(page.items))",
        f"future = api.{endpoint.name}({', '.join([*_given(endpoint), 'async_req=True'])})",
        "print(len(future.get(timeout=60).items))",
    ]
    return _script(endpoint, "\n".join(use))


def of_model(model: type[Model]) -> str:
    """Return the example for a model: how to create it, or how to read it."""
    name = model.__name__
    if name in SAMPLES:
        variable = "body" if name.endswith("Request") else _variable(name)
        shown = f'print({variable})\nprint({variable}.to_dict()["{next(iter(SAMPLES[name]))}"])'
        return _with_imports(f"{_make(name, variable)}\n{shown}")
    if name == "ErrorResponse":
        return _script(_endpoint("TasksApi.list_tasks"), ERROR_RESPONSE)
    endpoint = _endpoint(READING[name][0])
    method = READING[name][0].partition(".")[2]
    return _script(endpoint, _use(endpoint, method != endpoint.name, READING[name][1]))


def _endpoint(method: str) -> Endpoint:
    """Return the declaration of a method, as of ``TasksApi.get_task``."""
    found: Endpoint = operator.attrgetter(f"{method}.endpoint")(libtes)
    return found


def item_of(page: type[Model]) -> Optional[type[Model]]:
    """Return the model of the items, or ``None`` if this model is not a page."""
    items = page._fields.get("items")
    return model_in(items.type) if items else None


def model_in(declared: Any) -> Optional[type[Model]]:
    """Return the model in a declared type: the type itself or the items of a list."""
    return next((each for each in (declared, *get_args(declared)) if _is_model(each)), None)


def _is_model(declared: Any) -> bool:
    return isinstance(declared, ModelType)


def _script(endpoint: Endpoint, use: str) -> str:
    """Return a script that creates what a method needs and then calls it."""
    owner = endpoint.function.__qualname__.partition(".")[0]
    before, calls = [], [f"api = libtes.{owner}(api_client)"]
    if endpoint.ids:
        name, changes, call, _ = NEEDS[endpoint.ids[-1]]
        before.append(_make(name, "new", {} if endpoint.query else changes))
        apis = {each: f"libtes.{each}(api_client)" for each in ("TasksApi", "TaskRunsApi")}
        calls.append(call.format(**{**apis, owner: "api"}))
    if endpoint.body:
        before.append(_make(endpoint.body.__name__, "body"))
    start = "with libtes.ApiClient(libtes.Configuration.from_env()) as api_client:"
    block = "\n".join([start, _indented("\n".join([*calls, use]))])
    return _with_imports("\n".join(before) + "\n\n" * bool(before) + block)


def _use(endpoint: Endpoint, walk: bool, shown: Optional[str] = None) -> str:
    """Return the call of a method and the use of its response."""
    arguments = _given(endpoint)
    arguments += [f"{name}={value}" for name, value in QUERY.items() if name in endpoint.query][:2]
    item = item_of(endpoint.returns)
    given = (item or endpoint.returns).__name__
    variable = _variable(given)
    shown = shown or f"print({SHOWN[given]})"
    call = f"api.{endpoint.name}({', '.join(arguments)})"
    if walk:
        call = call.replace("list_", "iter_").replace(f", page_size={QUERY['page_size']}", "")
        loop = f"for {variable} in itertools.islice(newest, 50):"
        return f"newest = {call}\n{loop}\n{_indented(shown)}"
    if item:
        more = 'if page.next_page_token:\n    print("There are more pages.")'
        return f"page = {call}\nfor {variable} in page.items:\n{_indented(shown)}\n{more}"
    return f"{variable} = {call}\n{shown}"


def _given(endpoint: Endpoint) -> list[str]:
    """Return the required arguments of a method."""
    ids = [NEEDS[endpoint.ids[-1]][3]] if endpoint.ids else []
    return [*ids, "body=body"] if endpoint.body else ids


def _caught(endpoint: Endpoint) -> str:
    """Return the ``except`` clause for the most likely failure."""
    caught, told = "ApiException", "print(error)"
    if 409 in endpoint.errors:
        caught, told = "ConflictException", 'print("The name is already taken:", error.message)'
    elif endpoint.success == 201:
        told += '\nprint("It may run anyway:", error.may_have_happened)'
    elif endpoint.ids:
        caught, told = "NotFoundException", 'print("Not found:", error.message)'
    return f"except libtes.{caught} as error:\n{_indented(told)}"


def _make(name: str, variable: str, changes: Optional[Mapping[str, Any]] = None) -> str:
    """Return the statements that create the sample of a model, with changes."""
    before, arguments = _parts(name, changes)
    return "\n".join([*before, _laid_out(f"{variable} = libtes.{name}", arguments)])


def _parts(name: str, changes: Optional[Mapping[str, Any]]) -> tuple[list[str], list[str]]:
    """Return the statements that must come first, and the arguments."""
    before, arguments = [], []
    fields = getattr(libtes, name)._fields
    for field, value in {**SAMPLES[name], **(changes or {})}.items():
        within = model_in(fields[field].type)
        if value is None:
            continue
        text = "" if within else _literal(value)
        if within:
            inner, inside = within.__name__, None if value is ... else value
            if inner in OWN_STATEMENT:
                text = "first" if inner.endswith("Request") else _variable(inner)
                before.append(_make(inner, text, inside))
            else:
                text = f"libtes.{inner}({', '.join(_parts(inner, inside)[1])})"
            text = text if _is_model(fields[field].type) else f"[{text}]"
        arguments.append(f"{field}={text}")
    return before, arguments


def _laid_out(head: str, arguments: Sequence[str]) -> str:
    """Return a call on one line if it fits the width, else on several."""
    joined = ", ".join(arguments)
    if len(head) + len(joined) + 2 <= WIDTH:
        return f"{head}({joined})"
    inside = f"    {joined}"
    if len(inside) > WIDTH:
        inside = "\n".join(f"    {argument}," for argument in arguments)
    return f"{head}(\n{inside}\n)"


def _literal(value: Any) -> str:
    if isinstance(value, Code):
        return str(value)
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_literal(k)}: {_literal(v)}' for k, v in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    return json.dumps(value) if isinstance(value, str) else repr(value)


def _variable(name: str) -> str:
    """Return a variable name for a model: the last significant word of its name."""
    words: list[str] = re.findall(r"[A-Z][a-z]+", re.sub("Request$|Summary$|WithCreds$", "", name))
    return words[-1].lower()


def _indented(lines: str) -> str:
    return textwrap.indent(lines, "    ")


def _with_imports(script: str) -> str:
    lines = [f"import {name}" for name in ("itertools", "os", "uuid") if f"{name}." in script]
    if "datetime.now" in script:
        lines.append("from datetime import datetime, timezone")
    blank = [""] if lines else []
    return "\n".join([*lines, *blank, "from libica.openapi import libtes", "", script])
