"""Placeholders: which ``{{name}}`` a JSON value holds, and filling them in from arguments."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_PLACEHOLDER = re.compile(r"\{\{[ \t]*([^\s{}]+)[ \t]*\}\}")


def names(value: Any) -> set[str]:
    """Return the names of all placeholders in a JSON value.

    A placeholder is ``{{name}}`` inside any string, be it a value or the key of a map. A name has
    no white space and no braces; blanks around it do not count. Other braces are plain text.
    """
    return {name for text in _texts(value) for name in _PLACEHOLDER.findall(text)}


def fill(value: Any, arguments: Mapping[str, str]) -> Any:
    """Return a copy of a JSON value with every placeholder replaced by its argument.

    An argument is inserted as it is, once: what looks like a placeholder in it stays.

    Raises:
        ValueError: Arguments are missing (the message names all of them), or two keys of a map
            became the same.
    """
    missing = sorted(names(value) - arguments.keys())
    if missing:
        raise ValueError(f"no argument for {', '.join(missing)}")
    return _filled(value, arguments)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield key
            yield from _texts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)


def _filled(value: Any, arguments: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _PLACEHOLDER.sub(lambda found: arguments[found[1]], value)
    if isinstance(value, Mapping):
        filled = {_filled(key, arguments): _filled(item, arguments) for key, item in value.items()}
        if len(filled) < len(value):
            raise ValueError(f"the arguments make two keys the same, of {', '.join(value)}")
        return filled
    if isinstance(value, (list, tuple)):
        return [_filled(item, arguments) for item in value]
    return value
