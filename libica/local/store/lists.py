"""Lists of tasks, versions and runs: how they sort and filter, and one page of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Optional


@dataclass(frozen=True)
class Listing:
    """A list, as the contract declares it.

    Attributes:
        table: The table of its objects.
        sorts: The columns that each field sorts by; the order of creation decides between equals.
        filters: The columns of each filter: one of them must have an accepted value.
        indexed: For each filter, the fields whose order an index has for each accepted value.
        scoped: Whether each object belongs to a scope, which the list is of.
        counted: The tables that keep the number of its objects, each with the filters it knows.
    """

    table: str
    sorts: Mapping[str, Sequence[str]]
    filters: Mapping[str, Sequence[str]]
    indexed: Mapping[str, Sequence[str]] = field(default_factory=dict)
    scoped: bool = False
    counted: Mapping[str, Collection[str]] = field(default_factory=dict)


LIKE = "like"
"""A filter of names by patterns of SQL's `LIKE` that all apply. The contract has none like it."""

_TIMES = {"timeCreated": ("timeCreated",), "timeModified": ("timeModified",)}
_NAME = ("name", "timeCreated")
_ACLS = ("audience",)

TASKS = Listing(
    "tasks",
    {"name": _NAME, **_TIMES},
    {"names": ("name",), "acls": _ACLS},
    {"names": ("name", "timeCreated")},
)
VERSIONS = Listing(
    "versions",
    # The name of a version is its `version`.
    {"name": ("version",), "version": ("version",), **_TIMES},
    {"versions": ("version",), "ids": ("id",), "acls": _ACLS},
    scoped=True,
)
RUNS = Listing(
    "runs",
    {"name": _NAME, "status": ("status", "timeCreated"), **_TIMES},
    {
        "names": ("name",),
        "status": ("status",),
        # By name or id: the contract does not say which.
        "versions": ("version", "versionId"),
        "acls": _ACLS,
    },
    {
        "names": ("name", "timeCreated"),
        "status": ("status", "timeCreated", "timeModified", "name"),
        "versions": ("timeCreated",),
    },
    counted={
        "counts": {"acls", "status", "versions"},
        "name_counts": {"acls", "names", "status", LIKE},
    },
)


class Cursor(NamedTuple):
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
        start: Sort values and number of the object that the page begins after (or ends before);
            ``None`` for the first page (or the last).
    """

    table: str
    scope: str
    sort: str
    descending: bool
    filters: dict[str, list[str]]
    size: int
    newest: Optional[int] = None
    backwards: bool = False
    start: Optional[Sequence[object]] = None

    def at(self, start: Optional[Sequence[object]], backwards: bool) -> Cursor:
        """Return the position of another page of the same list."""
        return self._replace(start=start, backwards=backwards)


@dataclass(frozen=True)
class Page:
    """One page of a list.

    Attributes:
        cursor: The position of the page.
        items: The JSON of each object.
        ends: Sort values and number of the first and the last object; ``None`` for an empty page.
        before: Whether earlier pages have objects.
        after: Whether later pages have objects.
        total: Number of objects on all pages, if requested.
    """

    cursor: Cursor
    items: list[str]
    ends: Optional[tuple[Sequence[object], Sequence[object]]]
    before: bool
    after: bool
    total: Optional[int] = None
