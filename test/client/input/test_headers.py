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
from .requests import CREATE, Asked, ask, fuzzed, hostile_texts, nothing_sent

pytestmark = pytest.mark.usefixtures("looked_up")

# Where a text becomes a header: the name of the header, and how to set it.
PLACES: dict[str, tuple[str, Any]] = {
    "cookie": ("Cookie", lambda client, text: setattr(client, "cookie", text)),
    "user agent": ("User-Agent", lambda client, text: setattr(client, "user_agent", text)),
    "default header": ("X-Mine", lambda client, text: client.set_default_header("X-Mine", text)),
    "dict": ("X-Mine", lambda client, text: client.default_headers.update({"X-Mine": text})),
    "token": (
        "Authorization",
        lambda client, text: client.configuration.api_key.update(Authorization=text),
    ),
}
INJECTED = [
    *("a\r\nX-Injected: 1", "a\nX-Injected: 1", "a\rX-Injected: 1", "a\r\n X-Injected: 1", "a\n"),
    *("a\r\n\r\nGET /v1/tokens HTTP/1.1\r\n\r\n", "a\0b", "中", "\ud800", "\x1b[2J", "a\x7f"),
    "a\u010d\u010aX-Injected: 1",  # a line break if cut to bytes
]


@pytest.mark.parametrize("place", PLACES)
def test_a_header_cannot_hold_another(wire: Wire, place: str) -> None:
    def call(client: ApiClient, value: str) -> None:
        PLACES[place][1](client, value)  # raises, or at the latest the call does
        libtes.TasksApi(client).list_tasks()

    for value in INJECTED:
        client = ApiClient(configuration_for(wire))
        with client, nothing_sent(wire), pytest.raises(libtes.ApiValueError):
            call(client, value)


@fuzzed
@given(place=st.sampled_from(sorted(PLACES)), value=hostile_texts)
def test_any_text_in_a_header_is_its_value_or_is_refused(
    wire: Wire, wired: ApiClient, place: str, value: str
) -> None:
    harmless = ask(wire, wired, CREATE)
    name, put = PLACES[place]
    before = len(wire.received)
    with ApiClient(configuration_for(wire)) as changed:
        try:
            put(changed, value)
            asked = ask(wire, changed, CREATE)
        except libtes.ApiValueError:
            assert not re.fullmatch(r"[\t\x20-\x7e]*", value)
            assert wire.received[before:] == []
            return
    absent = not value and place in ("cookie", "token")
    lines = [line for line in harmless.lines if not line.startswith(f"{name}:".encode())]
    lines += [] if absent else [f"{name}: {value}".encode("latin-1")]
    assert sorted(asked.lines) == sorted(lines)
    assert (asked.target, asked.body) == (harmless.target, harmless.body)


NAMES = st.text(st.sampled_from(string.ascii_letters + "-_ :\r\n\0é\t(),"), max_size=12)


@fuzzed
@given(name=NAMES.map("X".__add__))
def test_any_text_is_the_name_of_one_header_or_is_refused(
    wire: Wire, wired: ApiClient, name: str
) -> None:
    harmless = ask(wire, wired, CREATE)
    before = len(wire.received)
    with ApiClient(configuration_for(wire)) as changed:
        try:
            changed.set_default_header(name, "1")
        except libtes.ApiValueError:
            assert not re.fullmatch(r"[A-Za-z_-]+", name)
            assert wire.received[before:] == []
        else:
            asked = ask(wire, changed, CREATE)
            assert sorted(asked.lines) == sorted([*harmless.lines, f"{name}: 1".encode()])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("Content-Length", "0"), ("content-length", "5"), ("Content-Length", "99")),
        *(("Transfer-Encoding", "chunked"), ("transfer-encoding", "identity")),
    ],
)
@pytest.mark.parametrize("how", ["method", "dict", "call"])
def test_no_header_moves_the_end_of_a_request(how: str, name: str, value: str) -> None:
    given = {name: value} if how == "call" else {}
    with Wire() as wire:
        client = ApiClient(configuration_for(wire))
        with client, contextlib.suppress(libtes.OpenApiException):
            if how == "method":
                client.set_default_header(name, value)
            elif how == "dict":
                client.default_headers[name] = value
            client.call_api("/v1/tasks", "POST", header_params=given, body={"a": "b"})
        wait_until(lambda: wire.closed == wire.connections)
    for asked in map(Asked, wire.received):
        assert (asked.target, asked.body) == ("/v1/tasks", b'{"a":"b"}')
        framing = (b"content-length", b"transfer-encoding")
        lengths = [each for each in asked.lines if each.lower().startswith(framing)]
        assert lengths == [b"Content-Length: 9"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("X-A", "b\r\nX-B: c"), ("X-A\r\nX-B", "c"), ("X-A", "中"), ("X A", "b"), ("", "b")],
)
def test_a_header_for_a_proxy_cannot_hold_another(wire: Wire, name: str, value: str) -> None:
    def call(client: ApiClient) -> None:
        client.configuration.proxy_headers = {name: value}
        client.call_api("/v1/tasks", "GET")

    for host in ("http://tes.example", "https://tes.example"):
        configuration = configuration_for(wire)
        configuration.host, configuration.proxy = host, wire.url
        client = ApiClient(configuration)
        with client, nothing_sent(wire), pytest.raises(libtes.ApiValueError):
            call(client)


@pytest.mark.parametrize("name", ["Authorization", "authorization", "AUTHORIZATION"])
def test_a_request_has_one_token_and_one_cookie(wire: Wire, name: str) -> None:
    with ApiClient(configuration_for(wire), cookie="a=1") as changed:
        changed.set_default_header(name, "mine")
        changed.set_default_header("cookie", "b=2")
        asked = ask(wire, changed, CREATE)
    names = [line.partition(b":")[0].lower() for line in asked.lines]
    assert len(names) == len(set(names))
    assert f"Authorization: {TOKEN}".encode() in asked.lines
