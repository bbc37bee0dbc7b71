"""Hostile headers, cookies and tokens: each is one header, or is refused."""

from __future__ import annotations

import contextlib
import re
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libica.openapi import libtes
from libica.openapi.libtes import ApiClient

from ...conftest import TOKEN
from ...server import wait_until
from ...wire import Wire
from ..calls import configuration_for
from .requests import CREATE, Asked, ask, fuzzed, hostile_texts, refusal_or_request

pytestmark = pytest.mark.usefixtures("looked_up")

# How to put a text into a header, and the line that it makes.
PLACES: dict[str, tuple[str, Any]] = {
    "cookie": ("Cookie: {}", lambda client, text: setattr(client, "cookie", text)),
    "user agent": ("User-Agent: {}", lambda client, text: setattr(client, "user_agent", text)),
    "default": ("X-Mine: {}", lambda client, text: client.set_default_header("X-Mine", text)),
    "dict": ("X-Mine: {}", lambda client, text: client.default_headers.update({"X-Mine": text})),
    "token": (
        "Authorization: {}",
        lambda client, text: client.configuration.api_key.update(Authorization=text),
    ),
    "name": ("X{}: 1", lambda client, text: client.set_default_header(f"X{text}", "1")),
}


def for_proxy(part: str, scheme: str) -> Any:
    """Return how to put a text into the value or the name of a header for a proxy."""

    def put(client: ApiClient, text: str) -> None:
        settings = client.configuration
        settings.proxy, settings.host = settings.host, f"{scheme}://tes.example"
        settings.proxy_headers = {"X": text} if part == "value" else {f"X{text}": "1"}

    return put


OF_PROXIES = {
    f"{part} for a proxy, {scheme}": for_proxy(part, scheme)
    for part in ("value", "name")
    for scheme in ("http", "https")
}
PUT = {**{place: put for place, (_, put) in PLACES.items()}, **OF_PROXIES}
INJECTED = [
    *("a\r\nX-Injected: 1", "a\nX-Injected: 1", "a\rX-Injected: 1", "a\r\n X-Injected: 1", "a\n"),
    *("a\r\n\r\nGET /v1/tokens HTTP/1.1\r\n\r\n", "a\0b", "中", "\ud800", "\x1b[2J", "a\x7f"),
    "a\u010d\u010aX-Injected: 1",  # a line break if cut to bytes
]


def put_and_call(client: ApiClient, put: Any, text: str) -> None:
    """Put a text somewhere, and make a call, either of which may refuse it."""
    put(client, text)
    CREATE.call(client)


@pytest.mark.parametrize("place", PUT)
def test_a_header_cannot_hold_another(wire: Wire, place: str) -> None:
    for text in [*INJECTED, *([" b", "é"] if "name" in place else [])]:
        with ApiClient(configuration_for(wire)) as client:
            refusal, _ = refusal_or_request(wire, put_and_call, client, PUT[place], text)
        assert refusal


names = st.text(st.sampled_from(string.ascii_letters + "-_ :\r\n\0é\t(),"), max_size=12)


@fuzzed
@given(place=st.sampled_from(sorted(PLACES)), text=hostile_texts | names)
def test_any_text_in_a_header_is_its_value_or_name_or_is_refused(
    wire: Wire, wired: ApiClient, place: str, text: str
) -> None:
    line, put = PLACES[place]
    harmless = ask(wire, wired, CREATE)
    with ApiClient(configuration_for(wire)) as changed:
        _, asked = refusal_or_request(wire, put_and_call, changed, put, text)
    if asked is None:
        valid = r"[A-Za-z_-]*" if place == "name" else r"[\t\x20-\x7e]*"
        assert not re.fullmatch(valid, text)
        return
    absent = not text and place in ("cookie", "token")
    replaced = line.partition(":")[0].encode() + b":"
    lines = [each for each in harmless.lines if not each.startswith(replaced)]
    lines += [] if absent else [line.format(text).encode("latin-1")]
    assert sorted(asked.lines) == sorted(lines)
    assert (asked.target, asked.body) == (harmless.target, harmless.body)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("Content-Length", "0"), ("content-length", "5"), ("Content-Length", "99")),
        *(("Transfer-Encoding", "chunked"), ("transfer-encoding", "identity")),
    ],
)
@pytest.mark.parametrize("how", ["method", "dict", "call"])
def test_no_header_moves_the_end_of_a_request(how: str, name: str, value: str) -> None:
    with Wire() as wire:
        client = ApiClient(configuration_for(wire))
        with client, contextlib.suppress(libtes.OpenApiException):
            if how == "method":
                client.set_default_header(name, value)
            elif how == "dict":
                client.default_headers[name] = value
            given = {name: value} if how == "call" else {}
            client.call_api("/v1/tasks", "POST", header_params=given, body={"a": "b"})
        wait_until(lambda: wire.closed == wire.connections)
    for asked in map(Asked, wire.received):
        assert (asked.target, asked.body) == ("/v1/tasks", b'{"a":"b"}')
        framing = (b"content-length", b"transfer-encoding")
        lengths = [each for each in asked.lines if each.lower().startswith(framing)]
        assert lengths == [b"Content-Length: 9"]


@pytest.mark.parametrize("name", ["Authorization", "authorization", "AUTHORIZATION"])
def test_a_request_has_one_token_and_one_cookie(wire: Wire, name: str) -> None:
    with ApiClient(configuration_for(wire), cookie="a=1") as changed:
        changed.set_default_header(name, "mine")
        changed.set_default_header("cookie", "b=2")
        asked = ask(wire, changed, CREATE)
    names = [line.partition(b":")[0].lower() for line in asked.lines]
    assert len(names) == len(set(names))
    assert f"Authorization: {TOKEN}".encode() in asked.lines
