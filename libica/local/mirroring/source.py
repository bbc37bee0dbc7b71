"""Reads another service politely: few calls at a time, and as slowly as it asks for."""

from __future__ import annotations

import copy
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Optional, Union

from libica.openapi import libtes
from libica.openapi.libtes.models.base import Model
from libica.openapi.libtes.models.decoding import Mismatch, converter
from libica.openapi.libtes.models.page import Page

Json = dict[str, Any]

AT_ONCE = 4
"""Calls that are made at the same time."""
NOT_VISIBLE = (libtes.ForbiddenException, libtes.NotFoundException)
"""What a service says of an object that the caller may not see."""

_OF_ONE_OBJECT = (
    *NOT_VISIBLE,
    libtes.BadRequestException,
    libtes.ServiceException,
    libtes.InvalidResponseException,
)
# What a service of this package relies on in what it stores.
_NEEDED = ("id", "timeCreated", "timeModified")
_NAMES: dict[type[Model], str] = {
    **dict.fromkeys((libtes.TaskSummary, libtes.TaskSummaryPagedItems), "name"),
    **dict.fromkeys((libtes.TaskVersion, libtes.TaskVersionSummaryPagedItems), "version"),
    **dict.fromkeys((libtes.TaskRun, libtes.TaskRunSummaryPagedItems), "status"),
}
_QUERY = {"pageSize": 1000, "sort": "timeCreated asc"}
_PAUSE = 30.0  # seconds after 429, unless the service says how long
_LONGEST = 15 * 60.0  # seconds that the service may ask to wait
_REFUSALS = 10  # of one call, by 429
_FAILURES = 3  # of calls in a row, after which the service is taken to be out of order


class Request(NamedTuple):
    """A request that reads an object.

    Attributes:
        path: Its path, with ids as `{name}`.
        ids: The ids.
        returns: The model of the response.
    """

    path: str
    ids: Mapping[str, str]
    returns: type[Model]


Found = Union[Json, libtes.ApiException]
"""An object or a page, or why it cannot be read."""


class Source:
    """Another service, of which objects are read as the JSON that it sends.

    Nulls are left out, since they mean the same as fields that are absent.

    Args:
        client: A client of the service; its connections are not used.
    """

    def __init__(self, client: libtes.ApiClient) -> None:
        self._client = libtes.ApiClient(
            client.configuration, cookie=client.cookie, pool_threads=AT_ONCE
        )
        self._client.default_headers.update(client.default_headers)
        self._failures = 0

    @property
    def host(self) -> str:
        """The URL of the service."""
        return self._client.configuration.host

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *raised: Any) -> None:
        self._client.__exit__(*raised)

    def objects(self, requests: Iterable[Request]) -> Iterator[Found]:
        """Read objects, in their order.

        Raises:
            ApiException: The service cannot be reached, refuses the token, is too busy, or fails
                several times in a row.
        """
        yield from self._ahead((request, {}) for request in requests)

    def lists(
        self, requests: Sequence[Request]
    ) -> Iterator[Union[list[Json], libtes.ApiException]]:
        """Read lists with all their pages, in their order; raises as `objects`."""
        for request, page in zip(requests, self._ahead((each, _QUERY) for each in requests)):
            yield self._all(request, page)

    def _all(self, request: Request, page: Found) -> Union[list[Json], libtes.ApiException]:
        try:
            return list(self.items(request, page))
        except _OF_ONE_OBJECT as error:
            return error

    def items(self, request: Request, page: Optional[Found] = None) -> Iterator[Json]:
        """Read the objects of a list, each once, from all its pages or those from one on.

        Raises:
            ApiException: A page cannot be read.
        """
        ids, tokens = set(), set()
        if page is None:
            (page,) = self._ahead([(request, _QUERY)])
        while True:
            if isinstance(page, libtes.ApiException):
                raise page
            for item in page.get("items", ()):
                if item["id"] not in ids:
                    yield item
                ids.add(item["id"])
            token = page.get("nextPageToken")
            if not token:
                return
            if token in tokens:
                raise _invalid(request, "a page token that was sent twice")
            tokens.add(token)
            (page,) = self._ahead([(request, {**_QUERY, "pageToken": token})])

    def _ahead(self, calls: Iterable[tuple[Request, Json]]) -> Iterator[Found]:
        """Make calls while earlier ones are under way; yield what they found, in order."""
        waiting: deque[tuple[Request, Json, Any]] = deque()
        for request, query in calls:
            waiting.append((request, query, self._begin(request, query)))
            if len(waiting) == AT_ONCE:
                yield self._found(*waiting.popleft())
        while waiting:
            yield self._found(*waiting.popleft())

    def _begin(self, request: Request, query: Json) -> Any:
        return self._client.call_api(
            request.path,
            "GET",
            request.ids,
            query,
            response_type=object,
            auth_settings=["Bearer"],
            async_req=True,
            _return_http_data_only=True,
        )

    def _found(self, request: Request, query: Json, begun: Any, refusals: int = 0) -> Found:
        try:
            found = _checked(request, begun.get())
        except libtes.TooManyRequestsException as error:  # after the client's own retries
            if refusals == _REFUSALS:
                raise
            time.sleep(_pause(error))
            return self._found(request, query, self._begin(request, query), refusals + 1)
        except _OF_ONE_OBJECT as error:
            if not isinstance(error, NOT_VISIBLE):
                self._failures += 1
                if self._failures >= _FAILURES:
                    raise
            return error
        self._failures = 0
        return found


def _pause(error: libtes.TooManyRequestsException) -> float:
    """Return the seconds to wait after 429; the client itself has waited and tried again before."""
    given = {name.lower(): value for name, value in (error.headers or {}).items()}
    asked = given.get("retry-after", "").strip()
    seconds = float(asked) if asked.isdecimal() else _PAUSE
    if seconds > _LONGEST:
        raise error
    return seconds


def _checked(request: Request, data: Any) -> Json:
    """Return the JSON of an object, or of a page of them, without nulls, if it is valid."""
    try:
        # In a copy, as what is nested is converted in place.
        converter(request.returns)(copy.deepcopy(data))
    except Mismatch as mismatch:
        raise _invalid(request, str(mismatch)) from None
    found: Json = _without_nulls(data)
    is_page = issubclass(request.returns, Page)
    for item in found.get("items", ()) if is_page else [found]:
        for name in (*_NEEDED, _NAMES[request.returns]):
            if name not in (item or ()):
                raise _invalid(request, f"an object without {name}")
    if not is_page and found["id"] != [*request.ids.values()][-1]:
        raise _invalid(request, "another object")
    return found


def _invalid(request: Request, reason: str) -> libtes.InvalidResponseException:
    said = f"expected {request.returns.__name__}, got {reason}"
    path = request.path.format(**request.ids)
    return libtes.InvalidResponseException(200, said, method="GET", path=path)


def _without_nulls(data: Any) -> Any:
    if isinstance(data, dict):
        return {name: _without_nulls(each) for name, each in data.items() if each is not None}
    return [_without_nulls(each) for each in data] if isinstance(data, list) else data
