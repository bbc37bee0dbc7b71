"""Request bodies: casing, media types, JSON, limits; an invalid value is named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from .caller import SLEEP, Caller, Json, message


def test_keys_are_accepted_in_any_casing(caller: Caller) -> None:
    execution = {
        "IMAGE": {"Name": "any"},
        "Inputs": [{"Path": "/a", "Url": "gds://v/a", "MODE": "download"}],
        "environment": {"Resources": {"Type": "fpga", "Size": "medium"}},
        "SystemFiles": {"URL": "gds://v/logs"},
    }
    version = {"Version": "1", "Execution": execution}
    task = caller.ok("POST", "/v1/tasks", {"NAME": "n", "taskversions": [version]})
    assert task["taskVersions"][0]["execution"] == {
        "image": {"name": "any"},
        "inputs": [{"path": "/a", "url": "gds://v/a", "mode": "download", "type": "File"}],
        "environment": {
            "resources": {"type": "fpga", "size": "medium", "cpuCores": 0, "memoryGb": 0}
        },
        "systemFiles": {"url": "gds://v/logs"},
        "retryLimit": 3,
        "retryCount": 0,
    }


def test_unknown_keys_and_nulls_are_dropped(caller: Caller) -> None:
    task = caller.ok("POST", "/v1/tasks", {"name": "n", "color": "red", "description": None})
    assert not {"color", "description"} & set(task)


def test_each_json_media_type_is_accepted_and_another_is_415(caller: Caller) -> None:
    for each in ("application/json", "application/json-patch+json", "text/json", "text/x+json"):
        headers = {"Content-Type": f"{each}; charset=utf-8"}
        body = json.dumps({"name": each}).encode()
        assert caller.send("POST", "/v1/tasks", body, headers).status == 201
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    response = caller.send("POST", "/v1/tasks", b'{"name": "n"}', headers)
    assert response.status == 415
    assert "application/json" in message(response)


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b'{"name": NaN}',
        b"\xff\xfe\xfa",
        b'{"name": "\xff"}',
        b"[" * 100_000,
        b'{"name": ' + b"9" * 100_000 + b"}",
        b'{"name": "a"} x',
    ],
)
def test_a_body_that_is_not_json_is_400(data: bytes, caller: Caller) -> None:
    response = caller.send("POST", "/v1/tasks", data)
    assert response.status == 400
    assert "not valid JSON" in message(response)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (None, "$.name must be given"),
        ([], "$ must be an object, not an array"),
        ({"name": None}, "$.name must be given"),
        ({"name": 1}, "$.name must be a string, not a number"),
        ({"name": True}, "$.name must be a string, not true or false"),
        ({"name": "n", "NAME": "m"}, "$.name must be given once"),
        ({"name": "n" * 256}, "$.name must be 0 to 255 characters, not 256"),
        ({"name": "\ud800"}, "$.name must be valid Unicode"),
        ({"name": "n", "acl": "tid:x"}, "$.acl must be an array, not a string"),
        ({"name": "n", "acl": ["a", None]}, "$.acl[1] must be a string, not null"),
        ({"name": "n", "taskVersions": [{}]}, "$.taskVersions[0].version must be given"),
    ],
)
def test_an_invalid_value_is_400_and_named(body: Any, expected: str, caller: Caller) -> None:
    assert expected in caller.refused(400, "POST", "/v1/tasks", body)


@pytest.mark.parametrize(
    ("execution", "expected"),
    [
        ({"image": {"name": ""}}, "image.name must be 1 or more characters, not 0"),
        ({"retryLimit": "1"}, "retryLimit must be a whole number, not a string"),
        ({"retryLimit": 1.5}, "retryLimit must be a whole number"),
        ({"retryLimit": 2**31}, "retryLimit must be -2147483648 to 2147483647"),
        ({"inputs": [{"credentials": {"k": 1}}]}, "inputs[0].credentials['k'] must be a string"),
        ({"environment": {"variables": {"\ud800": ""}}}, "variables: a key must be valid Unicode"),
        ({"environment": {"resources": {"cpuCores": "2"}}}, "cpuCores must be a number"),
        ({"environment": {"resources": {"cpuCores": 10**400}}}, "not valid JSON: a number has 401"),
        (
            {"environment": {"inputStreamSettings": {"cacheSizeGB": 49}}},
            "environment.inputStreamSettings.cacheSizeGB must be 50 to 10000, not 49",
        ),
        (
            {"environment": {"inputStreamSettings": {"blockSizeMB": 1024.5}}},
            "blockSizeMB must be 0 to 1024",
        ),
    ],
)
def test_an_invalid_value_in_an_execution_is_400_and_named(
    execution: Json, expected: str, caller: Caller
) -> None:
    body = {"execution": {"image": {"name": "any"}, **execution}}
    assert expected in caller.refused(400, "POST", "/v1/tasks/runs", body)


def test_an_infinite_number_is_400(caller: Caller) -> None:
    cores = b'{"execution": {"environment": {"resources": {"cpuCores": 1e999}}}}'
    response = caller.send("POST", "/v1/tasks/runs", cores)
    assert response.status == 400
    assert "cpuCores must be finite" in message(response)


def test_dates_are_checked(caller: Caller) -> None:
    path = f"/v1/tasks/runs/{caller.start(SLEEP)['id']}:heartbeat"

    def heartbeat(started: str) -> Json:
        return {"containerStatus": [{"state": {"running": {"startedAt": started}}}]}

    caller.ok("POST", path, heartbeat("2021-03-08T04:05:54.6454838Z"))
    place = "$.containerStatus[0].state.running.startedAt"
    assert place in caller.refused(400, "POST", path, heartbeat("yesterday"))


def test_a_body_that_is_too_long_is_413_also_in_chunks(caller: Caller) -> None:
    def chunks(count: int) -> Iterator[bytes]:
        yield b'{"name": "'
        for _ in range(count):
            yield b"n" * 100
        yield b'"}'

    assert caller.send("POST", "/v1/tasks", chunks(2)).json["name"] == "n" * 200
    assert caller.send("POST", "/v1/tasks", chunks(11_000)).status == 413
    response = caller.send("POST", "/v1/tasks", b'{"name": "' + b"n" * (5 << 20) + b'"}')
    assert response.status == 413
    assert "1048576 bytes" in message(response)
