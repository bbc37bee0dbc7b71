"""What fields may be set to: types, exact conversions, and the limits of the contract."""

from __future__ import annotations

import copy
import enum
import math
import pickle
import types
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libica.openapi import libtes
from libica.openapi.libtes import (
    ApiTypeError,
    ApiValueError,
    CreateTaskRunRequest,
    Credentials,
    Environment,
    Execution,
    Image,
    InputMountMappingWithCreds,
    InputStreamSettings,
    LaunchTaskRequest,
    Resources,
    TaskRunSummaryPagedItems,
)
from libica.openapi.libtes.models.encoding import encode

from ..contract import facts
from ..helpers import decode, many_examples, snake_case
from .values import FIELDS, limits, wrong

EXACT = 2**53
LENIENT = libtes.Configuration()
LENIENT.client_side_validation = False


def refusals(error: type[Exception], schema: str, name: str, value: Any, *models: Any) -> set[str]:
    """Expect that a value can be neither an argument nor set, and return what the errors say."""
    fields = facts.SCHEMAS[schema].values()
    others = {snake_case(each.name): "x" for each in fields if each.required}
    attempts = [partial(getattr(libtes, schema), **{**others, name: value})]
    if error is ApiTypeError:
        off = {"local_vars_configuration": LENIENT}
        attempts.append(partial(getattr(libtes, schema), **{name: value}, **off))
    attempts += [partial(setattr, model, name, value) for model in models]
    messages = set()
    for attempt in attempts:
        with pytest.raises(error) as caught:
            attempt()
        messages.add(str(caught.value))
    return messages


def test_a_value_of_a_wrong_type_is_refused_with_its_place() -> None:
    for schema, field in FIELDS:
        name, decoded = snake_case(field.name), decode(getattr(libtes, schema), {})
        lenient = getattr(libtes, schema)(local_vars_configuration=LENIENT)
        for value, place in wrong(field.type):
            [said] = refusals(ApiTypeError, schema, name, value, decoded, lenient)
            assert f".{name}{place}" in said
        assert getattr(decoded, name) is getattr(lenient, name) is None


def test_values_at_their_limits_are_valid_and_those_outside_only_without_limits() -> None:
    for schema, field in FIELDS:
        cls, name = getattr(libtes, schema), snake_case(field.name)
        least, most = field.length if field.type == "str" else field.between
        accepted = f"be {least} to {most}" if most < math.inf else f"be {least} or more"
        valid, invalid = limits(field)
        for value in valid:
            model = decode(cls, {})
            setattr(model, name, value)
            assert getattr(model, name) == value
        for value in invalid:
            model = cls(**{name: value}, local_vars_configuration=LENIENT)
            setattr(model, name, value)
            decoded = decode(cls, encode(model))
            assert decoded == model
            model.local_vars_configuration = None
            [said] = refusals(ApiValueError, schema, name, value, model, decoded)
            assert f"`{schema}.{name}`" in said
            assert ("not be `None`" if value is None else accepted) in said


@pytest.mark.parametrize(
    "twin", [copy.copy, copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))]
)
def test_the_switch_for_limits_is_no_data_and_stays_in_a_copy(twin: Any) -> None:
    model = twin(Image("", None, None, None, LENIENT))
    model.name = ""
    assert (model.name, model) == ("", decode(Image, {"name": ""}))
    assert "local_vars_configuration" not in {**model.to_dict(), **encode(model)}


def test_a_refusal_says_what_is_valid_and_not_what_was_given() -> None:
    with pytest.raises(ApiTypeError, match="must be a list, not str"):
        Execution(args="--all")
    for secret in (b"hush-1234", 1234.5):
        with pytest.raises(ApiTypeError) as caught:
            Credentials(password=secret)
        assert "1234" not in str(caught.value)
    other = type("bool", (), {"__module__": "numpy"})()
    with pytest.raises(ApiTypeError, match=r"not numpy\.bool$"):
        Execution(retry_limit=other)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 10**400], ids=ascii)
@pytest.mark.parametrize("configuration", [None, LENIENT], ids=["limits on", "limits off"])
def test_a_number_that_json_cannot_hold_is_refused(value: float, configuration: Any) -> None:
    with pytest.raises(ApiValueError, match=r"Resources\.cpu_cores"):
        Resources(cpu_cores=value, local_vars_configuration=configuration)


# What may stand for another type


def test_a_tuple_may_stand_for_a_list_and_any_mapping_for_a_dict() -> None:
    execution = Execution(args=("a", "b"), inputs=(InputMountMappingWithCreds(path="/x"),))
    assert encode(execution) == {"args": ["a", "b"], "inputs": [{"path": "/x"}]}
    arguments = types.MappingProxyType({"sample": "NA12878"})
    assert encode(LaunchTaskRequest(arguments=arguments)) == {"arguments": {"sample": "NA12878"}}


def test_a_dict_may_stand_for_a_model_and_is_kept_and_sent_untouched() -> None:
    raw = {"Args": ["--threads", 8, 0.5], "RetryLimit": 3.0, "unknown": [None, 5]}
    before = copy.deepcopy(raw)
    body = CreateTaskRunRequest(execution=raw)
    assert body.execution is raw
    assert encode(body) == encode({"execution": raw}) == {"execution": before}
    execution = Execution(inputs=[{"Path": "/x"}, InputMountMappingWithCreds(path="/y")])
    assert encode(execution) == {"inputs": [{"Path": "/x"}, {"path": "/y"}]}


@dataclass
class Int64:
    """An integer as numpy has them: no ``int``, and exact all the same."""

    number: int

    def __index__(self) -> int:
        return self.number


class Number(enum.IntEnum):
    EIGHT = 8


@many_examples
@given(st.integers())
def test_an_int_for_a_string_is_stored_as_its_digits(number: int) -> None:
    for given_number in (number, Int64(number)):
        execution: Any = Execution(command=given_number, args=["-n", given_number, Number.EIGHT])
        assert execution == Execution(command=str(number), args=["-n", str(number), "8"])
        execution.command = None
        execution.command = given_number
        environment = Environment(variables={"N": given_number})
        assert (execution.command, environment.variables) == (str(number), {"N": str(number)})
    execution.retry_limit = Int64(number)
    assert (execution.retry_limit, type(execution.retry_limit)) == (number, int)


def test_an_error_on_an_inherited_field_names_the_class_of_the_model() -> None:
    page: Any = TaskRunSummaryPagedItems()
    with pytest.raises(ApiTypeError, match=r"`TaskRunSummaryPagedItems\.first_page_token`"):
        page.first_page_token = 0.5


@many_examples
@given(st.floats() | st.integers(-EXACT, EXACT).map(float) | st.just(float(EXACT + 2)))
def test_a_float_for_an_integer_is_taken_if_that_is_exact(number: float) -> None:
    page: Any = TaskRunSummaryPagedItems()
    if number.is_integer() and abs(number) <= EXACT:
        page.total_item_count = number
        assert (page.total_item_count, type(page.total_item_count)) == (number, int)
        assert TaskRunSummaryPagedItems(total_item_count=number) == page
        assert encode(page) == {"totalItemCount": int(number)}
    else:
        with pytest.raises(ApiTypeError, match=r"total_item_count`, must be int, or a whole float"):
            page.total_item_count = number


def test_limits_hold_for_what_a_value_is_converted_to() -> None:
    assert InputStreamSettings(cache_size_gb=5e1).cache_size_gb == 50
    for refused in (4.9e1, 10**5000):  # the text of the latter would be an error itself
        with pytest.raises(ApiValueError, match="cache_size_gb"):
            InputStreamSettings(cache_size_gb=refused)
    with pytest.raises(ApiValueError, match=r"LaunchTaskRequest\.name"):
        LaunchTaskRequest(name=10**255)


@pytest.mark.parametrize(("value", "example"), [(0.5, '"0.5"'), (4.0, '"0.5"'), (True, '"true"')])
def test_a_float_or_bool_for_a_string_is_refused_with_what_to_write(
    value: Any, example: str
) -> None:
    for build, place in (
        (lambda: Image(name=value), "Image.name"),
        (lambda: Execution(args=["-n", value]), "Execution.args[1]"),
        (lambda: Environment(variables={"N": value}), "Environment.variables['N']"),
        (lambda: LaunchTaskRequest(arguments={"n": value}), "LaunchTaskRequest.arguments"),
    ):
        with pytest.raises(ApiTypeError) as caught:
            build()
        assert f"Invalid type for `{place}" in str(caught.value)
        assert f"must be str (quote the text to send, such as {example})" in str(caught.value)


def test_a_number_of_too_many_digits_for_python_is_refused() -> None:
    number = 10**5000
    try:
        digits = str(number)
    except ValueError:
        with pytest.raises(ApiValueError, match=r"`Execution\.args\[0\]`, must be shorter"):
            Execution(args=[number])
    else:  # before Python 3.11
        assert Execution(args=[digits]).args == [digits]


def test_a_list_or_dict_is_copied_only_where_something_in_it_is_converted() -> None:
    texts, mixed = ["a", "b"], ["a", 8]
    assert Execution(args=texts).args is texts
    assert Execution(args=mixed).args == ["a", "8"]
    values, numbers = {"a": "b"}, {"a": "b", "n": 8}
    assert LaunchTaskRequest(arguments=values).arguments is values
    assert LaunchTaskRequest(arguments=numbers).arguments == {"a": "b", "n": "8"}
    assert (mixed, numbers) == (["a", 8], {"a": "b", "n": 8})
