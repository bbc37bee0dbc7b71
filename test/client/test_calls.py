"""One call: from arguments to a request, from the response to a model or an error."""

from __future__ import annotations

import json
import re
from codecs import BOM_UTF8
from dataclasses import dataclass
from datetime import date, datetime, timezone
from typing import Any, Optional

import pytest

from libica.openapi import libtes

from ..conftest import TOKEN
from ..operations import OPERATIONS, RUN, RUN_SUMMARY, Operation
from ..server import Response, Server

Json = Any


@pytest.fixture
def runs(client: libtes.ApiClient) -> libtes.TaskRunsApi:
    return libtes.TaskRunsApi(client)


# -- Requests --------------------------------------------------------------------------------------


def test_call_api_fills_in_path_query_headers_and_body(
    server: Server, client: libtes.ApiClient
) -> None:
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
    asked = server.last
    assert asked.method == "POST"
    assert asked.target == "/v1/tasks/a%2Fb/versions/c%20d:launch?q=%C3%A4%26b&n=5"
    assert asked.headers["X-Mine"] == "1"
    assert asked.headers["Accept"] == asked.headers["Content-Type"] == "application/json"
    assert asked.headers["Authorization"] == f"Bearer {TOKEN}"
    assert asked.json == {"Name": "x"}
    assert data == libtes.TaskRun(id="x")
    assert (status, headers["x-request-id"]) == (201, "42")


@pytest.mark.parametrize(
    ("params", "query"),
    [
        (None, ""),
        ([], ""),
        ({"a b": "c&d=e", "b": "2"}, "?a%20b=c%26d%3De&b=2"),
        ([("a", "1"), ("a", "2"), ("n", 5), ("empty", "")], "?a=1&a=2&n=5&empty="),
        ([("a", ["x", "y z"]), ("b", ("1",))], "?a=x%2Cy%20z&b=1"),
    ],
    ids=repr,
)
def test_a_query_is_a_dict_or_a_list_of_pairs(
    server: Server, client: libtes.ApiClient, params: Any, query: str
) -> None:
    for method in ("GET", "POST", "PUT", "patch"):
        client.call_api("/v1/tasks", method, query_params=params)
        assert (server.last.method, server.last.target) == (method.upper(), f"/v1/tasks{query}")


@pytest.mark.parametrize("settings", [None, [], ["Basic"]], ids=repr)
def test_the_token_is_sent_only_where_the_call_asks_for_it(
    server: Server, client: libtes.ApiClient, settings: Optional[list[str]]
) -> None:
    client.configuration.refresh_api_key_hook = lambda _: pytest.fail("no token is needed")
    client.configuration.api_key.clear()
    client.call_api("/v1/tokens", "POST", auth_settings=settings)
    assert "Authorization" not in server.last.headers


def test_a_host_can_be_given_for_one_call(server: Server, client: libtes.ApiClient) -> None:
    with Server() as other:
        for base in ("", "/", "/base/"):
            client.call_api("/v1/x", "GET", _host=other.url + base)
        assert [asked.target for asked in other.asked] == ["/v1/x", "/v1/x", "/base/v1/x"]
    assert server.asked == []
    client.call_api("/v1/x", "GET")
    assert len(server.asked) == 1


def test_default_headers_and_the_cookie_are_sent_with_each_call(
    server: Server, configuration: libtes.Configuration
) -> None:
    with libtes.ApiClient(configuration, "X-First", "1", cookie="a=1; b=2") as client:
        client.set_default_header("X-Second", "2")
        client.default_headers["X-Third"] = "é"
        for _ in range(2):
            libtes.TasksApi(client).list_tasks()
            sent = server.last.headers
            assert (sent["X-First"], sent["X-Second"], sent["X-Third"]) == ("1", "2", "é")
            assert client.cookie == sent["Cookie"] == "a=1; b=2"
        client.set_default_header("X-Second", "changed")
        client.cookie = None
        client.call_api("/v1/x", "GET", header_params={"X-Second": "per call"})
        assert server.last.headers["X-Second"] == "changed"
        assert "Cookie" not in server.last.headers


def test_a_default_header_can_carry_the_token(server: Server) -> None:
    configuration = libtes.Configuration(host=server.url)
    with libtes.ApiClient(configuration, "Authorization", f"Bearer {TOKEN}") as client:
        libtes.TasksApi(client).list_tasks()
    assert server.last.headers["Authorization"] == f"Bearer {TOKEN}"


def test_the_user_agent_can_be_changed_for_one_client(
    server: Server, configuration: libtes.Configuration
) -> None:
    with libtes.ApiClient(configuration) as one, libtes.ApiClient(configuration) as other:
        assert one.user_agent.startswith(f"libica-libtes/{libtes.__version__}")
        one.user_agent = "pipeline/3"
        assert one.user_agent == one.default_headers["User-Agent"] == "pipeline/3"
        libtes.TasksApi(one).list_tasks()
        assert server.last.headers["User-Agent"] == "pipeline/3"
        assert other.user_agent.startswith("libica-libtes/")


# -- JSON out and in -------------------------------------------------------------------------------

TIME = datetime(2021, 3, 8, 4, 5, 54, 654483, timezone.utc)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([None, "x", 5, 0.5, True, (2, 3)], [None, "x", 5, 0.5, True, [2, 3]]),
        ({"a": None, "B": {"c": []}}, {"a": None, "B": {"c": []}}),
        ([TIME, date(2021, 3, 8)], ["2021-03-08T04:05:54.654483+00:00", "2021-03-08"]),
        ([libtes.Image(name="x")], [{"name": "x"}]),
        (libtes.InputStreamSettings(cache_size_gb=50), {"cacheSizeGB": 50}),
        (
            libtes.Execution(image={"Name": "x"}, retry_limit=0),
            {"image": {"Name": "x"}, "retryLimit": 0},
        ),
        (libtes.TaskRunLogs(start_time=TIME), {"startTime": "2021-03-08T04:05:54.654483+00:00"}),
    ],
    ids=repr,
)
def test_models_and_dates_are_sent_as_json(
    client: libtes.ApiClient, value: Any, expected: Json
) -> None:
    assert client.sanitize_for_serialization(value) == expected


@dataclass
class Given:
    """A response as users make one for ``deserialize``."""

    data: Any


SUMMARY = libtes.TaskSummary(id="x", time_created=TIME)
SUMMARY_JSON = {"id": "x", "timeCreated": "2021-03-08T04:05:54.654483Z"}


@pytest.mark.parametrize(
    ("response_type", "sent", "expected"),
    [
        ("TaskSummary", SUMMARY_JSON, SUMMARY),
        ("list[TaskSummary]", [SUMMARY_JSON, None], [SUMMARY, None]),
        ("dict(str, TaskSummary)", {"a": SUMMARY_JSON}, {"a": SUMMARY}),
        ("list[list[int]]", [[1], []], [[1], []]),
        ("dict(str, list[str])", {"a": ["b"]}, {"a": ["b"]}),
        ("str", "x", "x"),
        ("int", 5.0, 5),
        ("float", 5, 5.0),
        ("bool", False, False),
        ("datetime", "2021-03-08T04:05:54.654483+00:00", TIME),
        ("object", {"a": [1, None, {"b": 0.5}]}, {"a": [1, None, {"b": 0.5}]}),
    ],
    ids=repr,
)
def test_a_response_is_read_as_the_type_that_is_asked_for(
    server: Server, client: libtes.ApiClient, response_type: str, sent: Json, expected: Any
) -> None:
    text = json.dumps(sent)
    server.respond(Response(body=text))
    data, status, _ = client.call_api("/v1/x", "GET", response_type=response_type)
    assert (data, type(data), status) == (expected, type(expected), 200)
    for given in (text, text.encode()):
        assert client.deserialize(Given(given), response_type) == expected


@pytest.mark.parametrize(
    "name", ["Nonsense", "list[Nonsense]", "", "list[", "file", "Model", set, bytes], ids=str
)
def test_an_unknown_response_type_is_an_error(client: libtes.ApiClient, name: Any) -> None:
    with pytest.raises(libtes.ApiValueError, match="response_type"):
        client.deserialize(Given("{}"), name)


@pytest.mark.parametrize(
    "response", [Response(body=b"<html>"), Response(body=b"\xff"), Response(204, b"")], ids=repr
)
def test_without_a_response_type_the_body_is_ignored(
    server: Server, client: libtes.ApiClient, response: Response
) -> None:
    response.headers["X-Request-Id"] = "42"
    server.respond(response)
    data, status, headers = client.call_api("/v1/x", "POST", response_type=None)
    assert (data, status, headers["X-Request-Id"]) == (None, response.status, "42")
    assert client.call_api("/v1/x", "POST", _return_http_data_only=True) is None


def test_unknown_fields_and_values_are_accepted(server: Server, runs: libtes.TaskRunsApi) -> None:
    server.respond(Response(body={"id": "x", "status": "Dreaming", "new": {"a": [1]}}))
    assert runs.get_task_run(RUN) == libtes.TaskRun(id="x", status="Dreaming")


def test_a_response_is_not_refused_for_a_limit(server: Server, runs: libtes.TaskRunsApi) -> None:
    server.respond(Response(body={"name": "x" * 300, "execution": {"image": {"name": ""}}}))
    run = runs.get_task_run(RUN)
    assert (len(run.name), run.execution.image.name) == (300, "")


TEXT = '{"id": "é中"}'


@pytest.mark.parametrize(
    ("content_type", "data"),
    [
        ("application/json", TEXT.encode()),
        ('application/json;charset="UTF-8"', TEXT.encode()),
        ("application/json", BOM_UTF8 + TEXT.encode()),
        ("application/json; charset=utf-8", BOM_UTF8 + TEXT.encode()),
        ("application/json; charset=utf-16", TEXT.encode("utf-16")),
        ("application/json; charset=UTF-16LE", TEXT.encode("utf-16-le")),
        ("application/json; charset = utf-32; x=y", TEXT.encode("utf-32")),
        ("application/json; charset=gb18030", TEXT.encode("gb18030")),
        ("text/plain", TEXT.encode()),
        ("", TEXT.encode()),
    ],
    ids=repr,
)
def test_the_charset_of_a_response_is_honoured(
    server: Server, runs: libtes.TaskRunsApi, content_type: str, data: bytes
) -> None:
    server.respond(Response(body=data, headers={"Content-Type": content_type}))
    assert runs.get_task_run(RUN).id == "é中"


# -- Responses that are unusable -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "says"),
    [(b"<html>", "JSON"), ("[]", "$ must be an object"), ("null", "None"), (b"\xff", "utf-8")],
    ids=ascii,
)
def test_data_that_cannot_be_deserialized_is_an_error(
    client: libtes.ApiClient, data: Any, says: str
) -> None:
    with pytest.raises(libtes.InvalidResponseException, match=re.escape(says)):
        client.deserialize(Given(data), "TaskRun")


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_no_operation_returns_an_empty_model_for_an_unusable_response(
    server: Server, client: libtes.ApiClient, operation: Operation
) -> None:
    for body in ("<html>", "", "[]", "null"):
        server.respond(Response(operation.status, body))
        with pytest.raises(libtes.InvalidResponseException, match=operation.returns):
            operation.call(client)
    assert len(server.asked) == 4


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"id": 5}, "$.id must be a string, not int"),
        ({"timeCreated": "yesterday"}, "$.timeCreated must be a date and time"),
        ({"timeCreated": 5}, "$.timeCreated must be a date and time"),
        ({"acl": "tid:x"}, "$.acl must be an array, not str"),
        ({"acl": ["tid:x", 5]}, "$.acl[1] must be a string, not int"),
        ({"logs": {}}, "$.logs must be an array, not dict"),
        ({"logs": [{}, {"endTime": ""}]}, "$.logs[1].endTime must be a date and time"),
        ({"execution": []}, "$.execution must be an object, not list"),
        ({"execution": {"retryLimit": "3"}}, "$.execution.retryLimit must be a whole number"),
        ({"execution": {"retryLimit": 1.5}}, "$.execution.retryLimit must be a whole number"),
        ({"execution": {"retryLimit": True}}, "$.execution.retryLimit must be a whole number"),
        ({"execution": {"image": {"name": ["x"]}}}, "$.execution.image.name must be a string"),
        (
            {"execution": {"environment": {"variables": {"A B": 5}}}},
            "$.execution.environment.variables.A B must be a string, not int",
        ),
        (
            {"execution": {"environment": {"resources": {"cpuCores": "4"}}}},
            "$.execution.environment.resources.cpuCores must be a number, not str",
        ),
        (
            {"execution": {"inputs": [None, {}, {"credentials": {"KEY": ["s3cr3t"]}}]}},
            "$.execution.inputs[2].credentials.KEY must be a string, not list",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_field_of_a_wrong_type_is_named(
    server: Server, runs: libtes.TaskRunsApi, body: Json, says: str
) -> None:
    server.respond(Response(body=body), Response(body={"items": [RUN_SUMMARY, {"acl": [5]}]}))
    with pytest.raises(libtes.InvalidResponseException) as caught:
        runs.get_task_run(RUN)
    assert says in caught.value.reason
    assert "s3cr3t" not in str(caught.value) + repr(caught.value) + str(caught.value.__cause__)
    with pytest.raises(libtes.InvalidResponseException, match=r"\$\.items\[1\]\.acl\[0\] must"):
        runs.list_task_runs()


# -- A client and its settings ---------------------------------------------------------------------


def test_a_client_works_after_it_was_closed(
    server: Server, configuration: libtes.Configuration
) -> None:
    client = libtes.ApiClient(configuration)
    client.close()  # it was never used
    with client:
        api = libtes.TasksApi(client)
        api.list_tasks()
    api.list_tasks()
    assert api.list_tasks(async_req=True).get(10) == libtes.TaskSummaryPagedItems()
    client.close()
    client.close()
    api.list_tasks()
    client.close()
    assert len(server.asked) == 4


def test_arguments_of_the_wrong_type_for_a_client_are_named(
    configuration: libtes.Configuration,
) -> None:
    host: Any = "https://host"
    with pytest.raises(libtes.ApiTypeError, match="`configuration` must be a Configuration"):
        libtes.ApiClient(host)
    for wrong in (host, configuration):
        with pytest.raises(libtes.ApiTypeError, match="`api_client` must be an ApiClient"):
            libtes.TasksApi(wrong)
    for count in (0, -1):
        with pytest.raises(libtes.ApiValueError, match="pool_threads"):
            libtes.ApiClient(configuration, pool_threads=count)
    with pytest.raises(libtes.ApiTypeError, match="pool_threads"):
        libtes.ApiClient(configuration, pool_threads="2")  # type: ignore[arg-type]


def test_connections_are_kept_open(server: Server, client: libtes.ApiClient) -> None:
    api = libtes.TasksApi(client)
    for _ in range(5):
        api.list_tasks()
    server.respond(Response(404), Response(body="<html>"), Response())
    for error in (libtes.NotFoundException, libtes.InvalidResponseException):
        with pytest.raises(error):
            api.list_tasks()
    api.list_tasks()
    assert (len(server.asked), server.connections) == (8, 1)
    client.close()
    api.list_tasks()
    assert server.connections == 2


def test_settings_that_are_changed_later_hold_from_the_next_call_on(
    server: Server, client: libtes.ApiClient
) -> None:
    api, configuration = libtes.TasksApi(client), client.configuration
    api.list_tasks()
    configuration.api_key["Authorization"] = "second"
    api.list_tasks()
    configuration.api_key, configuration.api_key_prefix = {"Authorization": "third"}, {}
    api.list_tasks()
    sent = [asked.headers["Authorization"] for asked in server.asked]
    assert sent == [f"Bearer {TOKEN}", "Bearer second", "third"]
    busy = Response(503, headers={"Retry-After": "0"})
    server.respond(busy, Response())
    with pytest.raises(libtes.ServiceException):
        api.list_tasks()
    configuration.retries = 1
    server.respond(busy, Response())
    api.list_tasks()
    with Server() as other:
        configuration.host = other.url
        api.list_tasks()
        assert len(other.asked) == 1
    assert len(server.asked) == 6


@pytest.mark.parametrize("api", [libtes.TasksApi, libtes.TaskVersionsApi, libtes.TaskRunsApi])
def test_an_api_without_a_client_uses_the_default_configuration(
    configuration: libtes.Configuration, server: Server, api: Any
) -> None:
    libtes.Configuration.set_default(configuration)
    try:
        made = api()
    finally:
        libtes.Configuration.set_default(None)
    assert made.api_client.configuration is not configuration
    [operation] = [each for each in OPERATIONS if each.api == api.__name__ and "list" in each.name]
    getattr(made, operation.name)(**operation.ids)
    made.api_client.close()
    assert server.last.path == operation.target
    assert server.last.headers["Authorization"] == f"Bearer {TOKEN}"
