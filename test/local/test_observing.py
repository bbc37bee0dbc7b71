"""Metrics, health and the access log; what is told when the store fails; logs of repeats."""

from __future__ import annotations

import logging
import re
import stat
from pathlib import Path
from typing import Any

import pytest
import urllib3

from libica.local import LocalTes
from libica.local.service import repeats
from libica.local.store.errors import DamagedError, UnavailableError

from .caller import SLEEP, TRUE, Caller, message, wait_until
from .observing import metrics


def test_metrics_count_requests_runs_attempts_and_connections() -> None:
    with LocalTes() as tes, Caller(tes.url, tes.token) as caller:
        done = caller.start(TRUE, "Completed")
        caller.start(SLEEP, "Running")
        caller.refused(404, "GET", "/v1/tasks/none")
        caller.refused(404, "GET", "/nowhere")
        found = metrics(caller)
        for name, value in {
            "tes_requests_total createTaskRun 201": 2,
            "tes_requests_total getTask 404": 1,
            "tes_requests_total other 404": 1,
            "tes_request_seconds_count createTaskRun": 2,
            "tes_request_seconds_bucket +Inf createTaskRun": 2,
            "tes_runs Completed": 1,
            "tes_runs Running": 1,
            "tes_attempts_started_total": 2,
            "tes_attempts_ended_total Completed": 1,
            "tes_changes_waiting": 0,
        }.items():
            assert found[name] == value, name
        assert found["tes_connections"] >= 1
        assert found["tes_request_seconds_sum getTaskRun"] > 0
        caller.run(done["id"])
        assert metrics(caller)["tes_requests_total metrics 200"] == 1
        caller.token = "wrong"
        with pytest.raises(AssertionError):
            metrics(caller)


def test_health_needs_no_token_and_tells_whether_store_and_scheduler_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object) -> Any:
        raise UnavailableError("disk full")

    with LocalTes() as tes, Caller(tes.url, None) as nobody:
        assert nobody("GET", "/health")[:2] == (200, {"status": "ok"})
        with monkeypatch.context() as failing:
            failing.setattr(tes._store, "grant", broken)
            assert nobody("GET", "/health")[:2] == (503, {"status": "unavailable"})
        assert nobody("GET", "/health").status == 200
        tes._scheduler.stop()
        assert nobody("GET", "/health").status == 503


@pytest.mark.parametrize(
    ("error", "status"),
    [(UnavailableError("The disk is full"), 503), (DamagedError("The file is damaged"), 500)],
)
def test_what_the_store_cannot_do_now_may_be_repeated(
    error: Exception, status: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> Any:
        raise error

    with LocalTes() as tes, Caller(tes.url, tes.token) as caller:
        task = caller.task(args=[])
        monkeypatch.setattr(tes._store, "task", broken)
        monkeypatch.setattr(tes._store._database, "write", broken)
        for response in (caller("GET", f"/v1/tasks/{task['id']}"), caller.launch(task)):
            assert (response.status, message(response)) == (status, str(error))
            assert response.headers.get("Retry-After") == ("5" if status == 503 else None)
    assert "Traceback" not in caplog.text


def test_the_access_log_has_a_line_per_request_and_no_secret(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "access.log"
    with LocalTes(access_log=file) as tes, Caller(tes.url, tes.token) as caller:
        task = caller.ok("POST", "/v1/tasks", {"name": "a-name"})
        caller.refused(404, "GET", "/v1/tasks/a%0Ab%20c?secret=query")
        headers = {"Authorization": "Bearer wrong"}
        assert caller.send("GET", "/v1/tasks", None, headers).status == 401
        wait_until(lambda: file.read_text().count("\n") == 3)  # each is written after its response
        file.rename(tmp_path / "old.log")  # as logrotate does
        caller.ok("GET", f"/v1/tasks/{task['id']}")
        wait_until(file.exists)
    old = (tmp_path / "old.log").read_text()
    start = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z"
    who = f"{re.escape(task['tenantId'])} {task['createdBy']}"
    assert re.fullmatch(
        rf"{start} POST /v1/tasks 201 [\d.]+ms \d+ {who}\n"
        rf"{start} GET /v1/tasks/a%0Ab%20c 404 [\d.]+ms \d+ {who}\n"
        rf"{start} GET /v1/tasks 401 [\d.]+ms \d+ - -\n",
        old,
    )
    assert stat.S_IMODE((tmp_path / "old.log").stat().st_mode) == 0o600
    assert len(file.read_text().splitlines()) == 1
    with LocalTes(access_log="-") as tes, Caller(tes.url, tes.token) as caller:
        caller.ok("GET", "/v1/tasks")
    assert " GET /v1/tasks 200 " in capfd.readouterr().err
    for secret in (tes.token, "query", "wrong", "a-name"):
        assert secret not in old


def test_an_access_log_that_cannot_be_opened_is_refused_and_one_that_fails_harms_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(OSError, match="nowhere"):
        LocalTes(access_log=tmp_path / "nowhere" / "log")
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with LocalTes(access_log="/dev/full") as tes, Caller(tes.url, tes.token) as caller:
        caller.ok("GET", "/v1/tasks")
        wait_until(lambda: "cannot write the access log" in caplog.text)


def test_repeated_messages_are_counted_instead_of_written(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    handler, log, now = logging.Handler(), logging.Logger("x"), 0.0
    monkeypatch.setattr(handler, "emit", lambda record: written.append(record.getMessage()))
    monkeypatch.setattr(repeats.time, "monotonic", lambda: now)
    handler.addFilter(repeats.Repeats())
    log.addHandler(handler)

    def tell(number: int) -> None:
        log.warning("run %s failed", number)

    for number in range(5):
        tell(number)
        log.warning("another")
        for error in (OSError(), ValueError()):
            log.error("an error", exc_info=error)
    now = repeats.SECONDS
    tell(5)
    tell(6)
    now += repeats.SECONDS
    tell(7)
    assert written == [
        *("run 0 failed", "another", "an error", "an error"),
        "run 5 failed (4 more like this were left out)",
        "run 7 failed (1 more like this were left out)",
    ]


def test_the_page_of_metrics_is_what_prometheus_reads() -> None:
    with LocalTes() as tes, urllib3.PoolManager() as pool:
        headers = {"Authorization": f"Bearer {tes.token}"}
        response = pool.request("GET", f"{tes.url}/metrics", headers=headers)
        assert response.headers["Content-Type"].startswith("text/plain; version=")
        assert b"# HELP tes_runs Runs, by status\n# TYPE tes_runs gauge\n" in response.data
