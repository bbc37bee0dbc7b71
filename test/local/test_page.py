"""The page over plain HTTP: who gets in, what is shown, and what it does."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import urllib3
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import TimestampSigner

from libica.local import LocalTes
from libica.local.page.launching import arguments_of
from libica.local.page.logs import Log
from libica.local.page.sign_in import LIFETIME
from libica.openapi.libtes.placeholders import fill, find

from .caller import ECHO, PATIENCE, SLEEP, TRUE, Caller, Json, wait_until
from .visitor import Visitor

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'-alert(1)-'",
    "</pre></textarea><b>bold</b>",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)",
    "\u202eevil\u2066",
    "&lt;i&gt; &amp;",
]
SECRET = "s3cret-value-of-this-test"


@pytest.fixture
def visitor(shared_tes: LocalTes, caller: Caller) -> Iterator[Visitor]:
    """Somebody who looks at what `caller` does."""
    with Visitor(shared_tes, caller.token) as visitor:
        yield visitor


@pytest.fixture
def stranger(shared_tes: LocalTes, other: Caller) -> Iterator[Visitor]:
    with Visitor(shared_tes, other.token) as visitor:
        yield visitor


def sh(script: str, **more: Any) -> Json:
    return {**TRUE, "command": "sh", "args": ["-c", script], **more}


def version_path(task: Json) -> str:
    return f"/tasks/{task['id']}/versions/{task['taskVersions'][0]['id']}"


def test_a_key_lets_one_browser_in_and_becomes_a_cookie_that_scripts_cannot_read(
    shared_tes: LocalTes,
) -> None:
    address = shared_tes.page_address()[len(shared_tes.url) :]
    with Visitor(shared_tes, "") as visitor:
        assert visitor.send("HEAD", address).status == 200  # such as of a program for links
        assert visitor.send("GET", address, Sec_Purpose="prefetch;prerender").status == 503
        entered = visitor.get(address)
        assert entered.status == 200
        cookie, _, attributes = entered.headers["Set-Cookie"].partition("; ")
        assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(attributes.split("; "))
        assert "key=" not in entered.text
        again = visitor.get(address)
        assert again.status == 401
        assert "has been used" in again.text
        visitor.cookie = cookie
        visitor.ok("/runs")


def test_without_a_valid_cookie_there_is_only_the_way_in(
    shared_tes: LocalTes, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = uuid.uuid4().hex
    token = shared_tes.token_of(tenant)
    with Visitor(shared_tes, token) as visitor:
        valid = visitor.cookie
        with monkeypatch.context() as patch:
            then = int(time.time()) - LIFETIME - 1
            patch.setattr(TimestampSigner, "get_timestamp", lambda _: then)
            expired = visitor.post("/sign-in", token=token).headers["Set-Cookie"].partition(";")[0]
        name = valid.partition("=")[0]
        shared_tes.token_of(f"{tenant}-other")
        for cookie, message in {
            "": "You are not signed in",
            f"{name}=": "You are not signed in",
            f"{name}=bWFpbg.abc.def": "no longer valid",
            f"{name}=\xe9": "no longer valid",
            valid[:-2]: "no longer valid",
            expired: "has expired",
        }.items():
            visitor.cookie = cookie
            for path in ("/runs", "/runs/trn.1", "/tasks", "/system", "/events/runs"):
                answer = visitor.get(path)
                assert answer.status == 401, (cookie, path)
                assert message in answer.text, (cookie, path)
            assert visitor.post("/runs/trn.1/abort").status == 401
        visitor.cookie = valid
        visitor.ok("/runs")
        shared_tes.token_of(tenant)  # replaces the access token
        assert visitor.get("/runs").status == 401
        assert visitor.post("/sign-in", token=token).status == 401


def test_signing_in_leads_to_the_page_that_was_asked_for_and_nowhere_else(
    shared_tes: LocalTes, caller: Caller
) -> None:
    asked = f"/runs/{caller.start(TRUE)['id']}?attempt=1"
    with Visitor(shared_tes, "") as visitor:
        fields = {a.get("name"): a for tag, a in visitor.get(asked).html.elements if tag == "input"}
        assert fields["to"]["value"] == asked
        for to in (
            asked,
            "//elsewhere.example",
            "/\\elsewhere.example",
            "https://x/",
            "/runs\r\nX: y",
        ):
            answer = visitor.post("/sign-in", token=caller.token, to=to)
            assert answer.headers["Location"] == (asked if to == asked else "/runs")


def test_signing_out_ends_the_cookie_and_all_copies_of_it(
    visitor: Visitor, shared_tes: LocalTes, caller: Caller
) -> None:
    with Visitor(shared_tes, caller.token) as elsewhere:
        answer = visitor.post("/sign-out")
        assert answer.status == 303
        assert "Max-Age=0" in answer.headers["Set-Cookie"]
        refused = visitor.get("/runs")
        assert refused.status == 401
        assert "You have signed out" in refused.text
        elsewhere.ok("/runs")


def test_a_cookie_ends_with_the_service(tmp_path: Path) -> None:
    cookie = ""
    for status in (200, 401):
        token = "to-sign-in"
        with LocalTes(data=tmp_path, token=token) as tes, Visitor(tes, token) as visitor:
            name, _, value = visitor.cookie.partition("=")  # the name has the port
            cookie = cookie or value
            visitor.cookie = f"{name}={cookie}"
            assert visitor.get("/runs").status == status


def test_a_change_from_anywhere_but_the_page_is_refused(caller: Caller, visitor: Visitor) -> None:
    task = caller.task()
    run = caller.start(SLEEP, "Running")
    paths = [f"/runs/{run['id']}/abort", f"/runs/{run['id']}/again", version_path(task)]
    for path in [*paths, "/sign-in", "/sign-out"]:
        for headers in (
            {},
            {"Origin": "null"},
            {"Origin": "https://elsewhere.example"},
            {"Origin": "http://127.0.0.1:1"},
            {"Origin": "http://["},
            {"Sec_Fetch_Site": "same-site"},
        ):
            assert visitor.send("POST", path, "word=x", **headers).status == 403, (path, headers)
    assert caller.run(run["id"])["status"] == "Running"
    assert len(caller.ok("GET", "/v1/tasks/runs")["items"]) == 1
    assert visitor.send("POST", paths[0], Sec_Fetch_Site="same-origin").status == 303
    caller.run_when(run["id"], "Aborted")


def test_all_responses_allow_nothing_but_the_files_of_the_page(
    caller: Caller, visitor: Visitor
) -> None:
    task = caller.task()
    run = caller.start(sh("echo hello"), "Completed")
    paths = ["/", "/runs", f"/runs/{run['id']}", "/tasks", f"/tasks/{task['id']}", "/system"]
    paths += [version_path(task), "/runs/trn.none", "/runs?status=Odd", "/static/page.css"]
    paths += ["/sign-in", "/sign-in?key=wrong", "/static/none"]
    paths += [f"/runs/{run['id']}/1/stdout?from=0"]
    for path in paths:
        answer = visitor.get(path)
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'"), path
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "same-origin"
        if not path.startswith("/static/page"):
            assert answer.headers["Cache-Control"] == "no-store"
        for tag, attributes in answer.html.elements:
            assert not {"style", "onclick", "onload", "onerror"} & attributes.keys(), path
            assert tag != "style"
            assert tag != "script" or attributes["src"].startswith("/static/page.js?")
            for name in ("src", "href", "action"):
                assert not re.match("[a-z]+:|//", attributes.get(name) or ""), (path, attributes)


def test_whatever_names_logs_and_errors_hold_is_text(caller: Caller, visitor: Visitor) -> None:
    everything = " ".join(HOSTILE)
    for text in HOSTILE:
        caller.ok("POST", "/v1/tasks", {"name": text, "description": text})
    versions = [{"version": everything, "execution": {**TRUE, "args": HOSTILE[:4]}}]
    task = caller.ok("POST", "/v1/tasks", {"name": everything, "taskVersions": versions})
    launched = caller.launch(task, name=everything, description=everything).json
    script = 'printf "%s" "$WORDS"; printf "%s" "$WORDS" >&2; exit 3'
    execution = sh(script, environment={"variables": {"WORDS": everything}})
    failed = caller.start(execution, "Failed", name=everything)
    missing = {**TRUE, "command": everything}
    other = caller.start(missing, "Failed", name=HOSTILE[1], description=everything)
    paths = ["/runs", "/tasks", f"/tasks/{task['id']}", version_path(task)]
    paths += [f"{version_path(task)}?run={launched['id']}", "/runs?name=" + "%3Cscript%3E*"]
    paths += [f"/runs/{each['id']}" for each in (launched, failed, other)]
    for path in paths:
        document = visitor.ok(path)
        plain = {tag for tag, _ in document.elements}
        assert not plain & {"img", "b", "i", "textarea"} - {
            "b" if path.partition("?")[0] == "/runs" else ""
        }, path
        assert [tag for tag, _ in document.elements].count("script") == 1, path
        assert not [a for _, a in document.elements if any(name.startswith("on") for name in a)]
    page = visitor.ok(f"/runs/{failed['id']}").text
    assert page.count(everything) >= 3  # the name, and both logs
    logged = visitor.get(f"/runs/{failed['id']}/1/stdout", **{"from": "0"})
    assert logged.text == everything
    assert logged.headers["Content-Type"].startswith("text/plain")


def test_others_see_nothing_of_it(caller: Caller, visitor: Visitor, stranger: Visitor) -> None:
    task = caller.task("hidden-task")
    run = caller.start(sh("echo hello; sleep 600"), "Running", name="hidden-run")
    shared = caller.start(TRUE, "Completed", name="shared-run", acl=["tid:nobody"])
    assert "hidden-run" in visitor.ok("/runs").text
    for path in ("/runs", "/tasks", "/runs?name=hidden*", "/runs?status=Running", "/system"):
        text = stranger.ok(path).text
        assert "hidden" not in text
        assert "shared" not in text
        if path == "/runs":
            assert "No runs yet" in text
    run_path = f"/runs/{run['id']}"
    for path in (
        run_path,
        f"/runs/{shared['id']}",
        f"{run_path}/1/stdout?from=0",
        f"{run_path}/1/stdout/download",
        f"/events{run_path}",
        f"/tasks/{task['id']}",
        version_path(task),
    ):
        assert stranger.get(path).status == 404, path
    for path in (f"{run_path}/abort", f"{run_path}/again", version_path(task)):
        assert stranger.post(path, **{"argument:word": "x"}).status == 404, path
    assert caller.run(run["id"])["status"] == "Running"


def test_secrets_are_masked_also_in_what_a_run_writes(caller: Caller, visitor: Visitor) -> None:
    variables = {"SECURE_KEY": "{{key}}", "PLAIN": "{{plain}}"}
    script = 'echo "key: $SECURE_KEY $PLAIN"; echo "$SECURE_KEY" >&2; exit 1'
    task = caller.task(**sh(script, environment={"variables": variables}))
    arguments = {"key": SECRET, "plain": "visible"}
    run = caller.launch(task, arguments=arguments).json
    caller.run_when(run["id"], "Failed")
    path = f"/runs/{run['id']}"
    for answer in (
        visitor.get(path),
        visitor.get(f"{path}/1/stdout/download"),
        visitor.get(f"{path}/1/stdout", **{"from": "0"}),
        visitor.get(version_path(task), run=run["id"]),
        visitor.post(version_path(task), **{"argument:key": SECRET}),
        visitor.post(version_path(task), table=f"key,plain\n{SECRET},"),
    ):
        assert SECRET not in answer.text
    assert "key: *** visible" in visitor.ok(path).text
    form = visitor.ok(version_path(task), run=run["id"])
    fields = {a.get("name"): a for tag, a in form.elements if tag == "input"}
    assert fields["argument:plain"]["value"] == "visible"
    assert fields["argument:key"]["type"] == "password"
    assert "value" not in fields["argument:key"]


def test_a_list_shows_each_run_once_however_it_is_filtered_and_sorted(
    caller: Caller, visitor: Visitor
) -> None:
    ids = {}
    for number in range(60):
        name = f"{'ab'[number % 2]}-{number:03}"
        status = "Completed" if number % 3 else "Failed"
        ids[name] = caller.start({**TRUE, "command": "true" if number % 3 else "false"}, name=name)
        ids[name]["expected"] = status
    for run in ids.values():
        caller.run_when(run["id"], run["expected"])
    runs = [caller.run(run["id"]) for run in ids.values()]
    failed_of_a = [r["id"] for r in runs if r["name"] < "b" and r["status"] == "Failed"]
    middle, late = runs[20]["timeCreated"][:19], runs[-1]["timeCreated"][:19]
    for query, wanted in (
        ({}, lambda run: True),
        ({"status": "Failed"}, lambda run: run["status"] == "Failed"),
        ({"status": "Failed,Completed"}, lambda run: True),
        ({"name": "a-*"}, lambda run: run["name"].startswith("a-")),
        ({"name": "a-0*", "status": "Failed"}, lambda run: run["id"] in failed_of_a),
        ({"name": "a-000"}, lambda run: run["name"] == "a-000"),
        ({"name": "-00"}, lambda run: "-00" in run["name"]),
        ({"name": "A-0*5", "version": ""}, lambda run: re.match("a-0.*5$", run["name"])),
        ({"name": "%"}, lambda run: False),
        (
            {"name": "B-", "from": middle},
            lambda run: run["timeCreated"] >= middle and "b-" in run["name"],
        ),
        ({"from": middle}, lambda run: run["timeCreated"] >= middle),
        ({"until": middle}, lambda run: run["timeCreated"] < middle),
        ({"from": middle, "until": late}, lambda run: middle <= run["timeCreated"] < late),
    ):
        for field, direction in itertools.product(
            ["timeCreated"] if query.keys() & {"from", "until"} else ["timeCreated", "name"],
            ("asc", "desc"),
        ):
            in_order = sorted(runs, key=lambda run: (run[field], run["timeCreated"]))
            expected = [run for run in in_order if wanted(run)]
            found = visitor.all_of("/runs", size="25", sort=f"{field} {direction}", **query)
            links = [f"/runs/{run['id']}" for run in expected]
            assert found == (links if direction == "asc" else links[::-1]), (query, direction)
    assert "Failed 20" in " ".join(visitor.ok("/runs").text.split())
    # Back from the last page to the first.
    document = visitor.ok("/runs", size="25", name="*")
    while following := [link for link, text in document.links.items() if text == "Next"]:
        document = visitor.ok(following[0])
    seen = 0
    while before := [link for link, text in document.links.items() if text == "Previous"]:
        document, seen = visitor.ok(before[0]), seen + 1
    assert seen == 2


def test_an_address_that_makes_no_sense_is_a_page_that_says_so(
    caller: Caller, visitor: Visitor
) -> None:
    run = caller.start(sh("echo hello"), "Completed")
    path = f"/runs/{run['id']}"
    for address, status, message in (
        ("/runs?status=Odd", 400, "status must be one of"),
        ("/runs?sort=colour", 400, "sort must be one of"),
        ("/runs?size=0", 400, "pageSize must be"),
        ("/runs?page=forged", 400, "pageToken must be"),
        ("/runs?from=yesterday", 400, "from must be a time"),
        ("/runs?until=2026-13-45", 400, "until must be a time that exists"),
        ("/runs?from=2026-01-01&sort=status", 400, "sort must be timeCreated"),
        ("/runs/trn.none", 404, "There is no run"),
        (f"{path}?attempt=2", 404, "no attempt '2'"),
        (f"{path}?attempt=x", 404, "no attempt 'x'"),
        (f"{path}/{'9' * 5000}/stdout?from=0", 404, "no attempt '999"),
        (f"{path}/1/stdin?from=0", 404, "no such log"),
        (f"{path}/1/stdout?from=-1", 400, "from must be"),
        ("/runs/a/b/c/d", 404, "no such page"),
        ("/tasks/tdn.none", 404, "There is no task"),
        ("/tasks/tdn.none/versions/tvn.none", 404, "There is no version"),
        ("/sign-in?key=%00", 401, "not of this service"),
    ):
        answer = visitor.get(address)
        assert answer.status == status, address
        assert message in answer.html.text, address
        assert "Traceback" not in answer.text
    assert visitor.send("PUT", "/runs").status == 405
    assert visitor.post(f"{path}/abort").status == 400
    assert visitor.get("/other").headers["Content-Type"] == "application/json"


@pytest.mark.slow
def test_a_run_that_was_forgotten_is_an_error_that_says_so_on_each_of_its_pages(
    tmp_path: Path,
) -> None:
    access: dict[str, Any] = {"data": tmp_path, "token": "to-look"}
    with LocalTes(**access) as tes, Caller(tes.url, tes.token) as caller:
        run = caller.start(sh("echo hello"), "Completed")
    time.sleep(1.1)  # times are compared by the second
    with LocalTes(**access, keep_runs=1e-6) as tes, Visitor(tes, tes.token) as it:
        wait_until(lambda: it.all_of("/runs") == [])
        path = f"/runs/{run['id']}"
        for each in (
            path,
            f"{path}/1/stdout?from=0",
            f"{path}/1/stdout/download",
            f"/events{path}",
        ):
            answer = it.get(each)
            assert answer.status == 404
            assert "There is no run" in answer.html.text
        for each in (f"{path}/abort", f"{path}/again"):
            assert it.post(each).status == 404


def test_a_version_is_launched_by_its_form_and_again_as_it_was(
    caller: Caller, visitor: Visitor
) -> None:
    task = caller.task(args=["{{word}}-{{ more }}", "{{word}}"])
    path = version_path(task)
    refused = visitor.post(path, name="mine", **{"argument:word": "a&b <c>"})
    assert refused.status == 400
    assert "Arguments are missing: more" in refused.html.text
    fields = {a.get("name"): a for tag, a in refused.html.elements if tag == "input"}
    assert fields["name"]["value"] == "mine"
    assert fields["argument:word"]["value"] == "a&b <c>"
    assert fields["argument:more"]["aria-invalid"] == "true"
    arguments = {"argument:word": "a&b <c>", "argument:more": "é"}
    assert visitor.post(path, name="x" * 256, **arguments).status == 400
    launched = visitor.post(path, name="mine", **arguments)
    assert launched.status == 303
    run = caller.run_when(launched.headers["Location"].rpartition("/")[2], "Completed")
    assert run["execution"]["args"] == ["a&b <c>-é", "a&b <c>"]
    assert run["name"] == "mine"
    links = visitor.ok(f"/runs/{run['id']}").links
    form = visitor.ok(next(link for link, text in links.items() if "Launch again" in text))
    values = {a.get("name"): a.get("value") for tag, a in form.elements if tag == "input"}
    assert {name: values[name] for name in ("name", *arguments)} == {"name": "mine", **arguments}


def test_a_task_or_a_version_is_found_by_its_id(
    caller: Caller, visitor: Visitor, stranger: Visitor
) -> None:
    task = caller.task("align")
    for found, path in (
        (task, f"/tasks/{task['id']}"),
        (task["taskVersions"][0], version_path(task)),
    ):
        assert visitor.get("/tasks", name=f" {found['id']}").headers["Location"] == path
        visitor.ok(path)
    refused = stranger.get("/tasks", name=task["taskVersions"][0]["id"])
    assert refused.status == 404
    assert task["id"] not in refused.text
    assert "/tasks/tdn" in visitor.get("/tasks", name="tdn./../x").headers["Location"]
    assert visitor.get("/tasks", name="tvn.none").status == 404


def test_a_table_launches_a_run_for_each_row_or_none(caller: Caller, visitor: Visitor) -> None:
    task = caller.task(args=["{{word}}", "{{more}}"])
    path = version_path(task)
    for table, problem in (
        ("", "a line with the names of the columns"),
        ("word,more", "and rows"),
        ("word\nx", "lacks the columns: 'more'"),
        ("word,more,colour\nx,y,z", "no placeholders for the columns: 'colour'"),
        ("word,word,more\nx,y,z", "columns twice: 'word'"),
        ("word,more\nx,y\nx\n,y", "row 3 has 1 cells, not 2; row 4 has no word"),
        ('word,more\n"x,y', "cannot be read"),
        (f"name,word,more\n{'n' * 256},x,y", "255"),
    ):
        refused = visitor.post(path, table=table)
        assert refused.status == 400, table
        assert problem in refused.html.text, table
    assert visitor.all_of("/runs") == []
    once = next(a["value"] for _, a in visitor.ok(path).elements if a.get("name") == "once")
    table = 'more,name,word\r\n"a, b",first,1\r\nc,,"two\r\nlines"\r\n'
    launched = visitor.post(path, table=table, once=once or "")
    assert launched.status == 303
    again = visitor.post(path, table=table, once=once or "").headers["Location"]
    assert "sent before, so nothing was launched" in visitor.ok(again).text
    links = visitor.all_of(launched.headers["Location"])
    runs = [caller.run_when(link.rpartition("/")[2], "Completed") for link in links[::-1]]
    assert [run["execution"]["args"] for run in runs] == [["1", "a, b"], ["two\r\nlines", "c"]]
    assert [run["name"] for run in runs] == ["first", "1"]
    tabs = visitor.post(path, table="word\tmore\nx\ty")
    assert tabs.status == 303
    assert len(visitor.all_of("/runs")) == 3


def test_a_form_launches_once_also_if_the_service_has_started_again(tmp_path: Path) -> None:
    table = "name,word\n" + "".join(f"sample-{number},{number}\n" for number in range(50))
    single = {"once": "mark", "argument:word": "x", "name": "one"}
    forms = [("", {"once": "mark", "table": table}), ("", single), ("again", {"once": "mark"})]
    paths: dict[str, str] = {}

    def send(visitor: Visitor, kind: str, form: dict[str, str]) -> bool:
        return visitor.post(paths[kind], **form).headers["Location"].endswith("sent=before")

    for started in (1, 2):
        with LocalTes(data=tmp_path, token="to-look-and-launch") as tes:  # noqa: SIM117
            with Caller(tes.url, tes.token) as caller, Visitor(tes, tes.token) as visitor:
                if started == 1:
                    paths[""] = version_path(caller.task(args=["{{word}}"]))
                    paths["again"] = f"/runs/{caller.start(TRUE, 'Completed')['id']}/again"
                with ThreadPoolExecutor(8) as clicks:
                    sent = [clicks.submit(send, visitor, *form) for form in forms * 4]
                before = [each.result() for each in sent]
                assert before.count(False) == (len(forms) if started == 1 else 0)
                assert len(visitor.all_of("/runs", size="200")) == 1 + 50 + 1 + 1
    with LocalTes(data=tmp_path, token="to-look-and-launch") as tes, Visitor(tes, tes.token) as it:
        for change in ({"once": "other"}, {"name": "two"}):  # another form, or filled in otherwise
            assert it.post(paths[""], **{**single, **change}).status == 303
        assert len(it.all_of("/runs", size="200")) == 53 + 2


def test_nothing_is_launched_of_a_version_that_has_changed_since_its_form_was_shown(
    caller: Caller, visitor: Visitor
) -> None:
    task = caller.task(args=["{{word}}"])
    path = version_path(task)

    def seen() -> str:
        fields = [a for tag, a in visitor.ok(path).elements if a.get("name") == "seen"]
        return str(fields[0]["value"])

    old = seen()
    changed = {"execution": {**ECHO, "args": ["-n", "{{word}}"]}}
    caller.ok("PATCH", f"/v1{path}", changed)
    for form in ({"argument:word": "x"}, {"table": "word\nx"}):
        refused = visitor.post(path, seen=old, **form)
        assert refused.status == 409
        assert "has changed since" in refused.html.text
    assert visitor.all_of("/runs") == []
    assert visitor.post(path, seen=seen(), **{"argument:word": "x"}).status == 303


def test_a_run_of_no_version_runs_again(caller: Caller, visitor: Visitor) -> None:
    run = caller.start(sh("echo once more"), "Completed", name="first")
    answer = visitor.post(f"/runs/{run['id']}/again")
    assert answer.status == 303
    second = caller.run_when(answer.headers["Location"].rpartition("/")[2], "Completed")
    assert second["id"] != run["id"]
    assert (second["name"], second["execution"]) == ("first", run["execution"])


WORDS = st.text("abc{} \n.*\\", max_size=6)
PARTS = ["{{x}}", "{{ y }}", "{{z}}", "-", "a.b", "\n", "{"]
PATTERNS = st.lists(st.sampled_from(PARTS), max_size=6)


@given(st.lists(PATTERNS.map("".join), max_size=4), WORDS, WORDS, WORDS)
def test_arguments_that_are_recovered_make_the_same_execution(
    args: list[str], x: str, y: str, z: str
) -> None:
    template = {"args": args, "retryCount": 0}
    filled = fill(template, {"x": x, "y": y, "z": z})
    found = arguments_of(template, {**filled, "retryCount": 2})
    if set(find(template)) <= found.keys():
        assert fill(template, found) == filled


@given(data=st.binary(max_size=400), piece=st.integers(8, 60), ended=st.booleans())
def test_the_pieces_of_a_log_are_the_whole_of_it(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, piece: int, ended: bool
) -> None:
    file = tmp_path_factory.getbasetemp() / f"{uuid.uuid4().hex}.log"
    text = data.decode("utf-8", "replace").replace("\r", "\n").encode()
    file.write_bytes(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("libica.local.page.logs.PIECE", piece)
        attempt = {"stdout": file.as_uri(), **({"endTime": "x"} if ended else {})}
        log = Log(str(file.parent), {}, attempt, "stdout")
        shown = "".join(log.all())
    whole = Log(str(file.parent), {}, {"stdout": file.as_uri(), "endTime": "x"}, "stdout").piece(0)
    if ended:
        assert shown == whole.text
    else:  # the last line may not be complete
        assert whole.text.startswith(shown)
        assert "\n" not in whole.text[len(shown) :]
    file.unlink()


def test_a_log_is_read_as_it_grows(caller: Caller, visitor: Visitor, tmp_path: Path) -> None:
    go = tmp_path / "go"
    script = (
        f"echo f${{X}}irst; printf half; while [ ! -e {go} ]; do sleep 0.05; done; echo ' whole'"
    )
    run = caller.start(sh(script), "Running")
    path = f"/runs/{run['id']}"
    wait_until(lambda: "first" in visitor.ok(path).text)
    begun = visitor.get(f"{path}/1/stdout", **{"from": "0"})
    assert (begun.text, begun.headers["X-Next"]) == ("first\n", "6")
    go.touch()
    caller.run_when(run["id"], "Completed")
    rest = visitor.get(f"{path}/1/stdout", **{"from": "6"})
    assert (rest.text, rest.headers["X-Next"]) == ("half whole\n", "17")
    saved = visitor.get(f"{path}/1/stdout/download")
    assert saved.text == "first\nhalf whole\n"
    assert saved.headers["Content-Disposition"].startswith("attachment")


def test_a_stream_tells_of_changes_and_ends_with_the_service() -> None:
    with LocalTes() as tes, Caller(tes.url, tes.token) as caller, urllib3.PoolManager() as pool:
        with Visitor(tes, tes.token) as visitor:
            cookie = visitor.cookie
        stream = pool.request(
            "GET",
            f"{tes.url}/events/runs",
            headers={"Cookie": cookie},
            preload_content=False,
            timeout=PATIENCE,
        )
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        events = (line for line in stream if line.startswith(b"data:"))
        first = next(events)
        caller.start(TRUE, "Completed")
        assert next(events) != first
        began = time.monotonic()
        tes.close()
        assert b"".join(stream) is not None  # it has ended
        assert time.monotonic() - began < PATIENCE


def test_it_is_loaded_when_it_is_asked_for_and_can_be_switched_off() -> None:
    code = """
import sys, urllib.request
from libica.local import LocalTes
with LocalTes() as tes:
    urllib.request.urlopen(tes.url + "/health").close()
    assert not {"jinja2", "libica.local.page.app"} & sys.modules.keys()
    urllib.request.urlopen(tes.page_address()).close()
    assert "jinja2" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=PATIENCE)
    with LocalTes(page=False) as tes, Caller(tes.url, tes.token) as caller:
        for path in ("/", "/runs", "/sign-in", "/static/page.css"):
            assert caller("GET", path).status == 404
        with pytest.raises(ValueError, match="switched off"):
            tes.page_address()


def test_serve_prints_the_address_on_standard_error(serve: Any) -> None:
    serving = serve()
    status, errors = serving.end()
    found = re.search(r"open (http://127\.0\.0\.1:\d+/sign-in\?key=[\w-]{30,})$", errors, re.M)
    assert status == 0
    assert found is not None
    assert found[1].startswith(serving.url)


def test_the_page_of_the_system_says_what_there_is(visitor: Visitor, shared_tes: LocalTes) -> None:
    text = visitor.ok("/system").text
    assert "here" in text
    assert str(shared_tes.home) in text
