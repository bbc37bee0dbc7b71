"""One call: from arguments to a request, from the answer to a model, or to an error that tells."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timezone
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Optional

import pytest

from libica.openapi import libtes

from .conftest import TOKEN
from .helpers import ROOT
from .operations import ANSWERS, OPERATIONS, RUN, RUN_SUMMARY, Operation
from .server import Answer, Asked, Server

Json = Any
LOGGER = "libica.openapi.libtes"
BEARER = ["Bearer"]


# -- Requests --------------------------------------------------------------------------------------


def test_call_api_fills_in_path_query_headers_and_body(
    server: Server, client: libtes.ApiClient
) -> None:
    server.answer(Answer(201, {"id": "x"}, {"X-Request-Id": "42"}))
    data, status, headers = client.call_api(
        "/v1/tasks/{taskId}/versions/{versionId}:launch",
        "POST",
        path_params={"taskId": "a/b", "versionId": "c d"},
        query_params={"q": "ä&b", "n": 5},
        header_params={"X-Mine": "1"},
        body={"Name": "x"},
        response_type="TaskRun",
        auth_settings=BEARER,
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
    ("params", "target"),
    [
        (None, "/v1/tasks"),
        ({}, "/v1/tasks"),
        ([], "/v1/tasks"),
        ({"a": "1", "b": "2"}, "/v1/tasks?a=1&b=2"),
        ([("a", "1"), ("a", "2")], "/v1/tasks?a=1&a=2"),
        ([("a", ["x", "y z"]), ("b", ("1",))], "/v1/tasks?a=x%2Cy%20z&b=1"),
        ({"a b": "c&d=e"}, "/v1/tasks?a%20b=c%26d%3De"),
        ([("n", 5), ("empty", "")], "/v1/tasks?n=5&empty="),
    ],
    ids=repr,
)
def test_a_query_is_a_dict_or_a_list_of_pairs(
    server: Server, client: libtes.ApiClient, params: Any, target: str
) -> None:
    client.call_api("/v1/tasks", "GET", query_params=params)
    assert server.last.target == target


@pytest.mark.parametrize("settings", [None, [], ["Basic"]], ids=repr)
def test_the_token_is_sent_only_where_the_call_asks_for_it(
    server: Server, client: libtes.ApiClient, settings: Optional[list[str]]
) -> None:
    client.call_api("/v1/tokens", "POST", auth_settings=settings)
    assert "Authorization" not in server.last.headers


@pytest.mark.parametrize(
    ("key", "prefix", "sent"),
    [
        ({"Authorization": "t"}, {}, "t"),
        ({"Authorization": "Bearer t"}, {}, "Bearer t"),
        ({"Authorization": "t"}, {"Authorization": "Bearer"}, "Bearer t"),
        ({"Authorization": "t"}, {"Authorization": ""}, "t"),
        ({"Authorization": "t"}, {"Other": "Bearer"}, "t"),
        ({"Authorization": ""}, {"Authorization": "Bearer"}, None),
        ({"Other": "t"}, {}, None),
        ({}, {}, None),
    ],
    ids=repr,
)
def test_the_token_follows_its_prefix(
    server: Server,
    client: libtes.ApiClient,
    key: dict[str, str],
    prefix: dict[str, str],
    sent: Optional[str],
) -> None:
    client.configuration.api_key, client.configuration.api_key_prefix = key, prefix
    client.call_api("/v1/tasks", "GET", auth_settings=BEARER)
    assert server.last.headers.get("Authorization") == sent


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "get", "post"])
def test_any_method_can_be_called(server: Server, client: libtes.ApiClient, method: str) -> None:
    client.call_api("/v1/x", method)
    assert server.last.method == method.upper()


def test_a_host_can_be_given_for_one_call(server: Server, client: libtes.ApiClient) -> None:
    with Server() as other:
        for base in ("", "/", "/base/"):
            client.call_api("/v1/x", "GET", _host=other.url + base)
        assert [asked.target for asked in other.asked] == ["/v1/x", "/v1/x", "/base/v1/x"]
    assert server.asked == []
    client.call_api("/v1/x", "GET")
    assert len(server.asked) == 1


def test_default_headers_are_sent_with_each_call(
    server: Server, configuration: libtes.Configuration
) -> None:
    with libtes.ApiClient(configuration, header_name="X-First", header_value="1") as client:
        client.set_default_header("X-Second", "2")
        client.default_headers["X-Third"] = "é"
        for _ in range(2):
            libtes.TasksApi(client).list_tasks()
            sent = server.last.headers
            assert (sent["X-First"], sent["X-Second"], sent["X-Third"]) == ("1", "2", "é")
        client.set_default_header("X-Second", "changed")
        client.call_api("/v1/x", "GET", header_params={"X-Second": "per call"})
        assert server.last.headers["X-Second"] == "changed"


def test_a_default_header_can_carry_the_token(server: Server) -> None:
    configuration = libtes.Configuration(host=server.url)
    with libtes.ApiClient(configuration, "Authorization", f"Bearer {TOKEN}") as client:
        libtes.TasksApi(client).list_tasks()
    assert server.last.headers["Authorization"] == f"Bearer {TOKEN}"


def test_a_cookie_is_sent_with_each_call(
    server: Server, configuration: libtes.Configuration
) -> None:
    with libtes.ApiClient(configuration, cookie="a=1; b=2") as client:
        assert client.cookie == "a=1; b=2"
        libtes.TasksApi(client).list_tasks()
        assert server.last.headers["Cookie"] == "a=1; b=2"
        client.cookie = None
        libtes.TasksApi(client).list_tasks()
        assert "Cookie" not in server.last.headers


def test_the_user_agent_can_be_changed(server: Server, client: libtes.ApiClient) -> None:
    assert client.user_agent.startswith(f"libica-libtes/{libtes.__version__}")
    client.user_agent = "pipeline/3"
    assert client.user_agent == client.default_headers["User-Agent"] == "pipeline/3"
    libtes.TasksApi(client).list_tasks()
    assert server.last.headers["User-Agent"] == "pipeline/3"


def test_clients_do_not_share_headers(configuration: libtes.Configuration) -> None:
    with libtes.ApiClient(configuration) as one, libtes.ApiClient(configuration) as other:
        one.set_default_header("X-Mine", "1")
        one.user_agent = "one"
        assert "X-Mine" not in other.default_headers
        assert other.user_agent.startswith("libica-libtes/")


# -- JSON out and in -------------------------------------------------------------------------------

TIME = datetime(2021, 3, 8, 4, 5, 54, 654483, timezone.utc)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("x", "x"),
        (5, 5),
        (0.5, 0.5),
        (True, True),
        ([1, (2, 3)], [1, [2, 3]]),
        ({"a": None, "B": {"c": []}}, {"a": None, "B": {"c": []}}),
        (TIME, "2021-03-08T04:05:54.654483+00:00"),
        (date(2021, 3, 8), "2021-03-08"),
        (libtes.Image(name="x"), {"name": "x"}),
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
def test_what_is_sent_is_made_of_what_json_has(
    client: libtes.ApiClient, value: Any, expected: Json
) -> None:
    assert client.sanitize_for_serialization(value) == expected


class Given:
    """An answer as users make one for ``deserialize``."""

    def __init__(self, data: Any) -> None:
        self.data = data


SUMMARY = libtes.TaskSummary(id="x", time_created=TIME)
SUMMARY_JSON = {"id": "x", "timeCreated": "2021-03-08T04:05:54.654483Z"}
TYPES: list[tuple[str, Json, Any]] = [
    ("TaskSummary", SUMMARY_JSON, SUMMARY),
    ("list[TaskSummary]", [SUMMARY_JSON, None], [SUMMARY, None]),
    ("dict(str, TaskSummary)", {"a": SUMMARY_JSON}, {"a": SUMMARY}),
    ("dict(str, str)", {"a": "b"}, {"a": "b"}),
    ("list[list[int]]", [[1], []], [[1], []]),
    ("dict(str, list[str])", {"a": ["b"]}, {"a": ["b"]}),
    ("str", "x", "x"),
    ("int", 5, 5),
    ("int", 5.0, 5),
    ("float", 5, 5.0),
    ("bool", False, False),
    ("datetime", "2021-03-08T04:05:54.654483+00:00", TIME),
    ("object", {"a": [1, None, {"b": 0.5}]}, {"a": [1, None, {"b": 0.5}]}),
    ("object", [1], [1]),
]


@pytest.mark.parametrize(("response_type", "sent", "expected"), TYPES, ids=repr)
def test_an_answer_is_read_as_the_type_that_is_asked_for(
    server: Server, client: libtes.ApiClient, response_type: str, sent: Json, expected: Any
) -> None:
    server.answer(Answer(body=json.dumps(sent)))
    data, status, _ = client.call_api("/v1/x", "GET", response_type=response_type)
    assert (data, type(data), status) == (expected, type(expected), 200)
    for text in (json.dumps(sent), json.dumps(sent).encode()):
        assert client.deserialize(Given(text), response_type) == expected


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b"\xff"], ids=repr)
def test_an_answer_of_no_type_is_not_read(
    server: Server, client: libtes.ApiClient, body: bytes
) -> None:
    server.answer(Answer(body=body, headers={"X-Request-Id": "42"}))
    data, status, headers = client.call_api("/v1/x", "POST", response_type=None)
    assert (data, status, headers["X-Request-Id"]) == (None, 200, "42")
    assert client.call_api("/v1/x", "POST", _return_http_data_only=True) is None


def test_an_answer_may_have_no_body_where_none_is_promised(
    server: Server, client: libtes.ApiClient
) -> None:
    server.answer(Answer(204, b""))
    assert client.call_api("/v1/x", "POST")[:2] == (None, 204)


def test_unknown_fields_and_values_are_passed_over(
    server: Server, client: libtes.ApiClient
) -> None:
    server.answer(Answer(body={"id": "x", "status": "Dreaming", "new": {"a": [1]}}))
    run = libtes.TaskRunsApi(client).get_task_run(RUN)
    assert run == libtes.TaskRun(id="x", status="Dreaming")


def test_an_answer_is_not_refused_for_a_limit(server: Server, client: libtes.ApiClient) -> None:
    server.answer(Answer(body={"name": "x" * 300, "execution": {"image": {"name": ""}}}))
    run = libtes.TaskRunsApi(client).get_task_run(RUN)
    assert len(run.name) == 300
    assert run.execution.image.name == ""


# -- Life of a client ------------------------------------------------------------------------------


def test_a_client_works_after_it_was_closed(
    server: Server, configuration: libtes.Configuration
) -> None:
    with libtes.ApiClient(configuration) as client:
        api = libtes.TasksApi(client)
        api.list_tasks()
    api.list_tasks()
    assert api.list_tasks(async_req=True).get(10) == libtes.TaskSummaryPagedItems()
    client.close()
    client.close()
    api.list_tasks()
    client.close()
    assert len(server.asked) == 4


def test_a_client_that_was_never_used_can_be_closed(configuration: libtes.Configuration) -> None:
    client = libtes.ApiClient(configuration)
    client.close()
    client.close()


def test_closing_waits_for_the_calls_in_the_background(
    server: Server, configuration: libtes.Configuration
) -> None:
    def slow(asked: Asked) -> Answer:
        time.sleep(0.05)
        return Answer()

    server.answer(slow)
    with libtes.ApiClient(configuration) as client:
        threads = [libtes.TasksApi(client).list_tasks(async_req=True) for _ in range(3)]
    assert all(thread.ready() and thread.successful() for thread in threads)
    assert len(server.asked) == 3


@pytest.mark.parametrize("count", [1, 4])
def test_as_many_calls_run_in_the_background_as_there_are_threads(
    server: Server, configuration: libtes.Configuration, count: int
) -> None:
    lock = threading.Lock()
    at_once: list[int] = [0]
    all_there = threading.Barrier(count)

    def counting(asked: Asked) -> Answer:
        with lock:
            at_once.append(at_once[-1] + 1)
        all_there.wait(10)
        with lock:
            at_once.append(at_once[-1] - 1)
        return Answer()

    server.answer(counting)
    with libtes.ApiClient(configuration, pool_threads=count) as client:
        assert client.pool_threads == count
        threads = [libtes.TasksApi(client).list_tasks(async_req=True) for _ in range(2 * count)]
        for thread in threads:
            thread.get(10)
    assert max(at_once) == count


@pytest.mark.parametrize("count", [0, -1, "2"], ids=repr)
def test_threads_that_are_no_number_are_refused(
    server: Server, configuration: libtes.Configuration, count: Any
) -> None:
    def call() -> None:
        client = libtes.ApiClient(configuration, pool_threads=count)
        libtes.TasksApi(client).list_tasks(async_req=True).get(0.2)

    error = libtes.ApiValueError if isinstance(count, int) else libtes.ApiTypeError
    with pytest.raises(error, match="pool_threads"):
        call()
    assert server.asked == []


def test_what_a_client_is_made_of_is_named_if_it_is_of_the_wrong_type() -> None:
    host: Any = "https://host"
    with pytest.raises(libtes.ApiTypeError, match="`configuration` must be a Configuration"):
        libtes.ApiClient(host)
    wrongs: list[Any] = [host, libtes.Configuration()]
    for wrong in wrongs:
        with pytest.raises(libtes.ApiTypeError, match="`api_client` must be an ApiClient"):
            libtes.TasksApi(wrong)


def test_connections_are_kept_open(server: Server, client: libtes.ApiClient) -> None:
    for _ in range(5):
        libtes.TasksApi(client).list_tasks()
    server.answer(Answer(404), Answer(body="<html>"), Answer())
    for error in (libtes.NotFoundException, libtes.InvalidResponseException):
        with pytest.raises(error):
            libtes.TasksApi(client).list_tasks()
    libtes.TasksApi(client).list_tasks()
    assert len(server.asked) == 8
    assert server.connections == 1
    client.close()
    libtes.TasksApi(client).list_tasks()
    assert server.connections == 2


# -- Configuration ---------------------------------------------------------------------------------


def test_a_token_that_is_changed_later_holds_for_the_next_call(
    server: Server, client: libtes.ApiClient
) -> None:
    libtes.TasksApi(client).list_tasks()
    client.configuration.api_key["Authorization"] = "second"
    libtes.TasksApi(client).list_tasks()
    client.configuration.api_key = {"Authorization": "third"}
    client.configuration.api_key_prefix = {}
    libtes.TasksApi(client).list_tasks()
    sent = [asked.headers["Authorization"] for asked in server.asked]
    assert sent == [f"Bearer {TOKEN}", "Bearer second", "third"]


def test_a_host_that_is_changed_later_holds_for_the_next_call(
    server: Server, client: libtes.ApiClient
) -> None:
    libtes.TasksApi(client).list_tasks()
    with Server() as other:
        client.configuration.host = other.url
        libtes.TasksApi(client).list_tasks()
        assert len(other.asked) == 1
    assert len(server.asked) == 1


def test_retries_and_timeouts_that_are_changed_later_hold_for_the_next_call(
    server: Server, client: libtes.ApiClient
) -> None:
    busy = Answer(503, headers={"Retry-After": "0"})
    server.answer(busy, Answer())
    with pytest.raises(libtes.ServiceException):
        libtes.TasksApi(client).list_tasks()
    client.configuration.retries = 1
    server.answer(busy, Answer())
    libtes.TasksApi(client).list_tasks()

    def slow(asked: Asked) -> Answer:
        time.sleep(0.2)
        return Answer()

    server.answer(slow)
    client.configuration.timeout = (5, 0.05)
    client.configuration.retries = 0
    with pytest.raises(libtes.ReadTimeoutException):
        libtes.TasksApi(client).list_tasks()
    client.configuration.timeout = None
    libtes.TasksApi(client).list_tasks()


@pytest.fixture
def no_default() -> Iterator[None]:
    before = libtes.Configuration._default
    libtes.Configuration.set_default(None)
    yield
    libtes.Configuration.set_default(before)


@pytest.mark.usefixtures("no_default")
@pytest.mark.parametrize("api", [libtes.TasksApi, libtes.TaskVersionsApi, libtes.TaskRunsApi])
def test_an_api_without_a_client_goes_by_the_default_configuration(
    configuration: libtes.Configuration, server: Server, api: Any
) -> None:
    libtes.Configuration.set_default(configuration)
    made = api()
    assert made.api_client.configuration is not configuration
    [operation] = [each for each in OPERATIONS if each.api == api.__name__ and "list" in each.name]
    getattr(made, operation.name)(**operation.ids)
    made.api_client.close()
    assert server.last.path == operation.target
    assert server.last.headers["Authorization"] == f"Bearer {TOKEN}"


@pytest.mark.usefixtures("no_default")
def test_a_client_without_a_configuration_copies_the_default_one(
    configuration: libtes.Configuration,
) -> None:
    libtes.Configuration.set_default(configuration)
    configuration.host = "https://later.example"
    with libtes.ApiClient() as one, libtes.ApiClient() as other:
        assert one.configuration.host == other.configuration.host != "https://later.example"
        one.configuration.api_key["Authorization"] = "changed"
        assert other.configuration.api_key["Authorization"] == TOKEN
    libtes.Configuration.set_default(None)
    with libtes.ApiClient() as client:
        assert client.configuration.host == "https://aps2.platform.illumina.com"


# -- Refreshing the token --------------------------------------------------------------------------


class Hook:
    """A refresh hook that sets the tokens that it was given, and counts its calls."""

    def __init__(self, *tokens: Optional[str], takes: float = 0) -> None:
        self.tokens = list(tokens)
        self.calls = 0
        self.takes = takes
        self.lock = threading.Lock()

    def __call__(self, configuration: libtes.Configuration) -> None:
        time.sleep(self.takes)
        with self.lock:
            self.calls += 1
            token = self.tokens.pop(0) if len(self.tokens) > 1 else self.tokens[0]
        if token is not None:
            configuration.api_key["Authorization"] = token


def only(*good: str) -> Callable[[Asked], Answer]:
    """Return a script that lets in those with these tokens."""

    def answer(asked: Asked) -> Answer:
        if asked.headers.get("Authorization") in [f"Bearer {token}" for token in good]:
            return Answer(body={"id": "x"})
        return Answer(401, {"code": "UNAUTHORIZED", "message": "who are you"})

    return answer


def test_where_there_is_no_token_the_hook_is_asked_for_one(
    server: Server, client: libtes.ApiClient
) -> None:
    hook = Hook("new")
    client.configuration.api_key.clear()
    client.configuration.refresh_api_key_hook = hook
    server.answer(only("new"))
    for _ in range(3):
        libtes.TaskRunsApi(client).get_task_run(RUN)
    assert hook.calls == 1
    assert len(server.asked) == 3


def test_a_token_that_is_good_is_not_refreshed(server: Server, client: libtes.ApiClient) -> None:
    hook = Hook("new")
    client.configuration.refresh_api_key_hook = hook
    server.answer(only(TOKEN))
    libtes.TaskRunsApi(client).get_task_run(RUN)
    assert hook.calls == 0


def test_a_call_that_needs_no_token_does_not_ask_the_hook(
    server: Server, client: libtes.ApiClient
) -> None:
    hook = Hook("new")
    client.configuration.api_key.clear()
    client.configuration.refresh_api_key_hook = hook
    client.call_api("/v1/tokens", "POST")
    assert hook.calls == 0


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_a_token_that_is_refused_is_refreshed_and_the_call_repeated_once(
    server: Server, client: libtes.ApiClient, operation: Operation
) -> None:
    hook = Hook("new")
    client.configuration.refresh_api_key_hook = hook
    good = only("new")
    server.answer(
        lambda asked: (
            Answer(operation.status, operation.answer) if good(asked).status == 200 else good(asked)
        )
    )
    assert type(operation.call(client)) is operation.model
    first, second = server.asked
    assert (first.method, first.target, first.body) == (second.method, second.target, second.body)
    sent = [first.headers.pop("Authorization"), second.headers.pop("Authorization")]
    assert sent == [f"Bearer {TOKEN}", "Bearer new"]
    assert first.headers == second.headers
    assert hook.calls == 1


def test_a_hook_whose_token_is_refused_too_does_not_help(
    server: Server, client: libtes.ApiClient
) -> None:
    hook = Hook("worse", "worst")
    client.configuration.refresh_api_key_hook = hook
    server.answer(only("good"))
    with pytest.raises(libtes.UnauthorizedException, match="who are you"):
        libtes.TaskRunsApi(client).get_task_run(RUN)
    assert len(server.asked) == 2
    assert hook.calls == 1


@pytest.mark.parametrize("token", [TOKEN, None], ids=["the same", "nothing"])
def test_a_hook_that_brings_no_other_token_is_asked_once(
    server: Server, client: libtes.ApiClient, token: Optional[str]
) -> None:
    hook = Hook(token)
    client.configuration.refresh_api_key_hook = hook
    server.answer(only("good"))
    with pytest.raises(libtes.UnauthorizedException):
        libtes.TaskRunsApi(client).get_task_run(RUN)
    assert len(server.asked) <= 2
    assert hook.calls == 1


def test_a_hook_that_has_no_token_is_asked_once(server: Server, client: libtes.ApiClient) -> None:
    hook = Hook(None)
    client.configuration.api_key.clear()
    client.configuration.refresh_api_key_hook = hook
    server.answer(only("good"))
    with pytest.raises(libtes.UnauthorizedException):
        libtes.TaskRunsApi(client).get_task_run(RUN)
    assert len(server.asked) == 1
    assert hook.calls == 1


def test_what_a_hook_raises_comes_out(server: Server, client: libtes.ApiClient) -> None:
    def hook(configuration: libtes.Configuration) -> None:
        raise RuntimeError("no new token today")

    client.configuration.refresh_api_key_hook = hook
    server.answer(only("good"))
    with pytest.raises(RuntimeError, match="no new token today"):
        libtes.TaskRunsApi(client).get_task_run(RUN)
    client.configuration.refresh_api_key_hook = None
    server.answer(Answer(body={"id": "x"}))
    assert libtes.TaskRunsApi(client).get_task_run(RUN).id == "x"


@pytest.mark.parametrize("preload", [True, False])
def test_a_hook_may_use_the_same_client(
    server: Server, client: libtes.ApiClient, preload: bool
) -> None:
    def hook(configuration: libtes.Configuration) -> None:
        answer = client.call_api("/v1/tokens", "POST", response_type="object", async_req=True)
        configuration.api_key["Authorization"] = answer.get(10)[0]["access_token"]

    def answer(asked: Asked) -> Answer:
        if asked.path == "/v1/tokens":
            return Answer(201, {"access_token": "new", "token_type": "Bearer"})
        return only("new")(asked)

    client.configuration.refresh_api_key_hook = hook
    server.answer(answer)
    run = libtes.TaskRunsApi(client).get_task_run(RUN, _preload_content=preload)
    assert (run.id if preload else json.loads(run.data)["id"]) == "x"
    assert [asked.method for asked in server.asked] == ["GET", "POST", "GET"]


@pytest.mark.parametrize("at_first", ["refused", "missing"])
def test_threads_share_one_refresh(server: Server, client: libtes.ApiClient, at_first: str) -> None:
    hook = Hook("new", takes=0.05)
    client.configuration.refresh_api_key_hook = hook
    if at_first == "missing":
        client.configuration.api_key.clear()
    count = 16
    all_there = threading.Barrier(count)
    good = only("new")

    def answer(asked: Asked) -> Answer:
        said = good(asked)
        if said.status == 401:
            all_there.wait(10)  # so that each thread has its token refused before any refreshes
        return said

    server.answer(answer)
    api = libtes.TaskRunsApi(client)
    with ThreadPoolExecutor(count) as threads:
        runs = list(threads.map(api.get_task_run, [RUN] * count))
    assert [run.id for run in runs] == ["x"] * count
    assert hook.calls == 1
    assert len(server.asked) == (2 * count if at_first == "refused" else count)


def test_a_token_that_another_thread_refreshed_is_taken_without_the_hook(
    server: Server, client: libtes.ApiClient
) -> None:
    hook = Hook("from the hook")
    client.configuration.refresh_api_key_hook = hook
    good = only("new")

    def answer(asked: Asked) -> Answer:
        said = good(asked)
        client.configuration.api_key["Authorization"] = "new"
        return said

    server.answer(answer)
    assert libtes.TaskRunsApi(client).get_task_run(RUN).id == "x"
    assert hook.calls == 0


# -- Logging ---------------------------------------------------------------------------------------

SECRETS = [TOKEN, "token-in-the-query", "password-in-the-body", "header-of-mine", "cookie-of-mine"]


def call_with_secrets(client: libtes.ApiClient) -> None:
    client.set_default_header("X-Mine", "header-of-mine")
    client.cookie = "cookie-of-mine"
    body = {"execution": {"image": {"credentials": {"password": "password-in-the-body"}}}}
    client.call_api(
        "/v1/tasks/{id}/versions",
        "POST",
        {"id": "tdn.1"},
        {"pageToken": "token-in-the-query"},
        body=body,
        auth_settings=BEARER,
    )


@pytest.fixture
def debugging(client: libtes.ApiClient) -> libtes.ApiClient:
    client.configuration.debug = True
    return client


def test_a_call_is_logged_with_method_path_status_and_time(
    server: Server, debugging: libtes.ApiClient, caplog: pytest.LogCaptureFixture
) -> None:
    server.answer(Answer(201, {"secret": "in the answer"}))
    call_with_secrets(debugging)
    [record] = [each for each in caplog.records if each.name == LOGGER]
    assert record.levelno == logging.DEBUG
    words = record.getMessage().replace(":", " ").split()
    assert words[:3] == ["POST", "/v1/tasks/tdn.1/versions", "201"]
    assert any(word.replace(".", "").isdigit() for word in words[3:])


def test_no_secret_is_logged(
    server: Server, debugging: libtes.ApiClient, caplog: pytest.LogCaptureFixture
) -> None:
    server.answer(Answer(201, {"jwt": "in the answer"}))
    call_with_secrets(debugging)
    records = [each for each in caplog.records if each.name.startswith("libica")]
    assert records
    for record in records:
        for secret in (*SECRETS, "in the answer", "Bearer", "Authorization"):
            assert secret not in record.getMessage() + repr(record.args) + repr(vars(record))


def test_a_call_that_fails_is_logged_too(
    server: Server, debugging: libtes.ApiClient, caplog: pytest.LogCaptureFixture
) -> None:
    server.answer(Answer(404))
    with pytest.raises(libtes.NotFoundException):
        libtes.TasksApi(debugging).get_task("t")
    debugging.configuration.host = "http://nowhere.invalid"
    with pytest.raises(libtes.ConnectException):
        libtes.TasksApi(debugging).get_task("t")
    first, second = [each.getMessage() for each in caplog.records if each.name == LOGGER]
    assert first.startswith("GET /v1/tasks/t: 404 ")
    assert second.startswith("GET /v1/tasks/t: no response ")


def test_without_debug_nothing_is_logged(
    server: Server, client: libtes.ApiClient, caplog: pytest.LogCaptureFixture
) -> None:
    libtes.TasksApi(client).list_tasks()
    assert [each for each in caplog.records if each.name.startswith("libica")] == []


def test_without_debug_a_call_is_logged_where_logging_asks_for_it(
    server: Server, client: libtes.ApiClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, LOGGER):
        call_with_secrets(client)
    [record] = [each for each in caplog.records if each.name == LOGGER]
    assert "/v1/tasks/tdn.1/versions" in record.getMessage()
    assert not any(secret in repr(vars(record)) for secret in SECRETS)


def test_debug_can_be_switched_at_any_time(
    server: Server, client: libtes.ApiClient, caplog: pytest.LogCaptureFixture
) -> None:
    for debug in (True, False, True):
        client.configuration.debug = debug
        libtes.TasksApi(client).list_tasks()
    assert len([each for each in caplog.records if each.name == LOGGER]) == 2


def test_debug_changes_nothing_that_others_see(server: Server, debugging: libtes.ApiClient) -> None:
    def seen() -> dict[str, Any]:
        names = ["", "libica", "libica.openapi", LOGGER, "urllib3", "urllib3.connectionpool"]
        loggers = [logging.getLogger(name) for name in names]
        return {
            "levels": [each.level for each in loggers],
            "handlers": [list(each.handlers) for each in loggers],
            "propagate": [each.propagate for each in loggers],
            "disabled": logging.root.manager.disable,
            "debuglevel": HTTPConnection.debuglevel,
            "class": logging.getLoggerClass(),
        }

    before = seen()
    libtes.TasksApi(debugging).list_tasks()
    assert seen() == before


def test_the_log_can_go_to_a_file(
    server: Server, debugging: libtes.ApiClient, tmp_path: Path
) -> None:
    file = tmp_path / "calls.log"
    debugging.configuration.logger_file = str(file)
    debugging.configuration.logger_format = "%(levelname)s|%(message)s"
    call_with_secrets(debugging)
    libtes.TasksApi(debugging).list_tasks()
    first, second = file.read_text().splitlines()
    assert first.startswith("DEBUG|POST /v1/tasks/tdn.1/versions: 200 ")
    assert second.startswith("DEBUG|GET /v1/tasks: 200 ")
    assert not any(secret in first for secret in SECRETS)


def test_two_clients_can_log_to_files_of_their_own(server: Server, tmp_path: Path) -> None:
    for name in ("one", "other"):
        configuration = libtes.Configuration(host=server.url)
        configuration.debug = True
        configuration.logger_file = str(tmp_path / name)
        with libtes.ApiClient(configuration) as client:
            libtes.TasksApi(client).get_task(name)
    for name in ("one", "other"):
        [line] = (tmp_path / name).read_text().splitlines()
        assert f"GET /v1/tasks/{name}: 200 " in line


def test_a_log_that_cannot_be_written_costs_no_answer(
    server: Server, debugging: libtes.ApiClient, tmp_path: Path
) -> None:
    server.answer(Answer(201, ANSWERS["TaskRun"]))
    api = libtes.TaskRunsApi(debugging)
    refused = 0
    try:
        debugging.configuration.logger_file = str(tmp_path / "no" / "such" / "folder" / "log")
        assert api.create_task_run(body={}).id == RUN
    except (libtes.ApiValueError, OSError):
        refused = 1
    assert len(server.asked) == 1 - refused


MANY_FILES = """
import sys
from libica.openapi import libtes
for number in range(12):
    configuration = libtes.Configuration(host=sys.argv[1])
    configuration.debug = True
    configuration.logger_file = f"{sys.argv[2]}/{number}"
    with libtes.ApiClient(configuration) as client:
        libtes.TasksApi(client).get_task(str(number))
"""


def test_many_files_can_be_logged_to(server: Server, tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-c", MANY_FILES, server.url, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert all((tmp_path / str(number)).read_text() for number in range(12))


SCRIPT = """
import logging, sys
from libica.openapi import libtes
configuration = libtes.Configuration(host=sys.argv[1], api_key={"Authorization": sys.argv[2]})
configuration.debug = True
configuration.logger_format = "LINE %(message)s"
with libtes.ApiClient(configuration) as client:
    libtes.TasksApi(client).list_tasks()
    if sys.argv[3] == "later":
        logging.basicConfig(level=logging.INFO, format="ROOT %(message)s")
        libtes.TasksApi(client).list_tasks()
"""


@pytest.mark.parametrize(
    ("when", "prefixes"),
    [("never", ["LINE"]), ("later", ["LINE", "ROOT"])],
    ids=["no logging set up", "logging set up later"],
)
def test_where_logging_goes_nowhere_calls_are_logged_to_standard_error(
    server: Server, when: str, prefixes: list[str]
) -> None:
    command = [sys.executable, "-W", "error", "-c", SCRIPT, server.url, TOKEN, when]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    lines = done.stderr.splitlines()
    assert [line.split()[0] for line in lines] == prefixes
    assert all("GET /v1/tasks: 200 in " in line for line in lines)
    assert done.stdout == ""
    assert TOKEN not in done.stderr


# -- Answers that are errors -----------------------------------------------------------------------

STATUSES: list[tuple[int, type[libtes.ApiException]]] = [
    (300, libtes.ApiException),
    (304, libtes.ApiException),
    (400, libtes.BadRequestException),
    (401, libtes.UnauthorizedException),
    (402, libtes.ApiException),
    (403, libtes.ForbiddenException),
    (404, libtes.NotFoundException),
    (405, libtes.ApiException),
    (408, libtes.ApiException),
    (409, libtes.ConflictException),
    (418, libtes.ApiException),
    (422, libtes.ApiException),
    (429, libtes.TooManyRequestsException),
    (499, libtes.ApiException),
    (500, libtes.ServiceException),
    (502, libtes.ServiceException),
    (503, libtes.ServiceException),
    (504, libtes.ServiceException),
    (599, libtes.ServiceException),
    (600, libtes.ApiException),
    (999, libtes.ApiException),
]


@pytest.mark.parametrize(("status", "cls"), STATUSES, ids=[row[0] for row in STATUSES])
def test_each_status_has_its_class(
    server: Server, client: libtes.ApiClient, status: int, cls: type[libtes.ApiException]
) -> None:
    error = {"code": "SOME_CODE", "message": "what went wrong", "details": ["a", {"b": 1}]}
    server.answer(Answer(status, error, {"X-Request-Id": "42"}, reason="Some Reason"))
    with pytest.raises(libtes.ApiException) as caught:
        libtes.TaskRunsApi(client).get_task_run("trn.1")
    exception = caught.value
    assert type(exception) is cls
    assert (exception.status, exception.reason) == (status, "Some Reason")
    assert exception.headers["x-request-id"] == "42"
    if status == 304:  # which has no body
        return
    assert json.loads(exception.body) == error
    assert (exception.code, exception.message) == ("SOME_CODE", "what went wrong")
    assert exception.details == ["a", {"b": 1}]
    for part in (
        "GET",
        "/v1/tasks/runs/trn.1",
        str(status),
        "Some Reason",
        "SOME_CODE",
        "what went",
    ):
        assert part in str(exception)
    assert TOKEN not in str(exception) + repr(exception) + repr(vars(exception))


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
@pytest.mark.parametrize("suffix", ["", "_with_http_info"], ids=["plain", "twin"])
def test_an_error_names_the_call(
    server: Server, client: libtes.ApiClient, operation: Operation, suffix: str
) -> None:
    server.answer(Answer(400, {"code": "BAD", "message": "no"}))
    with pytest.raises(libtes.BadRequestException) as caught:
        operation.call(client, suffix)
    assert (caught.value.method, caught.value.path) == (operation.method, operation.target)
    assert str(caught.value) == f"{operation.method} {operation.target}: 400 Bad Request: BAD: no"


ODD_ERRORS: dict[str, Any] = {
    "empty": b"",
    "html": "<html>Bad gateway</html>",
    "a list": ["x"],
    "a string": '"x"',
    "null": "null",
    "wrong types": {"code": 5, "message": ["x"], "details": "x"},
    "cut": '{"code": "x',
    "no text": b"\xff\xfe\x00",
    "deep": "[" * 100_000,
    "big numbers": "1" * 10_000,
}


@pytest.mark.parametrize("body", ODD_ERRORS.values(), ids=ODD_ERRORS)
def test_an_error_whose_body_says_nothing_still_has_its_class(
    server: Server, client: libtes.ApiClient, body: Any
) -> None:
    server.answer(Answer(409, body, {"Content-Type": "text/html"}))
    with pytest.raises(libtes.ConflictException) as caught:
        libtes.TaskRunsApi(client).get_task_run(RUN)
    assert (caught.value.code, caught.value.message, caught.value.details) == (None, None, None)
    assert caught.value.status == 409
    assert isinstance(caught.value.body, str)
    assert "409" in str(caught.value)


# -- Answers that are no use -----------------------------------------------------------------------

UNUSABLE: dict[str, tuple[Answer, str]] = {
    "html": (
        Answer(body="<html>Log in</html>", headers={"Content-Type": "text/html"}),
        "text/html",
    ),
    "html that says it is json": (Answer(body="<html>"), "JSON"),
    "empty": (Answer(body=b""), "0 bytes"),
    "204": (Answer(204, b""), "0 bytes"),
    "spaces": (Answer(body=b"  \r\n "), "JSON"),
    "an array": (Answer(body=[]), "$ must be an object, not list"),
    "a string": (Answer(body='"x"'), "$ must be an object, not str"),
    "a number": (Answer(body="5"), "$ must be an object, not int"),
    "false": (Answer(body="false"), "$ must be an object, not bool"),
    "null": (Answer(body="null"), "None"),
    "cut": (Answer(body='{"id": "x", "na'), "JSON"),
    "two values": (Answer(body="{}{}"), "JSON"),
    "a comma too many": (Answer(body='{"id": "x",}'), "JSON"),
    "NaN": (Answer(body='{"execution": {"retryLimit": NaN}}'), "NaN"),
    "-Infinity": (Answer(body='{"execution": {"retryLimit": -Infinity}}'), "Infinity"),
    "NaN in what nobody reads": (Answer(body='{"x": NaN}'), "NaN"),
    "no text": (Answer(body=b'{"id": "\xff"}'), "utf-8"),
    "Latin-1 without saying so": (Answer(body='{"id": "é"}'.encode("latin-1")), "utf-8"),
    "an unknown charset": (
        Answer(headers={"Content-Type": "application/json; charset=klingon"}),
        "klingon",
    ),
    "a charset of no text": (
        Answer(headers={"Content-Type": "application/json; charset=base64"}),
        "base64",
    ),
    "deep": (Answer(body="[" * 100_000), "JSON"),
}
if hasattr(sys, "get_int_max_str_digits"):  # else this Python reads numbers of any length
    UNUSABLE["a number without end"] = (Answer(body=f'{{"x": {"1" * 5_000}}}'), "JSON")


def unusable(client: libtes.ApiClient) -> libtes.InvalidResponseException:
    """Call, and return the exception that is to come."""
    with pytest.raises(libtes.ApiException) as caught:
        libtes.TaskRunsApi(client).get_task_run("trn.1")
    exception = caught.value
    assert type(exception) is libtes.InvalidResponseException
    assert (exception.method, exception.path) == ("GET", "/v1/tasks/runs/trn.1")
    assert TOKEN not in str(exception) + repr(vars(exception))
    return exception


@pytest.mark.parametrize(("answer", "says"), UNUSABLE.values(), ids=UNUSABLE)
def test_an_answer_that_is_no_use_is_an_error(
    server: Server, client: libtes.ApiClient, answer: Answer, says: str
) -> None:
    answer = Answer(answer.status, answer.body, {"X-Request-Id": "42", **answer.headers})
    server.answer(answer)
    exception = unusable(client)
    assert says in exception.reason
    assert "TaskRun" in exception.reason
    assert exception.status == answer.status
    assert exception.body == answer.data.decode("utf-8", "replace")
    assert exception.headers["x-request-id"] == "42"
    assert exception.__cause__ is not None
    assert len(server.asked) == 1


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
@pytest.mark.parametrize("body", ["<html>", "", "[]", "null"], ids=repr)
def test_no_operation_returns_an_empty_model_for_what_is_no_answer(
    server: Server, client: libtes.ApiClient, operation: Operation, body: str
) -> None:
    server.answer(Answer(operation.status, body))
    with pytest.raises(libtes.InvalidResponseException, match=operation.returns):
        operation.call(client)
    assert len(server.asked) == 1


WRONG_TYPES: list[tuple[Json, str]] = [
    ({"id": 5}, "$.id must be a string, not int"),
    ({"id": {"a": 1}}, "$.id must be a string, not dict"),
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
        {"execution": {"inputs": [None, {}, {"credentials": {"KEY": []}}]}},
        "$.execution.inputs[2].credentials.KEY must be a string, not list",
    ),
]


@pytest.mark.parametrize(("body", "says"), WRONG_TYPES, ids=[row[1] for row in WRONG_TYPES])
def test_a_field_of_a_wrong_type_is_named(
    server: Server, client: libtes.ApiClient, body: Json, says: str
) -> None:
    server.answer(Answer(body=body))
    exception = unusable(client)
    assert says in exception.reason
    assert json.loads(exception.body) == body


def test_a_field_of_a_wrong_type_is_named_on_a_page(
    server: Server, client: libtes.ApiClient
) -> None:
    items = [RUN_SUMMARY, RUN_SUMMARY, {**RUN_SUMMARY, "timeCreated": False}]
    server.answer(Answer(body={"items": items}))
    with pytest.raises(libtes.InvalidResponseException, match=r"\$\.items\[2\]\.timeCreated must"):
        libtes.TaskRunsApi(client).list_task_runs()


def test_what_is_wrong_is_not_shown(server: Server, client: libtes.ApiClient) -> None:
    secret = {"execution": {"image": {"credentials": {"password": {"is": "s3cr3t"}}}}}
    server.answer(Answer(body=secret))
    exception = unusable(client)
    assert "s3cr3t" not in str(exception) + repr(exception) + str(exception.__cause__)


CHARSETS: list[tuple[str, bytes]] = [
    ("application/json", '{"id": "é中"}'.encode()),
    ("application/json; charset=utf-8", '{"id": "é中"}'.encode()),
    ('application/json;charset="UTF-8"', '{"id": "é中"}'.encode()),
    ("application/json", '\ufeff{"id": "é中"}'.encode()),
    ("application/json; charset=utf-8", '\ufeff{"id": "é中"}'.encode()),
    ("application/json; charset=utf-16", '{"id": "é中"}'.encode("utf-16")),
    ("application/json; charset=UTF-16LE", '{"id": "é中"}'.encode("utf-16-le")),
    ("application/json; charset = utf-32; x=y", '{"id": "é中"}'.encode("utf-32")),
    ("application/json; charset=gb18030", '{"id": "é中"}'.encode("gb18030")),
    ("text/plain", '{"id": "é中"}'.encode()),
    ("", '{"id": "é中"}'.encode()),
]


@pytest.mark.parametrize(("content_type", "data"), CHARSETS, ids=repr)
def test_the_charset_of_an_answer_is_honoured(
    server: Server, client: libtes.ApiClient, content_type: str, data: bytes
) -> None:
    server.answer(Answer(body=data, headers={"Content-Type": content_type}))
    assert libtes.TaskRunsApi(client).get_task_run(RUN).id == "é中"


def test_an_answer_that_is_no_use_is_not_asked_for_again(
    server: Server, client: libtes.ApiClient
) -> None:
    client.configuration.retries = 3
    server.answer(Answer(body="<html>"), Answer(body=ANSWERS["TaskRun"]))
    unusable(client)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"<html>", "JSON"),
        ("{", "JSON"),
        ("[]", "$ must be an object"),
        ("null", "None"),
        (b"\xff", "utf-8"),
    ],
    ids=repr,
)
def test_what_cannot_be_deserialized_is_an_error(
    client: libtes.ApiClient, data: Any, says: str
) -> None:
    with pytest.raises(libtes.InvalidResponseException) as caught:
        client.deserialize(Given(data), "TaskRun")
    assert says in caught.value.reason


@pytest.mark.parametrize(
    "name", ["Nonsense", "list[Nonsense]", "", "list[", "file", "Model", set, bytes], ids=str
)
def test_there_are_no_other_types(client: libtes.ApiClient, name: Any) -> None:
    with pytest.raises(libtes.ApiValueError, match="response_type"):
        client.deserialize(Given("{}"), name)
