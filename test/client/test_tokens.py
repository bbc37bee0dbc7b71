"""Tokens: the hook that refreshes them, and the one that exchanges an API key."""

from __future__ import annotations

import json
import pickle
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Optional
from unittest import mock

import pytest

from libica.openapi import libtes
from libica.openapi.libtes import ApiClient, ApiKeyExchange, Configuration

from ..conftest import TOKEN
from ..operations import OPERATIONS, Operation
from ..server import Asked, RawServer, Response, Server, say
from ..wire import hold
from .calls import LAUNCH, READ, preloads

KEY = "key-that-nobody-may-see"
TOKENS = "/v1/tokens"
THREADS = 16


class Service:
    """Gives out ``token-1``, ``token-2`` and so on for the key; only the last of them is good."""

    def __init__(self, server: Server, valid: Optional[str] = None) -> None:
        self.server = server
        self.given = 0
        self.valid = valid
        self.refused: Callable[[], object] = lambda: None
        self.lock = threading.Lock()
        server.respond(self)

    def __call__(self, asked: Asked) -> Response:
        if asked.path == TOKENS:
            headers = {name.lower(): value for name, value in asked.headers.items()}
            if asked.method != "POST" or headers.get("x-api-key") != KEY:
                return Response(401, {"code": "NO_KEY", "message": "this is no key"})
            with self.lock:
                self.given += 1
                self.valid = f"token-{self.given}"
                return Response(201, {"access_token": self.valid, "token_type": "Bearer"})
        if asked.headers.get("Authorization") != f"Bearer {self.valid}":
            self.refused()
            return Response(401, {"code": "EXPIRED", "message": "who are you"})
        return Response(201 if asked.method == "POST" else 200, {"id": "x"})

    @property
    def calls(self) -> list[Asked]:
        """The requests for anything but a token."""
        return [each for each in self.server.asked if each.path != TOKENS]


@pytest.fixture
def service(server: Server) -> Service:
    return Service(server)


@pytest.fixture
def client(configuration: Configuration, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiClient]:
    """Return a client without a token, and with the hook that gets one for the key."""
    monkeypatch.delenv("ICA_API_KEY", raising=False)
    configuration.api_key, configuration.api_key_prefix = {}, {}
    configuration.refresh_api_key_hook = ApiKeyExchange(KEY)
    with ApiClient(configuration) as client:
        yield client


def set_token(configuration: Configuration, token: str = TOKEN) -> None:
    configuration.api_key["Authorization"] = token
    configuration.api_key_prefix["Authorization"] = "Bearer"


# -- A hook of a user ------------------------------------------------------------------------------


def hook_for(token: Optional[str]) -> mock.Mock:
    """Return a refresh hook that sets this token, or none."""
    return mock.Mock(side_effect=lambda configuration: token and set_token(configuration, token))


@preloads
@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_a_token_that_is_refused_is_refreshed_and_the_call_repeated_once(
    server: Server, client: ApiClient, operation: Operation, preload: bool
) -> None:
    set_token(client.configuration)
    client.configuration.refresh_api_key_hook = hook = hook_for("new")
    Service(server, valid="new")
    for async_req in (preload, not preload):  # the first of them is refused
        result = operation.call(client, _preload_content=preload, async_req=async_req)
        response = result.get(30) if async_req else result
        assert preload or json.loads(response.data) == {"id": "x"}
        assert not preload or isinstance(response, operation.model)
    first, second, third = server.asked
    assert (first.method, first.target, first.body) == (second.method, second.target, second.body)
    sent = [each.headers.pop("Authorization") for each in server.asked]
    assert sent == [f"Bearer {TOKEN}", "Bearer new", "Bearer new"]
    assert first.headers == second.headers == third.headers
    assert hook.call_count == 1


@pytest.mark.parametrize(
    ("at_first", "token", "requests"),
    [
        pytest.param(None, "good", 1, id="there was none, and the new one is good"),
        pytest.param(None, None, 1, id="there was none, and there is none"),
        pytest.param(TOKEN, "worse", 2, id="the new one is refused too"),
        pytest.param(TOKEN, TOKEN, 1, id="the new one is the same"),
        pytest.param(TOKEN, None, 1, id="there is no other"),
    ],
)
def test_a_hook_is_asked_for_a_token_once(
    server: Server, client: ApiClient, at_first: Optional[str], token: Optional[str], requests: int
) -> None:
    if at_first:
        set_token(client.configuration, at_first)
    client.configuration.refresh_api_key_hook = hook = hook_for(token)
    Service(server, valid="good")
    if token == "good":
        assert READ.call(client).id == "x"
    else:
        with pytest.raises(libtes.UnauthorizedException, match="who are you"):
            READ.call(client)
    assert (hook.call_count, len(server.asked)) == (1, requests)


def test_a_hook_may_use_the_same_client(service: Service, client: ApiClient) -> None:
    def hook(configuration: Configuration) -> None:
        result = client.call_api(
            TOKENS, "POST", header_params={"X-API-Key": KEY}, response_type="object", async_req=True
        )
        set_token(configuration, result.get(30)[0]["access_token"])

    set_token(client.configuration)
    client.configuration.refresh_api_key_hook = hook
    assert READ.call(client).id == "x"
    assert [asked.method for asked in service.server.asked] == ["GET", "POST", "GET"]


# -- The exchange of an API key --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "prefix"),
    [
        ({"token_type": "Other"}, "Other"),
        ({}, "Bearer"),
        ({"token_type": None, "expires_in": 3600, "new": [None]}, "Bearer"),
    ],
)
def test_a_key_is_exchanged_for_a_token_whose_type_is_its_prefix(
    server: Server, configuration: Configuration, more: Any, prefix: str
) -> None:
    configuration.api_key_prefix = {"Authorization": "Old"}
    for status, base in ((200, ""), (201, "/"), (201, "/base/path/")):
        server.respond(Response(status, {"access_token": "a", **more}))
        configuration.host = server.url + base
        ApiKeyExchange(KEY)(configuration)
        asked = server.last
        headers = {name.lower(): value for name, value in asked.headers.items()}
        assert (asked.method, asked.target) == ("POST", base.rstrip("/") + TOKENS)
        assert (asked.body, headers.get("content-length", "0")) == (b"", "0")
        assert (headers["x-api-key"], "authorization" in headers) == (KEY, False)
        assert configuration.get_api_key_with_prefix("Authorization") == f"{prefix} a"


def test_the_exchange_follows_the_settings(server: Server, configuration: Configuration) -> None:
    configuration.retries = 1
    busy = Response(429, headers={"Retry-After": "0"})
    server.respond(busy, Response(201, {"access_token": "a"}))
    ApiKeyExchange(KEY)(configuration)
    assert (configuration.api_key, len(server.asked)) == ({"Authorization": "a"}, 2)
    configuration.host, configuration.proxy = "http://tes.example", server.url
    ApiKeyExchange(KEY)(configuration)
    assert server.last.target == f"http://tes.example{TOKENS}"
    configuration.proxy = None
    cut_off = say(b"HTTP/1.1 201 Created\r\nContent-Length: 9\r\n\r\n{")
    for talk, configuration.timeout, cls in (
        (hold(), (30, 0.05), libtes.ReadTimeoutException),
        (say(b""), (30, 30), libtes.ConnectionLostException),
        (cut_off, (30, 30), libtes.ConnectionLostException),
    ):
        with RawServer(talk) as raw:
            configuration.host = raw.url
            with pytest.raises(cls):
                ApiKeyExchange(KEY)(configuration)
        [received] = raw.received  # it is not retried
        assert received.startswith(b"POST /v1/tokens ")


def test_the_key_is_the_argument_or_that_of_the_environment_when_it_is_needed(
    service: Service, client: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for given, variable in ((None, KEY), (KEY, "another"), ("", KEY)):
        exchange = ApiKeyExchange(given)
        monkeypatch.setenv("ICA_API_KEY", variable)
        exchange(client.configuration)
        monkeypatch.setenv("ICA_API_KEY", "")
        if not given:
            with pytest.raises(libtes.ApiValueError, match="ICA_API_KEY"):
                exchange(client.configuration)
    assert service.given == len(service.server.asked) == 3


def test_a_key_that_cannot_be_a_header_is_refused(
    server: Server, client: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.configuration.refresh_api_key_hook = ApiKeyExchange()
    for key in (f"{KEY}\n", f"{KEY}\r\nX: y", f"{KEY}\x7f", f"{KEY}中"):
        with pytest.raises(libtes.ApiValueError):
            ApiKeyExchange(key)
        monkeypatch.setenv("ICA_API_KEY", key)
        with pytest.raises(libtes.ApiValueError):
            LAUNCH.call(client)
    for wrong in (5, KEY.encode(), [KEY]):
        with pytest.raises(libtes.ApiTypeError, match="api_key"):
            ApiKeyExchange(wrong)  # type: ignore[arg-type]
    assert server.asked == []


# -- Exchanges in calls ----------------------------------------------------------------------------


def test_sixteen_threads_share_one_exchange(service: Service, client: ApiClient) -> None:
    together = threading.Barrier(THREADS)
    service.refused = lambda: together.wait(30)  # each has been refused before any asks

    def call(number: int) -> Any:
        try:
            return (LAUNCH if number % 2 else READ).call(client).id
        except libtes.ForbiddenException as exception:
            return exception.path

    with ThreadPoolExecutor(THREADS) as threads:
        for turn in range(4):  # at first there is no token, later it has expired
            assert list(threads.map(call, range(THREADS))) == ["x"] * THREADS
            assert service.given == turn + 1
            assert len(service.calls) == THREADS * (1 + 2 * turn)
            service.valid = "expired"
        client.configuration.api_key.clear()
        service.server.respond(Response(403))  # which fails each call and blocks none
        assert list(threads.map(call, range(THREADS))) == [TOKENS] * THREADS


# -- Exchanges that fail ---------------------------------------------------------------------------

INVALID: list[Any] = [
    *(f"<html>{KEY}</html>", b"", [{"access_token": "a"}], '"a"', {"token_type": "Bearer"}),
    *({"access_token": token} for token in (None, "", 5, ["a"], "a\r\nX: y", "中")),
    *({"access_token": "a", "token_type": kind} for kind in ("B\r\nX: y", 5, {"x": 1})),
]
FAILURES: list[tuple[Response, type[libtes.ApiException]]] = [
    (Response(401, {"code": "C", "message": KEY}), libtes.UnauthorizedException),
    (Response(400, [KEY]), libtes.BadRequestException),
    (Response(404, f"<html>{KEY}</html>"), libtes.NotFoundException),
    (Response(500, {"details": [KEY]}), libtes.ServiceException),
    (Response(307, b"", {"Location": "/elsewhere"}), libtes.ApiException),
    (Response(204, b""), libtes.InvalidResponseException),
    *((Response(201, body), libtes.InvalidResponseException) for body in INVALID),
]


@pytest.mark.parametrize(("response", "cls"), FAILURES)
def test_an_exchange_that_fails_is_one_exception_and_leaves_the_token_as_it_was(
    server: Server, client: ApiClient, response: Response, cls: type[libtes.ApiException]
) -> None:
    server.respond(response)
    with pytest.raises(libtes.ApiException) as caught:
        LAUNCH.call(client)
    exception = caught.value
    assert (type(exception), exception.status) == (cls, response.status)
    assert (exception.method, exception.path) == ("POST", TOKENS)
    assert cls is not libtes.InvalidResponseException or "token" in str(exception)
    assert str(exception).isprintable()
    assert [each.path for each in server.asked] == [TOKENS]
    set_token(client.configuration)
    with pytest.raises(cls):
        ApiKeyExchange(KEY)(client.configuration)
    assert client.configuration.get_api_key_with_prefix("Authorization") == f"Bearer {TOKEN}"
    Service(server)
    assert LAUNCH.call(client).id == "x"


def test_a_pickle_has_no_key_which_then_comes_from_the_environment(
    service: Service, client: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    LAUNCH.call(client)
    pickled = pickle.dumps(client.configuration)
    assert not any(secret in pickled for secret in (KEY.encode(), b"token-1"))
    client.configuration = pickle.loads(pickled)
    with pytest.raises(libtes.ApiValueError, match="ICA_API_KEY"):
        LAUNCH.call(client)
    monkeypatch.setenv("ICA_API_KEY", KEY)
    assert LAUNCH.call(client).id == "x"
    assert service.given == 2
