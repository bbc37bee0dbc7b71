"""Opens the database file: its permissions, its integrity and the version of its tables."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import Optional

from .errors import DamagedError, damaged, translated
from .schema import Schema

_CHECKED_ALWAYS = 256 << 20  # bytes; about a second
_CACHE = 8 << 20  # bytes for each connection; a page of 1000 runs takes more than SQLite's default
_MAX_WAL = 64 << 20  # bytes that its log keeps on disk once they are in the file itself


def private(path: Path) -> Path:
    """Make sure that a file exists and that only its owner can read it.

    The keys that sign tokens are in it. SQLite gives its other files the same permissions.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    path.chmod(0o600)
    return path


def connect(path: Optional[Path]) -> sqlite3.Connection:
    """Return a new connection; each change must begin a transaction."""
    name = ":memory:" if path is None else str(path)
    db = sqlite3.connect(name, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute(f"PRAGMA journal_size_limit = {_MAX_WAL}")
        db.execute(f"PRAGMA cache_size = -{_CACHE >> 10}")
    except BaseException:
        db.close()
        raise
    return db


def opened(path: Optional[Path], schema: Schema) -> sqlite3.Connection:
    """Return a connection to a database that is sound and has the tables of a schema.

    Raises:
        ValueError: The file is damaged, not a database, or has a later version of the schema.
    """
    with contextlib.ExitStack() as undo:
        try:
            must_check = path is not None and _must_check(private(path))
            db = connect(path)
            undo.callback(db.close)
            if must_check:
                _check(db, str(path))
            upgrade(db, path, schema)
        except DamagedError as error:
            raise ValueError(error.message) from error
        except sqlite3.Error as error:
            known = translated(error, str(path))
            reason = known.message if known else f"{path} cannot be used: {error}"
            raise ValueError(reason) from error
        undo.pop_all()
        return db
    raise AssertionError("not reached")


def _must_check(path: Path) -> bool:
    """Return whether to read all of a file before it is used.

    A large one takes seconds, which are spent only if it was not closed: then its log is left.
    """
    log = path.with_name(f"{path.name}-wal")
    return path.stat().st_size <= _CHECKED_ALWAYS or (log.exists() and log.stat().st_size > 0)


def _check(db: sqlite3.Connection, name: str) -> None:
    (problem,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if problem != "ok":
        raise damaged(name, problem)


def upgrade(db: sqlite3.Connection, path: Optional[Path], schema: Schema) -> None:
    """Make the tables of a schema, or turn those of an earlier version into them."""
    (found,) = db.execute("PRAGMA user_version").fetchone()
    if found > schema.version:
        raise ValueError(
            f"{path} was written by a later version of this service (its tables have version "
            f"{found}, not {schema.version}): use that version, or another folder"
        )
    if found == schema.version:
        return
    statements = schema.migrations[found] if found else schema.statements
    if found and path is not None:
        _back_up(db, path.with_name(f"{path.name}.v{found}.bak"))
    db.executescript(f"BEGIN; {statements} PRAGMA user_version = {schema.version}; COMMIT;")
    if found:  # what was copied is as large as the file: the next change should not wait for it
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _back_up(db: sqlite3.Connection, path: Path) -> None:
    """Copy a database; a copy that is interrupted is not left under this name."""
    unfinished = path.with_name(f"{path.name}.part")
    unfinished.unlink(missing_ok=True)
    private(unfinished)
    with contextlib.closing(sqlite3.connect(unfinished)) as copy:
        db.backup(copy)
    os.replace(unfinished, path)
