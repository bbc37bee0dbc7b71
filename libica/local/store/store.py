"""Tasks, versions and runs: who may see them, and how they change.

What becomes of runs as their attempts start and end is in `runs`.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Optional

from . import objects
from .database import Database
from .errors import WrongStatusError
from .identity import Identity, digest
from .lists import Cursor, Listing, Page
from .objects import Json
from .rows import VALUES, VISIBLE, dumps, encoded, insert, only, reader, update, who
from .runs import Runs
from .schema import SCHEMA


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
        ValueError: The file is not a database, or has another version of the schema.
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

    def task(self, task_id: str, by: Identity) -> str:
        """Return a ``TaskSummary``."""
        (summary,) = self._get("tasks", task_id, by)
        return str(summary)

    def version(self, task_id: str, version_id: str, by: Identity) -> tuple[str, Optional[str]]:
        """Return a ``TaskVersionSummary`` and its execution."""
        summary, execution = self._get("versions", version_id, by, task_id)
        return summary, execution

    def versions(self, task_id: str, by: Identity) -> list[tuple[str, Optional[str]]]:
        """Return the versions of a task, oldest first."""
        sql = f"SELECT summary, execution FROM versions WHERE {VISIBLE} AND scope = ? ORDER BY seq"  # noqa: S608
        return self._database.read(sql, *who(by), task_id)

    def run(self, run_id: str, by: Identity) -> tuple[str, str, str]:
        """Return a ``TaskRunSummary``, the execution and the logs."""
        summary, execution, logs, _ = self._get("runs", run_id, by)
        return summary, execution, logs

    def _get(self, table: str, object_id: str, by: Identity, scope: str = "") -> Any:
        return only(self._database.read, table, object_id, by, scope)

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
        launched = run.get("taskVersionSummary", {})
        more = {
            "versionId": launched.get("id", ""),
            "version": launched.get("version", ""),
            "execution": dumps(execution),
            "logs": "[]",
            "aborting": False,
        }
        return self._database.write(lambda db: insert(db, "runs", run, **more))

    def change_task(
        self, task_id: str, by: Identity, change: Callable[[Json], Json]
    ) -> Future[str]:
        """Change a ``TaskSummary``; the future has the new one."""

        def apply(db: sqlite3.Connection) -> str:
            (old,) = only(reader(db), "tasks", task_id, by)
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
            old, kept = only(reader(db), "versions", version_id, by, task_id)
            current = encoded(execution) or kept
            return update(db, "versions", change(json.loads(old)), execution=current), current

        return self._database.write(apply)

    def abort(self, run_id: str, by: Identity) -> Future[str]:
        """Abort a pending run, or record that a running one is to be aborted.

        The future has the summary. A running run ends when `ended` is called for it.
        """

        def apply(db: sqlite3.Connection) -> str:
            run = objects.changed(json.loads(only(reader(db), "runs", run_id, by)[0]), by)
            if run["status"] == "Pending":
                run.update(status="Aborted", statusDetails="Aborted before it started")
            elif run["status"] == "Running":
                run.update(statusDetails="Being aborted")
            else:
                must = "only Pending and Running runs can be aborted"
                raise WrongStatusError(f"Run {run_id} is {run['status']}: {must}")
            return update(db, "runs", run, aborting=True)

        return self._database.write(apply)

    def page(self, listing: Listing, cursor: Cursor, by: Identity, total: bool) -> Page:
        """Return the page of a list at a cursor, with the total if requested."""
        if cursor.newest is None:
            sql = f"SELECT coalesce(max(seq), 0) FROM {listing.table}"  # noqa: S608
            cursor = dataclasses.replace(cursor, newest=self._database.read(sql)[0][0])
        where, values = _conditions(listing, cursor, by)
        count, limit = None, cursor.size
        at_the_end = cursor.backwards and cursor.start is None
        if total or at_the_end:
            sql = f"SELECT count(*) FROM {listing.table} WHERE {where}"  # noqa: S608
            count = self._database.read(sql, *values)[0][0]
        if at_the_end:  # the last page begins where paging forwards would begin it
            limit = (count or 0) % cursor.size or cursor.size
        rows = self._database.read(*_select(listing, cursor, where, values, limit + 1))
        beyond, rows = len(rows) > limit, rows[:limit]
        if cursor.backwards:
            rows.reverse()
        came_from = cursor.start is not None
        return Page(
            cursor,
            [summary for _, _, summary in rows],
            (rows[0][:2], rows[-1][:2]) if rows else None,
            before=beyond if cursor.backwards else came_from,
            after=came_from if cursor.backwards else beyond,
            total=count if total else None,
        )


def _key(db: sqlite3.Connection) -> bytes:
    """Return the secret key of the store, created on first use."""
    db.execute("INSERT OR IGNORE INTO settings VALUES ('key', ?)", (os.urandom(32),))
    (key,) = db.execute("SELECT value FROM settings WHERE name = 'key'").fetchone()
    return bytes(key)


def _conditions(listing: Listing, cursor: Cursor, by: Identity) -> tuple[str, list[Any]]:
    """Return the SQL condition on the objects of a list, and its values."""
    where = ["seq <= ?", "scope = ?", VISIBLE]
    values: list[Any] = [cursor.newest, cursor.scope, *who(by)]
    for name, accepted in cursor.filters.items():
        condition = listing.filters[name]
        where.append(condition.format(VALUES))
        values += [dumps(accepted)] * condition.format("?").count("?")
    return " AND ".join(where), values


def _select(
    listing: Listing, cursor: Cursor, where: str, values: list[Any], limit: int
) -> tuple[Any, ...]:
    """Return the SQL query for the objects of a page, and its values."""
    column = listing.sorts[cursor.sort]
    downwards = cursor.descending != cursor.backwards
    if cursor.start is not None:
        where += f" AND ({column}, id) {'<' if downwards else '>'} (?, ?)"
        values = [*values, *cursor.start]
    order = "DESC" if downwards else "ASC"
    sql = (
        f"SELECT {column}, id, summary FROM {listing.table} WHERE {where} "  # noqa: S608
        f"ORDER BY {column} {order}, id {order} LIMIT ?"
    )
    return sql, *values, limit
