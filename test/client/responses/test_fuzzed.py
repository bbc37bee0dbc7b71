"""Any bytes for a response are a model or an exception."""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libica.openapi.libtes import ApiClient, ApiException, ApiTypeError

from ...conftest import TOKEN
from ...helpers import json_values
from ...operations import OPERATIONS, Operation
from ...wire import Wire, framed
from ..calls import configuration_for
from ..input.requests import Asked, fuzzed

pytestmark = pytest.mark.usefixtures("looked_up")

HEADS = [
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n",
    b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n",
    b"HTTP/1.0 200 OK\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: /v1/tasks\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 503 Busy\r\nRetry-After: 5\r\nContent-Encoding: gzip\r\n\r\n",
    b"HTTP/1.1 404 Not Found\r\nContent-Type: application/json; charset=utf-8\r\n\r\n",
]
TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null').finditer
ODD = [
    *("null", "1e400", "-1E400", "NaN", "-Infinity", "-0", "0.1", "9" * 30, "9" * 5_000, "1e-400"),
    *('""', '"\\ud800"', '"\\u0000"', '"\x1b[2J"', '"\r\n"', '"0001-01-01T00:00:00+23:59"', "{}"),
    *("[]", "[[]]", '{"a":1}', "[null]", "[" * 5_000, '{"a":' * 5_000, "", ",", "\ufeff", "//"),
    *('"9999-12-31T23:59:59-23:59"', '"2021-02-30T00:00:00Z"', '"2021-03-08T24:00:00Z"'),
    "truetrue",
]


@st.composite
def mutated(draw: Any, originals: list[bytes]) -> bytes:
    """Return bytes of which some were taken out, put in, changed or doubled."""
    data = draw(st.sampled_from(originals))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 12)))
        put = draw(st.binary(max_size=4) | st.just(data[start:end] * 2))
        data = data[:start] + put + data[end:]
    return data


@st.composite
def respelled(draw: Any, originals: list[bytes]) -> bytes:
    """Return JSON in which some names or values were replaced by odd ones."""
    text = draw(st.sampled_from(originals)).decode()
    for _ in range(draw(st.integers(1, 3))):
        found = draw(st.sampled_from([each.span() for each in TOKENS(text)] or [(0, 0)]))
        odd = draw(st.sampled_from(ODD) | json_values.map(json.dumps))
        text = text[: found[0]] + odd + text[found[1] :]
    return text.encode("utf-8", "surrogatepass")


def check(client: ApiClient, operation: Operation) -> Any:
    """Call, and check that the result is a model or an exception of ours that can be shown."""
    try:
        came = operation.call(client)
    except ApiException as error:
        came = error
    again = pickle.loads(pickle.dumps(came))
    assert TOKEN not in str(came) + repr(came)
    if isinstance(came, ApiException):
        assert (type(again), str(again)) == (type(came), str(came))
        assert str(came).isprintable(), ascii(str(came))
        assert len(str(came)) < 5_000
    else:
        assert type(came) is operation.model
        assert again == came
        try:
            client.sanitize_for_serialization(came)
        except ApiTypeError as error:
            if not str(error).endswith("not None"):  # a null in a list is read, but not sent
                raise
    return came


BODIES = [json.dumps(each.answer, separators=(",", ":")).encode() for each in OPERATIONS]
STATUSES = ["200 OK", "201 Created", "400 Bad", "404 \x1b[2J\xe9", "500", "503 Busy"]
TYPES = ["application/json", "text/html", "application/json; charset=utf-16", "a; charset=\xff", ""]
bodies = (
    mutated(BODIES) | respelled(BODIES) | json_values.map(json.dumps).map(str.encode) | st.binary()
)
types = st.sampled_from(TYPES).map("Content-Type: {}".format)
complete = st.builds(framed, bodies, st.sampled_from(STATUSES), types)
spoiled = st.binary() | mutated([head + b'{"id": "x"}' for head in HEADS])


@pytest.fixture(scope="module")
def hanging_up() -> Iterator[tuple[Wire, ApiClient]]:
    with Wire(hang_up=True) as wire, ApiClient(configuration_for(wire)) as client:
        yield wire, client


@settings(fuzzed, max_examples=2 * fuzzed.max_examples)
@given(operation=st.sampled_from(OPERATIONS), response=complete | spoiled)
def test_any_bytes_for_a_response_are_a_model_or_an_exception(
    hanging_up: tuple[Wire, ApiClient], operation: Operation, response: bytes
) -> None:
    wire, client = hanging_up
    client.close()  # a connection that the service closes meanwhile would fail before it is used
    wire.reply = response
    before = len(wire.received)
    check(client, operation)
    asked = [Asked(raw) for raw in wire.received[before:]]
    assert asked[0].target == operation.target
    assert len(asked) == 1 or operation.method == "GET"  # nothing else follows a redirect
