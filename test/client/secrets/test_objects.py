"""Objects: no look at one shows a secret; data and pickles of models hold all of theirs."""

from __future__ import annotations

import copy
import importlib
import itertools
import json
import pickle
import pkgutil
import pprint
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from libica.openapi import libtes
from libica.openapi.libtes import ApiClient
from libica.openapi.libtes._messages import Request, Response
from libica.openapi.libtes._proxies import proxy_for
from libica.openapi.libtes.models.base import Model
from libica.openapi.libtes.models.decoding import Mismatch

from ...helpers import MODELS, each_model
from . import hidden
from .conftest import ClientOf
from .hidden import STORED, encode, failure, filled, found, leaks, looks, pickles, settings, told

NOWHERE = "http://nowhere.invalid"


def public_classes() -> Iterator[Any]:
    """Yield each class of the package whose name has no underscore."""
    for module in pkgutil.walk_packages(libtes.__path__, f"{libtes.__name__}."):
        for name, value in vars(importlib.import_module(module.name)).items():
            if isinstance(value, type) and value.__module__ == module.name and name[0] != "_":
                yield value


CLASSES = list(public_classes())
each_class = pytest.mark.parametrize("cls", CLASSES, ids=[each.__name__ for each in CLASSES])


def with_proxy() -> libtes.Configuration:
    """Return settings with a proxy and an API key too."""
    configuration = settings(NOWHERE)
    configuration.proxy = f"http://{hidden.LOGIN}@proxy.invalid:8080"
    configuration.refresh_api_key_hook = libtes.ApiKeyExchange(hidden.API_KEY)
    return configuration


def results(client: ApiClient) -> list[Any]:
    """Return a result that is there, one that failed and one that is not there yet."""
    there, failed, pending = (libtes.AsyncResult() for _ in range(3))
    there.set_result(filled(libtes.TaskRun))
    failed.set_exception(libtes.BadRequestException(400, "Bad Request"))
    return [there, failed, pending]


ON_THE_WIRE = {
    "method": "POST",
    "url": f"{NOWHERE}/v1/x?pageToken={hidden.SIGNATURE}",
    "headers": {"Authorization": hidden.TOKEN, "Cookie": hidden.COOKIE, "X-Key": hidden.HEADER},
    "body": json.dumps(STORED).encode(),
    "status": 400,
    "reason": "Bad Request",
    "data": json.dumps(STORED).encode(),
}
# How to make those that are no models, exceptions and APIs.
MAKERS: dict[str, Callable[[ApiClient], list[Any]]] = {
    "Configuration": lambda client: [client.configuration, with_proxy()],
    "ApiClient": lambda client: [client],
    "AsyncResult": results,
    "ApiKeyExchange": lambda _: [libtes.ApiKeyExchange(hidden.API_KEY), libtes.ApiKeyExchange()],
    "Proxy": lambda client: [proxy_for(with_proxy(), NOWHERE)],
    "Rest": lambda client: [client._rest],
    "Response": lambda client: [Response(*map(ON_THE_WIRE.get, Response._fields))],
    "Request": lambda client: [Request(*map(ON_THE_WIRE.get, Request._fields))],
    "Mismatch": lambda client: [
        Mismatch("text", value) for value in (hidden.TOKEN, {hidden.TOKEN: [hidden.TOKEN]})
    ],
}
# These hold nothing of a user.
WITHOUT_SECRETS = {
    *("Boundary", "Endpoint", "Field", "Model", "ModelType", "Page", "RetryPolicy", "Unset"),
    "Workers",
}


def made(cls: Any, client: ApiClient) -> list[Any]:
    """Return objects of a class with all the secrets that they can have."""
    if cls in MODELS:
        with_settings = filled(cls)
        with_settings.local_vars_configuration = client.configuration
        return [filled(cls), filled(cls, raw=True), with_settings]
    if issubclass(cls, libtes.OpenApiException):  # those that calls raise are in other tests
        return [cls(404, "Not Found") if issubclass(cls, libtes.ApiException) else cls("text")]
    if cls.__name__ in WITHOUT_SECRETS:
        return []
    if cls.__module__.startswith("libica.openapi.libtes.api."):
        return [cls(client)]
    if cls.__name__ not in MAKERS:
        pytest.fail(f"say in MAKERS how to make {cls} with secrets in it")
    return MAKERS[cls.__name__](client)


@each_class
def test_no_look_at_an_object_and_no_pickle_but_that_of_data_shows_a_secret(
    cls: Any, client_for: ClientOf
) -> None:
    for thing in [cls, *made(cls, client_for(NOWHERE))]:
        assert leaks(*looks(thing)) == {}
        if not isinstance(thing, (Model, tuple)):
            assert found(*pickles(thing)) <= {"PREFIX"}
        if isinstance(thing, BaseException):
            assert leaks(*told(thing)) == {}
        if isinstance(thing, libtes.Configuration):
            assert leaks(thing.to_debug_report()) == {}


def test_the_public_names_are_among_the_classes() -> None:
    public = {getattr(libtes, name) for name in libtes.__all__}
    assert {each for each in public if isinstance(each, type)} <= set(CLASSES)


def test_data_and_pickles_of_models_hold_all_that_was_put_in() -> None:
    everything: set[str] = set()
    for model in [filled(cls, raw) for cls in MODELS for raw in (True, False)]:
        held = found(json.dumps(encode(model)))
        assert found(pprint.pformat(model.to_dict())) == found(repr(pickle.dumps(model))) == held
        assert pickle.loads(pickle.dumps(model)) == copy.deepcopy(model) == model
        everything |= held
    assert everything == {*hidden.OF_RUNS, "JWT", "NONCE", "RAW_JSON"}
    # The configuration of a model is no data.
    model = libtes.Image("nginx", local_vars_configuration=with_proxy())
    assert found(*pickles(model)) <= {"PREFIX"}


def test_what_a_notebook_shows_has_no_secret(client_for: ClientOf) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        formatters = pytest.importorskip("IPython.core.formatters")
        from IPython.lib.pretty import pretty
    display = formatters.DisplayFormatter()
    client = client_for(NOWHERE)
    for thing in [thing for cls in CLASSES for thing in made(cls, client)]:
        assert leaks(pretty(thing), pretty({"in": [thing]}), display.format(thing)) == {}


PASSWORD = hidden.IMAGE_PASSWORD
MISFITS: list[Any] = [
    *(PASSWORD * 200, PASSWORD.encode(), [hidden.STORAGE_KEY, 5], hidden.EXECUTION, 5),
    *({"SECURE_KEY": hidden.SECURE, 5: PASSWORD}, [{"password": PASSWORD}, hidden.SIGNED]),
]


@each_model
def test_an_invalid_field_of_a_model_is_reported_without_a_secret(cls: Any) -> None:
    required = {name: "x" for name, field in cls._fields.items() if field.required}
    model = filled(cls)
    failures = failure(lambda: cls(*[PASSWORD] * 99))
    for name, value in itertools.product([*cls._fields, "unknown"], MISFITS):
        failures += failure(lambda name=name, value=value: cls(**{**required, name: value}))
        failures += failure(lambda name=name, value=value: setattr(model, name, value))
    assert len(failures) > 2 * len(MISFITS)
    assert leaks(*(text for each in failures for text in told(each))) == {}
