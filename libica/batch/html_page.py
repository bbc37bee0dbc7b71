"""Reports as HTML, for notebooks and files; text is escaped and secrets are masked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from libica.openapi.libtes import _display, redact

_HEAD = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{}</title><style>
body {{ margin: 2em; color-scheme: light dark; color: CanvasText; background: Canvas }}
</style></head><body>
"""

Row = Mapping[str, Any]


def document(
    head: str, counts: Mapping[str, int], notes: Sequence[str], rows: Sequence[Row]
) -> str:
    """Return a complete HTML page with all rows, and with exact times, since it may be kept."""
    exact = [{key: _exact(row[key]) for key in row} for row in rows]
    begin = _HEAD.format(_display.text(head))
    return f"{begin}{body(head, counts, notes, exact, len(rows))}</body></html>\n"


def body(
    head: str,
    counts: Mapping[str, int],
    notes: Sequence[str],
    rows: Sequence[Row],
    most: int = _display.ROWS,
) -> str:
    """Return the counts, as a bar and as text, notes and a table.

    Args:
        head: What is counted.
        counts: The number of launches by outcome.
        notes: Remarks.
        rows: What the table shows of each launch.
        most: Maximum number of rows to show.
    """
    told = [(str(redact(outcome)), count) for outcome, count in counts.items()]
    bar = [f'<i data-is="{_display.text(each)}" style="flex:{count}"></i>' for each, count in told]
    badges = [_display.badge(each, f"{count:,} ") for each, count in told]
    lines = [f"{_display.code(head)} {' '.join(badges)}"]
    lines += [_display.code(redact(each)) for each in notes]
    above = "".join(f"<div>{each}</div>" for each in lines)
    below = _display.table(rows, most)
    return _display.styled(f'<div class="bar">{"".join(bar)}</div>{above}{below}')


def brief(span: timedelta) -> str:
    """Return a span of time in its two largest units."""
    seconds = span.total_seconds()
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _exact(value: Any) -> Any:
    return f"{value:%Y-%m-%d %H:%M:%S %Z}" if isinstance(value, datetime) else value
