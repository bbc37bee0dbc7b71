"""How the service says no."""

from __future__ import annotations

from typing import Any

CODES = {
    400: "BAD_REQUEST",
    401: "UNAUTHORIZED",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    409: "CONFLICT",
    413: "CONTENT_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    500: "INTERNAL_ERROR",
}


class Refused(Exception):  # noqa: N818 it is an answer, no failure
    """A call is answered with an ``ErrorResponse``.

    Args:
        status: The HTTP status.
        message: What is wrong, for a person to read.
        details: More about it, such as the names that are missing.
    """

    def __init__(self, status: int, message: str, *details: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.details = details


def error_response(status: int, message: str, details: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return an ``ErrorResponse`` as JSON."""
    code = CODES.get(status, f"HTTP_{status}")
    return {"code": code, "message": message, "details": list(details)}
