"""Hostile input: a call goes where it should and as it should, or is refused by an error of ours.

What is compared is each request as the bytes that came to the server.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import math
import os
import re
import string
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libica.openapi import libtes
from libica.openapi.libtes import ApiClient

from .fuzz.responses import TOKEN, check, configuration_for, keep_home
from .helpers import ROOT, each_model, few_examples, json_values, samples, texts
from .operations import IDS, LISTS, OPERATIONS, TASK, WITH_BODY, Operation
from .server import wait_until
from .wire import Wire, framed

VALUE = libtes.ApiValueError
REFUSALS = (libtes.ApiTypeError, libtes.ApiValueError)
CREATE = next(each for each in OPERATIONS if each.name == "create_task")

fuzzed = settings(few_examples, max_examples=int(os.environ.get("LIBTES_EXAMPLES", "50")))


@pytest.fixture(autouse=True, scope="module")
def looked_up() -> Iterator[list[str]]:
    """Return the names that are looked up; none is found but 127.0.0.1."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
            patch.delenv(name, raising=False)
            patch.delenv(name.upper(), raising=False)
        yield keep_home(patch.setattr)


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    with Wire() as wire:
        yield wire


@pytest.fixture(scope="module")
def client(wire: Wire) -> Iterator[ApiClient]:
    with ApiClient(configuration_for(wire)) as client:
        yield client


class Asked:
    """One request, taken apart without leniency."""

    def __init__(self, raw: bytes) -> None:
        head, _, self.body = raw.partition(b"\r\n\r\n")
        line, *self.lines = head.split(b"\r\n")
        self.method, self.target, version = line.decode("ascii").split(" ")
        self.path, _, self.query = self.target.partition("?")
        assert version == "HTTP/1.1"
        assert re.fullmatch(r"/[A-Za-z0-9._~!$&'()*+,;=:@/%-]*", self.path)
        assert re.fullmatch(r"[A-Za-z0-9._~%&=-]*", self.query)


def ask(wire: Wire, client: ApiClient, operation: Operation, **changed: Any) -> Asked:
    """Call and return the one request that came."""
    before = len(wire.received)
    operation.call(client, **changed)
    [raw] = wire.received[before:]
    return Asked(raw)


@contextlib.contextmanager
def nothing_sent(wire: Wire) -> Iterator[None]:
    before = len(wire.received)
    yield
    assert wire.received[before:] == []


def has_surrogates(text: str) -> bool:
    return bool(re.search("[\ud800-\udfff]", text))


PIECES = [
    *"/\\?#%&=;:@ .+\t\0\r\n\"'<>`",
    *("..", "//", "/../", "%2f", "%2E", "%00", "%0d%0a", "\r\n\r\n", "\u2028", "\u202e", "\ufeff"),
    *("é", "中", "🧬", "\uff0f", "\uff0e", "\x7f", "\x85", "\xa0", "\ud800", "x"),
    *("{task_id}", "{version_id}", "http://", " HTTP/1.1", "\r\nX-Injected: 1"),
]
hostile_texts = st.lists(st.sampled_from(PIECES), max_size=8).map("".join) | st.text(
    st.characters(), max_size=20
)
HOSTILE = {
    "slash": "a/b",
    "slashes": "/../../x//",
    "dots and slash": "../runs",
    "three dots": "...",
    "question mark": "a?pageSize=1",
    "hash": "a#b",
    "percent": "100%",
    "encoded slash": "a%2fb%2F..",
    "encoded dots": "%2e%2E",
    "space": " a b ",
    "plus": "a+b",
    "colon": "x:abort",
    "semicolon": "a;b=c",
    "ampersand": "a&pageSize=1",
    "backslash": "..\\x",
    "at": "user:password@host",
    "braces": "{version_id}{task_id}{run_id}",
    "quotes": "'\"<>`",
    "unicode": "é中🧬",
    "not normal": "e\u0301 \u202e",
    "line break": "a\r\nX-Injected: 1",
    "another request": "a HTTP/1.1\r\n\r\nGET /v1/tokens HTTP/1.1\r\n\r\n",
    "nul": "a\0b",
    "long": "x" * 10_000,
    "long and wide": "🧬/" * 5_000,
    "a URL": "https://elsewhere.example/v1/tasks",
}
every_hostile_text = pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)


# -- Ids -------------------------------------------------------------------------------------------


def as_id(wire: Wire, client: ApiClient, operation: Operation, name: str, value: str) -> None:
    """Check that a text as an id fills its place in the path and changes nothing else."""
    harmless = ask(wire, client, operation)
    ids = {**operation.ids, name: value}
    asked = ask(wire, client, operation, **ids)
    assert asked.target == operation.path.format(**{k: quote(v, safe="") for k, v in ids.items()})
    template, segments = operation.path.split("/"), asked.target.split("/")
    assert len(segments) == len(template)
    place = next(at for at, segment in enumerate(template) if f"{{{name}}}" in segment)
    assert unquote(segments[place]) == template[place].replace(f"{{{name}}}", value)
    assert (asked.lines, asked.body) == (harmless.lines, harmless.body)


@every_hostile_text
def test_an_id_fills_one_segment_of_the_path_whatever_is_in_it(
    wire: Wire, client: ApiClient, value: str
) -> None:
    for operation, name in IDS:
        as_id(wire, client, operation, name, value)


@fuzzed
@given(place=st.sampled_from(IDS), value=hostile_texts)
def test_any_text_as_an_id_fills_one_segment_or_is_refused(
    wire: Wire, client: ApiClient, place: tuple[Operation, str], value: str
) -> None:
    operation, name = place
    if value in ("", ".", "..") or has_surrogates(value):
        with nothing_sent(wire), pytest.raises(VALUE, match=name):
            operation.call(client, **{name: value})
    else:
        as_id(wire, client, operation, name, value)


# -- The query -------------------------------------------------------------------------------------

QUERIED = [
    (operation, name, parameter)
    for operation in LISTS
    for name, parameter in [
        *((each, each) for each in operation.filters),
        ("sort", "sort"),
        ("page_token", "pageToken"),
    ]
]


def as_query(
    wire: Wire, client: ApiClient, place: tuple[Operation, str, str], value: Any, sent: str
) -> None:
    """Check that a value in the query is the whole query and changes nothing else."""
    operation, name, parameter = place
    harmless = ask(wire, client, operation)
    asked = ask(wire, client, operation, **{name: value})
    assert asked.path == harmless.path
    assert parse_qsl(asked.query, keep_blank_values=True) == [(parameter, sent)]
    assert (asked.lines, asked.body) == (harmless.lines, harmless.body)


@every_hostile_text
def test_a_filter_is_one_parameter_of_the_query_whatever_is_in_it(
    wire: Wire, client: ApiClient, value: str
) -> None:
    for place in QUERIED:
        as_query(wire, client, place, value, value)
        if place[1] in place[0].filters:
            as_query(wire, client, place, [value, "x"], f"{value},x")


@fuzzed
@given(place=st.sampled_from(QUERIED), value=hostile_texts)
def test_any_text_in_the_query_is_one_parameter_or_is_refused(
    wire: Wire, client: ApiClient, place: tuple[Operation, str, str], value: str
) -> None:
    if has_surrogates(value):
        with nothing_sent(wire), pytest.raises(VALUE, match="surrogates"):
            place[0].call(client, **{place[1]: value})
    else:
        as_query(wire, client, place, value, value)


@every_hostile_text
def test_a_token_of_a_page_is_handed_back_whatever_is_in_it(value: str) -> None:
    pages = [json.dumps({"items": [{}], "nextPageToken": each}).encode() for each in (value, "")]
    with Wire(lambda _: framed(pages.pop(0))) as wire, ApiClient(configuration_for(wire)) as client:
        assert len(list(libtes.TaskVersionsApi(client).iter_task_versions(TASK))) == 2
    first, second = map(Asked, wire.received)
    assert first.path == second.path == f"/v1/tasks/{TASK}/versions"
    assert dict(parse_qsl(second.query)) == {"pageSize": "1000", "pageToken": value}
    assert first.lines == second.lines


# -- Headers and cookies ---------------------------------------------------------------------------

# Where a text becomes a header: the name of the header, and how it is put there.
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
INJECTED = {
    "line break": "a\r\nX-Injected: 1",
    "line feed": "a\nX-Injected: 1",
    "carriage return": "a\rX-Injected: 1",
    "folded": "a\r\n X-Injected: 1",
    "another request": "a\r\n\r\nGET /v1/tokens HTTP/1.1\r\n\r\n",
    "at the end": "a\n",
    "nul": "a\0b",
    "other scripts": "中",
    "line break if cut to bytes": "a\u010d\u010aX-Injected: 1",
    "half a character": "\ud800",
    "escape": "\x1b[2J",
    "delete": "a\x7f",
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("value", INJECTED.values(), ids=INJECTED)
def test_a_header_holds_no_other(wire: Wire, place: str, value: str) -> None:
    def call() -> None:
        PLACES[place][1](client, value)
        libtes.TasksApi(client).list_tasks()

    with ApiClient(configuration_for(wire)) as client, nothing_sent(wire), pytest.raises(VALUE):
        call()


@fuzzed
@given(place=st.sampled_from(sorted(PLACES)), value=hostile_texts)
def test_any_text_in_a_header_is_its_value_or_is_refused(
    wire: Wire, client: ApiClient, place: str, value: str
) -> None:
    harmless = ask(wire, client, CREATE)
    name, put = PLACES[place]
    before = len(wire.received)
    with ApiClient(configuration_for(wire)) as changed:
        try:
            put(changed, value)
            asked = ask(wire, changed, CREATE)
        except VALUE:
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
    wire: Wire, client: ApiClient, name: str
) -> None:
    harmless = ask(wire, client, CREATE)
    before = len(wire.received)
    with ApiClient(configuration_for(wire)) as changed:
        try:
            changed.set_default_header(name, "1")
        except VALUE:
            assert not re.fullmatch(r"[A-Za-z_-]+", name)
            assert wire.received[before:] == []
        else:
            asked = ask(wire, changed, CREATE)
            assert sorted(asked.lines) == sorted([*harmless.lines, f"{name}: 1".encode()])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Content-Length", "0"),
        ("content-length", "5"),
        ("Content-Length", "99"),
        ("Transfer-Encoding", "chunked"),
        ("transfer-encoding", "identity"),
    ],
)
@pytest.mark.parametrize("how", ["method", "dict", "call"])
def test_no_header_moves_the_end_of_a_request(how: str, name: str, value: str) -> None:
    with Wire() as wire:
        with ApiClient(configuration_for(wire)) as client:
            client.configuration.timeout = 0.2
            with contextlib.suppress(libtes.OpenApiException):
                if how == "method":
                    client.set_default_header(name, value)
                elif how == "dict":
                    client.default_headers[name] = value
                given = {name: value} if how == "call" else {}
                client.call_api("/v1/tasks", "POST", header_params=given, body={"a": "b"})
        wait_until(lambda: wire.closed == wire.connections)
    framing = ("content-length", "transfer-encoding")
    for asked in map(Asked, wire.received):
        assert (asked.target, asked.body) == ("/v1/tasks", b'{"a":"b"}')
        lengths = [each for each in asked.lines if each.decode().lower().startswith(framing)]
        assert lengths == [b"Content-Length: 9"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("X-A", "b\r\nX-B: c"), ("X-A\r\nX-B", "c"), ("X-A", "中"), ("X A", "b"), ("", "b")],
)
@pytest.mark.parametrize("host", ["http://tes.example", "https://tes.example"])
def test_a_header_for_a_proxy_holds_no_other(wire: Wire, host: str, name: str, value: str) -> None:
    configuration = configuration_for(wire)
    configuration.host, configuration.proxy = host, wire.url

    def call(client: ApiClient) -> None:
        configuration.proxy_headers = {name: value}
        client.call_api("/v1/tasks", "GET")

    with ApiClient(configuration) as client, nothing_sent(wire), pytest.raises(VALUE):
        call(client)


@pytest.mark.parametrize("name", ["Authorization", "authorization", "AUTHORIZATION"])
def test_a_request_has_one_token_and_one_cookie(wire: Wire, client: ApiClient, name: str) -> None:
    with ApiClient(configuration_for(wire), cookie="a=1") as changed:
        changed.set_default_header(name, "mine")
        changed.set_default_header("cookie", "b=2")
        asked = ask(wire, changed, CREATE)
    names = [line.partition(b":")[0].lower() for line in asked.lines]
    assert len(names) == len(set(names))
    assert f"Authorization: {TOKEN}".encode() in asked.lines


# -- Hosts -----------------------------------------------------------------------------------------

# Addresses that two readers may take for different hosts.
TWO_HOSTS = [
    *("http://{here}@{there}", "http://{there}@{here}", "http://{here}:x@{there}"),
    *("http://{here}#@{there}", "http://{here}?@{there}", "http://{here}/?@{there}"),
    *("http://{here}\\@{there}", "http://{there}\\{here}", "http://{here} @{there}"),
    *("http://{here}\t@{there}", "http://{here}\r\n@{there}", "http://{here}\0@{there}"),
    *("http://{here}%40{there}", "http://{here}%2f@{there}", "http://{here}%00{there}"),
    *("http://{here}\uff0f@{there}", "http://{here}\uff20{there}", "http://{here}\uff1f@{there}"),
    *("http://{here}\uff03@{there}", "http://{here}\u3002{there}", "http://{here},{there}"),
    *("http://{here}/@{there}", "http://{here}//{there}", "http://{here}/http://{there}"),
    *("http://{here}/..//{there}", "http://{here};@{there}", "http://[{here}]@{there}"),
    *("//{there}", "http:{there}", "http:/{there}", "http:///{there}", "http:///{here}@{there}"),
    *(" http://{there}", "http://{here}\r\nHost: {there}", "http://{here}\nhttp://{there}"),
    "http://{here}/ HTTP/1.1\r\nHost: {there}\r\n\r\n",
]


@pytest.mark.parametrize("form", TWO_HOSTS, ids=ascii)
def test_a_host_names_one_host(wire: Wire, looked_up: list[str], form: str) -> None:
    with Wire() as elsewhere, ApiClient(configuration_for(wire)) as client:
        host = form.format(here=wire.url[7:], there=elsewhere.url[7:])
        goes_on = form.startswith("http://{here}/") and " " not in form and "?" not in form
        del looked_up[:]
        before = len(wire.received)
        for call in (set_host, give_host):
            with contextlib.suppress(VALUE):
                call(client, host)
                assert goes_on
        assert len(wire.received) - before == (2 if goes_on else 0)
        assert set(looked_up) <= {"127.0.0.1"}
        assert elsewhere.connections == 0
    for asked in map(Asked, wire.received[before:]):
        assert asked.path.endswith("/v1/tasks/t")


def set_host(client: ApiClient, host: str) -> None:
    client.configuration.host = host
    libtes.TasksApi(client).get_task("t")


def give_host(client: ApiClient, host: str) -> None:
    client.call_api("/v1/tasks/t", "GET", auth_settings=["Bearer"], _host=host)


@pytest.mark.parametrize(
    "path",
    [
        "@{there}/",
        ".{there}/",
        ":{there}/",
        "{there}",
        "http://{there}/",
        "\\@{there}",
        "?@{there}",
    ],
)
def test_a_path_that_begins_with_no_slash_is_refused(
    wire: Wire, client: ApiClient, looked_up: list[str], path: str
) -> None:
    with Wire() as elsewhere:
        del looked_up[:]
        with nothing_sent(wire), pytest.raises(VALUE, match="resource_path"):
            client.call_api(path.format(there=elsewhere.url[7:]), "GET", auth_settings=["Bearer"])
        assert looked_up == []


@pytest.mark.parametrize(
    "method", ["", "GE T", "GET\r\nX: 1", "GET /x HTTP/1.1\r\n\r\nGET", "中", "\0"]
)
def test_a_method_that_is_none_is_refused(wire: Wire, client: ApiClient, method: str) -> None:
    with nothing_sent(wire), pytest.raises(VALUE, match="method"):
        client.call_api("/v1/tasks", method)


@fuzzed
@given(before=st.just("") | hostile_texts, after=hostile_texts)
def test_any_text_about_a_host_is_its_path_or_is_refused(
    wire: Wire, client: ApiClient, looked_up: list[str], before: str, after: str
) -> None:
    after = re.sub(r"^\d", "x", after)  # another port is another server
    host = f"http://{before}{wire.url[7:]}{after}"
    harmless = ask(wire, client, CREATE)
    sent = len(wire.received)
    with ApiClient(configuration_for(wire)) as changed:
        try:
            changed.configuration.host = host
            asked = ask(wire, changed, CREATE)
        except libtes.OpenApiException:
            assert wire.received[sent:] == []
        else:
            assert not before
            assert after[:1] in ("", "/")
            assert asked.path.endswith(CREATE.target)
            assert (asked.query, asked.lines, asked.body) == ("", harmless.lines, harmless.body)


# -- Models and arguments --------------------------------------------------------------------------

NOTHING_SANE = {
    "surrogate": "\ud800",
    "nan": math.nan,
    "infinity": -math.inf,
    "huge": 10**400,
    "bytes": b"\xff",
    "object": object(),
    "type": dict,
    "set": {1},
    "complex": 1j,
    "function": len,
    "time": datetime(1, 1, 1),
    "numbers as names": {1: "x", None: "y", (): "z"},
    "model": libtes.Execution(),
    "models": [libtes.Image(name="x"), {"path": libtes.Execution()}],
}
anything = st.recursive(
    st.sampled_from(list(NOTHING_SANE.values())) | json_values | st.binary(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner)
        | st.dictionaries(texts | st.integers(), inner, max_size=3)
    ),
    max_leaves=6,
)


@few_examples
@given(data=st.data())
@each_model
def test_any_value_of_any_field_is_taken_or_refused(cls: Any, data: Any) -> None:
    """A model is built of what it takes; it can be shown, compared, and sent or refused."""
    accepted = samples(cls)
    model = cls(**accepted)
    values = data.draw(st.dictionaries(st.sampled_from(sorted(accepted)), anything, max_size=4))
    for name, value in values.items():
        try:
            setattr(model, name, value)
        except REFUSALS:
            assert getattr(model, name) == accepted[name]
    with contextlib.suppress(libtes.OpenApiException):
        cls(**{**accepted, **values})
    assert repr(model)
    assert str(model)
    assert set(model.to_dict()) == set(cls.attribute_map)
    assert model != object()
    with contextlib.suppress(libtes.OpenApiException):
        json.dumps(ApiClient().sanitize_for_serialization(model))


@fuzzed
@given(operation=st.sampled_from(WITH_BODY), body=st.dictionaries(texts, anything, max_size=3))
def test_any_dict_as_a_body_is_sent_as_json_or_is_refused(
    wire: Wire, client: ApiClient, operation: Operation, body: Any
) -> None:
    harmless = ask(wire, client, operation)
    before = len(wire.received)
    try:
        asked = ask(wire, client, operation, body=body)
    except REFUSALS:
        assert wire.received[before:] == []
    else:
        assert asked.target == harmless.target
        assert len(json.loads(asked.body)) == len(body)
        length = [f"Content-Length: {len(asked.body)}".encode()]
        assert [each for each in asked.lines if each not in harmless.lines] in ([], length)


TIMEOUTS = [5, (5, 5), None, 0, -1, math.nan, math.inf, "5", True, (), (1, 2, 3)]


@st.composite
def arguments(draw: Any) -> tuple[Operation, list[Any], dict[str, Any]]:
    operation = draw(st.sampled_from(OPERATIONS))
    values = anything | hostile_texts
    known = [*operation.ids, *operation.filters, "body", "sort", "page_size", "page_token"]
    given = draw(st.dictionaries(st.sampled_from(known) | texts, values, max_size=4))
    given.update(draw(st.fixed_dictionaries({}, optional=OPTIONS)))
    proper: dict[str, Any] = dict(operation.ids)
    if operation.body:
        proper["body"] = operation.raw_body
    return operation, draw(st.just([]) | st.lists(values, max_size=3)), {**proper, **given}


OPTIONS = {
    "async_req": st.booleans() | anything,
    "_preload_content": st.booleans() | anything,
    "_request_timeout": st.sampled_from(TIMEOUTS),
}


@fuzzed
@given(call=arguments())
def test_any_arguments_make_the_call_they_should_or_are_refused(
    wire: Wire, client: ApiClient, call: tuple[Operation, list[Any], dict[str, Any]]
) -> None:
    operation, args, kwargs = call
    for name, _ in zip(operation.ids, args):
        del kwargs[name]
    before = len(wire.received)
    try:
        result = operation.bound(client)(*args, **kwargs)
    except REFUSALS:
        assert wire.received[before:] == []
        return
    if isinstance(result, libtes.AsyncResult):
        result = result.get(10)
    if not isinstance(result, operation.model):
        assert json.loads(result.data) == {}
        result.release_conn()
    [raw] = wire.received[before:]
    asked = Asked(raw)
    assert asked.method == operation.method
    pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(operation.path))
    assert re.fullmatch(pattern, asked.path)


@pytest.mark.parametrize(
    "timeout",
    [1e10, 1e300, 10**400, 10**5_000, (1e300, 5), (None, 1e300)],
    ids=["1e10", "1e300", "400 digits", "5000 digits", "to connect", "to read"],
)
def test_a_timeout_beyond_all_times_is_taken_or_refused(client: ApiClient, timeout: Any) -> None:
    for options in ({}, {"async_req": True}):
        with contextlib.suppress(VALUE):
            result = libtes.TasksApi(client).get_task("t", _request_timeout=timeout, **options)
            assert (result.get(10) if options else result) == libtes.TaskSummary()


def deep(levels: int) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = [value]
    return {"deep": value}


def in_itself() -> Any:
    execution: dict[str, Any] = {}
    body = libtes.CreateTaskRunRequest(execution=execution)
    execution["again"] = [body]
    return body


@pytest.mark.parametrize("body", [deep(100_000), in_itself()], ids=["deep", "in itself"])
def test_a_body_without_end_is_refused(wire: Wire, client: ApiClient, body: Any) -> None:
    with nothing_sent(wire), pytest.raises(VALUE, match="body"):
        libtes.TaskRunsApi(client).create_task_run(body=body)


# -- Answers ---------------------------------------------------------------------------------------

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
    *(
        '"9999-12-31T23:59:59-23:59"',
        '"2021-02-30T00:00:00Z"',
        '"2021-03-08T24:00:00Z"',
        "truetrue",
    ),
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


BODIES = [json.dumps(each.answer, separators=(",", ":")).encode() for each in OPERATIONS]
bodies = (
    mutated(BODIES) | respelled(BODIES) | json_values.map(json.dumps).map(str.encode) | st.binary()
)
statuses = st.sampled_from(
    ["200 OK", "201 Created", "400 Bad", "404 \x1b[2J\xe9", "500", "503 Busy"]
)
content_types = st.sampled_from(
    ["application/json", "text/html", "application/json; charset=utf-16", "a; charset=\xff", ""]
)


@fuzzed
@given(
    operation=st.sampled_from(OPERATIONS), body=bodies, status=statuses, content_type=content_types
)
def test_any_body_of_an_answer_is_a_model_or_an_exception(
    answering: tuple[Wire, ApiClient],
    operation: Operation,
    body: bytes,
    status: str,
    content_type: str,
) -> None:
    wire, client = answering
    wire.reply = framed(body, status, f"Content-Type: {content_type}")
    before = len(wire.received)
    came = check(client, operation)
    if isinstance(came, Exception):
        assert came.status == int(status[:3])
    assert len(wire.received) == before + 1


@pytest.fixture(scope="module")
def answering() -> Iterator[tuple[Wire, ApiClient]]:
    with Wire() as wire, ApiClient(configuration_for(wire)) as client:
        yield wire, client


@pytest.fixture(scope="module")
def hanging_up() -> Iterator[tuple[Wire, ApiClient]]:
    with Wire(hang_up=True) as wire, ApiClient(configuration_for(wire)) as client:
        yield wire, client


@fuzzed
@given(
    operation=st.sampled_from(OPERATIONS),
    answer=st.binary() | mutated([head + b'{"id": "x"}' for head in HEADS]),
)
def test_any_bytes_for_an_answer_are_a_model_or_an_exception(
    hanging_up: tuple[Wire, ApiClient], operation: Operation, answer: bytes
) -> None:
    wire, client = hanging_up
    client.close()  # a connection that the service closes meanwhile would fail before it is asked
    wire.reply = answer
    before = len(wire.received)
    check(client, operation)
    asked = [Asked(raw) for raw in wire.received[before:]]
    assert asked[0].target == operation.target
    assert len(asked) == 1 or operation.method == "GET"  # nothing else follows a redirect


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="needs atheris")
def test_a_fuzzer_that_looks_for_answers_finds_none_that_breaks_a_promise(tmp_path: Path) -> None:
    options = ["-max_total_time=3", f"-artifact_prefix={tmp_path}/"]
    command = [sys.executable, "-m", "test.fuzz", *options, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr[-5000:]
    assert re.search(r"Done \d{2,} runs", done.stderr)
