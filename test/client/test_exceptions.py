"""Exceptions: which class for which failure, what they say, and that they can be pickled."""

from __future__ import annotations

import copy
import io
import json
import pickle
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
import urllib3

from libica.openapi import libtes
from libica.openapi.libtes import ApiException, TasksApi, exceptions

from ..server import Response, Server

SECRET = "what-nobody-may-see"
TREE = """
Exception: OpenApiException
OpenApiException TypeError: ApiTypeError
OpenApiException ValueError: ApiValueError
OpenApiException KeyError: ApiKeyError
OpenApiException: ApiException
ApiException: BadRequestException UnauthorizedException ForbiddenException NotFoundException
ApiException: ConflictException TooManyRequestsException ServiceException
ApiException: InvalidResponseException ApiConnectionException
ApiConnectionException: ConnectException ReadTimeoutException ConnectionLostException
ConnectException: UnknownHostException ProxyException TlsException ConnectTimeoutException
ReadTimeoutException: DeadlineException
"""
LINES = [line.split(": ") for line in TREE.strip().splitlines()]
BASES = {name: bases.split() for bases, names in LINES for name in names.split()}
CLASSES: list[Any] = [getattr(libtes, name) for name in BASES]
STATUSES = {
    **{400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 409: "Conflict"},
    **{429: "TooManyRequests", 500: "Service", 503: "Service", 599: "Service", 300: "Api"},
    **dict.fromkeys((399, 402, 408, 499, 600, 999), "Api"),
}
ERROR = {"code": "C", "message": "M", "details": ["a", {"b": 1}]}


def of_response(body: Any, reason: str = "Not Found") -> ApiException:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = urllib3.HTTPResponse(io.BytesIO(data), {"X-Request-Id": "r1"}, 404, reason=reason)
    return ApiException(http_resp=response, method="GET", path="/v1/tasks/x")


def all_of(exception: ApiException) -> dict[str, Any]:
    names = "args status reason body headers code message details method path may_have_happened"
    held = {name: getattr(exception, name) for name in names.split()}
    return {**held, "str": str(exception), "type": type(exception)}


def test_the_tree_of_classes() -> None:
    found = {
        name: [base.__name__ for base in value.__bases__]
        for name, value in vars(exceptions).items()
        if isinstance(value, type) and issubclass(value, BaseException)
    }
    assert found == BASES
    for cls in CLASSES:
        assert vars(cls)["__doc__"].strip().endswith(".")
        assert cls.__name__ in exceptions.__doc__
    assert libtes.rest.ApiException is ApiException


@pytest.mark.parametrize("status", STATUSES)
def test_each_status_has_its_class(status: int, server: Server, client: libtes.ApiClient) -> None:
    server.respond(Response(status, ERROR, {"X-Request-Id": "42"}, reason="Some Reason"))
    with pytest.raises(ApiException) as caught:
        TasksApi(client).list_tasks(page_token=SECRET)
    exception = caught.value
    assert type(exception).__name__ == f"{STATUSES[status]}Exception"
    assert (exception.method, exception.path) == ("GET", "/v1/tasks")  # without the query
    assert (exception.status, exception.reason) == (status, "Some Reason")
    assert {name: getattr(exception, name) for name in ERROR} == ERROR == json.loads(exception.body)
    assert exception.headers["x-request-id"] == "42"
    page = f"[errors#{exceptions.heading(type(exception))}]"
    assert str(exception) == f"GET /v1/tasks: {status} Some Reason: C: M {page}"
    pickled = pickle.dumps(exception)
    assert all_of(pickle.loads(pickled)) == all_of(exception)
    assert SECRET in server.last.target
    assert SECRET not in repr(pickled)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"code": "C", "more": [1]}, ("C", None, None)),
        ({"code": None, "message": "M", "details": None}, (None, "M", None)),
        ({"code": 5, "message": ["M"], "details": {"a": 1}}, (None, None, None)),
        ({"code": "", "message": "", "details": []}, ("", "", [])),
        ([{"code": "C"}], (None, None, None)),
        (None, (None, None, None)),
        (b'{"code": "C"}x', (None, None, None)),
        (b"\xff\xfe\x00", (None, None, None)),
        (b"[" * 100_000, (None, None, None)),
        (b"caf\xe9", (None, None, None)),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_code_message_and_details_are_those_of_the_body(body: Any, expected: Any) -> None:
    exception = of_response(body)
    assert (exception.code, exception.message, exception.details) == expected
    if isinstance(body, bytes):  # which is kept as far as it can be read
        assert exception.body == body.decode("utf-8", "replace")


def test_a_number_that_is_too_long_to_read_is_no_error() -> None:
    exception = of_response(b'{"code": "C", "more": ' + b"9" * 10_000 + b"}")
    assert exception.code in ("C", None)  # older Pythons read integers of any length


TEXT = '{"code": "é"}'
PAIR = {"getheaders": lambda: [("X-A", "b")]}


@pytest.mark.parametrize(
    ("made", "body", "headers"),
    [
        *((SimpleNamespace(data=data, **PAIR), TEXT, {"X-A": "b"})
          for data in (TEXT, TEXT.encode(), bytearray(TEXT.encode()))),
        (SimpleNamespace(data=TEXT, getheaders=lambda: {"X-A": "b"}), TEXT, {"X-A": "b"}),
        (SimpleNamespace(data=None, headers={"X-A": "b"}), "", {"X-A": "b"}),
        (SimpleNamespace(data=TEXT), TEXT, {}),
        *((kind(data=data), data, {}) for kind in (mock.Mock, mock.MagicMock)
          for data in ("no", {"code": "C"}, mock.Mock())),
    ],
)  # fmt: skip
def test_an_exception_can_be_made_of_a_response_made_by_hand_or_a_mock(
    made: Any, body: Any, headers: Any
) -> None:
    for made.status in (404, "404"):
        made.reason = "Not Found"
        exception = ApiException(http_resp=made, method="POST")
        assert str(exception).startswith("POST: 404 Not Found")
        assert (exception.status, exception.reason) == (made.status, "Not Found")
        assert (exception.body, exception.headers) == (body, headers)
        assert exception.code == ("é" if body == TEXT else None)
        # What is no status says nothing.
        assert exception.may_have_happened is (made.status == "404")


@pytest.mark.parametrize(
    ("exception", "expected"),
    [
        (of_response(ERROR), "GET /v1/tasks/x: 404 Not Found: C: M"),
        (of_response({"message": "M"}), "GET /v1/tasks/x: 404 Not Found: M"),
        (of_response({}, reason=""), "GET /v1/tasks/x: 404: 2 characters of no content type"),
        (ApiException(None, "no connection", None, "POST", "/p"), "POST /p: no connection"),
        (ApiException(404, "Not Found"), "404 Not Found"),
        (ApiException(500), "500"),
        *((cls(), "") for cls in CLASSES if issubclass(cls, ApiException)),
    ],
)
def test_str_is_one_line_with_call_status_code_and_message(exception: Any, expected: str) -> None:
    assert str(exception) == (f"{expected} [errors#api]" if expected else "")


@pytest.mark.parametrize(
    ("cls", "heading"),
    [
        (exceptions.NotFoundException, "not-found"),
        (exceptions.TlsException, "tls"),
        (exceptions.TooManyRequestsException, "too-many-requests"),
        (ApiException, "api"),
        (type("OfAnotherPackage", (exceptions.DeadlineException,), {}), "deadline"),
    ],
)
def test_str_ends_with_the_heading_in_the_page_of_errors(cls: Any, heading: str) -> None:
    assert str(cls(None, "x" * 2000)).endswith(f"x... [errors#{heading}]")


class Mine(ApiException):
    """What a package on top of this one may define."""


@pytest.mark.parametrize("cls", [*CLASSES, Mine], ids=lambda cls: cls.__name__)
def test_a_pickle_or_copy_has_all_that_the_exception_had(cls: Any) -> None:
    of_call = issubclass(cls, ApiException)
    response = mock.Mock(status=404, reason="x", data=json.dumps(ERROR), getheaders=dict)
    exception = cls(None, "what came", response, "POST", "/v1") if of_call else cls("what")
    exception.sample = "NA12878"  # what somebody adds
    pickles = [pickle.dumps(exception, each) for each in range(2, pickle.HIGHEST_PROTOCOL + 1)]
    for twin in (copy.copy(exception), copy.deepcopy(exception), *map(pickle.loads, pickles)):
        assert (type(twin), twin.args, str(twin)) == (cls, exception.args, str(exception))
        assert twin.sample == "NA12878"
        assert not of_call or all_of(twin) == all_of(exception)


@pytest.mark.parametrize(
    ("names", "statuses", "expected"),
    [
        # No response: unknown, unless nothing was sent.
        ("Connect ConnectTimeout UnknownHost Proxy Tls", [None], False),
        ("ReadTimeout Deadline ConnectionLost ApiConnection", [None], True),
        # The service responded with success, but the response was lost or is unusable.
        ("ReadTimeout ConnectionLost InvalidResponse", [200, 201, 204], True),
        # It refused, or sent elsewhere.
        ("Api BadRequest Conflict", [302, 307, 400, 401, 403, 404, 409, 422, 429], False),
        # It gave up on the way.
        ("Api Service", [408, 500, 502, 503, 504], True),
    ],
)
def test_whether_a_call_that_changes_something_may_have_happened(
    names: str, statuses: Any, expected: bool
) -> None:
    for name in names.split():
        cls = getattr(libtes, f"{name}Exception")
        for status in statuses:
            for method in ("POST", "PATCH", "PUT", "DELETE"):
                assert cls(status, method=method).may_have_happened is expected
            for method in ("GET", "HEAD", None):
                assert cls(status, method=method).may_have_happened is False
