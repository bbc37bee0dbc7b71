"""What each operation does, seen over HTTP: objects, launches, changes, aborts."""

from __future__ import annotations

import base64
import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from libica.local import LocalTes
from libica.local.service import operations
from libica.local.service.operations import OPERATIONS
from libica.openapi import libtes
from libica.openapi.libtes.models.base import ModelType
from libica.openapi.libtes.placeholders import fill

from .caller import ECHO, PATIENCE, SLEEP, TRUE, Caller, Json, message


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
        (o.handler.__name__, o.method, o.path, o.status, o.body, o.returns) for o in OPERATIONS
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
    (log,) = caller.run_when(run.id, "Completed")["logs"]
    assert log["startTime"] <= log["endTime"]
    with open(unquote(urlsplit(log["stdout"]).path)) as file:
        assert file.read() == "hello\n"
    direct = runs.create_task_run(body={"name": "direct", "execution": SLEEP})
    assert direct.id
    caller.run_when(direct.id, "Running")
    assert runs.heartbeat_task_run(direct.id).jwt
    assert runs.abort_task_run(direct.id).id == direct.id
    assert caller.run_when(direct.id, "Aborted")["logs"][0]["endTime"]
    assert runs.get_task_run(run.id).logs
    assert [each.name for each in runs.iter_task_runs(sort="name desc")] == ["direct", "1"]


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


def test_the_href_of_an_object_leads_to_it(caller: Caller) -> None:
    text = '"href":"/x"'  # of a user, which is left alone
    variables = {"href": "/y", text: text}
    task = caller.task(name=text, environment={"variables": variables})
    assert task["name"] == text
    assert task["taskVersions"][0]["execution"]["environment"]["variables"] == variables
    run = caller.launch(task, arguments={"word": "x"}).json
    found = [task, *task["taskVersions"], run, run["taskVersionSummary"]]
    found += caller.ok("GET", "/v1/tasks")["items"] + caller.ok("GET", "/v1/tasks/runs")["items"]
    for each in found:
        assert each["href"].startswith(caller.url)
        assert caller.ok("GET", each["href"][len(caller.url) :])["id"] == each["id"]


def test_a_response_has_only_fields_of_its_model(caller: Caller) -> None:
    task = caller.task()
    caller.launch(task, arguments={"word": "x"})
    run = caller.start(SLEEP, name="r")
    ids = {"taskId": task["id"], "versionId": task["taskVersions"][0]["id"], "runId": run["id"]}
    bodies: dict[str, Json] = {
        "createTask": {"name": "n", "description": "d", "taskVersions": [{"version": "v"}]},
        "createTaskVersion": {"version": "2", "execution": ECHO},
        "createTaskRun": {"execution": TRUE},
        "launchTaskRun": {"arguments": {"word": "x"}},
    }
    for operation in OPERATIONS:
        path = operation.path.format(**ids)
        response = caller.ok(operation.method, path, bodies.get(operation.name))
        assert response
        check_fields(operation.returns, response)


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
    assert "taskVersions" not in caller.ok("GET", path)
    (version,) = caller.ok("PATCH", path, {"description": "new"})["taskVersions"]
    assert version == task["taskVersions"][0]
    assert "execution" not in caller.ok("GET", path + "/versions")["items"][0]
    run = caller.launch(task, arguments={"word": "x"}).json
    assert "execution" not in run["taskVersionSummary"]
    (listed,) = caller.ok("GET", "/v1/tasks/runs")["items"]
    assert not {"execution", "logs", "executionRawJson"} & set(listed)
    aborted = caller.abort(caller.start(SLEEP)["id"]).json
    assert not {"execution", "logs"} & set(aborted)


def test_a_change_touches_only_the_given_fields(caller: Caller) -> None:
    task = caller.task()
    touched = caller.ok("PATCH", f"/v1/tasks/{task['id']}")
    assert {**touched, "timeModified": task["timeModified"]} == task
    changed = caller.ok("PATCH", f"/v1/tasks/{task['id']}", {"Name": "Straße 1/2"})
    assert changed["name"] == unquote(changed["urn"].partition("#")[2]) == "Straße 1/2"
    assert changed["timeModified"] > task["timeModified"]
    kept = ("id", "acl", "timeCreated", "createdBy", "taskVersions", "href")
    assert {name: changed[name] for name in kept} == {name: task[name] for name in kept}
    path = f"/v1/tasks/{task['id']}/versions/{task['taskVersions'][0]['id']}"
    version = caller.ok("PATCH", path, {"description": "d"})
    assert (version["version"], version["description"]) == ("1", "d")
    assert version["execution"] == task["taskVersions"][0]["execution"]
    execution = {"image": {"name": "other"}}
    version = caller.ok("PATCH", path, {"execution": execution})
    assert version["execution"] == {**execution, "retryLimit": 3, "retryCount": 0}
    assert caller.ok("GET", path) == version


def test_a_launch_inherits_name_and_description_of_its_version(caller: Caller) -> None:
    task = caller.task(args=[])
    path = f"/v1/tasks/{task['id']}/versions"
    version = {"version": "2", "description": "from the version", "execution": TRUE}
    launch = f"{path}/{caller.ok('POST', path, version)['id']}:launch"
    run = caller.ok("POST", launch)
    assert (run["name"], run["description"]) == ("2", "from the version")
    run = caller.ok("POST", launch, {"name": "own", "description": "too", "acl": ["wid:x"]})
    assert (run["name"], run["description"], run["acl"]) == ("own", "too", ["wid:x"])
    assert run["taskVersionSummary"]["version"] == "2"


def test_a_launch_needs_an_argument_for_each_placeholder(caller: Caller) -> None:
    task = caller.task(
        args=["{{word}}-{{word}}", "{{other}}"],
        environment={"variables": {"A": "{{third}}"}, "resources": {"size": "{{size}}"}},
    )
    response = caller.launch(task, arguments={"word": "w"})
    assert response.status == 400
    assert response.json["details"] == ["other", "size", "third"]
    assert "other, size, third" in message(response)
    arguments = {"word": "w", "other": "{{word}}", "third": "3", "size": "medium", "more": "x"}
    run = caller.launch(task, arguments=arguments).json
    assert run["execution"]["args"] == ["w-w", "{{word}}"]
    assert run["execution"]["environment"]["variables"] == {"A": "3"}
    assert run["sizeOfResource"] == "medium"
    assert json.loads(run["executionRawJson"]) == run["execution"]


def test_what_cannot_be_launched_is_400(caller: Caller) -> None:
    task = caller.task("of no machine", environment={"resources": {"type": "quantum"}})
    assert "quantum" in message(caller.launch(task, arguments={"word": "w"}))
    task = caller.task("too large", args=["{{word}}" * 50_000])
    response = caller.launch(task, arguments={"word": "w" * 500_000})
    assert (response.status, response.json["details"]) == (400, ["$.arguments"])
    assert re.search(r"at most 8388608 bytes.*'word' add 8\d{6}", message(response))
    task = caller.ok("POST", "/v1/tasks", {"name": "empty", "taskVersions": [{"version": "1"}]})
    assert "no execution" in message(caller.launch(task))
    assert "$.execution" in caller.refused(400, "POST", "/v1/tasks/runs")
    assert "word" in caller.refused(400, "POST", "/v1/tasks/runs", {"execution": ECHO})


@pytest.mark.parametrize(
    ("execution", "told"),
    [
        ({"inputs": [{"path": "/a", "url": "gopher://x"}]}, "inputs[0].url"),
        ({"inputs": [{"path": "/a", "url": "gds://v/../../x"}]}, "inputs[0].url"),
        ({"inputs": [{"path": "/a", "url": "gds://v/x", "type": "Pipe"}]}, "inputs[0].type"),
        ({"outputs": [{"path": "/a", "url": "relative"}]}, "outputs[0].url"),
        ({"outputs": [{"path": "/a", "url": "https://x/y"}]}, "outputs[0].url"),
        ({"systemFiles": {"url": "gopher://x"}}, "systemFiles.url"),
        ({"environment": {"resources": {"size": "huge"}}}, "huge"),
    ],
)
def test_what_cannot_run_is_400_and_named_before_anything_runs(
    execution: Json, told: str, caller: Caller
) -> None:
    text = caller.refused(400, "POST", "/v1/tasks/runs", {"execution": {**TRUE, **execution}})
    assert told in text
    version = {"version": "1", "execution": {**TRUE, **execution}}
    task = caller.ok("POST", "/v1/tasks", {"name": "t", "taskVersions": [version]})
    assert told in message(caller.launch(task))
    assert caller.ok("GET", "/v1/tasks/runs")["items"] == []


def test_the_largest_run_is_launched_and_shown_whole(caller: Caller) -> None:
    word = "w" * 800_000
    task = caller.task("large", command="true", args=["{{word}}"] * 10)
    run = caller.launch(task, arguments={"word": word}).json
    assert run["execution"]["args"] == [word] * 10
    assert json.loads(caller.run(run["id"])["executionRawJson"]) == run["execution"]


def test_changes_that_take_long_hold_up_no_other_calls(
    shared_tes: LocalTes, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, run = caller.task(args=[]), caller.start(SLEEP)
    filling, go_on = threading.Semaphore(0), threading.Event()

    def slowly(*arguments: Any) -> Any:
        filling.release()
        assert go_on.wait(PATIENCE)
        return fill(*arguments)

    def launch() -> int:
        with Caller(caller.url, caller.token) as other:
            return other.launch(task).status

    with ThreadPoolExecutor(4) as launching:
        with monkeypatch.context() as patched:
            patched.setattr(operations, "fill", slowly)
            launched = [launching.submit(launch) for _ in range(4)]
            try:
                for _ in launched:
                    assert filling.acquire(timeout=PATIENCE)
                for _ in range(100):
                    assert caller.run(run["id"])["id"] == run["id"]
                assert len(caller.ok("GET", "/v1/tasks/runs")["items"]) == 1
            finally:
                go_on.set()
        assert [each.result(PATIENCE) for each in launched] == [201] * 4


def test_only_a_run_that_has_not_ended_can_be_aborted(caller: Caller) -> None:
    run = caller.start(TRUE, "Completed")
    response = caller.abort(run["id"])
    assert response.status == 400
    assert "Completed" in message(response)
    run = caller.start(SLEEP, "Running")
    assert caller.abort(run["id"]).status == 200
    assert caller.abort(run["id"]).status in (200, 400)  # it may have ended by then
    assert caller.run_when(run["id"], "Aborted")["statusDetails"]
