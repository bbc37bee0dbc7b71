"""Reads pages of lists, in time that hardly depends on how many objects there are.

The objects of a page come from *arms*: one query for each audience of the caller and each value
that a filter accepts, which an index has in the order of the list. The arms are merged, and each
is read only as far as the page needs.
"""

from __future__ import annotations

import heapq
import itertools
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Optional

from .identity import Identity
from .lists import LIKE, RUNS, Cursor, Listing, Page
from .rows import VALUES, dumps, who

_ARMS = 256  # most of them for a page; beyond, SQLite sorts what it finds
_FEW = 1000  # objects that may be sorted for a page

_AUDIENCES = (
    "SELECT id FROM audiences WHERE createdBy = ? UNION "  # noqa: S608
    f"SELECT audience FROM grants WHERE entry IN {VALUES}"
)
_OF_ACLS = f" INTERSECT SELECT audience FROM grants WHERE entry IN {VALUES}"  # noqa: S608


class Condition(NamedTuple):
    """A condition in SQL and its values."""

    sql: str
    values: tuple[Any, ...] = ()
    column: str = ""  # that has one value alone


_ANYTHING = Condition("TRUE")


def page(
    db: sqlite3.Connection, listing: Listing, cursor: Cursor, by: Identity, total: bool
) -> Page:
    """Return the page of a list at a cursor, with the total if requested.

    The total is of the objects that existed when paging began, as they are now.
    """
    db.execute("BEGIN")  # all that follows sees one state
    if cursor.newest is None:
        sql = f"SELECT coalesce(max(seq), 0) FROM {listing.table}"  # noqa: S608
        cursor = cursor._replace(newest=db.execute(sql).fetchone()[0])
    audiences = _audiences(db, cursor, by)
    count, limit = None, cursor.size
    at_the_end = cursor.backwards and cursor.start is None
    if total or at_the_end:
        count = _count(db, listing, cursor, audiences)
    if at_the_end:  # the last page begins where paging forwards would begin it
        limit = (count or 0) % cursor.size or cursor.size
    found = list(itertools.islice(_rows(db, listing, cursor, audiences), limit + 1))
    beyond, rows = len(found) > limit, found[:limit]
    if cursor.backwards:
        rows.reverse()
    came_from = cursor.start is not None
    return Page(
        cursor,
        [row[-1] for row in rows],
        (rows[0][:-1], rows[-1][:-1]) if rows else None,
        before=beyond if cursor.backwards else came_from,
        after=came_from if cursor.backwards else beyond,
        total=count if total else None,
    )


def by_status(
    db: sqlite3.Connection, filters: Mapping[str, list[str]], by: Identity
) -> dict[str, int]:
    """Return how many runs of each status the filters accept, whose numbers are kept."""
    cursor = Cursor("runs", "", "timeCreated", True, dict(filters), 1)
    table = next(table for table, known in RUNS.counted.items() if filters.keys() <= set(known))
    conditions = [_accepts(RUNS, name, accepted) for name, accepted in filters.items()]
    where = _all(_one_of(["audience"], _audiences(db, cursor, by)), *conditions)
    sql = f"SELECT status, sum(runs) FROM {table} WHERE {where.sql} GROUP BY status"  # noqa: S608
    return dict(db.execute(sql, where.values).fetchall())


def _audiences(db: sqlite3.Connection, cursor: Cursor, by: Identity) -> list[int]:
    """Return the audiences whose objects the caller may see and the list may have."""
    sql, values = _AUDIENCES, [*who(by)]
    if "acls" in cursor.filters:
        sql, values = sql + _OF_ACLS, [*values, dumps(cursor.filters["acls"])]
    return [audience for (audience,) in db.execute(sql, values)]


def _rows(
    db: sqlite3.Connection, listing: Listing, cursor: Cursor, audiences: list[int]
) -> Iterator[tuple[Any, ...]]:
    """Return sort values, number and JSON of the objects from the cursor on, in its direction."""
    driver = _driver(db, listing, cursor, audiences)
    rest = [
        _accepts(listing, name, accepted, "+")
        for name, accepted in cursor.filters.items()
        if name not in ("acls", driver)
    ]
    downwards = cursor.descending != cursor.backwards
    arms = [
        _arm(db, listing, cursor, downwards, driver, [*arm, *rest])
        for arm in _arms(listing, cursor, audiences, driver)
    ]
    return arms[0] if len(arms) == 1 else _merged(arms, downwards)


def _merged(
    arms: Sequence[Iterator[tuple[Any, ...]]], downwards: bool
) -> Iterator[tuple[Any, ...]]:
    previous = None
    for row in heapq.merge(*arms, key=lambda row: row[:-1], reverse=downwards):
        if row[-2] != previous:  # two arms may have the same object
            yield row
        previous = row[-2]


def _driver(
    db: sqlite3.Connection, listing: Listing, cursor: Cursor, audiences: list[int]
) -> Optional[str]:
    """Return the filter by which to find the objects; ``None`` to check them all in order.

    Objects of a filter that are many are found in order, so that the page is soon full.
    """
    names = [name for name in cursor.filters if name != "acls"]
    ordered = [name for name in names if cursor.sort in listing.indexed.get(name, ())]
    if len(names) <= 1 and ordered == names:
        return names[0] if names else None
    numbers = {name: _number(db, listing, cursor, audiences, name) for name in names}
    rarest = min(names, key=numbers.__getitem__)
    if numbers[rarest] <= _FEW:
        return rarest
    return min(ordered, key=numbers.__getitem__, default=None)


def _number(
    db: sqlite3.Connection, listing: Listing, cursor: Cursor, audiences: list[int], name: str
) -> int:
    """Return how many objects a filter accepts; if that is not kept, as far as they are few."""
    where = [_one_of(["audience"], audiences), *_scope(listing, cursor)]
    where.append(_accepts(listing, name, cursor.filters[name]))
    for table, known in listing.counted.items():
        if name in known:
            return _sum(db, "coalesce(sum(runs), 0)", table, *where)
    all_of = _all(*where)
    sql = f"SELECT 1 FROM {listing.table} WHERE {all_of.sql} LIMIT {_FEW + 1}"  # noqa: S608
    return len(db.execute(sql, all_of.values).fetchall())


def _arms(
    listing: Listing, cursor: Cursor, audiences: list[int], driver: Optional[str]
) -> Iterator[tuple[Condition, ...]]:
    """Yield the conditions of each arm."""
    choices = [[_equals("audience", audience) for audience in audiences]]
    if driver == LIKE:  # an index has all that this looks at, so reading all of it is quick
        index = f"{listing.table} INDEXED BY {listing.table}_name"
        where = _all(
            _one_of(["audience"], audiences), _accepts(listing, LIKE, cursor.filters[LIKE])
        )
        numbers = f"seq IN (SELECT seq FROM {index} WHERE {where.sql})"  # noqa: S608
        choices.append([Condition(numbers, where.values)])
    elif driver is not None:
        columns, accepted = listing.filters[driver], cursor.filters[driver]
        choices.append([_equals(column, value) for column in columns for value in accepted])
        if len(choices[0]) * len(choices[1]) > _ARMS:
            choices[1] = [_one_of([column], accepted) for column in columns]
    if len(choices[0]) > _ARMS:
        choices[0] = [_one_of(["audience"], audiences)]
    return itertools.product(*choices)


def _arm(
    db: sqlite3.Connection,
    listing: Listing,
    cursor: Cursor,
    downwards: bool,
    driver: Optional[str],
    conditions: Sequence[Condition],
) -> Iterator[tuple[Any, ...]]:
    columns = [*listing.sorts[cursor.sort], "seq"]
    where = [*_scope(listing, cursor), *conditions, Condition("+seq <= ?", (cursor.newest,))]
    if cursor.start is not None:
        beyond = _beyond(columns, cursor.start, downwards, conditions)
        if beyond is None:
            return iter(())
        where.append(beyond)
    all_of = _all(*where)
    in_order = driver is None or (
        cursor.sort in listing.indexed.get(driver, ())
        and any(each.column in listing.filters.get(driver, ()) for each in conditions)
    )
    # A `+` keeps SQLite from an index in the order of the list, where the filter's serves better.
    by, direction = "" if in_order else "+", "DESC" if downwards else "ASC"
    order = ", ".join(f"{by}{column} {direction}" for column in columns)
    sql = (
        f"SELECT {', '.join(columns)}, summary FROM {listing.table} WHERE {all_of.sql} "  # noqa: S608
        f"ORDER BY {order}"
    )
    return db.execute(sql, all_of.values)


def _beyond(
    columns: Sequence[str], start: Sequence[Any], downwards: bool, conditions: Sequence[Condition]
) -> Optional[Condition]:
    """Return the condition on the objects of an arm beyond the start; ``None`` if there are none.

    A column that has one value in the whole arm is compared here, so that SQLite begins where the
    others say.
    """
    fixed = {each.column: each.values[0] for each in conditions if each.column}
    first = 0
    while columns[first] in fixed:
        value = fixed[columns[first]]
        if value != start[first]:
            return _ANYTHING if (value < start[first]) == downwards else None
        first += 1
    marks = ", ".join("?" * len(columns[first:]))
    sign = "<" if downwards else ">"
    return Condition(f"({', '.join(columns[first:])}) {sign} ({marks})", tuple(start[first:]))


def _count(db: sqlite3.Connection, listing: Listing, cursor: Cursor, audiences: list[int]) -> int:
    """Return the number of objects of a list that are not newer than its newest."""
    where = [_one_of(["audience"], audiences), *_scope(listing, cursor)]
    names = [name for name in cursor.filters if name != "acls"]
    conditions = {name: _accepts(listing, name, cursor.filters[name]) for name in names}
    for table, known in listing.counted.items():
        if cursor.filters.keys() <= set(known):
            kept = _sum(db, "coalesce(sum(runs), 0)", table, *where, *conditions.values())
            # Few objects are added while someone turns pages: they are looked at one by one.
            where.append(Condition("seq > ?", (cursor.newest,)))
            added = f"{listing.table} NOT INDEXED"
            return kept - _sum(db, "count(*)", added, *where, *conditions.values())
    where.append(Condition("+seq <= ?", (cursor.newest,)))
    return _sum(db, "count(*)", listing.table, *where, *conditions.values())


def _sum(db: sqlite3.Connection, what: str, table: str, *conditions: Condition) -> int:
    where = _all(*conditions)
    (number,) = db.execute(f"SELECT {what} FROM {table} WHERE {where.sql}", where.values).fetchone()  # noqa: S608
    return int(number)


def _scope(listing: Listing, cursor: Cursor) -> list[Condition]:
    return [Condition("scope = ?", (cursor.scope,))] if listing.scoped else []


def _equals(column: str, value: Any) -> Condition:
    return Condition(f"{column} = ?", (value,), column)


def _one_of(columns: Sequence[str], accepted: Sequence[Any]) -> Condition:
    """Return the condition that one of the columns has an accepted value."""
    sql = " OR ".join(f"{column} IN {VALUES}" for column in columns)
    return Condition(f"({sql})", (dumps(accepted),) * len(columns))


def _accepts(listing: Listing, name: str, accepted: Sequence[Any], prefix: str = "") -> Condition:
    """Return the condition of a filter; a prefix of its columns is for SQLite's planner."""
    if name == LIKE:
        sql = " AND ".join([f"{prefix}name LIKE ? ESCAPE '\\'"] * len(accepted))
        return Condition(sql, tuple(accepted))
    return _one_of([f"{prefix}{column}" for column in listing.filters[name]], accepted)


def _all(*conditions: Condition) -> Condition:
    sql = " AND ".join(each.sql for each in conditions)
    return Condition(sql, tuple(value for each in conditions for value in each.values))
