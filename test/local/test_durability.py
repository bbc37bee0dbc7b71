"""Nothing acknowledged is lost: the service is killed in the middle, and started again."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import urllib3

from ..server import wait_until
from .caller import SLEEP, TRUE, Caller
from .serving import Serving

Serve = Callable[..., Serving]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is a thing of POSIX")

KILL = 9


def shell(script: str, **more: object) -> dict[str, object]:
    return {"image": {"name": "any"}, "command": "sh", "args": ["-c", script], **more}


def test_every_run_that_was_answered_is_there_after_kill_9(serve: Serve, tmp_path: Path) -> None:
    serving = serve("--data", tmp_path / "data")
    caller = serving.caller()
    task = caller.task(**{**TRUE, "args": []})
    answered: list[str] = []

    def launch(number: int) -> None:
        mine = Caller(caller.url, caller.token)
        try:
            for each in range(100):
                run = mine.launch(task, name=f"{number}-{each}")
                assert run.status == 201
                answered.append(run.json["id"])
        except (urllib3.exceptions.HTTPError, ValueError):
            pass  # killed
        finally:
            mine.close()

    threads = [threading.Thread(target=launch, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    while len(answered) < 60:
        time.sleep(0.001)
    serving.end(KILL)
    for thread in threads:
        thread.join()
    caller.close()
    assert 60 <= len(answered) < 400

    serving = serve("--data", tmp_path / "data")
    caller = serving.caller()
    kept, query = set(), "pageSize=1000"
    while query:
        page = caller.made("GET", f"/v1/tasks/runs?{query}")
        kept |= {each["id"] for each in page["items"]}
        query = f"pageToken={page['nextPageToken']}" if "nextPageToken" in page else ""
    assert set(answered) <= kept
    assert len(kept) <= len(answered) + 4  # one a thread may have been kept but not answered
    for run_id in answered[:3]:
        assert caller.run_when(run_id, "Completed", "Failed")["status"] == "Completed"
    caller.close()
    assert serving.end()[0] == 0


def test_what_was_running_starts_again_within_its_limit_or_has_failed(
    serve: Serve, tmp_path: Path
) -> None:
    data, marks = tmp_path / "data", tmp_path / "marks"
    marks.mkdir()
    serving = serve("--data", data)
    caller = serving.caller()
    first = f"mkdir {marks}/once 2>/dev/null && echo $$ > {marks}/pid && exec sleep 600; exit 0"
    executions = {"again": shell(first, retryLimit=1), "never": SLEEP}
    ids = {
        name: caller.made("POST", "/v1/tasks/runs", {"name": name, "execution": each})["id"]
        for name, each in executions.items()
    }
    for each in ids.values():
        caller.run_when(each, "Running")
    while not (marks / "pid").exists() or not (marks / "pid").read_text().strip():
        time.sleep(0.01)
    serving.end(KILL)
    caller.close()

    serving = serve("--data", data)
    caller = serving.caller()
    failed = caller.run_when(ids["never"], "Failed")
    assert "killed" in failed["statusDetails"]
    assert failed["logs"][0]["error"]
    done = caller.run_when(ids["again"], "Completed", "Failed")
    assert done["status"] == "Completed"
    assert done["execution"]["retryCount"] == 1
    assert [("error" in log) for log in done["logs"]] == [True, False]
    # What the killed service had started is gone, or a zombie that nobody waits for.
    state = ["ps", "-o", "stat=,args=", "-p", (marks / "pid").read_text().strip()]

    def is_gone() -> bool:
        left = subprocess.run(state, capture_output=True, text=True, check=False).stdout.strip()
        return left[:1] in ("", "Z") or "sleep 600" not in left  # or another has its number now

    wait_until(is_gone)
    caller.close()
    serving.end()


def test_a_service_that_is_told_to_end_leaves_its_runs_to_the_next(
    serve: Serve, tmp_path: Path
) -> None:
    serving = serve("--data", tmp_path)
    caller = serving.caller()
    body = {"execution": {**SLEEP, "retryLimit": 1}}
    run = caller.made("POST", "/v1/tasks/runs", body)
    caller.run_when(run["id"], "Running")
    caller.close()
    assert serving.end(signal.SIGINT) == (0, "")

    serving = serve("--data", tmp_path)
    caller = serving.caller()
    again = caller.run_when(run["id"], "Running", "Failed")
    assert (again["status"], again["execution"]["retryCount"]) == ("Running", 1)
    caller.made("PUT", f"/v1/tasks/runs/{run['id']}:abort")
    caller.run_when(run["id"], "Aborted")
    caller.close()
    serving.end()
