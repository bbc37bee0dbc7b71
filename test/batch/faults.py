"""A proxy that fails as networks and services do, before or after it has passed a call on."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
from collections import Counter
from socketserver import StreamRequestHandler
from typing import BinaryIO

from ..server import Listener

SHARES = {"reset before": 0.05, "reset after": 0.05, "503": 0.03, "429": 0.02}
EXCUSES = {
    "503": "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
    "429": "HTTP/1.1 429 Too Many Requests\r\nRetry-After: {}\r\nContent-Length: 0\r\n\r\n",
}
_RESET = struct.pack("ii", 1, 0)


class FaultyProxy(Listener):
    """Passes HTTP on to a port of this machine, except for a share of the calls."""

    def __init__(self, port: int) -> None:
        self.faults: Counter[str] = Counter()
        self.launches = 0
        self._random = random.Random(5)
        owner = self

        class Handler(StreamRequestHandler):
            disable_nagle_algorithm = True

            def handle(self) -> None:
                with socket.create_connection(("127.0.0.1", port)) as inner:
                    inner.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    with contextlib.suppress(OSError), inner.makefile("rb") as answers:
                        while call := message(self.rfile):
                            owner.launches += b":launch " in call[:200]
                            answer = owner._answer(call, inner, answers)
                            if not answer:
                                linger = socket.SOL_SOCKET, socket.SO_LINGER, _RESET
                                self.request.setsockopt(*linger)
                                break
                            self.request.sendall(answer)

        super().__init__(Handler)

    def _answer(self, call: bytes, inner: socket.socket, answers: BinaryIO) -> bytes:
        """Return what to answer; nothing stands for a reset."""
        fault = self._fault()
        answer = b""
        if fault in ("", "reset after") or (fault == "503" and self._random.random() < 0.5):
            inner.sendall(call)
            answer = message(answers)
        # A whole second is asked for once: the test has no time for more.
        excuse = EXCUSES.get(fault, "").format(int(self.faults["429"] == 1)).encode()
        return b"" if fault.startswith("reset") else excuse or answer

    def _fault(self) -> str:
        drawn = self._random.random()
        for fault, share in SHARES.items():
            drawn -= share
            if drawn < 0:
                self.faults[fault] += 1
                return fault
        return ""


def message(stream: BinaryIO) -> bytes:
    """Read a request or an answer; nothing if there are no more, or not all of it comes."""
    head, length = b"", 0
    while line := stream.readline():
        head += line
        if line.lower().startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
        if line == b"\r\n":
            body = stream.read(length)
            return head + body if len(body) == length else b""
    return b""
