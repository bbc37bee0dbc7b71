"""The service as seen over HTTP: every operation, and every way to be refused."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from libica.local import LocalTes
from libica.local.service import access
from libica.local.service.operations import OPERATIONS
from libica.local.store.identity import Identity
from libica.openapi import libtes
from libica.openapi.libtes.models.base import ModelType

from .caller import ECHO, SLEEP, TRUE, Answer, Caller, Json, refusal

NOWHERE = {"taskId": "tdn." + "0" * 32, "versionId": "tvn." + "0" * 32, "runId": "trn." + "0" * 32}


def paths() -> list[tuple[str, str]]:
    return [(each.method, each.path.format(**NOWHERE)) for each in OPERATIONS]


# What each operation does.


def test_the_operations_are_those_of_the_client() -> None:
    apis = (libtes.TasksApi, libtes.TaskVersionsApi, libtes.TaskRunsApi)
    declared = [
        getattr(member, "endpoint")  # noqa: B009
        for api in apis
        for name, member in vars(api).items()
        if hasattr(member, "endpoint") and not name.startswith("iter_")
    ]
    expected = {(e.name, e.method, e.path, e.success, e.body, e.returns) for e in declared}
    assert {
        (o.handler.__name__, o.method, o.path, o.status, o.body, o.answer) for o in OPERATIONS
    } == expected
    assert len(OPERATIONS) == 14
    assert OPERATIONS[0].name == "listTaskRuns"


def test_all_operations_work_with_the_client(client: libtes.ApiClient, caller: Caller) -> None:
    tasks, versions = libtes.TasksApi(client), libtes.TaskVersionsApi(client)
    runs = libtes.TaskRunsApi(client)
    first = {"version": "1", "execution": ECHO}
    task = tasks.create_task(body={"name": "t", "taskVersions": [first]})
    assert task.id
    assert task.task_versions
    version_id = task.task_versions[0].id or ""
    assert tasks.get_task(task.id).name == "t"
    assert [each.id for each in tasks.iter_tasks()] == [task.id]
    assert tasks.update_task(task.id, body={"description": "new"}).description == "new"
    second = versions.create_task_version(task.id, body={"version": "2"})
    assert second.id
    changed = versions.update_task_version(task.id, second.id, body={"description": "more"})
    assert (changed.version, changed.description) == ("2", "more")
    assert versions.get_task_version(task.id, version_id).execution
    assert len(list(versions.iter_task_versions(task.id))) == 2
    run = versions.launch_task_run(task.id, version_id, body={"arguments": {"word": "hello"}})
    assert (run.status, run.name) == ("Pending", "1")
    assert run.id
    done = caller.run_when(run.id, "Completed", "Failed")
    assert done["status"] == "Completed"
    direct = runs.create_task_run(body={"name": "direct", "execution": SLEEP})
    assert direct.id
    caller.run_when(direct.id, "Running")
    assert runs.heartbeat_task_run(direct.id).jwt
    assert runs.abort_task_run(direct.id).id == direct.id
    assert caller.run_when(direct.id, "Aborted")["logs"][0]["endTime"]
    assert runs.get_task_run(run.id).logs
    assert [each.name for each in runs.iter_task_runs(sort="name desc")] == ["direct", "1"]


def test_a_launched_run_writes_logs_that_can_be_read(caller: Caller) -> None:
    run = caller.launch(caller.task(), arguments={"word": "hello"}).json
    done = caller.run_when(run["id"], "Completed")
    (log,) = done["logs"]
    assert log["stdout"].startswith("file://")
    with open(log["stdout"][len("file://") :]) as file:
        assert file.read() == "hello\n"
    assert log["startTime"] <= log["endTime"]


def test_a_failed_run_is_tried_again_within_its_limit(caller: Caller) -> None:
    execution = {"image": {"name": "any"}, "command": "false", "retryLimit": 2}
    run = caller.made("POST", "/v1/tasks/runs", {"execution": execution})
    failed = caller.run_when(run["id"], "Failed")
    assert failed["execution"]["retryCount"] == 2
    assert len(failed["logs"]) == 3


# Shapes.


def test_ids_times_tenant_and_access_list_look_like_the_real_ones(caller: Caller) -> None:
    task = caller.task()
    (version,) = task["taskVersions"]
    run = caller.launch(task, arguments={"word": "x"}).json
    for prefix, each in (("tdn", task), ("tvn", version), ("trn", run)):
        assert re.fullmatch(prefix + r"\.[0-9a-f]{32}", each["id"])
        time_shape = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z"
        assert re.fullmatch(time_shape, each["timeCreated"])
        assert each["timeModified"] == each["timeCreated"]
        assert each["urn"].startswith("urn:ilmn:iap:")
        assert each["id"] in each["urn"]
        assert "=" not in each["tenantId"]
        assert base64.b64decode(each["tenantId"] + "==")
        assert each["acl"] == [f"tid:{each['tenantId']}", each["subTenantId"]]
        assert re.fullmatch(r"wid:[0-9a-f-]{36}", each["subTenantId"])
        assert re.fullmatch(r"[0-9a-f-]{36}", each["createdBy"])
        assert each["modifiedBy"] == each["createdBy"]


def test_the_address_of_an_object_leads_to_it(caller: Caller) -> None:
    task = caller.task()
    run = caller.launch(task, arguments={"word": "x"}).json
    found = [task, *task["taskVersions"], run, run["taskVersionSummary"]]
    found += caller.made("GET", "/v1/tasks")["items"]
    found += caller.made("GET", "/v1/tasks/runs")["items"]
    for each in found:
        assert each["href"].startswith(caller.url)
        assert caller.made("GET", each["href"][len(caller.url) :])["id"] == each["id"]


def test_addresses_in_the_data_of_a_user_are_left_alone(caller: Caller) -> None:
    text = '"href":"/x"'
    variables = {"href": "/y", text: text}
    task = caller.task(name=text, environment={"variables": variables})
    assert task["name"] == text
    assert task["taskVersions"][0]["execution"]["environment"]["variables"] == variables


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
def test_an_answer_has_only_fields_of_its_model(operation: Any, caller: Caller) -> None:
    task = caller.task()
    caller.launch(task, arguments={"word": "x"})
    run = caller.made("POST", "/v1/tasks/runs", {"name": "r", "execution": SLEEP})
    ids = {"taskId": task["id"], "versionId": task["taskVersions"][0]["id"], "runId": run["id"]}
    bodies: dict[str, Json] = {
        "createTask": {"name": "n", "description": "d", "taskVersions": [{"version": "v"}]},
        "createTaskVersion": {"version": "2", "execution": ECHO},
        "createTaskRun": {"execution": TRUE},
        "launchTaskRun": {"arguments": {"word": "x"}},
    }
    answer = caller.made(operation.method, operation.path.format(**ids), bodies.get(operation.name))
    assert answer
    check_fields(operation.answer, answer)


def check_fields(model: Any, content: Any) -> None:
    known = {field.json: field.type for field in model._fields.values()}
    assert set(content) <= set(known)
    for name, value in content.items():
        declared = known[name]
        (element,) = getattr(declared, "__args__", (None,))[:1]
        if isinstance(declared, ModelType):
            check_fields(declared, value)
        elif isinstance(element, ModelType):
            for each in value:
                check_fields(element, each)


def test_summaries_and_full_objects_are_where_the_contract_has_them(caller: Caller) -> None:
    task = caller.task()
    path = f"/v1/tasks/{task['id']}"
    assert "taskVersions" in task
    assert "taskVersions" not in caller.made("GET", path)
    (version,) = caller.made("PATCH", path, {"description": "new"})["taskVersions"]
    assert version == task["taskVersions"][0]
    assert "execution" not in caller.made("GET", path + "/versions")["items"][0]
    run = caller.launch(task, arguments={"word": "x"}).json
    assert "execution" not in run["taskVersionSummary"]
    (listed,) = caller.made("GET", "/v1/tasks/runs")["items"]
    assert not {"execution", "logs", "executionRawJson"} & set(listed)
    other = caller.made("POST", "/v1/tasks/runs", {"execution": SLEEP})
    aborted = caller.made("PUT", f"/v1/tasks/runs/{other['id']}:abort")
    assert not {"execution", "logs"} & set(aborted)


# Bodies.


def test_keys_may_come_in_any_casing(caller: Caller) -> None:
    execution = {
        "IMAGE": {"Name": "any"},
        "Inputs": [{"Path": "/a", "Url": "gds://v/a", "MODE": "download"}],
        "environment": {"Resources": {"Type": "fpga", "Size": "medium"}},
        "SystemFiles": {"URL": "gds://v/logs"},
    }
    version = {"Version": "1", "Execution": execution}
    task = caller.made("POST", "/v1/tasks", {"NAME": "n", "taskversions": [version]})
    kept = task["taskVersions"][0]["execution"]
    assert kept == {
        "image": {"name": "any"},
        "inputs": [{"path": "/a", "url": "gds://v/a", "mode": "download", "type": "File"}],
        "environment": {
            "resources": {"type": "fpga", "size": "medium", "cpuCores": 0, "memoryGb": 0}
        },
        "systemFiles": {"url": "gds://v/logs"},
        "retryLimit": 3,
        "retryCount": 0,
    }


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/json-patch+json", "text/json", "application/vnd.x+json"],
)
def test_every_media_type_of_the_contract_is_read(content_type: str, caller: Caller) -> None:
    headers = {"Content-Type": f"{content_type}; charset=utf-8"}
    assert caller.send("POST", "/v1/tasks", b'{"name": "n"}', headers).status == 201


def test_another_media_type_is_415(caller: Caller) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = caller.send("POST", "/v1/tasks", b'{"name": "n"}', headers)
    assert answer.status == 415
    assert "application/json" in refusal(answer)


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
        b"<html>",
    ],
)
def test_a_body_that_is_no_json_is_400(data: bytes, caller: Caller) -> None:
    answer = caller.send("POST", "/v1/tasks", data)
    assert answer.status == 400
    assert "JSON" in refusal(answer)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (None, "$.name must be given"),
        ({}, "$.name must be given"),
        ([], "$ must be an object, not an array"),
        ("x", "$ must be an object, not a string"),
        ({"name": None}, "$.name must be given"),
        ({"name": 1}, "$.name must be a string, not a number"),
        ({"name": True}, "$.name must be a string, not true or false"),
        ({"name": "n", "NAME": "m"}, "$.name must be given once"),
        ({"name": "n" * 256}, "$.name must be 0 to 255 characters, not 256"),
        ({"name": "n", "description": "d" * 4097}, "$.description must be 0 to 4096"),
        ({"name": "\ud800"}, "$.name must be Unicode text"),
        ({"name": "n", "acl": "tid:x"}, "$.acl must be an array, not a string"),
        ({"name": "n", "acl": ["a", None]}, "$.acl[1] must be a string, not null"),
        ({"name": "n", "taskVersions": {}}, "$.taskVersions must be an array"),
        ({"name": "n", "taskVersions": [{}]}, "$.taskVersions[0].version must be given"),
    ],
)
def test_a_wrong_value_is_400_and_its_place_is_named(
    body: Any, message: str, caller: Caller
) -> None:
    assert message in caller.refusal(400, "POST", "/v1/tasks", body)


@pytest.mark.parametrize(
    ("execution", "message"),
    [
        ({"image": {"name": ""}}, "image.name must be 1 or more characters, not 0"),
        ({"image": {}}, "image.name must be given"),
        ({"retryLimit": "1"}, "retryLimit must be a whole number, not a string"),
        ({"retryLimit": True}, "retryLimit must be a whole number, not true or false"),
        ({"retryLimit": 1.5}, "retryLimit must be a whole number"),
        ({"retryLimit": 2**31}, "retryLimit must be -2147483648 to 2147483647"),
        ({"inputs": [{"credentials": {"k": 1}}]}, "inputs[0].credentials['k'] must be a string"),
        ({"environment": {"variables": []}}, "environment.variables must be an object"),
        ({"environment": {"resources": {"cpuCores": "2"}}}, "cpuCores must be a number"),
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
def test_a_wrong_value_deep_in_an_execution_is_named(
    execution: Json, message: str, caller: Caller
) -> None:
    body = {"version": "2", "execution": execution}
    path = f"/v1/tasks/{caller.task()['id']}/versions"
    said = caller.refusal(400, "POST", path, body)
    assert said.startswith("$.execution.")
    assert message in said


def test_numbers_that_json_cannot_hold_are_400(caller: Caller) -> None:
    cores = b'{"execution": {"environment": {"resources": {"cpuCores": 1e999}}}}'
    answer = caller.send("POST", "/v1/tasks/runs", cores)
    assert answer.status == 400
    assert "cpuCores must be finite" in refusal(answer)


def test_dates_in_a_body_are_checked(caller: Caller) -> None:
    run = caller.made("POST", "/v1/tasks/runs", {"execution": SLEEP})
    path = f"/v1/tasks/runs/{run['id']}:heartbeat"

    def report(started: str) -> Json:
        return {"containerStatus": [{"state": {"running": {"startedAt": started}}}]}

    caller.made("POST", path, report("2021-03-08T04:05:54.6454838Z"))
    place = "$.containerStatus[0].state.running.startedAt"
    assert place in caller.refusal(400, "POST", path, report("yesterday"))


def test_unknown_keys_and_nulls_are_passed_over(caller: Caller) -> None:
    task = caller.made("POST", "/v1/tasks", {"name": "n", "color": "red", "description": None})
    assert "color" not in task
    assert "description" not in task


@pytest.mark.parametrize("size", [(1 << 20) + 1, 5 << 20])
def test_a_body_that_is_too_long_is_413(size: int, caller: Caller) -> None:
    data = json.dumps({"name": "n" * size}).encode()
    answer = caller.send("POST", "/v1/tasks", data)
    assert answer.status == 413
    assert "1048576 bytes" in refusal(answer)


def test_a_body_in_chunks_is_read_and_has_the_same_limit(caller: Caller) -> None:
    def chunks(count: int) -> Iterator[bytes]:
        yield b'{"name": "'
        for _ in range(count):
            yield b"n" * 100
        yield b'"}'

    assert caller.send("POST", "/v1/tasks", chunks(2)).json["name"] == "n" * 200
    assert caller.send("POST", "/v1/tasks", chunks(20_000)).status == 413


# Tokens and tenants.


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Bearer wrong", "Basic abc", "wrong", "Bearer a.b.c", "Bearer \xe9"],
)
@pytest.mark.parametrize(("method", "path"), paths())
def test_no_or_a_wrong_token_is_401(header: str, method: str, path: str, caller: Caller) -> None:
    answer = caller.send(method, path, b"{}", {"Authorization": header})
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    refusal(answer)


def test_the_token_comes_before_the_body(caller: Caller) -> None:
    answer = caller.send("POST", "/v1/tasks", b"{", {"Authorization": "Bearer wrong"})
    assert answer.status == 401


def test_an_api_key_gives_a_short_lived_token_for_the_same_tenant(caller: Caller) -> None:
    task = caller.task()
    headers = {"Authorization": "", "X-API-Key": caller.token}
    answer = caller.send("POST", "/v1/tokens", None, headers)
    assert answer.status == 201
    assert answer.json["token_type"] == "Bearer"
    assert answer.json["expires_in"] > 60
    short_lived = answer.json["access_token"]
    again = Caller(caller.url, short_lived)
    assert again.made("GET", f"/v1/tasks/{task['id']}")["name"] == "task"
    further = again.send("POST", "/v1/tokens", None, {"X-API-Key": short_lived})
    assert further.status == 401
    again.close()


@pytest.mark.parametrize("key", ["", "wrong"])
def test_a_wrong_api_key_is_401(key: str, caller: Caller) -> None:
    answer = caller.send("POST", "/v1/tokens", None, {"X-API-Key": key})
    assert answer.status == 401
    assert "X-API-Key" in refusal(answer)


def test_a_token_of_a_heartbeat_is_good_for_calls(caller: Caller) -> None:
    run = caller.made("POST", "/v1/tasks/runs", {"execution": SLEEP})
    jwt = caller.made("POST", f"/v1/tasks/runs/{run['id']}:heartbeat")["jwt"]
    agent = Caller(caller.url, jwt)
    assert agent.run(run["id"])["id"] == run["id"]
    agent.close()


def test_an_expired_or_altered_token_is_401(shared_tes: LocalTes, caller: Caller) -> None:
    key = shared_tes._store.key
    identity = Identity.named("main")
    good = access.jwt(identity, key, lifetime=60)
    head, claims, signature = good.split(".")
    for token in (
        access.jwt(identity, key, lifetime=-1),
        access.jwt(identity, b"another key"),
        f"{head}.{claims}x.{signature}",
        f"{head}.{claims}.{signature}=",
        f"{claims}.{signature}",
    ):
        answer = caller.send("GET", "/v1/tasks", None, {"Authorization": f"Bearer {token}"})
        assert answer.status == 401, token
    answer = caller.send("GET", "/v1/tasks", None, {"Authorization": f"Bearer {good}"})
    assert answer.status == 200


def test_what_is_of_another_tenant_does_not_exist(caller: Caller, other: Caller) -> None:
    task = caller.task()
    version = task["taskVersions"][0]
    run = caller.made("POST", "/v1/tasks/runs", {"execution": SLEEP})
    path = f"/v1/tasks/{task['id']}"
    for method, each in (
        ("GET", path),
        ("PATCH", path),
        ("GET", f"{path}/versions"),
        ("GET", f"{path}/versions/{version['id']}"),
        ("PATCH", f"{path}/versions/{version['id']}"),
        ("POST", f"{path}/versions/{version['id']}:launch"),
        ("GET", f"/v1/tasks/runs/{run['id']}"),
        ("PUT", f"/v1/tasks/runs/{run['id']}:abort"),
        ("POST", f"/v1/tasks/runs/{run['id']}:heartbeat"),
    ):
        other.refusal(404, method, each)
    other.refusal(404, "POST", f"{path}/versions", {"version": "2"})
    for listing in ("/v1/tasks", "/v1/tasks/runs"):
        page = other.made("GET", f"{listing}?include=totalItemCount")
        assert (page["items"], page["totalItemCount"]) == ([], 0)
    assert other.task()["name"] == task["name"]


def test_an_access_list_lets_others_in(caller: Caller, other: Caller) -> None:
    mine = caller.task()
    theirs = other.task("theirs")
    shared = [*mine["acl"], theirs["acl"][0]]
    caller.made("PATCH", f"/v1/tasks/{mine['id']}", {"acl": shared})
    assert other.made("GET", f"/v1/tasks/{mine['id']}")["acl"] == shared
    listed = other.made("GET", "/v1/tasks?sort=name")["items"]
    assert [each["name"] for each in listed] == ["task", "theirs"]
    assert other.made("GET", f"/v1/tasks/{mine['id']}/versions")["items"] == []


def test_workgroups_of_a_tenant_see_what_names_them(shared_tes: LocalTes) -> None:
    one = Caller(shared_tes.url, shared_tes.token_of("tenant", "one"))
    two = Caller(shared_tes.url, shared_tes.token_of("tenant", "two"))
    for_all = one.made("POST", "/v1/tasks", {"name": "for all"})
    for_one = one.made("POST", "/v1/tasks", {"name": "for one", "acl": [for_all["acl"][1]]})
    assert two.made("GET", for_all["href"][len(one.url) :])
    two.refusal(404, "GET", for_one["href"][len(one.url) :])
    for each in (one, two):
        each.close()


def test_a_maker_sees_what_it_made_whatever_its_access_list(caller: Caller) -> None:
    task = caller.made("POST", "/v1/tasks", {"name": "n", "acl": ["wid:somebody"]})
    assert caller.made("GET", f"/v1/tasks/{task['id']}")["acl"] == ["wid:somebody"]


# What does not exist, and what clashes.


@pytest.mark.parametrize(("method", "path"), [each for each in paths() if "0000" in each[1]])
def test_an_unknown_id_is_404(method: str, path: str, caller: Caller) -> None:
    body = {"version": "1", "name": "n"} if method in ("POST", "PATCH") else None
    assert "There is no" in caller.refusal(404, method, path, body)


def test_a_version_is_found_under_its_own_task_alone(caller: Caller) -> None:
    one, two = caller.task("one"), caller.task("two")
    version_id = one["taskVersions"][0]["id"]
    caller.made("GET", f"/v1/tasks/{one['id']}/versions/{version_id}")
    caller.refusal(404, "GET", f"/v1/tasks/{two['id']}/versions/{version_id}")


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/task", "/v2/tasks", "/v1/tasks/", "/v1/tasks/a%2Fb", "/v1/tasks/a:b"]
)
def test_an_unknown_path_is_404(path: str, caller: Caller) -> None:
    assert "There is no operation GET" in caller.refusal(404, "GET", path)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/tasks", "GET, HEAD, POST"),
        ("PUT", "/v1/tasks/runs", "GET, HEAD, POST"),
        ("PUT", "/v1/tasks/tdn.0", "GET, HEAD, PATCH"),
        ("GET", "/v1/tasks/runs/trn.0:abort", "PUT"),
        ("POST", "/v1/tasks/runs/trn.0:abort", "PUT"),
        ("GET", "/v1/tasks/tdn.0/versions/tvn.0:launch", "POST"),
        ("GET", "/v1/tokens", "POST"),
    ],
)
def test_a_wrong_verb_is_405_and_the_right_one_is_named(
    method: str, path: str, allowed: str, caller: Caller
) -> None:
    answer = caller(method, path)
    assert answer.status == 405
    assert ", ".join(sorted(answer.headers["Allow"].split(", "))) == allowed
    refusal(answer)


def test_head_is_get_without_its_body(caller: Caller) -> None:
    answer = caller("HEAD", "/v1/tasks")
    assert (answer.status, answer.json) == (200, None)


def test_a_name_that_is_taken_is_409_where_the_contract_has_it(caller: Caller) -> None:
    one, two = caller.task("one"), caller.task("two")
    path = f"/v1/tasks/{two['id']}"
    assert "'one'" in caller.refusal(409, "POST", "/v1/tasks", {"name": "one"})
    assert "'one'" in caller.refusal(409, "PATCH", path, {"name": "one"})
    assert "'1'" in caller.refusal(409, "POST", f"{path}/versions", {"version": "1"})
    second = caller.made("POST", f"{path}/versions", {"version": "2"})
    said = caller.refusal(400, "PATCH", f"{path}/versions/{second['id']}", {"version": "1"})
    assert "'1'" in said
    assert caller.made("PATCH", path, {"name": "two"})["name"] == "two"
    twice = {"name": "three", "taskVersions": [{"version": "1"}, {"version": "1"}]}
    caller.refusal(409, "POST", "/v1/tasks", twice)
    names = [each["name"] for each in caller.made("GET", "/v1/tasks")["items"]]
    assert names == [one["name"], two["name"]]


# Changes.


def test_a_change_touches_only_what_is_given(caller: Caller) -> None:
    task = caller.task()
    changed = caller.made("PATCH", f"/v1/tasks/{task['id']}", {"Name": "new"})
    assert changed["name"] == "new"
    assert changed["urn"].endswith("#new")
    assert changed["timeModified"] > task["timeModified"]
    kept = ("id", "acl", "timeCreated", "createdBy", "taskVersions", "href")
    assert {name: changed[name] for name in kept} == {name: task[name] for name in kept}
    path = f"/v1/tasks/{task['id']}/versions/{task['taskVersions'][0]['id']}"
    version = caller.made("PATCH", path, {"description": "d"})
    assert (version["version"], version["description"]) == ("1", "d")
    assert version["execution"] == task["taskVersions"][0]["execution"]
    execution = {"image": {"name": "other"}}
    version = caller.made("PATCH", path, {"execution": execution})
    assert version["execution"] == {**execution, "retryLimit": 3, "retryCount": 0}
    assert caller.made("GET", path) == version


def test_a_change_without_a_body_changes_nothing_but_its_time(caller: Caller) -> None:
    task = caller.task()
    changed = caller.made("PATCH", f"/v1/tasks/{task['id']}")
    assert {**changed, "timeModified": task["timeModified"]} == task


# Launches.


def test_a_launch_takes_name_and_description_from_the_version(caller: Caller) -> None:
    version = {"version": "7", "description": "seven", "execution": TRUE}
    task = caller.made("POST", "/v1/tasks", {"name": "t", "taskVersions": [version]})
    run = caller.launch(task).json
    assert (run["name"], run["description"]) == ("7", "seven")
    run = caller.launch(task, name="mine", description="too", acl=["wid:x"]).json
    assert (run["name"], run["description"], run["acl"]) == ("mine", "too", ["wid:x"])
    assert run["taskVersionSummary"]["id"] == task["taskVersions"][0]["id"]


def test_a_launch_fills_in_placeholders_and_says_which_have_no_argument(caller: Caller) -> None:
    task = caller.task(
        args=["{{word}}-{{word}}", "{{ other }}"],
        environment={"variables": {"A": "{{third}}"}, "resources": {"size": "{{size}}"}},
    )
    answer = caller.launch(task, arguments={"word": "w"})
    assert answer.status == 400
    assert answer.json["details"] == ["other", "size", "third"]
    assert "other, size, third" in answer.json["message"]
    arguments = {"word": "w", "other": "{{word}}", "third": "3", "size": "medium", "more": "x"}
    run = caller.launch(task, arguments=arguments).json
    assert run["execution"]["args"] == ["w-w", "{{word}}"]
    assert run["execution"]["environment"]["variables"] == {"A": "3"}
    assert run["sizeOfResource"] == "medium"
    assert json.loads(run["executionRawJson"]) == run["execution"]


def test_a_machine_that_does_not_exist_is_400(caller: Caller) -> None:
    task = caller.task(environment={"resources": {"type": "quantum"}})
    answer = caller.launch(task, arguments={"word": "w"})
    assert answer.status == 400
    assert "quantum" in refusal(answer)


def test_arguments_cannot_blow_an_execution_up(caller: Caller) -> None:
    task = caller.task(args=["{{word}}" * 50_000])
    said = refusal(caller.launch(task, arguments={"word": "w" * 500_000}))
    assert "$.arguments" in said


def test_there_has_to_be_something_to_run(caller: Caller) -> None:
    task = caller.made("POST", "/v1/tasks", {"name": "t", "taskVersions": [{"version": "1"}]})
    assert caller.launch(task).status == 400
    assert "$.execution" in caller.refusal(400, "POST", "/v1/tasks/runs")
    said = caller.refusal(400, "POST", "/v1/tasks/runs", {"execution": ECHO})
    assert "word" in said


def test_only_a_run_that_has_not_ended_can_be_aborted(caller: Caller) -> None:
    run = caller.made("POST", "/v1/tasks/runs", {"execution": TRUE})
    caller.run_when(run["id"], "Completed")
    said = caller.refusal(400, "PUT", f"/v1/tasks/runs/{run['id']}:abort")
    assert "Completed" in said


def test_an_abort_may_be_asked_for_twice(caller: Caller) -> None:
    run = caller.made("POST", "/v1/tasks/runs", {"execution": SLEEP})
    caller.run_when(run["id"], "Running")
    path = f"/v1/tasks/runs/{run['id']}:abort"
    answers = [caller("PUT", path) for _ in range(2)]
    assert answers[0].status == 200
    assert answers[1].status in (200, 400)  # it may have ended by then
    assert caller.run_when(run["id"], "Aborted")["statusDetails"]


# The service itself.


def test_a_fault_of_the_service_is_a_500_that_tells_nothing_of_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> str:
        raise RuntimeError("a secret detail")

    with LocalTes() as tes:
        monkeypatch.setattr(tes._store, "task", broken)
        caller = Caller(tes.url, tes.token)
        answer = caller("GET", "/v1/tasks/tdn.x")
        caller.close()
    assert answer.status == 500
    assert "secret" not in refusal(answer)
    assert "a secret detail" in caplog.text


def test_a_caller_that_goes_away_in_the_middle_harms_nobody(
    shared_tes: LocalTes, caller: Caller
) -> None:
    import socket

    host, port = shared_tes.url.rpartition("//")[2].split(":")
    with socket.create_connection((host, int(port))) as connection:
        head = "POST /v1/tasks HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
        connection.sendall(f"{head}Authorization: Bearer {caller.token}\r\n\r\n{{".encode())
        time.sleep(0.05)
    assert caller.made("GET", "/v1/tasks")["items"] == []


def test_many_answers_in_one_connection_stay_in_order(caller: Caller) -> None:
    answers: list[Answer] = [caller("GET", f"/v1/tasks/x{number}") for number in range(50)]
    assert [f"'x{n}'" in answer.json["message"] for n, answer in enumerate(answers)] == [True] * 50
