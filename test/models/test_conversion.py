"""Values of another type than a field's: exact conversions are made, all others refused."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libica.openapi.libtes import (
    ApiTypeError,
    ApiValueError,
    CreateTaskRunRequest,
    Credentials,
    Environment,
    Execution,
    Image,
    InputStreamSettings,
    LaunchTaskRequest,
    TaskRunSummaryPagedItems,
)
from libica.openapi.libtes.models.encoding import encode

from ..helpers import many_examples

EXACT = 2**53


class Number(enum.IntEnum):
    EIGHT = 8


@many_examples
@given(st.integers())
def test_an_int_for_a_string_is_stored_as_its_digits(number: int) -> None:
    execution = Execution(command=number, args=["-n", number])
    assert (execution.command, execution.args) == (str(number), ["-n", str(number)])
    execution.command = None
    execution.command = number
    environment = Environment(variables={"N": number})
    assert (execution.command, environment.variables) == (str(number), {"N": str(number)})


def test_an_int_of_an_enum_is_stored_as_its_digits() -> None:
    assert Execution(args=[Number.EIGHT]).args == ["8"]


@dataclass
class Int64:
    """An integer as numpy has them: no ``int``, and exact all the same."""

    number: int

    def __index__(self) -> int:
        return self.number


@many_examples
@given(st.integers(0, 10**6))
def test_an_integer_of_another_package_is_taken_as_an_int(number: int) -> None:
    execution: Any = Execution(args=[Int64(number)], retry_limit=Int64(number))
    assert encode(execution) == {"args": [str(number)], "retryLimit": number}
    assert type(execution.retry_limit) is int


def test_a_type_that_is_called_as_one_of_pythons_is_named_with_its_module() -> None:
    other = type("bool", (), {"__module__": "numpy"})()
    with pytest.raises(ApiTypeError, match=r"not numpy\.bool$"):
        Execution(retry_limit=other)


@many_examples
@given(st.floats() | st.integers(-EXACT, EXACT).map(float))
def test_a_float_for_an_integer_is_taken_if_that_is_exact(number: float) -> None:
    page: Any = TaskRunSummaryPagedItems()
    if number.is_integer() and abs(number) <= EXACT:
        page.total_item_count = number
        assert page.total_item_count == number
        assert type(page.total_item_count) is int
        assert TaskRunSummaryPagedItems(total_item_count=number) == page
        assert encode(page) == {"totalItemCount": int(number)}
    else:
        with pytest.raises(ApiTypeError, match=r"total_item_count`, must be int, or a whole float"):
            page.total_item_count = number


def test_limits_hold_for_what_a_value_is_converted_to() -> None:
    assert InputStreamSettings(cache_size_gb=5e1).cache_size_gb == 50
    with pytest.raises(ApiValueError, match="cache_size_gb"):
        InputStreamSettings(cache_size_gb=4.9e1)
    with pytest.raises(ApiValueError, match=r"LaunchTaskRequest\.name"):
        LaunchTaskRequest(name=10**255)
    with pytest.raises(ApiValueError, match=r"cache_size_gb"):  # its text would be an error itself
        InputStreamSettings(cache_size_gb=10**5000)


@pytest.mark.parametrize(("value", "example"), [(0.5, '"0.5"'), (4.0, '"0.5"'), (True, '"true"')])
@pytest.mark.parametrize(
    ("build", "place"),
    [
        (lambda value: Image(name=value), "Image.name"),
        (lambda value: Execution(args=["-n", value]), "Execution.args[1]"),
        (lambda value: Environment(variables={"N": value}), "Environment.variables['N']"),
        (lambda value: LaunchTaskRequest(arguments={"n": value}), "LaunchTaskRequest.arguments"),
    ],
)
def test_a_float_or_bool_for_a_string_is_refused_with_what_to_write(
    build: Any, place: str, value: Any, example: str
) -> None:
    with pytest.raises(ApiTypeError) as caught:
        build(value)
    assert f"Invalid type for `{place}" in str(caught.value)
    assert f"must be str (quote the text to send, such as {example})" in str(caught.value)


def test_a_number_that_is_refused_is_not_shown() -> None:
    with pytest.raises(ApiTypeError) as caught:
        Credentials(password=1234.5)
    assert "1234" not in str(caught.value)


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
    assert mixed == ["a", 8]
    values, numbers = {"a": "b"}, {"a": "b", "n": 8}
    assert LaunchTaskRequest(arguments=values).arguments is values
    assert LaunchTaskRequest(arguments=numbers).arguments == {"a": "b", "n": "8"}
    assert numbers == {"a": "b", "n": 8}


def test_what_was_added_to_a_list_or_dict_later_is_converted_when_it_is_sent() -> None:
    execution: Any = Execution(args=["-n"], environment=Environment(variables={}))
    execution.args.append(8)
    execution.environment.variables["N"] = 8
    sent = encode(execution)
    assert sent == {"args": ["-n", "8"], "environment": {"variables": {"N": "8"}}}


def test_a_plain_dict_that_stands_for_a_model_is_sent_untouched() -> None:
    raw = {"Args": ["--threads", 8, 0.5], "RetryLimit": 3.0}
    body = CreateTaskRunRequest(execution=raw)
    assert encode(body) == encode({"execution": raw}) == {"execution": raw}
