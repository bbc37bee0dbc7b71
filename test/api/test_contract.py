"""The operations against the service's contract: verbs, paths, parameters, answers and statuses."""

from __future__ import annotations

import importlib
import inspect
from typing import Any, Optional

import pytest

from libica.openapi import libtes
from libica.openapi.libtes.api.endpoint import Filter

from ..helpers import PACKAGE, read_contract, snake_case

OPERATIONS = {
    "TasksApi": ["createTask", "getTask", "listTasks", "updateTask"],
    "TaskVersionsApi": [
        "createTaskVersion",
        "getTaskVersion",
        "launchTaskRun",
        "listTaskVersions",
        "updateTaskVersion",
    ],
    "TaskRunsApi": [
        "abortTaskRun",
        "createTaskRun",
        "getTaskRun",
        "heartbeatTaskRun",
        "listTaskRuns",
    ],
}
each_class = pytest.mark.parametrize("owner", OPERATIONS)
each_operation = pytest.mark.parametrize(
    ("owner", "operation"), [(owner, each) for owner in OPERATIONS for each in OPERATIONS[owner]]
)
FILTERS = {"names", "acls", "ids", "versions", "status"}


def method_of(owner: str, operation: str, suffix: str = "") -> Any:
    return getattr(getattr(libtes, owner), snake_case(operation) + suffix)


def declared(owner: str, operation: str) -> tuple[str, str, dict[str, Any]]:
    """Return verb, path and all else that the contract says of an operation."""
    for path, verbs in read_contract()["paths"].items():
        for verb, said in verbs.items():
            if said["operationId"] == operation and class_of(said) == owner:
                return verb.upper(), path, said
    raise AssertionError(f"the contract has no {operation}")


def class_of(said: dict[str, Any]) -> str:
    return said["tags"][0].replace(" ", "") + "Api"


def parameters(said: dict[str, Any], place: str) -> list[str]:
    return [snake_case(each["name"]) for each in said["parameters"] if each["in"] == place]


def model_of(said: dict[str, Any]) -> str:
    return str(said["schema"]["$ref"].rpartition("/")[2])


def test_the_operations_are_those_of_the_contract() -> None:
    found: dict[str, list[str]] = {}
    for verbs in read_contract()["paths"].values():
        for said in verbs.values():
            found.setdefault(class_of(said), []).append(said["operationId"])
    assert {owner: sorted(each) for owner, each in found.items()} == OPERATIONS


@each_class
def test_each_class_has_its_operations_alone(owner: str) -> None:
    endpoints = {
        value.endpoint.name
        for value in vars(getattr(libtes, owner)).values()
        if hasattr(value, "endpoint")
    }
    assert endpoints == {snake_case(each) for each in OPERATIONS[owner]}


@each_class
def test_each_class_can_be_imported_from_its_module(owner: str) -> None:
    module = importlib.import_module(f"{PACKAGE}.api.{snake_case(owner)}")
    assert getattr(module, owner) is getattr(libtes, owner) is getattr(libtes.api, owner)


@each_operation
def test_verb_and_path(owner: str, operation: str) -> None:
    verb, path, _ = declared(owner, operation)
    endpoint = method_of(owner, operation).endpoint
    assert (endpoint.method, endpoint.path) == (verb, path)


@each_operation
def test_the_ids_are_the_parameters_of_the_path(owner: str, operation: str) -> None:
    _, _, said = declared(owner, operation)
    assert list(method_of(owner, operation).endpoint.ids) == parameters(said, "path")


@each_operation
def test_the_query_has_the_parameters_of_the_contract(owner: str, operation: str) -> None:
    _, _, said = declared(owner, operation)
    assert list(method_of(owner, operation).endpoint.query) == parameters(said, "query")


@each_operation
def test_the_types_of_the_query(owner: str, operation: str) -> None:
    _, _, said = declared(owner, operation)
    types: dict[str, Any] = {"integer": Optional[int], "string": Optional[str]}
    expected = {
        snake_case(each["name"]): Filter if each["name"] in FILTERS else types[each["type"]]
        for each in said["parameters"]
        if each["in"] == "query"
    }
    assert method_of(owner, operation).endpoint.query == expected


@each_operation
def test_the_body_is_the_model_of_the_contract(owner: str, operation: str) -> None:
    _, _, said = declared(owner, operation)
    bodies = [model_of(each) for each in said["parameters"] if each["in"] == "body"]
    body = method_of(owner, operation).endpoint.body
    assert ([body.__name__] if body else []) == bodies


@each_operation
def test_success_has_the_status_and_model_of_the_contract(owner: str, operation: str) -> None:
    _, _, said = declared(owner, operation)
    endpoint = method_of(owner, operation).endpoint
    successes = {
        int(status): model_of(answer)
        for status, answer in said["responses"].items()
        if status.startswith("2")
    }
    assert {endpoint.success: endpoint.returns.__name__} == successes


@each_operation
def test_the_errors_are_those_of_the_contract(owner: str, operation: str) -> None:
    _, _, said = declared(owner, operation)
    failures = [int(each) for each in said["responses"] if each.isdecimal() and each[0] != "2"]
    assert list(method_of(owner, operation).endpoint.errors) == sorted(failures)


@each_operation
def test_every_error_is_described_by_the_model_for_errors(owner: str, operation: str) -> None:
    _, _, said = declared(owner, operation)
    failures = [answer for status, answer in said["responses"].items() if status[0] != "2"]
    assert {model_of(each) for each in failures} == {"ErrorResponse"}


@each_operation
@pytest.mark.parametrize("suffix", ["", "_with_http_info"])
def test_ids_are_positional_and_required_the_rest_is_by_keyword_and_optional(
    owner: str, operation: str, suffix: str
) -> None:
    method = method_of(owner, operation, suffix)
    ids = method.endpoint.ids
    given = list(inspect.signature(method).parameters.values())
    assert [each.name for each in given[: len(ids) + 1]] == ["self", *ids]
    for each in given[1:]:
        expected = each.POSITIONAL_OR_KEYWORD if each.name in ids else each.KEYWORD_ONLY
        assert each.kind is expected
        assert (each.default is each.empty) is (each.name in ids)


@each_operation
def test_the_signature_has_the_parameters_of_the_contract_then_the_options(
    owner: str, operation: str
) -> None:
    _, _, said = declared(owner, operation)
    expected = [
        *parameters(said, "path"),
        *parameters(said, "body"),
        *parameters(said, "query"),
        *("async_req", "_preload_content", "_request_timeout", "_return_http_data_only"),
    ]
    assert list(inspect.signature(method_of(owner, operation)).parameters)[1:] == expected


@each_operation
def test_the_twin_has_the_same_parameters(owner: str, operation: str) -> None:
    plain = list(inspect.signature(method_of(owner, operation)).parameters)
    twin = inspect.signature(method_of(owner, operation, "_with_http_info")).parameters
    assert list(twin) == plain


@each_operation
@pytest.mark.parametrize("suffix", ["", "_with_http_info"])
def test_each_method_bears_its_name_and_says_what_it_does(
    owner: str, operation: str, suffix: str
) -> None:
    method = method_of(owner, operation, suffix)
    assert method.__qualname__ == f"{owner}.{snake_case(operation)}{suffix}"
    assert method.__module__ == f"{PACKAGE}.api.{snake_case(owner)}"
    assert method.__doc__


@each_operation
def test_the_docstring_explains_each_parameter(owner: str, operation: str) -> None:
    method = method_of(owner, operation)
    for name in list(inspect.signature(method).parameters)[1:]:
        assert f"    {name}: " in method.__doc__


@pytest.mark.parametrize(
    ("owner", "walk", "operation"),
    [
        ("TasksApi", "iter_tasks", "listTasks"),
        ("TaskVersionsApi", "iter_task_versions", "listTaskVersions"),
        ("TaskRunsApi", "iter_task_runs", "listTaskRuns"),
    ],
)
def test_a_walk_takes_the_parameters_of_its_list(owner: str, walk: str, operation: str) -> None:
    plain = list(inspect.signature(method_of(owner, operation)).parameters)
    options = {"async_req", "_preload_content", "_return_http_data_only"}
    found = list(inspect.signature(getattr(getattr(libtes, owner), walk)).parameters)
    assert found == [each for each in plain if each not in options]
