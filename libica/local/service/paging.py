"""Paging of lists: query parameters, and the tokens that lead to other pages.

A token is signed, for this purpose alone, and holds everything about a page: sort, filters, size,
where it starts, and the newest object that existed when paging began. A page starts after the
values of the last object of the page before, so objects added meanwhile shift nothing. A list that
is sorted or filtered by something that changes, such as the status, shows each object where it
stands when its page is requested.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Optional

from itsdangerous import BadData, Signer
from itsdangerous.encoding import base64_decode, base64_encode

from ..store.lists import Cursor, Listing, Page
from ..store.rows import dumps
from .errors import Refused

SIZES = (1, 1000)
DEFAULT_SIZE = 10
DEFAULT_SORT = "timeCreated"


def read(listing: Listing, scope: str, query: Mapping[str, str], key: bytes) -> Cursor:
    """Return the page that a query asks for.

    The sort and filters of a token may be repeated with it or left out.

    Raises:
        Refused: A parameter is invalid, or differs from the token's.
    """
    given = _given(listing, scope, query)
    token = query.get("pagetoken")
    if not token:
        return given
    cursor = _opened(token, key)
    if cursor is None or (cursor.table, cursor.scope) != (given.table, given.scope):
        raise _bad("pageToken", "be a token from a response of this list")
    if "pagesize" in query and given.size != cursor.size:
        raise _bad("pageSize", f"stay {cursor.size} while following page tokens")
    if query.get("sort") and (given.sort, given.descending) != (cursor.sort, cursor.descending):
        raise _bad("sort", "stay the same while following page tokens")
    for name, values in given.filters.items():
        if values != cursor.filters.get(name):
            raise _bad(name, "stay the same while following page tokens")
    return cursor


def wants_total(query: Mapping[str, str]) -> bool:
    """Return whether a query asks for totals."""
    return "totalitemcount" in query.get("include", "").lower().split(",")


def envelope(page: Page, key: bytes) -> dict[str, Any]:
    """Return the fields of a page apart from its items: counts, and tokens of other pages."""
    first, last = page.ends or (None, None)
    tokens = {
        "firstPageToken": page.cursor.at(None, backwards=False),
        "nextPageToken": page.cursor.at(last, backwards=False) if page.after else None,
        "prevPageToken": page.cursor.at(first, backwards=True) if page.before else None,
        "lastPageToken": page.cursor.at(None, backwards=True),
    }
    around: dict[str, Any] = {"itemCount": len(page.items)}
    signer = _signer(key)
    around.update((name, _token(cursor, signer)) for name, cursor in tokens.items() if cursor)
    if page.total is not None:
        around["totalItemCount"] = page.total
        around["totalPageCount"] = -(-page.total // page.cursor.size)
    return around


def _given(listing: Listing, scope: str, query: Mapping[str, str]) -> Cursor:
    sort, descending = _sort(listing, query.get("sort") or DEFAULT_SORT)
    filters = {
        name: sorted(set(query[name.lower()].split(",")))
        for name in listing.filters
        if query.get(name.lower())
    }
    return Cursor(listing.table, scope, sort, descending, filters, _size(query.get("pagesize")))


def _sort(listing: Listing, text: str) -> tuple[str, bool]:
    """Parse a sort such as ``timeCreated desc``, in any casing."""
    field, _, direction = text.strip().partition(" ")
    for known in listing.sorts:
        if known.lower() == field.lower() and direction.strip().lower() in ("", "asc", "desc"):
            return known, direction.strip().lower() == "desc"
    fields = ", ".join(listing.sorts)
    raise _bad("sort", f"be one of {fields}, optionally with `asc` or `desc`, not {text!r}")


def _size(text: Optional[str]) -> int:
    if text is None:
        return DEFAULT_SIZE
    least, most = SIZES
    # The length first, since parsing takes time quadratic in it.
    if len(text) <= 9 and text.isdecimal() and least <= int(text) <= most:
        return int(text)
    raise _bad("pageSize", f"be {least} to {most}, not {text[:20]!r}")


def _signer(key: bytes) -> Signer:
    return Signer(key, salt="libica-local:page", digest_method=hashlib.sha256)


def _token(cursor: Cursor, signer: Signer) -> str:
    # Not by a serializer, which tries to compress: that takes ten times as long as all the rest.
    return signer.sign(base64_encode(dumps(cursor))).decode()


def _opened(token: str, key: bytes) -> Optional[Cursor]:
    try:
        return Cursor(*json.loads(base64_decode(_signer(key).unsign(token))))
    except BadData:
        return None


def _bad(name: str, must: str) -> Refused:
    return Refused(400, f"{name} must {must}", name)
