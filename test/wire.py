"""A server on 127.0.0.1 that keeps connections open and sees requests as the bytes they are."""

from __future__ import annotations

import re
import socketserver
from collections.abc import Callable
from typing import Optional, Union

from .server import Listener

Reply = Union[bytes, Callable[[bytes], bytes]]


def framed(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """Return a whole answer, of JSON unless its headers say otherwise."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    if not any(each.startswith("Content-Type:") for each in headers):
        lines.append("Content-Type: application/json")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


EMPTY = framed(b"{}")


class Wire(Listener):
    """Remembers each request as the bytes that came, and answers with bytes as told.

    Bytes after the length that a request tells of are another request, as they are to any
    server. ``reply`` is the answer, or makes it of the request; with ``hang_up`` the connection
    is closed after it.
    """

    def __init__(self, reply: Reply = EMPTY, hang_up: bool = False) -> None:
        self.received: list[bytes] = []
        self.reply = reply
        owner = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                data = b""
                while True:
                    while (end := _end(data)) is None:
                        more = self.request.recv(65536)
                        if not more:
                            owner.received += [data] if data else []
                            return
                        data += more
                    owner.received.append(data[:end])
                    reply = owner.reply
                    self.request.sendall(reply if isinstance(reply, bytes) else reply(data[:end]))
                    if hang_up:
                        return
                    data = data[end:]

        super().__init__(Handler)


_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE).search


def _end(data: bytes) -> Optional[int]:
    """Return where the first request in the data ends, if all of it is there."""
    head = data.find(b"\r\n\r\n") + 4
    if head < 4:
        return None
    length = _LENGTH(data, 0, head)
    end = head + (int(length[1]) if length else 0)
    return end if end <= len(data) else None
