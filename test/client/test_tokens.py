"""The hook that exchanges an API key for a token: when it asks, what it sends, what it hides."""

from __future__ import annotations

import copy
import io
import json
import logging
import pickle
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Optional

import pytest

from libica.openapi import libtes

from .conftest import TOKEN
from .operations import OPERATIONS, RUN, Operation
from .server import Answer, Asked, RawServer, Server, say

KEY = "key-that-nobody-may-see"
LAUNCH = next(each for each in OPERATIONS if each.name == "launch_task_run")
TOKENS = "/v1/tokens"


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.delenv("ICA_API_KEY", raising=False)


class Service:
    """Gives out ``token-1``, ``token-2`` and so on for the key; only the last of them is good."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.given = 0
        self.valid: Optional[str] = None
        self.takes = 0.0
        self.refused: Callable[[], object] = lambda: None
        self.lock = threading.Lock()
        server.answer(self.answer)

    def answer(self, asked: Asked) -> Answer:
        if asked.path == TOKENS:
            time.sleep(self.takes)
            headers = {name.lower(): value for name, value in asked.headers.items()}
            if asked.method != "POST" or headers.get("x-api-key") != KEY:
                return Answer(401, {"code": "NO_KEY", "message": "this is no key"})
            with self.lock:
                self.given += 1
                self.valid = f"token-{self.given}"
                return Answer(201, {"access_token": self.valid, "token_type": "Bearer"})
        if asked.headers.get("Authorization") != f"Bearer {self.valid}":
            self.refused()
            return Answer(401, {"code": "EXPIRED", "message": "this token has expired"})
        return Answer(201 if asked.method == "POST" else 200, {"id": "x"})

    def asked_for(self, path: str) -> list[Asked]:
        return [each for each in self.server.asked if each.path == path]

    def asked_otherwise(self) -> list[Asked]:
        return [each for each in self.server.asked if each.path != TOKENS]


@pytest.fixture
def service(server: Server) -> Service:
    return Service(server)


@pytest.fixture
def configuration(server: Server) -> libtes.Configuration:
    configuration = libtes.Configuration(host=server.url)
    configuration.retries = 0
    configuration.refresh_api_key_hook = libtes.ApiKeyExchange(KEY)
    return configuration


@pytest.fixture
def client(configuration: libtes.Configuration) -> Iterator[libtes.ApiClient]:
    with libtes.ApiClient(configuration) as client:
        yield client


@pytest.fixture
def runs(client: libtes.ApiClient) -> libtes.TaskRunsApi:
    return libtes.TaskRunsApi(client)


# -- The exchange ----------------------------------------------------------------------------------


def test_a_key_is_exchanged_for_a_token(
    service: Service, configuration: libtes.Configuration
) -> None:
    exchange = libtes.ApiKeyExchange(KEY)
    exchange(configuration)
    [asked] = service.server.asked
    headers = {name.lower(): value for name, value in asked.headers.items()}
    assert (asked.method, asked.target, asked.body) == ("POST", TOKENS, b"")
    assert headers["x-api-key"] == KEY
    assert headers.get("content-length", "0") == "0"
    assert "authorization" not in headers
    assert configuration.api_key == {"Authorization": "token-1"}
    assert configuration.api_key_prefix == {"Authorization": "Bearer"}
    assert configuration.get_api_key_with_prefix("Authorization") == "Bearer token-1"


@pytest.mark.parametrize("status", [200, 201])
@pytest.mark.parametrize(
    ("more", "prefix"),
    [
        ({"token_type": "Bearer"}, "Bearer"),
        ({"token_type": "Other"}, "Other"),
        ({}, "Bearer"),
        ({"token_type": None}, "Bearer"),
        ({"token_type": "Bearer", "expires_in": 3600, "new": [None]}, "Bearer"),
    ],
    ids=repr,
)
def test_the_type_of_a_token_is_its_prefix(
    server: Server, configuration: libtes.Configuration, more: Any, prefix: str, status: int
) -> None:
    server.answer(Answer(status, {"access_token": "a", **more}))
    configuration.api_key_prefix = {"Authorization": "Old"}
    libtes.ApiKeyExchange(KEY)(configuration)
    assert configuration.get_api_key_with_prefix("Authorization") == f"{prefix} a"


@pytest.mark.parametrize("base", ["", "/", "/base", "/base/path/"])
def test_the_service_is_asked_at_its_host(
    server: Server, configuration: libtes.Configuration, base: str
) -> None:
    server.answer(Answer(201, {"access_token": "a"}))
    configuration.host = server.url + base
    libtes.ApiKeyExchange(KEY)(configuration)
    assert server.last.target == base.rstrip("/") + TOKENS


def test_the_exchange_goes_by_the_configuration(configuration: libtes.Configuration) -> None:
    with Server() as proxy:
        proxy.answer(Answer(201, {"access_token": "a"}))
        configuration.host = "http://tes.example"
        configuration.proxy = proxy.url
        libtes.ApiKeyExchange(KEY)(configuration)
        assert proxy.last.target == f"http://tes.example{TOKENS}"
    with RawServer(lambda connection: connection.recv(1)) as silent:
        configuration.host, configuration.proxy = silent.url, None
        configuration.timeout = (5, 0.05)
        configuration.retries = 3
        with pytest.raises(libtes.ReadTimeoutException):
            libtes.ApiKeyExchange(KEY)(configuration)
    assert len(silent.received) == 1


def test_the_exchange_is_repeated_where_the_service_is_busy(
    server: Server, configuration: libtes.Configuration
) -> None:
    configuration.retries = 1
    server.answer(Answer(429, headers={"Retry-After": "0"}), Answer(201, {"access_token": "a"}))
    libtes.ApiKeyExchange(KEY)(configuration)
    assert configuration.api_key == {"Authorization": "a"}
    assert len(server.asked) == 2


def test_a_redirect_gets_no_key(server: Server, configuration: libtes.Configuration) -> None:
    with Server() as other:
        server.answer(Answer(307, b"", {"Location": f"{other.url}{TOKENS}"}))
        with pytest.raises(libtes.ApiException) as caught:
            libtes.ApiKeyExchange(KEY)(configuration)
        assert caught.value.status == 307
        assert other.asked == []


# -- Where the key comes from ----------------------------------------------------------------------


def test_without_a_key_that_of_the_environment_is_taken_when_it_is_needed(
    service: Service, configuration: libtes.Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange = libtes.ApiKeyExchange()
    monkeypatch.setenv("ICA_API_KEY", KEY)
    exchange(configuration)
    assert service.given == 1


def test_a_key_that_is_given_comes_before_that_of_the_environment(
    service: Service, configuration: libtes.Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ICA_API_KEY", "another")
    libtes.ApiKeyExchange(KEY)(configuration)
    assert service.given == 1


@pytest.mark.parametrize("value", [None, ""])
def test_without_any_key_the_variable_is_named_and_nothing_sent(
    server: Server,
    configuration: libtes.Configuration,
    monkeypatch: pytest.MonkeyPatch,
    value: Optional[str],
) -> None:
    if value is not None:
        monkeypatch.setenv("ICA_API_KEY", value)
    exchange = libtes.ApiKeyExchange()
    with pytest.raises(libtes.ApiValueError, match="ICA_API_KEY"):
        exchange(configuration)
    assert server.asked == []


@pytest.mark.parametrize("key", [5, b"key", ["key"]], ids=repr)
def test_a_key_of_another_type_is_refused(key: Any) -> None:
    with pytest.raises(libtes.ApiTypeError, match="api_key"):
        libtes.ApiKeyExchange(key)


UNSENDABLE = [f"{KEY}\n", f"{KEY}\r\nX: y", f"{KEY}\0", f"{KEY}中"]


@pytest.mark.parametrize("key", UNSENDABLE, ids=ascii)
@pytest.mark.parametrize("where", ["argument", "environment"])
def test_a_key_that_is_no_header_is_refused_and_not_shown(
    server: Server,
    configuration: libtes.Configuration,
    monkeypatch: pytest.MonkeyPatch,
    key: str,
    where: str,
) -> None:
    if where == "environment" and "\0" not in key:
        monkeypatch.setenv("ICA_API_KEY", key)
    with pytest.raises(libtes.ApiValueError) as caught:
        libtes.ApiKeyExchange(key if where == "argument" else None)(configuration)
    assert KEY not in str(caught.value) + repr(caught.value) + repr(caught.value.__cause__)
    assert server.asked == []


# -- In calls --------------------------------------------------------------------------------------


def test_a_call_without_a_token_gets_one_and_keeps_it(
    service: Service, runs: libtes.TaskRunsApi
) -> None:
    for _ in range(3):
        assert runs.get_task_run(RUN).id == "x"
    assert service.given == 1
    assert service.server.asked[0].path == TOKENS
    assert len(service.server.asked) == 4


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_a_token_that_expires_in_the_middle_is_replaced_once(
    service: Service, client: libtes.ApiClient, operation: Operation
) -> None:
    assert operation.call(client) is not None
    service.valid = "another"
    assert operation.call(client) is not None
    assert operation.call(client) is not None
    assert service.given == 2
    sent = [each.headers["Authorization"] for each in service.asked_otherwise()]
    assert sent == ["Bearer token-1", "Bearer token-1", "Bearer token-2", "Bearer token-2"]
    first, refused, again, _ = service.asked_otherwise()
    assert refused.body == again.body == first.body


@pytest.mark.parametrize("preload", [True, False], ids=["read", "raw"])
@pytest.mark.parametrize("background", [True, False], ids=["background", "at once"])
def test_a_token_is_replaced_for_every_way_to_call(
    service: Service, runs: libtes.TaskRunsApi, preload: bool, background: bool
) -> None:
    for _ in range(2):
        result = runs.get_task_run(RUN, _preload_content=preload, async_req=background)
        answer = result.get(10) if background else result
        assert (answer.id if preload else json.loads(answer.data)["id"]) == "x"
        service.valid = "another"
    assert service.given == 2


def test_a_token_that_was_set_by_hand_is_used_until_it_is_refused(
    service: Service, runs: libtes.TaskRunsApi
) -> None:
    configuration = runs.api_client.configuration
    configuration.api_key["Authorization"] = TOKEN
    configuration.api_key_prefix["Authorization"] = "Bearer"
    service.valid = TOKEN
    assert runs.get_task_run(RUN).id == "x"
    assert service.given == 0
    service.valid = "another"
    assert runs.get_task_run(RUN).id == "x"
    assert service.given == 1


def test_a_token_of_its_own_that_is_refused_too_ends_it(
    server: Server, runs: libtes.TaskRunsApi
) -> None:
    def answer(asked: Asked) -> Answer:
        if asked.path == TOKENS:
            return Answer(201, {"access_token": "a"})
        return Answer(401, {"message": "still not"})

    server.answer(answer)
    with pytest.raises(libtes.UnauthorizedException, match="still not"):
        runs.get_task_run(RUN)
    assert len(server.asked) <= 4


@pytest.mark.parametrize("at_first", ["missing", "expired"])
@pytest.mark.parametrize("launch", [True, False], ids=["launch", "get"])
def test_sixteen_threads_share_one_exchange(
    service: Service, client: libtes.ApiClient, at_first: str, launch: bool
) -> None:
    count = 16
    service.takes = 0.05
    if at_first == "expired":
        client.configuration.api_key["Authorization"] = TOKEN
        client.configuration.api_key_prefix["Authorization"] = "Bearer"
    all_there = threading.Barrier(count)
    service.refused = lambda: all_there.wait(10)  # each has been refused before any asks

    def call(_: int) -> Any:
        return LAUNCH.call(client) if launch else libtes.TaskRunsApi(client).get_task_run(RUN)

    with ThreadPoolExecutor(count) as threads:
        answers = list(threads.map(call, range(count)))
    assert [each.id for each in answers] == ["x"] * count
    assert service.given == 1
    assert len(service.asked_otherwise()) == (2 * count if at_first == "expired" else count)


def test_sixteen_threads_go_on_through_tokens_that_expire(
    service: Service, client: libtes.ApiClient
) -> None:
    count, calls, last = 16, 12, 4
    start = threading.Barrier(count)

    def answer(asked: Asked) -> Answer:
        # Each token expires a while after it was given, until the last, which lasts.
        said = service.answer(asked)
        if asked.path != TOKENS and said.status == 200 and service.given < last:
            with service.lock:
                uses[0] += 1
                if uses[0] % 20 == 0:
                    service.valid = "expired"
        return said

    uses = [0]
    service.server.answer(answer)
    done, refused = [], []

    def call(_: int) -> None:
        runs = libtes.TaskRunsApi(client)
        start.wait(10)
        for _ in range(calls):
            try:
                done.append(runs.get_task_run(RUN).id)
            except libtes.UnauthorizedException as exception:  # expired between the two
                refused.append(exception)

    with ThreadPoolExecutor(count) as threads:
        list(threads.map(call, range(count)))
    assert len(done) + len(refused) == count * calls
    assert len(done) > count * calls // 2
    assert service.given == last


def test_clients_of_one_configuration_may_share_the_hook(
    service: Service, configuration: libtes.Configuration
) -> None:
    for _ in range(2):
        with libtes.ApiClient(configuration) as client:
            assert libtes.TaskRunsApi(client).get_task_run(RUN).id == "x"
    assert service.given == 1


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy], ids=["copy", "deepcopy"])
def test_a_copy_of_the_configuration_has_the_hook_with_its_key(
    service: Service, configuration: libtes.Configuration, copied: Any
) -> None:
    with libtes.ApiClient(copied(configuration)) as client:
        assert libtes.TaskRunsApi(client).get_task_run(RUN).id == "x"
    assert service.given == 1
    assert configuration.api_key == {}


# -- Exchanges that fail ---------------------------------------------------------------------------

FAILURES: dict[str, tuple[Answer, type[libtes.ApiException]]] = {
    "a wrong key": (Answer(401, {"code": "C", "message": KEY}), libtes.UnauthorizedException),
    "a key without rights": (Answer(403, {"message": KEY}), libtes.ForbiddenException),
    "a bad request": (Answer(400, [KEY]), libtes.BadRequestException),
    "no such place": (Answer(404, f"<html>{KEY}</html>"), libtes.NotFoundException),
    "a failure": (Answer(500, {"details": [KEY]}), libtes.ServiceException),
    "html": (Answer(body=f"<html>{KEY}</html>"), libtes.InvalidResponseException),
    "nothing": (Answer(201, b""), libtes.InvalidResponseException),
    "204": (Answer(204, b""), libtes.InvalidResponseException),
    "an array": (Answer(201, [{"access_token": "a"}]), libtes.InvalidResponseException),
    "a string": (Answer(201, '"a"'), libtes.InvalidResponseException),
    "no token": (Answer(201, {"token_type": "Bearer"}), libtes.InvalidResponseException),
    "null": (Answer(201, {"access_token": None}), libtes.InvalidResponseException),
    "an empty token": (Answer(201, {"access_token": ""}), libtes.InvalidResponseException),
    "a number": (Answer(201, {"access_token": 5}), libtes.InvalidResponseException),
    "a token in an array": (Answer(201, {"access_token": ["a"]}), libtes.InvalidResponseException),
    "a token that is no header": (
        Answer(201, {"access_token": "a\r\nX: y"}),
        libtes.InvalidResponseException,
    ),
    "a token of other letters": (
        Answer(201, {"access_token": "中"}),
        libtes.InvalidResponseException,
    ),
    "a type that is no header": (
        Answer(201, {"access_token": "a", "token_type": "B\r\nX: y"}),
        libtes.InvalidResponseException,
    ),
    "a type that is a number": (
        Answer(201, {"access_token": "a", "token_type": 5}),
        libtes.InvalidResponseException,
    ),
    "a type that is an object": (
        Answer(201, {"access_token": "a", "token_type": {"x": 1}}),
        libtes.InvalidResponseException,
    ),
}


@pytest.mark.parametrize("key", FAILURES)
def test_an_exchange_that_fails_is_one_exception_that_says_so(
    server: Server, client: libtes.ApiClient, key: str
) -> None:
    answer, cls = FAILURES[key]
    server.answer(answer)
    with pytest.raises(libtes.ApiException) as caught:
        LAUNCH.call(client)
    exception = caught.value
    assert type(exception) is cls
    assert exception.status == answer.status
    assert (exception.method, exception.path) == ("POST", TOKENS)
    if cls is libtes.InvalidResponseException:
        assert "token" in str(exception)
    assert str(exception).isprintable()
    hidden(exception)
    assert [each.path for each in server.asked] == [TOKENS]
    assert client.configuration.api_key == {}
    Service(server)
    assert LAUNCH.call(client).id == "x"


def test_an_exchange_that_fails_leaves_the_token_as_it_was(
    server: Server, configuration: libtes.Configuration
) -> None:
    configuration.api_key = {"Authorization": TOKEN}
    configuration.api_key_prefix = {"Authorization": "Old"}
    for answer, _ in FAILURES.values():
        server.answer(answer)
        with pytest.raises(libtes.ApiException):
            libtes.ApiKeyExchange(KEY)(configuration)
        assert configuration.api_key == {"Authorization": TOKEN}
        assert configuration.api_key_prefix == {"Authorization": "Old"}


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 201 Created\r\nContent-Length: 9\r\n\r\n{"])
def test_an_exchange_whose_connection_is_lost_is_an_exception(
    configuration: libtes.Configuration, data: bytes
) -> None:
    configuration.retries = 3
    with RawServer(say(data)) as raw:
        configuration.host = raw.url
        client = libtes.ApiClient(configuration)
        with client, pytest.raises(libtes.ConnectionLostException) as caught:
            LAUNCH.call(client)
        hidden(caught.value)
    assert len(raw.received) == 1
    assert raw.received[0].startswith(b"POST /v1/tokens ")


def test_an_exchange_that_fails_fails_each_of_the_threads_and_blocks_none(
    server: Server, client: libtes.ApiClient
) -> None:
    server.answer(Answer(403))
    count = 16

    def call(_: int) -> object:
        try:
            return LAUNCH.call(client)
        except libtes.ForbiddenException as exception:
            return exception.path

    with ThreadPoolExecutor(count) as threads:
        assert list(threads.map(call, range(count))) == [TOKENS] * count
    Service(server)
    assert LAUNCH.call(client).id == "x"


# -- The key is not shown --------------------------------------------------------------------------


def hidden(exception: BaseException) -> None:
    """Check that no form of an exception, or of those that caused it, shows the key or a token."""
    link: Optional[BaseException] = exception
    while link is not None:
        seen = [str(link), repr(link), repr(vars(link)), repr(link.args)]
        seen += traceback.TracebackException.from_exception(link).format()
        seen.append(pickle.dumps(vars(link)).decode("latin-1"))
        for text in seen:
            assert KEY not in text
            assert "token-1" not in text
        link = link.__cause__ or link.__context__


def test_no_text_of_the_hook_shows_the_key() -> None:
    exchange = libtes.ApiKeyExchange(KEY)
    out = io.StringIO()
    print(exchange, [exchange], {"hook": exchange}, file=out)
    for text in (repr(exchange), str(exchange), f"{exchange}", ascii(exchange), out.getvalue()):
        assert KEY not in text
        assert "ApiKeyExchange" in text
    for name in dir(exchange):
        if name.startswith(("_repr_", "_ipython")):
            assert KEY not in str(getattr(exchange, name)())


def test_no_text_of_a_configuration_shows_the_key(
    service: Service, configuration: libtes.Configuration
) -> None:
    configuration.refresh_api_key_hook(configuration)  # type: ignore[misc]
    for text in (repr(configuration), str(configuration), configuration.to_debug_report()):
        assert KEY not in text
        assert "token-1" not in text


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("whole", [True, False], ids=["configuration", "hook"])
def test_no_pickle_has_the_key_which_then_comes_from_the_environment(
    service: Service,
    configuration: libtes.Configuration,
    monkeypatch: pytest.MonkeyPatch,
    protocol: int,
    whole: bool,
) -> None:
    configuration.refresh_api_key_hook(configuration)  # type: ignore[misc]
    pickled = pickle.dumps(configuration if whole else configuration.refresh_api_key_hook, protocol)
    assert KEY.encode() not in pickled
    assert b"token-1" not in pickled
    twin = pickle.loads(pickled)
    if not whole:
        configuration.refresh_api_key_hook = twin
        configuration.api_key.clear()
        twin = configuration
    with libtes.ApiClient(twin) as client:
        runs = libtes.TaskRunsApi(client)
        with pytest.raises(libtes.ApiValueError, match="ICA_API_KEY"):
            runs.get_task_run(RUN)
        monkeypatch.setenv("ICA_API_KEY", KEY)
        assert runs.get_task_run(RUN).id == "x"


@pytest.mark.parametrize("where", ["argument", "environment"])
def test_no_log_has_the_key_or_a_token(
    service: Service,
    client: libtes.ApiClient,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    client.configuration.debug = True
    if where == "environment":
        monkeypatch.setenv("ICA_API_KEY", KEY)
        client.configuration.refresh_api_key_hook = libtes.ApiKeyExchange()
    LAUNCH.call(client)
    service.valid = "another"
    LAUNCH.call(client)
    service.server.answer(Answer(403, {"message": KEY}))
    client.configuration.api_key.clear()
    with pytest.raises(libtes.ForbiddenException):
        LAUNCH.call(client)
    messages = [each.getMessage() for each in caplog.records if each.name.startswith("libica")]
    assert any(f"POST {TOKENS}: 201" in message for message in messages)
    for record in caplog.records:
        shown = record.getMessage() + repr(record.args) + repr(vars(record))
        for secret in (KEY, "token-1", "token-2"):
            assert secret not in shown


def test_an_exception_of_a_call_hides_the_token_that_was_exchanged(
    service: Service, client: libtes.ApiClient
) -> None:
    def echo(asked: Asked) -> Answer:
        if asked.path == TOKENS:
            return service.answer(asked)
        said = {"code": "C", "message": f"not with {asked.headers['Authorization']}"}
        return Answer(409, {**said, "details": [KEY, asked.headers]}, {"X-Echo": "token-1"})

    service.server.answer(echo)
    with pytest.raises(libtes.ConflictException) as caught:
        LAUNCH.call(client)
    link: Any = caught.value
    shown = str(link) + repr(link) + repr(vars(link)) + repr(dict(link.headers))
    assert "token-1" not in shown
