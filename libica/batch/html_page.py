"""Reports as HTML, for notebooks and files; text is escaped and secrets are masked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any

from libica.openapi.libtes import redact

MOST = 100
"""Maximum number of rows in a notebook."""

LONGEST = 500
"""Maximum length of a cell, in characters."""

_HEAD = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{}</title><style>
body {{ font: 14px sans-serif; margin: 2em; color-scheme: light dark }}
table {{ border-collapse: collapse }}
th, td {{ padding: 2px 8px; text-align: left; vertical-align: top; border-bottom: 1px solid #8884 }}
</style></head><body>
"""


def document(head: str, notes: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a complete HTML page with all rows."""
    begin = _HEAD.format(_text(head))
    return f"{begin}{body(head, notes, rows, len(rows))}\n</body></html>\n"


def body(head: str, notes: Sequence[str], rows: Sequence[Mapping[str, Any]], total: int) -> str:
    """Return a heading, notes and a table; ``total`` may be more than the rows shown."""
    told = "".join(f"<p>{_text(redact(each))}</p>" for each in notes)
    more = f"<p>... and {total - len(rows)} more</p>" if total > len(rows) else ""
    return f"<p><code>{_text(head)}</code></p>{told}{_table(rows)}{more}"


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a table without the columns that are empty in all rows."""
    rows = [redact(row) for row in rows]
    names = dict.fromkeys(name for row in rows for name in row)
    used = [name for name in names if any(row.get(name) is not None for row in rows)]
    lines = ["".join(f"<th>{_text(name)}</th>" for name in used)]
    lines += ["".join(_cell(row.get(name)) for name in used) for row in rows]
    return f"<table>{''.join(f'<tr>{each}</tr>' for each in lines)}</table>"


def _cell(value: Any) -> str:
    return "<td></td>" if value is None else f"<td><code>{_text(value)}</code></td>"


def _text(value: Any) -> str:
    text = f"{value:%Y-%m-%d %H:%M:%S %Z}".strip() if isinstance(value, datetime) else str(value)
    text = text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
    return escape(text.encode("utf-8", "replace").decode("utf-8"))
