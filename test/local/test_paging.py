"""Lists: sorts, filters, page sizes, totals, and tokens that lead from page to page."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from libica.local.service import paging
from libica.local.service.access import signed
from libica.local.store import lists
from libica.local.store.identity import Identity
from libica.local.store.store import Store

from .caller import SLEEP, TRUE, Caller, Json

KEY = b"key"


def pages(caller: Caller, path: str, query: str = "", step: str = "next") -> Iterator[Json]:
    page = caller.made("GET", f"{path}?{query}")
    yield page
    while page.get(f"{step}PageToken"):
        page = caller.made("GET", f"{path}?pageToken={page[f'{step}PageToken']}")
        yield page


def names(page: Json) -> list[str]:
    return [each.get("name", each.get("version")) for each in page["items"]]


def walk(caller: Caller, path: str, query: str = "") -> list[str]:
    return [name for page in pages(caller, path, query) for name in names(page)]


@pytest.fixture
def ten(caller: Caller) -> list[str]:
    """Ten tasks, whose names are not in the order of their making."""
    made = [f"n{(number * 7) % 10}" for number in range(10)]
    for name in made:
        caller.made("POST", "/v1/tasks", {"name": name})
    return made


@pytest.mark.parametrize("size", [1, 2, 3, 5, 9, 10, 11, 1000])
@pytest.mark.parametrize("sort", ["", "timeCreated", "timeCreated desc", "name asc", "NAME DESC"])
def test_pages_of_every_size_show_all_in_order(
    size: int, sort: str, caller: Caller, ten: list[str]
) -> None:
    expected = sorted(ten) if "name" in sort.lower() else list(ten)
    if "desc" in sort.lower():
        expected.reverse()
    query = f"pageSize={size}" + (f"&sort={quote(sort)}" if sort else "")
    found = list(pages(caller, "/v1/tasks", query))
    assert [name for page in found for name in names(page)] == expected
    assert len(found) == -(-10 // size)
    assert [page["itemCount"] for page in found[:-1]] == [size] * (len(found) - 1)
    assert "prevPageToken" not in found[0]
    assert "nextPageToken" not in found[-1]


@pytest.mark.parametrize("size", [1, 3, 5, 10, 20])
def test_first_last_and_previous_lead_to_the_same_pages(
    size: int, caller: Caller, ten: list[str]
) -> None:
    forwards = list(pages(caller, "/v1/tasks", f"pageSize={size}&sort=name"))
    last = f"pageToken={forwards[0]['lastPageToken']}"
    backwards = list(pages(caller, "/v1/tasks", last, step="prev"))
    assert [names(page) for page in backwards] == [names(page) for page in reversed(forwards)]
    first = caller.made("GET", f"/v1/tasks?pageToken={forwards[-1]['firstPageToken']}")
    assert names(first) == names(forwards[0])
    assert "nextPageToken" not in backwards[0]
    assert "prevPageToken" not in backwards[-1]


def test_an_empty_list_is_one_empty_page(caller: Caller) -> None:
    page = caller.made("GET", "/v1/tasks?include=totalItemCount")
    assert (page["items"], page["itemCount"]) == ([], 0)
    assert (page["totalItemCount"], page["totalPageCount"]) == (0, 0)
    assert "nextPageToken" not in page
    for token in ("firstPageToken", "lastPageToken"):
        assert caller.made("GET", f"/v1/tasks?pageToken={page[token]}")["items"] == []


def test_ten_are_on_a_page_when_no_size_is_given(caller: Caller) -> None:
    for number in range(11):
        caller.made("POST", "/v1/tasks", {"name": str(number)})
    assert [page["itemCount"] for page in pages(caller, "/v1/tasks")] == [10, 1]


@pytest.mark.parametrize("listing", ["/v1/tasks", "/v1/tasks/runs", "/v1/tasks/{}/versions"])
@pytest.mark.parametrize("size", ["0", "1001", "-1", "x", "", "1.0", "9" * 5000, "²"])
def test_a_page_size_out_of_range_is_400(size: str, listing: str, caller: Caller) -> None:
    path = listing.format(caller.task()["id"])
    assert "pageSize must be 1 to 1000" in caller.refusal(400, "GET", f"{path}?pageSize={size}")


@pytest.mark.parametrize("sort", ["size", "name up", "name,timeCreated", "name asc desc", "status"])
def test_an_unknown_sort_is_400_and_the_known_ones_are_named(sort: str, caller: Caller) -> None:
    said = caller.refusal(400, "GET", f"/v1/tasks?sort={quote(sort)}")
    assert "name, timeCreated, timeModified" in said


def test_versions_are_sorted_by_each_field_and_filtered(caller: Caller) -> None:
    task, other = caller.task(), caller.task("other")
    path = f"/v1/tasks/{task['id']}/versions"
    ids = {"1": task["taskVersions"][0]["id"]}
    for name in ("3", "2"):
        ids[name] = caller.made("POST", path, {"version": name, "acl": [f"wid:{name}"]})["id"]
    caller.made("PATCH", f"{path}/{ids['1']}", {"description": "changed last"})
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


def test_runs_are_sorted_by_each_field_and_filtered(caller: Caller) -> None:
    task = caller.task(args=[])
    launched = caller.launch(task, name="b").json
    caller.run_when(launched["id"], "Completed")
    for name, execution, status in (("c", TRUE, "Completed"), ("a", SLEEP, "Running")):
        run = caller.made("POST", "/v1/tasks/runs", {"name": name, "execution": execution})
        caller.run_when(run["id"], status)
    path = "/v1/tasks/runs"
    for field, expected in {
        "name": ["a", "b", "c"],
        "timeCreated": ["b", "c", "a"],
        "timeModified": ["b", "c", "a"],
    }.items():
        assert walk(caller, path, f"sort={field}&pageSize=2") == expected
        assert walk(caller, path, f"sort={field}%20desc&pageSize=2") == expected[::-1]
    assert walk(caller, path, "sort=status%20desc&pageSize=1")[0] == "a"
    assert walk(caller, path, "sort=status&pageSize=1")[2] == "a"
    assert walk(caller, path, "names=a,b&sort=name") == ["a", "b"]
    assert walk(caller, path, "names=A") == []
    assert walk(caller, path, "status=Running") == ["a"]
    assert walk(caller, path, "status=Running,Completed&pageSize=1") == ["b", "c", "a"]
    assert walk(caller, path, "versions=1") == ["b"]
    assert walk(caller, path, f"versions={task['taskVersions'][0]['id']}") == ["b"]
    assert walk(caller, path, f"acls={quote(launched['acl'][0])}&names=c") == ["c"]


def test_the_id_decides_where_the_sorted_values_are_equal(caller: Caller) -> None:
    ids = [
        caller.made("POST", "/v1/tasks/runs", {"name": "same", "execution": SLEEP})["id"]
        for _ in range(7)
    ]
    for query, expected in (("name", sorted(ids)), ("name desc", sorted(ids)[::-1])):
        found = pages(caller, "/v1/tasks/runs", f"sort={quote(query)}&pageSize=3")
        assert [each["id"] for page in found for each in page["items"]] == expected


def test_names_of_parameters_come_in_any_casing_and_empty_ones_do_not_count(
    caller: Caller, ten: list[str]
) -> None:
    page = caller.made("GET", "/v1/tasks?PageSize=3&SORT=Name&names=&acls=&pageToken=&color=red")
    assert names(page) == sorted(ten)[:3]


def test_totals_come_only_when_asked_for(caller: Caller, ten: list[str]) -> None:
    first = caller.made("GET", "/v1/tasks?pageSize=3")
    assert not {"totalItemCount", "totalPageCount"} & set(first)
    asked = caller.made("GET", "/v1/tasks?pageSize=3&include=totalItemCount")
    assert (asked["totalItemCount"], asked["totalPageCount"]) == (10, 4)
    token = asked["nextPageToken"]
    assert "totalItemCount" not in caller.made("GET", f"/v1/tasks?pageToken={token}")
    query = f"pageToken={token}&include=totalItemCount"
    assert caller.made("GET", f"/v1/tasks?{query}")["totalItemCount"] == 10
    query = "names=n1,n2&include=totalItemCount"
    assert caller.made("GET", f"/v1/tasks?{query}")["totalItemCount"] == 2


def test_a_token_keeps_size_sort_and_filters(caller: Caller, ten: list[str]) -> None:
    query = "pageSize=2&sort=name%20desc&names=n1,n3,n5,n7"
    assert walk(caller, "/v1/tasks", query) == ["n7", "n5", "n3", "n1"]


def test_what_a_token_keeps_may_come_again_with_it_but_not_change(
    caller: Caller, ten: list[str]
) -> None:
    query = "pageSize=2&sort=name%20desc&names=n1,n3,n5,n7"
    token = caller.made("GET", f"/v1/tasks?{query}")["nextPageToken"]
    path = f"/v1/tasks?pageToken={token}"
    assert names(caller.made("GET", f"{path}&{query}")) == ["n3", "n1"]
    assert "stay 2" in caller.refusal(400, "GET", f"{path}&pageSize=3")
    assert "sort" in caller.refusal(400, "GET", f"{path}&sort=name")
    assert "names" in caller.refusal(400, "GET", f"{path}&names=n1")
    assert "acls" in caller.refusal(400, "GET", f"{path}&acls=x")


def test_a_token_that_this_list_did_not_give_is_400(caller: Caller, ten: list[str]) -> None:
    token = caller.made("GET", "/v1/tasks?pageSize=2")["nextPageToken"]
    data, _, signature = token.partition(".")
    forged = signed(b'["tasks","","name",false,{},2,9,false,null]', b"another key")
    for wrong in ("x", ".", f"{data}.", f"{data}A.{signature}", f"{token}=", forged, "\u00e9"):
        said = caller.refusal(400, "GET", f"/v1/tasks?pageToken={quote(wrong)}")
        assert "pageToken" in said
    caller.refusal(400, "GET", f"/v1/tasks/runs?pageToken={token}")
    task = caller.task()
    caller.refusal(400, "GET", f"/v1/tasks/{task['id']}/versions?pageToken={token}")


def test_a_token_shows_another_tenant_nothing(
    caller: Caller, other: Caller, ten: list[str]
) -> None:
    token = caller.made("GET", "/v1/tasks?pageSize=2")["nextPageToken"]
    assert other.made("GET", f"/v1/tasks?pageToken={token}")["items"] == []


@pytest.mark.parametrize("sort", ["name", "name desc", "timeCreated desc", "timeModified"])
def test_nothing_is_skipped_or_repeated_while_others_add(
    sort: str, caller: Caller, ten: list[str]
) -> None:
    stop = threading.Event()
    adder = Caller(caller.url, caller.token)

    def add() -> None:
        number = 0
        while not stop.is_set():
            # Names all over the place: before, between and after those that are there.
            adder.made("POST", "/v1/tasks", {"name": f"{'anz'[number % 3]}{number:04}x"})
            number += 1

    first = caller.made("GET", f"/v1/tasks?pageSize=1&sort={quote(sort)}")
    thread = threading.Thread(target=add)
    thread.start()
    try:
        found, page = names(first), first
        while page.get("nextPageToken"):
            page = caller.made("GET", f"/v1/tasks?pageToken={page['nextPageToken']}")
            found += names(page)
    finally:
        stop.set()
        thread.join()
        adder.close()
    assert sorted(found) == sorted(ten)


def test_a_filter_that_an_object_has_left_breaks_no_token(caller: Caller) -> None:
    runs = [
        caller.made("POST", "/v1/tasks/runs", {"name": name, "execution": SLEEP})["id"]
        for name in "abcdefgh"
    ]
    page = caller.made("GET", "/v1/tasks/runs?pageSize=4&status=Pending,Running&sort=name")
    for run in runs:
        caller("PUT", f"/v1/tasks/runs/{run}:abort")
        caller.run_when(run, "Aborted")
    following = caller.made("GET", f"/v1/tasks/runs?pageToken={page['nextPageToken']}")
    assert following["items"] == []
    assert "nextPageToken" not in following
    back = caller.made("GET", f"/v1/tasks/runs?pageToken={following['prevPageToken']}")
    assert back["items"] == []


def test_a_filter_may_have_thousands_of_values(caller: Caller, ten: list[str]) -> None:
    wanted = ",".join([*map(str, range(8000)), "n3"])
    assert names(caller.made("GET", f"/v1/tasks?names={wanted}")) == ["n3"]


@pytest.mark.parametrize("listing", [lists.TASKS, lists.VERSIONS, lists.RUNS])
def test_every_sort_and_filter_is_valid_sql(listing: lists.Listing) -> None:
    store = Store()
    by = Identity.named("main")
    for sort in listing.sorts:
        for direction in ("asc", "desc"):
            query: dict[str, Any] = dict.fromkeys(map(str.lower, listing.filters), "a,b")
            query["sort"] = f"{sort} {direction}"
            cursor = paging.read(listing, "", query, KEY)
            assert set(cursor.filters) == set(listing.filters)
            for start in (None, ("a", "b")):
                for backwards in (False, True):
                    page = store.page(listing, cursor.at(start, backwards), by, total=True)
                    assert (page.items, page.total) == ([], 0)
    store.close()
