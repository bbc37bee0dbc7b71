"""The other end of the wire: a process that sends prepared answers as fast as Python can."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

Answers = Mapping[str, tuple[int, str]]
"""For each method and path, such as ``GET /v1/tasks``: the status and the JSON to send."""

HEAD = (
    "HTTP/1.1 {} Bench\r\n"
    "Date: Mon, 08 Mar 2021 04:05:54 GMT\r\n"
    "Content-Type: application/json; charset=utf-8\r\n"
    "Content-Length: {}\r\n\r\n"
)
_body_length = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE).search


@contextmanager
def running(answers: Answers) -> Iterator[str]:
    """Run a server in a process of its own; yields its address."""
    process = subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdin is not None  # they are pipes, which the types do not tell
        assert process.stdout is not None
        process.stdin.write(json.dumps(answers) + "\n")
        process.stdin.flush()
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"


def _main() -> None:
    prepared = {
        call.encode(): (HEAD.format(status, len(body.encode())) + body).encode()
        for call, (status, body) in json.loads(sys.stdin.readline()).items()
    }
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    threading.Thread(target=_accept, args=(listener, prepared), daemon=True).start()
    print(listener.getsockname()[1], flush=True)
    sys.stdin.read()  # until the other process closes it, or ends


def _accept(listener: socket.socket, prepared: Mapping[bytes, bytes]) -> None:
    while True:
        connection = listener.accept()[0]
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_serve, args=(connection, prepared), daemon=True).start()


def _serve(connection: socket.socket, prepared: Mapping[bytes, bytes]) -> None:
    """Answer one connection, whose client waits for each answer, until the client closes it."""
    received = b""
    while more := connection.recv(65536):
        received += more
        head, end, body = received.partition(b"\r\n\r\n")
        length = _body_length(head) if end else None
        if end and len(body) >= int(length[1] if length else 0):
            call = head[: head.index(b" HTTP/")].partition(b"?")[0]
            connection.sendall(prepared[call])
            received = b""


if __name__ == "__main__":
    _main()
