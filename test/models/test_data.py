"""Models as data: as dicts and texts, compared, copied, pickled, and sent and read again."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from hypothesis import given

from libica.openapi import libtes
from libica.openapi.libtes import (
    CreateTaskRunRequest,
    Credentials,
    Environment,
    Execution,
    Image,
    InputMountMappingWithCreds,
    TaskRun,
    TaskRunLogs,
    TaskVersion,
)
from libica.openapi.libtes.models.base import Model
from libica.openapi.libtes.models.encoding import encode

from ..helpers import TIME, decode, each_model, many_examples, samples
from .values import any_model

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def nested() -> TaskVersion:
    return TaskVersion(
        id="tvn.1",
        execution=Execution(
            image=Image("nginx", credentials=Credentials("u", "hush")),
            inputs=(InputMountMappingWithCreds(path="/x"), InputMountMappingWithCreds(path="/y")),
            environment=Environment(variables={"A": "b"}),
        ),
        time_created=TIME,
    )


def plain(value: Any) -> Any:
    """Return what ``to_dict`` should give for a value of a field."""
    if isinstance(value, Model):
        return {name: plain(getattr(value, name)) for name in type(value).openapi_types}
    return [plain(each) for each in value] if isinstance(value, list) else value


def lists_and_dicts(value: Any) -> list[int]:
    """Return the identities of all that can be changed in a value."""
    if isinstance(value, Model):
        inner = [getattr(value, name) for name in type(value).openapi_types]
    elif isinstance(value, (list, dict)):
        inner = list(value.values() if isinstance(value, dict) else value)
    else:
        return []
    return [id(value), *(found for each in inner for found in lists_and_dicts(each))]


@many_examples
@given(any_model)
def test_any_model_survives_being_sent_and_read(model: Any) -> None:
    cls, sent = type(model), encode(model)
    assert json.loads(json.dumps(sent, allow_nan=False)) == sent
    names = {name for name in cls.openapi_types if getattr(model, name) is not None}
    assert set(sent) == {cls.attribute_map[name] for name in names}
    decoded = decode(cls, sent)
    assert (type(decoded), decoded) == (cls, model)


@many_examples
@given(any_model)
def test_any_model_survives_being_copied_and_pickled(model: Any) -> None:
    names = type(model).openapi_types
    shallow, deep = copy.copy(model), copy.deepcopy(model)
    rebuilt = type(model)(*(getattr(model, name) for name in names))
    pickled = [pickle.loads(pickle.dumps(model, protocol)) for protocol in PROTOCOLS]
    for twin in (shallow, deep, rebuilt, *pickled):
        assert twin is not model
        assert twin == model
        assert not twin != model  # noqa: SIM202
    assert all(getattr(shallow, name) is getattr(model, name) for name in names)
    assert set(lists_and_dicts(deep)).isdisjoint(lists_and_dicts(model))


@many_examples
@given(any_model)
def test_any_model_has_its_data_as_a_dict_and_texts(model: Any) -> None:
    assert list(model.to_dict()) == list(type(model).openapi_types)
    assert model.to_dict() == plain(model)
    assert repr(model).startswith(f"{type(model).__name__}(")
    assert "\n" not in repr(model)
    assert len(repr(model)) < 400
    assert str(model) == model.to_str() == f"{model}"


@each_model
def test_models_that_differ_in_one_field_or_class_are_not_equal(cls: Any) -> None:
    model = cls(**samples(cls))
    for name in cls.openapi_types:
        other = decode(cls, encode(model))
        assert other == model
        object.__setattr__(other, name, None)
        assert other != model
    for other in (None, 5, "nginx", model.to_dict(), type("Other", (cls,), {})(**samples(cls))):
        assert model != other
    assert model in [decode(cls, {}), cls(**samples(cls))]
    with pytest.raises(TypeError, match="unhashable"):
        hash(model)


def test_models_of_other_classes_with_the_same_fields_are_not_equal() -> None:
    assert libtes.TaskSummary() != libtes.TaskVersionSummary()


def test_to_dict_has_models_as_dicts_and_times_as_they_are() -> None:
    data = nested().to_dict()
    assert data["time_created"] is TIME
    assert data["execution"]["image"]["credentials"] == {"username": "u", "password": "hush"}
    assert [each["path"] for each in data["execution"]["inputs"]] == ["/x", "/y"]
    raw = CreateTaskRunRequest(execution={"image": Image("x"), "args": [Image("x")]}).to_dict()
    image = Image("x").to_dict()
    assert raw["execution"] == {"image": image, "args": [image]}


def test_changing_the_dict_or_a_copy_leaves_the_model_as_it_is() -> None:
    model = nested()
    data, twin = model.to_dict(), copy.deepcopy(model)
    data["execution"]["environment"]["variables"]["A"] = "c"
    data["execution"]["inputs"].clear()
    twin.execution.image.name = "other"
    copy.copy(model).description = "other"
    assert model == nested()
    assert copy.copy(model).execution is model.execution


def test_str_is_the_data_over_lines() -> None:
    text = str(nested())
    assert "'id': 'tvn.1'" in text
    assert "'path': '/y'" in text
    assert len(text.splitlines()) > 5


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (Image("nginx"), "Image(name='nginx')"),
        (Image("nginx", "1.17", "sha256:0"), "Image(name='nginx', ...)"),
        (Execution(), "Execution()"),
        (Execution(command="sh", args=["a", "b"]), "Execution(command='sh', args=<2 items>)"),
        (
            CreateTaskRunRequest(execution=Execution()),
            "CreateTaskRunRequest(execution=Execution(...))",
        ),
        (CreateTaskRunRequest(execution={"a": 1}), "CreateTaskRunRequest(execution=<1 items>)"),
        (TaskRunLogs(start_time=TIME), "TaskRunLogs(start_time=2021-03-08T04:05:54.645483+00:00)"),
        (
            TaskRun(id="trn.1", name="n", status="Running", description="d", acl=["a"]),
            "TaskRun(id='trn.1', name='n', status='Running', ...)",
        ),
    ],
)
def test_repr_is_one_short_line_of_what_tells_objects_apart(model: Any, expected: str) -> None:
    assert repr(model) == expected
