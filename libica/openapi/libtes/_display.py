"""How models look: one line for ``repr``, HTML for notebooks; secrets are masked."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from html import escape
from typing import Any

from ._redaction import redact

MOST = 100  # rows of a table, entries of a list or dict
HEADLINE = ("id", "name", "version", "status", "items", "total_item_count")
OWNERS = {"href", "urn", "acl", "tenantid", "subtenantid", "createdby", "modifiedby"}


def summary(name: str, fields: Mapping[str, Any]) -> str:
    """Return the ``repr`` of a model: the fields that identify it, or else its first three."""
    given = {key: value for key, value in fields.items() if value is not None}
    chosen = [key for key in HEADLINE if key in given] or list(given)[:3]
    shown = [f"{key}={_brief(key, given[key])}" for key in chosen]
    more = ["..."] if len(shown) < len(given) else []
    return f"{name}({', '.join(shown + more)})"


def _brief(name: str, value: Any) -> str:
    if hasattr(value, "to_dict"):
        return f"{type(value).__name__}(...)"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (list, tuple, Mapping)):
        return f"<{len(value)} items>"
    text = repr(redact(value, name))
    return text if len(text) <= 60 else f"{text[:56]}...{text[0]}"


def tree(title: str, data: Mapping[str, Any]) -> str:
    """Return the HTML of a model's data: a tree whose top is unfolded."""
    return f"<details open><summary>{code(title)}</summary>{_inside(redact(data))}</details>"


def page(title: str, items: Sequence[Any]) -> str:
    """Return the HTML of a page: a table of its items, without addresses and owners."""
    rows = [each.to_dict() if hasattr(each, "to_dict") else each for each in items[:MOST]]
    rows = [{k: row[k] for k in row if k.replace("_", "").lower() not in OWNERS} for row in rows]
    return f"<p>{code(title)}</p>{table(rows, len(items))}"


def table(rows: Sequence[Mapping[str, Any]], total: int) -> str:
    """Return a table of the first of so many rows, with the columns that any of these needs."""
    rows = [redact(row) for row in rows[:MOST]]
    names = dict.fromkeys(name for row in rows for name in row)
    used = [name for name in names if any(row.get(name) is not None for row in rows)]
    lines = ["".join(f"<th>{_text(name)}</th>" for name in used)]
    lines += ["".join(f"<td>{_value(row.get(name))}</td>" for name in used) for row in rows]
    return _many("table", "tr", lines, total)


def code(value: Any) -> str:
    """Return a value as text that stays what it is."""
    return f"<code>{_text(value)}</code>"


def _value(data: Any, title: str = "") -> str:
    if not data or not isinstance(data, (Mapping, list)):
        return title if data is None else title + code(data)
    brief = f"{len(data)} items"
    if isinstance(data, Mapping):
        brief = ", ".join(str(key) for key in data if data[key] is not None)
    return f"<details><summary>{title}{_text(brief, 60)}</summary>{_inside(data)}</details>"


def _inside(data: Any) -> str:
    if isinstance(data, list) and all(isinstance(each, Mapping) for each in data):
        return table(data, len(data))
    parts = [("", each) for each in data]
    if isinstance(data, Mapping):
        parts = [(f"{_text(key)}: ", each) for key, each in data.items() if each is not None]
    return _many("ul", "li", [_value(each, title) for title, each in parts[:MOST]], len(parts))


def _many(whole: str, part: str, contents: Sequence[str], total: int) -> str:
    more = f"<p>... and {total - MOST} more</p>" if total > MOST else ""
    return f"<{whole}>{''.join(f'<{part}>{each}</{part}>' for each in contents)}</{whole}>{more}"


def _text(value: Any, most: int = 500) -> str:
    text = f"{value:%Y-%m-%d %H:%M:%S %Z}".strip() if isinstance(value, datetime) else str(value)
    text = text if len(text) <= most else f"{text[:most]}..."
    return escape(text.encode("utf-8", "replace").decode("utf-8"))
