"""Values for any field of any schema of the contract, valid and invalid."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from libica.openapi import libtes

from ..contract import facts
from ..helpers import models

FIELDS = [(name, field) for name, fields in facts.SCHEMAS.items() for field in fields.values()]
any_model = st.deferred(lambda: st.sampled_from(list(facts.SCHEMAS)).flatmap(models_of))


def models_of(schema: str) -> st.SearchStrategy[Any]:
    return models(getattr(libtes, schema))


def limits(field: facts.Field) -> tuple[list[Any], list[Any]]:
    """Return the values at the limits of a field, and those just outside."""
    least, most = field.length if field.type == "str" else field.between
    ends = [int(end) for end in (least, most) if abs(end) < math.inf]
    beyond: list[Any] = [end + (1 if end == most else -1) for end in ends]
    if field.type == "float":
        beyond += [math.nextafter(end, math.inf if end == most else -math.inf) for end in ends]
    if field.type == "str":
        beyond = [length for length in beyond if length >= 0]
        ends, beyond = (["x" * length for length in each] for each in (ends, beyond))
    return ends, beyond + [None] * field.required


_WRONG: dict[str, list[Any]] = {
    "str": [5.0, True, b"nginx", ["nginx"], {"a": "nginx"}],
    "int": [True, 3.5, 2.0**53 + 2, math.inf, math.nan, "3", [3]],
    "float": [True, "4", Decimal(4), [4]],
    "bool": [1, 0.0, "true", []],
    "datetime": ["2021-03-08T04:05:54Z", date(2021, 3, 8), 1615176354],
    "list": ["--all", {"--all"}, {"--all": "x"}, iter(["--all"]), 5],
    "dict": ["a=b", [("a", "b")], {"a"}],
    "model": ["text", [], 5, libtes.ContainerStateWaiting()],
}


def wrong(declared: str) -> Iterator[tuple[Any, str]]:
    """Yield values that no field of the type can be set to, and where in each the error is."""
    if declared.startswith("list["):
        yield from ((value, "") for value in _WRONG["list"])
        if (inner := declared[5:-1]) != "object":
            valid = "x" if inner == "str" else {}
            for value, place in [*wrong(inner), (None, "")]:
                yield [value, valid], f"[0]{place}"
                yield [valid, valid, value], f"[2]{place}"
    elif declared == "dict(str, str)":
        yield from ((value, "") for value in _WRONG["dict"])
        yield from (({"a": "x", "b": value}, "['b']") for value in [*_WRONG["str"], None])
        yield {1: "x"}, ": key"
    else:
        values = _WRONG[declared if declared in _WRONG else "model"]
        yield from ((value, "") for value in values if type(value).__name__ != declared)


_JSON: list[Any] = ["text", "2021-13-01T00:00:00Z", True, 5, 10**400, 0.5, -math.inf, [], {}]
_EXPECTED: dict[str, tuple[str, type, Any]] = {  # what a response may have
    "str": ("a string", str, lambda value: True),
    "int": ("a whole number of 64 bit", int, lambda value: value == 5),
    "bool": ("true or false", bool, lambda value: True),
    "datetime": ("a date and time as in ISO 8601", str, lambda value: False),
    "list": ("an array", list, lambda value: True),
    "dict": ("an object", dict, lambda value: True),
}


def mismatches(declared: str) -> Iterator[tuple[Any, str]]:
    """Yield JSON that a response may not have for a type, and what the complaint says of it."""
    if declared == "float":
        for value in _JSON:
            bits = " of 64 bit" if value in (10**400, -math.inf) else ""
            if bits or type(value) not in (int, float):
                yield value, f" must be a number{bits}, not {type(value).__name__}"
        return
    kind = declared.partition("[")[0].partition("(")[0]
    expected, cls, valid = _EXPECTED.get(kind, _EXPECTED["dict"])
    for value in _JSON:
        if type(value) is not cls or not valid(value):
            yield value, f" must be {expected}, not {type(value).__name__}"
    if declared in ("list[str]", "dict(str, str)"):
        for value, complaint in mismatches("str"):
            if kind == "list":
                yield ["x", None, value], f"[2]{complaint}"
            else:
                yield {"A": "x", "B": None, "C": value}, f".C{complaint}"
