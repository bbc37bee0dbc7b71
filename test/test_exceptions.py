"""The exceptions: which class for which failure, what they tell, and that they can be pickled."""

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
from libica.openapi.libtes import ApiException, OpenApiException, TasksApi, exceptions
from libica.openapi.libtes.exceptions import STATUS_EXCEPTIONS

from .conftest import TOKEN
from .server import Answer, Server

SECRET = "what-nobody-may-see"
BASES: dict[str, list[type]] = {
    "OpenApiException": [Exception],
    "ApiTypeError": [OpenApiException, TypeError],
    "ApiValueError": [OpenApiException, ValueError],
    "ApiKeyError": [OpenApiException, KeyError],
    "ApiException": [OpenApiException],
    "BadRequestException": [ApiException],
    "UnauthorizedException": [ApiException],
    "ForbiddenException": [ApiException],
    "NotFoundException": [ApiException],
    "ConflictException": [ApiException],
    "TooManyRequestsException": [ApiException],
    "ServiceException": [ApiException],
    "InvalidResponseException": [ApiException],
    "ApiConnectionException": [ApiException],
    "ConnectException": [libtes.ApiConnectionException],
    "UnknownHostException": [libtes.ConnectException],
    "ProxyException": [libtes.ConnectException],
    "TlsException": [libtes.ConnectException],
    "ConnectTimeoutException": [libtes.ConnectException],
    "ReadTimeoutException": [libtes.ApiConnectionException],
    "DeadlineException": [libtes.ReadTimeoutException],
    "ConnectionLostException": [libtes.ApiConnectionException],
}
CLASSES: list[Any] = [getattr(libtes, name) for name in BASES]
OF_CALLS: list[Any] = [each for each in CLASSES if issubclass(each, ApiException)]
OF_STATUSES = {
    400: "BadRequestException",
    401: "UnauthorizedException",
    403: "ForbiddenException",
    404: "NotFoundException",
    409: "ConflictException",
    429: "TooManyRequestsException",
    **dict.fromkeys((500, 501, 502, 503, 504, 507, 599), "ServiceException"),
    **dict.fromkeys((402, 405, 406, 408, 410, 413, 415, 418, 422, 451, 499), "ApiException"),
    **dict.fromkeys((300, 304, 399, 600, 999), "ApiException"),
}
of_calls = pytest.mark.parametrize("cls", OF_CALLS, ids=lambda cls: cls.__name__)


def answer(body: Any, status: int = 404, reason: str = "Not Found") -> urllib3.HTTPResponse:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"X-Request-Id": "r1"}
    return urllib3.HTTPResponse(io.BytesIO(data), headers, status, reason=reason)


def answered(body: Any, **parts: Any) -> ApiException:
    return ApiException(http_resp=answer(body, **parts), method="GET", path="/v1/tasks/x")


def all_of(exception: ApiException) -> dict[str, Any]:
    names = ("status", "reason", "body", "headers", "code", "message", "details", "method", "path")
    found = {name: getattr(exception, name) for name in names}
    return {**found, "args": exception.args, "str": str(exception), "type": type(exception)}


# The classes


@pytest.mark.parametrize(("name", "bases"), BASES.items(), ids=BASES)
def test_the_bases_of_each_class(name: str, bases: list[type]) -> None:
    assert list(getattr(libtes, name).__bases__) == bases


def test_no_class_is_missing_here() -> None:
    found = {
        name
        for name, value in vars(exceptions).items()
        if isinstance(value, type) and issubclass(value, BaseException)
    }
    assert found == set(BASES)


@pytest.mark.parametrize(
    ("cls", "builtin"),
    [
        (libtes.ApiTypeError, TypeError),
        (libtes.ApiValueError, ValueError),
        (libtes.ApiKeyError, KeyError),
        (libtes.ApiKeyError, LookupError),
    ],
)
def test_what_a_caller_did_wrong_is_caught_as_the_builtin_too(cls: Any, builtin: Any) -> None:
    with pytest.raises(builtin, match="x"):
        raise cls("x")


def test_the_module_of_the_wire_has_the_exception_too() -> None:
    assert libtes.rest.ApiException is ApiException


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_each_class_says_when_it_is_raised(cls: Any) -> None:
    assert vars(cls)["__doc__"].strip().endswith(".")


# From status to class


@pytest.mark.parametrize(("status", "name"), OF_STATUSES.items(), ids=OF_STATUSES)
def test_the_class_for_a_status(status: int, name: str) -> None:
    assert STATUS_EXCEPTIONS.get(status, ApiException) is getattr(libtes, name)


@pytest.mark.parametrize("status", [each for each in OF_STATUSES if each != 304])
def test_a_call_that_is_refused_raises_the_class_for_the_status(
    status: int, server: Server, client: libtes.ApiClient
) -> None:
    server.answer(Answer(status, {"code": "C", "message": "M"}, reason="Reason"))
    with pytest.raises(ApiException) as caught:
        TasksApi(client).get_task("tdn.1")
    assert type(caught.value).__name__ == OF_STATUSES[status]
    assert (caught.value.status, caught.value.reason) == (status, "Reason")
    assert (caught.value.code, caught.value.message) == ("C", "M")


# What the service said


def test_the_parts_of_an_answer() -> None:
    exception = answered({"code": "C", "message": "M", "details": [1, {"a": None}]})
    assert (exception.status, exception.reason) == (404, "Not Found")
    assert exception.body == '{"code": "C", "message": "M", "details": [1, {"a": null}]}'
    assert dict(exception.headers or {}) == {"X-Request-Id": "r1"}
    assert (exception.code, exception.message) == ("C", "M")
    assert exception.details == [1, {"a": None}]


def test_headers_of_an_answer_are_found_in_any_casing() -> None:
    assert (answered({}).headers or {})["x-request-id"] == "r1"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"code": "C"}, ("C", None, None)),
        ({"message": "M"}, (None, "M", None)),
        ({"code": None, "message": None, "details": None}, (None, None, None)),
        ({"code": 5, "message": ["M"], "details": {"a": 1}}, (None, None, None)),
        ({"code": "", "message": "", "details": []}, ("", "", [])),
        ({"code": "C", "more": [1]}, ("C", None, None)),
        ({"error": "x"}, (None, None, None)),
        ({}, (None, None, None)),
        ([], (None, None, None)),
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
        (b'{"code": "C", "more": ' + b"9" * 10_000 + b"}", (None, None, None)),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_code_message_and_details_are_what_the_body_has_of_them(body: Any, expected: Any) -> None:
    exception = answered(body)
    if body == b'{"code": "C", "more": ' + b"9" * 10_000 + b"}" and exception.code:
        expected = ("C", None, None)  # older Pythons read integers of any length
    assert (exception.code, exception.message, exception.details) == expected


def test_a_body_that_is_no_utf_8_is_kept_as_far_as_it_can_be_read() -> None:
    assert answered(b"caf\xe9").body == "caf\ufffd"


def test_an_exception_can_be_made_by_hand() -> None:
    exception = ApiException(status=404, reason="Not Found")
    assert (exception.status, exception.reason) == (404, "Not Found")
    assert (exception.body, exception.headers, exception.code) == (None, None, None)


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
    assert (exception.code, exception.message) == ("C", "caf\u00e9")
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


@pytest.mark.parametrize("response", [mock.Mock(), mock.MagicMock()])
@pytest.mark.parametrize("status", [404, "404"])
@pytest.mark.parametrize("data", ["no", {"code": "C"}, mock.Mock()])
def test_an_exception_can_be_made_of_a_mock(response: Any, status: Any, data: Any) -> None:
    response.configure_mock(status=status, reason="Not Found", data=data)
    exception = ApiException(http_resp=response, method="POST")
    assert str(exception).startswith("POST: 404 Not Found")
    assert (exception.status, exception.body, exception.headers) == (status, data, {})
    assert exception.may_have_happened is (status == "404")  # what is no status says nothing


def test_status_and_reason_may_come_by_position() -> None:
    assert str(ApiException(404, "Not Found")) == "404 Not Found"


@of_calls
def test_every_class_can_be_made_without_arguments(cls: Any) -> None:
    assert (cls().status, cls().reason, str(cls())) == (None, None, "")


# What they tell


@pytest.mark.parametrize(
    ("exception", "expected"),
    [
        (answered({"code": "C", "message": "M"}), "GET /v1/tasks/x: 404 Not Found: C: M"),
        (answered({"message": "M"}), "GET /v1/tasks/x: 404 Not Found: M"),
        (answered(b"<html>"), "GET /v1/tasks/x: 404 Not Found: 6 characters of no content type"),
        (answered({}, reason=""), "GET /v1/tasks/x: 404: 2 characters of no content type"),
        (
            ApiException(None, "no connection to h", None, "POST", "/p"),
            "POST /p: no connection to h",
        ),
        (ApiException(500), "500"),
    ],
)
def test_str_tells_call_status_code_and_message(exception: Any, expected: str) -> None:
    assert str(exception) == expected


@pytest.mark.parametrize("text", [str, repr, lambda e: repr(e.args), lambda e: f"{e.reason}"])
def test_texts_tell_no_header_and_no_body(
    text: Any, server: Server, client: libtes.ApiClient
) -> None:
    body = {"code": "C", "message": "M", "details": [SECRET], "more": SECRET}
    server.answer(Answer(400, body, {"Set-Cookie": SECRET}))
    with pytest.raises(ApiException) as caught:
        TasksApi(client).create_task(body={"name": SECRET})
    assert SECRET in server.last.body.decode()
    assert TOKEN in server.last.headers["Authorization"]
    assert SECRET not in text(caught.value)
    assert TOKEN not in text(caught.value)


def test_a_pickle_has_nothing_of_what_was_sent(server: Server, client: libtes.ApiClient) -> None:
    server.answer(Answer(400, {"code": "C"}))
    with pytest.raises(ApiException) as caught:
        TasksApi(client).create_task(body={"name": SECRET})
    pickled = pickle.dumps(caught.value)
    assert SECRET.encode() not in pickled
    assert TOKEN.encode() not in pickled


def test_the_path_has_no_query(server: Server, client: libtes.ApiClient) -> None:
    server.answer(Answer(400))
    with pytest.raises(ApiException) as caught:
        TasksApi(client).list_tasks(page_token=SECRET)
    assert SECRET in server.last.target
    assert (caught.value.method, caught.value.path) == ("GET", "/v1/tasks")
    assert SECRET not in str(caught.value)


# Pickling


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_each_class_can_be_pickled(cls: Any, protocol: int) -> None:
    twin = pickle.loads(pickle.dumps(cls("what happened"), protocol))
    assert type(twin) is cls
    assert (twin.args, str(twin)) == (cls("what happened").args, str(cls("what happened")))


@pytest.mark.parametrize(
    "twin", [copy.copy, copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))]
)
@of_calls
def test_a_pickle_or_copy_has_all_that_the_exception_had(cls: Any, twin: Any) -> None:
    body = {"code": "C", "message": "M", "details": [1]}
    exception = cls(None, "what came", answer(body), "POST", "/v1/tasks")
    assert all_of(twin(exception)) == all_of(exception)
    assert twin(exception).may_have_happened is exception.may_have_happened


def test_what_somebody_added_survives_pickling() -> None:
    exception = answered({})
    exception.sample = "NA12878"
    assert pickle.loads(pickle.dumps(exception)).sample == "NA12878"


def test_a_subclass_with_arguments_of_its_own_parts_can_be_pickled() -> None:
    twin = pickle.loads(pickle.dumps(Mine(404, "Not Found", path="/p")))
    assert (type(twin), str(twin)) == (Mine, "/p: 404 Not Found")


class Mine(ApiException):
    """What a package on top of this one may define."""


def test_an_exception_of_a_call_can_be_pickled(server: Server, client: libtes.ApiClient) -> None:
    server.answer(Answer(409, {"code": "C", "message": "M"}, {"X-Request-Id": "r1"}))
    with pytest.raises(libtes.ConflictException) as caught:
        TasksApi(client).get_task("tdn.1")
    twin = pickle.loads(pickle.dumps(caught.value))
    assert all_of(twin) == all_of(caught.value)
    assert twin.headers["x-request-id"] == "r1"


# Whether it may have happened


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE"])
@pytest.mark.parametrize(
    ("cls", "status", "expected"),
    [
        # No answer: unknown, unless the service was never reached.
        (libtes.ConnectException, None, False),
        (libtes.ConnectTimeoutException, None, False),
        (libtes.UnknownHostException, None, False),
        (libtes.ProxyException, None, False),
        (libtes.TlsException, None, False),
        (libtes.ReadTimeoutException, None, True),
        (libtes.DeadlineException, None, True),
        # It answered, and the answer was lost on its way.
        (libtes.ReadTimeoutException, 201, True),
        (libtes.ConnectionLostException, 200, True),
        (libtes.ConnectionLostException, None, True),
        (libtes.ApiConnectionException, None, True),
        # It answered with success, if with nothing usable.
        (libtes.InvalidResponseException, 200, True),
        (libtes.InvalidResponseException, 201, True),
        (libtes.InvalidResponseException, 204, True),
        # It refused, or sent elsewhere.
        (ApiException, 302, False),
        (ApiException, 307, False),
        (libtes.BadRequestException, 400, False),
        (libtes.UnauthorizedException, 401, False),
        (libtes.ForbiddenException, 403, False),
        (libtes.NotFoundException, 404, False),
        (libtes.ConflictException, 409, False),
        (ApiException, 422, False),
        (libtes.TooManyRequestsException, 429, False),
        # It gave up on the way.
        (ApiException, 408, True),
        (libtes.ServiceException, 500, True),
        (libtes.ServiceException, 502, True),
        (libtes.ServiceException, 503, True),
        (libtes.ServiceException, 504, True),
    ],
)
def test_whether_a_call_that_changes_something_may_have_happened(
    cls: Any, status: Any, expected: bool, method: str
) -> None:
    assert cls(status, method=method).may_have_happened is expected


@of_calls
def test_a_call_that_changes_nothing_did_not_happen(cls: Any) -> None:
    for method in ("GET", "HEAD", None):
        for status in (None, 200, 408, 500):
            assert cls(status, method=method).may_have_happened is False
