"""Secrets for every place that can hold one, and all the ways to look for them afterwards."""

from __future__ import annotations

import base64
import contextlib
import copy
import hashlib
import pickle
import pprint
import reprlib
import traceback
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from typing import Any, Optional, get_args, get_origin
from urllib.parse import quote

import pytest

from libica.openapi import libtes
from libica.openapi.libtes import ApiClient, Configuration
from libica.openapi.libtes.models.base import Model

from ...operations import RUN, TASK, VERSION

encode = ApiClient(Configuration()).sanitize_for_serialization

MARKS: dict[str, set[str]] = {}  # of each secret its two ends, which stand nowhere else


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


# -- Data with secrets -----------------------------------------------------------------------------


def filled(cls: Any, raw: bool = False) -> Any:
    """Make a model whose fields hold the secrets that they may, with raw dicts within if told."""
    return cls(**{name: _value(name, field.type, raw) for name, field in cls._fields.items()})


def _value(name: str, declared: Any, raw: bool) -> Any:
    named = {"password": IMAGE_PASSWORD, "jwt": JWT, "nonce": NONCE, "execution_raw_json": RAW_JSON}
    if name in named:
        return named[name]
    if isinstance(declared, type) and issubclass(declared, Model):
        within = filled(declared, raw)
        return pascal_case(encode(within)) if raw else within
    if get_origin(declared) is list:
        return [_value("", get_args(declared)[0], raw)]
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
STORED = encode(filled(libtes.TaskRun))


# -- Who looks -------------------------------------------------------------------------------------


def looks(thing: Any) -> Iterator[str]:
    """Yield what a person sees who shows an object, or a copy of it, in any way."""
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
    """Yield the pickles of what can be pickled, the text of the error where it cannot."""
    for protocol in (0, pickle.HIGHEST_PROTOCOL):
        try:
            yield repr(pickle.dumps(thing, protocol))
        except Exception as error:
            yield from told(error)


def with_locals(error: BaseException, chained: bool = True) -> str:
    """Return the traceback with local variables, but for those of these tests."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_globals["__name__"].startswith(__package__):
        trace = trace.tb_next
    shown = traceback.TracebackException(type(error), error, trace, capture_locals=True)
    return "".join(shown.format(chain=chained))


def told(error: BaseException) -> Iterator[str]:
    """Yield all that can be seen of an exception: texts, attributes, frames, and its causes'."""
    seen: list[BaseException] = []
    waiting: list[Optional[BaseException]] = [error]
    for each in waiting:
        if each is None or any(each is known for known in seen):
            continue
        seen.append(each)
        waiting += [each.__cause__, each.__context__]
        yield from looks(each)
        yield repr(each.args)
        for value in vars(each).values():
            yield repr(dict(value)) if isinstance(value, Mapping) else repr(value)
        yield with_locals(each, chained=False)
        if isinstance(each, libtes.OpenApiException):
            yield from pickles(each)


def failure(call: Callable[[], Any]) -> list[BaseException]:
    """Return the exception that a call raises, if any."""
    try:
        call()
    except Exception as error:
        return [error]
    return []


def caught(call: Callable[[], Any], expected: Any = libtes.OpenApiException) -> BaseException:
    """Return the exception that a call raises."""
    with pytest.raises(expected) as info:
        call()
    return info.value


# -- Who calls -------------------------------------------------------------------------------------


def settings(host: str) -> Configuration:
    """Return settings with all the secrets that they can have and need no proxy."""
    key, prefix = {"Authorization": TOKEN}, {"Authorization": PREFIX}
    configuration = Configuration(host, key, prefix, "someone", PASSWORD)
    configuration.proxy_headers = {"X-Proxy": PROXY_HEADER}
    configuration.timeout = 10, 10
    configuration.retries = 0
    configuration.debug = True
    return configuration


def client_of(configuration: Configuration) -> ApiClient:
    """Return a client with all the secrets that it can have."""
    return ApiClient(configuration, "X-Api-Key", HEADER, f"theme=dark; session={COOKIE}")


# What callers have in their own frames stays there, so these have no secret among their locals.
CREATE = libtes.CreateTaskRunRequest("once", execution=EXECUTION)
CREATE_RAW = pascal_case({"execution": encode(EXECUTION)})
LAUNCH = filled(libtes.LaunchTaskRequest)
BEAT = libtes.HeartbeatTaskRunRequest(nonce=NONCE, container_status=[])
RUNS = libtes.TaskRunsApi


def create(client: ApiClient) -> Any:
    return RUNS(client).create_task_run(body=CREATE)


def launch(client: ApiClient) -> Any:
    versions = libtes.TaskVersionsApi(client)
    return versions.launch_task_run(TASK, VERSION, body=LAUNCH, async_req=True).get(20)


def get(client: ApiClient) -> Any:
    return RUNS(client).get_task_run(RUN)


def read_later(client: ApiClient) -> Any:
    response = RUNS(client).get_task_run(RUN, _preload_content=False)
    return client.deserialize(response, "TaskRun")


def call_api(client: ApiClient) -> Any:
    return client.call_api(
        "/v1/x",
        "PATCH",
        header_params={"X-Signed": SIGNED},
        body=EXECUTION,
        response_type="Task",
        auth_settings=["Bearer"],
    )


def create_with_a_header_for_the_token(client: ApiClient) -> Any:
    client.configuration.api_key = {}
    client.set_default_header("Authorization", f"{PREFIX} {TOKEN}")
    return create(client)


# Each way to call, and the secrets that its first request holds.
WAYS: dict[str, tuple[Callable[[ApiClient], Any], set[str]]] = {
    "create": (create, {*SENT, *OF_RUNS}),
    "create with a raw body": (
        lambda client: RUNS(client).create_task_run_with_http_info(body=CREATE_RAW),
        {*SENT, *OF_RUNS},
    ),
    "launch in the background": (launch, {*SENT, "SECURE", "SIGNATURE"}),
    "get": (get, SENT),
    "read later": (read_later, SENT),
    "walk": (lambda client: list(RUNS(client).iter_task_runs()), SENT),
    "call_api": (call_api, {*SENT, *OF_RUNS}),
    "heartbeat": (lambda client: RUNS(client).heartbeat_task_run(RUN, body=BEAT), {*SENT, "NONCE"}),
    "create with a header": (create_with_a_header_for_the_token, {*SENT, *OF_RUNS}),
}
