"""The 14 operations of the contract: how to call each, what it sends and what it returns."""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from typing import Any

from libica.openapi import libtes

from .contract import facts
from .helpers import snake_case
from .server import Answer, Asked

TASK = "tdn.0123456789abcdef0123456789abcdef"
VERSION = "tvn.00112233445566778899aabbccddeeff"
RUN = "trn.fedcba9876543210fedcba9876543210"

Json = dict[str, Any]

KEPT: Json = {
    "acl": ["tid:dGVuYW50", "wid:01234567-89ab-cdef-0123-456789abcdef"],
    "tenantId": "dGVuYW50",
    "createdBy": "someone",
    "timeCreated": "2021-03-08T04:05:54.654483+00:00",
    "timeModified": "2021-03-09T00:00:00+00:00",
}
EXECUTION: Json = {
    "image": {"name": "registry.example/bwa", "tag": "{{tag}}"},
    "command": "bwa",
    "args": ["mem", "{{reference}}", "{{reads}}"],
    "inputs": [{"path": "/in/{{sample}}", "url": "gds://volume/{{sample}}", "mode": "stream"}],
    "outputs": [{"path": "/out", "url": "gds://volume/out", "type": "Folder"}],
    "systemFiles": {"url": "gds://volume/logs"},
    "environment": {
        "variables": {"THREADS": "8"},
        "resources": {"type": "standard", "size": "medium", "cpuCores": 1.3, "memoryGb": 4.5},
    },
    "workingDirectory": "/work",
    "retryLimit": 0,
}
VERSION_SUMMARY: Json = {"id": VERSION, "version": "1.0.0", "description": "first", **KEPT}
RUN_SUMMARY: Json = {
    "id": RUN,
    "name": "sample-1",
    "status": "Running",
    "taskVersionSummary": VERSION_SUMMARY,
    **KEPT,
}
TASK_SUMMARY: Json = {"id": TASK, "name": "align", "description": "to GRCh38", **KEPT}


def page(items: list[Json], next_token: str = "next") -> Json:
    """Return one page of a list."""
    tokens = {"firstPageToken": "first", "nextPageToken": next_token, "lastPageToken": "last"}
    return {"items": items, "itemCount": len(items), "totalItemCount": 12, **tokens}


ANSWERS: dict[str, Json] = {
    "Task": {**TASK_SUMMARY, "taskVersions": [{**VERSION_SUMMARY, "execution": EXECUTION}]},
    "TaskSummary": TASK_SUMMARY,
    "TaskSummaryPagedItems": page([TASK_SUMMARY]),
    "TaskVersion": {**VERSION_SUMMARY, "execution": EXECUTION},
    "TaskVersionSummaryPagedItems": page([VERSION_SUMMARY]),
    "TaskRun": {
        **RUN_SUMMARY,
        "execution": EXECUTION,
        "logs": [{"startTime": "2021-03-08T04:06:00+00:00", "stdout": "gds://volume/logs/out"}],
    },
    "TaskRunSummary": RUN_SUMMARY,
    "TaskRunSummaryPagedItems": page([RUN_SUMMARY]),
    "TaskRunHeartbeat": {"jwt": "aaa.bbb.ccc"},
}
BODIES: dict[str, Json] = {
    "CreateTaskRequest": {
        "name": "align",
        "acl": ["tid:dGVuYW50"],
        "taskVersions": [{"version": "1.0.0", "execution": EXECUTION}],
    },
    "UpdateTaskRequest": {"name": "align", "description": "to T2T, ä 中 🧬"},
    "CreateTaskVersionRequest": {"version": "1.0.0", "execution": EXECUTION},
    "UpdateTaskVersionRequest": {"description": "", "acl": []},
    "LaunchTaskRequest": {"name": "sample-1", "arguments": {"sample": "1", "tag": ""}},
    "CreateTaskRunRequest": {"name": "once", "execution": EXECUTION},
    "HeartbeatTaskRunRequest": {
        "lastHeartbeat": False,
        "podUID": "pod",
        "jobRetryCount": 0,
        "containerStatus": [{"name": "main", "state": {"terminated": {"exitCode": 0}}}],
    },
}


@dataclass(frozen=True)
class Operation:
    """One operation: its method and class here, and what the contract says of it."""

    api: str
    name: str
    method: str
    path: str
    body: str
    status: int
    returns: str
    ids: dict[str, str]
    filters: tuple[str, ...]

    def __str__(self) -> str:
        return self.name

    @property
    def target(self) -> str:
        """The path with the ids filled in."""
        return self.path.format(**self.ids)

    @property
    def answer(self) -> Json:
        return copy.deepcopy(ANSWERS[self.returns])

    @property
    def model(self) -> Any:
        return getattr(libtes, self.returns)

    @property
    def raw_body(self) -> Json:
        return copy.deepcopy(BODIES[self.body])

    @property
    def body_model(self) -> Any:
        """The body as a model, with models in it throughout."""
        return decoded(self.body, self.raw_body)

    def bound(self, client: libtes.ApiClient, suffix: str = "") -> Any:
        """Return the method of the API class."""
        return getattr(getattr(libtes, self.api)(client), self.name + suffix)

    def call(self, client: libtes.ApiClient, suffix: str = "", **changed: Any) -> Any:
        """Call with valid arguments, except for those that are given."""
        arguments: Json = dict(self.ids)
        if self.body:
            arguments["body"] = self.body_model
        return self.bound(client, suffix)(**{**arguments, **changed})


def decoded(model: str, data: Json) -> Any:
    """Make a model, and those within it, by their constructors."""
    cls = getattr(libtes, model)
    names = {json: name for name, json in cls.attribute_map.items()}
    values = {}
    for key, value in data.items():
        declared = cls.openapi_types[names[key]]
        within = declared[5:-1] if declared.startswith("list[") else declared
        if not hasattr(libtes, within):
            values[names[key]] = value
        elif isinstance(value, list):
            values[names[key]] = [decoded(within, each) for each in value]
        else:
            values[names[key]] = decoded(within, value)
    return cls(**values)


_IDS = {"task_id": TASK, "version_id": VERSION, "run_id": RUN}
_OF_PAGES = {"pageSize", "pageToken", "sort"}


def _operation(fact: facts.Operation) -> Operation:
    path = re.sub(r"{(\w+)}", lambda found: f"{{{snake_case(found[1])}}}", fact.path)
    status, returns = fact.success
    return Operation(
        api=fact.tag.replace(" ", "") + "Api",
        name=snake_case(fact.name),
        method=fact.method,
        path=path,
        body=fact.body or "",
        status=status,
        returns=returns,
        ids={snake_case(name): _IDS[snake_case(name)] for name in fact.names("path")},
        filters=tuple(name for name in fact.names("query") if name not in _OF_PAGES),
    )


OPERATIONS = [_operation(each) for each in facts.OPERATIONS]
WITH_IDS = [each for each in OPERATIONS if each.ids]
WITH_BODY = [each for each in OPERATIONS if each.body]
LISTS = [each for each in OPERATIONS if each.filters]
IDS = [(each, name) for each in WITH_IDS for name in each.ids]


def service(asked: Asked) -> Answer:
    """Respond to each operation with its sample, and with 404 to all else."""
    for each in OPERATIONS:
        pattern = re.sub(r"\\\{\w+\\\}", "[^/:]+", re.escape(each.path))
        if asked.method == each.method and re.fullmatch(pattern, asked.path):
            return Answer(each.status, each.answer)
    return Answer(404, {"code": "NOT_FOUND", "message": f"no {asked.path} here"})
