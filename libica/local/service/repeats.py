"""Keeps repeated messages from filling the log."""

from __future__ import annotations

import logging
import time

SECONDS = 10.0
_MOST = 1000  # kinds of messages to remember


class Repeats(logging.Filter):
    """Passes one message of a kind in ten seconds, with the number of those left out before it.

    Messages are of one kind if they come from the same line and logger, whatever they tell, and
    exceptions if they are of one class. Add it to a handler.
    """

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[object, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to write a message."""
        error = record.exc_info[0] if record.exc_info else None
        kind = record.name, record.pathname, record.lineno, record.levelno, error
        now = time.monotonic()
        since, left_out = self._seen.get(kind, (now - SECONDS, 0))
        if now - since < SECONDS:
            self._seen[kind] = since, left_out + 1
            return False
        if len(self._seen) >= _MOST:
            self._seen.clear()
        self._seen[kind] = now, 0
        if left_out:
            record.msg = f"{record.getMessage()} ({left_out} more like this were left out)"
            record.args = None
        return True
