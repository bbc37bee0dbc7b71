"""Checks of arguments and fields: names, types, exact conversions, bounds."""

import math
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from operator import index
from typing import Any

from .exceptions import ApiTypeError, closest, wrong_type, wrong_value

Bounds = tuple[float, float]


def bind_arguments(
    callee: str, names: Sequence[str], most: int, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """Match arguments to names, as Python does for a call; at most ``most`` by position."""
    if len(args) > most:
        raise ApiTypeError(f"{callee} takes at most {most} positional arguments, got {len(args)}")
    values = dict(zip(names, args))
    for name, value in kwargs.items():
        if name not in names:
            hint = closest(name, names)
            raise ApiTypeError(f"{callee} got an unexpected keyword argument {name!r}{hint}")
        if name in values:
            raise ApiTypeError(f"{callee} got two values for argument {name!r}")
        values[name] = value
    return values


def check_bounds(bounds: Bounds, value: float, where: str, unit: str = "") -> None:
    """Raise if a number, or a count of a unit, is outside the bounds."""
    least, most = bounds
    if not least <= value <= most:
        accepted = f"{least} to {most}" if most < math.inf else f"{least} or more"
        got = f", got {value}" if abs(value) < 2**64 else ""  # or Python may not print it
        raise wrong_value(where, f"be {accepted}{unit}{got}")


def convert(declared: Any, value: Any, where: str) -> Any:
    """Return a value as the declared type, or raise if no exact conversion exists.

    An ``int`` is accepted as a ``str``, a whole ``float`` up to 2**53 as an ``int``, and an integer
    of numpy as an ``int``. A list or dict is copied only if an element was converted.
    """
    if value.__class__ is declared and declared is not float:
        return value
    origin = getattr(declared, "__origin__", None)
    expected, name = _EXPECTED.get(origin or declared, (declared, declared.__name__))
    if not origin and hasattr(declared, "openapi_types"):
        expected, name = (declared, Mapping), f"{declared.__name__} or a dict with its JSON names"
    if not isinstance(value, expected) or (value.__class__ is bool and declared in (int, float)):
        return _convert_number(declared, value, where, name)
    if origin:
        parts: Any = declared  # typing.get_args would take as long as the check
        return _convert_inside(origin, parts.__args__[-1], value, where)
    if declared is float and not abs(value) <= sys.float_info.max:
        raise wrong_value(where, "be finite: JSON has no NaN")
    return value


def _convert_inside(origin: type, element: Any, value: Any, where: str) -> Any:
    converted = value
    if origin is dict:
        for key in value:
            check_str(key, f"{where}: key")
    for key, each in enumerate(value) if origin is list else value.items():
        if each.__class__ is not element:
            other = convert(element, each, f"{where}[{key!r}]")
            if other is not each:
                converted = origin(value) if converted is value else converted
                converted[key] = other
    return converted


def _convert_number(declared: Any, value: Any, where: str, accepted: str) -> Any:
    if value.__class__ is not bool and declared in (int, float, str):
        with suppress(TypeError):
            value = index(value)
        if isinstance(value, int):
            try:
                return int.__repr__(value) if declared is str else value
            except ValueError:  # the limit of Python 3.11 and later
                raise wrong_value(where, "be shorter: the number has too many digits") from None
        whole = isinstance(value, float) and value.is_integer() and abs(value) <= 2**53
        if whole and declared is int:
            return int(value)
    if declared is str and type(value) in _QUOTED:
        accepted += f' (quote the text to send, such as "{_QUOTED[type(value)]}")'
    raise wrong_type(where, accepted, value)


def check_str(value: object, where: str) -> None:
    """Raise if a value is not a string. For names and ids: a number there is a mistake."""
    if not isinstance(value, str):
        raise wrong_type(where, "str", value)


_EXPECTED: dict[Any, tuple[Any, str]] = {
    list: ((list, tuple), "a list"),
    dict: (Mapping, "a dict"),
    float: ((int, float), "a number"),
    int: (int, "int, or a whole float up to 2**53"),
}
_QUOTED = {float: "0.5", bool: "true"}
