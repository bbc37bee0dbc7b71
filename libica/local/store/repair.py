"""Salvages what can be read of a damaged database into a new one."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Optional

from .errors import NameTakenError
from .objects import Json
from .opening import connect, private, upgrade
from .pages import Pages, Record
from .rows import NOUNS, insert
from .schema import SCHEMA

_PREFIXES = {"tdn.": "tasks", "tvn.": "versions", "trn.": "runs"}
_JSON = ("summary", "execution", "logs")
# The columns of version 1; those of the current version are in its schema.
_COMMON_1 = ("seq", "scope", "id", "createdBy", "acl")
_LAYOUT_1 = {
    "tasks": (*_COMMON_1, "name", "timeCreated", "timeModified", "summary", "tenantId"),
    "versions": (*_COMMON_1, "version", "timeCreated", "timeModified", "summary", "execution"),
    "runs": (
        *(*_COMMON_1, "name", "status", "timeCreated", "timeModified", "summary", "versionId"),
        *("version", "execution", "logs", "aborting"),
    ),
}


class _Row(NamedTuple):
    table: str
    summary: Json
    more: dict[str, Any]


def repair(path: Path) -> str:
    """Replace a damaged database by a new one with the rows that can be read.

    The damaged file is kept beside it. No service may use the database meanwhile.

    Args:
        path: The database file.

    Returns:
        What was saved and, as far as it is known, what was lost.

    Raises:
        OSError: A file cannot be read or written.
        ValueError: The file has no row of this service.
    """
    new = path.with_name(f"{path.name}.repaired")
    new.unlink(missing_ok=True)
    with contextlib.closing(Pages(path)) as pages, contextlib.closing(connect(private(new))) as db:
        upgrade(db, None, SCHEMA)
        db.execute("BEGIN")
        unreadable = _fill(db, pages)
        saved = {table: _number(db, table) for table in (*NOUNS, "tokens")}
        gaps = {table: _gaps(db, table) for table in NOUNS}
        has_key = _number(db, "settings") > 0
        db.execute("COMMIT")
    if not any(saved.values()):
        new.unlink()
        raise ValueError(f"{path} has no row of this service; nothing was changed")
    kept = _exchange(path, new)
    return _report(path, kept, saved, unreadable, gaps, has_key)


def _fill(db: sqlite3.Connection, pages: Pages) -> int:
    """Add all rows that can be read; return how many cannot."""
    layouts = [_LAYOUT_1, {table: _columns(db, table) for table in NOUNS}]
    return sum(
        not _took(db, record, layouts)
        for is_object in (False, True)  # first what says which objects are copies, and whose
        for record in pages.records()
        if (record.rowid is not None) == is_object
    )


def _took(
    db: sqlite3.Connection, record: Record, layouts: list[dict[str, tuple[str, ...]]]
) -> bool:
    """Add a record if it is of this service; return false if it cannot be read."""
    if record.values is None:
        return record.rowid is None  # indexes are made anew
    try:
        if record.rowid is None:
            _add_other(db, record.values)
        else:
            row = _row(record.rowid, record.values, layouts)
            if row is not None:
                _add(db, row)
    except (ValueError, KeyError, TypeError):
        return False
    return True


def _columns(db: sqlite3.Connection, table: str) -> tuple[str, ...]:
    return tuple(name for _, name, *_ in db.execute(f"PRAGMA table_info({table})"))


def _row(
    rowid: int, values: list[Any], layouts: list[dict[str, tuple[str, ...]]]
) -> Optional[_Row]:
    """Return the object of a record; ``None`` if it is of something else."""
    for table, columns in _layouts_of(values, layouts):
        found = dict(zip(columns, values))
        if _PREFIXES.get(str(found["id"])[:4]) == table:
            summary = json.loads(found["summary"])
            for each in _JSON:
                json.loads(found.get(each) or "null")
            if summary["id"] != found["id"]:
                raise ValueError("the id is not that of the summary")
            own = {"summary", "createdBy", "acl", "audience", *summary}
            more = {name: value for name, value in found.items() if name not in own}
            return _Row(table, summary, {**more, "seq": rowid})
    return None


def _layouts_of(
    values: list[Any], layouts: list[dict[str, tuple[str, ...]]]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    for layout in layouts:
        for table, columns in layout.items():
            if len(columns) == len(values):
                yield table, columns


def _add(db: sqlite3.Connection, row: _Row) -> None:
    """Add an object, unless there is a newer state of it from another page."""
    modified = row.summary["timeModified"]
    sql = f"DELETE FROM {row.table} WHERE (id = ? OR seq = ?) AND timeModified < ?"  # noqa: S608
    db.execute(sql, (row.summary["id"], row.more["seq"], modified))
    with contextlib.suppress(NameTakenError):
        insert(db, row.table, row.summary, **row.more)


def _add_other(db: sqlite3.Connection, values: list[Any]) -> None:
    """Add a token, the key with which the service signs, or the record of a copy."""
    if len(values) == 5 and isinstance(values[0], bytes):
        db.execute("INSERT OR IGNORE INTO tokens VALUES (?, ?, ?, ?, ?)", values)
    elif len(values) == 2 and values[0] == "key" and isinstance(values[1], bytes):
        db.execute("INSERT OR IGNORE INTO settings VALUES (?, ?)", values)
    elif len(values) == 5 and str(values[0])[:4] in _PREFIXES:
        db.execute("INSERT OR IGNORE INTO mirrored VALUES (?, ?, ?, ?, ?)", values)


def _number(db: sqlite3.Connection, table: str) -> int:
    return int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608


def _gaps(db: sqlite3.Connection, table: str) -> int:
    """Return how many numbers are missing between the first object and the last."""
    sql = f"SELECT coalesce(max(seq) - min(seq) + 1, 0) - count(*) FROM {table}"  # noqa: S608
    return int(db.execute(sql).fetchone()[0])


def _exchange(path: Path, new: Path) -> Path:
    """Put the new file in place of the damaged one; return the name of the latter."""
    kept = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}")
    try:
        os.link(path, kept)  # so that there is a file of the first name at any time
    except OSError:
        path.rename(kept)
    # Its log goes with it: SQLite would take it for that of the new file.
    with contextlib.suppress(FileNotFoundError):
        path.with_name(f"{path.name}-wal").rename(kept.with_name(f"{kept.name}-wal"))
    path.with_name(f"{path.name}-shm").unlink(missing_ok=True)
    os.replace(new, path)
    kept.chmod(0o600)
    return kept


def _report(
    path: Path,
    kept: Path,
    saved: dict[str, int],
    unreadable: int,
    gaps: dict[str, int],
    has_key: bool,
) -> str:
    lines = [f"Saved in {path}: " + ", ".join(f"{n} {table}" for table, n in saved.items())]
    lost = Counter(gaps)
    lines += [
        f"Missing between the first and the last of the {table}: {number} (lost, or removed before)"
        for table, number in lost.items()
        if number
    ]
    if unreadable:
        lines.append(f"Rows that were found but cannot be read: {unreadable}")
    if not has_key:
        lines.append("The key that signs tokens is lost: tokens issued before are invalid")
    return "\n".join([*lines, f"The damaged file is kept as {kept}"])
