"""Wrong input, hooks and exchanges of keys: what is raised names the place and not the value."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NoReturn, Optional

import pytest

from libica.openapi import libtes
from libica.openapi.libtes import ApiClient, Configuration

from ...operations import RUN
from ...server import Asked, Response, Server
from .conftest import Check, ClientOf, Seen
from .hidden import (
    API_KEY,
    EXECUTION,
    FRESH,
    IMAGE_PASSWORD,
    LOGIN,
    PREFIX,
    SENT,
    SIGNED,
    STORED,
    TOKEN,
    WAYS,
    failure,
    found,
    get,
    leaks,
    told,
    with_locals,
)
from .test_responses import refuse

TES = libtes.TaskRunsApi
NOWHERE = "http://127.0.0.1:1"  # where a valid call fails, too
LINES = "\r\nX-More: "


def get_with(client: ApiClient, **changed: Any) -> Any:
    """Make a call after changing settings, or those of the client."""
    for name, value in changed.items():
        owner = client.configuration if hasattr(client.configuration, name) else client
        setattr(owner, name, value)
    return get(client)


def with_token(client: ApiClient, value: Any) -> Any:
    client.configuration.api_key["Authorization"] = value
    return TES(client)


def exchange(client: ApiClient, key: Any) -> Any:
    """Make a call without a token, which the hook exchanges an API key for."""
    return get_with(client, api_key={}, refresh_api_key_hook=libtes.ApiKeyExchange(key))


def in_itself() -> Any:
    body: Any = {"password": IMAGE_PASSWORD}
    body["execution"] = body
    return body


def forms(text: str) -> list[Any]:
    """Return values of all kinds with a secret in them."""
    broken = [f"{text}{end}" for end in ("", LINES, "\0", "\u20ac", "\ud800")]
    return [*broken, text.encode(), [text, 5], {text}, {"x": text}, {b"x": {text}}]


# Each place that takes a value, and what is put there unless it is the token.
PLACES: dict[str, Callable[[ApiClient, Any], Any]] = {
    "body": lambda c, v: TES(c).create_task_run(body=v),
    "part of a body": lambda c, v: TES(c).create_task_run(body={"password": v}),
    "body of call_api": lambda c, v: c.call_api("/x", "POST", body=[STORED, v]),
    "sanitize": lambda c, v: c.sanitize_for_serialization([STORED, v]),
    "more ids": lambda c, v: TES(c).get_task_run(RUN, v),
    "unknown argument": lambda c, v: TES(c).get_task_run(RUN, token=v),
    "filter": lambda c, v: TES(c).list_task_runs(names=v),
    "page size of a walk": lambda c, v: list(TES(c).iter_task_runs(page_size=v)),
    "timeouts": lambda c, v: TES(c).get_task_run(RUN, _request_timeout=(v, 5)),
    "retries": lambda c, v: get_with(c, retries=v),
    "token": lambda c, v: get_with(c, api_key={"Authorization": v}),
    "token in the background": lambda c, v: with_token(c, v).get_task_run(RUN, async_req=1).get(9),
    "token that is looked at": lambda c, v: with_token(
        c, v
    ).api_client.configuration.auth_settings(),
    "prefix": lambda c, v: get_with(c, api_key_prefix={"Authorization": v}),
    "keys": lambda c, v: Configuration(api_key=v),
    "cookie": lambda c, v: get_with(c, cookie=v),
    "default header": lambda c, v: c.set_default_header("X-Key", v),
    "name of a default header": lambda c, v: c.set_default_header(v, "X-Key"),
    "changed default header": lambda c, v: (c.default_headers.update(x=v), get(c)),
    "header of a call": lambda c, v: c.call_api("/x", "GET", header_params={"X": v}),
    "proxy": lambda c, v: get_with(c, proxy=v),
    "proxy header": lambda c, v: get_with(c, proxy=NOWHERE, proxy_headers={"X": v}),
    "host": lambda c, v: get_with(c, host=v),
    "host of a new configuration": lambda c, v: Configuration(v),
    "host of a call": lambda c, v: c.call_api("/x", "GET", _host=v),
    "API key": lambda c, v: exchange(c, v),
}
HOSTS = [f"https://user:{TOKEN}@tes.example", f"https://tes.example?token={TOKEN}"]
TEXTS = {
    "filter": [SIGNED],
    "proxy": [
        *(f"ftp://{LOGIN}@proxy.invalid", f"socks5://{LOGIN}@proxy.invalid:1", f"http://{LOGIN}@"),
        *(f"http://{LOGIN}@proxy invalid", f"http://{LOGIN}@p:99999", f"http://u:{TOKEN}"),
    ],
    **dict.fromkeys(("host", "host of a new configuration", "host of a call"), HOSTS),
}
# What is not one of the forms of a text; a valid id is no secret: errors name the path.
WRONG: dict[str, Callable[[ApiClient], Any]] = {
    "id of a list": lambda c: TES(c).get_task_run([TOKEN]),
    "id with a surrogate": lambda c: TES(c).get_task_run(SIGNED + "\ud800"),
    "body of another model": lambda c: TES(c).create_task_run(body=EXECUTION),
    "body without end": lambda c: TES(c).create_task_run(body=in_itself()),
    "body with NaN": lambda c: TES(c).create_task_run(body={"password": TOKEN, "x": math.nan}),
    "text that is no JSON": lambda c: deserialize(c, json.dumps(STORED).encode() + b"x"),
    "bytes that are no text": lambda c: deserialize(c, TOKEN.encode() + b"\xff"),
}


def deserialize(client: ApiClient, data: bytes) -> Any:
    return client.deserialize(SimpleNamespace(data=data, headers={}), "TaskRun")


@pytest.mark.parametrize("place", PLACES)
def test_an_invalid_value_is_reported_without_the_secret_in_it(
    place: str, client_for: ClientOf, seen: Seen
) -> None:
    errors: list[BaseException] = []
    for value in itertools.chain.from_iterable(map(forms, TEXTS.get(place, [TOKEN]))):
        client = client_for(NOWHERE)
        errors += failure(lambda client=client, value=value: PLACES[place](client, value))
    assert leaks(*(text for each in errors for text in told(each))) == {}
    assert any(isinstance(each, (ValueError, TypeError)) for each in errors)
    assert leaks(*seen()) == {}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_input_is_reported_without_a_secret(
    what: str, client_for: ClientOf, check: Check
) -> None:
    check(client_for(NOWHERE), WRONG[what], Exception)


# -- Hooks -----------------------------------------------------------------------------------------


def no_key(configuration: Configuration) -> NoReturn:
    of_the_hook = "stays"  # noqa: F841
    raise LookupError("no key here")


@pytest.mark.parametrize("way", WAYS)
def test_a_hook_that_raises_reveals_nothing_but_its_own_locals(
    way: str, server: Server, client_for: ClientOf, check: Check
) -> None:
    server.respond(refuse(401))
    for host, keys in ((NOWHERE, {}), (server.url, {"Authorization": TOKEN})):
        client = client_for(host)
        client.configuration.api_key = keys
        client.configuration.refresh_api_key_hook = no_key
        assert "of_the_hook" in with_locals(check(client, way, LookupError))


def granted(body: str, status: int = 201) -> Callable[[Asked], Response]:
    """Return a script that repeats the API key in place of ``KEY``."""
    return lambda asked: Response(status, body.replace("KEY", asked.headers["X-API-Key"]))


EXCHANGES = [
    refuse(400),
    granted("<html>KEY</html>", 500),
    granted(f'{{"token": "{FRESH}", "heard": "KEY"}}'),
    granted(f'{{"access_token": ["{FRESH}"]}}'),
    granted(json.dumps({"access_token": FRESH + LINES})),
    granted(f'{{"access_token": "{FRESH}", "token_type": ["KEY"]}}'),
    lambda asked: Response(201, b'{"access_token": "' + FRESH.encode() + b'\xff"}'),
    granted(f"<html>KEY {FRESH}", 200),
]


@pytest.mark.parametrize("key", [API_KEY, None], ids=["given", "of the environment"])
def test_an_exchange_of_an_api_key_that_fails_reveals_nothing(
    key: Optional[str], refusing: str, server: Server, client_for: ClientOf, check: Check
) -> None:
    for script in EXCHANGES:
        server.respond(script)
        error = check(client_for(server.url), lambda client: exchange(client, key))
        assert error.status is not None  # it came of the response
        assert found(server.last.headers) == {"API_KEY"}
    client = client_for(f"http://{refusing}")
    check(client, lambda client: exchange(client, key), libtes.ConnectException)


def test_a_token_that_was_exchanged_is_a_secret_too(
    server: Server, client_for: ClientOf, check: Check
) -> None:
    new = Response(201, {"access_token": FRESH, "token_type": PREFIX})
    server.respond(new, refuse(400))
    check(client_for(server.url), lambda client: exchange(client, None), libtes.BadRequestException)
    assert found(server.asked[0].headers) == {"API_KEY"}
    assert found(server.last.headers) == {*SENT, "FRESH"} - {"TOKEN"}
