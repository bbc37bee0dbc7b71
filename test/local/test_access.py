"""Tokens and tenants: who is let in, and who sees what."""

from __future__ import annotations

import base64
import time
from typing import Any, Optional

import jwt
import pytest

from libica.local import LocalTes
from libica.local.service import access
from libica.local.service.operations import OPERATIONS

from .caller import SLEEP, TRUE, Caller, Response, message

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


def accepted(caller: Caller, token: str) -> bool:
    response = caller.send("GET", "/v1/tasks", None, {"Authorization": f"Bearer {token}"})
    assert response.status in (200, 401)
    return response.status == 200


def short_lived(caller: Caller, key: Optional[str] = None) -> Response:
    """Exchange an API key for a token."""
    headers = {"Authorization": "", "X-API-Key": caller.token if key is None else key}
    return caller.send("POST", "/v1/tokens", None, headers)


def test_a_short_lived_token_that_is_expired_altered_or_for_another_purpose_is_401(
    shared_tes: LocalTes, caller: Caller
) -> None:
    store = shared_tes._store
    known = access.caller_of(caller.token, store)
    assert known
    good = access.short_lived(known, store.key, lifetime=600)
    head, claims, signature = good.split(".")
    content, key = jwt.decode(good, options={"verify_signature": False}), known.grant.digest
    headers = {"kid": jwt.get_unverified_header(good)["kid"]}

    def signed(*keys: bytes, **changes: Any) -> str:
        return jwt.encode({**content, **changes}, b"".join(keys), "HS256", headers)

    assert accepted(caller, good)
    assert accepted(caller, signed(store.key, key))
    deep = base64.urlsafe_b64encode(b"[" * 20_000).decode()
    page = caller.ok("GET", "/v1/tasks")["firstPageToken"]
    for token in (
        access.short_lived(known, store.key, lifetime=-1),
        signed(store.key, key, exp=1),
        signed(store.key, key, aud="pages"),
        signed(store.key),
        signed(key),
        signed(b"another key" * 3, key),
        jwt.encode(content, None, "none", headers),
        jwt.encode(content, store.key + key, "HS256", {"kid": "nobody"}),
        jwt.encode(content, store.key + key, "HS256", {"kid": "\ud800"}),
        f"{head}.{claims}x.{signature}",
        f"{claims}.{signature}",
        f"{deep}.{claims}.{signature}",
        page,
    ):
        assert not accepted(caller, token), token
    assert known.grant.digest.hex() not in str(content)
    caller.refused(400, "GET", f"/v1/tasks?pageToken={good}")


def test_an_api_key_gives_a_short_lived_token_for_the_same_tenant(caller: Caller) -> None:
    task = caller.task()
    response = short_lived(caller)
    assert response.status == 201
    assert response.json["token_type"] == "Bearer"
    assert response.json["expires_in"] > 60
    with Caller(caller.url, response.json["access_token"]) as again:
        assert again.ok("GET", f"/v1/tasks/{task['id']}")["name"] == "task"
        for key in (again.token, "", "wrong"):
            response = short_lived(again, key)
            assert response.status == 401
            assert "X-API-Key" in message(response)


def heartbeat(caller: Caller, token: str, run_id: str) -> Any:
    """Return the claims of the token that a heartbeat gives."""
    with Caller(caller.url, token) as agent:
        fresh = agent.ok("POST", f"/v1/tasks/runs/{run_id}:heartbeat")["jwt"]
    assert accepted(caller, fresh)
    return jwt.decode(fresh, options={"verify_signature": False})


def test_heartbeats_renew_a_token_for_a_day_and_no_longer(
    shared_tes: LocalTes, caller: Caller
) -> None:
    store, run = shared_tes._store, caller.start(SLEEP)
    grant, now = store.grant(caller.token), int(time.time())
    assert grant
    for since, left in ((now, access.LIFETIME), (now - 23.5 * 3600, 1800), (now - 86_350, 50)):
        token = access.short_lived(access.Caller(grant, int(since)), store.key)
        claims = heartbeat(caller, token, run["id"])
        assert claims["auth_time"] == since
        assert left <= claims["exp"] - now <= min(left + 60, access.LONGEST - (now - since))
    over = access.short_lived(access.Caller(grant, now - access.LONGEST), store.key)
    assert not accepted(caller, over)


def test_a_short_lived_token_ends_with_the_access_token_that_it_came_from(
    shared_tes: LocalTes, other: Caller
) -> None:
    with Caller(shared_tes.url, shared_tes.token_of("a", "b")) as mine:
        token = short_lived(mine).json["access_token"]
        heartbeat(mine, token, mine.start(TRUE)["id"])
        replaced = shared_tes.token_of("a", "b")
        assert not accepted(other, mine.token)
        assert not accepted(other, token)
        assert accepted(other, replaced)
        mine.token = replaced
        token = short_lived(mine).json["access_token"]
        assert accepted(other, token)
        remove = "DELETE FROM tokens WHERE label = 'a/b'"
        shared_tes._store._database.write(lambda db: db.execute(remove)).result()
        assert not accepted(other, token)


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
