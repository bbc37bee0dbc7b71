"""The store: how runs change, what is kept, and that changes are safe."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest

from libica.local.engine.protocols import RunStore
from libica.local.node.job import Job, Outcome
from libica.local.store import database, objects
from libica.local.store.database import Database
from libica.local.store.errors import WrongStatusError
from libica.local.store.identity import Identity
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


def started(store: Store) -> Job:
    job = store.runs.job(add(store))
    assert store.runs.started(job)
    return job


def shown(store: Store, run_id: str) -> dict[str, Any]:
    summary, execution, logs = store.run(run_id, ME)
    return {**json.loads(summary), "execution": json.loads(execution), "logs": json.loads(logs)}


def test_runs_are_pending_in_the_order_of_their_launch_and_visible_at_once(store: Store) -> None:
    needed: RunStore = store.runs
    ids = [add(store) for _ in range(20)]
    assert {shown(store, each)["status"] for each in ids} == {"Pending"}
    assert needed.pending() == ids


def test_a_run_goes_from_pending_to_running_to_its_end(store: Store) -> None:
    run_id = add(store)
    job = store.runs.job(run_id)
    assert job == Job(run_id, EXECUTION, 1)
    assert store.runs.started(job)
    running = shown(store, run_id)
    assert running["status"] == "Running"
    assert running["timeModified"] > running["timeCreated"]
    assert store.runs.pending() == []
    store.runs.ended(job, Outcome("Completed", "well", LOG), again=False)
    done = shown(store, run_id)
    assert (done["status"], done["statusDetails"], done["logs"]) == ("Completed", "well", [LOG])


def test_a_retried_run_is_pending_with_its_log_kept(store: Store) -> None:
    job = started(store)
    store.runs.ended(job, Outcome("Failed", "exit status 1" + "x" * 5000, LOG), again=True)
    waiting = shown(store, job.run_id)
    assert (waiting["status"], waiting["logs"]) == ("Pending", [LOG])
    assert "exit status 1" in waiting["statusDetails"]
    assert len(waiting["statusDetails"]) == 4096  # the limit of the contract
    assert waiting["execution"]["retryCount"] == 1
    assert store.runs.pending() == [job.run_id]
    assert store.runs.job(job.run_id).attempt == 2


def test_a_pending_run_is_aborted_at_once_and_never_started(store: Store) -> None:
    job = store.runs.job(add(store))
    assert json.loads(store.abort(job.run_id, ME).result())["status"] == "Aborted"
    assert not store.runs.started(job)
    assert store.runs.pending() == []
    with pytest.raises(WrongStatusError, match="Aborted"):
        store.abort(job.run_id, ME).result()


@pytest.mark.parametrize(
    ("status", "again", "ends"),
    [("Aborted", False, "Aborted"), ("Failed", True, "Aborted"), ("Completed", False, "Completed")],
)
def test_a_running_run_that_is_aborted_ends_when_its_job_does(
    status: str, again: bool, ends: str, store: Store
) -> None:
    job = started(store)
    assert json.loads(store.abort(job.run_id, ME).result())["status"] == "Running"
    store.runs.ended(job, Outcome(status, "", LOG), again)
    assert shown(store, job.run_id)["status"] == ends
    assert store.runs.pending() == []


def test_runs_that_a_killed_service_left_running_are_retried_or_fail(store: Store) -> None:
    last, again, aborted, waiting = (add(store, retryLimit=limit) for limit in (0, 1, 1, 1))
    for run_id in (last, again, aborted):
        store.runs.started(store.runs.job(run_id))
    store.abort(aborted, ME).result()
    store.runs.recover()
    statuses = [shown(store, each)["status"] for each in (last, again, aborted, waiting)]
    assert statuses == ["Failed", "Pending", "Aborted", "Pending"]
    failed = shown(store, last)
    assert "killed" in failed["statusDetails"]
    assert "retryLimit" in failed["statusDetails"]
    assert failed["logs"][0]["error"] == failed["statusDetails"]
    assert store.runs.job(again).attempt == 2
    assert store.runs.pending() == [again, waiting]


def test_many_threads_change_at_once_and_nothing_is_lost(store: Store) -> None:
    with ThreadPoolExecutor(8) as threads:
        ids = list(threads.map(lambda _: add(store), range(200)))
    assert sorted(store.runs.pending()) == sorted(ids)


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
    db = Database(tmp_path / "db", "CREATE TABLE numbers (number INTEGER UNIQUE);")
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
    assert all(isinstance(each.exception(), sqlite3.Error) for each in changes)
    assert in_it(numbers) == []
    assert numbers.write(insert(3)).result() == 1


def test_closing_makes_the_waiting_changes(tmp_path: Path) -> None:
    path = tmp_path / "db"
    db = Database(path, "CREATE TABLE numbers (number INTEGER UNIQUE);")
    changes = [db.write(insert(number)) for number in range(4 * database._BATCH)]
    db.close()
    assert all(each.done() and each.result() == 1 for each in changes)
