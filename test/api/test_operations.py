"""All 14 operations over real HTTP: what is sent, and what is made of the answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from urllib3._collections import HTTPHeaderDict

from libica.openapi import libtes

from ..conftest import TOKEN
from ..operations import LISTS, OPERATIONS, WITH_BODY, Operation
from ..server import Answer, Server

every_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=str)
both_twins = pytest.mark.parametrize("suffix", ["", "_with_http_info"], ids=["plain", "twin"])


def answering(server: Server, operation: Operation) -> None:
    server.answer(Answer(operation.status, operation.answer, {"X-Request-Id": "42"}))


def assert_decoded(data: Any, operation: Operation, client: libtes.ApiClient) -> None:
    assert type(data) is operation.model
    assert client.sanitize_for_serialization(data) == operation.answer


def test_there_are_14_operations() -> None:
    assert len({each.name for each in OPERATIONS}) == 14


@every_operation
@both_twins
@pytest.mark.parametrize("way", ["positional", "keyword"])
def test_a_call_is_one_request(
    server: Server, client: libtes.ApiClient, operation: Operation, suffix: str, way: str
) -> None:
    answering(server, operation)
    positional = operation.ids.values() if way == "positional" else ()
    keywords: dict[str, Any] = dict(operation.ids) if way == "keyword" else {}
    if operation.body:
        keywords["body"] = operation.body_model

    operation.bound(client, suffix)(*positional, **keywords)

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
def test_the_answer_is_the_model_of_the_contract(
    server: Server, client: libtes.ApiClient, operation: Operation
) -> None:
    answering(server, operation)
    assert_decoded(operation.call(client), operation, client)


@every_operation
def test_the_twin_returns_data_status_and_headers(
    server: Server, client: libtes.ApiClient, operation: Operation
) -> None:
    answering(server, operation)
    answer = operation.call(client, "_with_http_info")
    assert type(answer) is tuple
    data, status, headers = answer
    assert_decoded(data, operation, client)
    assert status == operation.status
    assert isinstance(headers, HTTPHeaderDict)
    assert headers["x-request-id"] == "42"


@every_operation
@pytest.mark.parametrize("data_only", [True, False, None])
def test_the_twin_returns_the_data_alone_if_asked_to(
    server: Server, client: libtes.ApiClient, operation: Operation, data_only: Any
) -> None:
    answering(server, operation)
    answer = operation.call(client, "_with_http_info", _return_http_data_only=data_only)
    assert_decoded(answer if data_only else answer[0], operation, client)


@every_operation
@pytest.mark.parametrize("data_only", [True, False, None])
def test_a_plain_method_returns_the_data_alone_whatever_it_is_asked(
    server: Server, client: libtes.ApiClient, operation: Operation, data_only: Any
) -> None:
    answering(server, operation)
    assert_decoded(operation.call(client, _return_http_data_only=data_only), operation, client)


@every_operation
@both_twins
def test_async_req_returns_a_result_to_wait_for(
    server: Server, client: libtes.ApiClient, operation: Operation, suffix: str
) -> None:
    answering(server, operation)
    thread = operation.call(client, suffix, async_req=True)
    assert isinstance(thread, libtes.AsyncResult)
    thread.wait(10)
    assert thread.ready() is True
    assert thread.successful() is True
    answer = thread.get()
    assert_decoded(answer[0] if suffix else answer, operation, client)
    assert thread.get(timeout=1) is answer
    assert len(server.asked) == 1


@every_operation
def test_async_req_raises_what_the_call_raised(
    server: Server, client: libtes.ApiClient, operation: Operation
) -> None:
    server.answer(Answer(404, {"code": "NOT_FOUND", "message": "no such object"}))
    thread = operation.call(client, async_req=True)
    with pytest.raises(libtes.NotFoundException, match="no such object"):
        thread.get(10)
    assert thread.ready()
    assert not thread.successful()


@every_operation
@both_twins
@pytest.mark.parametrize("async_req", [False, True])
def test_without_preload_the_answer_is_that_of_urllib3(
    server: Server, client: libtes.ApiClient, operation: Operation, suffix: str, async_req: bool
) -> None:
    answering(server, operation)
    raw = operation.call(client, suffix, _preload_content=False, async_req=async_req)
    if async_req:
        raw = raw.get(10)
    assert raw.status == operation.status
    assert raw.headers["X-Request-Id"] == "42"
    assert json.loads(raw.data) == operation.answer


@every_operation
def test_without_preload_a_failure_is_still_an_error(
    server: Server, client: libtes.ApiClient, operation: Operation
) -> None:
    server.answer(Answer(403, {"code": "FORBIDDEN", "message": "not yours"}))
    with pytest.raises(libtes.ForbiddenException, match="not yours"):
        operation.call(client, _preload_content=False)


@every_operation
def test_options_that_say_the_default_change_nothing(
    server: Server, client: libtes.ApiClient, operation: Operation
) -> None:
    answering(server, operation)
    options = {"async_req": None, "_preload_content": True, "_request_timeout": (5, 30.5)}
    assert_decoded(operation.call(client, **options), operation, client)


@pytest.mark.parametrize("operation", WITH_BODY, ids=str)
@pytest.mark.parametrize("given", ["left out", "None"])
def test_a_body_that_is_not_given_is_not_sent(
    server: Server, client: libtes.ApiClient, operation: Operation, given: str
) -> None:
    answering(server, operation)
    operation.bound(client)(**operation.ids, **({} if given == "left out" else {"body": None}))
    assert server.last.body == b""
    assert "Content-Type" not in server.last.headers


RAW_BODIES: dict[str, dict[str, Any]] = {
    "empty": {},
    "the casing of real users": {
        "Name": "run",
        "Execution": {"Image": {"Name": "x"}, "Inputs": [{"Path": "/a", "Url": "gds://v/a"}]},
    },
    "Python names": {"task_versions": [], "time_created": "now"},
    "unknown names": {"x-mine": {"deep": [[1, 2.5, True, None, "é 中 🧬 \u0000"]]}, "": 0},
    "nulls": {"name": None, "execution": {"image": None}},
    "wrong types": {"name": 5, "arguments": {"n": 1}, "acl": "tid:x"},
}


@pytest.mark.parametrize("operation", WITH_BODY, ids=str)
@pytest.mark.parametrize("body", RAW_BODIES.values(), ids=RAW_BODIES)
def test_a_dict_is_sent_untouched(
    server: Server, client: libtes.ApiClient, operation: Operation, body: dict[str, Any]
) -> None:
    answering(server, operation)
    before = json.dumps(body)
    operation.call(client, body=body)
    assert server.last.json == body
    assert server.last.headers["Content-Type"] == "application/json"
    assert json.dumps(body) == before


def test_a_dict_within_a_model_is_sent_untouched(server: Server, client: libtes.ApiClient) -> None:
    execution = {
        "Image": {"Name": "registry.example/x", "extra": [1]},
        "Environment": {"Resources": {"Size": "small"}},
        "inputs": [{"Url": "gds://v/a", "Path": None}],
    }
    body = libtes.CreateTaskRunRequest(name="run", execution=execution)
    libtes.TaskRunsApi(client).create_task_run(body=body)
    assert server.last.json == {"name": "run", "execution": execution}


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


def test_what_is_not_set_is_not_sent(server: Server, client: libtes.ApiClient) -> None:
    libtes.TasksApi(client).update_task("t", body=libtes.UpdateTaskRequest(description=""))
    assert server.last.json == {"description": ""}
    libtes.TasksApi(client).update_task("t", body=libtes.UpdateTaskRequest())
    assert server.last.json == {}


FILTERS = [(each, name) for each in LISTS for name in each.filters]
LIST_VALUES: list[tuple[str, Any, str]] = [
    ("a string", "a", "a"),
    ("commas between values", "a,b", "a,b"),
    ("an empty string", "", ""),
    ("a list", ["a", "b c", "d&e=f"], "a,b c,d&e=f"),
    ("a tuple", ("a",), "a"),
    ("other scripts", ["é", "中", "🧬"], "é,中,🧬"),
    ("whatever a URL knows", "?#/%25+ &=;:@", "?#/%25+ &=;:@"),
]


@pytest.mark.parametrize(("operation", "name"), FILTERS, ids=str)
@pytest.mark.parametrize(
    ("value", "sent"), [row[1:] for row in LIST_VALUES], ids=[row[0] for row in LIST_VALUES]
)
def test_a_filter_is_a_string_or_a_list(
    server: Server, client: libtes.ApiClient, operation: Operation, name: str, value: Any, sent: str
) -> None:
    answering(server, operation)
    operation.call(client, **{name: value})
    assert server.last.path == operation.target
    assert server.last.query == {name: sent}


@pytest.mark.parametrize("operation", LISTS, ids=str)
@pytest.mark.parametrize(
    ("name", "value", "parameter", "sent"),
    [
        ("page_size", 1, "pageSize", "1"),
        ("page_size", 1000, "pageSize", "1000"),
        ("page_token", "a+b/c==&d", "pageToken", "a+b/c==&d"),
        ("sort", "timeCreated desc", "sort", "timeCreated desc"),
        ("sort", "", "sort", ""),
    ],
)
def test_a_parameter_of_lists_is_sent_under_its_name_in_the_contract(
    server: Server,
    client: libtes.ApiClient,
    operation: Operation,
    name: str,
    value: Any,
    parameter: str,
    sent: str,
) -> None:
    answering(server, operation)
    operation.call(client, **{name: value})
    assert server.last.query == {parameter: sent}


@pytest.mark.parametrize("operation", LISTS, ids=str)
def test_all_parameters_of_a_list_together(
    server: Server, client: libtes.ApiClient, operation: Operation
) -> None:
    answering(server, operation)
    filters = {name: [name, "x"] for name in operation.filters}
    operation.call(client, sort="name asc", page_size=7, page_token="t", **filters)
    assert server.last.path == operation.target
    assert server.last.query == {
        "sort": "name asc",
        "pageSize": "7",
        "pageToken": "t",
        **{name: f"{name},x" for name in operation.filters},
    }


@pytest.mark.parametrize("operation", LISTS, ids=str)
def test_a_parameter_that_is_none_is_not_sent(
    server: Server, client: libtes.ApiClient, operation: Operation
) -> None:
    answering(server, operation)
    names = ("sort", "page_size", "page_token", *operation.filters)
    operation.call(client, **dict.fromkeys(names))
    assert server.last.target == operation.target


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
