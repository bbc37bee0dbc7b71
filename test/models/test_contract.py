"""The models against the facts of the contract, and where each of them is found."""

from __future__ import annotations

import importlib
from typing import Any

from libica.openapi import libtes

from ..contract import facts
from ..helpers import MODEL_NAMES, MODELS, PACKAGE, each_model, snake_case

KNOWN = {
    *("type", "format", "default", "items", "additionalProperties", "$ref"),
    *("minLength", "maxLength", "minimum", "maximum"),
}


def test_there_is_a_model_for_each_schema_that_an_operation_reaches() -> None:
    assert set(MODEL_NAMES) == set(facts.SCHEMAS)
    assert len(MODEL_NAMES) == 33


@each_model
def test_names_order_types_limits_and_required_fields_are_those_of_the_contract(cls: Any) -> None:
    fields = facts.SCHEMAS[cls.__name__]
    assert list(cls.attribute_map.items()) == [(snake_case(name), name) for name in fields]
    assert list(cls.openapi_types.items()) == [(snake_case(k), v.type) for k, v in fields.items()]
    for field in cls._fields.values():
        fact = fields[field.json]
        length = (max(field.length[0], 0), field.length[1])
        assert (length, field.between) == (fact.length, fact.between)
        assert field.required is fact.required


def test_the_contract_has_no_kind_of_limit_that_is_not_checked() -> None:
    definitions = facts.document()["definitions"]
    schemas = [each for name in facts.SCHEMAS for each in definitions[name]["properties"].values()]
    assert {key for schema in schemas for key in schema} <= KNOWN


def test_each_model_is_found_in_its_module_the_packages_and_under_its_own_name() -> None:
    for cls in MODELS:
        module = importlib.import_module(f"{PACKAGE}.models.{snake_case(cls.__name__)}")
        assert getattr(module, cls.__name__) is cls
        assert cls is getattr(libtes, cls.__name__) is getattr(libtes.models, cls.__name__)
        assert cls.__module__ == module.__name__
        assert vars(cls)["__doc__"].strip().endswith((".", "digits.", "`."))
