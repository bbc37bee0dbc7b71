"""Secrets: what is shown, logged, raised, warned of or pickled has none; the data and wire do."""

from __future__ import annotations

import base64
import contextlib
import copy
import gc
import hashlib
import importlib
import json
import logging
import os
import pickle
import pkgutil
import pprint
import reprlib
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn, Optional, get_args, get_origin
from urllib.parse import quote

import pytest
import urllib3

from libica.openapi import libtes
from libica.openapi.libtes import ApiClient, Configuration
from libica.openapi.libtes._proxies import proxy_for
from libica.openapi.libtes.models.base import Model

from .operations import OPERATIONS, RUN, TASK, VERSION, Operation, page
from .server import Answer, Asked, RawServer, Server, wait_until

ROOT = Path(__file__).parent.parent
encode = ApiClient(Configuration()).sanitize_for_serialization


# -- The secrets -----------------------------------------------------------------------------------


MARKS: dict[str, set[str]] = {}  # of each secret, what stands nowhere else: its two ends


def secret(name: str, inside: str = "") -> str:
    """Make a secret, with these characters in the middle."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    MARKS[name] = {digest[:12], digest[12:24]}
    return digest[:12] + inside + digest[12:24]


TOKEN = secret("TOKEN", "+/=")
FRESH = secret("FRESH", "-._~")
PREFIX = secret("PREFIX")
COOKIE = secret("COOKIE", "%3D")
HEADER = secret("HEADER", "/~ ")
PASSWORD = secret("PASSWORD")
PROXY_PASSWORD = secret("PROXY_PASSWORD", "@:/")
PROXY_HEADER = secret("PROXY_HEADER")
API_KEY = secret("API_KEY", "-_")
IMAGE_PASSWORD = secret("IMAGE_PASSWORD", 'ä"\\')
STORAGE_KEY = secret("STORAGE_KEY", "/+")
SECURE = secret("SECURE", "$")
SIGNATURE = secret("SIGNATURE", "%2B")
JWT = secret("JWT", ".")
NONCE = secret("NONCE")
RAW_JSON = secret("RAW_JSON")

SIGNED = f"https://bucket.example/reads.bam?X-Amz-Signature={SIGNATURE}"
LOGIN = f"someone:{quote(PROXY_PASSWORD, safe='')}"
BASIC = base64.b64encode(f"someone:{PROXY_PASSWORD}".encode()).decode()

MARKS["PROXY_PASSWORD"] |= {BASIC[12:24], BASIC[-12:]}
SENT = {"TOKEN", "PREFIX", "COOKIE", "HEADER"}  # with each call
OF_RUNS = {"IMAGE_PASSWORD", "STORAGE_KEY", "SECURE", "SIGNATURE"}


def leaks(*texts: Any) -> dict[str, str]:
    """Return the secrets of which either end stands in one of the texts, and what is around it."""
    text = "\n".join(each if isinstance(each, str) else repr(each) for each in texts)
    places = {name: max(map(text.find, marks)) for name, marks in MARKS.items()}
    return {name: text[max(at - 80, 0) : at + 40] for name, at in places.items() if at >= 0}


def found(*texts: Any) -> set[str]:
    """Return the names of the secrets in the texts."""
    return set(leaks(*texts))


def filled(cls: Any, raw: bool = False) -> Any:
    """Make a model whose fields hold the secrets that they may, with raw dicts within if told."""
    values = {name: _secretive(name, field.type, raw) for name, field in cls._fields.items()}
    return cls(**values)


def _secretive(name: str, declared: Any, raw: bool) -> Any:
    named = {"password": IMAGE_PASSWORD, "jwt": JWT, "nonce": NONCE, "execution_raw_json": RAW_JSON}
    if name in named:
        return named[name]
    if isinstance(declared, type) and issubclass(declared, Model):
        within = filled(declared, raw)
        return pascal_case(encode(within)) if raw else within
    if get_origin(declared) is list:
        return [_secretive("", get_args(declared)[0], raw)]
    if get_origin(declared) is dict:
        key = {"key": STORAGE_KEY} if name == "credentials" else {"SECURE_KEY": SECURE}
        return {**key, "READS": f"--in={SIGNED}"}
    plain = {int: 50, float: 50.5, bool: True, datetime: datetime(2021, 3, 8, tzinfo=timezone.utc)}
    stored = {"Password": IMAGE_PASSWORD, "url": SIGNED, "secure_key": SECURE}
    return {str: SIGNED, object: stored, Any: stored, **plain}[declared]


def pascal_case(data: Any) -> Any:
    """Return JSON with its keys as ``SomeName``, in which requests may arrive as well."""
    if isinstance(data, dict):
        return {key[:1].upper() + key[1:]: pascal_case(each) for key, each in data.items()}
    return [pascal_case(each) for each in data] if isinstance(data, list) else data


EXECUTION = filled(libtes.Execution)
RAW_BODY = pascal_case({"execution": encode(EXECUTION)})
STORED = encode(filled(libtes.TaskRun))


# -- Who looks -------------------------------------------------------------------------------------


def looks(thing: Any) -> Iterator[str]:
    """Tell what a person gets to see who shows an object or a copy of it in any way."""
    things = [thing]
    for duplicate in (copy.copy, copy.deepcopy):
        with contextlib.suppress(TypeError):  # it cannot be copied
            things.append(duplicate(thing))
    for each in things:
        yield from (repr(each), str(each), ascii(each), format(each), f"{each!r:>5}")
        yield from (pprint.pformat(each), pprint.pformat({"in": [each]}, width=1))
        yield from (reprlib.repr(each), "%s %r" % (each, each))  # noqa: UP031
        for name in dir(type(each)):
            if name.startswith(("_repr_", "_ipython_", "__rich_")) and name != "_repr_pretty_":
                yield repr(getattr(each, name)())


def pickles(thing: Any) -> Iterator[str]:
    """Return the pickles of what can be pickled, the text of the error where it cannot."""
    for protocol in (0, pickle.HIGHEST_PROTOCOL):
        try:
            yield repr(pickle.dumps(thing, protocol))
        except Exception as error:
            yield from told(error)


def chain(error: BaseException) -> list[BaseException]:
    """Return an exception and all that are behind it, those that are not shown included."""
    seen: list[BaseException] = []
    waiting: list[Optional[BaseException]] = [error]
    while waiting:
        each = waiting.pop()
        if each is not None and not any(each is known for known in seen):
            seen.append(each)
            waiting += [each.__cause__, each.__context__]
    return seen


def below(error: BaseException) -> Any:
    """Return the traceback without the frames of this file, whose locals are their own affair."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    return trace


def told(error: BaseException) -> Iterator[str]:
    """Tell all that can be seen of an exception: its text, attributes, frames, and its causes'."""
    for each in chain(error):
        yield from looks(each)
        yield repr(each.args)
        for value in vars(each).values():
            yield repr(dict(value)) if isinstance(value, Mapping) else repr(value)
        trace = traceback.TracebackException(type(each), each, below(each), capture_locals=True)
        yield from trace.format(chain=False)
        if isinstance(each, libtes.OpenApiException):
            yield from pickles(each)


def caught(call: Callable[[], Any], expected: Any = libtes.OpenApiException) -> BaseException:
    """Return the exception that a call raises."""
    with pytest.raises(expected) as info:
        call()
    return info.value


@pytest.fixture
def watched(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Iterator[Callable[[], list[str]]]:
    """Return a function that tells what was logged, warned of and printed meanwhile."""
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign]
    names = ["", "libica", "urllib3", "urllib3.connectionpool"]
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.DEBUG)
    logging.getLogger().addHandler(handler)

    def seen() -> list[str]:
        texts = [repr(vars(each)) for each in warned]
        for each in records:
            texts += [each.getMessage(), repr(each.args), pprint.pformat(vars(each))]
            texts.append(logging.Formatter("%(asctime)s %(message)s").format(each))
            if each.exc_info and each.exc_info[1]:
                texts += told(each.exc_info[1])
        return [*texts, *capfd.readouterr(), *(file.read_text() for file in tmp_path.glob("*.log"))]

    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        yield seen
    logging.getLogger().removeHandler(handler)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


# -- Who calls -------------------------------------------------------------------------------------


def settings(host: str, log: Optional[Path] = None) -> Configuration:
    """Return settings with all the secrets that they can have and need no proxy."""
    key, prefix = {"Authorization": TOKEN}, {"Authorization": PREFIX}
    configuration = Configuration(host, key, prefix, "someone", PASSWORD)
    configuration.proxy_headers = {"X-Proxy": PROXY_HEADER}
    configuration.timeout = 10, 10
    configuration.retries = 0
    configuration.debug = True
    configuration.logger_file = None if log is None else str(log / "calls.log")
    return configuration


def client_of(configuration: Configuration) -> ApiClient:
    """Return a client with all the secrets that it can have."""
    return ApiClient(configuration, "X-Api-Key", HEADER, f"theme=dark; session={COOKIE}")


ClientOf = Callable[..., ApiClient]


@pytest.fixture
def to(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ClientOf]:
    """Return a function that makes a client for a host, all secrets being set."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("ALL_PROXY", f"http://{LOGIN}@proxy.invalid:8080")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,nowhere.invalid")
    monkeypatch.setenv("ICA_API_KEY", API_KEY)
    with contextlib.ExitStack() as stack:
        yield lambda host: stack.enter_context(client_of(settings(host, tmp_path)))


# Their own locals show no secret: those of callers are not emptied.


def create(client: ApiClient, **options: Any) -> Any:
    """Make the call whose body has the most secrets."""
    body = libtes.CreateTaskRunRequest("once", execution=EXECUTION)
    return libtes.TaskRunsApi(client).create_task_run(body=body, **options)


def create_raw(client: ApiClient) -> Any:
    """Make it with a raw dict."""
    return libtes.TaskRunsApi(client).create_task_run_with_http_info(body=RAW_BODY)


def launch(client: ApiClient) -> Any:
    """Make the call whose arguments are secret, in the background."""
    body = filled(libtes.LaunchTaskRequest)
    versions = libtes.TaskVersionsApi(client)
    return versions.launch_task_run(TASK, VERSION, body=body, async_req=True).get(20)


def get(client: ApiClient) -> Any:
    """Make a call without a body."""
    return libtes.TaskRunsApi(client).get_task_run(RUN)


def read_later(client: ApiClient) -> Any:
    """Make it, and read its answer by hand."""
    response = libtes.TaskRunsApi(client).get_task_run(RUN, _preload_content=False)
    return client.deserialize(response, "TaskRun")


def walk(client: ApiClient) -> Any:
    """Walk over pages."""
    return list(libtes.TaskRunsApi(client).iter_task_runs())


def call_api(client: ApiClient) -> Any:
    """Make a call by the client's own method, with headers of its own."""
    return client.call_api(
        "/v1/x",
        "PATCH",
        header_params={"X-Signed": SIGNED},
        body=EXECUTION,
        response_type="Task",
        auth_settings=["Bearer"],
    )


def heartbeat(client: ApiClient) -> Any:
    """Make the call of an agent."""
    report = libtes.HeartbeatTaskRunRequest(nonce=NONCE, container_status=[])
    return libtes.TaskRunsApi(client).heartbeat_task_run(RUN, body=report)


def refreshed(client: ApiClient) -> Any:
    """Make a call whose token is refused at first."""
    client.configuration.refresh_api_key_hook = refresh
    return create(client)


def refresh(configuration: Configuration) -> None:
    """Set another token, as a hook."""
    configuration.api_key["Authorization"] = FRESH


WAYS: dict[str, tuple[Callable[[ApiClient], Any], set[str]]] = {
    "create": (create, {*SENT, *OF_RUNS}),
    "create with a raw body": (create_raw, {*SENT, *OF_RUNS}),
    "launch in the background": (launch, {*SENT, "SECURE", "SIGNATURE"}),
    "get": (get, SENT),
    "read later": (read_later, SENT),
    "walk": (walk, SENT),
    "call_api": (call_api, {*SENT, *OF_RUNS}),
    "heartbeat": (heartbeat, {*SENT, "NONCE"}),
    "refresh": (refreshed, {*SENT, *OF_RUNS}),
}
some_ways = pytest.mark.parametrize("way", ["create", "launch in the background", "walk"])


def each_answer(answers: Iterable[str], thorough: Iterable[str], *ways: str) -> Any:
    """Pair each answer with some ways to call, and some answers with all of them."""
    every = [way for way in WAYS if way != "refresh" or "401" in answers]
    pairs = [(each, way) for each in answers for way in ways]
    pairs += [(each, way) for each in thorough for way in every if way not in ways]
    return pytest.mark.parametrize(("answer", "way"), pairs)


def check(
    client: ApiClient, way: str, watched: Callable[[], list[str]], expected: Any
) -> BaseException:
    """Make a call that fails and look everywhere for secrets."""
    call = WAYS[way][0]
    error = caught(lambda: call(client), expected)
    assert leaks(*told(error)) == {}
    assert leaks(*watched()) == {}
    shown = traceback.format_exception(type(error), error, error.__traceback__)
    assert any("api_client.py" in line for line in shown)  # where it happened is still told
    return error


# -- Classes ---------------------------------------------------------------------------------------


def public_classes() -> Iterator[Any]:
    """Return each class of the package whose name has no underscore."""
    for module in pkgutil.walk_packages(libtes.__path__, f"{libtes.__name__}."):
        for name, value in vars(importlib.import_module(module.name)).items():
            if isinstance(value, type) and value.__module__ == module.name and name[0] != "_":
                yield value


CLASSES = list(public_classes())
each_class = pytest.mark.parametrize("cls", CLASSES, ids=[each.__name__ for each in CLASSES])
MODELS = [each for each in CLASSES if issubclass(each, Model) and each.__name__ in libtes.__all__]
each_model = pytest.mark.parametrize("cls", MODELS, ids=[each.__name__ for each in MODELS])


def results(client: ApiClient) -> list[Any]:
    """Return a result that is there, one that failed and one that is not there yet."""
    there, failed, pending = (libtes.AsyncResult() for _ in range(3))
    there.set_result(filled(libtes.TaskRun))
    failed.set_exception(libtes.BadRequestException(400, "Bad Request"))
    return [there, failed, pending]


def with_proxy(configuration: Configuration) -> Configuration:
    """Return settings with a proxy and an API key too."""
    configuration.proxy = f"http://{LOGIN}@proxy.invalid:8080"
    configuration.refresh_api_key_hook = libtes.ApiKeyExchange(API_KEY)
    return configuration


def wire(client: ApiClient, name: str) -> list[Any]:
    """Return a request or an answer as the wire has it."""
    cls = getattr(importlib.import_module("libica.openapi.libtes.rest"), name)
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


# How to make those that are no models, exceptions and APIs; with `...` they hold nothing of a user.
MAKERS: dict[str, Any] = {
    "Configuration": lambda client: [client.configuration, with_proxy(settings("http://h"))],
    "ApiClient": lambda client: [client],
    "AsyncResult": results,
    "ApiKeyExchange": lambda client: [libtes.ApiKeyExchange(API_KEY), libtes.ApiKeyExchange()],
    "Proxy": lambda client: [proxy_for(with_proxy(settings("http://h")), "http://h")],
    "Rest": lambda client: [client._rest],
    "Response": lambda client: wire(client, "Response"),
    "Request": lambda client: wire(client, "Request"),
    "Boundary": ...,
    "Endpoint": ...,
    "Field": ...,
    "Mismatch": lambda client: [mismatch(TOKEN), mismatch({TOKEN: [TOKEN]})],
    "Model": ...,
    "ModelType": ...,
    "Page": ...,
    "RetryPolicy": ...,
    "Unset": ...,
    "Workers": ...,
}


def mismatch(value: Any) -> Any:
    """Return the error that tells of a wrong type in an answer."""
    return importlib.import_module("libica.openapi.libtes.models.decoding").Mismatch("text", value)


def made(cls: Any, client: ApiClient) -> list[Any]:
    """Return objects of a class with all the secrets that they can have."""
    if cls in MODELS:
        unchecked = filled(cls)
        unchecked.local_vars_configuration = client.configuration
        return [filled(cls), filled(cls, raw=True), unchecked]
    if issubclass(cls, libtes.ApiException):
        return [cls(404, "Not Found")]  # more is told of those that calls raise, below
    if issubclass(cls, libtes.OpenApiException):
        return [cls("text")]
    if cls.__module__.startswith("libica.openapi.libtes.api."):
        return [] if cls.__name__ in MAKERS else [cls(client)]
    if cls.__name__ not in MAKERS:
        pytest.fail(f"say in MAKERS how to make {cls} with secrets in it")
    maker = MAKERS[cls.__name__]
    return [] if maker is ... else maker(client)  # type: ignore[no-any-return]


def test_the_public_names_are_among_the_classes() -> None:
    public = {getattr(libtes, name) for name in libtes.__all__}
    assert {each for each in public if isinstance(each, type)} <= set(CLASSES)


LOOKED_AT = """
    ApiConnectionException ApiException ApiKeyError ApiTypeError ApiValueError BadRequestException
    ConflictException ConnectException ConnectTimeoutException ConnectionLostException
    DeadlineException ForbiddenException InvalidResponseException Mismatch NotFoundException
    OpenApiException ProxyException ReadTimeoutException ServiceException TlsException
    TooManyRequestsException UnauthorizedException UnknownHostException
"""


def test_each_exception_is_raised_by_a_test_below() -> None:
    exceptions = {each.__name__ for each in CLASSES if issubclass(each, BaseException)}
    assert exceptions == set(LOOKED_AT.split()), "add a call that raises it"


@each_class
def test_no_look_at_an_object_shows_a_secret(cls: Any, to: ClientOf) -> None:
    for thing in [cls, *made(cls, to("http://nowhere.invalid"))]:
        assert leaks(*looks(thing)) == {}


@each_class
def test_no_pickle_but_that_of_data_holds_a_secret(cls: Any, to: ClientOf) -> None:
    for thing in made(cls, to("http://nowhere.invalid")):
        if not isinstance(thing, (Model, tuple)):
            assert found(*pickles(thing)) <= {"PREFIX"}


@each_class
def test_no_attribute_of_an_exception_holds_a_secret(cls: Any, to: ClientOf) -> None:
    for thing in made(cls, to("http://nowhere.invalid")):
        if isinstance(thing, BaseException):
            assert leaks(*told(thing)) == {}


@each_model
def test_data_and_pickles_of_models_hold_all_that_was_put_in(cls: Any) -> None:
    for model in (filled(cls), filled(cls, raw=True)):
        held = found(json.dumps(encode(model)))
        assert found(pprint.pformat(model.to_dict())) == held
        assert found(repr(pickle.dumps(model))) == held
        assert pickle.loads(pickle.dumps(model)) == copy.deepcopy(model) == model
        assert found(model.to_dict()) == held


def test_the_models_hold_every_secret_of_data() -> None:
    data = [json.dumps(encode(filled(cls))) for cls in MODELS]
    assert found(*data) == {*OF_RUNS, "JWT", "NONCE", "RAW_JSON"}


def test_a_pickle_of_a_model_has_its_data_but_not_the_secrets_of_its_configuration() -> None:
    model = libtes.Image("nginx", local_vars_configuration=with_proxy(settings("http://h")))
    assert found(*pickles(model)) <= {"PREFIX"}


def test_the_debug_report_has_no_secret(to: ClientOf) -> None:
    assert leaks(with_proxy(settings("http://h")).to_debug_report()) == {}


def test_what_a_notebook_shows_has_no_secret(to: ClientOf) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        formatters = pytest.importorskip("IPython.core.formatters")
        from IPython.lib.pretty import pretty
    display = formatters.DisplayFormatter()
    client = to("http://nowhere.invalid")
    for cls in CLASSES:
        for thing in made(cls, client):
            assert leaks(pretty(thing), pretty({"in": [thing]}), display.format(thing)) == {}


# -- Calls that succeed ----------------------------------------------------------------------------


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_a_call_that_succeeds_shows_no_secret_and_sends_all(
    operation: Operation, to: ClientOf, watched: Callable[[], list[str]]
) -> None:
    answer = encode(filled(operation.model))
    answer.pop("nextPageToken", None)
    body = {"body": filled(getattr(libtes, operation.body))} if operation.body else {}
    with Server() as server:
        server.answer(Answer(operation.status, answer))
        client = to(server.url)
        data = operation.call(client, **body)
        whole = operation.call(client, "_with_http_info", **body)
        later = operation.call(client, async_req=True, **body)
        assert later.get(10) == data == whole[0]
        if operation.filters:
            walk = operation.bound(client).__name__.replace("list_", "iter_")
            list(getattr(getattr(libtes, operation.api)(client), walk)(**operation.ids))
        for asked in server.asked[:3]:
            assert found(asked.headers, asked.body) == SENT | found(json.dumps(encode(body)))
    assert leaks(*looks(data), *looks(whole), *looks(later), repr(vars(later))) == {}
    assert found(json.dumps(encode(data.to_dict()))) == found(json.dumps(answer))
    assert f"{operation.method} {operation.target}: {operation.status}" in "\n".join(
        texts := watched()
    )
    assert leaks(*texts) == {}


def test_a_warning_about_certificates_has_no_secret(
    to: ClientOf, watched: Callable[[], list[str]], authority: Any
) -> None:
    with Server(authority) as server:
        client = to(server.url)
        client.configuration.verify_ssl = False
        get(client)
        assert found(server.last.headers) == SENT
    texts = watched()
    assert "InsecureRequestWarning" in "\n".join(texts)
    assert leaks(*texts) == {}


@pytest.fixture(scope="module")
def authority() -> Any:
    trustme = pytest.importorskip("trustme")
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    return context


# -- Answers that say back what was sent -----------------------------------------------------------


def heard(asked: Asked) -> str:
    """Return all that a service was told, in words of its own."""
    cookie = asked.headers["Cookie"].rpartition("=")[2]
    token = asked.headers["Authorization"].rpartition(" ")[2]
    said = [*asked.headers.values(), asked.body.decode(), token, cookie]
    return "; ".join(said)


def echo(asked: Asked) -> dict[str, Any]:
    """Return the body of an error that says all of it, and what the service has in store."""
    sent = json.loads(asked.body) if asked.body else None
    message = f"cannot do this: {heard(asked)}"
    details = [asked.headers, sent, {"sent": sent, "text": heard(asked)}, *heard(asked).split()]
    return {"code": heard(asked), "message": message, "details": details, "stored": STORED}


def echo_headers(asked: Asked) -> dict[str, str]:
    """Return headers that say it too."""
    said = {f"X-Heard-{name}": value for name, value in asked.headers.items()}
    body = asked.body.decode()
    login = asked.headers["Authorization"]
    return {**said, "X-Heard": body, "Location": SIGNED, "WWW-Authenticate": f"error={login}"}


def refuse(status: int) -> Callable[[Asked], Answer]:
    """Return what answers with an error, which says it all."""
    return lambda asked: Answer(
        status, echo(asked), echo_headers(asked), reason=f"Not {asked.headers['Authorization']}"
    )


def say_in(content_type: str, text: str, status: int = 200) -> Callable[[Asked], Answer]:
    """Return what answers with a text around what was heard."""

    def answer(asked: Asked) -> Answer:
        body = text.replace("HEARD", heard(asked)).encode().replace(b"BROKEN", b"\xff\xfe")
        kind = content_type.replace("TOKEN", asked.headers["Authorization"].split()[-1])
        return Answer(status, body, {**echo_headers(asked), "Content-Type": kind})

    return answer


def wrong_types(asked: Asked) -> Answer:
    """Answer with a model whose fields are of wrong types, with what was heard in them."""
    wrong = {"timeCreated": heard(asked), "acl": {"x": heard(asked)}, "stored": STORED}
    wrong = {**wrong, "jwt": [heard(asked)], "taskVersions": heard(asked), "items": [wrong]}
    return Answer(200, wrong, echo_headers(asked))


def encoded(asked: Asked) -> Answer:
    """Answer in an encoding that is named like what was heard."""
    encoding = asked.headers["Authorization"]
    return Answer(200, heard(asked), {**echo_headers(asked), "Content-Encoding": encoding})


HTML = "<html><body>You sent HEARD</body></html>"
REFUSED: dict[str, Callable[[Asked], Answer]] = {
    **{str(status): refuse(status) for status in (400, 401, 403, 404, 409, 418, 429)},
    **{str(status): refuse(status) for status in (500, 503)},
    "400 in HTML": say_in("text/html", HTML, 400),
    "500 in text": say_in("text/plain; charset=TOKEN", "You sent HEARD", 500),
    "500 in broken text": say_in("application/json", '{"message": "HEARD BROKEN"}', 500),
    "500 in broken JSON": say_in("application/json", '{"message": "HEARD", "details": [', 500),
    "400 in an array": lambda asked: Answer(400, [echo(asked)], echo_headers(asked)),
    "400 in a string": lambda asked: Answer(400, json.dumps(heard(asked)), echo_headers(asked)),
    "400 with a nested error": lambda asked: Answer(400, {"error": echo(asked)}),
}
UNUSABLE: dict[str, Callable[[Asked], Answer]] = {
    "HTML": say_in("text/html", HTML),
    "broken JSON": say_in("application/json", '{"message": HEARD'),
    "cut JSON": say_in("application/json", '{"id": "HEARD'),
    "JSON and more": say_in("application/json", '{"id": "x"} HEARD'),
    "no UTF-8": say_in("application/json", '{"id": "HEARD BROKEN"}'),
    "other characters": say_in("application/json; charset=utf-16", '{"id": "HEARD"}'),
    "unknown characters": say_in("application/json; charset=TOKEN", '{"id": "HEARD"}'),
    "unknown type": say_in("text/TOKEN", "HEARD"),
    "a string": lambda asked: Answer(200, json.dumps(heard(asked)), echo_headers(asked)),
    "wrong types": wrong_types,
    "unknown encoding": encoded,
    "a Python exception": lambda asked: Answer(200, "[" * 100_000 + heard(asked)),
}


def run(
    way: str,
    answer: Callable[[Asked], Answer],
    to: ClientOf,
    watched: Callable[[], list[str]],
    expected: Any = libtes.ApiException,
) -> Any:
    """Let a server answer a call so, look everywhere, and return the exception."""
    with Server() as server:
        first = Answer(body=page([]))
        server.answer(*[first, answer] if way == "walk" else [answer])
        error = check(to(server.url), way, watched, expected)
        asked = server.asked[0]
        assert found(asked.headers, asked.body) == WAYS[way][1]
    return error


@each_answer(REFUSED, ["400", "401", "500 in broken JSON"], "create", "get")
def test_a_refusal_that_says_back_what_was_sent_reveals_nothing(
    answer: str, way: str, to: ClientOf, watched: Callable[[], list[str]]
) -> None:
    error = run(way, REFUSED[answer], to, watched)
    assert str(error.status) == answer.split()[0]
    assert "***" in error.body


@each_answer(UNUSABLE, ["broken JSON", "no UTF-8", "wrong types"], "create", "get")
def test_an_answer_that_cannot_be_used_reveals_nothing(
    answer: str, way: str, to: ClientOf, watched: Callable[[], list[str]]
) -> None:
    run(way, UNUSABLE[answer], to, watched, libtes.InvalidResponseException)


@pytest.mark.parametrize("ahead", range(0, 42, 6))
def test_a_message_that_is_cut_is_not_cut_within_a_secret_that_then_shows(
    ahead: int, to: ClientOf, watched: Callable[[], list[str]]
) -> None:
    def answer(asked: Asked) -> Answer:
        token = asked.headers["Authorization"].split()[-1]
        return Answer(400, {"message": "." * ahead + " ".join([token] * 200)})

    run("get", answer, to, watched)


def test_a_secret_that_was_sent_before_is_not_shown_after_it_was_replaced(
    to: ClientOf, watched: Callable[[], list[str]]
) -> None:
    said: list[str] = []

    def answer(asked: Asked) -> Answer:
        said.append(heard(asked))
        return Answer(401, {"message": " ".join(said)})

    error = run("refresh", answer, to, watched, libtes.UnauthorizedException)
    assert found(*said) == {*WAYS["refresh"][1], "FRESH"}
    assert "***" in error.message


def test_a_default_header_for_authorization_is_a_secret_too(
    to: ClientOf, watched: Callable[[], list[str]]
) -> None:
    with Server() as server:
        server.answer(refuse(400))
        client = to(server.url)
        client.configuration.api_key = {}
        client.set_default_header("Authorization", f"{PREFIX} {TOKEN}")
        check(client, "create", watched, libtes.BadRequestException)
        assert found(server.last.headers) == SENT


@pytest.mark.parametrize("way", ["create", "get"])
def test_a_call_that_is_tried_again_shows_no_secret(
    way: str, to: ClientOf, watched: Callable[[], list[str]]
) -> None:
    with Server() as server:
        server.answer(refuse(429))
        client = to(server.url)
        client.configuration.retries = urllib3.Retry(2, backoff_factor=0)
        check(client, way, watched, libtes.TooManyRequestsException)
        assert len(server.asked) == 3


def test_a_redirect_of_what_is_not_repeated_shows_no_secret(
    to: ClientOf, watched: Callable[[], list[str]]
) -> None:
    error = run("create", refuse(307), to, watched)
    assert error.status == 307


def test_a_redirect_to_a_signed_address_shows_no_signature(
    to: ClientOf, watched: Callable[[], list[str]]
) -> None:
    # At DEBUG this logger of urllib3 tells the address of each request.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)
    with Server() as server, Server() as other:
        target = SIGNED.replace("https://bucket.example", other.url)
        server.answer(Answer(302, headers={"Location": target}))
        other.answer(lambda asked: Answer(403, {"message": f"no {target}", "at": [target]}))
        check(to(server.url), "get", watched, libtes.ForbiddenException)
        assert found(other.last.target) == {"SIGNATURE"}


# -- Connections that fail -------------------------------------------------------------------------


def head(status: int, **headers: Any) -> str:
    """Return the head of an answer."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} Some Reason\r\nContent-Type: application/json\r\n{lines}\r\n"


# What is said, with HEARD for all that was sent and TOKEN for the token, and what then happens.
BROKEN: dict[str, tuple[str, str]] = {
    "nothing": ("", "close"),
    "reset": ("", "reset"),
    "reset in the head": ("HTTP/1.1 200 OK\r\nX-Heard: TOKEN", "reset"),
    "reset in the body": (head(200, Content_Length=99999) + '{"id": "HEARD', "reset"),
    "cut in the head": ("HTTP/1.1 200 OK\r\nX-Heard: TOKEN", "close"),
    "cut in the body": (head(200, Content_Length=99999) + '{"id": "HEARD', "close"),
    "cut in the body of an error": (head(500, Content_Length=99999) + "HEARD", "close"),
    "cut in a chunk": (head(200, Transfer_Encoding="chunked") + "ffff\r\nHEARD", "close"),
    "silent": ("", "wait"),
    "silent in the head": ("HTTP/1.1 200 OK\r\nX-Heard: TOKEN\r\n", "wait"),
    "silent in the body": (head(200, Content_Length=99999) + '{"id": "HEARD', "wait"),
    "silent in the body of an error": (head(400, Content_Length=99999) + "HEARD", "wait"),
    "no HTTP": ("SSH-2.0 HEARD\r\n\r\n", "close"),
    "odd protocol": ("TOKEN 200 OK\r\n\r\n", "close"),
    "odd version": ("HTTP/TOKEN 200 OK\r\n\r\n", "close"),
    "odd status": ("HTTP/1.1 TOKEN OK\r\n\r\n", "close"),
    "odd length": (head(400, Content_Length="TOKEN") + "HEARD", "close"),
    "odd lengths": (head(400, Content_Length="5, TOKEN") + "HEARD", "close"),
    "odd chunk": (head(200, Transfer_Encoding="chunked") + "HEARD\r\n\r\n", "close"),
    "odd chunk of an error": (head(400, Transfer_Encoding="chunked") + "TOKEN\r\n\r\n", "close"),
    "odd header": ("HTTP/1.1 400 Bad\r\nTOKEN HEARD\r\nContent-Length: 0\r\n\r\n", "close"),
    "odd headers": ("HTTP/1.1 400 Bad\r\nA: b\r\n TOKEN\r\nHEARD\r\n\r\n{}", "close"),
    "broken gzip": (head(200, Content_Encoding="gzip", Content_Length=5) + "HEARD", "close"),
    "broken gzip of an error": (head(400, Content_Encoding="gzip") + "HEARD", "close"),
}


def misbehave(received: list[bytes], what: str, then: str) -> Callable[[socket.socket], None]:
    """Return what says something broken and then ends the connection in some way."""

    def talk(connection: socket.socket) -> None:
        top, _, body = received[-1].partition(b"\r\n\r\n")
        lines = [line.partition(b": ") for line in top.split(b"\r\n")[1:]]
        token = next(value for name, _, value in lines if name == b"Authorization").split()[-1]
        said = b"; ".join([value for _, _, value in lines] + [body, token])
        connection.sendall(what.encode().replace(b"HEARD", said).replace(b"TOKEN", token))
        if then == "wait":
            connection.settimeout(10)
            with contextlib.suppress(OSError):
                connection.recv(1)
        elif then == "reset":
            time.sleep(0.02)  # else what was said is thrown away as well
            linger = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            connection.close()

    return talk


@pytest.mark.parametrize("way", ["create", "launch in the background"])
@pytest.mark.parametrize("answer", BROKEN)
def test_a_broken_answer_reveals_nothing(
    answer: str, way: str, to: ClientOf, watched: Callable[[], list[str]]
) -> None:
    what, then = BROKEN[answer]
    received: list[bytes] = []
    with RawServer(misbehave(received, what, then)) as server:
        server.received = received
        client = to(server.url)
        client.configuration.timeout = 10, 0.15 if then == "wait" else 10
        check(client, way, watched, libtes.ApiException)
        wait_until(lambda: found(received) == WAYS[way][1])


@pytest.fixture
def closed() -> Iterator[str]:
    """Return the address of a port that refuses."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


@some_ways
@pytest.mark.parametrize("timeout", [(10, 10), 10], ids=["pair", "number"])
def test_a_connection_that_is_refused_reveals_nothing(
    way: str, timeout: Any, closed: str, to: ClientOf, watched: Callable[[], list[str]]
) -> None:
    client = to(f"http://{closed}")
    client.configuration.timeout = timeout
    client.configuration.retries = urllib3.Retry(1, backoff_factor=0)
    check(client, way, watched, libtes.ConnectException)


@some_ways
def test_a_call_whose_time_is_up_reveals_nothing(
    way: str, to: ClientOf, watched: Callable[[], list[str]]
) -> None:
    received: list[bytes] = []
    with RawServer(
        misbehave(received, head(200, Content_Length=99999) + "HEARD", "wait")
    ) as server:
        server.received = received
        client = to(server.url)
        client.configuration.timeout = 0.2
        check(client, way, watched, libtes.DeadlineException)


@pytest.mark.skipif(not hasattr(socket, "TCP_INFO"), reason="needs the backlog of Linux")
@pytest.mark.parametrize("way", ["create", "get"])
def test_a_connection_that_is_not_taken_reveals_nothing(
    way: str, to: ClientOf, watched: Callable[[], list[str]]
) -> None:
    with socket.socket() as full, contextlib.ExitStack() as waiting:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):
            each = waiting.enter_context(socket.socket())
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        client = to(f"http://127.0.0.1:{full.getsockname()[1]}")
        client.configuration.timeout = 0.1, 10
        check(client, way, watched, libtes.ConnectTimeoutException)


@some_ways
def test_an_unknown_host_reveals_nothing(
    way: str, to: ClientOf, watched: Callable[[], list[str]]
) -> None:
    check(to("http://nowhere.invalid"), way, watched, libtes.UnknownHostException)


@some_ways
def test_a_certificate_that_is_not_trusted_reveals_nothing(
    way: str, authority: Any, to: ClientOf, watched: Callable[[], list[str]]
) -> None:
    with Server(authority) as server:
        check(to(server.url), way, watched, libtes.TlsException)


def proxied(
    client: ApiClient, monkeypatch: pytest.MonkeyPatch, where: str, address: str, far: str
) -> None:
    """Send a client through a proxy, with a password."""
    client.configuration.host = far
    monkeypatch.setenv("NO_PROXY", "")
    if where == "environment":
        monkeypatch.setenv("ALL_PROXY", f"http://{LOGIN}@{address}")
    else:
        client.configuration.proxy = f"http://{LOGIN}@{address}"


each_proxy = pytest.mark.parametrize("where", ["configuration", "environment"])
each_far = pytest.mark.parametrize("far", ["http://tes.example", "https://tes.example"])


@some_ways
@each_far
@each_proxy
def test_a_proxy_that_is_down_reveals_nothing(
    where: str,
    far: str,
    way: str,
    closed: str,
    to: ClientOf,
    watched: Callable[[], list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = to(far)
    proxied(client, monkeypatch, where, closed, far)
    check(client, way, watched, libtes.ProxyException)


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # older http.client leaves a socket open
@pytest.mark.parametrize("way", ["create", "get"])
@pytest.mark.parametrize("status", [407, 502])
@each_far
@each_proxy
def test_a_proxy_that_says_back_what_was_sent_reveals_nothing(
    where: str,
    far: str,
    status: int,
    way: str,
    to: ClientOf,
    watched: Callable[[], list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def answer(asked: Asked) -> Answer:
        said = {f"X-Heard-{name}": value for name, value in asked.headers.items()}
        text = "; ".join(asked.headers.values())
        return Answer(status, {"message": text, "details": [text]}, said, reason=f"Not {text}")

    with Server() as proxy:
        proxy.answer(answer)
        client = to(far)
        proxied(client, monkeypatch, where, f"127.0.0.1:{proxy.port}", far)
        check(client, way, watched, libtes.ApiException)
        sent = {"PROXY_PASSWORD", "PROXY_HEADER"}
        assert found(proxy.last.headers) == (sent if far.startswith("https") else sent | SENT)
    if far.startswith("https"):
        gc.collect()  # the warning of that socket must not come in another test


# -- What a caller did wrong -----------------------------------------------------------------------


def set_on(client: ApiClient, **changed: Any) -> ApiClient:
    """Change the settings of a client."""
    for name, value in changed.items():
        setattr(client.configuration, name, value)
    return client


def set_cookie(client: ApiClient, value: Any) -> ApiClient:
    """Change the cookie of a client."""
    client.cookie = value
    return client


def loop() -> Any:
    """Return a body that has no end."""
    body: Any = {"password": IMAGE_PASSWORD}
    body["execution"] = body
    return body


TES = libtes.TaskRunsApi
LINES = "\r\nX-More: "
WRONG: dict[str, Callable[[ApiClient], Any]] = {
    "body of text": lambda c: TES(c).create_task_run(body=TOKEN),
    "body of a list": lambda c: TES(c).create_task_run(body=[STORED]),
    "body of another model": lambda c: TES(c).create_task_run(body=EXECUTION),
    "body with a set": lambda c: TES(c).create_task_run(body={"password": {IMAGE_PASSWORD}}),
    "body with NaN": lambda c: TES(c).create_task_run(
        body={"password": IMAGE_PASSWORD, "x": float("nan")}
    ),
    "body with a key of bytes": lambda c: TES(c).create_task_run(
        body={"password": {b"x": IMAGE_PASSWORD}}
    ),
    "body without end": lambda c: TES(c).create_task_run(body=loop()),
    "body of call_api": lambda c: c.call_api("/x", "POST", body=[STORED, {IMAGE_PASSWORD}]),
    "id of a list": lambda c: TES(c).get_task_run([TOKEN]),
    "more ids than there are": lambda c: TES(c).get_task_run(RUN, TOKEN),
    "unknown argument": lambda c: TES(c).get_task_run(RUN, token=TOKEN),
    "id of text that is none": lambda c: TES(c).get_task_run(SIGNED + "\ud800"),
    "filter of text that is none": lambda c: TES(c).list_task_runs(names=SIGNED + "\ud800"),
    "filter of numbers": lambda c: TES(c).list_task_runs(names=[SIGNED, 5]),
    "size of a page": lambda c: TES(c).list_task_runs(page_size=TOKEN),
    "size of the pages of a walk": lambda c: list(TES(c).iter_task_runs(page_size=TOKEN)),
    "time-out": lambda c: TES(c).get_task_run(RUN, _request_timeout=TOKEN),
    "time-outs": lambda c: TES(c).get_task_run(RUN, _request_timeout=(TOKEN, 5)),
    "in the background": lambda c: TES(c).get_task_run([TOKEN], async_req=True).get(10),
    "token with lines": lambda c: get(set_on(c, api_key={"Authorization": TOKEN + LINES})),
    "token in the background": lambda c: (
        TES(set_on(c, api_key={"Authorization": TOKEN + LINES}))
        .get_task_run(RUN, async_req=True)
        .get(10)
    ),
    "token of bytes": lambda c: get(set_on(c, api_key={"Authorization": TOKEN.encode()})),
    "token beyond Latin-1": lambda c: get(set_on(c, api_key={"Authorization": TOKEN + "\u20ac"})),
    "prefix with lines": lambda c: get(set_on(c, api_key_prefix={"Authorization": PREFIX + "\n"})),
    "prefix of bytes": lambda c: get(set_on(c, api_key_prefix={"Authorization": [PREFIX]})),
    "token looked at": lambda c: set_on(
        c, api_key={"Authorization": TOKEN + LINES}
    ).configuration.get_api_key_with_prefix("Authorization"),
    "cookie with lines": lambda c: get(set_cookie(c, COOKIE + LINES)),
    "cookie of bytes": lambda c: get(set_cookie(c, COOKIE.encode())),
    "default header with lines": lambda c: c.set_default_header("X-Key", HEADER + LINES),
    "default header of bytes": lambda c: c.set_default_header("X-Key", HEADER.encode()),
    "default header for its name": lambda c: c.set_default_header(HEADER, "X-Key"),
    "default header changed": lambda c: (c.default_headers.update(x=[HEADER]), get(c)),
    "default header of a client": lambda c: ApiClient(c.configuration, "X-Key", HEADER + LINES),
    "user agent": lambda c: setattr(c, "user_agent", HEADER + LINES),
    "header of a call": lambda c: c.call_api("/x", "GET", header_params={"X": HEADER + LINES}),
    "proxy of another kind": lambda c: get(set_on(c, proxy=f"ftp://{LOGIN}@proxy.invalid")),
    "proxy of socks": lambda c: get(set_on(c, proxy=f"socks5://{LOGIN}@proxy.invalid:1")),
    "proxy without a host": lambda c: get(set_on(c, proxy=f"http://{LOGIN}@")),
    "proxy with spaces": lambda c: get(set_on(c, proxy=f"http://{LOGIN}@proxy invalid")),
    "proxy with an odd port": lambda c: get(set_on(c, proxy=f"http://{LOGIN}@proxy:99999")),
    "proxy with a password as port": lambda c: get(set_on(c, proxy=f"http://u:{API_KEY}")),
    "proxy of a list": lambda c: get(set_on(c, proxy=[f"http://{LOGIN}@proxy.invalid"])),
    "proxy headers with lines": lambda c: get(
        set_on(c, proxy="http://127.0.0.1:1", proxy_headers={"X": PROXY_HEADER + LINES})
    ),
    "proxy headers of text": lambda c: get(
        set_on(c, proxy="http://127.0.0.1:1", proxy_headers=PROXY_HEADER)
    ),
    "host with a password": lambda c: set_on(c, host=f"https://user:{PASSWORD}@tes.example"),
    "host with a token": lambda c: set_on(c, host=f"https://tes.example?token={TOKEN}"),
    "host of a list": lambda c: set_on(c, host=[f"https://user:{PASSWORD}@tes.example"]),
    "host of a configuration": lambda c: Configuration(f"https://user:{PASSWORD}@tes.example"),
    "host of a call": lambda c: c.call_api("/x", "GET", _host=f"http://user:{PASSWORD}@h"),
    "retries": lambda c: get(set_on(c, retries=TOKEN)),
    "time-out of the configuration": lambda c: set_on(c, timeout=TOKEN),
    "keys that are one": lambda c: Configuration(api_key=TOKEN),
    "keys in a list": lambda c: get(set_on(c, api_key=[TOKEN])),
    "deserialize": lambda c: c.deserialize(
        SimpleNamespace(data=json.dumps(STORED).encode() + b"x", headers={}), "TaskRun"
    ),
    "deserialize what is no text": lambda c: c.deserialize(
        SimpleNamespace(data=TOKEN.encode() + b"\xff", headers={}), "TaskRun"
    ),
    "sanitize": lambda c: c.sanitize_for_serialization([STORED, {IMAGE_PASSWORD}]),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_a_caller_did_wrong_is_told_without_a_secret(
    what: str, to: ClientOf, watched: Callable[[], list[str]]
) -> None:
    client = to("http://127.0.0.1:1")
    error = caught(lambda: WRONG[what](client), Exception)
    assert leaks(*told(error)) == {}
    assert leaks(*watched()) == {}


MISFITS: list[Any] = [
    IMAGE_PASSWORD,
    IMAGE_PASSWORD * 200,
    IMAGE_PASSWORD.encode(),
    [STORAGE_KEY, 5],
    {"SECURE_KEY": SECURE, "x": 5},
    {"SECURE_KEY": SECURE, 5: STORAGE_KEY},
    [{"password": IMAGE_PASSWORD}, SIGNED],
    EXECUTION,
    5,
]


def refusal(act: Callable[[], Any]) -> list[str]:
    """Return all that is told of why this is refused; nothing if it is not."""
    try:
        act()
    except libtes.OpenApiException as error:
        return list(told(error))
    return []


@each_model
def test_a_model_that_is_built_or_changed_wrongly_is_told_without_a_secret(cls: Any) -> None:
    required = {name: "x" for name, field in cls._fields.items() if field.required}
    model = filled(cls)
    for name in cls._fields:
        failures = 0
        for value in MISFITS:
            for act in (
                lambda name=name, value=value: cls(**{**required, name: value}),
                lambda name=name, value=value: setattr(model, name, value),
            ):
                told_of = refusal(act)
                failures += bool(told_of)
                assert leaks(*told_of) == {}
        assert failures or cls.openapi_types[name] == "object"
    many = [IMAGE_PASSWORD] * 99
    for call in (lambda: cls(*many), lambda: cls(**required, secret=IMAGE_PASSWORD)):
        assert leaks(*told(caught(call, libtes.ApiTypeError))) == {}
    unknown = caught(lambda: setattr(model, "secret", IMAGE_PASSWORD), AttributeError)
    assert leaks(*told(unknown)) == {}


# -- Hooks -----------------------------------------------------------------------------------------


def test_a_hook_that_raises_reveals_nothing_but_its_own(
    to: ClientOf, watched: Callable[[], list[str]]
) -> None:
    def hook(configuration: Configuration) -> NoReturn:
        of_the_hook = "stays"  # noqa: F841
        raise LookupError("no key here")

    with Server() as server:
        server.answer(refuse(401))
        client = to(server.url)
        client.configuration.refresh_api_key_hook = hook
        error = check(client, "create", watched, LookupError)
    trace = traceback.TracebackException.from_exception(error, capture_locals=True)
    assert "of_the_hook" in "".join(trace.format())


@pytest.mark.parametrize("way", [each for each in WAYS if each != "refresh"])
def test_a_hook_that_raises_at_once_reveals_nothing(
    way: str, to: ClientOf, watched: Callable[[], list[str]]
) -> None:
    def hook(configuration: Configuration) -> NoReturn:
        raise LookupError("no key here")

    client = to("http://127.0.0.1:1")
    client.configuration.api_key = {}
    client.configuration.refresh_api_key_hook = hook
    client.configuration.refresh_api_key_hook = hook
    error = caught(lambda: WAYS[way][0](client), LookupError)
    assert leaks(*told(error), *watched()) == {}


EXCHANGES: dict[str, Callable[[Asked], Answer]] = {
    "refused": lambda asked: Answer(401, {"message": asked.headers["X-Api-Key"]}),
    "bad request": lambda asked: Answer(
        400,
        {"code": "C", "message": "; ".join(asked.headers.values()), "details": [asked.headers]},
        {f"X-Heard-{name}": value for name, value in asked.headers.items()},
        reason=f"Not {asked.headers['X-Api-Key']}",
    ),
    "failed": lambda asked: Answer(500, f"<html>{asked.headers['X-Api-Key']}</html>"),
    "no token": lambda asked: Answer(201, {"token": FRESH, "heard": asked.headers["X-Api-Key"]}),
    "token of a wrong type": lambda asked: Answer(201, {"access_token": [FRESH]}),
    "token with lines": lambda asked: Answer(201, {"access_token": FRESH + LINES}),
    "type of a wrong type": lambda asked: Answer(
        201, {"access_token": FRESH, "token_type": [asked.headers["X-Api-Key"]]}
    ),
    "broken": lambda asked: Answer(201, f'{{"access_token": "{FRESH}'),
    "no text": lambda asked: Answer(201, b'{"access_token": "' + FRESH.encode() + b'\xff"}'),
    "HTML": lambda asked: Answer(200, f"<html>{asked.headers['X-Api-Key']} {FRESH}"),
}


@pytest.mark.parametrize("key", [API_KEY, None], ids=["given", "of the environment"])
@pytest.mark.parametrize("answer", EXCHANGES)
def test_an_exchange_of_an_api_key_that_fails_reveals_nothing(
    answer: str, key: Optional[str], to: ClientOf, watched: Callable[[], list[str]]
) -> None:
    with Server() as server:
        server.answer(EXCHANGES[answer])
        client = to(server.url)
        client.configuration.api_key = {}
        client.configuration.refresh_api_key_hook = libtes.ApiKeyExchange(key)
        error = caught(lambda: get(client))
        assert found(server.asked[0].headers) == {"API_KEY"}
    assert leaks(*told(error), *watched()) == {}


def test_an_exchange_that_is_not_answered_reveals_nothing(
    closed: str, to: ClientOf, watched: Callable[[], list[str]]
) -> None:
    client = to(f"http://{closed}")
    client.configuration.api_key = {}
    client.configuration.refresh_api_key_hook = libtes.ApiKeyExchange(API_KEY)
    error = caught(lambda: get(client), libtes.ConnectException)
    assert leaks(*told(error), *watched()) == {}


@pytest.mark.parametrize("key", [API_KEY + LINES, API_KEY.encode(), [API_KEY], 5])
def test_an_api_key_that_cannot_be_one_is_told_without_it(
    key: Any, to: ClientOf, watched: Callable[[], list[str]]
) -> None:
    client = to("http://127.0.0.1:1")
    client.configuration.api_key = {}

    def call() -> None:
        client.configuration.refresh_api_key_hook = libtes.ApiKeyExchange(key)
        get(client)

    error = caught(call)
    assert leaks(*told(error), *watched()) == {}


def test_a_token_that_was_exchanged_is_a_secret_too(
    to: ClientOf, watched: Callable[[], list[str]]
) -> None:
    def answer(asked: Asked) -> Answer:
        if asked.path == "/v1/tokens":
            return Answer(201, {"access_token": FRESH, "token_type": PREFIX})
        return refuse(400)(asked)

    with Server() as server:
        server.answer(answer)
        client = to(server.url)
        client.configuration.api_key = {}
        client.configuration.refresh_api_key_hook = libtes.ApiKeyExchange(API_KEY)
        check(client, "create", watched, libtes.BadRequestException)
        assert found(server.asked[0].headers) == {"API_KEY"}
        assert found(server.last.headers) == {*SENT, "FRESH"} - {"TOKEN"}


# -- What shows the locals of frames ---------------------------------------------------------------


def test_a_caller_sees_the_locals_of_his_own_frames(to: ClientOf) -> None:
    def script() -> None:
        of_the_caller = "stays"  # noqa: F841
        get(client)

    client = to("http://127.0.0.1:1")
    error = caught(script, libtes.ConnectException)
    trace = traceback.TracebackException.from_exception(error, capture_locals=True)
    assert "of_the_caller" in "".join(trace.format())


SUITE = """
import os
import pytest
from test import test_secrets as secrets

@pytest.mark.parametrize("way", ["create", "launch in the background", "walk"])
@pytest.mark.parametrize("host", ["ANSWERS", "REFUSES"])
def test_call(host, way):
    of_the_caller = "stays"
    with secrets.client_of(secrets.settings(os.environ[host])) as client:
        secrets.WAYS[way][0](client)

@pytest.mark.parametrize("what", ["body of text", "cookie with lines", "token with lines"])
def test_wrong(what):
    with secrets.client_of(secrets.settings(os.environ["REFUSES"])) as client:
        secrets.WRONG[what](client)

def test_model():
    secrets.libtes.Credentials("someone", [secrets.IMAGE_PASSWORD])

def test_equal():
    assert secrets.filled(secrets.libtes.TaskRun) == secrets.filled(secrets.libtes.Execution)
"""


def child(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start Python with the product and these tests at hand."""
    path = {"PYTHONPATH": str(ROOT), "NO_PROXY": "*", **environment}
    return subprocess.Popen(
        [sys.executable, *arguments],
        env={**os.environ, **path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )


def test_what_pytest_prints_with_locals_has_no_secret(tmp_path: Path, closed: str) -> None:
    file = tmp_path / "test_of_a_user.py"
    file.write_text(SUITE)
    options = "--showlocals --tb=long -vv --log-level=DEBUG -p no:cacheprovider".split()
    with Server() as server:
        server.answer(refuse(400))
        quick = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
        hosts = {"ANSWERS": server.url, "REFUSES": f"http://{closed}"}
        command = ["-m", "pytest", *options, f"--rootdir={tmp_path}", str(file)]
        printed, _ = child(*command, **quick, **hosts).communicate(timeout=60)
    assert "11 failed" in printed
    assert "of_the_caller = 'stays'" in printed
    assert "Captured log call" in printed
    assert leaks(printed) == {}


def test_what_ipython_prints_with_locals_has_no_secret(to: ClientOf, closed: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        verbose = pytest.importorskip("IPython.core.ultratb").VerboseTB()
    with Server() as server:
        server.answer(refuse(400))
        for host, way in ((server.url, "create"), (f"http://{closed}", "launch in the background")):
            error = caught(lambda host=host, way=way: WAYS[way][0](to(host)))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                text = verbose.text(type(error), error, error.__traceback__)
            assert "call(client)" in text or "WAYS[way][0]" in text
            assert leaks(text) == {}


@pytest.mark.parametrize("way", ["create", "launch in the background"])
def test_a_developer_sees_all_locals_with_the_switch_on(way: str, to: ClientOf) -> None:
    with Server() as server:
        server.answer(refuse(400))
        client = to(server.url)
        client.configuration.show_locals = True
        error = caught(lambda: WAYS[way][0](client))
    trace = traceback.TracebackException(type(error), error, below(error), capture_locals=True)
    assert "TOKEN" in leaks(*trace.format())


# -- Ctrl-C ----------------------------------------------------------------------------------------


def interrupted(host: str, way: str, retries: int) -> None:
    """Make a call that Ctrl-C ends, and print what was then to be seen."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    configuration = settings(host)
    configuration.retries = retries
    try:
        with client_of(configuration) as client:
            WAYS[way][0](client)
    except KeyboardInterrupt as error:
        print(f"interrupted: {leaks(*told(error))}")
        print(*traceback.TracebackException.from_exception(error, capture_locals=True).format())


@pytest.mark.parametrize(
    ("when", "way"),
    [
        ("waiting for an answer", "create"),
        ("waiting for an answer", "launch in the background"),
        ("waiting to try again", "walk"),
    ],
)
def test_ctrl_c_in_a_call_reveals_nothing(when: str, way: str) -> None:
    ended = threading.Event()

    def answer(asked: Asked) -> Answer:
        if when == "waiting to try again":
            threading.Timer(0.2, process.send_signal, [signal.SIGINT]).start()
            return Answer(429, headers={"Retry-After": "20"})
        process.send_signal(signal.SIGINT)
        ended.wait(20)
        return Answer(400)

    with Server() as server:
        server.answer(answer)
        call = f"interrupted({server.url!r}, {way!r}, 3)"
        process = child("-c", f"from test.test_secrets import interrupted; {call}")
        try:
            if way == "launch in the background":
                threading.Timer(1, ended.set).start()  # the call itself goes on
            printed, _ = process.communicate(timeout=60)
        finally:
            ended.set()
            process.kill()
    assert "interrupted: {}" in printed
    assert "KeyboardInterrupt" in printed
    assert leaks(printed) == {}
