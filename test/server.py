"""A real HTTP server on 127.0.0.1 that answers as a test says and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Optional, Union
from urllib.parse import parse_qsl, urlsplit


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
class Answer:
    """One answer: a dict or list goes out as JSON, bytes and text as they are."""

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    reason: Optional[str] = None

    @property
    def data(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()


Script = Union[Answer, Callable[[Asked], Answer]]


class Server:
    """Answers with the scripts that it was given, one after the other, the last one for ever."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self._scripts: list[Script] = [Answer()]
        self._lock = threading.Lock()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Without this, head and body of an answer wait for each other's acknowledgement.
            disable_nagle_algorithm = True
            wbufsize = -1

            def do_GET(self) -> None:  # noqa: N802 the name that http.server calls
                length = int(self.headers.get("Content-Length") or 0)
                asked = Asked(
                    self.command, self.path, dict(self.headers.items()), self.rfile.read(length)
                )
                answer = owner._next(asked)
                data = answer.data
                self.send_response(answer.status, answer.reason)
                headers = {
                    "Content-Type": "application/json",
                    "Content-Length": str(len(data)),
                    **answer.headers,
                }
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                if answer.status not in (204, 304):
                    self.wfile.write(data)

            do_POST = do_PUT = do_PATCH = do_GET  # noqa: N815

            def log_message(self, *args: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def _next(self, asked: Asked) -> Answer:
        with self._lock:
            self.asked.append(asked)
            script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
        return script(asked) if callable(script) else script

    def answer(self, *scripts: Script) -> None:
        """Say what to answer from now on."""
        with self._lock:
            self._scripts = list(scripts)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    @property
    def last(self) -> Asked:
        """The request that came last."""
        return self.asked[-1]

    def close(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()
