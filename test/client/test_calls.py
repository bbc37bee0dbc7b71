"""One call: from arguments to a request, from the response to a model or an error."""

from __future__ import annotations

import gc
import json
from codecs import BOM_UTF8
from types import SimpleNamespace
from typing import Any

import pytest

from libica.openapi import libtes
from libica.openapi.libtes import ApiClient, Configuration, TaskRunsApi, TasksApi

from ..conftest import TOKEN
from ..helpers import TIME
from ..operations import RUN, RUN_SUMMARY
from ..server import Response, Server, wait_until


def test_call_api_fills_in_path_query_headers_and_body(server: Server, client: ApiClient) -> None:
    server.respond(Response(201, {"id": "x"}, {"X-Request-Id": "42"}))
    data, status, headers = client.call_api(
        "/v1/tasks/{taskId}/versions/{versionId}:launch",
        "POST",
        path_params={"taskId": "a/b", "versionId": "c d"},
        query_params={"q": "ä&b", "n": 5},
        header_params={"X-Mine": "1"},
        body={"Name": "x"},
        response_type="TaskRun",
        auth_settings=["Bearer"],
    )
    asked, json_type = server.last, "application/json"
    assert asked.method == "POST"
    assert asked.target == "/v1/tasks/a%2Fb/versions/c%20d:launch?q=%C3%A4%26b&n=5"
    expected = {"Accept": json_type, "Content-Type": json_type, "X-Mine": "1"}
    assert expected.items() <= asked.headers.items()
    assert asked.headers["Authorization"] == f"Bearer {TOKEN}"
    assert asked.json == {"Name": "x"}
    assert (data, status, headers["x-request-id"]) == (libtes.TaskRun(id="x"), 201, "42")
    for method, params, query in (
        ("GET", None, ""),
        ("PUT", {"a b": "c&d=e", "b": "2"}, "?a%20b=c%26d%3De&b=2"),
        ("patch", [("a", "1"), ("a", "2"), ("n", 5), ("empty", "")], "?a=1&a=2&n=5&empty="),
        ("POST", [("a", ["x", "y z"]), ("b", ("1",))], "?a=x%2Cy%20z&b=1"),
    ):
        client.call_api("/v1/tasks", method, query_params=params)
        assert (server.last.method, server.last.target) == (method.upper(), f"/v1/tasks{query}")


def test_a_call_may_have_a_host_of_its_own_and_sends_the_token_only_if_asked_to(
    server: Server, client: ApiClient
) -> None:
    client.configuration.host = "http://nowhere.invalid"
    for base, target in (("", "/v1/x"), ("/", "/v1/x"), ("/base/", "/base/v1/x")):
        client.call_api("/v1/x", "GET", auth_settings=["Bearer"], _host=server.url + base)
        assert server.last.target == target
        assert server.last.headers["Authorization"] == f"Bearer {TOKEN}"
    client.configuration.host = server.url
    client.configuration.refresh_api_key_hook = lambda _: pytest.fail("no token is needed")
    client.configuration.api_key.clear()
    for settings in (None, [], ["Basic"]):
        client.call_api("/v1/tokens", "POST", auth_settings=settings)
        assert "Authorization" not in server.last.headers


def test_headers_and_the_cookie_of_a_client_are_sent_with_each_call(
    server: Server, configuration: Configuration
) -> None:
    configuration.api_key = {}
    with ApiClient(configuration, "Authorization", "mine", cookie="a=1; b=2") as client:
        assert client.user_agent.startswith(f"libica-libtes/{libtes.__version__}")
        client.user_agent = "pipeline/3"
        client.set_default_header("X-Second", "2")
        client.default_headers["X-Third"] = "é"
        assert client.user_agent == client.default_headers["User-Agent"]
        given = {"Authorization": "mine", "User-Agent": "pipeline/3", "Cookie": client.cookie}
        for _ in range(2):
            TasksApi(client).list_tasks()
            expected = {**given, "X-Second": "2", "X-Third": "é"}
            assert expected.items() <= server.last.headers.items()
        client.set_default_header("X-Second", "changed")
        client.cookie = None
        client.call_api("/v1/x", "GET", header_params={"X-Second": "per call"})
        assert server.last.headers["X-Second"] == "changed"
        assert "Cookie" not in server.last.headers


SUMMARY = libtes.TaskSummary(id="x", time_created=TIME)
SUMMARY_JSON = {"id": "x", "timeCreated": TIME.isoformat()}


@pytest.mark.parametrize(
    ("response_type", "sent", "expected", "charset"),
    [
        ("TaskSummary", SUMMARY_JSON, SUMMARY, ""),
        ("list[TaskSummary]", [SUMMARY_JSON, None], [SUMMARY, None], ""),
        ("dict(str, TaskSummary)", {"a": SUMMARY_JSON}, {"a": SUMMARY}, ""),
        ("list[list[int]]", [[1], []], [[1], []], ""),
        ("float", 5, 5.0, ""),
        ("datetime", TIME.isoformat(), TIME, ""),
        ("object", {"a": [1, None, {"b": 0.5}]}, {"a": [1, None, {"b": 0.5}]}, ""),
        ("str", '"é中"'.encode(), "é中", ';charset="UTF-8"'),
        ("str", BOM_UTF8 + '"é中"'.encode(), "é中", ""),
        ("str", BOM_UTF8 + '"é中"'.encode(), "é中", "; charset=utf-8"),
        ("str", '"é中"'.encode("utf-16"), "é中", "; charset=utf-16"),
        ("str", '"é中"'.encode("utf-16-le"), "é中", "; charset=UTF-16LE"),
        ("str", '"é中"'.encode("utf-32"), "é中", "; charset = utf-32; x=y"),
        ("str", '"é中"'.encode("gb18030"), "é中", "; charset=gb18030"),
        ("str", '"é中"'.encode(), "é中", None),
    ],
)
def test_a_response_is_read_as_the_type_that_is_asked_for_and_in_its_charset(
    server: Server, client: ApiClient, response_type: str, sent: Any, expected: Any, charset: Any
) -> None:
    data = sent if isinstance(sent, bytes) else json.dumps(sent).encode()
    headers = {"Content-Type": "" if charset is None else f"application/json{charset}"}
    server.respond(Response(body=data, headers=headers))
    found, status, _ = client.call_api("/v1/x", "GET", response_type=response_type)
    assert (found, type(found), status) == (expected, type(expected), 200)
    kept = SimpleNamespace(data=data, headers=headers)
    assert client.deserialize(kept, response_type) == expected
    if data is not sent:
        text = SimpleNamespace(data=json.dumps(sent))  # and it need not have headers
        assert client.deserialize(text, response_type) == expected


@pytest.mark.parametrize(
    "name", ["Nonsense", "list[Nonsense]", "", "list[", "file", "Model", set, bytes], ids=str
)
def test_an_unknown_response_type_is_an_error(client: ApiClient, name: Any) -> None:
    with pytest.raises(libtes.ApiValueError, match="response_type"):
        client.deserialize(SimpleNamespace(data="{}"), name)


def test_without_a_response_type_the_body_is_ignored(server: Server, client: ApiClient) -> None:
    for status, body in ((200, b"<html>"), (200, b"\xff"), (204, b"")):
        server.respond(Response(status, body, {"X-Request-Id": "42"}))
        data, found, headers = client.call_api("/v1/x", "POST")
        assert (data, found, headers["X-Request-Id"]) == (None, status, "42")
        assert client.call_api("/v1/x", "POST", _return_http_data_only=True) is None


def test_a_response_is_not_refused_for_a_limit(server: Server, client: ApiClient) -> None:
    server.respond(Response(body={"name": "x" * 300, "execution": {"image": {"name": ""}}}))
    run = TaskRunsApi(client).get_task_run(RUN)
    assert (len(run.name), run.execution.image.name) == (300, "")


@pytest.mark.parametrize(
    ("place", "body", "accepted"),
    [
        ("timeCreated", {"timeCreated": 5}, "a date and time"),
        ("logs[1].endTime", {"logs": [{}, {"endTime": ""}]}, "a date and time"),
        ("execution", {"execution": []}, "an object, not list"),
        ("execution.retryLimit", {"execution": {"retryLimit": True}}, "a whole number"),
        (
            "execution.inputs[2].credentials.A KEY",
            {"execution": {"inputs": [None, {}, {"credentials": {"A KEY": ["s3cr3t"]}}]}},
            "a string, not list",
        ),
    ],
)
def test_a_field_of_a_wrong_type_is_named(
    server: Server, client: ApiClient, place: str, body: Any, accepted: str
) -> None:
    server.respond(Response(body=body), Response(body={"items": [RUN_SUMMARY, {"acl": [5]}]}))
    with pytest.raises(libtes.InvalidResponseException) as caught:
        TaskRunsApi(client).get_task_run(RUN)
    assert f"$.{place} must be {accepted}" in caught.value.reason
    assert "s3cr3t" not in str(caught.value) + repr(caught.value) + str(caught.value.__cause__)
    with pytest.raises(libtes.InvalidResponseException, match=r"\$\.items\[1\]\.acl\[0\] must"):
        TaskRunsApi(client).list_task_runs()


def test_a_client_keeps_connections_until_it_is_closed_and_works_again_then(
    server: Server, configuration: Configuration
) -> None:
    client = ApiClient(configuration)
    client.close()  # it was never used
    server.respond(Response(), Response(404), Response(body="<html>"), Response())
    with client:
        api = TasksApi(client)
        api.list_tasks()
        for _ in range(2):
            with pytest.raises(libtes.ApiException):
                api.list_tasks()
        api.list_tasks()
    assert (len(server.asked), server.connections) == (4, 1)
    assert api.list_tasks(async_req=True).get(30) == libtes.TaskSummaryPagedItems()
    client.close()
    client.close()
    api.list_tasks()
    assert (len(server.asked), server.connections) == (6, 3)
    del api, client
    wait_until(lambda: gc.collect() >= 0 and server.closed == 3)


def test_arguments_of_the_wrong_type_for_a_client_are_named(configuration: Configuration) -> None:
    host: Any = "https://host"
    with pytest.raises(libtes.ApiTypeError, match="`configuration`, must be a Configuration"):
        ApiClient(host)
    for wrong in (host, configuration):
        with pytest.raises(libtes.ApiTypeError, match="`api_client` must be an ApiClient"):
            TasksApi(wrong)
    assert ApiClient(configuration).pool_threads == 1
    for count, error in ((0, libtes.ApiValueError), ("2", libtes.ApiTypeError)):
        with pytest.raises(error, match="pool_threads"):
            ApiClient(configuration, pool_threads=count)  # type: ignore[arg-type]


def test_settings_that_are_changed_later_hold_from_the_next_call_on(
    server: Server, client: ApiClient
) -> None:
    api, configuration = TasksApi(client), client.configuration
    api.list_tasks()
    configuration.api_key["Authorization"] = "second"
    api.list_tasks()
    configuration.api_key, configuration.api_key_prefix = {"Authorization": "third"}, {}
    api.list_tasks()
    sent = [asked.headers["Authorization"] for asked in server.asked]
    assert sent == [f"Bearer {TOKEN}", "Bearer second", "third"]
    busy = Response(503, headers={"Retry-After": "0"})
    server.respond(busy, busy, Response())
    with pytest.raises(libtes.ServiceException):
        api.list_tasks()
    configuration.retries = 1
    api.list_tasks()
    assert len(server.asked) == 6
    with Server() as other:
        configuration.host = other.url
        api.list_tasks()
        assert len(other.asked) == 1
