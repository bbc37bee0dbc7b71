"""JSON data as YAML that people read: block style, with strings in quotes unless they are plain."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

_PLAIN = re.compile(r"[A-Za-z_/][\w./-]*", re.ASCII)
_MEANS_MORE = frozenset("true false yes no on off null y n".split())
# What YAML does not allow in a text, or takes for a line break.
_NOT_PRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]"
)


def dump(data: Any) -> str:
    """Return JSON data as a YAML document."""
    return "".join(f"{line}\n" for line in _lines(data))


def printable(text: str) -> str:
    """Return a text with characters that YAML does not allow escaped."""
    return _NOT_PRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _lines(data: Any) -> Iterator[str]:
    if isinstance(data, dict) and data:
        for key, value in data.items():
            lines = list(_lines(value))
            if _is_block(value):
                yield f"{_scalar(key)}:"
                yield from (f"  {line}" for line in lines)
            else:
                yield f"{_scalar(key)}: {lines[0]}"
    elif isinstance(data, list) and data:
        for value in data:
            first, *others = _lines(value)
            yield f"- {first}"
            yield from (f"  {line}" for line in others)
    else:
        yield _scalar(data)


def _is_block(value: Any) -> bool:
    return isinstance(value, (dict, list)) and bool(value)


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _MEANS_MORE:
        return value
    return printable(json.dumps(value, ensure_ascii=False))
