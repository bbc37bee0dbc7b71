"""Hostile texts, and requests as the bytes that came."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any, Optional

from hypothesis import settings
from hypothesis import strategies as st

from libica.openapi import libtes

from ...helpers import few_examples
from ...operations import OPERATIONS, Operation
from ...wire import Wire

CREATE = next(each for each in OPERATIONS if each.name == "create_task")

fuzzed = settings(few_examples, max_examples=int(os.environ.get("LIBTES_EXAMPLES", "50")))


class Asked:
    """One request, taken apart strictly."""

    def __init__(self, raw: bytes) -> None:
        head, _, self.body = raw.partition(b"\r\n\r\n")
        line, *self.lines = head.split(b"\r\n")
        self.method, self.target, version = line.decode("ascii").split(" ")
        self.path, _, self.query = self.target.partition("?")
        assert version == "HTTP/1.1"
        assert re.fullmatch(r"/[A-Za-z0-9._~!$&'()*+,;=:@/%-]*", self.path)
        assert re.fullmatch(r"[A-Za-z0-9._~%&=-]*", self.query)


def ask(wire: Wire, client: libtes.ApiClient, operation: Operation, **changed: Any) -> Asked:
    """Call and return the one request that came."""
    before = len(wire.received)
    operation.call(client, **changed)
    [raw] = wire.received[before:]
    return Asked(raw)


def refusal_or_request(
    wire: Wire, call: Callable[..., Any], *args: Any, **kwargs: Any
) -> tuple[str, Optional[Asked]]:
    """Return why nothing was sent, if that is so, or the one request that came."""
    before = len(wire.received)
    try:
        call(*args, **kwargs)
    except (libtes.ApiTypeError, libtes.ApiValueError, libtes.ConnectException) as error:
        assert wire.received[before:] == []
        return str(error), None
    [raw] = wire.received[before:]
    return "", Asked(raw)


def has_surrogates(text: str) -> bool:
    return bool(re.search("[\ud800-\udfff]", text))


PIECES = [
    *"/\\?#%&=;:@ .+\t\0\r\n\"'<>`",
    *("..", "//", "/../", "%2f", "%2E", "%00", "%0d%0a", "\r\n\r\n", "\u2028", "\u202e", "\ufeff"),
    *("é", "中", "🧬", "\uff0f", "\uff0e", "\x7f", "\x85", "\xa0", "\ud800", "x"),
    *("{task_id}", "{version_id}", "http://", " HTTP/1.1", "\r\nX-Injected: 1"),
]
HOSTILE = [
    *("a/b", "/../../x//", "../runs", "...", "a?pageSize=1", "a#b", "100%", "a%2fb%2F..", "%2e%2E"),
    *(" a b ", "a+b", "x:abort", "a;b=c", "a&pageSize=1", "..\\x", "user:password@host", "'\"<>`"),
    *("{version_id}{task_id}{run_id}", "é中🧬", "e\u0301 \u202e", "a\r\nX-Injected: 1", "a\0b"),
    *("a HTTP/1.1\r\n\r\nGET /v1/tokens HTTP/1.1\r\n\r\n", "x" * 10_000, "🧬/" * 5_000),
    "https://elsewhere.example/v1/tasks",
]
hostile_texts = (
    st.sampled_from(HOSTILE)
    | st.lists(st.sampled_from(PIECES), max_size=8).map("".join)
    | st.text(st.characters(), max_size=20)
)
