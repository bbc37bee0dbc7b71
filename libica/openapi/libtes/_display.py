"""How models look: one line for ``repr``, HTML for notebooks; secrets are masked."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from html import escape
from pkgutil import get_data
from typing import Any

from ._redaction import redact

ROWS, MOST = 20, 100  # rows of a table; entries of a list or dict
HEADLINE = ("id", "name", "version", "status", "items", "total_item_count")
OWNERS = {"href", "urn", "acl", "tenantid", "subtenantid", "createdby", "modifiedby"}
FIRST = ("name", "status", "why", "status_details", "time_created")  # columns of a table
STATUSES = "Failed|TimedOut|Aborted|Lost|Unsure|Not launched||Running|Pending|Completed".split("|")
# Of each status; the empty one stands for any other.
RANKS, MARKS = {status: rank for rank, status in enumerate(STATUSES)}, "✗✗■??-•▸○✓"
LEFT, LINE = ' style="text-align:left"', ' style="white-space:nowrap"'  # where sheets are removed
CLIP = LINE[:-1] + ';display:inline-block;max-width:36ch;overflow:hidden;text-overflow:ellipsis"'


def summary(name: str, fields: Mapping[str, Any]) -> str:
    """Return the ``repr`` of a model: the fields that identify it, or else its first three."""
    given = {key: value for key, value in fields.items() if value is not None}
    chosen = [key for key in HEADLINE if key in given] or list(given)[:3]
    shown = [f"{key}={_brief(key, given[key])}" for key in chosen]
    return f"{name}({', '.join(shown + ['...'] * (len(shown) < len(given)))})"


def _brief(name: str, value: Any) -> str:
    if hasattr(value, "to_dict"):
        return f"{type(value).__name__}(...)"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (list, tuple, Mapping)):
        return f"<{len(value)} items>"
    told = repr(redact(value, name))
    return told if len(told) <= 60 else f"{told[:56]}...{told[0]}"


def model(title: str, data: Mapping[str, Any]) -> str:
    """Return the HTML of a model: of a page a table, of others a tree whose top is unfolded."""
    if "items" in data:
        return styled(f"<p>{code(title)}</p>{table(data['items'] or [])}")
    inside = _inside(redact(data))
    return styled(f"<details open><summary>{code(title)}</summary>{inside}</details>")


def styled(html: str) -> str:
    """Return HTML with what fits it in with a page around it, which front ends may remove."""
    return (get_data(__name__, "_display.html") or b"").decode().replace("{}", html)


def table(data: Sequence[Mapping[str, Any]], most: int = ROWS) -> str:
    """Return a table of objects, the failed ones first, without their addresses and owners."""
    ranks = [RANKS.get(str(row.get("status")), RANKS[""]) for row in data]
    first = sorted(range(len(data)), key=ranks.__getitem__)[:most]
    rows = {at: redact(_parted(data[at])[0]) for at in first}
    names = dict.fromkeys(name for row in (FIRST, *rows.values()) for name in row)
    used = [name for name in names if any(row.get(name) is not None for row in rows.values())]
    lines = ["".join(f"<th{LEFT}>{text(name)}</th>" for name in ("#", *used))]
    for at, row in rows.items():
        cells = "".join(f"<td{LEFT}>{_value(name, row.get(name), long=CLIP)}</td>" for name in used)
        lines.append(f"<th{LEFT}>{at}</th>{cells}")
    body = "".join(f"<tr>{each}</tr>" for each in lines) * bool(used)
    return f"<div><table>{body}</table></div>{_more(len(data) - most)}"


def badge(status: str, count: str = "") -> str:
    """Return a status, or how many have it, with its mark; styles colour it."""
    shown, mark = text(status), MARKS[RANKS.get(status, RANKS[""])]
    return f'<code class="is" data-is="{shown}"{LINE}>{mark} {count}{shown}</code>'


def code(value: Any, name: str = "", long: str = "") -> str:
    """Return a value as text that stays what it is; a click copies a long one without blanks."""
    shown, kind = text(value), "id short" if name.lower().endswith("id") else "id"
    line = LINE if len(shown) < 80 and "\n" not in shown else long
    if isinstance(value, datetime) and value.tzinfo:
        return f'<time datetime="{value.isoformat()}"{LINE}>{shown}</time>'
    if not isinstance(value, str) or len(value) < 20:
        return f"<code{line}>{shown}</code>"
    return f'<code class="{kind * (" " not in value)}" title="{shown}"{line}>{shown}</code>'


def _value(name: str, data: Any, title: str = "", long: str = "") -> str:
    if not data or not isinstance(data, (Mapping, list)):
        is_status = name == "status" and isinstance(data, str)
        return title + (badge(data) if is_status else code(data, name, long)) * (data is not None)
    keys = [str(k) for k in data if data[k] is not None] if isinstance(data, Mapping) else []
    brief = ", ".join(keys) or f"{len(data)} items"
    return f"<details><summary>{title}{text(brief, 60)}</summary>{_inside(data)}</details>"


def _inside(data: Any) -> str:
    if isinstance(data, list) and all(isinstance(each, Mapping) for each in data):
        return table(data)
    parts = [("", "", each) for each in data]
    if isinstance(data, Mapping):
        data, owners = _parted(data)
        parts = [(k, f"{text(k)}: ", data[k]) for k in data if data[k] is not None]
        parts += [("", "addresses and owners: ", owners)] if any(owners.values()) else []
    lines = [f"<li>{_value(name, each, title)}</li>" for name, title, each in parts[:MOST]]
    return f"<ul>{''.join(lines)}</ul>{_more(len(parts) - MOST)}"


def _parted(data: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return an object, and apart from it the addresses and owners of one that has an id."""
    owners = [key for key in data if "id" in data and key.replace("_", "").lower() in OWNERS]
    return {k: data[k] for k in data if k not in owners}, {k: data[k] for k in owners}


def _more(count: int) -> str:
    return f"<p>... and {count:,} more</p>" if count > 0 else ""


def text(value: Any, most: int = 500) -> str:
    """Return a value as escaped text, cut where it is long."""
    told = f"{value:%Y-%m-%d %H:%M:%S %Z}".strip() if isinstance(value, datetime) else str(value)
    return escape((told[:most] + "..." * (len(told) > most)).encode("utf-8", "replace").decode())
