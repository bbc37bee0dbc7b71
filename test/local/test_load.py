"""Many clients at once are answered without an error, for LIBICA_LOAD_SECONDS (default 5)."""

from __future__ import annotations

import collections
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Optional

from libica.openapi import libtes

from .caller import TRUE
from .serving import Serving

CLIENTS = 64
SECONDS = float(os.environ.get("LIBICA_LOAD_SECONDS", "5"))


def test_many_clients_are_answered_without_an_error(
    serve: Callable[..., Serving], tmp_path: Path
) -> None:
    service = serve("--data", tmp_path)
    caller = service.caller()
    versions = [{"version": "1", "execution": TRUE}]
    task = caller.made("POST", "/v1/tasks", {"name": "load", "taskVersions": versions})
    version_id = task["taskVersions"][0]["id"]
    done: collections.Counter[str] = collections.Counter()
    longest: collections.Counter[str] = collections.Counter()
    errors: list[str] = []
    lock = threading.Lock()
    ready = threading.Barrier(CLIENTS)

    def work() -> None:
        configuration = libtes.Configuration(
            host=service.url,
            api_key={"Authorization": caller.token},
            api_key_prefix={"Authorization": "Bearer"},
        )
        configuration.retries = 0
        with libtes.ApiClient(configuration) as client:
            launcher, runs = libtes.TaskVersionsApi(client), libtes.TaskRunsApi(client)
            made: list[Optional[str]] = []
            calls: dict[str, Callable[[], object]] = {
                "launch": lambda: made.append(
                    launcher.launch_task_run(task["id"], version_id, body={"name": "run"}).id
                ),
                "get": lambda: runs.get_task_run(made[-1] or ""),
                "list": lambda: runs.list_task_runs(page_size=10, sort="timeCreated desc"),
            }
            ready.wait(60)
            until = time.monotonic() + SECONDS
            try:
                while time.monotonic() < until:
                    for name, call in calls.items():
                        started = time.monotonic()
                        call()
                        took = round((time.monotonic() - started) * 1000)
                        with lock:
                            done[name] += 1
                            longest[name] = max(longest[name], took)
            except Exception as error:
                errors.append(repr(error))

    threads = [threading.Thread(target=work) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS + 120)
    print(f"{SECONDS:g} s, {CLIENTS} clients: {dict(done)}; longest, ms: {dict(longest)}")
    assert errors == []
    assert not any(thread.is_alive() for thread in threads)
    assert min(done[name] for name in ("launch", "get", "list")) >= CLIENTS

    kept = caller.made("GET", "/v1/tasks/runs?pageSize=1&include=totalItemCount")
    assert kept["totalItemCount"] == done["launch"]
    caller.close()
