"""How models are made into what the ``json`` module takes: one function a class, compiled once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from functools import cache, partial
from typing import Any, get_args, get_origin

from .._checks import check_str, convert
from ..exceptions import wrong_type
from .base import Model, ModelType

_PLAIN = frozenset((str, int, float, bool, type(None)))  # for which no place need be spelled out


def encode(value: Any, where: str = "body") -> Any:
    """Turn models, dicts and lists into what ``json`` takes."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, Model):
        return encoder(type(value))(value)
    if isinstance(value, Mapping):
        for key in value:
            if key.__class__ is not str:
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
    raise wrong_type(where, "something that JSON has", value)


@cache
def encoder(cls: type[Model]) -> Callable[[Any], dict[str, Any]]:
    """Return the function that makes a dict of a model of this very class."""
    names: dict[str, Any] = {"__name__": __name__}
    lines = ["def encode_model(model):", "    data = {}"]
    for name, field in cls._fields.items():
        encoded = "value"
        if field.type not in (str, int, float, bool):
            names[f"encode_{name}"] = partial(_encoder(field.type), where=field.where)
            encoded = f"encode_{name}(value)"
        lines += [
            f"    value = model.{name}",
            "    if value is not None:",
            f"        data[{field.json!r}] = {encoded}",
        ]
    exec("\n".join([*lines, "    return data"]), names)  # noqa: S102 made of the declared names alone
    encode_model: Callable[[Any], dict[str, Any]] = names["encode_model"]
    return encode_model


def _encoder(declared: Any) -> Callable[..., Any]:
    """Return the function for a type. Lists and dicts may have changed since they were set."""
    if isinstance(declared, ModelType):
        return partial(_encode_model, declared, encoder(declared))
    if get_origin(declared) is list:
        element = get_args(declared)[0]
        each = None if element is str else _encoder(element)
        return partial(_encode_list, declared, each)
    if declared == dict[str, str]:
        return partial(_encode_dict, declared)
    return encode


def _encode_model(declared: Any, whole: Any, value: Any, where: str) -> Any:
    return whole(value) if value.__class__ is declared else encode(value, where)


def _encode_list(declared: Any, each: Any, value: Any, where: str) -> list[Any]:
    value = convert(declared, value, where)
    if each is None:
        return list(value)
    return [each(item, f"{where}[{index}]") for index, item in enumerate(value)]


def _encode_dict(declared: Any, value: Any, where: str) -> dict[str, str]:
    return dict(convert(declared, value, where))
