"""Calls a service over plain HTTP, without the client."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Optional

import urllib3

Json = dict[str, Any]

ECHO: Json = {"image": {"name": "any"}, "command": "echo", "args": ["{{word}}"], "retryLimit": 0}
SLEEP: Json = {"image": {"name": "any"}, "command": "sleep", "args": ["600"], "retryLimit": 0}
TRUE: Json = {"image": {"name": "any"}, "command": "true", "retryLimit": 0}
PATIENCE = 60.0  # seconds; only a broken test waits that long, also on a busy machine


def wait_until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "the condition did not become true"
        time.sleep(0.005)


class Response(NamedTuple):
    status: int
    json: Any
    headers: Any


class Caller:
    def __init__(self, url: str, token: Optional[str]) -> None:
        self.url = url
        self.token = token or ""
        self._pool = urllib3.PoolManager()

    def __enter__(self) -> Caller:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.clear()

    def send(
        self, method: str, path: str, body: Any = None, headers: Optional[dict[str, str]] = None
    ) -> Response:
        """Send bytes, or an iterator of them, as they are."""
        sent = {"Content-Type": "application/json", **(headers or {})}
        if self.token:
            sent.setdefault("Authorization", f"Bearer {self.token}")
        response = self._pool.request(
            method, self.url + path, body=body, headers=sent, retries=False, redirect=False
        )
        content = json.loads(response.data) if response.data else None
        return Response(response.status, content, response.headers)

    def __call__(self, method: str, path: str, body: Any = None) -> Response:
        """Send JSON."""
        return self.send(method, path, None if body is None else json.dumps(body).encode())

    def ok(self, method: str, path: str, body: Any = None) -> Json:
        """Return the response to a request that must succeed."""
        response = self(method, path, body)
        assert response.status in (200, 201), response
        content: Json = response.json
        return content

    def refused(self, status: int, method: str, path: str, body: Any = None) -> str:
        """Return the message of an error response."""
        response = self(method, path, body)
        assert response.status == status, response
        return message(response)

    def task(self, name: str = "task", **execution: Any) -> Json:
        """Create a task with one version."""
        versions = [{"version": "1", "execution": {**ECHO, **execution}}]
        return self.ok("POST", "/v1/tasks", {"name": name, "taskVersions": versions})

    def launch(self, task: Json, **body: Any) -> Response:
        version_id = task["taskVersions"][0]["id"]
        return self("POST", f"/v1/tasks/{task['id']}/versions/{version_id}:launch", body)

    def start(self, execution: Json, *statuses: str, **body: Any) -> Json:
        """Create a run without a task, and wait until it has one of the statuses, if any."""
        run = self.ok("POST", "/v1/tasks/runs", {"execution": execution, **body})
        return self.run_when(run["id"], *statuses) if statuses else run

    def abort(self, run_id: str) -> Response:
        return self("PUT", f"/v1/tasks/runs/{run_id}:abort")

    def run(self, run_id: str) -> Json:
        return self.ok("GET", f"/v1/tasks/runs/{run_id}")

    def run_when(self, run_id: str, *statuses: str) -> Json:
        """Wait until a run has one of the statuses; a run that ended otherwise is an error."""
        ended = ("Completed", "Failed", "TimedOut", "Aborted")
        wait_until(lambda: self.run(run_id)["status"] in (*statuses, *ended))
        run = self.run(run_id)
        assert run["status"] in statuses, run
        return run


def message(response: Response) -> str:
    """Return the message of an ``ErrorResponse``."""
    assert set(response.json) == {"code", "message", "details"}
    assert isinstance(response.json["code"], str)
    assert isinstance(response.json["details"], list)
    assert "Traceback" not in response.json["message"]
    text: str = response.json["message"]
    return text
