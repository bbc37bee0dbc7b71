"""Placeholders: which ``{{name}}`` a launch has to give arguments for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Union

from libica.openapi.libtes import Execution, TaskVersion

_PLACEHOLDER = re.compile(r"\{\{[ \t]*([^\s{}]+)[ \t]*\}\}")


def placeholders(execution: Union[Execution, TaskVersion, Mapping[str, Any]]) -> list[str]:
    """Return the names of the placeholders in an execution, once each, as they appear.

    A placeholder is ``{{name}}`` inside any string, wherever it stands, or in the name of a
    variable. A name has no white space and no braces; blanks around it do not count.

    Args:
        execution: The execution, as a model or a dict; or a version that has one.
    """
    given = execution.execution if isinstance(execution, TaskVersion) else execution
    found = (name for text in _texts(given) for name in _PLACEHOLDER.findall(text))
    return list(dict.fromkeys(found))


def _texts(value: object) -> Iterator[str]:
    """Yield all strings within a value of models, dicts and lists."""
    to_dict = getattr(value, "to_dict", None)
    if to_dict is not None:
        value = to_dict()
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield key
            yield from _texts(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _texts(each)
