"""Values for any field of any schema of the contract: valid ones, and such as must be refused."""

from __future__ import annotations

import math
from datetime import date
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from libica.openapi import libtes

from ..contract import facts
from ..helpers import json_values, models, snake_case, texts

FIELDS = [(schema, field) for schema, fields in facts.SCHEMAS.items() for field in fields.values()]
LIMITED = [
    (schema, field)
    for schema, field in FIELDS
    if field.required or field.length != (0, math.inf) or field.between != (-math.inf, math.inf)
]
any_model = st.deferred(lambda: st.sampled_from(list(facts.SCHEMAS)).flatmap(models_of))
Refused = st.SearchStrategy[tuple[Any, str]]  # a value, and where in it the error is


def models_of(schema: str) -> st.SearchStrategy[Any]:
    return models(getattr(libtes, schema))


def named(field: facts.Field, value: Any) -> dict[str, Any]:
    """Return a field under its Python name with a value."""
    return {snake_case(field.name): value}


def required(schema: str) -> dict[str, Any]:
    """Return a valid value for each required field."""
    fields = facts.SCHEMAS[schema].values()
    return {snake_case(each.name): "x" for each in fields if each.required}


def outside(field: facts.Field) -> st.SearchStrategy[Any]:
    """Return values of the right type that the limits of the contract forbid."""
    missing = [st.none()] if field.required else []
    if field.type == "str":
        least, most = field.length
        texts = [""] if least else []
        texts += ["x" * int(most + 1)] if most < math.inf else []
        return st.one_of(*missing, *map(st.just, texts))
    least, most = map(int, field.between)
    numbers = st.integers(most + 1, 2**53) | st.integers(-(2**53), least - 1)
    if field.type == "float":
        beyond = [math.nextafter(most, math.inf), math.nextafter(least, -math.inf)]
        numbers |= st.sampled_from(beyond)
    return numbers


_WRONG: dict[str, st.SearchStrategy[Any]] = {
    "str": st.floats() | st.booleans() | st.binary() | st.lists(texts) | st.builds(dict),
    "int": st.floats().filter(lambda x: not (x.is_integer() and abs(x) <= 2**53))
    | st.sampled_from([True, "3", Decimal(3), 2.0**53 + 2, math.inf, math.nan, []]),
    "float": st.sampled_from([True, "4", Decimal(4), b"4", [4]]),
    "bool": st.integers() | texts | st.builds(list),
    "datetime": texts | st.just(date(2021, 3, 8)) | st.integers() | st.just("2021-03-08T04:05:54Z"),
    "list": texts | st.builds(set) | st.builds(dict) | st.builds(iter, st.just([])),
    "dict(str, str)": texts | st.just([("a", "b")]) | st.builds(set),
}


def wrong(declared: str) -> Refused:
    """Return values that a user cannot set a field of this type to."""
    if declared.startswith("list["):
        whole, inner = _WRONG["list"], declared[5:-1]
        if inner == "object":
            return st.tuples(whole, st.just(""))
        within = wrong(inner) | st.just((None, ""))
        filler = {"str": "x"}.get(inner, {})
        return st.tuples(whole, st.just("")) | st.builds(
            lambda at, each: ([filler] * at + [each[0]], f"[{at}]{each[1]}"),
            st.integers(0, 2),
            within,
        )
    if declared == "dict(str, str)":
        within = st.builds(lambda x: ({"a": "x", "b": x}, "['b']"), _WRONG["str"] | st.none())
        return st.tuples(_WRONG[declared], st.just("")) | within | st.just(({1: "x"}, ": key"))
    if declared in _WRONG:
        return st.tuples(_WRONG[declared], st.just(""))
    other = libtes.Credentials() if declared != "Credentials" else libtes.Resources()
    return st.tuples(texts | st.builds(list) | st.just(other), st.just(""))


_KINDS = {
    "str": ((str,), "a string"),
    "int": ((int, float), "a whole number of 64 bit"),
    "float": ((int, float), "a number"),
    "bool": ((bool,), "true or false"),
    "datetime": ((), "a date and time as in ISO 8601"),
}
_not_a_time = st.sampled_from(["", "soon", "2021-13-01", "04:05:54", "1615176354"])
_whole = json_values.filter(lambda value: value is not None)


def mismatches(declared: str) -> st.SearchStrategy[tuple[Any, str, str]]:
    """Return JSON that a response may not have for a type, its place within, and the complaint."""
    inner = declared[5:-1] if declared.startswith("list[") else declared
    if inner != declared:
        found = _complaints((list,), "an array")
        return found if inner == "object" else found | _within(mismatches(inner), as_list=True)
    if declared == "dict(str, str)":
        return _complaints((dict,), "an object") | _within(mismatches("str"), as_list=False)
    if declared == "datetime":
        return _complaints((str,), _KINDS[declared][1]) | _not_a_time.map(
            lambda text: (text, "", f"{_KINDS['datetime'][1]}, not str")
        )
    if declared in _KINDS:
        return _complaints(*_KINDS[declared])
    fields = list(facts.SCHEMAS[declared].values())
    return _complaints((dict,), "an object") | st.sampled_from(fields).flatmap(
        lambda field: mismatches(field.type).map(
            lambda it: ({field.name: it[0]}, f".{field.name}{it[1]}", it[2])
        )
    )


def _complaints(valid: tuple[type, ...], expected: str) -> st.SearchStrategy[tuple[Any, str, str]]:
    values = _whole.filter(lambda value: type(value) not in valid)
    return values.map(lambda value: (value, "", f"{expected}, not {type(value).__name__}"))


def _within(inner: Any, as_list: bool) -> st.SearchStrategy[tuple[Any, str, str]]:
    """Put what does not match after nulls, which may stand anywhere in a list or dict."""

    def wrap(count: int, it: tuple[Any, str, str]) -> tuple[Any, str, str]:
        if as_list:
            return [None] * count + [it[0]], f"[{count}]{it[1]}", it[2]
        return {**dict.fromkeys("abc"[:count]), "K": it[0]}, f".K{it[1]}", it[2]

    return st.builds(wrap, st.integers(0, 3), inner)
