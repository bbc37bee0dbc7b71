"""Copies of objects of another service: with its ids, times and access lists.

`mirrored` records what is a copy, and its state when it was taken. A copy whose time of
modification is no longer the recorded one was changed here.
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple, Optional

from .errors import NameTakenError
from .identity import Identity
from .objects import Json
from .rows import PARTS, dumps, encoded, insert, run_columns, update


class Copy(NamedTuple):
    """An object to store as it is.

    Attributes:
        table: Its table.
        summary: Its summary.
        listed: What identifies the state in which the other service lists it.
        scope: Of a version, the id of its task.
        execution: Of a version, its execution, if it has one; of a run, always.
        logs: Of a run, its logs.
        left_out: The places of its secrets that are left out.
    """

    table: str
    summary: Json
    listed: str
    scope: str = ""
    execution: Optional[Json] = None
    logs: Sequence[Json] = ()
    left_out: Sequence[str] = ()

    @property
    def content(self) -> list[Any]:
        """Its summary and, if it has them, its execution and logs."""
        parts = {"tasks": 1, "versions": 2, "runs": 3}[self.table]
        return [self.summary, self.execution, list(self.logs)][:parts]


class Known(NamedTuple):
    """A stored object.

    Attributes:
        content: Its summary and, if it has them, its execution and logs.
        is_copy: Whether it was taken from another service, rather than made here.
        is_changed: Whether it was changed here after it was taken.
        listed: The state in which the other service listed it then.
        left_out: The places of its secrets that are left out.
    """

    content: list[Any]
    is_copy: bool
    is_changed: bool
    listed: Optional[str]
    left_out: list[str]


def known(db: sqlite3.Connection, table: str, object_id: str) -> Optional[Known]:
    """Return a stored object by its id, ignoring its access list; ``None`` if it is unknown."""
    parts = ", ".join(part for part in PARTS[table].split(", ") if part != "aborting")
    sql = (
        f"SELECT {table}.timeModified, mirrored.timeModified, listed, leftOut, {parts} "  # noqa: S608
        f"FROM {table} LEFT JOIN mirrored USING (id) WHERE id = ?"
    )
    for modified, recorded, listed, left_out, *content in db.execute(sql, (object_id,)):
        return Known(
            [json.loads(part or "null") for part in content],
            recorded is not None,
            recorded is not None and modified != recorded,
            listed,
            json.loads(left_out or "[]"),
        )
    return None


def tasks_made_here(db: sqlite3.Connection) -> dict[str, list[str]]:
    """Return the ids of the tasks that are no copies, by name."""
    found: dict[str, list[str]] = defaultdict(list)
    sql = "SELECT name, id FROM tasks WHERE id NOT IN (SELECT id FROM mirrored)"
    for name, task_id in db.execute(sql):
        found[name].append(task_id)
    return found


def take(db: sqlite3.Connection, copies: Sequence[Copy], owner: Identity) -> list[Copy]:
    """Store copies, which the owner may see whatever their access lists say.

    A copy replaces what has its id. Versions whose names others have are returned and not stored.
    """
    waiting, taken = list(copies), True
    while waiting and taken:  # a name may be free once the object that had it has its new one
        refused = [each for each in waiting if not _takes(db, each, owner)]
        waiting, taken = refused, len(refused) < len(waiting)
    return waiting


def _takes(db: sqlite3.Connection, copy: Copy, owner: Identity) -> bool:
    summary, table = copy.summary, copy.table
    more: dict[str, Any] = {}
    if table == "versions":
        more["execution"] = encoded(copy.execution)
    elif table == "runs":
        more = run_columns(summary, copy.execution or {}, copy.logs)
    record = (
        *(summary["id"], owner.user, summary.get("timeModified", "")),
        *(copy.listed, dumps(list(copy.left_out))),
    )
    db.execute("SAVEPOINT copy")
    try:
        # First, as it says who may see the object.
        db.execute("INSERT OR REPLACE INTO mirrored VALUES (?, ?, ?, ?, ?)", record)
        sql = f"SELECT 1 FROM {table} WHERE id = ?"  # noqa: S608
        if db.execute(sql, (summary["id"],)).fetchone():
            update(db, table, summary, **more)
        else:
            insert(db, table, summary, copy.scope, **more)
    except NameTakenError:
        db.execute("ROLLBACK TO copy")
        return False
    finally:
        db.execute("RELEASE copy")
    return True
