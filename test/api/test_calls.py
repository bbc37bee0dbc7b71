"""All 14 operations over real HTTP: what a call sends, and what it makes of the response."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3._collections import HTTPHeaderDict

from libica.openapi import libtes

from ..conftest import TOKEN
from ..contract import facts
from ..helpers import json_values, many_examples, models
from ..operations import LISTS, OPERATIONS, Operation
from ..server import Answer, Server

every_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=str)
SUFFIXES = ("", "_with_http_info")

# Text of any characters but lone surrogates, which UTF-8 cannot hold.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
ids = texts.filter(lambda text: text not in ("", ".", ".."))
filters = texts | st.lists(texts.filter(lambda text: "," not in text), min_size=1, max_size=3)


@pytest.fixture(scope="module")
def wired() -> Iterator[tuple[Server, libtes.ApiClient]]:
    """A server and a client for the calls of all examples of a property."""
    server = Server()
    configuration = libtes.Configuration(host=server.url, api_key={"Authorization": TOKEN})
    with libtes.ApiClient(configuration) as client:
        yield server, client
    server.close()


def respond(server: Server, operation: Operation) -> None:
    server.asked.clear()
    server.answer(Answer(operation.status, operation.answer, {"X-Request-Id": "42"}))


def assert_decoded(data: Any, operation: Operation, client: libtes.ApiClient) -> None:
    assert type(data) is operation.model
    assert client.sanitize_for_serialization(data) == operation.answer


@every_operation
def test_a_call_by_position_or_keyword_is_one_request(
    server: Server, client: libtes.ApiClient, operation: Operation
) -> None:
    for suffix, by_position in itertools.product(SUFFIXES, (True, False)):
        respond(server, operation)
        keywords: dict[str, Any] = {} if by_position else dict(operation.ids)
        if operation.body:
            keywords["body"] = operation.body_model
        operation.bound(client, suffix)(*operation.ids.values() if by_position else (), **keywords)

        [asked] = server.asked
        assert (asked.method, asked.target) == (operation.method, operation.target)
        assert asked.headers["Accept"] == "application/json"
        assert asked.headers["Authorization"] == f"Bearer {TOKEN}"
        assert asked.headers["User-Agent"].startswith(f"libica-libtes/{libtes.__version__}")
        assert asked.headers["Host"] == server.url.removeprefix("http://")
        if operation.body:
            assert asked.headers["Content-Type"] == "application/json"
            assert asked.json == operation.raw_body
        else:
            assert "Content-Type" not in asked.headers
            assert asked.body == b""


@every_operation
def test_each_form_of_a_call_returns_its_part_of_the_response(
    server: Server, client: libtes.ApiClient, operation: Operation
) -> None:
    respond(server, operation)
    forms = list(itertools.product(SUFFIXES, (None, True), (True, False), (None, True, False)))
    for suffix, async_req, preload, data_only in forms:
        options = {"async_req": async_req, "_preload_content": preload}
        if data_only is not None:
            options["_return_http_data_only"] = data_only
        found = operation.call(client, suffix, _request_timeout=(5, 30.5), **options)
        if async_req:
            assert isinstance(found, libtes.AsyncResult)
            found.wait(10)
            assert (found.ready(), found.successful()) == (True, True)
            assert found.get() is found.get(timeout=1)
            found = found.get()
        if not preload:  # urllib3's response
            assert (found.status, found.headers["X-Request-Id"]) == (operation.status, "42")
            assert json.loads(found.data) == operation.answer
            continue
        if suffix and not data_only:
            assert type(found) is tuple
            found, status, headers = found
            assert status == operation.status
            assert isinstance(headers, HTTPHeaderDict)
            assert headers["x-request-id"] == "42"
        assert_decoded(found, operation, client)
    assert len(server.asked) == len(forms)


@every_operation
def test_a_failure_is_raised_by_each_form_of_a_call(
    server: Server, client: libtes.ApiClient, operation: Operation
) -> None:
    server.answer(Answer(404, {"code": "NOT_FOUND", "message": "no such object"}))
    for suffix, preload in itertools.product(SUFFIXES, (True, False)):
        with pytest.raises(libtes.NotFoundException, match="no such object"):
            operation.call(client, suffix, _preload_content=preload)
        result = operation.call(client, suffix, _preload_content=preload, async_req=True)
        with pytest.raises(libtes.NotFoundException, match="no such object"):
            result.get(10)
        assert (result.ready(), result.successful()) == (True, False)


@st.composite
def calls(draw: Any) -> tuple[Operation, dict[str, Any], dict[str, str], Any]:
    """Return an operation, valid arguments, and the query and body that they are to make."""
    operation = draw(st.sampled_from(OPERATIONS))
    arguments: dict[str, Any] = {name: draw(ids) for name in operation.ids}
    query: dict[str, str] = {}
    if operation.filters:
        values = {"page_size": st.integers(1, 1000), "sort": texts, "page_token": texts}
        values.update(dict.fromkeys(operation.filters, filters))
        chosen = {name: draw(st.none() | values[name]) for name in values}
        arguments.update(chosen)
        names = {"page_size": "pageSize", "page_token": "pageToken"}
        query = {
            names.get(name, name): ",".join(value) if isinstance(value, list) else str(value)
            for name, value in chosen.items()
            if value is not None
        }
    if operation.body:
        cls = getattr(libtes, operation.body)
        raw = st.dictionaries(texts, json_values, max_size=4) | st.sampled_from(RAW)
        arguments["body"] = draw(st.none() | models(cls) | raw)
    return operation, arguments, query, arguments.get("body")


RAW: list[dict[str, Any]] = [
    *facts.requests().values(),
    {"task_versions": [], "time_created": "now"},
    {"x-mine": {"deep": [[1, 2.5, True, None, "é 中 🧬 \u0000"]]}, "": 0},
    {"name": 5, "execution": {"image": None}, "arguments": {"n": 1}, "acl": "tid:x"},
]


@many_examples
@given(calls())
def test_any_valid_arguments_make_the_request_of_the_contract(
    wired: tuple[Server, libtes.ApiClient], call: Any
) -> None:
    operation, arguments, query, body = call
    server, client = wired
    respond(server, operation)
    before = json.dumps(body, default=repr)
    operation.bound(client)(**arguments)

    [asked] = server.asked
    encoded = {name: quote(arguments[name], safe="") for name in operation.ids}
    assert (asked.method, asked.path) == (operation.method, operation.path.format(**encoded))
    assert asked.query == query
    if body is None:
        assert (asked.body, "Content-Type" in asked.headers) == (b"", False)
    else:
        assert asked.headers["Content-Type"] == "application/json"
        assert asked.json == client.sanitize_for_serialization(body)
    if isinstance(body, dict):
        assert asked.json == body
    assert json.dumps(body, default=repr) == before


def test_an_absent_body_is_not_sent_and_an_empty_one_is(
    server: Server, client: libtes.ApiClient
) -> None:
    api = libtes.TasksApi(client)
    api.update_task("t")
    assert server.last.body == b""
    assert "Content-Type" not in server.last.headers
    for body in ({}, libtes.UpdateTaskRequest()):
        api.update_task("t", body=body)
        assert server.last.json == {}
    api.update_task("t", body=libtes.UpdateTaskRequest(description=""))
    assert server.last.json == {"description": ""}


def test_models_and_dicts_can_be_mixed(server: Server, client: libtes.ApiClient) -> None:
    image = libtes.Image(name="x")
    inputs = [{"Path": "/a"}, libtes.InputMountMappingWithCreds(path="/b")]
    body = {"Execution": libtes.Execution(image=image, inputs=inputs, retry_limit=0)}
    libtes.TaskRunsApi(client).create_task_run(body=body)
    assert server.last.json == {
        "Execution": {
            "image": {"name": "x"},
            "inputs": [{"Path": "/a"}, {"path": "/b"}],
            "retryLimit": 0,
        }
    }


@pytest.mark.parametrize("operation", LISTS, ids=str)
def test_filters_take_tuples_numbers_and_any_characters_and_sizes_whole_floats(
    server: Server, client: libtes.ApiClient, operation: Operation
) -> None:
    for name in operation.filters:
        for value, sent in (
            ("a,b", "a,b"),
            (5, "5"),
            (("a", "b c", "d&e=f"), "a,b c,d&e=f"),
            (["é", "中", "🧬"], "é,中,🧬"),
            ("?#/%25+ &=;:@", "?#/%25+ &=;:@"),
        ):
            operation.call(client, **{name: value})
            assert (server.last.path, server.last.query) == (operation.target, {name: sent})
    operation.call(client, page_size=1e1)
    assert server.last.query == {"pageSize": "10"}


@pytest.mark.parametrize("base", ["/", "/tes", "/tes/", "/a%20b/c"])
def test_a_path_in_the_host_comes_before_that_of_the_call(
    server: Server, configuration: libtes.Configuration, base: str
) -> None:
    configuration.host = server.url + base
    with libtes.ApiClient(configuration) as client:
        libtes.TasksApi(client).get_task("t")
    assert server.last.target == f"{base.rstrip('/')}/v1/tasks/t"


def test_characters_can_be_exempt_from_percent_encoding(
    server: Server, client: libtes.ApiClient
) -> None:
    client.configuration.safe_chars_for_path_param = ":/"
    libtes.TasksApi(client).get_task("urn:a/b?c")
    assert server.last.target == "/v1/tasks/urn:a/b%3Fc"
    for value in ("a/../b", "../a", "a//b", "/a", "a/."):
        with pytest.raises(libtes.ApiValueError, match="task_id"):
            libtes.TasksApi(client).get_task(value)
    assert len(server.asked) == 1
