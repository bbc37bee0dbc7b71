"""Nothing acknowledged is lost when the service is killed and started again."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import urllib3

from .bench import is_alive
from .caller import SLEEP, TRUE, Caller, Json, wait_until
from .serving import Serving

Serve = Callable[..., Serving]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is of POSIX"),
]

KILL = 9
KILLS = int(os.environ.get("LIBICA_KILLS", "3"))


def test_every_acknowledged_run_survives_kill_9(serve: Serve, tmp_path: Path) -> None:
    acknowledged: list[str] = []

    def launch(caller: Caller, task: Json) -> None:
        with Caller(caller.url, caller.token) as own:
            while True:
                try:
                    run = own.launch(task)
                except (urllib3.exceptions.HTTPError, ValueError):
                    return  # killed
                assert run.status == 201
                acknowledged.append(run.json["id"])

    for kills in range(1, KILLS + 1):
        serving = serve("--data", tmp_path)
        caller = serving.caller()
        # With as many retries as kills: a run whose attempt a kill ended completes afterwards.
        task = caller.task(f"task {kills}", **{**TRUE, "args": [], "retryLimit": KILLS})
        threads = [threading.Thread(target=launch, args=(caller, task)) for _ in range(4)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(acknowledged) >= 30 * kills)  # noqa: B023
        serving.end(KILL)
        for thread in threads:
            thread.join()
        with contextlib.closing(sqlite3.connect(tmp_path / "tes.sqlite")) as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)

    caller = serve("--data", tmp_path).caller()
    kept, query = set(), "pageSize=1000"
    while query:
        page = caller.ok("GET", f"/v1/tasks/runs?{query}")
        kept |= {each["id"] for each in page["items"]}
        query = f"pageToken={page['nextPageToken']}" if "nextPageToken" in page else ""
    assert set(acknowledged) <= kept
    # One per thread may be kept without a response.
    assert len(acknowledged) <= len(kept) <= len(acknowledged) + 4 * KILLS
    for run_id in acknowledged[:3]:
        caller.run_when(run_id, "Completed")


def test_runs_that_were_running_are_retried_within_their_limit(
    serve: Serve, tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    script = f"mkdir {tmp_path}/once 2>/dev/null && echo $$ >{pid} && exec sleep 600; exit 0"
    shell = {"image": {"name": "any"}, "command": "sh", "args": ["-c", script]}
    serving = serve("--data", tmp_path / "data")
    caller = serving.caller()
    again = caller.start({**shell, "retryLimit": 1}, "Running")["id"]
    never = caller.start({**SLEEP, "retryLimit": 0}, "Running")["id"]
    wait_until(lambda: pid.exists() and pid.read_text().endswith("\n"))
    wait_until(lambda: caller.run(never)["logs"])  # an attempt that had not begun starts again
    serving.end(KILL)

    caller = serve("--data", tmp_path / "data").caller()
    failed = caller.run_when(never, "Failed")
    assert "killed" in failed["statusDetails"]
    assert failed["logs"][0]["error"]
    assert failed["logs"][0]["stdout"]  # as long as the file is there
    done = caller.run_when(again, "Completed")
    assert done["execution"]["retryCount"] == 1
    assert [("error" in log) for log in done["logs"]] == [True, False]
    wait_until(lambda: not is_alive(int(pid.read_text())))


def test_a_service_that_is_stopped_leaves_its_runs_to_the_next(
    serve: Serve, tmp_path: Path
) -> None:
    serving = serve("--data", tmp_path, "--no-page")
    run = serving.caller().start({**SLEEP, "retryLimit": 1}, "Running")
    assert serving.end(signal.SIGINT) == (0, "")
    caller = serve("--data", tmp_path).caller()
    again = caller.run_when(run["id"], "Running")
    assert again["execution"]["retryCount"] == 1
    caller.abort(run["id"])
    caller.run_when(run["id"], "Aborted")
