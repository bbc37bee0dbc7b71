"""A small TES v1 service in memory; ``python -m test.small_tes SCRIPT`` runs a script against it.

Without a script it prints its URL and serves.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any, Optional

from .server import Answer, Asked, Server

Json = dict[str, Any]

ROUTES = {
    "GET /v1/(tasks)": "list",
    "POST /v1/(tasks)": "create",
    "GET /v1/tasks/(runs)": "list",
    "POST /v1/tasks/(runs)": "create",
    "GET /v1/tasks/runs/(trn.ID)": "get",
    "PUT /v1/tasks/runs/(trn.ID):abort": "abort",
    "POST /v1/tasks/runs/(trn.ID):heartbeat": "heartbeat",
    "GET /v1/tasks/(tdn.ID)": "get",
    "PATCH /v1/tasks/(tdn.ID)": "update",
    "GET /v1/tasks/(tdn.ID)/versions": "list",
    "POST /v1/tasks/(tdn.ID)/versions": "create",
    "GET /v1/tasks/(tdn.ID)/versions/(tvn.ID)": "get",
    "PATCH /v1/tasks/(tdn.ID)/versions/(tvn.ID)": "update",
    "POST /v1/tasks/(tdn.ID)/versions/(tvn.ID):launch": "launch",
}
FILTERS = {"names": "name", "ids": "id", "versions": "version", "status": "status"}
KINDS = {"tasks": ("tdn", "name"), "runs": ("trn", "id")}  # prefix of ids, and what is unique


class Refused(Exception):
    """Ends a call with a status and a message."""


class SmallTes:
    """Answers requests; without a token any will do. A run is `Completed` when it is looked at."""

    def __init__(self, token: Optional[str] = None) -> None:
        self._bearer = f"Bearer {re.escape(token.removeprefix('Bearer ')) if token else '[^ ]+'}"
        self._lock = threading.Lock()
        self._things: dict[str, Json] = {}
        self._owners: dict[str, str] = {}  # of each id: "tasks", "runs" or the id of its task

    def __call__(self, asked: Asked) -> Answer:
        given = asked.json if asked.body else asked.query
        try:
            if not re.fullmatch(self._bearer, asked.headers.get("Authorization", "")):
                raise Refused(401, "The token is missing or wrong.")
            operation, ids = _route(f"{asked.method} {asked.path}")
            with self._lock:
                answer = json.dumps(getattr(self, f"_{operation}")(given, *ids))
            return Answer(201 if operation in ("create", "launch") else 200, answer)
        except Refused as error:
            status, message = error.args
            return Answer(status, {"code": f"SmallTes.{status}", "message": message, "details": []})

    def _list(self, query: Json, owner: str) -> Json:
        """Filter, sort and cut out the page; a page token is where the page begins."""
        found = self._owned(owner)
        for name in FILTERS.keys() & query.keys():
            found = [x for x in found if x.get(FILTERS[name]) in query[name].split(",")]
        field, _, order = query.get("sort", "timeCreated asc").partition(" ")
        found.sort(key=lambda each: str(each.get(field)), reverse=order == "desc")
        start = int(query.get("pageToken", 0))
        end = start + int(query.get("pageSize", 10))
        items = [_summary(each) for each in found[start:end]]
        following = str(end) if end < len(found) else None
        return {"items": items, "itemCount": len(items), "nextPageToken": following}

    def _owned(self, owner: str) -> list[Json]:
        if owner not in KINDS:
            self._get({}, owner)
        return [self._things[key] for key, its in self._owners.items() if its == owner]

    def _get(self, _: Json, *ids: str) -> Json:
        *owner, key = ids
        if key not in self._things or owner not in ([], [self._owners[key]]):
            raise Refused(404, f"There is no {key}.")
        thing = self._things[key]
        if thing.get("status") == "Pending":
            folder = ((thing.get("execution") or {}).get("systemFiles") or {}).get("url", "gds://")
            urls = {name: f"{folder}/{key}/{name}.log" for name in ("stdout", "stderr")}
            times = {"startTime": thing["timeCreated"], "endTime": _now()}
            thing.update(status="Completed", logs=[{**times, **urls}])
        return thing

    def _create(self, body: Json, owner: str) -> Json:
        prefix, unique = KINDS.get(owner, ("tvn", "version"))
        first = body.pop("taskVersions", None) or []
        key = f"{prefix}.{uuid.uuid4().hex}"
        thing = {**body, "id": key, "timeCreated": _now(), "timeModified": _now()}
        if thing.get(unique) in [None, *(each[unique] for each in self._owned(owner))]:
            raise Refused(409, f"{unique} {thing.get(unique)} is missing or taken.")
        if owner == "runs":
            thing.update(status="Pending", logs=[])
        self._things[key], self._owners[key] = thing, owner
        versions = [self._create(each, key) for each in first]
        return {**thing, "taskVersions": versions} if owner == "tasks" else {**thing}

    def _update(self, body: Json, *ids: str) -> Json:
        thing = self._get({}, *ids)
        thing.update(body, timeModified=_now())
        return thing

    def _launch(self, body: Json, task_id: str, version_id: str) -> Json:
        version = self._get({}, task_id, version_id)
        execution = _fill_in(version.get("execution"), body.pop("arguments", {}))
        run = {"name": version["version"], **body, "execution": execution}
        return self._create({**run, "taskVersionSummary": _summary(version)}, "runs")

    def _abort(self, _: Json, run_id: str) -> Json:
        run = self._things.get(run_id, {})
        if run.get("status") == "Completed":
            raise Refused(400, f"{run_id} is Completed.")
        return _summary(self._update({"status": "Aborted"}, run_id))

    def _heartbeat(self, _: Json, run_id: str) -> Json:
        return {"jwt": f"for {self._get({}, run_id)['id']}"}


def _route(line: str) -> tuple[str, tuple[str, ...]]:
    for route, operation in ROUTES.items():
        match = re.fullmatch(route.replace("ID", r"\w+"), line)
        if match:
            return operation, match.groups()
    raise Refused(404, "There is no such address.")


def _now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")


def _summary(thing: Json) -> Json:
    return {key: each for key, each in thing.items() if key not in ("execution", "logs")}


def _fill_in(value: Any, arguments: Json) -> Any:
    if isinstance(value, dict):
        return {key: _fill_in(each, arguments) for key, each in value.items()}
    if isinstance(value, list):
        return [_fill_in(each, arguments) for each in value]
    if not isinstance(value, str):
        return value
    for name in re.findall(r"\{\{(.+?)\}\}", value):
        if name not in arguments:
            raise Refused(400, f"There is no argument for {name}.")
        value = value.replace("{{" + name + "}}", str(arguments[name]))
    return value


@contextlib.contextmanager
def serving(token: Optional[str] = None) -> Iterator[Server]:
    """Serve on a free port until the block ends."""
    server = Server()
    server.answer(SmallTes(token))
    try:
        yield server
    finally:
        server.close()


def main() -> int:
    """Run what the command line names, or serve until interrupted."""
    token = os.environ.get("ICA_ACCESS_TOKEN") or "small-tes"
    with contextlib.suppress(KeyboardInterrupt), serving(token) as server:
        if len(sys.argv) > 1:
            environment = {**os.environ, "ICA_BASE_URL": server.url, "ICA_ACCESS_TOKEN": token}
            return subprocess.call([sys.executable, *sys.argv[1:]], env=environment)
        print(server.url, flush=True)
        threading.Event().wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
