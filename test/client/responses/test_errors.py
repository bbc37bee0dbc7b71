"""Error statuses: each has its class, whatever the body is."""

from __future__ import annotations

import json
from typing import Union

import pytest

from libica.openapi import libtes

from ...server import Talk, wait_until
from ...wire import chunked, drip, flood, framed, head, hold, reset
from ..calls import LAUNCH, PAGE, READ, failure, misbehaving
from ..conftest import Connect
from .test_kinds import HTML, JSON_TYPE, encoded, typed
from .test_limits import ENDLESS_GZIP, little_memory

ODD_BODIES: dict[str, tuple[bytes, str]] = {
    "html": (HTML, "text/html"),
    "nothing": (b"", "text/plain"),
    "a list": (b'["x"]', JSON_TYPE),
    "null": (b"null", JSON_TYPE),
    "an empty object": (b"{}", JSON_TYPE),
    "problem details": (b'{"title": "Bad", "status": 1, "errors": {"a": ["b"]}}', JSON_TYPE),
    "an error in an error": (b'{"error": {"code": "C", "message": "M"}}', JSON_TYPE),
    "wrong types": (b'{"code": 5, "message": ["x"], "details": "x"}', JSON_TYPE),
    "JSON that is cut short": (b'{"code": "x', JSON_TYPE),
    "binary": (b"\xff\xfe\x00", "application/octet-stream"),
    "nested": (b"[" * 100_000, JSON_TYPE),
    "an unknown charset": (b'"x"', f"{JSON_TYPE}; charset=klingon"),
}
ERRORS: dict[str, type[libtes.ApiException]] = {
    "401 Unauthorized": libtes.UnauthorizedException,
    "404 Not Found": libtes.NotFoundException,
    "429 Too Many Requests": libtes.TooManyRequestsException,
    "502 Bad Gateway": libtes.ServiceException,
}


CALLS = ((READ, True), (PAGE, False), (LAUNCH, True), (LAUNCH, False))


@pytest.mark.parametrize("body", ODD_BODIES)
def test_an_error_with_any_body_has_its_class_and_says_what_came(
    connect: Connect, body: str
) -> None:
    data, content_type = ODD_BODIES[body]
    for status, (operation, preload) in zip(ERRORS, CALLS):
        with misbehaving(framed(data, status, typed(content_type))) as raw:
            client = connect(raw.url, retries=0)
            exception = failure(client, operation, _preload_content=preload)
            wait_until(lambda: raw.closed == raw.connections)
        assert type(exception) is ERRORS[status]
        assert exception.status == int(status[:3])
        assert (exception.code, exception.message, exception.details) == (None, None, None)
        assert exception.body == data.decode("utf-8", "replace")
        assert status in str(exception)
        assert f"{len(exception.body)} characters of {content_type}" in str(exception)
        assert len(raw.received) == 1


ERROR_BODY = b'{"code": "C", "message": "M"}'
BAD = "502 Bad Gateway"
BAD_GATEWAY, BAD_CHUNKS = framed(ERROR_BODY, BAD), chunked().replace(b"200 OK", BAD.encode())
SPOILED: dict[str, Union[Talk, bytes]] = {
    "cut short": BAD_GATEWAY[:-1],
    "reset": reset(BAD_GATEWAY[:-1]),
    "silent": hold(BAD_GATEWAY[:-1]),
    "in drops": drip(head(BAD, "Content-Length: 9999"), b" "),
    "beyond the limit": flood(head(BAD), b" " * 65536),
    "of a length beyond the limit": hold(head(BAD, "Content-Length: 1000000000")),
    "endless gzip": flood(head(BAD, encoded("gzip")) + ENDLESS_GZIP[0], ENDLESS_GZIP[1]),
    "invalid gzip": framed(ERROR_BODY, BAD, encoded("gzip")),
    "an unknown compression": framed(ERROR_BODY, BAD, encoded("x-y")),
    "an invalid size of a chunk": BAD_CHUNKS + b"zz\r\n" + ERROR_BODY,
    "a negative size of a chunk": hold(BAD_CHUNKS + b"-23\r\n" + ERROR_BODY),
}


@pytest.mark.parametrize("key", SPOILED)
def test_an_error_whose_body_is_spoiled_keeps_its_status(connect: Connect, key: str) -> None:
    slow = key in ("silent", "in drops", "a negative size of a chunk")
    settings = {"max_response_bytes": 1 << 20, "retries": 0, "timeout": (5, 1 if slow else 30)}
    with misbehaving(SPOILED[key]) as raw:
        client = connect(raw.url, **settings)
        for operation, preload in CALLS[: 1 if slow else 4]:
            raw.received.clear()
            with little_memory():
                exception = failure(client, operation, _preload_content=preload)
            assert type(exception) is libtes.ServiceException
            assert (exception.status, exception.body) == (502, "")
            assert BAD in str(exception)
            assert len(raw.received) == 1
            wait_until(lambda: raw.closed == raw.connections)


def test_the_message_of_the_service_is_put_on_one_printable_line(connect: Connect) -> None:
    message = "first\nsecond\r\x1b[31mred\x00\x7f\u2028\u202e end " + "x" * 5000
    body = json.dumps({"code": "A\nB", "message": message}).encode()
    with misbehaving(framed(body, "400 Bad\x1b[2JRequest")) as raw:
        exception = failure(connect(raw.url), LAUNCH)
    assert "first second" in str(exception)
    assert exception.message == message
