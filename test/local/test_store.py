"""The store: how runs change, what is kept, and that changes are safe."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest

from libica.local.engine.scheduler import RunStore
from libica.local.node.job import Job, Outcome
from libica.local.store import database, objects
from libica.local.store.database import Database
from libica.local.store.errors import NotFoundError, UnavailableError, WrongStatusError
from libica.local.store.identity import Identity
from libica.local.store.lists import RUNS, Cursor
from libica.local.store.schema import Schema
from libica.local.store.store import Store

ME = Identity.named("main")
EXECUTION = {"command": "true", "retryLimit": 1, "retryCount": 0}
LOG = {"startTime": "a", "endTime": "b"}


@pytest.fixture(params=["memory", "disk"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "tes.sqlite" if request.param == "disk" else None)
    yield store
    store.close()


def add(store: Store, **execution: Any) -> str:
    filled = {**EXECUTION, **execution}
    run = objects.run({"name": "run"}, filled, ME)
    store.add_run(run, filled).result()
    return str(run["id"])


def job_of(store: Store, run_id: str) -> Job:
    planned = store.runs.planned(run_id)
    assert planned is not None
    return planned.job


def start(store: Store, job: Job, status: str = "Running") -> bool:
    return store.runs.started(job, "engine", "", status, "It started").result()


def started(store: Store, status: str = "Running") -> Job:
    job = job_of(store, add(store))
    assert start(store, job, status)
    return job


def shown(store: Store, run_id: str) -> dict[str, Any]:
    summary, execution, logs = store.run(run_id, ME)
    return {**json.loads(summary), "execution": json.loads(execution), "logs": json.loads(logs)}


def test_runs_are_pending_in_the_order_of_their_launch_and_visible_at_once(store: Store) -> None:
    needed: RunStore = store.runs
    ids = [add(store) for _ in range(20)]
    assert {shown(store, each)["status"] for each in ids} == {"Pending"}
    assert needed.pending(100) == ids
    assert needed.pending(5) == ids[:5]


def test_a_run_goes_from_pending_to_running_to_its_end(store: Store) -> None:
    run_id = add(store)
    assert store.runs.planned(run_id) == (Job(run_id, EXECUTION, 1), "run")
    job = job_of(store, run_id)
    assert start(store, job)
    running = shown(store, run_id)
    assert running["status"] == "Running"
    assert running["timeModified"] > running["timeCreated"]
    assert store.runs.pending(9) == []
    assert store.runs.planned(run_id) is None
    store.runs.noted(job, "handle", "Running", "It runs", {"stdout": "url"}).result()
    assert shown(store, run_id)["logs"] == [{"stdout": "url"}]
    assert store.runs.under_way() == [
        (Job(run_id, EXECUTION, 1), "run", "engine", False, "handle", "Running", "It runs")
    ]
    store.runs.ended(job, Outcome("Completed", "well", LOG)).result()
    assert store.runs.under_way() == []
    done = shown(store, run_id)
    assert (done["status"], done["statusDetails"], done["logs"]) == ("Completed", "well", [LOG])


def test_a_retried_run_is_pending_with_its_log_kept(store: Store) -> None:
    job = started(store)
    failed = Outcome("Failed", "exit status 1", LOG)
    store.runs.ended(job, failed, "Waiting; exit status 1" + "x" * 5000).result()
    waiting = shown(store, job.run_id)
    assert (waiting["status"], waiting["logs"]) == ("Pending", [LOG])
    assert "exit status 1" in waiting["statusDetails"]
    assert len(waiting["statusDetails"]) == 4096  # the limit of the contract
    assert waiting["execution"]["retryCount"] == 1
    assert store.runs.pending(9) == [job.run_id]
    again = job_of(store, job.run_id)
    assert again.attempt == 2
    assert start(store, again)
    store.runs.ended(again, failed, "Waiting", start_after=123.5).result()
    assert store.runs.pending(9) == []  # not yet
    assert store.runs.delayed() == [(job.run_id, 123.5)]
    assert start(store, job_of(store, job.run_id))
    assert store.runs.delayed() == []


def test_an_attempt_that_did_not_begin_is_put_back(store: Store) -> None:
    job = started(store)
    store.runs.put_back(job, "Waiting").result()
    waiting = shown(store, job.run_id)
    assert (waiting["status"], waiting["statusDetails"]) == ("Pending", "Waiting")
    assert waiting["logs"] == []
    assert job_of(store, job.run_id) == job


def test_a_pending_run_is_aborted_at_once_and_never_started(store: Store) -> None:
    job = job_of(store, add(store))
    assert json.loads(store.abort(job.run_id, ME).result())["status"] == "Aborted"
    assert not start(store, job)
    assert store.runs.pending(9) == []
    with pytest.raises(WrongStatusError, match="Aborted"):
        store.abort(job.run_id, ME).result()


@pytest.mark.parametrize("while_it", ["Pending", "Running"])
@pytest.mark.parametrize(
    ("status", "again", "ends"),
    [("Aborted", "", "Aborted"), ("Failed", "Waiting", "Aborted"), ("Completed", "", "Completed")],
)
def test_a_run_that_is_aborted_under_way_ends_when_its_attempt_does(
    while_it: str, status: str, again: str, ends: str, store: Store
) -> None:
    job = started(store, while_it)
    assert json.loads(store.abort(job.run_id, ME).result())["status"] == while_it
    store.runs.noted(job, "handle", "Running", "It runs", None).result()
    assert shown(store, job.run_id)["statusDetails"] == "Being aborted"
    assert [each.aborting for each in store.runs.under_way()] == [True]
    store.runs.ended(job, Outcome(status, "", LOG), again).result()
    assert shown(store, job.run_id)["status"] == ends
    assert store.runs.pending(9) == store.runs.under_way() == []


def test_runs_that_ended_long_ago_are_removed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("libica.local.store.store._PRUNED_AT_ONCE", 3)
    with monkeypatch.context() as patch:
        for module in ("objects", "runs"):
            patch.setattr(f"libica.local.store.{module}.now", lambda: "2020-01-01T00:00:00.0Z")
        old = [started(store) for _ in range(10)]
        for job in old[:8]:
            store.runs.ended(job, Outcome("Completed", "", LOG), again=False)
        waiting = add(store)
    recent = started(store)
    store.runs.ended(recent, Outcome("Failed", "", LOG), again=False)
    assert store.prune(36500).result() == 0
    assert store.prune(30).result() == 8
    assert store.prune(30).result() == 0
    kept = {*(job.run_id for job in old[8:]), waiting, recent.run_id}
    cursor = Cursor("runs", "", "name", descending=False, filters={}, size=10)
    page = store.page(RUNS, cursor, ME, total=True)
    assert {json.loads(item)["id"] for item in page.items} == kept
    assert page.total == len(kept)
    with pytest.raises(NotFoundError):
        store.run(old[0].run_id, ME)
    assert add(store) in store.runs.pending(1000)


def test_removing_old_runs_ends_when_the_store_is_closed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("libica.local.store.store._PRUNED_AT_ONCE", 0)  # it never ends by itself
    pruned = store.prune(0)
    store.close()
    assert isinstance(pruned.exception(60), CancelledError)


def test_many_threads_change_at_once_and_nothing_is_lost(store: Store) -> None:
    with ThreadPoolExecutor(8) as threads:
        ids = list(threads.map(lambda _: add(store), range(200)))
    assert sorted(store.runs.pending(1000)) == sorted(ids)


def test_a_store_is_reopened_as_it_was_and_has_no_token_in_its_files(tmp_path: Path) -> None:
    path = tmp_path / "tes.sqlite"
    store = Store(path)
    task = objects.task({"name": "kept"}, ME)
    store.add_task(task).result()
    for token in ("old", "token-that-nobody-may-see"):  # the second replaces the first
        store.admit(token, ME, "main").result()
    key = store.key
    store.close()
    for file in tmp_path.iterdir():
        assert b"token-that-nobody-may-see" not in file.read_bytes()
    store = Store(path)
    assert json.loads(store.task(task["id"], ME)) == task
    assert store.key == key
    assert (store.identity("old"), store.identity("token-that-nobody-may-see")) == (None, ME)
    store.close()


def test_data_of_another_version_and_files_of_another_kind_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "tes.sqlite"
    Store(path).close()
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(ValueError, match="version 99"):
        Store(path)
    path.write_text("hello " * 1000)
    with pytest.raises(ValueError, match="not a database"):
        Store(path)


# The database below it: many changes in one transaction.


@pytest.fixture
def numbers(tmp_path: Path) -> Iterator[Database]:
    db = Database(tmp_path / "db", Schema(1, "CREATE TABLE numbers (number INTEGER UNIQUE);"))
    yield db
    db.close()


def insert(number: int) -> Any:
    return lambda db: db.execute("INSERT INTO numbers VALUES (?)", (number,)).rowcount


def held(db: Database) -> threading.Event:
    """Keep the writer busy until the event, so that the next changes share a transaction."""
    go = threading.Event()
    db.write(lambda _: go.wait(60))
    return go


def in_it(db: Database) -> list[int]:
    return [number for (number,) in db.read("SELECT number FROM numbers ORDER BY number")]


def test_a_change_that_fails_or_is_cancelled_is_undone_alone(numbers: Database) -> None:
    def broken(connection: sqlite3.Connection) -> None:
        insert(7)(connection)
        raise KeyError("broken")

    go = held(numbers)
    changes = [numbers.write(each) for each in (insert(1), broken, insert(3), insert(2))]
    assert changes[2].cancel()
    go.set()
    assert (changes[0].result(), changes[3].result()) == (1, 1)
    with pytest.raises(KeyError):
        changes[1].result()
    assert in_it(numbers) == [1, 2]


def test_a_failed_transaction_fails_all_its_changes_and_no_later_ones(numbers: Database) -> None:
    def full(connection: sqlite3.Connection) -> None:
        connection.execute("ROLLBACK")  # as SQLite does when the disk is full
        raise sqlite3.OperationalError("database or disk is full")

    go = held(numbers)
    changes: list[Future[Any]] = [numbers.write(each) for each in (insert(1), full, insert(2))]
    go.set()
    wait(changes)
    assert all(isinstance(each.exception(), UnavailableError) for each in changes)
    assert in_it(numbers) == []
    assert numbers.write(insert(3)).result() == 1


def test_closing_makes_the_waiting_changes(tmp_path: Path) -> None:
    path = tmp_path / "db"
    db = Database(path, Schema(1, "CREATE TABLE numbers (number INTEGER UNIQUE);"))
    changes = [db.write(insert(number)) for number in range(4 * database._BATCH)]
    db.close()
    assert all(each.done() and each.result() == 1 for each in changes)
