"""A server in front of a service: it counts, refuses and changes what goes through."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any, Optional

import urllib3

from ..server import Asked, Response, Server

Meddle = Callable[[Asked, Response], Optional[Response]]


class Gate:
    """Passes requests on to a service, and its responses back.

    Attributes:
        server: The server that clients call.
        meddle: Gets each request with the service's response, in a thread of its own; returns the
            response to send in its place, if any.
        most: The greatest number of requests that were under way at the same time.
    """

    def __init__(self, url: str) -> None:
        self.server = Server()
        self.server.respond(self._pass)
        self.meddle: Meddle = lambda asked, response: None
        self.most = 0
        self._url = url
        self._under_way = 0
        self._lock = threading.Lock()
        self._pool = urllib3.PoolManager(maxsize=16)

    def close(self) -> None:
        self.server.close()
        self._pool.clear()

    @property
    def paths(self) -> list[str]:
        return [each.path for each in self.server.asked]

    def _pass(self, asked: Asked) -> Response:
        with self._lock:
            self._under_way += 1
            self.most = max(self.most, self._under_way)
        try:
            got = self._pool.request(
                asked.method,
                self._url + asked.target,
                body=asked.body,
                headers={name: asked.headers[name] for name in ("Authorization", "Accept")},
                retries=False,
            )
            text = got.data.decode().replace(self._url, self.server.url)
            response = Response(got.status, json.loads(text))
            return self.meddle(asked, response) or response
        finally:
            with self._lock:
                self._under_way -= 1


def refusal(status: int, **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body: Any = {"code": "REFUSED", "message": f"it is {status}", "details": []}
    return Response(status, body, named)
