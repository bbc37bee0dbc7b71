"""The store: how runs change, what is kept, and that changes are safe."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any

import pytest

from libica.local.engine.protocols import RunStore
from libica.local.node.job import Job, Outcome
from libica.local.service import paging
from libica.local.store import database, lists, objects
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


def add(store: Store, name: str = "run", **execution: Any) -> str:
    filled = {**EXECUTION, **execution}
    run = objects.run({"name": name}, filled, ME)
    store.add_run(run, filled).result()
    return str(run["id"])


def shown(store: Store, run_id: str) -> dict[str, Any]:
    summary, execution, logs = store.run(run_id, ME)
    return {**json.loads(summary), "execution": json.loads(execution), "logs": json.loads(logs)}


def test_the_store_is_what_a_scheduler_needs(store: Store) -> None:
    needed: RunStore = store
    assert needed.pending() == []


def test_runs_wait_in_the_order_of_their_launch(store: Store) -> None:
    ids = [add(store) for _ in range(20)]
    assert store.pending() == ids


def test_a_run_goes_from_pending_over_running_to_its_end(store: Store) -> None:
    run_id = add(store)
    job = store.job(run_id)
    assert job == Job(run_id, EXECUTION, 1)
    assert store.started(job)
    running = shown(store, run_id)
    assert running["status"] == "Running"
    assert running["timeModified"] > running["timeCreated"]
    assert store.pending() == []
    store.ended(job, Outcome("Completed", "well", LOG), again=False)
    done = shown(store, run_id)
    assert (done["status"], done["statusDetails"], done["logs"]) == ("Completed", "well", [LOG])


def test_a_run_that_is_tried_again_waits_with_its_log_kept(store: Store) -> None:
    run_id = add(store)
    job = store.job(run_id)
    store.started(job)
    store.ended(job, Outcome("Failed", "exit status 1", LOG), again=True)
    waiting = shown(store, run_id)
    assert (waiting["status"], waiting["logs"]) == ("Pending", [LOG])
    assert "exit status 1" in waiting["statusDetails"]
    assert waiting["execution"]["retryCount"] == 1
    assert store.pending() == [run_id]
    assert store.job(run_id).attempt == 2


def test_details_are_cut_to_what_the_contract_allows(store: Store) -> None:
    job = store.job(add(store))
    store.started(job)
    store.ended(job, Outcome("Failed", "x" * 5000, LOG), again=False)
    assert len(shown(store, job.run_id)["statusDetails"]) == 4096


def test_a_run_that_waits_is_aborted_at_once_and_never_started(store: Store) -> None:
    job = store.job(add(store))
    assert json.loads(store.abort(job.run_id, ME).result())["status"] == "Aborted"
    assert not store.started(job)
    assert store.pending() == []
    with pytest.raises(WrongStatusError, match="Aborted"):
        store.abort(job.run_id, ME).result()


@pytest.mark.parametrize(
    ("status", "again", "ends"),
    [("Aborted", False, "Aborted"), ("Failed", True, "Aborted"), ("Completed", False, "Completed")],
)
def test_a_run_under_way_that_is_aborted_ends_when_its_job_does(
    status: str, again: bool, ends: str, store: Store
) -> None:
    job = store.job(add(store))
    store.started(job)
    assert json.loads(store.abort(job.run_id, ME).result())["status"] == "Running"
    store.ended(job, Outcome(status, "", LOG), again)
    assert shown(store, job.run_id)["status"] == ends
    assert store.pending() == []


def test_what_a_killed_service_left_under_way_starts_again_or_has_failed(store: Store) -> None:
    last, again, aborted, waiting = (add(store, retryLimit=limit) for limit in (0, 1, 1, 1))
    for run_id in (last, again, aborted):
        store.started(store.job(run_id))
    store.abort(aborted, ME).result()
    store.recover()
    assert [shown(store, each)["status"] for each in (last, again, aborted, waiting)] == [
        "Failed",
        "Pending",
        "Aborted",
        "Pending",
    ]
    failed = shown(store, last)
    assert "killed" in failed["statusDetails"]
    assert "retryLimit" in failed["statusDetails"]
    assert failed["logs"][0]["error"] == failed["statusDetails"]
    assert store.job(again).attempt == 2
    assert store.pending() == [again, waiting]


def test_many_threads_change_at_once_and_nothing_is_lost(store: Store) -> None:
    ids: list[str] = []

    def launch() -> None:
        for _ in range(25):
            ids.append(add(store))

    threads = [threading.Thread(target=launch) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(store.pending()) == sorted(ids)
    assert len(ids) == 200


def test_what_is_added_is_seen_at_once(store: Store) -> None:
    for _ in range(50):
        assert shown(store, add(store))["status"] == "Pending"


def test_a_store_is_found_again_as_it_was_left(tmp_path: Path) -> None:
    path = tmp_path / "tes.sqlite"
    store = Store(path)
    task = objects.task({"name": "kept"}, ME)
    store.add_task(task).result()
    store.admit("token", ME, "main").result()
    key = store.key
    cursor = paging.read(lists.TASKS, "", {}, key)
    token = paging.envelope(store.page(lists.TASKS, cursor, ME, False), key)["firstPageToken"]
    store.close()
    store = Store(path)
    assert json.loads(store.task(task["id"], ME)) == task
    assert store.key == key
    assert store.identity("token") == ME
    cursor = paging.read(lists.TASKS, "", {"pagetoken": token}, key)
    assert len(store.page(lists.TASKS, cursor, ME, False).items) == 1
    store.close()


def test_a_token_takes_the_place_of_the_one_before(store: Store) -> None:
    store.admit("old", ME, "main").result()
    store.admit("new", ME, "main").result()
    assert (store.identity("old"), store.identity("new")) == (None, ME)


def test_no_token_is_kept_in_the_file(tmp_path: Path) -> None:
    store = Store(tmp_path / "tes.sqlite")
    store.admit("token-that-nobody-may-see", ME, "main").result()
    store.close()
    for file in tmp_path.iterdir():
        assert b"token-that-nobody-may-see" not in file.read_bytes()


def test_data_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tes.sqlite"
    Store(path).close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(ValueError, match="version 99"):
        Store(path)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tes.sqlite"
    path.write_text("hello " * 1000)
    with pytest.raises(ValueError, match="not a database"):
        Store(path)


SCHEMA = "CREATE TABLE numbers (number INTEGER UNIQUE);"


def insert(number: int) -> Any:
    return lambda db: db.execute("INSERT INTO numbers VALUES (?)", (number,)).rowcount


def held(db: Database) -> tuple[threading.Event, Future[bool]]:
    """Keep the writer busy, so that what follows goes into one transaction."""
    go = threading.Event()
    return go, db.write(lambda _: go.wait(10))


def test_a_change_that_fails_undoes_itself_alone(tmp_path: Path) -> None:
    db = Database(tmp_path / "db", SCHEMA)
    go, _ = held(db)

    def broken(connection: sqlite3.Connection) -> None:
        insert(7)(connection)
        raise KeyError("broken")

    first, fails, last = db.write(insert(1)), db.write(broken), db.write(insert(2))
    go.set()
    assert (first.result(), last.result()) == (1, 1)
    with pytest.raises(KeyError):
        fails.result()
    assert db.read("SELECT number FROM numbers ORDER BY number") == [(1,), (2,)]
    db.close()


def test_a_change_that_nobody_waits_for_any_more_is_not_made() -> None:
    db = Database(None, SCHEMA)
    go, _ = held(db)
    given_up, kept = db.write(insert(1)), db.write(insert(2))
    assert given_up.cancel()
    go.set()
    kept.result()
    assert db.read("SELECT number FROM numbers") == [(2,)]
    db.close()


def test_a_transaction_that_fails_is_told_to_all_who_share_it(tmp_path: Path) -> None:
    db = Database(tmp_path / "db", SCHEMA)
    go, _ = held(db)

    def full(connection: sqlite3.Connection) -> None:
        connection.execute("ROLLBACK")  # as SQLite itself does when the disk is full
        raise sqlite3.OperationalError("database or disk is full")

    changes = [db.write(insert(1)), db.write(full), db.write(insert(2))]
    go.set()
    wait(changes)
    assert all(isinstance(each.exception(), sqlite3.Error) for each in changes)
    assert db.read("SELECT number FROM numbers") == []
    assert db.write(insert(3)).result() == 1
    db.close()


def test_closing_finishes_what_was_asked_for(tmp_path: Path) -> None:
    db = Database(tmp_path / "db", SCHEMA)
    changes = [db.write(insert(number)) for number in range(1000)]
    db.close()
    assert all(each.done() for each in changes)
    assert len(changes) > 3 * database._BATCH
