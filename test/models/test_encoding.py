"""How models become JSON: names, empty and unset values, times, and what JSON cannot hold."""

from __future__ import annotations

import decimal
import types
from datetime import date, datetime, time, timedelta, timezone
from typing import Any

import pytest

from libica.openapi.libtes import (
    ApiTypeError,
    CreateTaskRunRequest,
    Environment,
    Execution,
    Image,
    LaunchTaskRequest,
    MountMappingWithCreds,
    Task,
)
from libica.openapi.libtes.models.encoding import encode

from .test_data import nested


def test_names_are_those_of_json_at_any_depth() -> None:
    assert encode(nested()) == {
        "id": "tvn.1",
        "execution": {
            "image": {"name": "nginx", "credentials": {"username": "u", "password": "hush"}},
            "inputs": [{"path": "/x"}, {"path": "/y"}],
            "environment": {"variables": {"A": "b"}},
        },
        "timeCreated": "2021-03-08T04:05:54.645483+00:00",
    }


def test_unset_fields_are_left_out_and_empty_ones_kept() -> None:
    assert encode(Task(name="n", acl=[])) == {"name": "n", "acl": []}
    execution = Execution(retry_limit=0, command="", args=[], environment=Environment())
    assert encode(execution) == {"retryLimit": 0, "command": "", "args": [], "environment": {}}
    execution.args = execution.retry_limit = execution.command = execution.environment = None
    assert encode(execution) == {}


@pytest.mark.parametrize("raw", [None, True, 5, 2.5, "text", [], {}, [{"a": [1, None]}]])
def test_plain_data_stays_as_it_is(raw: Any) -> None:
    assert encode(raw) == raw
    assert encode(CreateTaskRunRequest(execution={"A": raw})) == {"execution": {"A": raw}}


def test_models_may_stand_in_raw_dicts() -> None:
    raw = {"execution": {"image": Image("nginx"), "inputs": ({"path": "/x"},)}}
    assert encode(raw) == {"execution": {"image": {"name": "nginx"}, "inputs": [{"path": "/x"}]}}


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (datetime(2021, 3, 8), "2021-03-08T00:00:00"),
        (datetime(2021, 3, 8, 4, 5, 54, 600), "2021-03-08T04:05:54.000600"),
        (datetime(2021, 3, 8, tzinfo=timezone.utc), "2021-03-08T00:00:00+00:00"),
        (
            datetime(2021, 3, 8, tzinfo=timezone(timedelta(hours=5, minutes=30))),
            "2021-03-08T00:00:00+05:30",
        ),
        (date(2021, 3, 8), "2021-03-08"),
    ],
)
def test_times_are_written_as_in_iso_8601(moment: Any, expected: str) -> None:
    assert encode({"at": moment}) == {"at": expected}


@pytest.mark.parametrize(
    "value",
    [b"bytes", {"a set"}, object(), decimal.Decimal("1.5"), time(4, 5), 1j, Image, iter("a")],
    ids=lambda value: type(value).__name__,
)
def test_what_json_cannot_hold_is_refused_with_its_place(value: Any) -> None:
    with pytest.raises(ApiTypeError, match=r"`body\['execution'\]\[1\]\['x'\]`"):
        encode({"execution": [{}, {"x": value}]})
    request = CreateTaskRunRequest(execution=Execution(inputs=[{}, {"path": value}]))
    with pytest.raises(ApiTypeError, match=r"`Execution\.inputs\[1\]\['path'\]`"):
        encode(request)


@pytest.mark.parametrize("key", [1, None, b"a", ("a",)])
def test_keys_that_are_not_strings_are_refused(key: Any) -> None:
    with pytest.raises(ApiTypeError, match="body: key"):
        encode({key: "x"})


def test_a_list_is_checked_again_since_it_may_have_changed() -> None:
    execution: Any = Execution(args=["a"], environment=Environment(variables={}), inputs=[])
    execution.args += ["b", 8]
    execution.environment.variables["N"] = 8
    assert encode(execution) == {
        **{"args": ["a", "b", "8"], "inputs": []},
        **{"environment": {"variables": {"N": "8"}}},
    }
    execution.args.append(5.0)
    with pytest.raises(ApiTypeError, match=r"Execution\.args\[3\]"):
        encode(execution)
    execution.args.clear()
    execution.inputs.append(MountMappingWithCreds())
    with pytest.raises(ApiTypeError, match=r"Execution\.inputs\[0\]"):
        encode(execution)


@pytest.mark.parametrize("mapping", [dict, types.MappingProxyType])
def test_a_dict_is_checked_again_since_it_may_have_changed(mapping: Any) -> None:
    values: dict[str, Any] = {"a": "x"}
    request = LaunchTaskRequest(arguments=mapping(values))
    values["b"] = 5.0
    if mapping is dict:
        request.arguments["b"] = 5.0
    with pytest.raises(ApiTypeError, match=r"LaunchTaskRequest\.arguments\['b'\]"):
        encode(request)
