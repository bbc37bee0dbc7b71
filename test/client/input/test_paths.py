"""Hostile ids, paths, methods and queries: each stays in its place, or is refused."""

from __future__ import annotations

import json
from urllib.parse import parse_qsl, quote, unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from libica.openapi import libtes

from ...operations import IDS, LISTS, TASK, Operation
from ...wire import Wire, framed
from ..calls import configuration_for
from .requests import HOSTILE, Asked, ask, fuzzed, has_surrogates, hostile_texts, nothing_sent

pytestmark = pytest.mark.usefixtures("looked_up")


def test_an_id_that_names_no_segment_is_refused(wire: Wire, wired: libtes.ApiClient) -> None:
    for value in ("", ".", "..", "\ud800"):
        for operation, name in IDS:
            with nothing_sent(wire), pytest.raises(libtes.ApiValueError, match=name):
                operation.call(wired, **{name: value})


@fuzzed
@given(where=st.sampled_from(IDS), value=hostile_texts)
@example(where=IDS[-1], value="🧬/?#% \t\n" * 1_000)
def test_any_text_as_an_id_fills_one_segment_or_is_refused(
    wire: Wire, wired: libtes.ApiClient, where: tuple[Operation, str], value: str
) -> None:
    operation, name = where
    if value in ("", ".", "..") or has_surrogates(value):
        with nothing_sent(wire), pytest.raises(libtes.ApiValueError, match=name):
            operation.call(wired, **{name: value})
        return
    harmless = ask(wire, wired, operation)
    ids = {**operation.ids, name: value}
    asked = ask(wire, wired, operation, **ids)
    assert asked.target == operation.path.format(**{k: quote(v, safe="") for k, v in ids.items()})
    template, segments = operation.path.split("/"), asked.target.split("/")
    assert len(segments) == len(template)
    place = next(at for at, segment in enumerate(template) if f"{{{name}}}" in segment)
    assert unquote(segments[place]) == template[place].replace(f"{{{name}}}", value)
    assert (asked.lines, asked.body) == (harmless.lines, harmless.body)


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
    wire: Wire, wired: libtes.ApiClient, looked_up: list[str], path: str
) -> None:
    with Wire() as elsewhere:
        looked_up.clear()
        with nothing_sent(wire), pytest.raises(libtes.ApiValueError, match="resource_path"):
            wired.call_api(path.format(there=elsewhere.url[7:]), "GET", auth_settings=["Bearer"])
        assert looked_up == []


@pytest.mark.parametrize(
    "method", ["", "GE T", "GET\r\nX: 1", "GET /x HTTP/1.1\r\n\r\nGET", "中", "\0"]
)
def test_an_invalid_method_is_refused(wire: Wire, wired: libtes.ApiClient, method: str) -> None:
    with nothing_sent(wire), pytest.raises(libtes.ApiValueError, match="method"):
        wired.call_api("/v1/tasks", method)


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


@fuzzed
@given(place=st.sampled_from(QUERIED), value=hostile_texts)
def test_any_text_in_the_query_is_one_parameter_or_is_refused(
    wire: Wire, wired: libtes.ApiClient, place: tuple[Operation, str, str], value: str
) -> None:
    operation, name, parameter = place
    if has_surrogates(value):
        with nothing_sent(wire), pytest.raises(libtes.ApiValueError, match="surrogates"):
            operation.call(wired, **{name: value})
        return
    harmless = ask(wire, wired, operation)
    takes_list = name in operation.filters and "," not in value
    lists = [(f"{value},x", [value, "x"])] if takes_list else []
    for sent, values in [(value, value), *lists]:
        asked = ask(wire, wired, operation, **{name: values})
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
