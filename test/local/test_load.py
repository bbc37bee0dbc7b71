"""Many clients call at the same time without an error, for LIBICA_LOAD_SECONDS (default 2)."""

from __future__ import annotations

import collections
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from libica.openapi import libtes

from .caller import PATIENCE, TRUE
from .serving import Serving

pytestmark = pytest.mark.slow

CLIENTS = 64
SECONDS = float(os.environ.get("LIBICA_LOAD_SECONDS", "2"))


def test_many_clients_call_without_an_error(serve: Callable[..., Serving], tmp_path: Path) -> None:
    service = serve("--data", tmp_path)
    caller = service.caller()
    task = caller.task(**{**TRUE, "args": []})
    done: collections.Counter[str] = collections.Counter()
    slowest: collections.Counter[str] = collections.Counter()
    errors: list[str] = []
    lock = threading.Lock()
    ready = threading.Barrier(CLIENTS)
    configuration = libtes.Configuration(
        host=service.url, api_key={"Authorization": f"Bearer {caller.token}"}
    )
    configuration.retries = 0

    def timed(name: str, call: Callable[[], object]) -> object:
        began = time.monotonic()
        result = call()
        with lock:
            done[name] += 1
            slowest[name] = max(slowest[name], round((time.monotonic() - began) * 1000))
        return result

    def work() -> None:
        path = (task["id"], task["taskVersions"][0]["id"])
        with libtes.ApiClient(configuration) as client:
            versions, runs = libtes.TaskVersionsApi(client), libtes.TaskRunsApi(client)
            ready.wait(PATIENCE)
            until = time.monotonic() + SECONDS
            try:
                while time.monotonic() < until:
                    run = timed("launch", lambda: versions.launch_task_run(*path, body={}))
                    timed("get", lambda: runs.get_task_run(run.id))  # type: ignore[attr-defined]  # noqa: B023
                    timed("list", lambda: runs.list_task_runs(sort="timeCreated desc"))
            except Exception as error:
                errors.append(repr(error))

    threads = [threading.Thread(target=work) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"{SECONDS:g} s, {CLIENTS} clients: {dict(done)}; slowest, ms: {dict(slowest)}")
    assert errors == []
    assert min(done[name] for name in ("launch", "get", "list")) >= CLIENTS
    kept = caller.ok("GET", "/v1/tasks/runs?pageSize=1&include=totalItemCount")
    assert kept["totalItemCount"] == done["launch"]
