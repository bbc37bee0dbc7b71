"""Hostile hosts, paths, ids, methods and queries: each stays in its place, or is refused."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qsl, quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from libica.openapi import libtes

from ...operations import IDS, LISTS, TASK, Operation
from ...wire import Wire, framed
from ..calls import configuration_for
from .requests import (
    CREATE,
    HOSTILE,
    Asked,
    ask,
    fuzzed,
    has_surrogates,
    hostile_texts,
    refusal_or_request,
)

pytestmark = pytest.mark.usefixtures("looked_up")


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


def call_with_host(client: libtes.ApiClient, host: str) -> None:
    client.configuration.host = host
    CREATE.call(client)


def call_at_host(client: libtes.ApiClient, host: str) -> None:
    client.call_api(CREATE.target, "POST", auth_settings=["Bearer"], _host=host)


@pytest.mark.parametrize("call", [call_with_host, call_at_host])
@pytest.mark.parametrize("form", TWO_HOSTS, ids=ascii)
def test_a_host_names_one_host(wire: Wire, looked_up: list[str], form: str, call: Any) -> None:
    with Wire() as elsewhere, libtes.ApiClient(configuration_for(wire)) as client:
        host = form.format(here=wire.url[7:], there=elsewhere.url[7:])
        looked_up.clear()
        _, asked = refusal_or_request(wire, call, client, host)
        assert set(looked_up) <= {"127.0.0.1"}
        assert elsewhere.connections == 0
    is_path = form.startswith("http://{here}/") and " " not in form and "?" not in form
    assert (asked is not None) == is_path
    assert asked is None or asked.path.endswith(CREATE.target)


@fuzzed
@given(before=st.just("") | hostile_texts, after=hostile_texts)
def test_any_text_around_a_host_is_its_path_or_is_refused(
    wire: Wire, wired: libtes.ApiClient, before: str, after: str
) -> None:
    after = re.sub(r"^\d", "x", after)  # another port is another server
    harmless = ask(wire, wired, CREATE)
    with libtes.ApiClient(configuration_for(wire)) as changed:
        host = f"http://{before}{wire.url[7:]}{after}"
        _, asked = refusal_or_request(wire, call_with_host, changed, host)
    if asked is not None:
        assert not before
        assert after[:1] in ("", "/")
        assert asked.path.endswith(CREATE.target)
        assert (asked.query, asked.lines, asked.body) == ("", harmless.lines, harmless.body)


# -- Paths, methods and queries --------------------------------------------------------------------


def test_an_id_that_names_no_segment_is_refused(wire: Wire, wired: libtes.ApiClient) -> None:
    for value in ("", ".", "..", "\ud800"):
        for operation, name in IDS:
            refusal, _ = refusal_or_request(wire, operation.call, wired, **{name: value})
            assert name in refusal


@fuzzed
@given(where=st.sampled_from(IDS), value=hostile_texts)
@example(where=IDS[-1], value="🧬/?#% \t\n" * 1_000)
def test_any_text_as_an_id_fills_one_segment_or_is_refused(
    wire: Wire, wired: libtes.ApiClient, where: tuple[Operation, str], value: str
) -> None:
    operation, name = where
    ids = {**operation.ids, name: value}
    refusal, asked = refusal_or_request(wire, operation.call, wired, **ids)
    if asked is None:
        assert value in ("", ".", "..") or has_surrogates(value)
        assert name in refusal
    else:
        quoted = {key: quote(each, safe="") for key, each in ids.items()}
        assert asked.target == operation.path.format(**quoted)
        harmless = ask(wire, wired, operation)
        assert (asked.lines, asked.body) == (harmless.lines, harmless.body)


@pytest.mark.parametrize(
    ("path", "method", "named"),
    [
        *((f"{before}127.0.0.1:1/", "GET", "resource_path") for before in ("", "@", ".", ":")),
        *((f"{before}@127.0.0.1:1", "GET", "resource_path") for before in ("http://", "\\", "?")),
        *(("/v1/tasks", method, "method") for method in ("", "GE T", "GET\r\nX: 1", "中", "\0")),
        ("/v1/tasks", "GET /x HTTP/1.1\r\n\r\nGET", "method"),
    ],
)
def test_a_path_that_begins_with_no_slash_and_an_invalid_method_are_refused(
    wire: Wire, wired: libtes.ApiClient, looked_up: list[str], path: str, method: str, named: str
) -> None:
    looked_up.clear()
    refusal, _ = refusal_or_request(wire, wired.call_api, path, method)
    assert named in refusal
    assert looked_up == []


QUERIED = [
    (operation, name, parameter)
    for operation in LISTS
    for name, parameter in [
        *((each, each) for each in operation.filters),
        *(("sort", "sort"), ("page_token", "pageToken")),
    ]
]


@fuzzed
@given(place=st.sampled_from(QUERIED), value=hostile_texts)
def test_any_text_in_the_query_is_one_parameter_or_is_refused(
    wire: Wire, wired: libtes.ApiClient, place: tuple[Operation, str, str], value: str
) -> None:
    operation, name, parameter = place
    harmless = ask(wire, wired, operation)
    takes_list = name in operation.filters and "," not in value
    lists = [(f"{value},x", [value, "x"])] if takes_list else []
    for sent, values in [(value, value), *lists]:
        refusal, asked = refusal_or_request(wire, operation.call, wired, **{name: values})
        if asked is None:
            assert has_surrogates(value)
            assert "surrogates" in refusal
        else:
            assert asked.path == harmless.path
            assert parse_qsl(asked.query, keep_blank_values=True) == [(parameter, sent)]
            assert (asked.lines, asked.body) == (harmless.lines, harmless.body)


def test_a_hostile_page_token_is_handed_back() -> None:
    def page(request: bytes) -> bytes:
        last = b"pageToken=" in request.partition(b"\r\n")[0]
        token = "" if last else value
        return framed(json.dumps({"items": [{}], "nextPageToken": token}).encode())

    with Wire(page) as wire, libtes.ApiClient(configuration_for(wire)) as client:
        for value in HOSTILE:
            wire.received.clear()
            assert len(list(libtes.TaskVersionsApi(client).iter_task_versions(TASK))) == 2
            first, second = map(Asked, wire.received)
            assert first.path == second.path == f"/v1/tasks/{TASK}/versions"
            assert dict(parse_qsl(second.query)) == {"pageSize": "1000", "pageToken": value}
            assert first.lines == second.lines
