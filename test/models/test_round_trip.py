"""What holds for all values of all models: they survive being sent, read, pickled and copied."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from libica.openapi.libtes.models.base import Model
from libica.openapi.libtes.models.encoding import encode

from ..helpers import decode, each_model, few_examples, models


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


@few_examples
@given(data=st.data())
@each_model
def test_what_was_encoded_is_decoded_to_an_equal_model(cls: Any, data: Any) -> None:
    model = data.draw(models(cls))
    assert decode(cls, encode(model)) == model


@few_examples
@given(data=st.data())
@each_model
def test_what_is_encoded_survives_as_json(cls: Any, data: Any) -> None:
    encoded = encode(data.draw(models(cls)))
    assert json.loads(json.dumps(encoded, allow_nan=False)) == encoded


@few_examples
@given(data=st.data())
@each_model
def test_what_is_encoded_has_the_set_fields_under_their_json_names(cls: Any, data: Any) -> None:
    model = data.draw(models(cls))
    names = {name for name in cls.openapi_types if getattr(model, name) is not None}
    assert set(encode(model)) == {cls.attribute_map[name] for name in names}


@few_examples
@given(data=st.data())
@each_model
def test_to_dict_has_all_fields_and_values(cls: Any, data: Any) -> None:
    model = data.draw(models(cls))
    assert list(model.to_dict()) == list(cls.openapi_types)
    assert model.to_dict() == plain(model)


@few_examples
@given(data=st.data())
@each_model
def test_a_model_made_of_the_same_values_is_equal(cls: Any, data: Any) -> None:
    model = data.draw(models(cls))
    twin = cls(*(getattr(model, name) for name in cls.openapi_types))
    assert twin == model
    assert not twin != model  # noqa: SIM202


@few_examples
@given(data=st.data())
@each_model
def test_models_are_equal_exactly_if_their_data_are(cls: Any, data: Any) -> None:
    one, other = data.draw(models(cls)), data.draw(models(cls))
    assert (one == other) is (one.to_dict() == other.to_dict())


@few_examples
@given(data=st.data())
@each_model
def test_a_pickled_model_comes_back_equal_by_every_protocol(cls: Any, data: Any) -> None:
    model = data.draw(models(cls))
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        twin = pickle.loads(pickle.dumps(model, protocol))
        assert (type(twin), twin) == (cls, model)


@few_examples
@given(data=st.data())
@each_model
def test_a_copy_is_equal_and_shares_its_values(cls: Any, data: Any) -> None:
    model = data.draw(models(cls))
    twin = copy.copy(model)
    assert twin == model
    assert all(getattr(twin, name) is getattr(model, name) for name in cls.openapi_types)


@few_examples
@given(data=st.data())
@each_model
def test_a_deep_copy_is_equal_and_shares_nothing_that_can_change(cls: Any, data: Any) -> None:
    model = data.draw(models(cls))
    twin = copy.deepcopy(model)
    assert twin == model
    assert set(lists_and_dicts(twin)).isdisjoint(lists_and_dicts(model))


@few_examples
@given(data=st.data())
@each_model
def test_texts_of_any_model_can_be_made(cls: Any, data: Any) -> None:
    model = data.draw(models(cls))
    assert repr(model).startswith(f"{cls.__name__}(")
    assert str(model) == model.to_str()
