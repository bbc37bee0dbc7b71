"""Errors that the service responds with."""

from __future__ import annotations

from typing import Any

from ..store.errors import (
    NameTakenError,
    NotFoundError,
    StoreError,
    UnavailableError,
    WrongStatusError,
)

CODES = {
    400: "BAD_REQUEST",
    401: "UNAUTHORIZED",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    409: "CONFLICT",
    413: "CONTENT_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    500: "INTERNAL_ERROR",
    503: "SERVICE_UNAVAILABLE",
}
_STATUSES: dict[type[StoreError], int] = {
    NotFoundError: 404,
    NameTakenError: 409,
    WrongStatusError: 400,
    UnavailableError: 503,
}


class Refused(Exception):  # noqa: N818 - the request is at fault, not the service
    """The request is refused: the response is an ``ErrorResponse``.

    Args:
        status: The HTTP status.
        message: What is wrong, for people to read.
        details: More about it, such as the names that are missing.
    """

    def __init__(self, status: int, message: str, *details: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.details = details


def refusal(error: StoreError) -> Refused:
    """Return the response to a request that the store refuses."""
    return Refused(_STATUSES.get(type(error), 500), error.message, *error.details)


def error_response(status: int, message: str, details: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return an ``ErrorResponse`` as JSON."""
    code = CODES.get(status, f"HTTP_{status}")
    return {"code": code, "message": message, "details": list(details)}
