"""A TES service in memory with one version, which fails as a test says."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta, timezone
from typing import Any, Optional

from libica.openapi import libtes

from ..conftest import TOKEN
from ..server import Answer, Asked, Server
from ..small_tes import SmallTes

Hook = Callable[[Asked], Optional[Answer]]
EXECUTION = {"image": {"name": "none"}, "command": "{{sample}}", "args": ["{{url}}"]}


class LostError(Exception):
    """Ends a connection without an answer."""


class Service(Server):
    """Serves a version; hooks may answer or lose a call ``before`` or ``after`` it is acted on."""

    def __init__(self, tes: Optional[SmallTes] = None) -> None:
        super().__init__()
        self.tes = tes or SmallTes()
        self.before: Optional[Hook] = None
        self.after: Optional[Hook] = None
        self.under_way = self.most_under_way = 0
        self._count = threading.Lock()
        self.answer(self._serve)
        self.client = libtes.ApiClient(self.configuration())
        body = {"name": "task", "taskVersions": [{"version": "1.0", "execution": EXECUTION}]}
        task = libtes.TasksApi(self.client).create_task(body=body)
        self.ids = str(task.id), str((task.task_versions or [])[0].id)
        self.asked.clear()

    def configuration(self) -> libtes.Configuration:
        configuration = libtes.Configuration(self.url, {"Authorization": TOKEN})
        configuration.api_key_prefix["Authorization"] = "Bearer"
        configuration.retries = 0
        return configuration

    def _serve(self, asked: Asked) -> Answer:
        with self._count:
            self.under_way += 1
            self.most_under_way = max(self.under_way, self.most_under_way)
        try:
            answer = self.before and self.before(asked)
            if answer is None:
                answer = self.tes(asked)
                answer = (self.after and self.after(asked)) or answer
            return answer
        finally:
            with self._count:
                self.under_way -= 1

    @property
    def launches(self) -> list[str]:
        """The names that were asked to be launched, in the order of asking."""
        return [each.json["name"] for each in self.asked if is_launch(each)]

    @property
    def runs(self) -> dict[str, str]:
        """The names of the runs, by their ids."""
        things = self.tes._things.items()
        return {key: thing["name"] for key, thing in things if key.startswith("trn.")}

    def add_runs(self, names: list[str], version: str = "", age: float = 0) -> list[str]:
        """Add runs, each some microseconds younger than the one before; returns their ids."""
        begun = datetime.now(timezone.utc) - timedelta(seconds=age)
        summary = {"id": version or self.ids[1], "version": "2.0" if version else "1.0"}
        ids = []
        for number, name in enumerate(names):
            created = (begun + timedelta(microseconds=number)).isoformat()
            ids.append(f"trn.{len(self.tes._things):032x}")
            self.tes._owners[ids[-1]] = "runs"
            self.tes._things[ids[-1]] = {
                "id": ids[-1],
                "name": name,
                "status": "Running",
                "timeCreated": created,
                "timeModified": created,
                "version": summary["version"],  # what a list is filtered by
                "taskVersionSummary": summary,
            }
        return ids

    def set_status(self, run_ids: Iterable[str], status: str = "Completed") -> None:
        for each in run_ids:
            self.tes._things[each]["status"] = status


EVER = range(10**9)


def is_launch(asked: Asked) -> bool:
    return asked.path.endswith(":launch")


def is_list(asked: Asked) -> bool:
    return asked.path == "/v1/tasks/runs"


def on(which: range, matches: Callable[[Asked], bool], act: Hook) -> Hook:
    """Return a hook that acts on some of the calls that match, counted from 0."""
    numbers = itertools.count()
    return lambda asked: act(asked) if matches(asked) and next(numbers) in which else None


def lose(asked: Asked) -> Answer:
    raise LostError


def refuse(status: int, **headers: str) -> Hook:
    """Return a hook that answers with an error."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: Answer(status, {"code": f"TES.{status}", "message": "No."}, sent)


def cohort(count: int) -> list[dict[str, Any]]:
    """Return launches that go with the version."""
    return [
        {"name": f"s{number}", "arguments": {"sample": str(number), "url": "gds://v/x?secret"}}
        for number in range(count)
    ]
