"""A proxy that fails like networks and services, before or after it has forwarded a request."""

from __future__ import annotations

import contextlib
import random
import socket
import ssl
import struct
from collections import Counter
from socketserver import StreamRequestHandler
from typing import BinaryIO, Optional

from ..server import Listener

SHARES = {"reset before": 0.05, "reset after": 0.05, "503": 0.03, "429": 0.02}
EXCUSES = {
    "503": "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
    "429": "HTTP/1.1 429 Too Many Requests\r\nRetry-After: {}\r\nContent-Length: 0\r\n\r\n",
}
_RESET = struct.pack("ii", 1, 0)


class FaultyProxy(Listener):
    """Forwards HTTP to a local port, except for a share of the requests.

    Args:
        port: The port.
        context: Makes it serve TLS.
        first_only: Whether it loses the first response to each launch, and nothing else.

    Attributes:
        faults: How often it failed, by the kind of failure.
        launches: Number of launch requests.
    """

    def __init__(
        self, port: int, context: Optional[ssl.SSLContext] = None, first_only: bool = False
    ) -> None:
        self.faults: Counter[str] = Counter()
        self.launches = 0
        self._random = random.Random(5)
        self._first_only = first_only
        self._bodies: set[bytes] = set()
        owner = self

        class Handler(StreamRequestHandler):
            disable_nagle_algorithm = True

            def handle(self) -> None:
                with socket.create_connection(("127.0.0.1", port)) as inner:
                    inner.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    with contextlib.suppress(OSError), inner.makefile("rb") as responses:
                        while call := message(self.rfile):
                            owner.launches += b":launch " in call[:200]
                            response = owner._respond(call, inner, responses)
                            if not response:
                                linger = socket.SOL_SOCKET, socket.SO_LINGER, _RESET
                                self.request.setsockopt(*linger)
                                break
                            self.request.sendall(response)

        super().__init__(Handler, context)

    def _respond(self, call: bytes, inner: socket.socket, responses: BinaryIO) -> bytes:
        """Return the response; an empty one stands for a reset."""
        fault = self._first(call) if self._first_only else self._fault()
        response = b""
        if fault in ("", "reset after") or (fault == "503" and self._random.random() < 0.5):
            inner.sendall(call)
            response = message(responses)
        # A delay of a whole second is requested only once, to keep the test short.
        excuse = EXCUSES.get(fault, "").format(int(self.faults["429"] == 1)).encode()
        return b"" if fault.startswith("reset") else excuse or response

    def _first(self, call: bytes) -> str:
        head, _, body = call.partition(b"\r\n\r\n")
        first = b":launch " in head and body not in self._bodies
        self._bodies.add(body)
        return "reset after" if first else ""

    def _fault(self) -> str:
        kinds = {"": 1 - sum(SHARES.values()), **SHARES}
        (fault,) = self._random.choices([*kinds], [*kinds.values()])
        self.faults[fault] += 1
        return fault


def message(stream: BinaryIO) -> bytes:
    """Read a request or a response; return nothing at the end of the stream, or if it is cut."""
    head, length = b"", 0
    while line := stream.readline():
        head += line
        if line.lower().startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
        if line == b"\r\n":
            body = stream.read(length)
            return head + body if len(body) == length else b""
    return b""
