"""Placeholders: find ``{{name}}`` in an execution, and replace it with an argument.

A placeholder may stand in any string, also in keys, several times and within longer text. Its name
has no white space and no braces; blanks around it do not count. All other braces are plain text.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from .exceptions import ApiValueError

_PLACEHOLDER = re.compile(r"\{\{[ \t]*([^\s{}]+)[ \t]*\}\}")


def find(execution: Any) -> list[str]:
    """Return the names of the placeholders in a model or JSON value, each once, in their order.

    Of a model that has an execution, such as a ``TaskVersion``, only that is searched.
    """
    names: dict[str, None] = {}

    def note(found: re.Match[str]) -> str:
        names[found[1]] = None
        return found[0]

    _replaced(getattr(execution, "execution", execution), note)
    return list(names)


def fill(value: Any, arguments: Mapping[str, str]) -> Any:
    """Return a copy of a JSON value with each placeholder replaced by its argument.

    A placeholder within an argument is not replaced; an argument without one is ignored. If
    arguments are missing or make two keys of a map the same, ``ApiValueError`` is raised.
    """
    missing = sorted(set(find(value)) - arguments.keys())
    if missing:
        raise ApiValueError(f"no argument for {', '.join(missing)}")
    return _replaced(value, lambda found: arguments[found[1]])


def _replaced(value: Any, replace: Callable[[re.Match[str]], str]) -> Any:
    if hasattr(value, "to_dict"):
        value = value.to_dict()
    if isinstance(value, str):
        return _PLACEHOLDER.sub(replace, value)
    if isinstance(value, Mapping):
        pairs = {_replaced(key, replace): _replaced(each, replace) for key, each in value.items()}
        if len(pairs) < len(value):
            raise ApiValueError(f"the arguments make keys equal that differ: {', '.join(value)}")
        return pairs
    if isinstance(value, (list, tuple)):
        return [_replaced(each, replace) for each in value]
    return value
