"""What is taken along from another service is as it is there, and nothing else is touched."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Optional

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libica.local import LocalTes, Mirrored, mirror
from libica.local.mirroring import source
from libica.local.mirroring.secrets import without_secrets
from libica.local.store.folder import DATABASE
from libica.local.store.repair import repair
from libica.local.store.store import Store
from libica.openapi import libtes

from ..test_docs import DOCS, examples_in
from .caller import ECHO, PATIENCE, SLEEP, TRUE, Caller, Json
from .gate import Gate, refusal
from .visitor import Visitor

pytestmark = pytest.mark.slow

SECRET = "a-secret-that-nobody-may-take"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def gate(shared_tes: LocalTes) -> Iterator[Gate]:
    gate = Gate(shared_tes.url)
    yield gate
    gate.close()


@pytest.fixture
def through(gate: Gate, caller: Caller) -> Iterator[libtes.ApiClient]:
    """A client of the service behind the gate that leaves retries to `mirror`."""
    with client_of(gate.server.url, caller.token) as client:
        client.configuration.retries = 0
        yield client


def client_of(url: str, token: str) -> libtes.ApiClient:
    key = {"Authorization": token}
    return libtes.ApiClient(libtes.Configuration(url, key, {"Authorization": "Bearer"}))


def everything(caller: Caller) -> Json:
    """Return all objects that a caller sees, by id, as the service sends them; hosts left out."""
    found: Json = {}

    def add(path: str) -> list[str]:
        listed = caller.ok("GET", f"{path}?pageSize=1000")["items"]
        for each in listed:
            read = caller.ok("GET", f"{path}/{each['id']}")
            found[each["id"]] = json.loads(json.dumps(read).replace(caller.url, ""))
        return [each["id"] for each in listed]

    for task_id in add("/v1/tasks"):
        add(f"/v1/tasks/{task_id}/versions")
    add("/v1/tasks/runs")
    return found


@contextlib.contextmanager
def served(data: Path) -> Iterator[Caller]:
    with LocalTes(data=data) as tes, Caller(tes.url, tes.token) as caller:
        yield caller


def everything_in(data: Path) -> Json:
    with served(data) as caller:
        return everything(caller)


def outcomes(mirrored: Mirrored) -> dict[str, str]:
    return {item.id: item.outcome.value for item in mirrored.items}


# What is taken along.

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NAME = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
URL = st.sampled_from(["gds://v/{{x}}", "s3://b/k", "https://h/f?sig={{x}}&t=1", "file:///x y"])
MOUNT = st.fixed_dictionaries(
    {"path": st.just("/work/\u2603"), "url": URL},
    optional={"credentials": st.dictionaries(NAME, TEXT, max_size=2)},
)
EXECUTION = st.fixed_dictionaries(
    {"image": st.fixed_dictionaries({"name": NAME}, optional={"tag": TEXT, "digest": TEXT})},
    optional={
        "command": TEXT,
        "args": st.lists(TEXT | st.just("{{ word }}"), max_size=3),
        "inputs": st.lists(MOUNT, max_size=2),
        "outputs": st.lists(MOUNT, max_size=2),
        "environment": st.fixed_dictionaries(
            {"variables": st.dictionaries(NAME | st.just("SECURE_K"), TEXT, max_size=2)},
            optional={"resources": st.just({"cpuCores": 0.1, "memoryGb": 1e-7, "Size": "small"})},
        ),
        "retryLimit": st.integers(0, 5),
    },
)
ACL = st.lists(st.sampled_from(["tid:x", f"wid:{uuid.uuid4()}", "tid:\u00e9", ""]), min_size=1)
VERSION = st.fixed_dictionaries({"version": NAME}, optional={"execution": EXECUTION, "acl": ACL})
TASK = st.fixed_dictionaries(
    {"name": NAME, "taskVersions": st.lists(VERSION, max_size=3, unique_by=lambda v: v["version"])},
    optional={"description": TEXT, "acl": ACL},
)


def in_odd_casing(value: Any) -> Any:
    """Return a body as the service accepts it, too: its keys in any casing."""
    if isinstance(value, list):
        return list(map(in_odd_casing, value))
    if not isinstance(value, dict):
        return value
    free = ("variables", "credentials")
    return {
        random.choice((key, key.upper(), key.title())): each if key in free else in_odd_casing(each)
        for key, each in value.items()
    }


@settings(
    max_examples=8,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(TASK, min_size=1, max_size=4, unique_by=lambda task: task["name"]))
def test_the_copy_of_any_task_equals_it_field_by_field(
    shared_tes: LocalTes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tasks: list[Json]
) -> None:
    monkeypatch.setitem(source._QUERY, "pageSize", 2)  # many pages
    tenant = uuid.uuid4().hex
    with Caller(shared_tes.url, shared_tes.token_of(tenant)) as caller:
        for task in tasks:
            caller.ok("POST", "/v1/tasks", in_odd_casing(task))
        with client_of(caller.url, caller.token) as client:
            mirrored = mirror(client, tmp_path / tenant, with_credentials=True)
        expected = everything(caller)
    assert set(outcomes(mirrored).values()) == {"new"}
    assert everything_in(tmp_path / tenant) == expected
    with LocalTes(data=tmp_path / tenant) as tes, Caller(tes.url, tes.token_of("other")) as other:
        assert everything(other) == {}


def test_runs_are_taken_along_when_they_have_finished_and_never_run_again(
    client: libtes.ApiClient, caller: Caller, data: Path
) -> None:
    task, unrelated = caller.task("a", environment={"variables": {"K": "v"}}), caller.task("b")
    launched = caller.launch(task, name="\u2603", arguments={"word": "x"}).json
    caller.run_when(launched["id"], "Completed")
    caller.launch(unrelated, arguments={"word": "y"})
    again = {**TRUE, "command": "false", "args": [], "retryLimit": 1}
    caller.start(again, "Failed", description="twice")
    running = caller.start(SLEEP, "Running")

    alone = mirror(client, data, tasks="a", runs=True)
    assert alone.counts == {"task": {"new": 1}, "version": {"new": 1}, "run": {"new": 1}}
    mirrored = mirror(client, data, runs=True)
    assert mirrored.counts["run"] == {"new": 2, "unchanged": 1, "unfinished": 1}
    assert outcomes(mirrored)[running["id"]] == "unfinished"
    expected = everything(caller)
    del expected[running["id"]]
    with LocalTes(data=data) as tes, Caller(tes.url, tes.token) as copy:
        assert everything(copy) == expected
        with Visitor(tes, tes.token) as visitor:
            for path in ("/runs", "/tasks", f"/runs/{launched['id']}", f"/tasks/{task['id']}"):
                assert "\u2603" in visitor.ok(path).text or path.startswith("/tasks")
        failed = copy.ok("GET", "/v1/tasks/runs?status=Failed&include=totalItemCount")
        assert failed["totalItemCount"] == 1
    caller.abort(running["id"])
    caller.run_when(running["id"], "Aborted")
    assert mirror(client, data, runs=True).counts["run"] == {"new": 1, "unchanged": 3}
    assert everything_in(data) == everything(caller)


def test_a_script_with_ids_in_it_runs_unchanged_against_the_copy(
    client: libtes.ApiClient, caller: Caller, data: Path
) -> None:
    task = caller.task(environment={"variables": {"SECURE_KEY": "{{key}}"}})
    mirror(client, data)
    with served(data) as copy:
        given = {"arguments": {"word": "hello", "key": "k"}}
        run = copy.launch(task, **given).json
        assert run["taskVersionSummary"]["id"] == task["taskVersions"][0]["id"]
        assert run["taskVersionSummary"]["href"].startswith(f"{copy.url}/v1/tasks/{task['id']}/")
        assert run["execution"]["environment"]["variables"] == {"SECURE_KEY": "k"}
        copy.run_when(run["id"], "Completed")


# Again, and after an interruption.


def test_a_second_call_brings_what_is_new_or_changed_and_reads_nothing_else(
    through: libtes.ApiClient, gate: Gate, caller: Caller, data: Path
) -> None:
    first, second, third = (caller.task(name) for name in "abc")
    mirror(through, data)
    calls = len(gate.paths)
    assert set(outcomes(mirror(through, data)).values()) == {"unchanged"}
    assert len(gate.paths) == calls + 4  # the lists of tasks and versions

    path = f"/v1/tasks/{first['id']}"
    new = caller.ok("POST", f"{path}/versions", {"version": "2", "execution": ECHO})
    changed = first["taskVersions"][0]["id"]
    body = {"execution": {**ECHO, "args": ["\u2603"]}, "acl": ["tid:nobody"]}
    caller.ok("PATCH", f"{path}/versions/{changed}", body)
    fourth = caller.task("d")
    for task, name in ((second, "z"), (third, "b"), (first, "c")):  # names are handed on
        caller.ok("PATCH", f"/v1/tasks/{task['id']}", {"name": name})
    told = outcomes(mirror(through, data))
    for task in (first, second, third):
        assert told.pop(task["id"]) == "changed"
    assert told.pop(fourth["id"]) == told.pop(new["id"]) == "new"
    assert told.pop(fourth["taskVersions"][0]["id"]) == "new"
    assert told.pop(changed) == "changed"
    assert set(told.values()) == {"unchanged"}
    assert everything_in(data) == everything(caller)


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is of POSIX")
@pytest.mark.parametrize("calls", [1, 7, 11, 16])
def test_a_call_that_was_killed_leaves_whole_tasks_alone_and_the_next_one_completes(
    calls: int, gate: Gate, through: libtes.ApiClient, caller: Caller, data: Path
) -> None:
    versions = [{"version": f"{n}", "execution": ECHO} for n in range(3)]
    for name in "abcd":
        caller.ok("POST", "/v1/tasks", {"name": name, "taskVersions": versions})
    script = (
        "import sys; from libica.local import mirror; from test.local import test_mirror as this\n"
        "mirror(this.client_of(*sys.argv[1:3]), sys.argv[3])"
    )
    command = [sys.executable, "-c", script, gate.server.url, caller.token, str(data)]
    path = os.pathsep.join(filter(None, [os.getcwd(), os.environ.get("PYTHONPATH")]))
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path})

    def kill(asked: Any, response: Any) -> None:
        if len(gate.paths) > calls:
            process.kill()

    gate.meddle = kill
    assert process.wait(PATIENCE) == -9
    gate.meddle = lambda asked, response: None
    expected = everything(caller)
    taken = everything_in(data)
    assert taken.items() <= expected.items()
    kinds = [each[:4] for each in taken]
    assert kinds.count("tvn.") == 3 * kinds.count("tdn.")
    mirror(through, data)
    assert everything_in(data) == expected
    assert set(outcomes(mirror(through, data)).values()) == {"unchanged"}


def test_a_dry_run_says_what_the_call_then_does_and_writes_nothing(
    client: libtes.ApiClient, caller: Caller, data: Path
) -> None:
    task = caller.task("a")
    planned = mirror(client, data, dry_run=True)
    assert not data.exists()
    assert outcomes(planned) == outcomes(mirror(client, data))
    before = (data / DATABASE).read_bytes()
    caller.ok("PATCH", f"/v1/tasks/{task['id']}", {"description": "more"})
    caller.task("b")
    caller.start({**ECHO, "args": []}, "Completed")
    planned = mirror(client, data, runs=True, dry_run=True)
    assert (data / DATABASE).read_bytes() == before
    assert {path.name for path in data.iterdir()} == {DATABASE, "lock"}
    assert outcomes(planned) == outcomes(mirror(client, data, runs=True))


# What the other service does not give, or gives in its own way.


def test_what_may_not_be_seen_or_cannot_be_read_is_named_and_the_rest_taken_along(
    through: libtes.ApiClient, gate: Gate, caller: Caller, data: Path
) -> None:
    hidden, other, broken = (caller.task(name) for name in "abc")
    ids = [task["taskVersions"][0]["id"] for task in (hidden, other, broken)]
    statuses = {f"{hidden['id']}/versions": 403, ids[1]: 404, ids[2]: 500}
    gate.meddle = lambda asked, _: next(
        (refusal(status) for end, status in statuses.items() if asked.path.endswith(end)), None
    )
    mirrored = mirror(through, data, tasks=["a", "b", "c", "tdn.unknown"])
    assert outcomes(mirrored) == {
        **{hidden["id"]: "not visible", ids[1]: "not visible", "tdn.unknown": "not visible"},
        **{other["id"]: "new", broken["id"]: "new", ids[2]: "unreadable"},
    }
    assert all(item.reason for item in mirrored.missing)
    assert len(mirrored.missing) == 4
    statuses.clear()
    assert mirror(through, data).missing == []
    assert everything_in(data) == everything(caller)
    with pytest.raises(libtes.ApiValueError, match="there is no task 'x' at http"):
        mirror(through, data, tasks=["a", "x"])


def test_a_service_that_fails_or_refuses_the_token_ends_the_call_and_what_was_taken_is_kept(
    through: libtes.ApiClient, gate: Gate, caller: Caller, data: Path
) -> None:
    tasks = [caller.task(name) for name in "abcdef"]
    last = [task["taskVersions"][0]["id"] for task in tasks][3:]

    def refuse(status: int) -> Callable[[Any, Any], Any]:
        return lambda asked, _: refusal(status) if asked.path.endswith(tuple(last)) else None

    for status, error in ((503, libtes.ServiceException), (401, libtes.UnauthorizedException)):
        gate.meddle = refuse(status)
        with pytest.raises(error):
            mirror(through, data)
        assert {task["id"] for task in tasks[:3]} <= everything_in(data).keys()
    gate.meddle = lambda asked, response: None
    mirror(through, data)
    assert everything_in(data) == everything(caller)


def test_429_is_waited_for_as_the_service_asks_and_few_calls_are_made_at_once(
    through: libtes.ApiClient,
    gate: Gate,
    caller: Caller,
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for number in range(10):
        caller.task(f"{number}")
    refused: dict[str, float] = {}
    waited = []

    def refuse(asked: Any, response: Any) -> Optional[Any]:
        time.sleep(0.01)  # so that calls meet
        if asked.path not in refused:
            refused[asked.path] = time.monotonic()
            if len(refused) in (1, 5, 9):
                return refusal(429, Retry_After="1")
            refused[asked.path] = 0
        elif refused[asked.path]:
            waited.append(time.monotonic() - refused[asked.path])
            refused[asked.path] = 0
        return None

    gate.meddle = refuse
    assert mirror(through, data).missing == []
    assert len(waited) == 3
    assert min(waited) >= 1
    assert gate.most <= source.AT_ONCE
    assert set(gate.server.asked[0].headers) & {"Authorization"}
    assert {each.method for each in gate.server.asked} == {"GET"}
    gate.meddle = lambda asked, response: refusal(429, Retry_After="100000")
    with pytest.raises(libtes.TooManyRequestsException):
        mirror(through, data)
    monkeypatch.setattr(source, "_PAUSE", 0.0)
    gate.meddle = lambda asked, response: refusal(429)
    with pytest.raises(libtes.TooManyRequestsException):
        mirror(through, data)


def test_lists_may_be_unsorted_and_have_objects_twice_and_nulls_are_unset_fields(
    through: libtes.ApiClient,
    gate: Gate,
    caller: Caller,
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in "abcde":
        caller.task(name)
    expected = everything(caller)
    monkeypatch.setitem(source._QUERY, "pageSize", 2)

    def with_nulls(value: Any) -> Any:
        if isinstance(value, list):
            return list(map(with_nulls, value))
        if not isinstance(value, dict):
            return value
        return {"unset": None, **{key: with_nulls(each) for key, each in value.items()}}

    def meddle(asked: Any, response: Any) -> None:
        items = response.body.get("items", [])
        items[:] = [*reversed(items), *items]
        response.body = with_nulls(response.body)

    gate.meddle = meddle
    mirror(through, data)
    assert set(outcomes(mirror(through, data)).values()) == {"unchanged"}
    assert everything_in(data) == expected

    def repeat(asked: Any, response: Any) -> None:
        response.body["nextPageToken"] = asked.query.get(
            "pageToken", response.body["nextPageToken"]
        )

    gate.meddle = repeat
    with pytest.raises(libtes.InvalidResponseException, match="sent twice"):
        mirror(through, data)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"id": "tvn.of-something-else"}, "got another object"),
        ({"timeModified": None}, "got an object without timeModified"),
        ({"execution": {"args": "x"}}, r"\$\.execution\.args must be an array"),
        ({"version": 5}, r"\$\.version must be a string"),
    ],
)
def test_an_invalid_response_is_named_and_not_stored(
    change: Json, told: str, through: libtes.ApiClient, gate: Gate, caller: Caller, data: Path
) -> None:
    version_id = caller.task()["taskVersions"][0]["id"]

    def meddle(asked: Any, response: Any) -> None:
        if asked.path.endswith(version_id):
            response.body.update(change)

    gate.meddle = meddle
    (item,) = mirror(through, data).missing
    assert (item.id, item.outcome.value) == (version_id, "unreadable")
    assert re.search(told, item.reason)


# Secrets.


@pytest.mark.parametrize(
    ("execution", "kept", "places"),
    [
        (
            {"inputs": [{"credentials": {"a": SECRET}}], "outputs": [{"credentials": {"a": "b"}}]},
            {"inputs": [{}], "outputs": [{}]},
            ["inputs[0].credentials.a", "outputs[0].credentials.a"],
        ),
        (
            {"image": {"name": "x", "credentials": {"username": "u", "password": SECRET}}},
            {"image": {"name": "x"}},
            ["image.credentials.username", "image.credentials.password"],
        ),
        (
            {"environment": {"variables": {"SECURE_A": SECRET, "secure_b": SECRET, "C": "c"}}},
            {"environment": {"variables": {"C": "c"}}},
            ["environment.variables.SECURE_A", "environment.variables.secure_b"],
        ),
        (
            {"inputs": [{"url": f"https://h/f?sig={SECRET}"}]},
            {"inputs": [{"url": "https://h/f?***"}]},
            ["inputs[0].url"],
        ),
        (
            {"args": ["-c", f"curl s3://h/f?{SECRET}", "a?b"]},
            {"args": ["-c", "curl s3://h/f?***", "a?b"]},
            ["args[1]"],
        ),
        ({"systemFiles": {"credentials": {"k": SECRET}}}, {"systemFiles": {}}, None),
        ({"outputs": [{"credentials": {"a": "{{k}}"}}]}, ..., []),
        ({"inputs": [{"url": "https://h/f?sig={{sig}}&t={{ t }}"}]}, ..., []),
        ({"environment": {"variables": {"SECURE_A": " {{a}}{{b}}", "A": ""}}}, ..., []),
        (
            {"environment": {"variables": {"SECURE_A": "Bearer {{a}}", "SECURE_B": "x://{{b}}?"}}},
            {"environment": {"variables": {}}},
            None,
        ),
        ({}, ..., []),
    ],
)
def test_what_is_secret_in_an_execution_is_left_out_and_its_place_named(
    execution: Json, kept: Any, places: Optional[list[str]]
) -> None:
    found, named = without_secrets(execution)
    assert found == (execution if kept is ... else kept)
    assert places is None or named == places
    assert SECRET not in json.dumps(found)


def test_secrets_are_taken_along_on_request_alone_also_later(
    client: libtes.ApiClient, caller: Caller, data: Path
) -> None:
    environment = {"variables": {"SECURE_A": SECRET}}
    task = caller.task("a", args=[], environment=environment)
    run = caller.start({**ECHO, "args": [], "environment": environment}, "Completed")
    ids = {task["taskVersions"][0]["id"], run["id"]}

    def files() -> bytes:
        return b"".join(path.read_bytes() for path in data.glob(f"{DATABASE}*"))

    for outcome in ("new", "unchanged"):
        mirrored = mirror(client, data, runs=True)
        told = {item.id: item.left_out for item in mirrored.without_secrets}
        assert told == {each: ["environment.variables.SECURE_A"] for each in ids}
        assert {outcomes(mirrored)[each] for each in ids} == {outcome}
        assert SECRET.encode() not in files()
        assert SECRET not in json.dumps(everything_in(data))
    for outcome in ("changed", "unchanged"):
        mirrored = mirror(client, data, runs=True, with_credentials=True)
        assert mirrored.without_secrets == []
        assert {outcomes(mirrored)[each] for each in ids} == {outcome}
        assert everything_in(data) == everything(caller)
    assert outcomes(mirror(client, data, runs=True))[run["id"]] == "unchanged"
    assert everything_in(data) == everything(caller)


# What was made or changed in the data folder.


def test_what_was_made_or_changed_here_stays_and_conflicts_are_named(
    shared_tes: LocalTes, data: Path
) -> None:
    """Both services have the same tenant."""
    with served(data) as copy:
        own = copy.task("taken")
    with LocalTes() as tes, Caller(tes.url, tes.token) as caller, client_of(*of(caller)) as client:
        clash, task, both = (caller.task(name) for name in ("taken", "a", "b"))
        mirrored = mirror(client, data)
        assert set(outcomes(mirrored).values()) == {"new"}
        reasons = {item.id: item.reason for item in mirrored.items if item.reason}
        assert reasons == {clash["id"]: f"{own['id']}, made here, has the same name"}

        path = f"/v1/tasks/{task['id']}"
        version_id = task["taskVersions"][0]["id"]
        with served(data) as copy:
            copy.ok("PATCH", f"{path}/versions/{version_id}", {"execution": TRUE})
            copy.ok("PATCH", f"/v1/tasks/{both['id']}", {"acl": ["tid:nobody"]})
            local = copy.ok("POST", f"{path}/versions", {"version": "2"})
            before = everything(copy)
            assert {own["id"], local["id"], both["id"], clash["id"]} <= before.keys()
        assert outcomes(mirror(client, data))[version_id] == "changed here"
        caller.ok("PATCH", f"/v1/tasks/{both['id']}", {"description": "there"})
        second = caller.ok("POST", f"{path}/versions", {"version": "2"})
        mirrored = mirror(client, data)
        told = {item.id: (item.outcome.value, item.reason) for item in mirrored.missing}
        assert told == {
            both["id"]: ("conflict", "it was changed both here and at the source"),
            second["id"]: ("conflict", "its task has another version of this name"),
        }
        assert everything_in(data) == before


def of(caller: Caller) -> tuple[str, str]:
    return caller.url, caller.token


def test_a_folder_in_use_and_that_of_the_service_itself_are_refused(
    tmp_path: Path, data: Path
) -> None:
    copied = tmp_path / "copied"
    with LocalTes(data=data) as tes, Caller(tes.url, tes.token) as caller:
        with client_of(*of(caller)) as client:
            mirror(client, tmp_path / "empty")
            caller.task()
            for dry_run in (False, True):
                with pytest.raises(RuntimeError, match=f"{data} is in use by another service"):
                    mirror(client, data, dry_run=dry_run)
            with contextlib.closing(sqlite3.connect(data / DATABASE)) as db:
                copied.mkdir(mode=0o700)
                db.execute("VACUUM INTO ?", (str(copied / DATABASE),))
            with pytest.raises(ValueError, match=f"is that of {caller.url}, or a copy of it"):
                mirror(client, copied)
            assert everything_in(copied) == everything(caller)
            mirror(client, tmp_path / "empty")
        before = everything(caller)
    copied.chmod(0o770)
    with served(tmp_path / "empty") as copy, client_of(*of(copy)) as client:
        damaged = tmp_path / "damaged"
        damaged.mkdir(mode=0o700)
        (damaged / DATABASE).write_bytes(b"x" * 5000)
        for folder, reason in (
            (copied, "other users can write"),
            (data, "or a copy of it"),
            (damaged, "--repair"),
        ):
            with pytest.raises(ValueError, match=reason):
                mirror(client, folder)
    assert everything_in(data) == before


# The store.


def test_copies_stay_visible_after_an_upgrade_and_a_repair_and_are_forgotten_with_their_runs(
    client: libtes.ApiClient, caller: Caller, data: Path
) -> None:
    data.mkdir(mode=0o700)
    with contextlib.closing(sqlite3.connect(data / DATABASE)) as db:
        db.executescript(_version_2())
    for name in "abc":
        caller.task(name, environment={"variables": {"SECURE_A": SECRET}})
    run = caller.start({**ECHO, "args": []}, "Completed")
    mirror(client, data, runs=True)
    assert (data / f"{DATABASE}.v2.bak").exists()
    before = everything_in(data)
    with (data / DATABASE).open("r+b") as file:
        file.write(b"x" * 100)
    repair(data / DATABASE)
    assert everything_in(data) == before
    mirrored = mirror(client, data, runs=True)
    assert set(outcomes(mirrored).values()) == {"unchanged"}
    assert len(mirrored.without_secrets) == 3
    with contextlib.closing(Store(data / DATABASE)) as store:
        assert store.prune(-1).result() == 1
    with contextlib.closing(sqlite3.connect(data / DATABASE)) as db:
        assert db.execute(
            "SELECT count(*) FROM mirrored WHERE id = ?", (run["id"],)
        ).fetchone() == (0,)
    assert outcomes(mirror(client, data, runs=True))[run["id"]] == "new"


def _version_2() -> str:
    from libica.local.store import schema

    tables = schema._TABLES.replace(schema._MIRRORED, "")
    return f"{tables} {schema._INDEXES} {schema._TRIGGERS} PRAGMA user_version = 2;"


def test_the_example_of_the_guide_runs(
    client: libtes.ApiClient,
    caller: Caller,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    caller.task()
    monkeypatch.setenv("ICA_BASE_URL", caller.url)
    monkeypatch.setenv("ICA_ACCESS_TOKEN", caller.token)
    monkeypatch.chdir(tmp_path)
    (example,) = examples_in(DOCS / "how-to" / "take-tasks-along.md")
    example.run()
    assert capsys.readouterr().out == "{'task': {'new': 1}, 'version': {'new': 1}}\n"
