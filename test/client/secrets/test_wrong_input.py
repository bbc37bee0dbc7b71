"""Wrong input, hooks and exchanges of keys: what is raised names the place and not the value."""

from __future__ import annotations

import json
import traceback
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
    COOKIE,
    EXECUTION,
    FRESH,
    HEADER,
    IMAGE_PASSWORD,
    LOGIN,
    PASSWORD,
    PREFIX,
    PROXY_HEADER,
    SENT,
    SIGNED,
    STORED,
    TOKEN,
    WAYS,
    caught,
    failure,
    found,
    get,
    leaks,
    told,
)
from .test_responses import refuse

LINES = "\r\nX-More: "


TES = libtes.TaskRunsApi


def get_with(client: ApiClient, **changed: Any) -> Any:
    """Make a call after changing settings, or those of the client."""
    for name, value in changed.items():
        owner = client.configuration if hasattr(client.configuration, name) else client
        setattr(owner, name, value)
    return get(client)


def with_token(client: ApiClient, value: Any) -> ApiClient:
    client.configuration.api_key["Authorization"] = value
    return client


def endless() -> Any:
    body: Any = {"password": IMAGE_PASSWORD}
    body["execution"] = body
    return body


def forms(text: str) -> list[Any]:
    """Return values of all kinds with a secret in them."""
    broken = [f"{text}{end}" for end in ("", LINES, "\0", "\u20ac", "\ud800")]
    return [*broken, text.encode(), [text, 5], {text}, {"x": text}, {b"x": {text}}]


# Each place that takes a value, with a secret for it.
Set = Callable[[ApiClient, Any], Any]
PLACES: dict[str, tuple[str, Set]] = {
    "body": (TOKEN, lambda c, v: TES(c).create_task_run(body=v)),
    "part of a body": (IMAGE_PASSWORD, lambda c, v: TES(c).create_task_run(body={"password": v})),
    "body of call_api": (IMAGE_PASSWORD, lambda c, v: c.call_api("/x", "POST", body=[STORED, v])),
    "sanitize": (IMAGE_PASSWORD, lambda c, v: c.sanitize_for_serialization([STORED, v])),
    "more ids": (TOKEN, lambda c, v: TES(c).get_task_run(RUN, v)),
    "unknown argument": (TOKEN, lambda c, v: TES(c).get_task_run(RUN, token=v)),
    "filter": (SIGNED, lambda c, v: TES(c).list_task_runs(names=v)),
    "page size of a walk": (TOKEN, lambda c, v: list(TES(c).iter_task_runs(page_size=v))),
    "timeouts": (TOKEN, lambda c, v: TES(c).get_task_run(RUN, _request_timeout=(v, 5))),
    "retries": (TOKEN, lambda c, v: get_with(c, retries=v)),
    "token": (TOKEN, lambda c, v: get_with(c, api_key={"Authorization": v})),
    "token in the background": (
        TOKEN,
        lambda c, v: TES(with_token(c, v)).get_task_run(RUN, async_req=True).get(10),
    ),
    "token that is looked at": (TOKEN, lambda c, v: with_token(c, v).configuration.auth_settings()),
    "prefix": (PREFIX, lambda c, v: get_with(c, api_key_prefix={"Authorization": v})),
    "keys": (TOKEN, lambda c, v: Configuration(api_key=v)),
    "cookie": (COOKIE, lambda c, v: get_with(c, cookie=v)),
    "default header": (HEADER, lambda c, v: c.set_default_header("X-Key", v)),
    "name of a default header": (HEADER, lambda c, v: c.set_default_header(v, "X-Key")),
    "changed default header": (HEADER, lambda c, v: (c.default_headers.update(x=v), get(c))),
    "header of a call": (HEADER, lambda c, v: c.call_api("/x", "GET", header_params={"X": v})),
    **{
        f"proxy {proxy.partition(':')[0]} {at}": (proxy, lambda c, v: get_with(c, proxy=v))
        for at, proxy in enumerate(
            [
                *(f"ftp://{LOGIN}@proxy.invalid", f"socks5://{LOGIN}@proxy.invalid:1"),
                *(f"http://{LOGIN}@", f"http://{LOGIN}@proxy invalid", f"http://{LOGIN}@p:99999"),
                f"http://u:{API_KEY}",
            ]
        )
    },
    "proxy header": (
        PROXY_HEADER,
        lambda c, v: get_with(c, proxy="http://127.0.0.1:1", proxy_headers={"X": v}),
    ),
    "host": (f"https://user:{PASSWORD}@tes.example", lambda c, v: get_with(c, host=v)),
    "host with a query": (f"https://tes.example?token={TOKEN}", lambda c, v: Configuration(v)),
    "host of a call": (f"http://u:{PASSWORD}@h", lambda c, v: c.call_api("/x", "GET", _host=v)),
    "API key": (API_KEY, lambda c, v: exchange(c, v)),
}
# What is not one of the forms of a text; a valid id is no secret: errors name the path.
WRONG: dict[str, Callable[[ApiClient], Any]] = {
    "id of a list": lambda c: TES(c).get_task_run([TOKEN]),
    "id with a surrogate": lambda c: TES(c).get_task_run(SIGNED + "\ud800"),
    "body of another model": lambda c: TES(c).create_task_run(body=EXECUTION),
    "body without end": lambda c: TES(c).create_task_run(body=endless()),
    "body with NaN": lambda c: TES(c).create_task_run(
        body={"password": IMAGE_PASSWORD, "x": float("nan")}
    ),
    "deserialize": lambda c: c.deserialize(
        SimpleNamespace(data=json.dumps(STORED).encode() + b"x", headers={}), "TaskRun"
    ),
    "deserialize bytes that are no text": lambda c: c.deserialize(
        SimpleNamespace(data=TOKEN.encode() + b"\xff", headers={}), "TaskRun"
    ),
}


def exchange(client: ApiClient, key: Any) -> Any:
    """Make a call without a token, which the hook exchanges an API key for."""
    client.configuration.api_key = {}
    client.configuration.refresh_api_key_hook = libtes.ApiKeyExchange(key)
    return get(client)


@pytest.mark.parametrize("place", PLACES)
def test_an_invalid_value_is_reported_without_the_secret_in_it(
    place: str, client_for: ClientOf, seen: Seen
) -> None:
    text, set_it = PLACES[place]
    errors: list[BaseException] = []
    for value in forms(text):
        client = client_for("http://127.0.0.1:1")  # where a valid call fails, too
        errors += failure(lambda client=client, value=value: set_it(client, value))
    assert leaks(*(text for each in errors for text in told(each))) == {}
    assert any(isinstance(each, (ValueError, TypeError)) for each in errors)
    assert leaks(*seen()) == {}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_input_is_reported_without_a_secret(
    what: str, client_for: ClientOf, check: Check
) -> None:
    check(client_for("http://127.0.0.1:1"), WRONG[what], Exception)


# -- Hooks -----------------------------------------------------------------------------------------


def no_key(configuration: Configuration) -> NoReturn:
    of_the_hook = "stays"  # noqa: F841
    raise LookupError("no key here")


@pytest.mark.parametrize("way", WAYS)
def test_a_hook_that_raises_reveals_nothing_but_its_own_locals(
    way: str, server: Server, client_for: ClientOf, check: Check
) -> None:
    client = client_for("http://127.0.0.1:1")
    client.configuration.api_key = {}
    client.configuration.refresh_api_key_hook = no_key
    check(client, way, LookupError)
    server.respond(refuse(401))
    client = client_for(server.url)
    client.configuration.refresh_api_key_hook = no_key
    error = check(client, way, LookupError)
    trace = traceback.TracebackException.from_exception(error, capture_locals=True)
    assert "of_the_hook" in "".join(trace.format())


EXCHANGES: list[Callable[[Asked], Response]] = [
    lambda asked: Response(
        400,
        {"code": "C", "message": "; ".join(asked.headers.values()), "details": [asked.headers]},
        {f"X-Heard-{name}": value for name, value in asked.headers.items()},
        reason=f"Not {asked.headers['X-Api-Key']}",
    ),
    lambda asked: Response(500, f"<html>{asked.headers['X-Api-Key']}</html>"),
    lambda asked: Response(201, {"token": FRESH, "heard": asked.headers["X-Api-Key"]}),
    lambda asked: Response(201, {"access_token": [FRESH]}),
    lambda asked: Response(201, {"access_token": FRESH + LINES}),
    lambda asked: Response(
        201, {"access_token": FRESH, "token_type": [asked.headers["X-Api-Key"]]}
    ),
    lambda asked: Response(201, b'{"access_token": "' + FRESH.encode() + b'\xff"}'),
    lambda asked: Response(200, f"<html>{asked.headers['X-Api-Key']} {FRESH}"),
]


@pytest.mark.parametrize("key", [API_KEY, None], ids=["given", "of the environment"])
def test_an_exchange_of_an_api_key_that_fails_reveals_nothing(
    key: Optional[str], refusing: str, server: Server, client_for: ClientOf, check: Check
) -> None:
    for script in EXCHANGES:
        server.respond(script)
        check(client_for(server.url), lambda client: exchange(client, key))
        assert found(server.last.headers) == {"API_KEY"}
    client = client_for(f"http://{refusing}")
    check(client, lambda client: exchange(client, key), libtes.ConnectException)


def test_a_token_that_was_exchanged_is_a_secret_too(
    server: Server, client_for: ClientOf, check: Check
) -> None:
    def script(asked: Asked) -> Response:
        if asked.path == "/v1/tokens":
            return Response(201, {"access_token": FRESH, "token_type": PREFIX})
        return refuse(400)(asked)

    server.respond(script)
    check(client_for(server.url), lambda client: exchange(client, None), libtes.BadRequestException)
    assert found(server.asked[0].headers) == {"API_KEY"}
    assert found(server.last.headers) == {*SENT, "FRESH"} - {"TOKEN"}


def test_a_caller_sees_the_locals_of_his_own_frames(client_for: ClientOf) -> None:
    def script() -> None:
        of_the_caller = "stays"  # noqa: F841
        get(client)

    client = client_for("http://127.0.0.1:1")
    error = caught(script, libtes.ConnectException)
    trace = traceback.TracebackException.from_exception(error, capture_locals=True)
    assert "of_the_caller" in "".join(trace.format())
