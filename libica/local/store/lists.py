"""Lists of tasks, versions and runs: how they sort and filter, and one page of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

# `{}` is a set of values in SQL.
_ACLS = "EXISTS (SELECT 1 FROM json_each(acl) WHERE value IN {})"


@dataclass(frozen=True)
class Listing:
    """A list, as the contract declares it.

    Attributes:
        table: The table of its objects.
        sorts: The column of each field to sort by.
        filters: The SQL condition of each filter.
    """

    table: str
    sorts: Mapping[str, str]
    filters: Mapping[str, str]


_TIMES = {"timeCreated": "timeCreated", "timeModified": "timeModified"}

TASKS = Listing("tasks", {"name": "name", **_TIMES}, {"names": "name IN {}", "acls": _ACLS})
VERSIONS = Listing(
    "versions",
    # The name of a version is its `version`.
    {"name": "version", "version": "version", **_TIMES},
    {"versions": "version IN {}", "ids": "id IN {}", "acls": _ACLS},
)
RUNS = Listing(
    "runs",
    {"name": "name", "status": "status", **_TIMES},
    {
        "names": "name IN {}",
        "status": "status IN {}",
        # By name or id: the contract does not say which.
        "versions": "(version IN {0} OR versionId IN {0})",
        "acls": _ACLS,
    },
)


@dataclass(frozen=True)
class Cursor:
    """The position of a page in a list.

    Attributes:
        table: The table of the list.
        scope: In a list of versions, the id of their task; empty for other lists.
        sort: Field to sort by.
        descending: Whether the greatest value comes first.
        filters: The accepted values of each given filter, sorted.
        size: Objects per page.
        newest: Number of the newest object to list; ``None`` until paging begins.
        backwards: Whether the page lies before ``start`` rather than after it.
        start: Sort value and id that the page begins after (or ends before); ``None`` for the first
            page (or the last).
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
        """Return the position of another page of the same list."""
        return dataclasses.replace(self, start=start, backwards=backwards)


@dataclass(frozen=True)
class Page:
    """One page of a list.

    Attributes:
        cursor: The position of the page.
        items: The JSON of each object.
        ends: Sort value and id of the first and the last object; ``None`` for an empty page.
        before: Whether earlier pages have objects.
        after: Whether later pages have objects.
        total: Number of objects on all pages, if requested.
    """

    cursor: Cursor
    items: list[str]
    ends: Optional[tuple[Sequence[str], Sequence[str]]]
    before: bool
    after: bool
    total: Optional[int] = None
