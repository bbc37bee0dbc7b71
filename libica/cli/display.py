"""What a terminal shows: tables that fit it, statuses in colour, times, JSON."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, Optional

from rich.console import Console
from rich.table import Table
from rich.text import Text

from libica.openapi import libtes

WIDEST = 10_000  # columns where nothing is cut: in files and pipes
_STYLES = {
    "Completed": "green",
    "Failed": "bold red",
    "TimedOut": "bold red",
    "Aborted": "magenta",
    "Running": "cyan",
    "Not launched": "bold red",
    "Unsure": "bold magenta",
    "Lost": "bold magenta",
}
_UNITS = ((60, "s"), (60, "min"), (24, "h"), (7, "days"))


def console(stderr: bool = False) -> Console:
    """Return the console of a stream; what is written to it is text, not markup."""
    stream = sys.stderr if stderr else sys.stdout
    narrow = stream.isatty() or "COLUMNS" in os.environ
    width = None if narrow else WIDEST
    return Console(
        stderr=stderr, width=width, markup=False, highlight=False, emoji=False, soft_wrap=False
    )


def plain(value: object) -> str:
    """Return a text from elsewhere on one line and without control characters; secrets masked."""
    return escape(" ".join(str(value).split()))


def escape(text: str) -> str:
    """Return a text without control characters but line breaks; secrets masked."""
    shown = str(libtes.redact(text))
    return "".join(
        each if each.isprintable() or each == "\n" else repr(each)[1:-1] for each in shown
    )


def one_line(value: object) -> Text:
    """Return a text that is cut, rather than wrapped, where it does not fit."""
    return Text(plain(value), no_wrap=True, overflow="ellipsis")


def status(value: Optional[str]) -> Text:
    """Return a status in its colour."""
    return Text(plain(value or ""), style=_STYLES.get(value or "", ""))


def counts(summary: Mapping[str, int]) -> Text:
    """Return the numbers of launches by status."""
    shown = [Text.assemble(f"{count:,} ", status(each)) for each, count in summary.items()]
    return Text(", ").join(shown)


def ago(time: Optional[datetime], now: Optional[datetime] = None) -> str:
    """Return how long ago a time was, or its date if that is more than a week."""
    if time is None:
        return ""
    seconds = ((now or datetime.now(timezone.utc)) - time).total_seconds()
    if seconds < 0:  # the clocks differ
        return "now" if seconds > -60 else f"{time:%Y-%m-%d}"
    left = seconds
    for size, unit in _UNITS:
        if left < size:
            return f"{left:.0f} {unit if round(left) != 1 else unit.rstrip('s') or unit} ago"
        left = left // size
    return f"{time:%Y-%m-%d}"


def exact(time: Optional[datetime]) -> str:
    """Return a time to the second."""
    return f"{time:%Y-%m-%d %H:%M:%S} UTC" if time else ""


def table(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table; what is made by `one_line` is cut if the table is too wide."""
    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for number, heading in enumerate(headings):
        cut = any(getattr(row[number], "no_wrap", False) for row in rows)
        shown.add_column(heading, no_wrap=not cut)
    for row in rows:
        shown.add_row(*map(_cell, row))
    _print(shown)


def fields(pairs: Iterable[tuple[Any, Any]], stderr: bool = False) -> None:
    """Print names and values, one below the other, without those that are unset."""
    shown = Table.grid(padding=(0, 2, 0, 0))
    shown.add_column(style="bold", no_wrap=True)
    shown.add_column(overflow="fold")
    for name, value in pairs:
        if value not in (None, ""):
            shown.add_row(_cell(name), _cell(value))
    _print(shown, stderr)


def steps(known: Iterable[tuple[str, str]]) -> None:
    """Print what can be done next to standard error, with commands that can be copied."""
    for name, command in known:
        tell(f"{name:<10}{command}")


def tell(text: str) -> None:
    """Print a remark to standard error, where it disturbs no program."""
    console(stderr=True).print(Text(text), soft_wrap=True)


def as_json(data: Any) -> None:
    """Print data as JSON, secrets masked."""
    print(json.dumps(libtes.redact(data), indent=2, default=_text))


def command_line(*words: object) -> str:
    """Return a command to type."""
    return " ".join(["libica-tes", *(shlex.quote(str(each)) for each in words)])


def _cell(value: Any) -> Text:
    return value if isinstance(value, Text) else Text(plain(value))


def _print(shown: Table, stderr: bool = False) -> None:
    """Print a table without the blanks with which Rich fills its lines."""
    target = console(stderr)
    with target.capture() as captured:
        target.print(shown)
    lines = captured.get().splitlines()
    print("\n".join(each.rstrip() for each in lines), file=target.file)


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
