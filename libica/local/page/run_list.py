"""The list of runs: filters, counts of each status, and a bar of time for each run."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Optional

from starlette.responses import Response

from ..service.errors import Refused
from ..service.operations import Service
from ..store import lists
from ..store.identity import Identity
from ..store.lists import Cursor
from .listing import SIZES, Range, pattern, shown
from .rendering import between, moment, now
from .visit import Page, Visit

STATUSES = ("Pending", "Running", "Completed", "Failed", "TimedOut", "Aborted")
UNFINISHED = ("Pending", "Running")
_FILTERS = {"status": "status", "version": "versions"}
_TIME = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d)?)?")
_LAST = "\U0010ffff"  # sorts after all other characters
_WIDTH = 100.0  # of the bar that stands for all time on a page


class Bar(NamedTuple):
    """Where a run lies in the time of its page, of 100."""

    start: float
    width: float


def show(page: Page, visit: Visit) -> Response:
    """Show the list."""
    seen = mark(page, visit)  # first: what changes after that is not seen
    service, query = page.service, visit.query
    _check_statuses(query.get("status", ""))
    within, name = _range(query), query.get("name", "")
    filters = {api: query[name] for name, api in _FILTERS.items() if query.get(name)}
    runs = shown(service, visit, lists.RUNS, filters, name=name, within=within, counted=False)
    if within is not None and runs.field != "timeCreated":
        raise Refused(400, f"sort must be timeCreated with this filter, not {runs.field}")
    versions = filters.get("versions", "")
    chosen = [status for status in query.get("status", "").split(",") if status]
    counts = None
    if within is None and not (name and versions):  # whose numbers are kept
        counts = _counts(service, visit.by, versions, name)
        total = sum(counts[each] for each in set(chosen)) if chosen else counts[""]
        runs = dataclasses.replace(runs, total=total)
    return page.render(
        visit,
        "runs.html",
        runs=runs,
        counts=counts,
        chosen=chosen,
        statuses=STATUSES,
        unfinished=UNFINISHED,
        sizes=SIZES,
        bars=_bars(runs.items),
        took=[_took(run) for run in runs.items],
        span=_span(runs.items),
        is_filtered=bool(filters or name or within),
        seen=seen,
    )


def mark(page: Page, visit: Visit) -> str:
    """Return what changes whenever a run that the caller may see does."""
    cursor = Cursor("runs", "", "timeModified", True, {}, 1)
    found = page.service.store.page(lists.RUNS, cursor, visit.by, total=True)
    latest = found.ends[0] if found.ends else ()
    return "-".join(map(str, [*latest, found.total]))


def _check_statuses(text: str) -> None:
    for status in text.split(",") if text else ():
        if status not in STATUSES:
            raise Refused(400, f"status must be one of {', '.join(STATUSES)}, not {status!r}")


def _range(query: Mapping[str, str]) -> Optional[Range]:
    """Return the range of times that the address asks for."""
    times = {each: _time(query, each) for each in ("from", "until") if query.get(each)}
    return Range(times.get("from", ""), times.get("until", _LAST)) if times else None


def _time(query: Mapping[str, str], name: str) -> str:
    text = query[name].rstrip("Z")
    if not _TIME.fullmatch(text):
        raise Refused(400, f"{name} must be a time such as 2026-11-29T12:00, not {text[:40]!r}")
    try:
        return datetime.fromisoformat(text).strftime("%Y-%m-%dT%H:%M:%S")
    except ValueError:
        raise Refused(400, f"{name} must be a time that exists, not {text!r}") from None


def _counts(service: Service, by: Identity, versions: str, name: str) -> dict[str, int]:
    """Return how many runs there are of each status, and of all."""
    accepted = {"versions": versions.split(",")} if versions else {}
    if name:
        accepted[lists.LIKE] = [pattern(name)]
    found = service.store.counts(accepted, by)
    return {"": sum(found.values()), **{status: found.get(status, 0) for status in STATUSES}}


def ended(run: Mapping[str, Any]) -> Optional[str]:
    """Return when a run ended; ``None`` if it has not."""
    return None if run["status"] in UNFINISHED else run["timeModified"]


def _took(run: Mapping[str, Any]) -> Optional[float]:
    return between(run["timeCreated"], ended(run))


def _times(run: Mapping[str, Any]) -> tuple[datetime, datetime]:
    begin = moment(run["timeCreated"]) or now()
    return begin, moment(ended(run)) or now()


def _span(runs: Sequence[Mapping[str, Any]]) -> Optional[tuple[datetime, datetime]]:
    times = [_times(run) for run in runs]
    if not times:
        return None
    return min(begin for begin, _ in times), max(end for _, end in times)


def _bars(runs: Sequence[Mapping[str, Any]]) -> list[Bar]:
    span = _span(runs)
    if span is None:
        return []
    whole = max((span[1] - span[0]).total_seconds(), 0.001)
    bars = []
    for begin, end in map(_times, runs):
        start = (begin - span[0]).total_seconds() / whole * _WIDTH
        width = (end - begin).total_seconds() / whole * _WIDTH
        bars.append(Bar(round(min(start, _WIDTH - 1.5), 2), round(max(width, 1.5), 2)))
    return bars
