"""What a terminal shows: tables that fit it, statuses in colour, times, JSON."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from functools import lru_cache, partial
from itertools import islice
from typing import Any, Optional

from rich.console import Console
from rich.table import Table
from rich.text import Text

from libica.openapi import libtes

WIDEST = 10_000  # columns where nothing is cut: in files and pipes
_GAP = "  "
_LEAST = 8  # columns that are left of what is cut
_AT_A_TIME = 1000  # rows; the service has so many on a page
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
    if shown.isprintable():
        return shown
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
            return f"{int(left)} {'day' if unit == 'days' and int(left) == 1 else unit} ago"
        left = left // size
    return f"{time:%Y-%m-%d}"


def exact(time: Optional[datetime]) -> str:
    """Return a time to the second."""
    return f"{time:%Y-%m-%d %H:%M:%S} UTC" if time else ""


def table(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
    """Print a table, and return how many rows it has.

    What is made by `one_line` is cut if the table is too wide. Rich's own tables take a second for
    a thousand rows; these are printed as they come, so many at a time.
    """
    target, count, left = console(), 0, iter(rows)
    widths = [0] * len(headings)
    while some := [[_cell(value) for value in row] for row in islice(left, _AT_A_TIME)]:
        cut = [any(cell.no_wrap for cell in column) for column in zip(*some)]
        if not count:
            some.insert(0, [Text(heading, "bold") for heading in headings])
        wanted = [max(each.cell_len for each in column) for column in zip(*some)]
        widths = list(map(max, widths, wanted))
        over = sum(widths) + len(_GAP) * (len(widths) - 1) - target.width
        shown = [max(_LEAST, each - over) if may else each for each, may in zip(widths, cut)]
        printed = widths if over <= 0 else list(map(min, widths, shown))
        lines = (_GAP.join(map(partial(_padded, target), row, printed)).rstrip() for row in some)
        print("\n".join(lines), file=target.file)
        count += len(some) - (not count)
    return count


def _padded(target: Console, cell: Text, width: int) -> str:
    if cell.cell_len > width:
        cell = cell.copy()
        cell.truncate(width, overflow="ellipsis")
    return _styled(target, cell.plain, str(cell.style)) + " " * (width - cell.cell_len)


@lru_cache(1000)
def _styled(target: Console, text: str, style: str) -> str:
    if not style:
        return text
    with target.capture() as captured:
        target.print(Text(text, style), end="", soft_wrap=True)
    return captured.get()


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


def as_json_list(data: Iterable[Any]) -> int:
    """Print a JSON list as it comes, an item a line, secrets masked; return how many there are."""
    count = 0
    print("[", end="")
    for count, item in enumerate(data, 1):
        print("," * (count > 1), json.dumps(libtes.redact(item), default=_text), sep="\n", end="")
    print("\n" * bool(count) + "]")
    return count


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
