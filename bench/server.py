"""A server process that sends prepared responses as fast as Python can."""

from __future__ import annotations

import itertools
import json
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

Responses = Mapping[str, tuple[int, str]]
"""For each method and path, such as ``GET /v1/tasks``: the status and the JSON to send.

The response to a launch has ``ID``, ``NAME`` and ``TEXT`` in place of id, name and description.
"""

HEAD = (
    "HTTP/1.1 {} Bench\r\n"
    "Date: Mon, 08 Mar 2021 04:05:54 GMT\r\n"
    "Content-Type: application/json; charset=utf-8\r\n"
    "Content-Length: {}\r\n\r\n"
)
RUNS = b"GET /v1/tasks/runs"
_body_length = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE).search
_page = re.compile(rb"pageSize=(\d+)(?:.*pageToken=(\d+))?").search


@contextmanager
def running(responses: Responses) -> Iterator[str]:
    """Run a server in a separate process; yield its address."""
    process = subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdin is not None  # both are pipes, but their types do not say so
        assert process.stdout is not None
        process.stdin.write(json.dumps(responses) + "\n")
        process.stdin.flush()
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"


class Service:
    """Responds to calls, and keeps the summaries of launched runs for lists."""

    def __init__(self, responses: Responses) -> None:
        self._prepared = {
            call.encode(): _whole(status, text.encode())
            for call, (status, text) in responses.items()
        }
        self._launch = {
            call.encode(): _template(text) for call, (_, text) in responses.items() if ":l" in call
        }
        self._summary = _template(responses[RUNS.decode()][1])
        self._runs: list[dict[bytes, bytes]] = []
        self._numbers = itertools.count()

    def respond(self, line: bytes, body: bytes) -> bytes:
        """Return the response to a call."""
        call, _, query = line.partition(b"?")
        template = self._launch.get(call)
        if template is not None:
            given = json.loads(body)
            text = given.get("description", "").encode()
            run = {b"ID": b"trn.%032x" % next(self._numbers), b"TEXT": text}
            run[b"NAME"] = given["name"].encode()
            self._runs.append(run)
            return _whole(201, template % run)
        if call == RUNS:
            return self._list(query)
        return self._prepared[call]

    def _list(self, query: bytes) -> bytes:
        found = _page(query)
        size, start = (int(found[1]), int(found[2] or 0)) if found else (10, 0)
        newest_first = self._runs[::-1][start : start + size]
        items = b",".join([self._summary % run for run in newest_first])
        more = b"%d" % (start + size) if start + size < len(self._runs) else b""
        return _whole(200, b'{"items":[%b],"nextPageToken":"%b"}' % (items, more))


def _template(text: str) -> bytes:
    """Return a template to fill with ``%`` and a dict."""
    return re.sub(rb"(ID|NAME|TEXT)", rb"%(\1)b", text.encode().replace(b"%", b"%%"))


def _whole(status: int, body: bytes) -> bytes:
    return HEAD.format(status, len(body)).encode() + body


def _main() -> None:
    service = Service(json.loads(sys.stdin.readline()))
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    threading.Thread(target=_accept, args=(listener, service), daemon=True).start()
    print(listener.getsockname()[1], flush=True)
    sys.stdin.read()  # until the other process closes it or ends


def _accept(listener: socket.socket, service: Service) -> None:
    while True:
        connection = listener.accept()[0]
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_serve, args=(connection, service), daemon=True).start()


def _serve(connection: socket.socket, service: Service) -> None:
    """Serve one connection without pipelining, until the client closes it."""
    received = b""
    while more := connection.recv(65536):
        received += more
        head, end, body = received.partition(b"\r\n\r\n")
        length = _body_length(head) if end else None
        if end and len(body) >= int(length[1] if length else 0):
            connection.sendall(service.respond(head[: head.index(b" HTTP/")], body))
            received = b""


if __name__ == "__main__":
    _main()
