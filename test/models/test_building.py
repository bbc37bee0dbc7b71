"""How models are built: arguments, attributes, and what is said of a name that is not a field."""

from __future__ import annotations

import gc
import inspect
import weakref
from typing import Any

import pytest

from libica.openapi.libtes import (
    ApiTypeError,
    ApiValueError,
    Configuration,
    CreateTaskRequest,
    CreateTaskVersionRequest,
    Credentials,
    Execution,
    Image,
)

from ..helpers import decode, each_model, samples


@each_model
def test_arguments_may_come_by_position_or_keyword_in_the_order_of_the_fields(cls: Any) -> None:
    values = samples(cls)
    for model in (cls(*values.values()), cls(**dict(reversed(values.items())))):
        assert vars(model) == values
        assert list(vars(model)) == list(cls.openapi_types) == list(cls.attribute_map)
        vars(model).clear()  # a copy: models have slots
        assert vars(model) == values
    image = Image("nginx", "1.17", credentials=Credentials(username="u"))
    assert (image.name, image.tag, image.digest) == ("nginx", "1.17", None)


@each_model
def test_the_signature_shows_the_fields_and_their_defaults(cls: Any) -> None:
    parameters = inspect.signature(cls).parameters
    assert list(parameters) == [*cls.openapi_types, "local_vars_configuration"]
    assert {each.default for each in parameters.values()} == {None}
    assert {each.kind for each in parameters.values()} == {inspect.Parameter.POSITIONAL_OR_KEYWORD}


@each_model
def test_arguments_that_are_not_fields_are_refused(cls: Any) -> None:
    most = len(cls.openapi_types) + 1
    with pytest.raises(ApiTypeError, match=f"{cls.__name__} takes at most {most} positional"):
        cls(*[None] * (most + 1))
    with pytest.raises(ApiTypeError, match=f"{cls.__name__} got an unexpected keyword.*'colour'"):
        cls(**samples(cls), colour="red")


def test_an_argument_given_twice_is_refused() -> None:
    Image("nginx")
    with pytest.raises(TypeError, match=r"__init__\(\) got multiple values for argument 'name'"):
        Image("nginx", name="nginx")


@pytest.mark.parametrize("cls", [Image, CreateTaskRequest, CreateTaskVersionRequest])
def test_a_required_field_must_be_given(cls: Any) -> None:
    with pytest.raises(ApiValueError, match="must not be `None`"):
        cls()


@each_model
def test_unset_fields_read_none(cls: Any) -> None:
    configuration = Configuration()
    configuration.client_side_validation = False
    model = cls(local_vars_configuration=configuration)
    assert {getattr(model, name) for name in cls.openapi_types} == {None}


def test_a_misspelt_name_is_refused_with_the_field_that_is_like_it() -> None:
    with pytest.raises(ApiTypeError, match="did you mean 'retry_limit'"):
        Execution(retrylimit=3)
    with pytest.raises(AttributeError, match="did you mean 'command'"):
        Execution().comand = "sh"


@pytest.mark.parametrize("name", ["imagename", "Name", "_name", "nmae"])
def test_an_unknown_attribute_can_be_neither_set_nor_read(name: str) -> None:
    for image in (Image("nginx"), decode(Image, {"name": "nginx"})):
        with pytest.raises(AttributeError, match=f"Image has no field '{name}'"):
            setattr(image, name, "x")
        with pytest.raises(AttributeError):
            getattr(image, name)


@each_model
def test_a_weak_reference_to_a_model_ends_with_it(cls: Any) -> None:
    built, decoded = cls(**samples(cls)), decode(cls, {})
    references = [weakref.ref(built), weakref.ref(decoded)]
    assert [each() is not None for each in references] == [True, True]
    del built, decoded
    gc.collect()
    assert [each() for each in references] == [None, None]
