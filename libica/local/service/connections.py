"""Connections: how many there may be, and how long a client may keep one waiting."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Optional

import uvicorn

if TYPE_CHECKING:
    from uvicorn.protocols.http.h11_impl import H11Protocol as AutoHTTPProtocol
else:
    from uvicorn.protocols.http.auto import AutoHTTPProtocol

_logger = logging.getLogger(__name__)

HEAD_SECONDS = 20.0
"""From the first byte that is due, of a connection or of a request, to the end of its head."""
SILENT_SECONDS = 60.0
"""In which a client must send some of its body, or receive some of the response."""

_SHARE = 2  # of the file descriptors of the process, one in so many may be a connection
_MOST = 2000
_PAUSE = 0.05  # seconds to wait for room, if each connection is being responded to
_NO_DESCRIPTOR_PAUSE = 1.0
_TICKS = 2  # of a tenth of a second, between looks for overdue connections


def most_connections() -> int:
    """Return how many connections leave enough file descriptors for runs and the store."""
    if sys.platform == "win32":
        return _MOST
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST if limit == resource.RLIM_INFINITY else min(_MOST, limit // _SHARE)


class Connection(AutoHTTPProtocol):
    """A connection that tells whether its client keeps it waiting."""

    heard: float = 0.0
    """When the client last sent or received something, by the clock of the loop."""
    is_aborted: bool = False
    _head_since: Optional[float] = None
    _unsent = 0

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self.heard = self._head_since = self.loop.time()

    def data_received(self, data: bytes) -> None:
        """Wait no longer once a head is complete; wait for the next one that begins."""
        super().data_received(data)
        self.heard = self.loop.time()
        if self._is_responding():
            self._head_since = None
        elif self._head_since is None:
            self._head_since = self.heard

    def is_working(self) -> bool:
        """Tell whether the service, not the client, is expected to go on."""
        return self._is_responding() and not self._waits_for_body() and not self._unsent

    def is_overdue(self) -> bool:
        """Tell whether the client has kept the service waiting for too long."""
        now, unsent = self.loop.time(), self.transport.get_write_buffer_size()
        if unsent != self._unsent:
            self.heard, self._unsent = now, unsent
        if self._head_since is not None and now - self._head_since > HEAD_SECONDS:
            return True
        waits = unsent > 0 or (self._is_responding() and self._waits_for_body())
        return waits and now - self.heard > SILENT_SECONDS

    def abort(self) -> None:
        """End the connection at once."""
        self.is_aborted = True
        self.transport.abort()

    def _is_responding(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _waits_for_body(self) -> bool:
        return self.cycle.more_body and not self.flow.read_paused


class Server(uvicorn.Server):
    """A server with a limited number of connections, none of which waits for ever.

    One connection too many ends the one whose client has been silent longest.

    Args:
        config: The configuration of the server; its protocol is `Connection`.
        listening: The socket that clients connect to.
        tls: The certificate and key, if connections are encrypted.
    """

    def __init__(
        self, config: uvicorn.Config, listening: socket.socket, tls: Optional[ssl.SSLContext]
    ) -> None:
        super().__init__(config)
        self._listening = listening
        self._tls = tls
        self._most = most_connections()
        self._arriving: dict[asyncio.Task[Any], float] = {}
        self._accepting: Optional[asyncio.Task[None]] = None

    def open(self) -> int:
        """Return how many connections there are, those of unfinished TLS handshakes included."""
        return len(self.server_state.connections) + len(self._arriving)

    async def startup(self, sockets: Optional[list[socket.socket]] = None) -> None:
        """Begin to accept connections."""
        # Without sockets of its own: asyncio's servers neither limit connections nor count those
        # of TLS handshakes, and try again and again if there are no descriptors.
        await super().startup(sockets=sockets or [])
        self._listening.setblocking(False)
        self._accepting = asyncio.get_running_loop().create_task(self._accept())

    async def on_tick(self, counter: int) -> bool:
        """End overdue connections now and then; called ten times a second."""
        connections: set[Any] = self.server_state.connections
        overdue = [] if counter % _TICKS else [each for each in connections if each.is_overdue()]
        for each in overdue:
            each.abort()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: Optional[list[socket.socket]] = None) -> None:
        """Accept no more connections, and let pending requests end."""
        for task in (self._accepting, *self._arriving):
            if task is not None:
                task.cancel()
        self._listening.close()
        await super().shutdown(sockets=sockets)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connected, _ = await loop.sock_accept(self._listening)
            except ConnectionError:  # the client has gone
                continue
            except OSError as error:  # no descriptor is left
                _logger.warning("cannot accept a connection: %s", error)
                await asyncio.sleep(_NO_DESCRIPTOR_PAUSE)
                continue
            await self._make_room()
            task = loop.create_task(self._connect(connected))
            self._arriving[task] = loop.time()
            task.add_done_callback(self._arriving.pop)
            await asyncio.sleep(0)

    async def _make_room(self) -> None:
        while True:
            connections: set[Any] = self.server_state.connections
            there = [each for each in connections if not each.is_aborted]
            if len(there) + len(self._arriving) < self._most:
                return
            waiting: list[tuple[float, Callable[[], Any]]] = [
                *((each.heard, each.abort) for each in there if not each.is_working()),
                *((since, task.cancel) for task, since in self._arriving.items()),
            ]
            if waiting:
                min(waiting, key=lambda each: each[0])[1]()
            await asyncio.sleep(0 if waiting else _PAUSE)

    async def _connect(self, connected: socket.socket) -> None:
        kind: Any = self.config.http_protocol_class
        connection: asyncio.Protocol = kind(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        timeout = None if self._tls is None else HEAD_SECONDS
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection, connected, ssl=self._tls, ssl_handshake_timeout=timeout
            )
        except (OSError, asyncio.CancelledError):  # the loop logs what is not the client's fault
            # With uvloop, the connection does not hear that it is lost.
            self.server_state.connections.discard(connection)
