"""A page of a list: what the address asks for, the objects, and the way to other pages.

The store finds objects by exact values and by patterns of names. A range of times is a part of the
list that is sorted by them: paging begins where the range does, and ends with it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Optional
from urllib.parse import urlencode

from libica.openapi.libtes._redaction import redact

from ..service import paging
from ..service.operations import Service
from ..store.lists import LIKE, Cursor, Listing
from .visit import Visit

SIZES = ("25", "50", "100", "200")
_SIZE = SIZES[1]


class Range(NamedTuple):
    """Times of the field that a list is sorted by: from `least` on, and before `below`."""

    least: str
    below: str


@dataclass(frozen=True)
class Shown:
    """One page of a list.

    Attributes:
        items: The objects.
        field: The field that it is sorted by.
        descending: Whether the greatest value comes first.
        total: The number of objects on all pages; ``None`` if it is not known.
        links: The addresses of other pages, by name: `first`, `previous`, `next`, `last`.
        path: The path of the list.
        query: What the address asks for, apart from the page.
    """

    items: Sequence[dict[str, Any]]
    field: str
    descending: bool
    total: Optional[int]
    links: Mapping[str, str]
    path: str
    query: Mapping[str, str]

    def sorting(self, field: str) -> str:
        """Return the address of the list sorted by a field, or the other way round."""
        is_time = field.startswith("time")
        down = not self.descending if field == self.field else is_time
        return self.having(sort=f"{field} {'desc' if down else 'asc'}")

    def having(self, **changes: str) -> str:
        """Return the address of the list with other filters or another sort."""
        wanted = {name: value for name, value in {**self.query, **changes}.items() if value}
        return f"{self.path}?{urlencode(wanted)}" if wanted else self.path


def shown(
    service: Service,
    visit: Visit,
    listing: Listing,
    filters: Mapping[str, str],
    *,
    sort: str = "timeCreated desc",
    scope: str = "",
    name: str = "",
    within: Optional[Range] = None,
    counted: bool = True,
) -> Shown:
    """Return the page of a list that an address asks for.

    Args:
        service: Has the store.
        visit: The address.
        listing: The list.
        filters: The filters, as in the query of the API.
        sort: The sort, unless the address has one.
        scope: What the list is of.
        name: What names must contain; with ``*`` for any text, what they must be.
        within: A range of the field that it is sorted by.
        counted: Whether to count the objects.

    Raises:
        Refused: Something in the address is invalid.
    """
    store, query = service.store, visit.query
    asked = {
        **{name.lower(): value for name, value in filters.items()},
        "sort": query.get("sort") or sort,
        "pagesize": query.get("size", _SIZE),
        "pagetoken": query.get("page", ""),
    }
    cursor = paging.read(listing, scope, asked, store.key)
    if name:
        cursor = cursor._replace(filters={**cursor.filters, LIKE: [pattern(name)]})
    is_first = cursor.start is None and not cursor.backwards
    if within is not None and is_first:
        cursor = _entering(cursor, listing, within)
    found = store.page(listing, cursor, visit.by, total=counted)
    items = [json.loads(item) for item in found.items]
    fits = [
        within is None or within.least <= item.get(cursor.sort, "") < within.below for item in items
    ]
    if within is not None:
        found = replace(
            found,
            before=found.before and not is_first and all(fits[:1]),
            after=found.after and all(fits[-1:]),
        )
    tokens = paging.envelope(found, store.key)
    wanted = {
        name: value for name, value in query.items() if name not in ("page", "sent") and value
    }
    links = {
        name: f"{visit.path}?{urlencode({**wanted, 'page': tokens[token]})}"
        for name, token in (("previous", "prevPageToken"), ("next", "nextPageToken"))
        if token in tokens
    }
    if "previous" in links:
        links["first"] = f"{visit.path}?{urlencode(wanted)}"
    if "next" in links and within is None:
        links["last"] = f"{visit.path}?{urlencode({**wanted, 'page': tokens['lastPageToken']})}"
    return Shown(
        [redact(item) for item, fit in zip(items, fits) if fit],
        cursor.sort,
        cursor.descending,
        found.total,
        links,
        visit.path,
        wanted,
    )


def pattern(name: str) -> str:
    """Return the pattern of SQL's `LIKE` for names that contain a text, in any case.

    With ``*``, which stands for any text, the names that are like that as a whole.
    """
    literal = re.sub(r"[\\%_]", r"\\\g<0>", name)
    return literal.replace("*", "%") if "*" in name else f"%{literal}%"


def _entering(cursor: Cursor, listing: Listing, within: Range) -> Cursor:
    """Return the cursor at the beginning of a range, in the direction of the list."""
    first = within.below if cursor.descending else within.least
    # With it, what comes before all objects that have this value.
    others = [""] * (len(listing.sorts[cursor.sort]) - 1)
    return cursor.at([first, *others, 0], backwards=False)
