"""SQLite with one writing thread, so that many callers share one transaction."""

from __future__ import annotations

import os
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, NamedTuple, Optional, TypeVar

T = TypeVar("T")

VERSION = 1  # of the schema
_BATCH = 256  # maximum changes in one transaction


class Change(NamedTuple):
    """A change to make in a transaction, and the future of its result."""

    apply: Callable[[sqlite3.Connection], Any]
    future: Future[Any]


class Database:
    """A database that any thread may use.

    All changes that are waiting go into one transaction, in the order of the calls. A change is
    done when the transaction is on disk; one that fails is undone alone.

    Args:
        path: Its file; ``None`` for a database in memory.
        schema: The statements that create its tables.

    Raises:
        ValueError: The file is not a database, or has another version of the schema.
    """

    def __init__(self, path: Optional[Path], schema: str) -> None:
        self._writer, self._writing = _connect(path, schema), threading.Lock()
        self._reader, self._reading = self._writer, self._writing
        if path is not None:
            # A second connection, so that reads do not wait for writes.
            self._reader, self._reading = _connect(path, schema), threading.Lock()
        self._changes: queue.SimpleQueue[Optional[Change]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="libica-database", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Make the changes that are waiting, then close the file."""
        self._changes.put(None)
        self._thread.join()
        self._reader.close()
        self._writer.close()

    def read(self, sql: str, *values: Any) -> list[Any]:
        """Return the rows of a query."""
        with self._reading:
            return self._reader.execute(sql, values).fetchall()

    def write(self, apply: Callable[[sqlite3.Connection], T]) -> Future[T]:
        """Queue a change; the future gets its result or exception once it is on disk."""
        change = Change(apply, Future())
        self._changes.put(change)
        return change.future

    def waiting(self) -> int:
        """Return how many changes wait to be made."""
        return self._changes.qsize()

    def _work(self) -> None:
        going = True
        while going:
            batch = self._next_batch()
            going = None not in batch
            wanted = [c for c in batch if c and c.future.set_running_or_notify_cancel()]
            if wanted:
                self._commit(wanted)

    def _next_batch(self) -> list[Optional[Change]]:
        batch = [self._changes.get()]
        # No other thread takes from the queue, so get() does not block if it is not empty.
        while batch[-1] is not None and len(batch) < _BATCH and not self._changes.empty():
            batch.append(self._changes.get())
        return batch

    def _commit(self, batch: list[Change]) -> None:
        with self._writing:
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                outcomes = [_attempt(self._writer, change) for change in batch]
                self._writer.execute("COMMIT")
            except sqlite3.Error as error:  # such as a full disk: none of them was made
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                outcomes = [(None, error)] * len(batch)
        for change, (result, failure) in zip(batch, outcomes):
            if failure is None:
                change.future.set_result(result)
            else:
                change.future.set_exception(failure)


def _attempt(db: sqlite3.Connection, change: Change) -> tuple[Any, Optional[Exception]]:
    """Make one change of a shared transaction; undo it alone if it fails."""
    db.execute("SAVEPOINT change")
    result, failure = None, None
    try:
        result = change.apply(db)
    except Exception as error:
        failure = error
        db.execute("ROLLBACK TO change")
    db.execute("RELEASE change")
    return result, failure


def _connect(path: Optional[Path], schema: str) -> sqlite3.Connection:
    name = ":memory:" if path is None else str(path)
    if path is not None:
        # The keys that sign tokens are in it. SQLite gives its other files the same permissions.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        path.chmod(0o600)
    db = sqlite3.connect(name, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        _make(db, schema)
    except sqlite3.Error as error:
        db.close()
        raise ValueError(f"{name} cannot be used: {error}") from error
    except ValueError:
        db.close()
        raise
    return db


def _make(db: sqlite3.Connection, schema: str) -> None:
    (found,) = db.execute("PRAGMA user_version").fetchone()
    if found not in (0, VERSION):
        raise ValueError(f"the data has version {found}, not {VERSION}: use another folder")
    if found == 0:
        db.executescript(f"BEGIN; {schema} PRAGMA user_version = {VERSION}; COMMIT;")
