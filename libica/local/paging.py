"""Lists: how they can be sorted and filtered, and the tokens that lead to other pages.

A token is signed and says all there is to know of a page: sort, filters, size, where it starts,
and the newest object that existed when paging began. Pages are found by the values that they
start after, so objects that are added meanwhile move nothing. A list that is sorted or filtered
by what changes, such as a status, shows an object where it is when its page is asked for.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from .access import signed, unsigned
from .errors import Refused

SIZES = (1, 1000)
DEFAULT_SIZE = 10
DEFAULT_SORT = "timeCreated"

# `{}` is a set of values, as SQL.
_ACLS = "EXISTS (SELECT 1 FROM json_each(acl) WHERE value IN {})"


@dataclass(frozen=True)
class Listing:
    """What can be listed.

    Attributes:
        table: The table it is in.
        sorts: For each field to sort by, its column.
        filters: For each filter, its condition in SQL.
    """

    table: str
    sorts: Mapping[str, str]
    filters: Mapping[str, str]


_TIMES = {"timeCreated": "timeCreated", "timeModified": "timeModified"}

TASKS = Listing("tasks", {"name": "name", **_TIMES}, {"names": "name IN {}", "acls": _ACLS})
VERSIONS = Listing(
    "versions",
    # A version has no name but its version.
    {"name": "version", "version": "version", **_TIMES},
    {"versions": "version IN {}", "ids": "id IN {}", "acls": _ACLS},
)
RUNS = Listing(
    "runs",
    {"name": "name", "status": "status", **_TIMES},
    {
        "names": "name IN {}",
        "status": "status IN {}",
        # By name or by id: the contract does not say which.
        "versions": "(version IN {0} OR versionId IN {0})",
        "acls": _ACLS,
    },
)


@dataclass(frozen=True)
class Cursor:
    """Which page of a list is asked for.

    Attributes:
        table: The list.
        scope: Id of the task whose versions it is of; empty for other lists.
        sort: Field to sort by.
        descending: Whether the greatest comes first.
        filters: Each filter that is given, with its values in order.
        size: Objects a page.
        newest: Number of the newest object that counts; ``None`` until paging begins.
        backwards: Whether to go up from the value and id, or from the end.
        start: The value and the id that the page starts after; ``None`` for the very start or end.
    """

    table: str
    scope: str
    sort: str
    descending: bool
    filters: dict[str, list[str]]
    size: int
    newest: Optional[int] = None
    backwards: bool = False
    start: Optional[Sequence[str]] = None

    def at(self, start: Optional[Sequence[str]], backwards: bool) -> Cursor:
        """Return the cursor of another page of the same list."""
        return dataclasses.replace(self, start=start, backwards=backwards)


@dataclass(frozen=True)
class Page:
    """One page of a list, as the store found it.

    Attributes:
        cursor: The page that was asked for, with its newest object.
        items: The JSON of the objects.
        ends: Value and id of the first and of the last of them, if there are any.
        before: Whether there are objects before these.
        after: Whether there are objects after these.
        total: How many there are on all pages, if that was asked for.
    """

    cursor: Cursor
    items: list[str]
    ends: Optional[tuple[Sequence[str], Sequence[str]]]
    before: bool
    after: bool
    total: Optional[int] = None


def read(listing: Listing, scope: str, query: Mapping[str, str], key: bytes) -> Cursor:
    """Return which page a query asks for.

    A token may come with the sort and filters that it was made with, or without them.

    Raises:
        Refused: A parameter is not accepted, or does not go with the token.
    """
    asked = _asked(listing, scope, query)
    token = query.get("pagetoken")
    if not token:
        return asked
    cursor = _opened(token, key)
    if cursor is None or (cursor.table, cursor.scope) != (asked.table, asked.scope):
        raise _bad("pageToken", "be one that this list gave")
    if "pagesize" in query and asked.size != cursor.size:
        raise _bad("pageSize", f"stay {cursor.size} while you follow page tokens")
    if query.get("sort") and (asked.sort, asked.descending) != (cursor.sort, cursor.descending):
        raise _bad("sort", "stay the same while you follow page tokens")
    for name, values in asked.filters.items():
        if values != cursor.filters.get(name):
            raise _bad(name, "stay the same while you follow page tokens")
    return cursor


def wants_total(query: Mapping[str, str]) -> bool:
    """Return whether a query asks for totals."""
    return "totalitemcount" in query.get("include", "").lower().split(",")


def envelope(page: Page, key: bytes) -> dict[str, Any]:
    """Return what a page has beside its items: counts, and tokens of other pages."""
    first, last = page.ends or (None, None)
    tokens = {
        "firstPageToken": page.cursor.at(None, backwards=False),
        "nextPageToken": page.cursor.at(last, backwards=False) if page.after else None,
        "prevPageToken": page.cursor.at(first, backwards=True) if page.before else None,
        "lastPageToken": page.cursor.at(None, backwards=True),
    }
    around: dict[str, Any] = {"itemCount": len(page.items)}
    around.update((name, _token(cursor, key)) for name, cursor in tokens.items() if cursor)
    if page.total is not None:
        around["totalItemCount"] = page.total
        around["totalPageCount"] = -(-page.total // page.cursor.size)
    return around


def _asked(listing: Listing, scope: str, query: Mapping[str, str]) -> Cursor:
    sort, descending = _sort(listing, query.get("sort") or DEFAULT_SORT)
    filters = {
        name: sorted(set(query[name.lower()].split(",")))
        for name in listing.filters
        if query.get(name.lower())
    }
    return Cursor(listing.table, scope, sort, descending, filters, _size(query.get("pagesize")))


def _sort(listing: Listing, text: str) -> tuple[str, bool]:
    """Read such as ``timeCreated desc``, in any casing."""
    field, _, direction = text.strip().partition(" ")
    for known in listing.sorts:
        if known.lower() == field.lower() and direction.strip().lower() in ("", "asc", "desc"):
            return known, direction.strip().lower() == "desc"
    fields = ", ".join(listing.sorts)
    raise _bad("sort", f"be one of {fields}, and `asc` or `desc`, not {text!r}")


def _size(text: Optional[str]) -> int:
    if text is None:
        return DEFAULT_SIZE
    least, most = SIZES
    # The length first: Python takes long for long numbers.
    if len(text) <= 9 and text.isdecimal() and least <= int(text) <= most:
        return int(text)
    raise _bad("pageSize", f"be {least} to {most}, not {text[:20]!r}")


def _token(cursor: Cursor, key: bytes) -> str:
    content = json.dumps(list(vars(cursor).values()), separators=(",", ":"))
    return signed(content.encode(), key)


def _opened(token: str, key: bytes) -> Optional[Cursor]:
    content = unsigned(token, key)
    return None if content is None else Cursor(*json.loads(content))


def _bad(name: str, must: str) -> Refused:
    return Refused(400, f"{name} must {must}", name)
