"""What holds for every response, and how the bytes of a fuzzer become one."""

from __future__ import annotations

import json
import pickle
import socket
from typing import Any

from libica.openapi import libtes

from ..operations import OPERATIONS, Operation
from ..wire import Wire, framed

TOKEN = "token-that-nobody-may-see"
HEADERS = [
    (),
    ("Content-Type: text/html",),
    ("Content-Type: application/json; charset=utf-16",),
    ("Content-Type: application/json; charset=\xff",),
    ("Content-Encoding: gzip",),
    ("Content-Encoding: deflate",),
]
STATUSES = ["200 OK", "201 Created", "204 No Content", "404 Not Found", "500 Oops", "302 Found"]


def configuration_for(wire: Wire) -> libtes.Configuration:
    configuration = libtes.Configuration(host=wire.url, api_key={"Authorization": TOKEN})
    configuration.retries = 0
    configuration.timeout = (5, 5)
    return configuration


def keep_home(patch: Any = setattr) -> list[str]:
    """Let only 127.0.0.1 be reached; return the list of names that are looked up from now on."""
    tried: list[str] = []
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        tried.append(name)
        if name != "127.0.0.1":
            raise socket.gaierror(socket.EAI_NONAME, "not known here")
        return real(host, *args, **kwargs)

    patch(socket, "getaddrinfo", getaddrinfo)
    return tried


def check(client: libtes.ApiClient, operation: Operation) -> Any:
    """Call, and check that the result is a model or an exception of ours that can be shown."""
    try:
        came = operation.call(client)
    except libtes.ApiException as error:
        came = error
    again = pickle.loads(pickle.dumps(came))
    text = str(came)
    assert TOKEN not in text + repr(came)
    if isinstance(came, libtes.ApiException):
        assert (type(again), str(again)) == (type(came), text)
        assert text.isprintable(), ascii(text)
        assert len(text) < 5_000
    else:
        assert type(came) is operation.model
        assert again == came
        client.sanitize_for_serialization(came)
    return came


def response_of(data: bytes) -> tuple[Operation, bytes]:
    """Read the fuzzer's bytes: two choose, the rest is the body of a response or all of it."""
    first, second = (data + b"\0\0")[:2]
    operation = OPERATIONS[first % len(OPERATIONS)]
    if second >= 128:
        return operation, data[2:]
    status = STATUSES[second // 8 % len(STATUSES)]
    return operation, framed(data[2:], status, *HEADERS[second % 8 % len(HEADERS)])


def seeds() -> list[bytes]:
    """Return bytes to start from: the sample of each operation, as a body and as a response."""
    bodies = [json.dumps(each.answer, separators=(",", ":")).encode() for each in OPERATIONS]
    heads = [b"", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"]
    heads += [b"HTTP/1.1 302 Found\r\nLocation: /v1/tasks\r\nContent-Length: 0\r\n\r\n"]
    found = [bytes([at, 0]) + body for at, body in enumerate(bodies)]
    found += [bytes([at, 128]) + framed(body) for at, body in enumerate(bodies)]
    return found + [b"\0\x80" + head for head in heads]
