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
from ...operations import OPERATIONS, Operation
from ...wire import Wire
from .requests import ask, fuzzed, hostile_texts, refusal_or_request

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
        except (libtes.ApiTypeError, libtes.ApiValueError):
            assert getattr(model, name) == accepted[name]
    with contextlib.suppress(libtes.OpenApiException):
        cls(**{**accepted, **values})
    assert repr(model)
    assert str(model)
    assert set(model.to_dict()) == set(cls.attribute_map)
    assert model != object()
    with contextlib.suppress(libtes.OpenApiException):
        json.dumps(ApiClient().sanitize_for_serialization(model))


ODD_TIMEOUTS = [
    *(None, 0, -1, math.nan, math.inf, "5", True, (), (1, 2, 3)),
    *(1e10, 1e300, 10**400, 10**5_000, (1e300, 5), (None, 1e300)),  # beyond all times
]
OPTIONS = {
    "body": st.dictionaries(texts, anything, max_size=3) | anything,
    "async_req": st.just(True) | anything,
    "_preload_content": st.booleans() | anything,
    "_request_timeout": st.sampled_from([30, (30, 30), *ODD_TIMEOUTS]),
}


@st.composite
def arguments(draw: Any) -> tuple[Operation, list[Any], dict[str, Any]]:
    operation = draw(st.sampled_from(OPERATIONS))
    values = anything | hostile_texts
    known = [*operation.ids, *operation.filters, "sort", "page_size", "page_token"]
    known += ["self", "api"]  # which are no arguments
    given = draw(st.dictionaries(st.sampled_from(known) | texts, values, max_size=2))
    given.update(draw(st.fixed_dictionaries({}, optional=OPTIONS)))
    if operation.body:
        given.setdefault("body", operation.raw_body)
    by_position = draw(st.just([]) | st.lists(values, max_size=3))
    ids = list(operation.ids.items())[len(by_position) :]
    return operation, by_position, {**dict(ids), **given}


@fuzzed
@given(call=arguments())
def test_any_arguments_make_the_call_they_should_or_are_refused(
    wire: Wire, wired: ApiClient, call: tuple[Operation, list[Any], dict[str, Any]]
) -> None:
    operation, args, kwargs = call

    def make_the_call() -> None:
        result = operation.bound(wired)(*args, **kwargs)
        if isinstance(result, libtes.AsyncResult):
            result = result.get(30)
        if not isinstance(result, operation.model):
            assert json.loads(result.data) == {}
            result.release_conn()

    _, asked = refusal_or_request(wire, make_the_call)
    if asked is not None:
        assert asked.method == operation.method
        pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(operation.path))
        assert re.fullmatch(pattern, asked.path)
        if isinstance(kwargs.get("body"), dict):
            assert len(json.loads(asked.body)) == len(kwargs["body"])
            harmless = ask(wire, wired, operation)
            length = f"Content-Length: {len(asked.body)}".encode()
            assert {*asked.lines} - {*harmless.lines} <= {length}


@pytest.mark.parametrize("timeout", ODD_TIMEOUTS, ids=range(len(ODD_TIMEOUTS)))
def test_an_odd_timeout_is_taken_or_refused(wired: ApiClient, timeout: Any) -> None:
    for options in ({}, {"async_req": True}):
        with contextlib.suppress(libtes.ApiValueError, libtes.ApiTypeError):
            result = libtes.TasksApi(wired).get_task("t", _request_timeout=timeout, **options)
            assert (result.get(30) if options else result) == libtes.TaskSummary()


def test_a_body_without_end_is_refused(wire: Wire, wired: ApiClient) -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    execution: dict[str, Any] = {}
    in_itself = libtes.CreateTaskRunRequest(execution=execution)
    execution["again"] = [in_itself]
    for body in ({"deep": deep}, in_itself):
        create = libtes.TaskRunsApi(wired).create_task_run
        refusal, _ = refusal_or_request(wire, create, body=body)
        assert "body" in refusal
