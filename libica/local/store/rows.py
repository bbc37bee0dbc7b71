"""Rows of tasks, versions and runs: the JSON of an object, beside the columns to find it by."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, Optional

from .errors import NameTakenError, NotFoundError
from .identity import Identity
from .objects import Json

# The columns that are fields of the object, and those that make up one object.
COLUMNS: dict[str, tuple[str, ...]] = {
    "tasks": ("id", "name", "timeCreated", "timeModified", "tenantId"),
    "versions": ("id", "version", "timeCreated", "timeModified"),
    "runs": ("id", "name", "status", "timeCreated", "timeModified"),
}
PARTS = {
    "tasks": "summary",
    "versions": "summary, execution",
    "runs": "summary, execution, logs, aborting",
}
NOUNS = {"tasks": "task", "versions": "version", "runs": "run"}

VALUES = "(SELECT value FROM json_each(?))"
_VISIBLE = (
    "(EXISTS (SELECT 1 FROM audiences WHERE audiences.id = audience AND createdBy = ?) OR "  # noqa: S608
    f"EXISTS (SELECT 1 FROM grants WHERE grants.audience = {{0}}.audience AND entry IN {VALUES}))"
)

dumps: Callable[[Any], str] = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def only(
    db: sqlite3.Connection, table: str, object_id: str, by: Identity, scope: str = ""
) -> tuple[Any, ...]:
    """Return the parts of an object that the caller may see."""
    where = f"id = ? AND scope = ? AND {_VISIBLE.format(table)}"
    sql = f"SELECT {PARTS[table]} FROM {table} WHERE {where}"  # noqa: S608
    row: Optional[tuple[Any, ...]] = db.execute(sql, (object_id, scope, *who(by))).fetchone()
    if row is None:
        raise NotFoundError(
            f"There is no {NOUNS[table]} {object_id!r}, or it is not shared with you"
        )
    return row


def versions_of(db: sqlite3.Connection, task_id: str, by: Identity) -> list[Any]:
    """Return the summary and execution of the versions of a task, oldest first."""
    where = f"scope = ? AND {_VISIBLE.format('versions')}"
    sql = f"SELECT {PARTS['versions']} FROM versions WHERE {where} ORDER BY seq"  # noqa: S608
    return db.execute(sql, (task_id, *who(by))).fetchall()


def who(by: Identity) -> tuple[str, str]:
    """Return what the caller is found by: as a creator, and in access lists."""
    return by.user, dumps(by.acl)


def insert(db: sqlite3.Connection, table: str, summary: Json, scope: str = "", **more: Any) -> None:
    """Add an object."""
    row = {"scope": scope, **_row(db, table, summary), **more}
    names, marks = ", ".join(row), ", ".join("?" * len(row))
    try:
        db.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(row.values()))  # noqa: S608
    except sqlite3.IntegrityError:
        raise taken(table, summary) from None


def update(db: sqlite3.Connection, table: str, summary: Json, **more: Any) -> str:
    """Change an object; return its new JSON."""
    row = {**_row(db, table, summary), **more}
    changes = ", ".join(f"{name} = ?" for name in row)
    values = (*row.values(), summary["id"])
    try:
        db.execute(f"UPDATE {table} SET {changes} WHERE id = ?", values)  # noqa: S608
    except sqlite3.IntegrityError:
        raise taken(table, summary) from None
    return str(row["summary"])


def remove_ended(db: sqlite3.Connection, before: str, most: int) -> int:
    """Remove runs that ended before a time, and audiences without objects; return how many runs."""
    ended = db.execute(
        "DELETE FROM runs WHERE seq IN (SELECT seq FROM runs WHERE audience IN "
        "(SELECT id FROM audiences) AND timeModified < ? "
        "AND status NOT IN ('Pending', 'Running') LIMIT ?)",
        (before, most),
    )
    if ended.rowcount < most:
        unused = " AND ".join(
            f"NOT EXISTS (SELECT 1 FROM {table} WHERE audience = audiences.id)"  # noqa: S608
            for table in NOUNS
        )
        db.execute(f"DELETE FROM audiences WHERE {unused}")  # noqa: S608
        db.execute("DELETE FROM grants WHERE audience NOT IN (SELECT id FROM audiences)")
        db.execute("DELETE FROM mirrored WHERE id GLOB 'trn.*' AND id NOT IN (SELECT id FROM runs)")
    return ended.rowcount


def _row(db: sqlite3.Connection, table: str, summary: Json) -> Json:
    row = {name: summary.get(name, "") for name in COLUMNS[table]}
    acl, creator = summary.get("acl", []), summary.get("createdBy", "")
    for (owner,) in db.execute("SELECT owner FROM mirrored WHERE id = ?", (row["id"],)):
        creator = owner
        if table == "tasks":  # a copy has its name, even if another task has it
            row["tenantId"] = row["id"]
    return {**row, "audience": _audience(db, creator, acl), "summary": dumps(summary)}


def _audience(db: sqlite3.Connection, creator: str, acl: Sequence[str]) -> int:
    """Return the id of who may see an object; add it if it is new."""
    key = (creator, dumps(acl))
    sql = "SELECT id FROM audiences WHERE createdBy = ? AND acl = ?"
    for (known,) in db.execute(sql, key):
        return int(known)
    added = db.execute("INSERT INTO audiences (createdBy, acl) VALUES (?, ?)", key).lastrowid or 0
    grants = [(entry, added) for entry in acl]
    db.executemany("INSERT OR IGNORE INTO grants VALUES (?, ?)", grants)
    return added


def taken(table: str, summary: Json) -> NameTakenError:
    """Return the error for a name that another object has."""
    name = summary.get("version", summary.get("name"))
    return NameTakenError(f"There is already a {NOUNS[table]} named {name!r}", str(name))


def run_columns(run: Json, execution: Json, logs: Sequence[Json] = ()) -> dict[str, Any]:
    """Return the columns of a run that are not in its summary, or not at the top of it."""
    launched = run.get("taskVersionSummary", {})
    return {
        "versionId": launched.get("id", ""),
        "version": launched.get("version", ""),
        "execution": dumps(execution),
        "logs": dumps(list(logs)),
        "aborting": False,
    }


def encoded(execution: Optional[Json]) -> Optional[str]:
    """Return an execution as JSON, if there is one."""
    return None if execution is None else dumps(execution)
