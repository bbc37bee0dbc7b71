"""What scripts for libica 2.5 do with calls, errors and settings, as people wrote them."""

from __future__ import annotations

import copy
import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import urllib3

from libica.openapi import libtes

from ..conftest import TOKEN
from ..operations import RUN, TASK, VERSION, service
from ..server import Server

LIST = "GET /v1/tasks"
GET_RUN = f"GET /v1/tasks/runs/{RUN}"
LAUNCH = f"POST /v1/tasks/{TASK}/versions/{VERSION}:launch"


@pytest.fixture(autouse=True)
def served(server: Server) -> Server:
    server.answer(service)
    return server


def sent(server: Server) -> list[str]:
    return [f"{asked.method} {asked.target}" for asked in server.asked]


# Errors


def test_errors_have_their_parts_also_if_raised_by_hand(client: libtes.ApiClient) -> None:
    with pytest.raises(libtes.rest.ApiException, match="no /v1/nowhere here") as caught:
        client.call_api("/v1/nowhere", "GET", auth_settings=["Bearer"])
    assert (caught.value.status, caught.value.reason) == (404, "Not Found")
    assert json.loads(caught.value.body)["code"] == "NOT_FOUND"
    assert caught.value.headers["content-type"] == "application/json"
    error = libtes.ApiException(status=404, reason="Not Found")
    assert (error.status, error.reason, error.body, error.headers) == (404, "Not Found", None, None)
    error = libtes.ApiException(0, "offline")
    assert (error.status, error.reason) == (0, "offline")
    assert issubclass(libtes.ApiTypeError, TypeError)
    assert issubclass(libtes.ApiValueError, ValueError)
    assert issubclass(libtes.exceptions.ApiKeyError, KeyError)
    assert issubclass(libtes.ApiException, libtes.OpenApiException)
    for module in (libtes, libtes.rest, libtes.exceptions):
        assert module.ApiException is libtes.ApiException


@pytest.mark.parametrize("encoded", [False, True])
def test_an_error_can_be_made_of_a_fake_response(encoded: bool) -> None:
    data: Any = '{"code": "C", "message": "M"}'

    class FakeResponse:
        status, reason = 404, "Not Found"

        def getheaders(self) -> dict[str, str]:
            return {"Content-Type": "application/json"}

    fake: Any = FakeResponse()
    fake.data = data.encode() if encoded else data
    error = libtes.rest.ApiException(http_resp=fake)
    assert (error.status, error.reason, error.body) == (404, "Not Found", data)
    assert error.headers == {"Content-Type": "application/json"}
    assert str(error) == "404 Not Found: C: M [errors#api]"


# Clients and settings


def test_a_client_can_be_used_after_its_with_block(configuration: libtes.Configuration) -> None:
    with libtes.ApiClient(configuration) as client:
        api = libtes.TaskRunsApi(client)
    assert api.get_task_run(RUN).name == "sample-1"
    assert api.get_task_run(RUN, async_req=True).get().name == "sample-1"
    api.api_client.close()


def test_all_settings_can_be_set(server: Server) -> None:
    configuration: Any = libtes.Configuration(
        server.url, {"Authorization": TOKEN}, {"Authorization": "Bearer"}, "me", "pw", True
    )
    for name in ("ssl_ca_cert", "cert_file", "key_file", "assert_hostname", "proxy"):
        setattr(configuration, name, None)
    configuration.verify_ssl = True
    configuration.proxy_headers = None
    configuration.connection_pool_maxsize = 8
    configuration.retries = urllib3.Retry(total=2, backoff_factor=0.1)
    configuration.safe_chars_for_path_param = ""
    configuration.temp_folder_path = "/tmp"
    configuration.debug = False
    configuration.logger_format = "%(message)s"
    configuration.refresh_api_key_hook = lambda config: None
    assert (configuration.username, configuration.password) == ("me", "pw")
    assert configuration.discard_unknown_keys is True
    assert configuration.get_api_key_with_prefix("Authorization") == f"Bearer {TOKEN}"
    assert configuration.auth_settings()["Bearer"]["key"] == "Authorization"
    assert configuration.to_debug_report().startswith("Python SDK Debug Report:\n")
    with libtes.ApiClient(copy.deepcopy(configuration)) as client:
        assert libtes.TasksApi(client).list_tasks().item_count == 1


def test_clients_models_and_api_classes_can_be_subclassed(
    configuration: libtes.Configuration, server: Server
) -> None:
    calls = []

    class Client(libtes.ApiClient):
        def call_api(self, resource_path: str, method: str, *args: Any, **kwargs: Any) -> Any:
            calls.append((method, resource_path.count("{")))
            return super().call_api(resource_path, method, *args, **kwargs)

    class Launch(libtes.LaunchTaskRequest):
        pass

    class Api(libtes.TaskVersionsApi):
        def launch(self, sample: str) -> libtes.TaskRun:
            body = Launch(arguments={"sample": sample})
            return self.launch_task_run(TASK, VERSION, body=body)

    with Client(configuration) as client:
        assert Api(client).launch("1").id == RUN
    assert (calls, sent(server)) == ([("POST", 2)], [LAUNCH])
    assert server.last.json == {"arguments": {"sample": "1"}}


def test_a_copy_of_a_client_shares_its_connections_and_a_deep_copy_or_pickle_is_refused(
    client: libtes.ApiClient, server: Server
) -> None:
    for twin in (client, copy.copy(client), copy.copy(libtes.TasksApi(client)).api_client):
        assert libtes.TasksApi(twin).list_tasks().item_count == 1
    assert server.connections == 1
    for made in (client, libtes.TasksApi(client)):
        for duplicate in (copy.deepcopy, pickle.dumps):
            with pytest.raises(libtes.ApiTypeError, match=r"make another with ApiClient\(copy\."):
                duplicate(made)


# Calls


def test_calls_can_be_made_in_the_background_and_in_threads(
    configuration: libtes.Configuration, server: Server
) -> None:
    with libtes.ApiClient(configuration, pool_threads=4) as client:
        api = libtes.TaskRunsApi(client)
        results = [api.get_task_run(RUN, async_req=True) for _ in range(3)]
        assert [each.get(timeout=10).name for each in results] == ["sample-1"] * 3
        results[0].wait()
        results[0].wait(1)
        assert (results[0].ready(), results[0].successful()) == (True, True)
        run, status, headers = api.get_task_run_with_http_info(RUN, async_req=True).get()
        assert (run.id, status, headers["Content-Type"]) == (RUN, 200, "application/json")
        with ThreadPoolExecutor(4) as threads:
            assert {run.id for run in threads.map(api.get_task_run, [RUN] * 8)} == {RUN}
    assert len(server.asked) == 3 + 1 + 8


def test_raw_responses_are_those_of_urllib3(client: libtes.ApiClient) -> None:
    api = libtes.TaskRunsApi(client)
    response = api.get_task_run(RUN, _preload_content=False)
    assert (response.status, response.headers["content-type"]) == (200, "application/json")
    assert json.loads(response.data)["id"] == RUN
    response = api.get_task_run(RUN, _preload_content=False)
    assert json.loads(response.read().decode("utf-8"))["name"] == "sample-1"
    response.release_conn()


def test_pages_can_be_followed_by_hand(client: libtes.ApiClient, server: Server) -> None:
    options: dict[str, Any] = {"page_size": 1, "sort": "name asc"}
    names: list[Any] = []
    while True:
        page = libtes.TasksApi(client).list_tasks(**options)
        names += [each.name for each in page.items or []]
        options["page_token"] = page.next_page_token
        if len(names) == 3 or not page.next_page_token:
            break
    assert names == ["align"] * 3
    first = f"{LIST}?pageSize=1&sort=name%20asc"
    assert sent(server) == [first, *[f"{first}&pageToken=next"] * 2]


def test_calls_can_be_made_without_an_api_class(client: libtes.ApiClient, server: Server) -> None:
    page, status, _ = client.call_api(
        "/v1/tasks",
        "GET",
        query_params=[("pageSize", 5)],
        header_params={"Accept": "application/json"},
        response_type="TaskSummaryPagedItems",
        auth_settings=["Bearer"],
    )
    assert (page.item_count, status) == (1, 200)
    run = client.call_api(
        "/v1/tasks/runs/{runId}",
        "GET",
        {"runId": RUN},
        [],
        {},
        body=None,
        post_params=[],
        files={},
        response_type="TaskRun",
        auth_settings=["Bearer"],
        async_req=None,
        _return_http_data_only=True,
        _preload_content=True,
        _request_timeout=None,
        collection_formats={},
    )
    assert run.id == RUN
    page = client.call_api("/v1/tasks", "GET", response_type="object", _host=server.url)[0]
    assert page["itemCount"] == 1
    assert sent(server) == [f"{LIST}?pageSize=5", GET_RUN, LIST]


def test_models_can_be_made_of_json_that_was_kept(client: libtes.ApiClient) -> None:
    class Kept:
        def __init__(self, data: Any) -> None:
            self.data = json.dumps(data)

    kept = {"id": "x", "timeCreated": "2021-03-08T04:05:54.6454838Z", "logs": [{"stdout": "y"}]}
    run = client.deserialize(Kept(kept), "TaskRun")
    assert (run.id, run.time_created.year, run.logs[0].stdout) == ("x", 2021, "y")
    assert client.deserialize(Kept([kept]), "list[TaskRun]") == [run]
    assert client.deserialize(Kept({"a": "b"}), "dict(str, str)") == {"a": "b"}
    assert client.deserialize(Kept(kept), libtes.TaskRun) == run
    assert client.sanitize_for_serialization(run)["logs"] == [{"stdout": "y"}]
