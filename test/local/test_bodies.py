"""Request bodies: casing, media types, JSON, limits; an invalid value is named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from .caller import Caller, Json, message


def test_keys_are_accepted_in_any_casing_and_unknown_ones_and_nulls_are_dropped(
    caller: Caller,
) -> None:
    execution = {
        "IMAGE": {"Name": "any"},
        "Inputs": [{"Path": "/a", "Url": "gds://v/a", "MODE": "download"}],
        "environment": {"Resources": {"Type": "fpga", "Size": "medium"}},
        "SystemFiles": {"URL": "gds://v/logs"},
    }
    version = {"Version": "1", "Execution": execution, "color": "red", "description": None}
    task = caller.ok("POST", "/v1/tasks", {"NAME": "n", "taskversions": [version]})
    assert not {"color", "description"} & set(task["taskVersions"][0])
    resources = {"type": "fpga", "size": "medium", "cpuCores": 0, "memoryGb": 0}
    assert task["taskVersions"][0]["execution"] == {
        "image": {"name": "any"},
        "inputs": [{"path": "/a", "url": "gds://v/a", "mode": "download", "type": "File"}],
        "environment": {"resources": resources},
        "systemFiles": {"url": "gds://v/logs"},
        "retryLimit": 3,
        "retryCount": 0,
    }


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
    ("data", "told"),
    [
        (b"{", "not valid JSON"),
        (b'{"name": NaN}', "not valid JSON"),
        (b'{"name": "\xff"}', "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b'{"name": ' + b"9" * 100_000 + b"}", "not valid JSON"),
        (b'{"name": "a"} x', "not valid JSON"),
        (b'{"execution": {"environment": {"resources": {"cpuCores": 1e999}}}}', "must be finite"),
    ],
)
def test_a_body_that_is_not_json_is_400(data: bytes, told: str, caller: Caller) -> None:
    response = caller.send("POST", "/v1/tasks/runs", data)
    assert response.status == 400
    assert told in message(response)


STARTED = {"containerStatus": [{"state": {"running": {"startedAt": "yesterday"}}}]}


def execution(**changes: Any) -> Json:
    return {"execution": {"image": {"name": "any"}, **changes}}


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("", None, "$.name must be given"),
        ("", [], "$ must be an object, not an array"),
        ("", {"name": None}, "$.name must be given"),
        ("", {"name": 1}, "$.name must be a string, not a number"),
        ("", {"name": True}, "$.name must be a string, not true or false"),
        ("", {"name": "n", "NAME": "m"}, "$.name must be given once"),
        ("", {"name": "n" * 256}, "$.name must be 0 to 255 characters, not 256"),
        ("", {"name": "\ud800"}, "$.name must be valid Unicode"),
        ("", {"name": "n", "acl": "tid:x"}, "$.acl must be an array, not a string"),
        ("", {"name": "n", "acl": ["a", None]}, "$.acl[1] must be a string, not null"),
        ("", {"name": "n", "taskVersions": [{}]}, "$.taskVersions[0].version must be given"),
        ("/runs", execution(image={"name": ""}), "image.name must be 1 or more characters, not 0"),
        ("/runs", execution(retryLimit="1"), "retryLimit must be a whole number, not a string"),
        ("/runs", execution(retryLimit=1.5), "retryLimit must be a whole number"),
        ("/runs", execution(retryLimit=2**31), "retryLimit must be -2147483648 to 2147483647"),
        (
            "/runs",
            execution(inputs=[{"credentials": {"k": 1}}]),
            "inputs[0].credentials['k'] must be a string",
        ),
        (
            "/runs",
            execution(environment={"variables": {"\ud800": ""}}),
            "variables: a key must be valid Unicode",
        ),
        (
            "/runs",
            execution(environment={"resources": {"cpuCores": 10**400}}),
            "not valid JSON: a number has 401",
        ),
        (
            "/runs",
            execution(environment={"inputStreamSettings": {"cacheSizeGB": 49}}),
            "environment.inputStreamSettings.cacheSizeGB must be 50 to 10000, not 49",
        ),
        (
            "/runs",
            execution(environment={"inputStreamSettings": {"blockSizeMB": 1024.5}}),
            "blockSizeMB must be 0 to 1024",
        ),
        ("/runs/trn.0:heartbeat", STARTED, "$.containerStatus[0].state.running.startedAt"),
    ],
)
def test_an_invalid_value_is_400_and_named(
    path: str, body: Any, expected: str, caller: Caller
) -> None:
    assert expected in caller.refused(400, "POST", f"/v1/tasks{path}", body)


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
