"""How models are turned into what the ``json`` module takes."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from .._checks import check_str, convert
from ..exceptions import wrong_type
from .base import Model

_PLAIN = frozenset((str, int, float, bool, type(None)))  # no need to spell out where they stand


def encode(value: Any, where: str = "body") -> Any:
    """Turn models, dicts and lists into what ``json`` takes; an error says where a value stands."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, Model):
        return _encode_model(value)
    if isinstance(value, Mapping):
        for key in value:
            check_str(key, f"{where}: key")
        return {
            key: each if each.__class__ in _PLAIN else encode(each, f"{where}[{key!r}]")
            for key, each in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [
            each if each.__class__ in _PLAIN else encode(each, f"{where}[{index}]")
            for index, each in enumerate(value)
        ]
    if isinstance(value, date):
        return value.isoformat()
    raise wrong_type(where, "a JSON type", value)


def _encode_model(model: Model) -> dict[str, Any]:
    data = {}
    for name, field in type(model)._fields.items():
        value = getattr(model, name)
        if value.__class__ in _PLAIN:
            if value is not None:
                data[field.json] = value
        elif isinstance(value, Model):
            data[field.json] = _encode_model(value)
        else:  # lists and dicts may have changed since they were set
            data[field.json] = encode(convert(field.type, value, field.where), field.where)
    return data
