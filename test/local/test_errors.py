"""Error responses: unknown ids and paths, wrong methods, taken names, faults of the service."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from libica.local import LocalTes
from libica.local.service.operations import OPERATIONS

from .caller import Caller, Response, message

NOWHERE = {"taskId": "tdn." + "0" * 32, "versionId": "tvn." + "0" * 32, "runId": "trn." + "0" * 32}


@pytest.mark.parametrize(
    "operation", [o for o in OPERATIONS if "{" in o.path], ids=lambda o: o.name
)
def test_an_unknown_id_is_404(operation: Any, caller: Caller) -> None:
    body = {"version": "1", "name": "n"} if operation.method in ("POST", "PATCH") else None
    path = operation.path.format(**NOWHERE)
    assert "There is no" in caller.refused(404, operation.method, path, body)


def test_a_version_is_found_under_its_own_task_alone(caller: Caller) -> None:
    one, two = caller.task("one"), caller.task("two")
    version_id = one["taskVersions"][0]["id"]
    caller.ok("GET", f"/v1/tasks/{one['id']}/versions/{version_id}")
    caller.refused(404, "GET", f"/v1/tasks/{two['id']}/versions/{version_id}")


@pytest.mark.parametrize(
    "path",
    ["/v0", "/v1", "/v1/task", "/v2/tasks", "/v1/tasks/", "/v1/tasks/a%2Fb", "/v1/tasks/a:b"],
)
def test_an_unknown_path_is_404(path: str, caller: Caller) -> None:
    assert "There is no operation GET" in caller.refused(404, "GET", path)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/tasks", "GET, HEAD, POST"),
        ("PUT", "/v1/tasks/runs", "GET, HEAD, POST"),
        ("PUT", "/v1/tasks/tdn.0", "GET, HEAD, PATCH"),
        ("GET", "/v1/tasks/runs/trn.0:abort", "PUT"),
        ("GET", "/v1/tasks/tdn.0/versions/tvn.0:launch", "POST"),
        ("GET", "/v1/tokens", "POST"),
    ],
)
def test_a_wrong_method_is_405_and_the_allowed_ones_are_listed(
    method: str, path: str, allowed: str, caller: Caller
) -> None:
    response = caller(method, path)
    assert response.status == 405
    assert ", ".join(sorted(response.headers["Allow"].split(", "))) == allowed
    assert message(response)


def test_head_is_get_without_the_body(caller: Caller) -> None:
    response = caller("HEAD", "/v1/tasks")
    assert (response.status, response.json) == (200, None)


def test_a_taken_name_is_409_where_the_contract_has_it(caller: Caller) -> None:
    one, two = caller.task("one"), caller.task("two")
    path = f"/v1/tasks/{two['id']}"
    assert "'one'" in caller.refused(409, "POST", "/v1/tasks", {"name": "one"})
    assert "'one'" in caller.refused(409, "PATCH", path, {"name": "one"})
    assert "'1'" in caller.refused(409, "POST", f"{path}/versions", {"version": "1"})
    second = caller.ok("POST", f"{path}/versions", {"version": "2"})
    version = f"{path}/versions/{second['id']}"
    assert "'1'" in caller.refused(400, "PATCH", version, {"version": "1"})
    assert caller.ok("PATCH", path, {"name": "two"})["name"] == "two"
    twice = {"name": "three", "taskVersions": [{"version": "1"}, {"version": "1"}]}
    caller.refused(409, "POST", "/v1/tasks", twice)
    names = [each["name"] for each in caller.ok("GET", "/v1/tasks")["items"]]
    assert names == [one["name"], two["name"]]


def test_a_fault_of_the_service_is_a_500_without_details(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> str:
        raise RuntimeError("a secret detail")

    with LocalTes() as tes, Caller(tes.url, tes.token) as caller:
        monkeypatch.setattr(tes._store, "task", broken)
        assert "secret" not in caller.refused(500, "GET", "/v1/tasks/tdn.x")
    assert "a secret detail" in caplog.text


def test_a_client_that_disconnects_within_its_body_harms_nobody(caller: Caller) -> None:
    host, port = caller.url.rpartition("//")[2].split(":")
    with socket.create_connection((host, int(port))) as connection:
        head = (
            "POST /v1/tasks HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nExpect: 100-continue\r\n"
        )
        connection.sendall(f"{head}Authorization: Bearer {caller.token}\r\n\r\n".encode())
        connection.recv(100)  # the service is reading the body
        connection.sendall(b"{")
    assert caller.ok("GET", "/v1/tasks")["items"] == []


def test_many_responses_in_one_connection_stay_in_order(caller: Caller) -> None:
    responses: list[Response] = [caller("GET", f"/v1/tasks/x{number}") for number in range(50)]
    assert all(f"'x{n}'" in each.json["message"] for n, each in enumerate(responses))
