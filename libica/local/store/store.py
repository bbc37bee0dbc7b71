"""Tasks, versions and runs: who may see them, and how they change.

Each object is one row: its JSON as responses have it, beside the columns to find it by, named as
in the JSON.
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

from ..node.job import Job, Outcome, now
from . import objects
from .database import Database
from .errors import NameTakenError, NotFoundError, WrongStatusError
from .identity import Grant, Identity, digest
from .lists import Cursor, Listing, Page
from .objects import Json

_SCHEMA = """
CREATE TABLE settings (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE tokens (
    digest BLOB PRIMARY KEY, label TEXT NOT NULL UNIQUE,
    tenant TEXT NOT NULL, workgroup TEXT NOT NULL, user TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE tasks (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, scope TEXT NOT NULL, id TEXT NOT NULL UNIQUE,
    createdBy TEXT NOT NULL, acl TEXT NOT NULL, name TEXT NOT NULL,
    timeCreated TEXT NOT NULL, timeModified TEXT NOT NULL, summary TEXT NOT NULL,
    tenantId TEXT NOT NULL, UNIQUE (tenantId, name)
);
CREATE INDEX tasks_name ON tasks (name, id);
CREATE INDEX tasks_created ON tasks (timeCreated, id);
CREATE INDEX tasks_modified ON tasks (timeModified, id);
CREATE TABLE versions (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, scope TEXT NOT NULL, id TEXT NOT NULL UNIQUE,
    createdBy TEXT NOT NULL, acl TEXT NOT NULL, version TEXT NOT NULL,
    timeCreated TEXT NOT NULL, timeModified TEXT NOT NULL, summary TEXT NOT NULL,
    execution TEXT, UNIQUE (scope, version)
);
CREATE INDEX versions_created ON versions (scope, timeCreated, id);
CREATE INDEX versions_modified ON versions (scope, timeModified, id);
CREATE TABLE runs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, scope TEXT NOT NULL, id TEXT NOT NULL UNIQUE,
    createdBy TEXT NOT NULL, acl TEXT NOT NULL, name TEXT NOT NULL, status TEXT NOT NULL,
    timeCreated TEXT NOT NULL, timeModified TEXT NOT NULL, summary TEXT NOT NULL,
    versionId TEXT NOT NULL, version TEXT NOT NULL, execution TEXT NOT NULL,
    logs TEXT NOT NULL, aborting INTEGER NOT NULL
);
CREATE INDEX runs_name ON runs (name, id);
CREATE INDEX runs_status ON runs (status, id);
CREATE INDEX runs_created ON runs (timeCreated, id);
CREATE INDEX runs_modified ON runs (timeModified, id);
CREATE INDEX runs_waiting ON runs (seq) WHERE status = 'Pending';
"""

# The columns to find objects by, and those that make up one object.
_COLUMNS = {
    "tasks": ("id", "createdBy", "acl", "name", "timeCreated", "timeModified", "tenantId"),
    "versions": ("id", "createdBy", "acl", "version", "timeCreated", "timeModified"),
    "runs": ("id", "createdBy", "acl", "name", "status", "timeCreated", "timeModified"),
}
_PARTS = {
    "tasks": "summary",
    "versions": "summary, execution",
    "runs": "summary, execution, logs, aborting",
}
_NOUNS = {"tasks": "task", "versions": "version", "runs": "run"}

_VALUES = "(SELECT value FROM json_each(?))"
_VISIBLE = f"(createdBy = ? OR EXISTS (SELECT 1 FROM json_each(acl) WHERE value IN {_VALUES}))"  # noqa: S608
_DETAILS = 4096  # maximum characters of statusDetails in the contract
_INTERRUPTED = "The service was killed while the run was running"

dumps: Callable[[Any], str] = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


class Store:
    """All data of a service.

    Callers see what they created and what has them in its access list; anything else raises
    `NotFoundError`. Methods that change something return a future, which is done when the change
    is on disk. Any thread may call any method.

    Args:
        path: The database file; ``None`` to keep the data in memory.

    Attributes:
        key: The secret key with which the service signs.

    Raises:
        ValueError: The file is not a database, or has another version of the schema.
    """

    def __init__(self, path: Optional[Path] = None) -> None:
        self._database = Database(path, _SCHEMA)
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
        return Grant(*rows[0][:2], Identity(*rows[0][2:])) if rows else None

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
        sql = f"SELECT summary, execution FROM versions WHERE {_VISIBLE} AND scope = ? ORDER BY seq"  # noqa: S608
        return self._database.read(sql, *_who(by), task_id)

    def run(self, run_id: str, by: Identity) -> tuple[str, str, str]:
        """Return a ``TaskRunSummary``, the execution and the logs."""
        summary, execution, logs, _ = self._get("runs", run_id, by)
        return summary, execution, logs

    def _get(self, table: str, object_id: str, by: Identity, scope: str = "") -> Any:
        return _only(self._database.read, table, object_id, by, scope)

    def add_task(
        self, task: Json, versions: Sequence[tuple[Json, Optional[Json]]] = ()
    ) -> Future[None]:
        """Add a task with versions, each with its execution."""

        def apply(db: sqlite3.Connection) -> None:
            _insert(db, "tasks", task)
            for version, execution in versions:
                _insert(db, "versions", version, task["id"], execution=_encoded(execution))

        return self._database.write(apply)

    def add_version(self, task_id: str, version: Json, execution: Optional[Json]) -> Future[None]:
        """Add a version to a task."""
        execution_json = _encoded(execution)
        return self._database.write(
            lambda db: _insert(db, "versions", version, task_id, execution=execution_json)
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
        return self._database.write(lambda db: _insert(db, "runs", run, **more))

    def change_task(
        self, task_id: str, by: Identity, change: Callable[[Json], Json]
    ) -> Future[str]:
        """Change a ``TaskSummary``; the future has the new one."""

        def apply(db: sqlite3.Connection) -> str:
            (old,) = _only(_reader(db), "tasks", task_id, by)
            return _update(db, "tasks", change(json.loads(old)))

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
            old, kept = _only(_reader(db), "versions", version_id, by, task_id)
            current = _encoded(execution) or kept
            return _update(db, "versions", change(json.loads(old)), execution=current), current

        return self._database.write(apply)

    def abort(self, run_id: str, by: Identity) -> Future[str]:
        """Abort a pending run, or record that a running one is to be aborted.

        The future has the summary. A running run ends when `ended` is called for it.
        """

        def apply(db: sqlite3.Connection) -> str:
            run = objects.changed(json.loads(_only(_reader(db), "runs", run_id, by)[0]), by)
            if run["status"] == "Pending":
                run.update(status="Aborted", statusDetails="Aborted before it started")
            elif run["status"] == "Running":
                run.update(statusDetails="Being aborted")
            else:
                must = "only Pending and Running runs can be aborted"
                raise WrongStatusError(f"Run {run_id} is {run['status']}: {must}")
            return _update(db, "runs", run, aborting=True)

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

    def pending(self) -> list[str]:
        """Return the ids of the pending runs, oldest first."""
        sql = "SELECT id FROM runs WHERE status = 'Pending' ORDER BY seq"
        return [run_id for (run_id,) in self._database.read(sql)]

    def job(self, run_id: str) -> Job:
        """Return the next attempt of a run."""
        rows = self._database.read("SELECT execution FROM runs WHERE id = ?", run_id)
        execution = json.loads(rows[0][0])
        return Job(run_id, execution, execution["retryCount"] + 1)

    def started(self, job: Job) -> bool:
        """Record that the job starts; false if its run is no longer pending, as when aborted."""

        def apply(db: sqlite3.Connection) -> bool:
            run = _Run(db, job.run_id)
            if run.summary["status"] != "Pending":
                return False
            run.save(db, "Running", f"Attempt {job.attempt} is running")
            return True

        return self._database.write(apply).result()

    def ended(self, job: Job, outcome: Outcome, again: bool) -> None:
        """Record how the job ended; ``again`` makes its run pending for another attempt."""
        self._database.write(lambda db: _Run(db, job.run_id).end(db, outcome, again)).result()

    def recover(self) -> None:
        """Make runs that a killed service left running pending again, or fail them."""

        def apply(db: sqlite3.Connection) -> None:
            sql = "SELECT id FROM runs WHERE status = 'Running' ORDER BY seq"
            for (run_id,) in db.execute(sql).fetchall():
                _Run(db, run_id).interrupted(db)

        self._database.write(apply).result()


class _Run:
    """A run within a transaction, whose status changes as its attempts start and end."""

    def __init__(self, db: sqlite3.Connection, run_id: str) -> None:
        sql = f"SELECT {_PARTS['runs']} FROM runs WHERE id = ?"  # noqa: S608
        summary, execution, logs, self.aborting = db.execute(sql, (run_id,)).fetchone()
        self.summary: Json = json.loads(summary)
        self.execution: Json = json.loads(execution)
        self.logs: list[Json] = json.loads(logs)

    def interrupted(self, db: sqlite3.Connection) -> None:
        """Record that the service was killed during an attempt."""
        again = self.execution["retryCount"] < self.execution["retryLimit"]
        details = _INTERRUPTED if again else f"{_INTERRUPTED}, and no retries are left (retryLimit)"
        times = {"startTime": self.summary["timeModified"], "endTime": now()}
        self.end(db, Outcome("Failed", details, {**times, "error": details}), again)

    def end(self, db: sqlite3.Connection, outcome: Outcome, again: bool) -> None:
        """Record how an attempt ended."""
        self.logs.append(outcome.log)
        if self.aborting and outcome.status != "Completed":
            self.save(db, "Aborted", "Aborted while it was running")
        elif again:
            self.execution["retryCount"] += 1
            following = self.execution["retryCount"] + 1
            self.save(
                db, "Pending", f"Waiting for attempt {following}; the last one: {outcome.details}"
            )
        else:
            self.save(db, outcome.status, outcome.details)

    def save(self, db: sqlite3.Connection, status: str, details: str) -> None:
        """Write the run with a new status."""
        self.summary.update(status=status, statusDetails=details[:_DETAILS], timeModified=now())
        parts = {"execution": dumps(self.execution), "logs": dumps(self.logs)}
        _update(db, "runs", self.summary, **parts)


def _key(db: sqlite3.Connection) -> bytes:
    """Return the secret key of the store, created on first use."""
    db.execute("INSERT OR IGNORE INTO settings VALUES ('key', ?)", (os.urandom(32),))
    (key,) = db.execute("SELECT value FROM settings WHERE name = 'key'").fetchone()
    return bytes(key)


def _reader(db: sqlite3.Connection) -> Callable[..., list[Any]]:
    return lambda sql, *values: db.execute(sql, values).fetchall()


def _only(
    read: Callable[..., list[Any]], table: str, object_id: str, by: Identity, scope: str = ""
) -> Any:
    """Return the parts of an object that the caller may see."""
    sql = f"SELECT {_PARTS[table]} FROM {table} WHERE id = ? AND scope = ? AND {_VISIBLE}"  # noqa: S608
    rows = read(sql, object_id, scope, *_who(by))
    if not rows:
        raise NotFoundError(
            f"There is no {_NOUNS[table]} {object_id!r}, or it is not shared with you"
        )
    return rows[0]


def _who(by: Identity) -> tuple[str, str]:
    """Return the values of ``_VISIBLE``."""
    return by.user, dumps(by.acl)


def _insert(
    db: sqlite3.Connection, table: str, summary: Json, scope: str = "", **more: Any
) -> None:
    row = {"scope": scope, **_row(table, summary), **more}
    names, marks = ", ".join(row), ", ".join("?" * len(row))
    try:
        db.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(row.values()))  # noqa: S608
    except sqlite3.IntegrityError:
        raise _taken(table, summary) from None


def _update(db: sqlite3.Connection, table: str, summary: Json, **more: Any) -> str:
    row = {**_row(table, summary), **more}
    changes = ", ".join(f"{name} = ?" for name in row)
    values = (*row.values(), summary["id"])
    try:
        db.execute(f"UPDATE {table} SET {changes} WHERE id = ?", values)  # noqa: S608
    except sqlite3.IntegrityError:
        raise _taken(table, summary) from None
    return str(row["summary"])


def _row(table: str, summary: Json) -> Json:
    row = {name: summary.get(name, "") for name in _COLUMNS[table]}
    return {**row, "acl": dumps(summary["acl"]), "summary": dumps(summary)}


def _taken(table: str, summary: Json) -> NameTakenError:
    name = summary.get("version", summary.get("name"))
    return NameTakenError(f"There is already a {_NOUNS[table]} named {name!r}", str(name))


def _encoded(execution: Optional[Json]) -> Optional[str]:
    return None if execution is None else dumps(execution)


def _conditions(listing: Listing, cursor: Cursor, by: Identity) -> tuple[str, list[Any]]:
    """Return the SQL condition on the objects of a list, and its values."""
    where = ["seq <= ?", "scope = ?", _VISIBLE]
    values: list[Any] = [cursor.newest, cursor.scope, *_who(by)]
    for name, accepted in cursor.filters.items():
        condition = listing.filters[name]
        where.append(condition.format(_VALUES))
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
