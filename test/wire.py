"""Requests and responses as bytes: a server that sees them so, and ways to misbehave.

A *talk* is a function that gets the server's socket once a request was read; see ``RawServer``.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import socket
import socketserver
import struct
import sys
from collections.abc import Callable
from time import sleep  # not one that a test may replace
from typing import Optional, Union

from .server import Listener, Talk

Reply = Union[bytes, Callable[[bytes], bytes]]


def framed(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """Return a complete response, of JSON unless its headers say otherwise."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    if not any(each.startswith("Content-Type:") for each in headers):
        lines.append("Content-Type: application/json")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def head(status: str = "200 OK", *headers: str) -> bytes:
    """Return the head of a response."""
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode("latin-1")


def chunked(*parts: bytes, headers: tuple[str, ...] = ()) -> bytes:
    """Return a response in chunks that lacks the final one, ``LAST_CHUNK``."""
    start = head("200 OK", "Content-Type: application/json", "Transfer-Encoding: chunked", *headers)
    return start + b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)


LAST_CHUNK = b"0\r\n\r\n"
EMPTY = framed(b"{}")


def reset(data: bytes = b"") -> Talk:
    """Send the data and reset the connection instead of closing it."""

    def talk(connection: socket.socket) -> None:
        connection.sendall(data)
        reset_when_closed(connection)
        connection.close()

    return talk


def reset_when_closed(connection: socket.socket) -> None:
    """Let a connection end with a reset once it is closed."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def hold(data: bytes = b"") -> Talk:
    """Send the data, then nothing until the client gives up."""

    def talk(connection: socket.socket) -> None:
        connection.sendall(data)
        while connection.recv(65536):
            pass

    return talk


def drip(start: bytes, drops: bytes) -> Talk:
    """Send the start, then the drops over and over, byte by byte, so that no single wait is long.

    It ends when the client gives up.
    """

    def talk(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(start)
        for drop in itertools.cycle(drops):
            connection.sendall(bytes([drop]))
            sleep(0.005)

    return talk


def flood(start: bytes, block: bytes) -> Talk:
    """Send the start, then the block over and over, as fast as the client takes it."""

    def talk(connection: socket.socket) -> None:
        connection.sendall(start)
        while True:
            connection.sendall(block)

    return talk


def wait_for_delivery(connection: socket.socket) -> None:
    """Wait until all that was sent has arrived at the other end, on Linux."""
    if sys.platform == "linux":
        import fcntl
        import termios

        while fcntl.ioctl(connection, termios.TIOCOUTQ, b"\0" * 4) != b"\0" * 4:
            sleep(0.001)


class Wire(Listener):
    """Keeps connections open, records each request as bytes, and responds with bytes.

    Bytes beyond the ``Content-Length`` of a request are another request, as they are to any
    server. ``reply`` is the response, or makes it from the request; with ``hang_up`` the
    connection is closed after it.
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
    """Return where the first request in the data ends, if it is complete."""
    head = data.find(b"\r\n\r\n") + 4
    if head < 4:
        return None
    length = _LENGTH(data, 0, head)
    end = head + (int(length[1]) if length else 0)
    return end if end <= len(data) else None
