"""SQLite with one writing thread, so that many callers share one transaction."""

from __future__ import annotations

import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, NamedTuple, Optional, TypeVar

from .errors import translated
from .opening import connect, opened
from .schema import Schema

T = TypeVar("T")

_BATCH = 256  # maximum changes in one transaction
_READERS = 4  # connections that read at the same time


class Change(NamedTuple):
    """A change to make in a transaction, and the future of its result."""

    apply: Callable[[sqlite3.Connection], Any]
    future: Future[Any]


class Database:
    """A database that any thread may use.

    All changes that are waiting go into one transaction, in the order of the calls. A change is
    done when the transaction is on disk; one that fails is undone alone.

    Reads and changes raise `UnavailableError` while the file cannot be read or written, such as on
    a full disk, and work again afterwards; `DamagedError` if the file is damaged.

    Args:
        path: Its file; ``None`` for a database in memory.
        schema: Its tables; the file is upgraded from an earlier version.

    Raises:
        ValueError: The file is damaged, not a database, or has a later version of the schema.
    """

    def __init__(self, path: Optional[Path], schema: Schema) -> None:
        self._path = path
        self._writer = opened(path, schema)
        # What waits here is free; `None` stands for a connection yet to be made.
        self._readers: queue.LifoQueue[Optional[sqlite3.Connection]] = queue.LifoQueue()
        for _ in range(_READERS if path else 1):
            self._readers.put(None if path else self._writer)
        self._changes: queue.SimpleQueue[Optional[Change]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="libica-database", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Make the changes that are waiting, then close the file; cancel those that come later."""
        self._changes.put(None)
        self._thread.join()
        while not self._changes.empty():
            late = self._changes.get()
            if late is not None:
                late.future.cancel()
        readers = [self._readers.get() for _ in range(_READERS if self._path else 1)]
        for connection in (*readers, self._writer):
            if connection is not None:
                connection.close()
        for _ in readers:  # so that later reads are errors, rather than wait
            self._readers.put(self._writer)

    def read(self, sql: str, *values: Any) -> list[Any]:
        """Return the rows of a query."""
        with self._reader() as db:
            return db.execute(sql, values).fetchall()

    def view(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Return the result of a function that reads."""
        with self._reader() as db:
            return query(db)

    def write(self, apply: Callable[[sqlite3.Connection], T]) -> Future[T]:
        """Queue a change; the future gets its result or exception once it is on disk."""
        change = Change(apply, Future())
        self._changes.put(change)
        return change.future

    @contextlib.contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        reader = self._readers.get()
        try:
            if reader is None:
                reader = connect(self._path)
            yield reader
        except sqlite3.Error as error:
            raise self._meaning(error) from error
        finally:
            if reader is not None and reader.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    reader.execute("ROLLBACK")
            self._readers.put(reader)

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
        # A database in memory has one connection for all.
        with self._reader() if self._path is None else contextlib.nullcontext():
            try:
                self._begin()
                outcomes = [_attempt(self._writer, change) for change in batch]
                self._writer.execute("COMMIT")
            except Exception as error:  # such as a full disk: none of them was made
                if self._writer.in_transaction:
                    with contextlib.suppress(sqlite3.Error):
                        self._writer.execute("ROLLBACK")
                outcomes = [(None, self._meaning(error))] * len(batch)
        for change, (result, failure) in zip(batch, outcomes):
            if failure is None:
                change.future.set_result(result)
            else:
                change.future.set_exception(failure)

    def _begin(self) -> None:
        if self._writer.in_transaction and self._path:  # it could not be rolled back
            self._writer.close()
            self._writer = connect(self._path)
        self._writer.execute("BEGIN IMMEDIATE")

    def _meaning(self, error: Exception) -> Exception:
        return translated(error, str(self._path)) or error


def _attempt(db: sqlite3.Connection, change: Change) -> tuple[Any, Optional[Exception]]:
    """Make one change of a shared transaction; undo it alone if it fails."""
    db.execute("SAVEPOINT change")
    result, failure = None, None
    try:
        result = change.apply(db)
    except Exception as error:
        if translated(error, ""):  # the transaction cannot go on
            raise
        failure = error
        db.execute("ROLLBACK TO change")
    db.execute("RELEASE change")
    return result, failure
