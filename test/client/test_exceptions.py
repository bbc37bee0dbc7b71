"""Exceptions: which class for which failure, what they say, and that they can be pickled."""

from __future__ import annotations

import copy
import io
import json
import pickle
import types
from dataclasses import dataclass
from typing import Any
from unittest import mock

import pytest
import urllib3

from libica.openapi import libtes
from libica.openapi.libtes import ApiException, TasksApi, exceptions

from ..conftest import TOKEN
from ..operations import OPERATIONS, Operation
from ..server import Response, Server

SECRET = "what-nobody-may-see"
TREE = """
OpenApiException Exception
ApiTypeError OpenApiException TypeError
ApiValueError OpenApiException ValueError
ApiKeyError OpenApiException KeyError
ApiException OpenApiException
BadRequestException ApiException
UnauthorizedException ApiException
ForbiddenException ApiException
NotFoundException ApiException
ConflictException ApiException
TooManyRequestsException ApiException
ServiceException ApiException
InvalidResponseException ApiException
ApiConnectionException ApiException
ConnectException ApiConnectionException
UnknownHostException ConnectException
ProxyException ConnectException
TlsException ConnectException
ConnectTimeoutException ConnectException
ReadTimeoutException ApiConnectionException
DeadlineException ReadTimeoutException
ConnectionLostException ApiConnectionException
"""
BASES: dict[str, list[str]] = {each.split()[0]: each.split()[1:] for each in TREE.split("\n")[1:-1]}
CLASSES: list[Any] = [getattr(libtes, name) for name in BASES]
OF_CALLS: list[Any] = [each for each in CLASSES if issubclass(each, ApiException)]
STATUSES = {
    400: "BadRequestException",
    401: "UnauthorizedException",
    403: "ForbiddenException",
    404: "NotFoundException",
    409: "ConflictException",
    429: "TooManyRequestsException",
    **dict.fromkeys((500, 501, 502, 503, 504, 507, 599), "ServiceException"),
    **dict.fromkeys((300, 399, 402, 405, 408, 418, 422, 499, 600, 999), "ApiException"),
}
ERROR = {"code": "C", "message": "M", "details": ["a", {"b": 1}]}


def response(body: Any, status: int = 404, reason: str = "Not Found") -> urllib3.HTTPResponse:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return urllib3.HTTPResponse(io.BytesIO(data), {"X-Request-Id": "r1"}, status, reason=reason)


def of_response(body: Any, **parts: Any) -> ApiException:
    return ApiException(http_resp=response(body, **parts), method="GET", path="/v1/tasks/x")


def all_of(exception: ApiException) -> dict[str, Any]:
    names = ("status", "reason", "body", "headers", "code", "message", "details", "method", "path")
    held = {name: getattr(exception, name) for name in names}
    said = {"args": exception.args, "str": str(exception), "type": type(exception)}
    return {**held, **said, "may_have_happened": exception.may_have_happened}


# -- The classes -----------------------------------------------------------------------------------


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
        TasksApi(client).get_task("tdn.1")
    exception = caught.value
    assert type(exception).__name__ == STATUSES[status]
    assert (exception.status, exception.reason) == (status, "Some Reason")
    assert (exception.code, exception.message) == ("C", "M")
    assert exception.details == ["a", {"b": 1}]
    assert json.loads(exception.body) == ERROR
    assert exception.headers["x-request-id"] == "42"
    assert str(exception) == f"GET /v1/tasks/tdn.1: {status} Some Reason: C: M"
    assert all_of(pickle.loads(pickle.dumps(exception))) == all_of(exception)


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_an_error_names_the_call(
    server: Server, client: libtes.ApiClient, operation: Operation
) -> None:
    server.respond(Response(400, {"code": "BAD", "message": "no"}))
    for suffix in ("", "_with_http_info"):
        with pytest.raises(libtes.BadRequestException) as caught:
            operation.call(client, suffix)
        exception = caught.value
        assert (exception.method, exception.path) == (operation.method, operation.target)
        call = f"{operation.method} {operation.target}"
        assert str(exception) == f"{call}: 400 Bad Request: BAD: no"


# -- What the service said -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"code": "C", "more": [1]}, ("C", None, None)),
        ({"message": "M"}, (None, "M", None)),
        ({"code": None, "message": None, "details": None}, (None, None, None)),
        ({"code": 5, "message": ["M"], "details": {"a": 1}}, (None, None, None)),
        ({"code": "", "message": "", "details": []}, ("", "", [])),
        ([{"code": "C"}], (None, None, None)),
        ("C", (None, None, None)),
        (None, (None, None, None)),
        (5, (None, None, None)),
        (b"", (None, None, None)),
        (b"<html>Bad Gateway</html>", (None, None, None)),
        (b'{"code": "C"', (None, None, None)),
        (b'{"code": "C"}x', (None, None, None)),
        (b"\xff\xfe\x00", (None, None, None)),
        (b"[" * 100_000, (None, None, None)),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_code_message_and_details_are_those_of_the_body(
    body: Any, expected: Any, server: Server, client: libtes.ApiClient
) -> None:
    exception = of_response(body)
    assert (exception.code, exception.message, exception.details) == expected
    server.respond(Response(409, response(body).data, {"Content-Type": "text/html"}))
    with pytest.raises(libtes.ConflictException, match="409") as caught:
        TasksApi(client).get_task("tdn.1")
    assert (caught.value.code, caught.value.message, caught.value.details) == expected
    assert isinstance(caught.value.body, str)


def test_an_integer_of_any_length_in_an_error_is_no_other_error() -> None:
    exception = of_response(b'{"code": "C", "more": ' + b"9" * 10_000 + b"}")
    assert exception.code in ("C", None)  # older Pythons read it


def test_a_body_that_is_not_utf_8_is_kept_as_far_as_it_can_be_read() -> None:
    assert of_response(b"caf\xe9").body == "caf\ufffd"
    assert of_response({}).headers["x-request-id"] == "r1"  # in any casing


# -- Exceptions that tests of users make -----------------------------------------------------------


@dataclass
class OfUsersTests:
    """A response as tests written for libica 2.5.0 made it."""

    data: Any
    status: int = 404
    reason: str = "Not Found"

    def getheaders(self) -> Any:
        return {"Content-Type": "application/json"}


@pytest.mark.parametrize("as_data", [str, str.encode, lambda text: bytearray(text.encode())])
def test_an_exception_can_be_made_of_a_response_made_by_hand(as_data: Any) -> None:
    body = '{"code": "C", "message": "caf\u00e9"}'
    exception = ApiException(http_resp=OfUsersTests(as_data(body)))
    assert (exception.status, exception.reason, exception.body) == (404, "Not Found", body)
    assert exception.headers == {"Content-Type": "application/json"}
    assert str(exception) == "404 Not Found: C: caf\u00e9"


def test_headers_of_a_response_made_by_hand_may_be_pairs_an_attribute_or_missing() -> None:
    pairs, text = [("X-A", "b")], '{"code": "C"}'
    listed = mock.Mock(status=500, reason="x", data=text, getheaders=lambda: pairs)
    assert ApiException(http_resp=listed).headers == {"X-A": "b"}
    held = types.SimpleNamespace(status=500, reason="x", data=text, headers={"X-A": "b"})
    assert ApiException(http_resp=held).headers == {"X-A": "b"}
    del held.headers
    assert ApiException(http_resp=held).headers == {}
    held.data = None
    assert ApiException(http_resp=held).body == ""


@pytest.mark.parametrize("kind", [mock.Mock, mock.MagicMock])
@pytest.mark.parametrize("data", ["no", {"code": "C"}, mock.Mock()])
def test_an_exception_can_be_made_of_a_mock(kind: Any, data: Any) -> None:
    for status in (404, "404"):
        made = kind(status=status, reason="Not Found", data=data)
        exception = ApiException(http_resp=made, method="POST")
        assert str(exception).startswith("POST: 404 Not Found")
        assert (exception.status, exception.body, exception.headers) == (status, data, {})
        assert exception.may_have_happened is (status == "404")  # what is no status says nothing


@pytest.mark.parametrize(
    ("exception", "expected"),
    [
        (of_response(ERROR), "GET /v1/tasks/x: 404 Not Found: C: M"),
        (of_response({"message": "M"}), "GET /v1/tasks/x: 404 Not Found: M"),
        (of_response(b"<html>"), "GET /v1/tasks/x: 404 Not Found: 6 characters of no content type"),
        (of_response({}, reason=""), "GET /v1/tasks/x: 404: 2 characters of no content type"),
        (ApiException(None, "no connection", None, "POST", "/p"), "POST /p: no connection"),
        (ApiException(404, "Not Found"), "404 Not Found"),
        (ApiException(500), "500"),
        *((cls(), "") for cls in OF_CALLS),
    ],
    ids=repr,
)
def test_str_is_one_line_with_call_status_code_and_message(exception: Any, expected: str) -> None:
    assert str(exception) == expected


# -- What they do not say --------------------------------------------------------------------------


def test_texts_and_pickles_have_no_header_no_body_and_no_query(
    server: Server, client: libtes.ApiClient
) -> None:
    body = {**ERROR, "details": [SECRET], "more": SECRET}
    server.respond(Response(400, body, {"Set-Cookie": SECRET}))
    with pytest.raises(ApiException) as caught:
        TasksApi(client).create_task(body={"name": SECRET})
    assert SECRET in server.last.body.decode()
    assert TOKEN in server.last.headers["Authorization"]
    exception = caught.value
    for text in (str(exception), repr(exception), repr(exception.args), exception.reason):
        assert SECRET not in text
        assert TOKEN not in text
    server.respond(Response(400, {"code": "C"}))
    with pytest.raises(ApiException) as caught:
        TasksApi(client).list_tasks(page_token=SECRET)
    assert SECRET in server.last.target
    assert (caught.value.method, caught.value.path) == ("GET", "/v1/tasks")
    assert SECRET not in str(caught.value)
    pickled = pickle.dumps(caught.value)
    assert SECRET.encode() not in pickled
    assert TOKEN.encode() not in pickled


# -- Pickling --------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_a_pickle_or_copy_has_all_that_the_exception_had(cls: Any) -> None:
    of_call = issubclass(cls, ApiException)
    parts = (None, "what came", response(ERROR), "POST", "/v1/tasks") if of_call else ("what",)
    exception = cls(*parts)
    exception.sample = "NA12878"  # what somebody adds
    twins = [copy.copy(exception), copy.deepcopy(exception)]
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        twins.append(pickle.loads(pickle.dumps(exception, protocol)))
    for twin in twins:
        assert (type(twin), twin.args, str(twin)) == (cls, exception.args, str(exception))
        assert twin.sample == "NA12878"
        assert not of_call or all_of(twin) == all_of(exception)


class Mine(ApiException):
    """What a package on top of this one may define."""


def test_a_subclass_can_be_pickled() -> None:
    twin = pickle.loads(pickle.dumps(Mine(404, "Not Found", path="/p")))
    assert (type(twin), str(twin)) == (Mine, "/p: 404 Not Found")


# -- Whether the call may have happened ------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "statuses", "expected"),
    [
        # No response: unknown, unless nothing was sent.
        ("Connect ConnectTimeout UnknownHost Proxy Tls", [None], False),
        ("ReadTimeout Deadline ConnectionLost ApiConnection", [None], True),
        # The service responded with success, but the response was lost or is unusable.
        ("ReadTimeout ConnectionLost InvalidResponse", [200, 201, 204], True),
        # It refused, or sent elsewhere.
        ("Api", [302, 307, 422], False),
        ("BadRequest", [400], False),
        ("Unauthorized", [401], False),
        ("Forbidden", [403], False),
        ("NotFound", [404], False),
        ("Conflict", [409], False),
        ("TooManyRequests", [429], False),
        # It gave up on the way.
        ("Api", [408], True),
        ("Service", [500, 502, 503, 504], True),
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
