"""Tasks, versions and runs: who may see them, and how they change.

What becomes of runs as their attempts start and end is in `runs`.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Optional

from . import copies, objects, query
from .database import Database
from .errors import WrongStatusError
from .identity import Grant, Identity, digest
from .lists import Cursor, Listing, Page
from .objects import Json
from .rows import encoded, insert, only, remove_ended, run_columns, update, versions_of
from .runs import Runs, is_under_way
from .schema import SCHEMA

_DAY = 24 * 60 * 60.0  # seconds
_PRUNED_AT_ONCE = 200  # runs: other changes wait for so many


class Store:
    """All data of a service.

    Callers see what they created and what has them in its access list; anything else raises
    `NotFoundError`. Methods that change something return a future, which is done when the change
    is on disk. Any thread may call any method.

    Args:
        path: The database file; ``None`` to keep the data in memory.

    Attributes:
        key: The secret key with which the service signs.
        runs: Its runs, as the engine sees them.

    Raises:
        ValueError: The file is damaged, not a database, or of a later version.
    """

    def __init__(self, path: Optional[Path] = None) -> None:
        self._database = Database(path, SCHEMA)
        self.runs: Runs = Runs(self._database)
        self.key: bytes = self._database.write(_key).result()

    def close(self) -> None:
        """Make the changes that are waiting, then close the file."""
        self._database.close()

    def admit(self, token: str, identity: Identity, label: str) -> Future[None]:
        """Accept a token from now on, in place of the previous one with the same label."""
        row = (digest(token), label, *dataclasses.astuple(identity))

        def apply(db: sqlite3.Connection) -> None:
            db.execute("INSERT OR REPLACE INTO tokens VALUES (?, ?, ?, ?, ?)", row)

        return self._database.write(apply)

    def identity(self, token: str) -> Optional[Identity]:
        """Return the identity of a token; ``None`` if the token is unknown."""
        sql = "SELECT tenant, workgroup, user FROM tokens WHERE digest = ?"
        rows = self._database.read(sql, digest(token))
        return Identity(*rows[0]) if rows else None

    def grant(self, token: str) -> Optional[Grant]:
        """Return what an access token grants; ``None`` if the token is unknown."""
        return self._grant("digest", digest(token))

    def grant_of(self, label: str) -> Optional[Grant]:
        """Return what the access token with a label grants; ``None`` if there is none."""
        return self._grant("label", label)

    def _grant(self, column: str, value: object) -> Optional[Grant]:
        sql = f"SELECT label, digest, tenant, workgroup, user FROM tokens WHERE {column} = ?"  # noqa: S608
        rows = self._database.read(sql, value)
        return Grant(rows[0][0], rows[0][1], Identity(*rows[0][2:])) if rows else None

    def runs_by_status(self) -> dict[str, int]:
        """Return how many runs there are of each status."""
        return dict(self._database.read("SELECT status, sum(runs) FROM counts GROUP BY status"))

    def changes_waiting(self) -> int:
        """Return how many changes wait to be made."""
        return self._database.waiting()

    def task(self, task_id: str, by: Identity) -> str:
        """Return a ``TaskSummary``."""
        (summary,) = self._get("tasks", task_id, by)
        return str(summary)

    def version(self, task_id: str, version_id: str, by: Identity) -> tuple[str, Optional[str]]:
        """Return a ``TaskVersionSummary`` and its execution."""
        summary, execution = self._get("versions", version_id, by, task_id)
        return summary, execution

    def task_of(self, version_id: str, by: Identity) -> str:
        """Return the id of the task that a version belongs to."""
        rows = self._database.read("SELECT scope FROM versions WHERE id = ?", version_id)
        task_id = str(rows[0][0]) if rows else ""
        self.version(task_id, version_id, by)
        return task_id

    def versions(self, task_id: str, by: Identity) -> list[tuple[str, Optional[str]]]:
        """Return the versions of a task, oldest first."""
        return self._database.view(lambda db: versions_of(db, task_id, by))

    def run(self, run_id: str, by: Identity) -> tuple[str, str, str]:
        """Return a ``TaskRunSummary``, the execution and the logs."""
        summary, execution, logs, _ = self._get("runs", run_id, by)
        return summary, execution, logs

    def _get(self, table: str, object_id: str, by: Identity, scope: str = "") -> Any:
        return self._database.view(lambda db: only(db, table, object_id, by, scope))

    def add_task(
        self, task: Json, versions: Sequence[tuple[Json, Optional[Json]]] = ()
    ) -> Future[None]:
        """Add a task with versions, each with its execution."""

        def apply(db: sqlite3.Connection) -> None:
            insert(db, "tasks", task)
            for version, execution in versions:
                insert(db, "versions", version, task["id"], execution=encoded(execution))

        return self._database.write(apply)

    def add_version(self, task_id: str, version: Json, execution: Optional[Json]) -> Future[None]:
        """Add a version to a task."""
        execution_json = encoded(execution)
        return self._database.write(
            lambda db: insert(db, "versions", version, task_id, execution=execution_json)
        )

    def add_run(self, run: Json, execution: Json) -> Future[None]:
        """Add a pending run."""
        return self._database.write(lambda db: _add_run(db, run, execution))

    def add_runs(self, runs: Sequence[tuple[Json, Json]]) -> Future[int]:
        """Add pending runs, each with its execution, all or none; the future has how many.

        One whose id is known was added before, and is left as it is.
        """

        def apply(db: sqlite3.Connection) -> int:
            known = "SELECT 1 FROM runs WHERE id = ?"
            new = [each for each in runs if not db.execute(known, (each[0]["id"],)).fetchone()]
            for run, execution in new:
                _add_run(db, run, execution)
            return len(new)

        return self._database.write(apply)

    def change_task(
        self, task_id: str, by: Identity, change: Callable[[Json], Json]
    ) -> Future[str]:
        """Change a ``TaskSummary``; the future has the new one."""

        def apply(db: sqlite3.Connection) -> str:
            (old,) = only(db, "tasks", task_id, by)
            return update(db, "tasks", change(json.loads(old)))

        return self._database.write(apply)

    def change_version(
        self,
        task_id: str,
        version_id: str,
        by: Identity,
        change: Callable[[Json], Json],
        execution: Optional[Json],
    ) -> Future[tuple[str, Optional[str]]]:
        """Change the summary of a version, and its execution if one is given.

        The future has both.
        """

        def apply(db: sqlite3.Connection) -> tuple[str, Optional[str]]:
            old, kept = only(db, "versions", version_id, by, task_id)
            current = encoded(execution) or kept
            return update(db, "versions", change(json.loads(old)), execution=current), current

        return self._database.write(apply)

    def abort(self, run_id: str, by: Identity) -> Future[str]:
        """Abort a pending run, or record that a running one is to be aborted.

        The future has the summary. A running run ends when `ended` is called for it.
        """

        def apply(db: sqlite3.Connection) -> str:
            run = objects.changed(json.loads(only(db, "runs", run_id, by)[0]), by)
            under_way = is_under_way(db, run_id)
            if run["status"] == "Pending" and not under_way:
                run.update(status="Aborted", statusDetails="Aborted before it started")
            elif under_way:
                run.update(statusDetails="Being aborted")
            else:
                must = "only Pending and Running runs can be aborted"
                raise WrongStatusError(f"Run {run_id} is {run['status']}: {must}")
            return update(db, "runs", run, aborting=True)

        return self._database.write(apply)

    def known(self, table: str, object_id: str) -> Optional[copies.Known]:
        """Return a stored object by its id, ignoring its access list; ``None`` if it is unknown."""
        return self._database.view(lambda db: copies.known(db, table, object_id))

    def tasks_made_here(self) -> dict[str, list[str]]:
        """Return the ids of the tasks that are no copies, by name."""
        return self._database.view(copies.tasks_made_here)

    def take(self, taken: Sequence[copies.Copy], owner: Identity) -> Future[list[copies.Copy]]:
        """Store copies of objects of another service as they are; all of them or, on failure, none.

        The owner may see them, whatever their access lists say. The future has those that are not
        stored, since others have their names.
        """
        return self._database.write(lambda db: copies.take(db, taken, owner))

    def page(self, listing: Listing, cursor: Cursor, by: Identity, total: bool) -> Page:
        """Return the page of a list at a cursor, with the total if requested."""
        return self._database.view(lambda db: query.page(db, listing, cursor, by, total))

    def counts(self, filters: Mapping[str, list[str]], by: Identity) -> dict[str, int]:
        """Return how many runs of each status there are; by name or by version, not by both."""
        return self._database.view(lambda db: query.by_status(db, filters, by))

    def prune(self, older_than_days: float) -> Future[int]:
        """Remove the runs that ended that long ago; the future has how many.

        Changes that others make meanwhile go in between. The file does not shrink: what follows
        takes the room.
        """
        then = time.gmtime(time.time() - older_than_days * _DAY)
        before = time.strftime("%Y-%m-%dT%H:%M:%S", then)
        pruned: Future[int] = Future()

        def go_on(removed: int) -> None:
            batch = self._database.write(lambda db: remove_ended(db, before, _PRUNED_AT_ONCE))
            batch.add_done_callback(lambda batch: follow(batch, removed))

        def follow(batch: Future[int], removed: int) -> None:
            try:
                found = batch.result()
            except BaseException as error:  # also if the store is closed meanwhile
                pruned.set_exception(error)
                return
            if found < _PRUNED_AT_ONCE:
                pruned.set_result(removed + found)
            else:
                go_on(removed + found)

        go_on(0)
        return pruned


def _add_run(db: sqlite3.Connection, run: Json, execution: Json) -> None:
    insert(db, "runs", run, **run_columns(run, execution))


def _key(db: sqlite3.Connection) -> bytes:
    """Return the secret key of the store, created on first use."""
    db.execute("INSERT OR IGNORE INTO settings VALUES ('key', ?)", (os.urandom(32),))
    (key,) = db.execute("SELECT value FROM settings WHERE name = 'key'").fetchone()
    return bytes(key)
