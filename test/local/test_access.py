"""Tokens and tenants: who is let in, and who sees what."""

from __future__ import annotations

import pytest

from libica.local import LocalTes
from libica.local.service import access
from libica.local.service.operations import OPERATIONS
from libica.local.store.identity import Identity

from .caller import SLEEP, Caller, message

IDS = {"taskId": "tdn.0", "versionId": "tvn.0", "runId": "trn.0"}


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Bearer wrong", "Basic abc", "wrong", "Bearer a.b.c", "Bearer \xe9"],
)
def test_a_missing_or_wrong_token_is_401_before_the_body_is_read(
    header: str, caller: Caller
) -> None:
    for each in OPERATIONS:
        path = each.path.format(**IDS)
        response = caller.send(each.method, path, b"{", {"Authorization": header})
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert message(response)
        assert response.status == 401


def test_an_expired_or_altered_token_is_401(shared_tes: LocalTes, caller: Caller) -> None:
    key, identity = shared_tes._store.key, Identity.named("main")
    good = access.jwt(identity, key, lifetime=600)
    head, claims, signature = good.split(".")
    for token, status in {
        good: 200,
        access.jwt(identity, key, lifetime=-1): 401,
        access.jwt(identity, b"another key"): 401,
        f"{head}.{claims}x.{signature}": 401,
        f"{head}.{claims}.{signature}=": 401,
        f"{claims}.{signature}": 401,
    }.items():
        response = caller.send("GET", "/v1/tasks", None, {"Authorization": f"Bearer {token}"})
        assert response.status == status, token


def test_an_api_key_gives_a_short_lived_token_for_the_same_tenant(caller: Caller) -> None:
    task = caller.task()
    headers = {"Authorization": "", "X-API-Key": caller.token}
    response = caller.send("POST", "/v1/tokens", None, headers)
    assert response.status == 201
    assert response.json["token_type"] == "Bearer"
    assert response.json["expires_in"] > 60
    short_lived = response.json["access_token"]
    with Caller(caller.url, short_lived) as again:
        assert again.ok("GET", f"/v1/tasks/{task['id']}")["name"] == "task"
        for key in (short_lived, "", "wrong"):
            response = again.send("POST", "/v1/tokens", None, {"X-API-Key": key})
            assert response.status == 401
            assert "X-API-Key" in message(response)


def test_the_token_of_a_heartbeat_is_accepted(caller: Caller) -> None:
    run = caller.start(SLEEP)
    jwt = caller.ok("POST", f"/v1/tasks/runs/{run['id']}:heartbeat")["jwt"]
    with Caller(caller.url, jwt) as agent:
        assert agent.run(run["id"])["id"] == run["id"]


def test_objects_of_another_tenant_do_not_exist(caller: Caller, other: Caller) -> None:
    task = caller.task()
    run = caller.start(SLEEP)
    ids = {"taskId": task["id"], "versionId": task["taskVersions"][0]["id"], "runId": run["id"]}
    for each in OPERATIONS:
        if "{" in each.path:
            body = {"version": "2"} if each.name == "createTaskVersion" else None
            other.refused(404, each.method, each.path.format(**ids), body)
    for listing in ("/v1/tasks", "/v1/tasks/runs"):
        page = other.ok("GET", f"{listing}?include=totalItemCount")
        assert (page["items"], page["totalItemCount"]) == ([], 0)
    assert other.task()["name"] == task["name"]


def test_an_access_list_shares_an_object(caller: Caller, other: Caller) -> None:
    mine = caller.task()
    theirs = other.task("theirs")
    shared = [*mine["acl"], theirs["acl"][0]]
    caller.ok("PATCH", f"/v1/tasks/{mine['id']}", {"acl": shared})
    assert other.ok("GET", f"/v1/tasks/{mine['id']}")["acl"] == shared
    listed = other.ok("GET", "/v1/tasks?sort=name")["items"]
    assert [each["name"] for each in listed] == ["task", "theirs"]
    assert other.ok("GET", f"/v1/tasks/{mine['id']}/versions")["items"] == []
    # Its creator sees it whatever the list.
    task = caller.ok("POST", "/v1/tasks", {"name": "n", "acl": ["wid:somebody"]})
    assert caller.ok("GET", f"/v1/tasks/{task['id']}")["acl"] == ["wid:somebody"]


def test_workgroups_of_a_tenant_see_what_is_shared_with_them(shared_tes: LocalTes) -> None:
    url, token_of = shared_tes.url, shared_tes.token_of
    with Caller(url, token_of("t", "one")) as one, Caller(url, token_of("t", "two")) as two:
        for_all = one.ok("POST", "/v1/tasks", {"name": "for all"})
        for_one = one.ok("POST", "/v1/tasks", {"name": "for one", "acl": [for_all["acl"][1]]})
        assert two.ok("GET", for_all["href"][len(url) :])
        two.refused(404, "GET", for_one["href"][len(url) :])
