"""The models against the service's contract, and where each of them is found."""

from __future__ import annotations

import importlib
import math
from typing import Any

import pytest

from libica.openapi import libtes

from ..helpers import MODEL_NAMES, PACKAGE, each_model, read_contract, snake_case


@pytest.fixture
def definitions() -> dict[str, Any]:
    found: dict[str, Any] = read_contract()["definitions"]
    return found


def type_name(schema: dict[str, Any]) -> str:
    """Return the name that ``openapi_types`` should give the type of a field."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if schema.get("type") == "array":
        return f"list[{type_name(schema['items'])}]"
    if schema.get("type") == "object":
        return f"dict(str, {type_name(schema['additionalProperties'])})"
    if schema.get("format") == "date-time":
        return "datetime"
    names = {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}
    return names[schema["type"]] if "type" in schema else "object"


def referenced(schema: Any) -> set[str]:
    """Return the names of the definitions that a part of the contract refers to."""
    if isinstance(schema, list):
        return {name for each in schema for name in referenced(each)}
    if isinstance(schema, dict):
        names = {type_name(schema)} if "$ref" in schema else set()
        return names | {name for each in schema.values() for name in referenced(each)}
    return set()


def test_there_is_a_model_for_each_schema_that_an_operation_reaches(
    definitions: dict[str, Any],
) -> None:
    reached: set[str] = set()
    new = referenced(read_contract()["paths"])
    while new:
        reached |= new
        new = {name for each in new for name in referenced(definitions[each])} - reached
    assert set(MODEL_NAMES) == reached


def test_there_are_33_models() -> None:
    assert len(MODEL_NAMES) == len(set(MODEL_NAMES)) == 33


@each_model
def test_the_fields_are_those_of_the_contract_in_its_order(
    cls: Any, definitions: dict[str, Any]
) -> None:
    assert list(cls.attribute_map.values()) == list(definitions[cls.__name__]["properties"])


@each_model
def test_the_python_names_are_the_names_of_the_json_in_snake_case(
    cls: Any, definitions: dict[str, Any]
) -> None:
    names = {snake_case(name): name for name in definitions[cls.__name__]["properties"]}
    assert cls.attribute_map == names


@each_model
def test_the_types_are_those_of_the_contract(cls: Any, definitions: dict[str, Any]) -> None:
    properties = definitions[cls.__name__]["properties"]
    expected = {snake_case(name): type_name(schema) for name, schema in properties.items()}
    assert cls.openapi_types == expected


@each_model
def test_the_lengths_are_those_of_the_contract(cls: Any, definitions: dict[str, Any]) -> None:
    properties = definitions[cls.__name__]["properties"]
    expected = {
        name: (schema.get("minLength", 0), schema.get("maxLength", math.inf))
        for name, schema in properties.items()
    }
    found = {
        field.json: (max(field.length[0], 0), field.length[1]) for field in cls._fields.values()
    }
    assert found == expected


@each_model
def test_the_ranges_are_those_of_the_contract(cls: Any, definitions: dict[str, Any]) -> None:
    properties = definitions[cls.__name__]["properties"]
    expected = {
        name: (schema.get("minimum", -math.inf), schema.get("maximum", math.inf))
        for name, schema in properties.items()
    }
    assert {field.json: field.between for field in cls._fields.values()} == expected


@each_model
def test_the_required_fields_are_those_of_the_contract(
    cls: Any, definitions: dict[str, Any]
) -> None:
    required = {field.json for field in cls._fields.values() if field.required}
    assert required == set(definitions[cls.__name__].get("required", ()))


@each_model
def test_the_contract_has_no_limit_that_is_not_checked(
    cls: Any, definitions: dict[str, Any]
) -> None:
    known = {
        *("type", "format", "description", "default", "items", "additionalProperties", "$ref"),
        *("minLength", "maxLength", "minimum", "maximum"),
    }
    schemas = definitions[cls.__name__]["properties"].values()
    assert {key for schema in schemas for key in schema} <= known


@each_model
def test_each_model_can_be_imported_from_its_module(cls: Any) -> None:
    module = importlib.import_module(f"{PACKAGE}.models.{snake_case(cls.__name__)}")
    assert getattr(module, cls.__name__) is cls
    assert cls.__module__ == module.__name__


@each_model
def test_each_model_can_be_had_from_the_package(cls: Any) -> None:
    assert getattr(libtes, cls.__name__) is cls
    assert getattr(libtes.models, cls.__name__) is cls
