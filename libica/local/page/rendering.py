"""HTML from templates, and how times, durations and ids read."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NamedTuple, Optional

from jinja2 import Environment, FileSystemLoader

from libica.openapi.libtes.models.execution import Execution

_HERE = Path(__file__).parent
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))


class Static(NamedTuple):
    """A file that pages refer to."""

    content: bytes
    media_type: str
    digest: str


def _static(name: str, media_type: str) -> Static:
    content = (_HERE / "static" / name).read_bytes()
    return Static(content, media_type, hashlib.sha256(content).hexdigest()[:12])


STATIC: Mapping[str, Static] = {
    "page.css": _static("page.css", "text/css"),
    "page.js": _static("page.js", "text/javascript"),
    "icon.svg": _static("icon.svg", "image/svg+xml"),
}


class Renderer:
    """Makes HTML; whatever it is given is text."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters.update(ago=ago, seconds=duration, short=short, utc=utc, size=size)
        self._environment.globals["static"] = STATIC

    def html(self, template: str, **values: Any) -> str:
        """Return the HTML of a template."""
        return self._environment.get_template(template).render(**values)


def now() -> datetime:
    """Return the current time."""
    return datetime.now(timezone.utc)


def moment(text: Optional[str]) -> Optional[datetime]:
    """Return a time as TES writes it; ``None`` if it is none."""
    try:
        whole = datetime.strptime((text or "")[:19], "%Y-%m-%dT%H:%M:%S")
        tail = (text or "")[19:].rstrip("Z").lstrip(".")[:6]
        return whole.replace(tzinfo=timezone.utc) + timedelta(
            microseconds=int(tail.ljust(6, "0")) if tail.isdigit() else 0
        )
    except ValueError:
        return None


def utc(text: Optional[str]) -> str:
    """Return a time to read: `2026-11-29 12:34:56 UTC`."""
    time = moment(text)
    return time.strftime("%Y-%m-%d %H:%M:%S UTC") if time else ""


def ago(text: Optional[str]) -> str:
    """Return how long ago a time was: `3 min ago`."""
    time = moment(text)
    if time is None:
        return ""
    seconds = (now() - time).total_seconds()
    if seconds < 5:
        return "just now"
    if seconds > 30 * 86400:
        return time.strftime("%Y-%m-%d")
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return f"{int(seconds)} s ago"


def duration(seconds: Optional[float]) -> str:
    """Return a duration of two units at most: `3 min 05 s`, `0.4 s`."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{max(seconds, 0):.1f} s"
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02} min"
    return f"{whole // 86400} d {whole % 86400 // 3600:02} h"


def between(begin: Optional[str], end: Optional[str]) -> Optional[float]:
    """Return the seconds from one time to another; until now if that is unset."""
    first, last = moment(begin), moment(end) if end else now()
    return (last - first).total_seconds() if first and last else None


def short(identifier: str) -> str:
    """Return the beginning of an id, which tells it from others."""
    return f"{identifier[:12]}…" if len(identifier) > 13 else identifier


def in_order(execution: Mapping[str, Any]) -> dict[str, Any]:
    """Return an execution with its fields in the order of the contract."""
    names = [field.json for field in Execution._fields.values()]
    return {name: execution[name] for name in names if name in execution}


def size(number: float) -> str:
    """Return a number of bytes to read: `1.2 GB`."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if number < 1000 or unit == "TB":
            break
        number /= 1000
    return f"{number:.0f} {unit}" if unit == "B" or number >= 100 else f"{number:.1f} {unit}"
