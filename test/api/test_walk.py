"""Walks over all pages of a list: on demand, in order, with one page in memory, to an end."""

from __future__ import annotations

import gc
import itertools
import json
import traceback
from collections.abc import Callable, Iterator
from typing import Any, Optional

import pytest

from libica.openapi import libtes

from ..operations import LISTS, Operation
from ..server import Answer, Asked, Server

Json = dict[str, Any]


class Walk:
    """The walk over the pages of an operation that lists."""

    def __init__(self, operation: Operation, client: libtes.ApiClient) -> None:
        self.name = operation.name.replace("list_", "iter_")
        self.api, self.client = getattr(libtes, operation.api), client
        self.ids, self.path = operation.ids, operation.target
        self.filter = operation.filters[0]
        [self.item] = operation.answer["items"]
        self.model = getattr(libtes, operation.returns.removesuffix("PagedItems"))

    def start(self, **arguments: Any) -> Iterator[Any]:
        return getattr(self.api(self.client), self.name)(*self.ids.values(), **arguments)

    def page(self, first: int, count: int, next_token: Optional[str] = None) -> Json:
        """Return a page of numbered objects."""
        items = [{**self.item, "id": str(first + at)} for at in range(count)]
        return {"items": items, "itemCount": count, "nextPageToken": next_token}


@pytest.fixture(params=LISTS, ids=str)
def walk(request: Any, client: libtes.ApiClient) -> Walk:
    return Walk(request.param, client)


def pages(walk: Walk, count: int, size: int = 2) -> Callable[[Asked], Answer]:
    """Return a script that serves so many pages, their tokens being their numbers from 1 on."""

    def answer(asked: Asked) -> Answer:
        number = int(asked.query.get("pageToken", 0))
        token = str(number + 1) if number + 1 < count else None
        return Answer(body=walk.page(number * size, size, token))

    return answer


def test_all_objects_of_all_pages_come_in_order(server: Server, walk: Walk) -> None:
    server.answer(pages(walk, 5))
    items = list(walk.start())
    assert [item.id for item in items] == [str(number) for number in range(10)]
    assert {type(item) for item in items} == {walk.model}
    assert [asked.query.get("pageToken") for asked in server.asked] == [None, "1", "2", "3", "4"]
    assert {(asked.method, asked.path) for asked in server.asked} == {("GET", walk.path)}


def test_a_page_is_requested_when_it_is_needed(server: Server, walk: Walk) -> None:
    server.answer(pages(walk, 3))
    items = walk.start()
    assert iter(items) is items
    assert server.asked == []
    assert [len(server.asked) for _ in items] == [1, 1, 2, 2, 3, 3]
    assert len(server.asked) == 3
    server.answer(pages(walk, 1000))
    assert [item.id for item in itertools.islice(walk.start(), 3)] == ["0", "1", "2"]
    assert len(server.asked) == 5


def test_pages_have_1000_objects_by_default(server: Server, walk: Walk) -> None:
    for given in ({}, {"page_size": None}):
        server.answer(pages(walk, 2))
        list(walk.start(**given))
    assert [asked.query["pageSize"] for asked in server.asked] == ["1000"] * 4


def test_page_size_sort_and_filters_are_the_same_on_every_page(server: Server, walk: Walk) -> None:
    server.answer(pages(walk, 3))
    given = {"page_size": 2, "sort": "timeCreated desc", "acls": ["tid:a", "wid:b"]}
    list(walk.start(**given, **{walk.filter: ("a", "b")}))
    kept = {"pageSize": "2", "sort": "timeCreated desc", "acls": "tid:a,wid:b", walk.filter: "a,b"}
    assert [asked.query for asked in server.asked] == [
        *(kept, {**kept, "pageToken": "1"}, {**kept, "pageToken": "2"})
    ]


def test_a_walk_can_start_at_a_page(server: Server, walk: Walk) -> None:
    server.answer(pages(walk, 4))
    assert [item.id for item in walk.start(page_token="2")] == ["4", "5", "6", "7"]
    assert [asked.query["pageToken"] for asked in server.asked] == ["2", "3"]


def test_tokens_are_handed_back_as_they_came(server: Server, walk: Walk) -> None:
    token = "a+b/c==&pageSize=1#é中%2F "
    server.answer(Answer(body=walk.page(0, 1, token)), Answer(body=walk.page(1, 1)))
    assert len(list(walk.start())) == 2
    assert server.last.query == {"pageSize": "1000", "pageToken": token}


def test_a_walk_is_made_of_its_own_arguments(server: Server, walk: Walk) -> None:
    server.answer(pages(walk, 2))
    first, second = walk.start(page_size=2), walk.start(page_size=3)
    together = list(itertools.chain.from_iterable(zip(first, second)))
    assert [item.id for item in together] == ["0", "0", "1", "1", "2", "2", "3", "3"]
    found = sorted((asked.query["pageSize"], len(asked.query)) for asked in server.asked)
    assert found == [("2", 1), ("2", 2), ("3", 1), ("3", 2)]


@pytest.mark.parametrize(
    "last",
    [*({"items": [], "nextPageToken": token} for token in (None, "")), {"items": None}, {}],
    ids=json.dumps,
)
def test_a_walk_ends_with_a_page_without_a_token(server: Server, walk: Walk, last: Json) -> None:
    server.answer(Answer(body=walk.page(0, 2, "next")), Answer(body=last))
    assert [item.id for item in walk.start()] == ["0", "1"]
    assert len(server.asked) == 2
    server.answer(Answer(body=last))
    assert list(walk.start()) == []
    assert len(server.asked) == 3


def test_an_empty_page_in_between_does_not_end_a_walk(server: Server, walk: Walk) -> None:
    empty = walk.page(1, 0, "2")
    server.answer(*(Answer(body=page) for page in (walk.page(0, 1, "1"), empty, walk.page(1, 1))))
    assert [item.id for item in walk.start()] == ["0", "1"]


@pytest.mark.parametrize("start", [None, "a"])
def test_a_token_that_is_repeated_ends_a_walk_with_an_error_that_does_not_show_it(
    server: Server, walk: Walk, start: Optional[str]
) -> None:
    tokens = ["signed-and-secret-b", "signed-and-secret-c", start or "signed-and-secret-b"]
    server.answer(*(Answer(body=walk.page(at, 1, token)) for at, token in enumerate(tokens)))
    items = walk.start(page_token=start)
    assert [item.id for item in itertools.islice(items, 3)] == ["0", "1", "2"]
    with pytest.raises(libtes.InvalidResponseException, match="token") as caught:
        next(items)
    assert "signed-and-secret" not in str(caught.value) + repr(caught.value)
    assert [asked.query.get("pageToken") for asked in server.asked] == [start, *tokens[:2]]
    assert list(items) == []


@pytest.mark.parametrize("shown", [False, True])
def test_a_walk_that_fails_keeps_page_tokens_in_its_frames_only_if_locals_are_shown(
    server: Server, walk: Walk, shown: bool
) -> None:
    walk.client.configuration.show_locals = shown
    twice = [Answer(body=walk.page(0, 1, "signed-and-secret"))] * 2
    for last in (Answer(403), twice[0]):
        server.answer(*twice[:1], last)
        with pytest.raises(libtes.ApiException) as caught:
            list(walk.start(page_token="given-and-secret"))
        trace = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        frames = [each for each in trace.stack if each.name == "_walk"]
        assert ("and-secret" in str([each.locals for each in frames])) is shown


def test_a_page_that_fails_ends_a_walk_with_its_error(server: Server, walk: Walk) -> None:
    failed = Answer(403, {"code": "FORBIDDEN", "message": "not yours"})
    server.answer(Answer(body=walk.page(0, 2, "1")), failed)
    items = walk.start()
    assert [next(items).id, next(items).id] == ["0", "1"]
    with pytest.raises(libtes.ForbiddenException, match="not yours"):
        next(items)
    assert list(items) == []


class Living:
    """Counts the objects of a class that were made since, and still are."""

    def __init__(self, cls: type) -> None:
        self._cls = cls
        self._before = {id(each): each for each in self._all()}

    def _all(self) -> list[Any]:
        return [each for each in gc.get_objects() if type(each) is self._cls]

    def count(self) -> int:
        return sum(id(each) not in self._before for each in self._all())


def test_one_page_is_in_memory_and_gone_before_the_next_is_there(
    server: Server, walk: Walk
) -> None:
    size, total = 50, 0
    serve = pages(walk, 4, size)
    living = Living(walk.model)
    alive: list[int] = []

    def count_and_serve(asked: Asked) -> Answer:
        alive.append(living.count())
        return serve(asked)

    server.answer(count_and_serve)
    for total, item in enumerate(walk.start(), 1):
        assert item.id == str(total - 1)
        if total % size == 2:
            assert living.count() == size
    assert total == 4 * size
    # The loop's own variable holds one while the page after it is fetched.
    assert alive == [0, 1, 1, 1]


def test_the_timeout_holds_for_every_page(server: Server, walk: Walk) -> None:
    timeouts = []

    class Client(libtes.ApiClient):
        def call_api(self, *args: Any, **kwargs: Any) -> Any:
            timeouts.append(kwargs["_request_timeout"])
            return super().call_api(*args, **kwargs)

    server.answer(pages(walk, 3))
    with Client(walk.client.configuration) as walk.client:
        assert len(list(walk.start(_request_timeout=(5, 30)))) == 6
    assert timeouts == [(5, 30)] * 3


def test_the_id_of_the_task_can_be_a_keyword(server: Server, client: libtes.ApiClient) -> None:
    list(libtes.TaskVersionsApi(client).iter_task_versions(task_id="t"))
    assert server.last.path == "/v1/tasks/t/versions"
