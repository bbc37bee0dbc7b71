"""Watches requests from outside: counts them, and writes the access log."""

from __future__ import annotations

import logging
import sys
import time
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional
from urllib.parse import quote

from ..node.job import now
from .metrics import Metrics

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_logger = logging.getLogger(__name__)


class Observed:
    """An ASGI application whose requests are counted and logged.

    Args:
        app: The application. It may set `operation` and `caller` in the scope of a request.
        metrics: Count the requests.
        log: Gets a line per request; ``None`` for no log.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, log: Optional[logging.Logger]) -> None:
        self._app = app
        self._metrics = metrics
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and record how it ended."""
        began = time.perf_counter()
        status, size = 499, 0  # as others record a client that went before the response

        async def sending(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                size += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            seconds = time.perf_counter() - began
            self._metrics.count(scope.get("operation", "other"), status, seconds)
            if self._log is not None:
                self._log.info(_line(scope, status, size, seconds))


def access_log(file: str) -> logging.Logger:
    """Return a log with a line per request.

    Args:
        file: Its file, which may be moved away at any time; `-` for standard error.

    Raises:
        OSError: The file cannot be written.
    """
    log = logging.Logger("access")  # of this service alone, so it is not one of all loggers
    log.addHandler(logging.StreamHandler(sys.stderr) if file == "-" else _File(file))
    return log


class _File(WatchedFileHandler):
    def __init__(self, file: str) -> None:
        path = Path(file).expanduser()
        path.touch(mode=0o600)
        super().__init__(path, encoding="utf-8")

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 - as in logging
        _logger.warning("cannot write the access log: %s", sys.exc_info()[1])


def _line(scope: Any, status: int, size: int, seconds: float) -> str:
    """Return what may be known of a request: never its query, headers or body."""
    caller = scope.get("caller")
    who = f"{caller.identity.tenant} {caller.identity.user}" if caller else "- -"
    path = quote(scope["path"], safe="/:")
    return f"{now()} {scope['method']} {path} {status} {seconds * 1e3:.1f}ms {size} {who}"
