"""Real servers on 127.0.0.1 that respond as a test says and remember what they were asked."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from time import monotonic, sleep  # not those that a test may replace
from typing import TYPE_CHECKING, Any, Optional, Union
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass
class Asked:
    """One request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Response:
    """One response: a dict or list is sent as JSON, bytes and text as they are."""

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    reason: Optional[str] = None

    @property
    def data(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()


Answer = Response  # the name in tests that have yet to be renamed
Script = Union[Response, Callable[[Asked], Response]]


class Listener:
    """A server that listens from its creation until it is closed, with TLS if given a context."""

    class Tcp(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True
        request_queue_size = 128
        connections = closed = 0

        def process_request(self, *args: Any) -> None:
            self.connections += 1
            super().process_request(*args)

        def shutdown_request(self, *args: Any) -> None:
            super().shutdown_request(*args)
            self.closed += 1

        def handle_error(self, *args: Any) -> None:
            pass  # a client that goes away is no news

    def __init__(self, handler: Any, context: Optional[ssl.SSLContext] = None) -> None:
        self._tcp = self.Tcp(("127.0.0.1", 0), handler)
        if context is not None:
            self._tcp.socket = context.wrap_socket(self._tcp.socket, server_side=True)
        self._scheme = "http" if context is None else "https"
        self._thread = threading.Thread(target=self._tcp.serve_forever, args=(0.005,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return self._tcp.server_address[1]

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.port}"

    @property
    def connections(self) -> int:
        """How many connections were made to it."""
        return self._tcp.connections

    @property
    def closed(self) -> int:
        """How many of them it closed."""
        return self._tcp.closed

    def close(self) -> None:
        self._tcp.shutdown()
        self._thread.join()
        self._tcp.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class Server(Listener):
    """Responds with the scripts that it was given, in turn; the last one is used from then on."""

    def __init__(self, context: Optional[ssl.SSLContext] = None) -> None:
        self.asked: list[Asked] = []
        self._scripts: list[Script] = [Response()]
        self._lock = threading.Lock()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Without this, head and body of a response wait for each other's acknowledgement.
            disable_nagle_algorithm = True
            wbufsize = -1

            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                asked = Asked(
                    self.command, self.path, dict(self.headers.items()), self.rfile.read(length)
                )
                response = owner._next(asked)
                data = response.data
                self.send_response(response.status, response.reason)
                headers = {
                    "Content-Type": "application/json",
                    "Content-Length": str(len(data)),
                    **response.headers,
                }
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                if response.status not in (204, 304):
                    self.wfile.write(data)

            do_POST = do_PUT = do_PATCH = do_CONNECT = do_GET

            def log_message(self, *args: Any) -> None:
                pass

        super().__init__(Handler, context)

    def _next(self, asked: Asked) -> Response:
        with self._lock:
            self.asked.append(asked)
            script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
        return script(asked) if callable(script) else script

    def respond(self, *scripts: Script) -> None:
        """Say how to respond from now on."""
        with self._lock:
            self._scripts = list(scripts)

    answer = respond  # the name in tests that have yet to be renamed

    @property
    def last(self) -> Asked:
        """The request that came last."""
        return self.asked[-1]


Talk = Callable[[socket.socket], object]


class RawServer(Listener):
    """Reads one request per connection and hands the socket to a function, to misbehave with it.

    As with ``Server``, the functions are taken in turn. With ``read=False`` a function gets the
    connection from its start.
    """

    def __init__(
        self, *talks: Talk, context: Optional[ssl.SSLContext] = None, read: bool = True
    ) -> None:
        self.received: list[bytes] = []
        self._talks = list(talks)
        owner = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                if read:
                    owner.received.append(read_request(self.request))
                talks = owner._talks
                with contextlib.suppress(OSError):
                    (talks.pop(0) if len(talks) > 1 else talks[0])(self.request)

        super().__init__(Handler, context)


def read_request(connection: socket.socket) -> bytes:
    """Read the head of a request, and its body as far as the head tells the length."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536) or b"\r\n\r\n"
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\ncontent-length: (\d+)", head)
    while length and len(body) < int(length[1]) and (more := connection.recv(65536)):
        body += more
    return head + b"\r\n\r\n" + body


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until another thread has done something; fail if it does not."""
    end = monotonic() + seconds
    while not condition():
        assert monotonic() < end
        sleep(0.001)


def say(data: bytes) -> Talk:
    """Return a talk that sends just this and closes the connection."""
    return lambda connection: connection.sendall(data)
