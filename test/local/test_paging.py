"""Lists: sorts, filters, page sizes, totals, and tokens that lead from page to page."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterator
from typing import Any
from unittest import mock
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from itsdangerous import Signer

from libica.local.service import paging
from libica.local.store import lists, objects
from libica.local.store import query as pages_of_store
from libica.local.store.identity import Identity
from libica.local.store.store import Store

from ..helpers import few_examples
from .caller import SLEEP, TRUE, Caller, Json

KEY = b"key"
TENANTS = map(str, itertools.count())


def pages(caller: Caller, path: str, query: str = "", step: str = "next") -> Iterator[Json]:
    page = caller.ok("GET", f"{path}?{query}")
    yield page
    while page.get(f"{step}PageToken"):
        page = caller.ok("GET", f"{path}?pageToken={page[f'{step}PageToken']}")
        yield page


def names(page: Json) -> list[str]:
    return [each.get("name", each.get("version")) for each in page["items"]]


def walk(caller: Caller, path: str, query: str = "") -> list[str]:
    return [name for page in pages(caller, path, query) for name in names(page)]


@pytest.fixture
def ten(caller: Caller) -> list[str]:
    """Ten tasks that were not created in the order of their names."""
    created = [f"n{(number * 7) % 10}" for number in range(10)]
    for name in created:
        caller.ok("POST", "/v1/tasks", {"name": name})
    return created


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    store = Store()
    yield store
    store.close()


@settings(few_examples, max_examples=40)
@given(
    created=st.lists(st.text(max_size=3), max_size=12, unique=True),
    sort=st.sampled_from(["", "timeCreated", "timeCreated DESC", "NAME asc", "name desc"]),
    size=st.integers(1, 13),
)
def test_pages_of_any_size_show_everything_in_order_in_both_directions(
    store: Store, created: list[str], sort: str, size: int
) -> None:
    by = Identity.named(next(TENANTS))
    for name in created:
        store.add_task(objects.task({"name": name}, by)).result()
    expected = sorted(created) if "name" in sort.lower() else list(created)
    expected = expected[::-1] if "desc" in sort.lower() else expected

    def fetch(query: dict[str, str]) -> tuple[list[str], dict[str, Any]]:
        cursor = paging.read(lists.TASKS, "", query, KEY)
        page = store.page(lists.TASKS, cursor, by, total=True)
        found = [json.loads(item)["name"] for item in page.items]
        envelope = paging.envelope(page, KEY)
        assert (envelope["itemCount"], envelope["totalItemCount"]) == (len(found), len(created))
        return found, envelope

    def walked(query: dict[str, str], step: str) -> list[list[str]]:
        found, envelope = fetch(query)
        every = [found]
        while token := envelope.get(f"{step}PageToken"):
            found, envelope = fetch({"pagetoken": token})
            every.append(found)
        return every

    query = {"pagesize": str(size), "sort": sort}
    forwards = walked(query, "next")
    assert [name for page in forwards for name in page] == expected
    assert [len(page) for page in forwards[:-1]] == [size] * (len(forwards) - 1)
    first, envelope = fetch(query)
    assert "prevPageToken" not in envelope
    assert walked({"pagetoken": envelope["lastPageToken"]}, "prev") == forwards[::-1]
    assert fetch({"pagetoken": envelope["firstPageToken"]})[0] == first


EXECUTION = {"command": "true"}


@settings(few_examples, max_examples=60)
@given(
    made=st.lists(
        st.fixed_dictionaries(
            {
                "by": st.sampled_from(["me", "colleague", "stranger"]),
                "acl": st.sampled_from([None, ["wid:a"], ["wid:b", "wid:a"], ["wid:c"]]),
                **{
                    each: st.sampled_from("ab")
                    for each in ("name", "status", "version", "timeCreated", "timeModified")
                },
            }
        ),
        max_size=25,
    ),
    sort=st.sampled_from(["timeCreated", "timeModified", "name", "status"]),
    descending=st.booleans(),
    filters=st.dictionaries(
        st.sampled_from(["names", "status", "versions", "acls"]),
        st.lists(st.sampled_from(["a", "b", "wid:a", "wid:c", "id:a"]), min_size=1, max_size=3),
    ),
    size=st.integers(1, 26),
    limits=st.sampled_from([(256, 1000), (256, 2), (2, 1000), (1, 1)]),
)
def test_pages_of_runs_are_those_of_a_plain_sort_and_filter(
    store: Store,
    made: list[dict[str, Any]],
    sort: str,
    descending: bool,
    filters: dict[str, list[str]],
    size: int,
    limits: tuple[int, int],
) -> None:
    tenant = next(TENANTS)
    callers = {user: Identity.named(tenant, user=user) for user in ("me", "colleague")}
    callers["stranger"] = Identity.named(next(TENANTS))
    me, expected = callers["me"], []
    for number, row in enumerate(made):
        run = objects.run({"name": row["name"], "acl": row["acl"]}, EXECUTION, callers[row["by"]])
        run["taskVersionSummary"] = {"version": row["version"], "id": f"id:{row['version']}"}
        run |= {each: row[each] for each in ("status", "timeCreated", "timeModified")}
        store.add_run(run, EXECUTION).result()
        values = {
            "names": {run["name"]},
            "status": {run["status"]},
            "versions": {row["version"], f"id:{row['version']}"},
            "acls": set(run["acl"]),
        }
        visible = run["createdBy"] == me.user or set(run["acl"]) & set(me.acl)
        if visible and all(values[name] & set(filters[name]) for name in filters):
            key = [run[column] for column in lists.RUNS.sorts[sort]]
            expected.append((key, number, run["id"]))
    expected.sort(reverse=descending)
    query_text = {name: ",".join(accepted) for name, accepted in filters.items()}
    cursor = paging.read(
        lists.RUNS,
        "",
        {"sort": f"{sort} {'desc' if descending else 'asc'}", "pagesize": str(size), **query_text},
        KEY,
    )

    def walked(cursor: lists.Cursor) -> list[list[str]]:
        page = store.page(lists.RUNS, cursor, me, total=True)
        assert page.total == len(expected)
        found = [json.loads(item)["id"] for item in page.items]
        if not (page.before if cursor.backwards else page.after):
            return [found]
        assert page.ends is not None
        beyond = page.ends[0] if cursor.backwards else page.ends[1]
        return [found, *walked(page.cursor.at(beyond, cursor.backwards))]

    every = [run_id for *_, run_id in expected]
    pages_of_it = [every[at : at + size] for at in range(0, len(every), size)] or [[]]
    with mock.patch.multiple(pages_of_store, _ARMS=limits[0], _FEW=limits[1]):
        assert walked(cursor) == pages_of_it
        assert walked(cursor.at(None, backwards=True)) == pages_of_it[::-1]


@pytest.mark.parametrize("sort", ["timeCreated", "timeCreated desc"])
def test_a_clock_that_is_set_back_neither_hides_nor_repeats_runs(
    sort: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    by = Identity.named(next(TENANTS))
    clock = itertools.cycle(["2026-03-01", "2026-02-01", "2030-01-01", "2026-01-01"])
    monkeypatch.setattr(objects, "now", lambda: f"{next(clock)}T00:00:00.0000000Z")

    def add() -> str:
        run = objects.run({}, EXECUTION, by)
        store.add_run(run, EXECUTION).result()
        return str(run["id"])

    made = [add() for _ in range(10)]
    cursor = paging.read(lists.RUNS, "", {"sort": sort, "pagesize": "3"}, KEY)
    found: list[str] = []
    while True:
        page = store.page(lists.RUNS, cursor, by, total=True)
        found += [json.loads(item)["id"] for item in page.items]
        assert page.total == 10
        if page.ends is None or not page.after:
            break
        cursor = page.cursor.at(page.ends[1], backwards=False)
        add()
    assert sorted(found) == sorted(made)
    assert [run_id for run_id in store.runs.pending(1000) if run_id in made] == made


@pytest.mark.parametrize("listing", [lists.TASKS, lists.VERSIONS, lists.RUNS])
def test_every_sort_and_filter_is_valid_sql(store: Store, listing: lists.Listing) -> None:
    by = Identity.named("nobody")
    for sort, backwards in itertools.product(listing.sorts, (False, True)):
        query: dict[str, str] = dict.fromkeys(map(str.lower, listing.filters), "a,b")
        cursor = paging.read(listing, "", {**query, "sort": f"{sort} desc"}, KEY)
        assert set(cursor.filters) == set(listing.filters)
        for start in (None, [*listing.sorts[sort], 1]):
            page = store.page(listing, cursor.at(start, backwards), by, total=True)
            assert (page.items, page.total) == ([], 0)


def test_an_empty_list_is_one_empty_page_and_the_default_size_is_ten(caller: Caller) -> None:
    page = caller.ok("GET", "/v1/tasks?include=totalItemCount")
    assert (page["items"], page["itemCount"]) == ([], 0)
    assert (page["totalItemCount"], page["totalPageCount"]) == (0, 0)
    assert not {"nextPageToken", "prevPageToken"} & set(page)
    for number in range(11):
        caller.ok("POST", "/v1/tasks", {"name": str(number)})
    assert [page["itemCount"] for page in pages(caller, "/v1/tasks")] == [10, 1]


def test_an_invalid_page_size_or_sort_is_400(caller: Caller) -> None:
    version = f"/v1/tasks/{caller.task()['id']}/versions"
    for size in ("0", "1001", "-1", "x", "", "1.0", "9" * 5000, "²"):
        for path in ("/v1/tasks", "/v1/tasks/runs", version):
            message = caller.refused(400, "GET", f"{path}?pageSize={quote(size)}")
            assert "pageSize must be 1 to 1000" in message
    for sort in ("size", "name up", "name,timeCreated", "name asc desc", "status"):
        message = caller.refused(400, "GET", f"/v1/tasks?sort={quote(sort)}")
        assert "name, timeCreated, timeModified" in message


def test_versions_are_sorted_by_each_field_and_filtered(caller: Caller) -> None:
    task, other = caller.task(), caller.task("other")
    path = f"/v1/tasks/{task['id']}/versions"
    ids = {"1": task["taskVersions"][0]["id"]}
    for name in ("3", "2"):
        ids[name] = caller.ok("POST", path, {"version": name, "acl": [f"wid:{name}"]})["id"]
    caller.ok("PATCH", f"{path}/{ids['1']}", {"description": "changed last"})
    for field, expected in {
        "version": ["1", "2", "3"],
        "name": ["1", "2", "3"],
        "timeCreated": ["1", "3", "2"],
        "timeModified": ["3", "2", "1"],
    }.items():
        assert walk(caller, path, f"sort={field}&pageSize=2") == expected
        assert walk(caller, path, f"sort={field}%20desc&pageSize=2") == expected[::-1]
    assert walk(caller, path, "versions=1,3,9") == ["1", "3"]
    assert walk(caller, path, f"ids={ids['2']},{ids['3']}&pageSize=1") == ["3", "2"]
    assert walk(caller, path, "acls=wid:2,wid:3&sort=name") == ["2", "3"]
    assert walk(caller, path, "acls=wid:2&versions=3") == []
    assert walk(caller, f"/v1/tasks/{other['id']}/versions") == ["1"]


def test_runs_are_sorted_by_each_field_then_by_their_creation_and_filtered(caller: Caller) -> None:
    task = caller.task(args=[])
    launched = caller.launch(task, name="b").json
    caller.run_when(launched["id"], "Completed")
    caller.start(TRUE, "Completed", name="c")
    caller.start(SLEEP, "Running", name="a")
    version = task["taskVersions"][0]["id"]
    for query, expected in {
        "sort=name": "abc",
        "sort=name%20desc": "cba",
        "sort=timeCreated": "bca",
        "sort=timeModified%20desc": "acb",
        "names=a,b&sort=name": "ab",
        "names=A": "",
        f"names={','.join(map(str, range(8000)))},b": "b",
        "status=Running": "a",
        "status=Running,Completed": "bca",
        "versions=1": "b",
        f"versions={version}": "b",
        f"acls={quote(launched['acl'][0])}&names=c": "c",
    }.items():
        assert "".join(walk(caller, "/v1/tasks/runs", f"{query}&pageSize=2")) == expected
    ids = [caller.start(SLEEP, name="same")["id"] for _ in range(5)]
    for sort, ordered in (("name", ids), ("name desc", ids[::-1])):
        found = pages(caller, "/v1/tasks/runs", f"sort={quote(sort)}&pageSize=3&names=same")
        assert [each["id"] for page in found for each in page["items"]] == ordered
    first, *_ = walk(caller, "/v1/tasks/runs", "sort=status%20desc&pageSize=1")
    assert first in ("a", "same")


def test_parameters_may_have_any_casing_and_empty_ones_are_ignored(
    caller: Caller, ten: list[str]
) -> None:
    page = caller.ok("GET", "/v1/tasks?PageSize=3&SORT=Name&names=&acls=&pageToken=&color=red")
    assert names(page) == sorted(ten)[:3]


def test_totals_come_only_on_request(caller: Caller, ten: list[str]) -> None:
    first = caller.ok("GET", "/v1/tasks?pageSize=3")
    assert not {"totalItemCount", "totalPageCount"} & set(first)
    for query, totals in {"pageSize=3": (10, 4), "names=n1,n2": (2, 1)}.items():
        page = caller.ok("GET", f"/v1/tasks?{query}&include=totalItemCount")
        assert (page["totalItemCount"], page["totalPageCount"]) == totals
    token = first["nextPageToken"]
    assert "totalItemCount" not in caller.ok("GET", f"/v1/tasks?pageToken={token}")


def test_a_token_keeps_size_sort_and_filters_which_must_not_change(
    caller: Caller, ten: list[str]
) -> None:
    query = "pageSize=2&sort=name%20desc&names=n1,n3,n5,n7"
    assert walk(caller, "/v1/tasks", query) == ["n7", "n5", "n3", "n1"]
    token = caller.ok("GET", f"/v1/tasks?{query}")["nextPageToken"]
    path = f"/v1/tasks?pageToken={token}"
    assert names(caller.ok("GET", f"{path}&{query}")) == ["n3", "n1"]
    for change, expected in {
        "pageSize=3": "stay 2",
        "sort=name": "sort",
        "names=n1": "names",
        "acls=x": "acls",
    }.items():
        assert expected in caller.refused(400, "GET", f"{path}&{change}")


def test_a_token_that_is_not_of_this_list_is_400_and_shows_another_tenant_nothing(
    caller: Caller, other: Caller, ten: list[str]
) -> None:
    token = caller.ok("GET", "/v1/tasks?pageSize=2")["nextPageToken"]
    assert other.ok("GET", f"/v1/tasks?pageToken={token}")["items"] == []
    data, _, signature = token.rpartition(".")
    forged = Signer(b"another key", salt="libica-local:page").sign(data).decode()
    for wrong in ("x", ".", f"{data}.", f"{data}A.{signature}", forged, "\u00e9"):
        message = caller.refused(400, "GET", f"/v1/tasks?pageToken={quote(wrong)}")
        assert "pageToken" in message
    for path in ("/v1/tasks/runs", f"/v1/tasks/{caller.task()['id']}/versions"):
        caller.refused(400, "GET", f"{path}?pageToken={token}")


@pytest.mark.parametrize("sort", ["name", "timeCreated desc", "timeModified"])
def test_paging_skips_and_repeats_nothing_while_objects_are_added(
    sort: str, caller: Caller, ten: list[str]
) -> None:
    stop = threading.Event()

    def add() -> None:
        with Caller(caller.url, caller.token) as adder:
            for number in itertools.count():
                # Names before, between and after those that are there.
                adder.ok("POST", "/v1/tasks", {"name": f"{'anz'[number % 3]}{number:04}x"})
                if stop.is_set():
                    return

    thread = threading.Thread(target=add)
    found = pages(caller, "/v1/tasks", f"pageSize=1&sort={quote(sort)}")
    first = names(next(found))
    thread.start()
    try:
        rest = [name for page in found for name in names(page)]
    finally:
        stop.set()
        thread.join()
    assert sorted(first + rest) == sorted(ten)


def test_a_token_stays_valid_when_all_objects_have_left_its_filter(caller: Caller) -> None:
    runs = [caller.start(SLEEP, name=name)["id"] for name in "abcdefgh"]
    page = caller.ok("GET", "/v1/tasks/runs?pageSize=4&status=Pending,Running&sort=name")
    for run in runs:
        caller.abort(run)
        caller.run_when(run, "Aborted")
    following = caller.ok("GET", f"/v1/tasks/runs?pageToken={page['nextPageToken']}")
    assert following["items"] == []
    assert "nextPageToken" not in following
    back = caller.ok("GET", f"/v1/tasks/runs?pageToken={following['prevPageToken']}")
    assert back["items"] == []
