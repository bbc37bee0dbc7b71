"""Why the store refuses a call."""

from __future__ import annotations


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
