"""Placeholders: find ``{{name}}`` in an execution, and replace it with an argument.

A placeholder may stand in any string, be it a value or the key of a map, several times and within
longer text. Its name has no white space and no braces; blanks around the name do not count. All
other braces are plain text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from .exceptions import ApiValueError

_PLACEHOLDER = re.compile(r"\{\{[ \t]*([^\s{}]+)[ \t]*\}\}")


def find(execution: Any) -> list[str]:
    """Return the names of the placeholders in a model or JSON value, each once, in their order.

    Of a model that has an execution, such as a ``TaskVersion``, only that is searched.
    """
    texts = _texts(getattr(execution, "execution", execution))
    return list(dict.fromkeys(name for text in texts for name in _PLACEHOLDER.findall(text)))


def fill(value: Any, arguments: Mapping[str, str]) -> Any:
    """Return a copy of a JSON value with each placeholder replaced by its argument.

    A placeholder within an argument is not replaced; an argument without one is ignored.

    Raises:
        ApiValueError: Arguments are missing (the message names all of them), or two keys of a map
            became the same.
    """
    missing = sorted(set(find(value)) - arguments.keys())
    if missing:
        raise ApiValueError(f"no argument for {', '.join(missing)}")
    return _filled(value, arguments)


def _texts(value: Any) -> Iterator[str]:
    if hasattr(value, "to_dict"):
        value = value.to_dict()
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield key
            yield from _texts(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _texts(each)


def _filled(value: Any, arguments: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _PLACEHOLDER.sub(lambda found: arguments[found[1]], value)
    if isinstance(value, Mapping):
        filled = {_filled(key, arguments): _filled(each, arguments) for key, each in value.items()}
        if len(filled) < len(value):
            raise ApiValueError(f"the arguments make keys equal that differ: {', '.join(value)}")
        return filled
    if isinstance(value, (list, tuple)):
        return [_filled(each, arguments) for each in value]
    return value
