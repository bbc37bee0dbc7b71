"""JSON data as YAML that people read: in block style, and with as few escapes as can be."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

_PLAIN = re.compile(r"[A-Za-z_/][\w./-]*", re.ASCII)
_MEANS_MORE = frozenset("true false yes no on off null y n".split())
# What YAML does not permit in a text, or takes for a line break.
_NOT_PRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]"
)


def dump(data: Any) -> str:
    """Return JSON data as a YAML document."""
    return "".join(f"{line}\n" for line in _lines(data))


def printable(text: str) -> str:
    """Return a text with characters that YAML does not permit escaped."""
    return _NOT_PRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _lines(data: Any) -> Iterator[str]:
    if isinstance(data, dict) and data:
        for key, value in data.items():
            first, *others = _lines(value)
            if isinstance(value, (dict, list)) and value:
                yield f"{_scalar(key)}:"
                yield f"  {first}"
            else:
                yield f"{_scalar(key)}: {first}"
            yield from (f"  {line}" for line in others)
    elif isinstance(data, list) and data:
        for value in data:
            first, *others = _lines(value)
            yield f"- {first}"
            yield from (f"  {line}" for line in others)
    elif isinstance(data, str) and _is_block(data):
        yield "|" if data.endswith("\n") else "|-"
        yield from data.removesuffix("\n").split("\n")
    else:
        yield _scalar(data)


def _is_block(text: str) -> bool:
    """Return whether a text can be one in which nothing is escaped, such as a shell script."""
    lines = text.removesuffix("\n").split("\n")
    if _NOT_PRINTABLE.search(text) or text[:1].isspace() or not lines[-1].strip():
        return False
    return len(lines) > 1


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        if _PLAIN.fullmatch(value) and value.lower() not in _MEANS_MORE:
            return value
        if re.search(r'["\\]', value) and not re.search(r"[\n\t]|" + _NOT_PRINTABLE.pattern, value):
            quoted = value.replace("'", "''")
            return f"'{quoted}'"
    return printable(json.dumps(value, ensure_ascii=False))
