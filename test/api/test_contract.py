"""The methods against the facts of the contract: names, paths, parameters, statuses, types."""

from __future__ import annotations

import importlib
import inspect
from typing import Any, Optional

import pytest

from libica.openapi import libtes
from libica.openapi.libtes.api.endpoint import Filter

from ..contract import facts
from ..helpers import PACKAGE, snake_case
from ..operations import LISTS, OPERATIONS, Operation

CLASSES = ["TasksApi", "TaskVersionsApi", "TaskRunsApi"]
OPTIONS = ["async_req", "_preload_content", "_request_timeout", "_return_http_data_only"]
PAIRS = list(zip(OPERATIONS, facts.OPERATIONS))
each_pair = pytest.mark.parametrize(("operation", "fact"), PAIRS, ids=lambda each: each.name)


def method_of(operation: Operation, suffix: str = "") -> Any:
    return getattr(getattr(libtes, operation.api), operation.name + suffix)


def test_each_class_has_the_operations_of_its_tag_alone_and_is_found_in_its_module() -> None:
    for owner in CLASSES:
        members = vars(getattr(libtes, owner))
        endpoints = {each.endpoint.name for each in members.values() if hasattr(each, "endpoint")}
        assert endpoints == {each.name for each in OPERATIONS if each.api == owner}
        module = importlib.import_module(f"{PACKAGE}.api.{snake_case(owner)}")
        assert getattr(module, owner) is getattr(libtes, owner) is getattr(libtes.api, owner)
    assert {each.api for each in OPERATIONS} == set(CLASSES)


@each_pair
def test_the_errors_that_are_declared_are_those_of_the_contract(
    operation: Operation, fact: facts.Operation
) -> None:
    failures = {status: name for status, name in fact.responses.items() if status[0] != "2"}
    assert set(failures.values()) == {"ErrorResponse"}
    declared = [str(status) for status in method_of(operation).endpoint.errors]
    assert [*declared, "default"] == sorted(failures)


@each_pair
@pytest.mark.parametrize("suffix", ["", "_with_http_info"])
def test_the_signature_has_the_ids_by_position_then_the_rest_by_keyword(
    operation: Operation, fact: facts.Operation, suffix: str
) -> None:
    method = method_of(operation, suffix)
    names = [*fact.names("path"), *fact.names("body"), *fact.names("query")]
    given = inspect.signature(method).parameters
    assert list(given) == ["self", *map(snake_case, names), *OPTIONS]
    for each in list(given.values())[1:]:
        is_id = each.name in operation.ids
        assert each.kind is (each.POSITIONAL_OR_KEYWORD if is_id else each.KEYWORD_ONLY)
        assert (each.default is each.empty) is is_id
    types = {"int": Optional[int], "str": Optional[str]}
    for each in fact.parameters:
        if each.place == "query":
            expected = Filter if each.name in operation.filters else types[each.type]
            assert given[snake_case(each.name)].annotation == expected

    assert method.__qualname__ == f"{operation.api}.{operation.name}{suffix}"
    assert method.__module__ == f"{PACKAGE}.api.{snake_case(operation.api)}"
    assert method.__doc__
    if not suffix:
        assert all(f"    {name}: " in method.__doc__ for name in list(given)[1:])


@pytest.mark.parametrize("operation", LISTS, ids=str)
def test_a_walk_takes_the_parameters_of_its_list(operation: Operation) -> None:
    walk = getattr(getattr(libtes, operation.api), operation.name.replace("list_", "iter_"))
    expected = list(inspect.signature(method_of(operation)).parameters)
    found = list(inspect.signature(walk).parameters)
    assert found == [name for name in expected if name not in OPTIONS or "timeout" in name]
