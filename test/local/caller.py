"""Calls a service with no client of ours between, and shows what came."""

from __future__ import annotations

import json
import time
from typing import Any, NamedTuple, Optional

import urllib3

Json = dict[str, Any]

ECHO: Json = {"image": {"name": "any"}, "command": "echo", "args": ["{{word}}"], "retryLimit": 0}
SLEEP: Json = {"image": {"name": "any"}, "command": "sleep", "args": ["600"], "retryLimit": 0}
TRUE: Json = {"image": {"name": "any"}, "command": "true", "retryLimit": 0}


class Answer(NamedTuple):
    status: int
    json: Any
    headers: Any


class Caller:
    def __init__(self, url: str, token: Optional[str]) -> None:
        self.url = url
        self.token = token or ""
        self._pool = urllib3.PoolManager()

    def close(self) -> None:
        self._pool.clear()

    def send(
        self, method: str, path: str, body: Any = None, headers: Optional[dict[str, str]] = None
    ) -> Answer:
        """Send bytes, or an iterator of them, as they are."""
        sent = {"Content-Type": "application/json", **(headers or {})}
        if self.token:
            sent.setdefault("Authorization", f"Bearer {self.token}")
        answer = self._pool.request(
            method, self.url + path, body=body, headers=sent, retries=False, redirect=False
        )
        content = json.loads(answer.data) if answer.data else None
        return Answer(answer.status, content, answer.headers)

    def __call__(self, method: str, path: str, body: Any = None) -> Answer:
        """Send JSON."""
        return self.send(method, path, None if body is None else json.dumps(body).encode())

    def made(self, method: str, path: str, body: Any = None) -> Json:
        """Return what a call answers that has to succeed."""
        answer = self(method, path, body)
        assert answer.status in (200, 201), answer
        content: Json = answer.json
        return content

    def refusal(self, status: int, method: str, path: str, body: Any = None) -> str:
        """Return the message of a call that has to be refused."""
        answer = self(method, path, body)
        assert answer.status == status, answer
        return refusal(answer)

    def task(self, name: str = "task", **execution: Any) -> Json:
        """Make a task with one version."""
        versions = [{"version": "1", "execution": {**ECHO, **execution}}]
        return self.made("POST", "/v1/tasks", {"name": name, "taskVersions": versions})

    def launch(self, task: Json, **body: Any) -> Answer:
        version_id = task["taskVersions"][0]["id"]
        return self("POST", f"/v1/tasks/{task['id']}/versions/{version_id}:launch", body)

    def run(self, run_id: str) -> Json:
        return self.made("GET", f"/v1/tasks/runs/{run_id}")

    def run_when(self, run_id: str, *statuses: str) -> Json:
        """Wait until a run has one of the statuses."""
        until = time.monotonic() + 30
        run = self.run(run_id)
        while run["status"] not in statuses:
            assert time.monotonic() < until, run
            time.sleep(0.02)
            run = self.run(run_id)
        return run


def refusal(answer: Answer) -> str:
    """Return the message of an ``ErrorResponse``."""
    assert set(answer.json) == {"code", "message", "details"}
    assert isinstance(answer.json["code"], str)
    assert isinstance(answer.json["details"], list)
    assert "Traceback" not in answer.json["message"]
    message: str = answer.json["message"]
    return message
