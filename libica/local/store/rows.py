"""Rows of tasks, versions and runs: the JSON of an object, beside the columns to find it by."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from typing import Any, Optional

from .errors import NameTakenError, NotFoundError
from .identity import Identity
from .objects import Json

# The columns to find objects by, and those that make up one object.
COLUMNS = {
    "tasks": ("id", "createdBy", "acl", "name", "timeCreated", "timeModified", "tenantId"),
    "versions": ("id", "createdBy", "acl", "version", "timeCreated", "timeModified"),
    "runs": ("id", "createdBy", "acl", "name", "status", "timeCreated", "timeModified"),
}
PARTS = {
    "tasks": "summary",
    "versions": "summary, execution",
    "runs": "summary, execution, logs, aborting",
}
NOUNS = {"tasks": "task", "versions": "version", "runs": "run"}

VALUES = "(SELECT value FROM json_each(?))"
VISIBLE = f"(createdBy = ? OR EXISTS (SELECT 1 FROM json_each(acl) WHERE value IN {VALUES}))"  # noqa: S608

dumps: Callable[[Any], str] = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def reader(db: sqlite3.Connection) -> Callable[..., list[Any]]:
    """Return a function that reads rows within a transaction."""
    return lambda sql, *values: db.execute(sql, values).fetchall()


def only(
    read: Callable[..., list[Any]], table: str, object_id: str, by: Identity, scope: str = ""
) -> Any:
    """Return the parts of an object that the caller may see."""
    sql = f"SELECT {PARTS[table]} FROM {table} WHERE id = ? AND scope = ? AND {VISIBLE}"  # noqa: S608
    rows = read(sql, object_id, scope, *who(by))
    if not rows:
        raise NotFoundError(
            f"There is no {NOUNS[table]} {object_id!r}, or it is not shared with you"
        )
    return rows[0]


def who(by: Identity) -> tuple[str, str]:
    """Return the values of ``VISIBLE``."""
    return by.user, dumps(by.acl)


def insert(db: sqlite3.Connection, table: str, summary: Json, scope: str = "", **more: Any) -> None:
    """Add an object."""
    row = {"scope": scope, **_row(table, summary), **more}
    names, marks = ", ".join(row), ", ".join("?" * len(row))
    try:
        db.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(row.values()))  # noqa: S608
    except sqlite3.IntegrityError:
        raise taken(table, summary) from None


def update(db: sqlite3.Connection, table: str, summary: Json, **more: Any) -> str:
    """Change an object; return its new JSON."""
    row = {**_row(table, summary), **more}
    changes = ", ".join(f"{name} = ?" for name in row)
    values = (*row.values(), summary["id"])
    try:
        db.execute(f"UPDATE {table} SET {changes} WHERE id = ?", values)  # noqa: S608
    except sqlite3.IntegrityError:
        raise taken(table, summary) from None
    return str(row["summary"])


def _row(table: str, summary: Json) -> Json:
    row = {name: summary.get(name, "") for name in COLUMNS[table]}
    return {**row, "acl": dumps(summary["acl"]), "summary": dumps(summary)}


def taken(table: str, summary: Json) -> NameTakenError:
    """Return the error for a name that another object has."""
    name = summary.get("version", summary.get("name"))
    return NameTakenError(f"There is already a {NOUNS[table]} named {name!r}", str(name))


def encoded(execution: Optional[Json]) -> Optional[str]:
    """Return an execution as JSON, if there is one."""
    return None if execution is None else dumps(execution)
