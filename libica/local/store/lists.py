"""Lists of tasks, versions and runs: how they sort and filter, and one page of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

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
