"""Hostile ids, paths, methods and queries: each stays in its place, or is refused."""

from __future__ import annotations

import json
from urllib.parse import parse_qsl, quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from libica.openapi import libtes

from ...operations import IDS, LISTS, TASK, Operation
from ...wire import Wire, framed
from ..calls import configuration_for
from .requests import HOSTILE, Asked, ask, fuzzed, has_surrogates, hostile_texts, refusal_or_request

pytestmark = pytest.mark.usefixtures("looked_up")


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
