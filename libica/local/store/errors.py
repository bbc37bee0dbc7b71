"""Why the store refuses a call."""

from __future__ import annotations

import sqlite3
from typing import Optional


class StoreError(Exception):
    """The store refuses a call.

    Args:
        message: What is wrong, for people to read.
        details: More about it, such as the name that is taken.
    """

    def __init__(self, message: str, *details: str) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class NotFoundError(StoreError):
    """There is no such object, or the caller may not see it."""


class NameTakenError(StoreError):
    """Another object has that name."""


class WrongStatusError(StoreError):
    """The status of the run does not allow it."""


class UnavailableError(StoreError):
    """The store cannot be written or read now, such as on a full disk; the call may be repeated."""


class DamagedError(StoreError):
    """The database file is damaged; the message says how to repair it."""


# The messages of SQLite, since Python has its error codes only from 3.11 on.
_UNAVAILABLE = (
    "database or disk is full",
    "disk I/O error",
    "attempt to write a readonly database",
    "unable to open database file",
    "database is locked",
    "locking protocol",
)
_DAMAGED = ("database disk image is malformed", "file is not a database", "malformed database")


def damaged(name: str, what: str) -> DamagedError:
    """Return the error for a damaged database file."""
    return DamagedError(
        f"{name} is damaged, or not a database of this service ({what}). "
        "`python -m libica.local serve --data DIR --repair` salvages what can be read into a new "
        "file and keeps the damaged one"
    )


def translated(error: BaseException, name: str) -> Optional[StoreError]:
    """Return what an error of SQLite means for callers; ``None`` if it is a mistake of ours."""
    said = str(error)
    if isinstance(error, sqlite3.OperationalError) and said.startswith(_UNAVAILABLE):
        return UnavailableError(f"The database cannot be used at the moment: {said}")
    if isinstance(error, sqlite3.DatabaseError) and said.startswith(_DAMAGED):
        return damaged(name, said)
    return None
