"""Decoding: one function per type turns JSON into that type, compiled once for each model."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import cache, partial
from typing import Any, Union, get_args, get_origin

from ..exceptions import kind
from .base import Model, ModelType, compile_function

Convert = Callable[[Any], Any]

# Inlined for speed where the standard library reads all of ISO 8601: the most calls would be these.
_QUICK_TIME = "try: value = parse(value)\nexcept Exception: value = {}(value)"
_CONVERSION: dict[Any, str] = {datetime: _QUICK_TIME} if sys.version_info >= (3, 11) else {}

INT64 = range(-(2**63), 2**63)


class Mismatch(Exception):  # noqa: N818 it never reaches a user
    """Part of a response has the wrong type; its place is added on the way out."""

    def __init__(self, expected: str, value: object) -> None:
        super().__init__(expected)  # the value may be secret
        self.expected = expected
        self.found: str = kind(value)
        self.place: str = ""

    def at(self, step: Union[str, int]) -> Mismatch:
        """Prepend a step to the place."""
        self.place = (f"[{step}]" if isinstance(step, int) else f".{step}") + self.place
        return self

    def __str__(self) -> str:
        return f"${self.place} must be {self.expected}, not {self.found}"


def converter(declared: Any) -> Convert:
    """Return the function that turns JSON, other than ``null``, into a declared type."""
    origin = get_origin(declared)
    if origin is list:
        element = get_args(declared)[0]
        each = converter(element)
        return _strings if element is str else partial(_inside, list, "an array", enumerate, each)
    if origin is dict:
        each = converter(get_args(declared)[1])
        return partial(_inside, dict, "an object", dict.items, each)
    return decoder(declared) if isinstance(declared, ModelType) else _CONVERTERS[declared]


@cache
def decoder(cls: type[Model]) -> Convert:
    """Generate the function that turns JSON into a model.

    The model is filled as an instance of a subclass with the same slots, which sets attributes
    unchecked, and then becomes an instance of the class itself.
    """
    body = {"__slots__": (), "__setattr__": object.__setattr__}
    unchecked = type.__new__(ModelType, cls.__name__, (cls,), body)
    names: dict[str, Any] = {"__name__": __name__, "Mismatch": Mismatch, "new": object.__new__}
    names.update(cls=cls, unchecked=unchecked, parse=datetime.fromisoformat)
    lines = [
        "def decode(data):",
        "    if data.__class__ is not dict:",
        "        raise Mismatch('an object', data)",
        "    get = data.get",
        "    model = new(unchecked)",
        "    model.local_vars_configuration = None",
        "    try:",
    ]
    names["places"] = places = [""] * len(lines)  # for each line, the field that it decodes
    for name, field in cls._fields.items():
        names[f"to_{name}"] = converter(field.type)
        quick = "value.__class__ is not str and " if field.type is str else ""
        convert = _CONVERSION.get(field.type, "value = {}(value)").format(f"to_{name}")
        lines += [
            f"        value = get({field.json!r})",
            f"        if {quick}value is not None:",
            *(f"            {line}" for line in convert.split("\n")),
            f"        model.{name} = value",
        ]
        places += [field.json] * (len(lines) - len(places))
    lines += [
        "    except Mismatch as mismatch:",
        "        raise mismatch.at(places[mismatch.__traceback__.tb_lineno - 1]) from None",
        "    model.__class__ = cls",
        "    return model",
    ]
    decode: Convert = compile_function(cls, "decode", lines, names)
    return decode


def _exactly(cls: type, expected: str, value: Any) -> Any:
    if value.__class__ is not cls:
        raise Mismatch(expected, value)
    return value


def _integer(value: Any) -> int:
    # Above 2**53 a float may stand for another number than the one that was written.
    if value.__class__ is float and value.is_integer() and abs(value) <= 2**53:
        value = int(value)
    if value.__class__ is not int or value not in INT64:
        raise Mismatch("a whole number of 64 bit", value)
    return int(value)


def _number(value: Any) -> float:
    if value.__class__ not in (int, float):
        raise Mismatch("a number", value)
    with suppress(OverflowError):
        if not math.isinf(number := float(value)):
            return number
    raise Mismatch("a number of 64 bit", value)


def _time(value: Any) -> datetime:
    try:
        return datetime.fromisoformat(value)
    except (ValueError, TypeError):
        # Before Python 3.11 it knows neither "Z" nor seven fractional digits.
        from dateutil.parser import isoparse
    try:
        return isoparse(value if isinstance(value, str) else "")
    except (ValueError, OverflowError):
        raise Mismatch("a date and time as in ISO 8601", value) from None


def _inside(
    cls: Any, expected: str, steps: Callable[[Any], Any], convert: Convert, value: Any
) -> Any:
    """Convert the elements of a list or dict in place, so that each object of JSON is freed."""
    if value.__class__ is not cls:
        raise Mismatch(expected, value)
    step: Any = 0
    try:
        for step, each in steps(value):
            if each is not None:
                value[step] = convert(each)
    except Mismatch as mismatch:
        raise mismatch.at(step) from None
    return value


def _strings(value: Any) -> Any:
    texts: Any = value if value.__class__ is list else [None]
    try:
        "".join(texts)  # faster than to check each of them
    except TypeError:
        return _inside(list, "an array", enumerate, _CONVERTERS[str], value)
    return value


_CONVERTERS: dict[Any, Convert] = {
    str: partial(_exactly, str, "a string"),
    bool: partial(_exactly, bool, "true or false"),
    int: _integer,
    float: _number,
    datetime: _time,
    object: lambda value: value,
}
