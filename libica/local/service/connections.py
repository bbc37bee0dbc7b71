"""Connections: how many there may be, and how long one may take to send the head of a request."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any, Optional

if TYPE_CHECKING:
    from uvicorn.protocols.http.h11_impl import H11Protocol as AutoHTTPProtocol
else:
    from uvicorn.protocols.http.auto import AutoHTTPProtocol

HEAD_SECONDS = 20.0
"""From the first byte that is due, of a connection or of a request, to the end of its head."""

_SHARE = 2  # of the file descriptors of the process, one in so many may be a connection
_MOST = 2000


def most_connections() -> int:
    """Return how many connections leave enough file descriptors for runs and the store."""
    if sys.platform == "win32":
        return _MOST
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST if limit == resource.RLIM_INFINITY else min(_MOST, limit // _SHARE)


class Connection(AutoHTTPProtocol):
    """A connection that is closed if the head of a request does not arrive in time.

    One connection too many closes the one that has been idle longest.
    """

    most: int = _MOST
    _due: Optional[asyncio.TimerHandle] = None

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._due = self.loop.call_later(HEAD_SECONDS, self._give_up)
        if len(self.connections) > self.most:
            others: set[Any] = self.connections - {self}
            idle = [each for each in others if not (each.is_busy() or each.transport.is_closing())]
            if idle:
                min(idle, key=lambda each: each.idle_since()).transport.abort()

    def data_received(self, data: bytes) -> None:
        """Wait no longer once a head is complete; wait for the next one that begins."""
        super().data_received(data)
        if self.is_busy():
            self._wait_no_longer()
        elif self._due is None and not self.transport.is_closing():
            self._due = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def connection_lost(self, exc: Optional[Exception]) -> None:
        """End the waiting."""
        self._wait_no_longer()
        super().connection_lost(exc)

    def is_busy(self) -> bool:
        """Tell whether a request is being responded to."""
        return self.cycle is not None and not self.cycle.response_complete

    def idle_since(self) -> float:
        """Return when the connection became idle, by the clock of the loop."""
        waits = [
            each.when() for each in (self._due, self.timeout_keep_alive_task) if each is not None
        ]
        return min(waits, default=0.0)

    def _wait_no_longer(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _give_up(self) -> None:
        self._due = None
        if not self.is_busy():
            self.transport.abort()
