"""Request bodies: parse JSON, check it, and normalize the casing of its keys.

The checks come from the declarations of the models.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Union, get_args, get_origin

from libica.openapi.libtes.models.base import Field, Model, ModelType
from libica.openapi.libtes.models.decoding import Mismatch, converter
from libica.openapi.libtes.models.execution import Execution
from libica.openapi.libtes.models.input_mount_mapping_with_creds import InputMountMappingWithCreds
from libica.openapi.libtes.models.input_stream_settings import InputStreamSettings
from libica.openapi.libtes.models.resources import Resources

from .errors import Refused

# The models declare no defaults, since the service applies them.
DEFAULTS: dict[ModelType, dict[str, Any]] = {
    Execution: {"retryLimit": 3, "retryCount": 0},
    InputMountMappingWithCreds: {"type": "File"},
    InputStreamSettings: {
        "accessPattern": "sequential",
        "cacheSizeGB": 50,
        "blockSizeMB": 32,
        "prefetchBlocks": 32,
    },
    # Not in the contract; but the real service responds with 0, and scripts compare with it.
    Resources: {"cpuCores": 0, "memoryGb": 0},
}

_EXPECTED: dict[Any, tuple[Union[type, tuple[type, ...]], str]] = {
    str: (str, "a string"),
    bool: (bool, "true or false"),
    int: ((int, float), "a whole number"),
    float: ((int, float), "a number"),
    datetime: (str, "a date and time"),
    list: (list, "an array"),
    dict: (dict, "an object"),
}
_KINDS = {bool: "true or false", str: "a string", dict: "an object", list: "an array"}
_INT32 = (-(2**31), 2**31 - 1)
_DIGITS = 20  # more than any number in the contract has


def parse(data: bytes) -> Any:
    """Parse JSON. An empty body is ``None``, since no operation requires a body.

    Raises:
        Refused: The body is not valid JSON.
    """
    if not data.strip():
        return None
    try:
        return _DECODE(data.decode(json.detect_encoding(data)))
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise Refused(400, f"The body is not valid JSON: {reason}") from None


def canonical(cls: ModelType, data: Any, where: str = "$") -> dict[str, Any]:
    """Return the JSON of a model with the contract's names and defaults.

    Keys are accepted in any casing. Unknown keys and nulls are dropped.

    Raises:
        Refused: A value is missing, of the wrong type or out of range; the message names it.
    """
    _check(dict, data, where)
    known = _names(cls)
    body: dict[str, Any] = {}
    for key, value in data.items():
        field = known.get(key.lower())
        if field is None or value is None:
            continue
        place = f"{where}.{field.json}"
        if field.json in body:
            raise _wrong(place, "be given once, not also in another casing")
        body[field.json] = _value(field.type, value, place, field)
    for field in known.values():
        if field.required and field.json not in body:
            raise _wrong(f"{where}.{field.json}", "be given")
    return {**DEFAULTS.get(cls, {}), **body}


@functools.cache
def _names(cls: type[Model]) -> Mapping[str, Field[Any, Any]]:
    return {field.json.lower(): field for field in cls._fields.values()}


def _value(declared: Any, value: Any, where: str, field: Field[Any, Any]) -> Any:
    if isinstance(declared, ModelType):
        return canonical(declared, value, where)
    origin = get_origin(declared)
    _check(origin or declared, value, where)
    if origin is list:
        (each,) = get_args(declared)
        return [_value(each, item, f"{where}[{i}]", field) for i, item in enumerate(value)]
    if origin is dict:
        _, each = get_args(declared)
        for key in value:
            _check_text(key, f"{where}: a key")
        return {key: _value(each, item, f"{where}[{key!r}]", field) for key, item in value.items()}
    return value if declared is bool else _SCALARS[declared](value, where, field)


def _check(expected: Any, value: Any, where: str) -> None:
    accepted, words = _EXPECTED[expected]
    if not isinstance(value, accepted) or (isinstance(value, bool) and expected is not bool):
        found = "null" if value is None else _KINDS.get(type(value), "a number")
        raise _wrong(where, f"be {words}, not {found}")


def _text(value: str, where: str, field: Field[Any, Any]) -> str:
    _check_text(value, where)
    # The limits are those of the field itself, not of the elements of a list or object.
    if field.type is str:
        _check_bounds(field.length, len(value), where, " characters")
    return value


def _check_text(value: str, where: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _wrong(where, "be valid Unicode, without lone surrogates") from None


def _whole(value: float, where: str, field: Field[Any, Any]) -> int:
    if isinstance(value, float) and not value.is_integer():
        raise _wrong(where, "be a whole number")
    _check_bounds(_INT32, value, where)
    _check_bounds(field.between, value, where)
    return int(value)


def _number(value: float, where: str, field: Field[Any, Any]) -> float:
    if not abs(value) < math.inf:
        raise _wrong(where, "be finite")
    _check_bounds(field.between, value, where)
    return value


def _time(value: str, where: str, _: Field[Any, Any]) -> str:
    try:
        converter(datetime)(value)
    except Mismatch as mismatch:
        raise _wrong(where, f"be {mismatch.expected}") from None
    return value


_SCALARS: dict[Any, Any] = {str: _text, int: _whole, float: _number, datetime: _time}


def _check_bounds(bounds: tuple[float, float], value: float, where: str, unit: str = "") -> None:
    least, most = bounds
    if not least <= value <= most:
        accepted = f"{least} to {most}" if most < math.inf else f"{least} or more"
        raise _wrong(where, f"be {accepted}{unit}, not {value}")


def _wrong(where: str, must: str) -> Refused:
    return Refused(400, f"{where} must {must}", where)


def _integer(text: str) -> int:
    # Parsing takes time quadratic in the number of digits.
    if len(text) > _DIGITS:
        raise ValueError(f"a number has {len(text)} digits, the maximum is {_DIGITS}")
    return int(text)


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is not allowed")


_DECODE = json.JSONDecoder(parse_int=_integer, parse_constant=_constant).decode
