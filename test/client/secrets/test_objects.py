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
from .conftest import ClientOf
from .hidden import (
    API_KEY,
    COOKIE,
    EXECUTION,
    HEADER,
    IMAGE_PASSWORD,
    OF_RUNS,
    PREFIX,
    SECURE,
    SIGNATURE,
    SIGNED,
    STORAGE_KEY,
    STORED,
    TOKEN,
    encode,
    failure,
    filled,
    found,
    leaks,
    looks,
    pickles,
    settings,
    told,
    with_proxy,
)


def public_classes() -> Iterator[Any]:
    """Yield each class of the package whose name has no underscore."""
    for module in pkgutil.walk_packages(libtes.__path__, f"{libtes.__name__}."):
        for name, value in vars(importlib.import_module(module.name)).items():
            if isinstance(value, type) and value.__module__ == module.name and name[0] != "_":
                yield value


CLASSES = list(public_classes())
each_class = pytest.mark.parametrize("cls", CLASSES, ids=[each.__name__ for each in CLASSES])


def results() -> list[Any]:
    """Return a result that is there, one that failed and one that is not there yet."""
    there, failed, pending = (libtes.AsyncResult() for _ in range(3))
    there.set_result(filled(libtes.TaskRun))
    failed.set_exception(libtes.BadRequestException(400, "Bad Request"))
    return [there, failed, pending]


def wire(client: ApiClient, cls: Any) -> list[Any]:
    """Return a request or a response as the transport has it."""
    values = {
        "method": "POST",
        "url": f"{client.configuration.host}/v1/x?pageToken={SIGNATURE}",
        "headers": {"Authorization": f"{PREFIX} {TOKEN}", "Cookie": COOKIE, "X-Api-Key": HEADER},
        "body": json.dumps(STORED).encode(),
        "status": 400,
        "reason": "Bad Request",
        "data": json.dumps(STORED).encode(),
    }
    return [cls(**{name: values.get(name) for name in cls._fields})]


# How to make those that are no models, exceptions and APIs.
MAKERS: dict[str, Callable[[ApiClient], list[Any]]] = {
    "Configuration": lambda client: [client.configuration, with_proxy(settings("http://h"))],
    "ApiClient": lambda client: [client],
    "AsyncResult": lambda client: results(),
    "ApiKeyExchange": lambda client: [libtes.ApiKeyExchange(API_KEY), libtes.ApiKeyExchange()],
    "Proxy": lambda client: [proxy_for(with_proxy(settings("http://h")), "http://h")],
    "Rest": lambda client: [client._rest],
    "Response": lambda client: wire(client, Response),
    "Request": lambda client: wire(client, Request),
    "Mismatch": lambda client: [Mismatch("text", TOKEN), Mismatch("text", {TOKEN: [TOKEN]})],
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
def test_no_look_at_an_object_shows_a_secret(cls: Any, client_for: ClientOf) -> None:
    for thing in [cls, *made(cls, client_for("http://nowhere.invalid"))]:
        assert leaks(*looks(thing)) == {}
        if isinstance(thing, BaseException):
            assert leaks(*told(thing)) == {}
        if isinstance(thing, libtes.Configuration):
            assert leaks(thing.to_debug_report()) == {}


def test_the_public_names_are_among_the_classes() -> None:
    public = {getattr(libtes, name) for name in libtes.__all__}
    assert {each for each in public if isinstance(each, type)} <= set(CLASSES)


@each_class
def test_no_pickle_but_that_of_data_holds_a_secret(cls: Any, client_for: ClientOf) -> None:
    for thing in made(cls, client_for("http://nowhere.invalid")):
        if not isinstance(thing, (Model, tuple)):
            assert found(*pickles(thing)) <= {"PREFIX"}


def test_data_and_pickles_of_models_hold_all_that_was_put_in() -> None:
    everything: set[str] = set()
    for model in [filled(cls, raw) for cls in MODELS for raw in (True, False)]:
        held = found(json.dumps(encode(model)))
        assert found(pprint.pformat(model.to_dict())) == found(repr(pickle.dumps(model))) == held
        assert pickle.loads(pickle.dumps(model)) == copy.deepcopy(model) == model
        everything |= held
    assert everything == {*OF_RUNS, "JWT", "NONCE", "RAW_JSON"}
    # The configuration of a model is no data.
    model = libtes.Image("nginx", local_vars_configuration=with_proxy(settings("http://h")))
    assert found(*pickles(model)) <= {"PREFIX"}


def test_what_a_notebook_shows_has_no_secret(client_for: ClientOf) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        formatters = pytest.importorskip("IPython.core.formatters")
        from IPython.lib.pretty import pretty
    display = formatters.DisplayFormatter()
    client = client_for("http://nowhere.invalid")
    for cls in CLASSES:
        for thing in made(cls, client):
            assert leaks(pretty(thing), pretty({"in": [thing]}), display.format(thing)) == {}


MISFITS: list[Any] = [
    *(IMAGE_PASSWORD * 200, IMAGE_PASSWORD.encode(), [STORAGE_KEY, 5], EXECUTION, 5),
    *({"SECURE_KEY": SECURE, 5: STORAGE_KEY}, [{"password": IMAGE_PASSWORD}, SIGNED]),
]


@each_model
def test_an_invalid_field_of_a_model_is_reported_without_a_secret(cls: Any) -> None:
    required = {name: "x" for name, field in cls._fields.items() if field.required}
    model = filled(cls)
    failures: list[BaseException] = []
    for name, value in itertools.product([*cls._fields, "unknown"], MISFITS):
        failures += failure(lambda name=name, value=value: cls(**{**required, name: value}))
        failures += failure(lambda name=name, value=value: setattr(model, name, value))
    failures += failure(lambda: cls(*[IMAGE_PASSWORD] * 99))
    assert len(failures) > 2 * len(MISFITS)
    assert leaks(*(text for each in failures for text in told(each))) == {}
