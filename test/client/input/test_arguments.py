"""Hostile values of fields, bodies and arguments: each is sent as it should be, or is refused."""

from __future__ import annotations

import contextlib
import json
import math
import re
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libica.openapi import libtes
from libica.openapi.libtes import ApiClient

from ...helpers import each_model, few_examples, json_values, samples, texts
from ...operations import OPERATIONS, WITH_BODY, Operation
from ...wire import Wire
from .requests import REFUSALS, Asked, ask, fuzzed, hostile_texts, nothing_sent

pytestmark = pytest.mark.usefixtures("looked_up")

ODD_VALUES = [
    *("\ud800", math.nan, -math.inf, 10**400, b"\xff", object(), dict, {1}, 1j, len),
    *(datetime(1, 1, 1), {1: "x", None: "y", (): "z"}, libtes.Execution()),
    [libtes.Image(name="x"), {"path": libtes.Execution()}],
]
anything = st.recursive(
    st.sampled_from(ODD_VALUES) | json_values | st.binary(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner)
        | st.dictionaries(texts | st.integers(), inner, max_size=3)
    ),
    max_leaves=6,
)


@few_examples
@given(data=st.data())
@each_model
def test_any_value_of_any_field_is_taken_or_refused(cls: Any, data: Any) -> None:
    """A model is built of what it takes; it can be shown, compared, and sent or refused."""
    accepted = samples(cls)
    model = cls(**accepted)
    values = data.draw(st.dictionaries(st.sampled_from(sorted(accepted)), anything, max_size=4))
    for name, value in values.items():
        try:
            setattr(model, name, value)
        except REFUSALS:
            assert getattr(model, name) == accepted[name]
    with contextlib.suppress(libtes.OpenApiException):
        cls(**{**accepted, **values})
    assert repr(model)
    assert str(model)
    assert set(model.to_dict()) == set(cls.attribute_map)
    assert model != object()
    with contextlib.suppress(libtes.OpenApiException):
        json.dumps(ApiClient().sanitize_for_serialization(model))


@fuzzed
@given(operation=st.sampled_from(WITH_BODY), body=st.dictionaries(texts, anything, max_size=3))
def test_any_dict_as_a_body_is_sent_as_json_or_is_refused(
    wire: Wire, wired: ApiClient, operation: Operation, body: Any
) -> None:
    harmless = ask(wire, wired, operation)
    before = len(wire.received)
    try:
        asked = ask(wire, wired, operation, body=body)
    except REFUSALS:
        assert wire.received[before:] == []
    else:
        assert asked.target == harmless.target
        assert len(json.loads(asked.body)) == len(body)
        length = [f"Content-Length: {len(asked.body)}".encode()]
        assert [each for each in asked.lines if each not in harmless.lines] in ([], length)


@st.composite
def arguments(draw: Any) -> tuple[Operation, list[Any], dict[str, Any]]:
    operation = draw(st.sampled_from(OPERATIONS))
    values = anything | hostile_texts
    known = [*operation.ids, *operation.filters, "body", "sort", "page_size", "page_token"]
    known += ["self", "api"]  # which are no arguments
    given = draw(st.dictionaries(st.sampled_from(known) | texts, values, max_size=4))
    given.update(draw(st.fixed_dictionaries({}, optional=OPTIONS)))
    proper: dict[str, Any] = dict(operation.ids)
    if operation.body:
        proper["body"] = operation.raw_body
    return operation, draw(st.just([]) | st.lists(values, max_size=3)), {**proper, **given}


OPTIONS = {
    "async_req": st.booleans() | anything,
    "_preload_content": st.booleans() | anything,
    "_request_timeout": st.sampled_from(
        [30, (30, 30), None, 0, -1, math.nan, math.inf, "5", True, (), (1, 2, 3)]
    ),
}


@fuzzed
@given(call=arguments())
def test_any_arguments_make_the_call_they_should_or_are_refused(
    wire: Wire, wired: ApiClient, call: tuple[Operation, list[Any], dict[str, Any]]
) -> None:
    operation, args, kwargs = call
    for name, _ in zip(operation.ids, args):
        del kwargs[name]
    before = len(wire.received)
    try:
        result = operation.bound(wired)(*args, **kwargs)
    except REFUSALS:
        assert wire.received[before:] == []
        return
    if isinstance(result, libtes.AsyncResult):
        result = result.get(30)
    if not isinstance(result, operation.model):
        assert json.loads(result.data) == {}
        result.release_conn()
    [raw] = wire.received[before:]
    asked = Asked(raw)
    assert asked.method == operation.method
    pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(operation.path))
    assert re.fullmatch(pattern, asked.path)


@pytest.mark.parametrize(
    "timeout",
    [1e10, 1e300, 10**400, 10**5_000, (1e300, 5), (None, 1e300)],
    ids=["1e10", "1e300", "400 digits", "5000 digits", "to connect", "to read"],
)
def test_a_timeout_beyond_all_times_is_taken_or_refused(wired: ApiClient, timeout: Any) -> None:
    for options in ({}, {"async_req": True}):
        with contextlib.suppress(libtes.ApiValueError):
            result = libtes.TasksApi(wired).get_task("t", _request_timeout=timeout, **options)
            assert (result.get(30) if options else result) == libtes.TaskSummary()


def deep(levels: int) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = [value]
    return {"deep": value}


def in_itself() -> Any:
    execution: dict[str, Any] = {}
    body = libtes.CreateTaskRunRequest(execution=execution)
    execution["again"] = [body]
    return body


@pytest.mark.parametrize("body", [deep(100_000), in_itself()], ids=["deep", "in itself"])
def test_a_body_without_end_is_refused(wire: Wire, wired: ApiClient, body: Any) -> None:
    with nothing_sent(wire), pytest.raises(libtes.ApiValueError, match="body"):
        libtes.TaskRunsApi(wired).create_task_run(body=body)
