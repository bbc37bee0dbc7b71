"""One class per failure.

``OpenApiException``
 - ``ApiTypeError``, ``ApiValueError``, ``ApiKeyError``: invalid input; nothing was sent
 - ``ApiException``: the call failed
    - ``BadRequestException`` (400), ``UnauthorizedException`` (401), ``ForbiddenException`` (403),
      ``NotFoundException`` (404), ``ConflictException`` (409), ``TooManyRequestsException`` (429),
      ``ServiceException`` (500 to 599)
    - ``InvalidResponseException``
    - ``ApiConnectionException``
       - ``ConnectException``: nothing was sent
          - ``UnknownHostException``, ``ProxyException``, ``TlsException``,
            ``ConnectTimeoutException``
       - ``ReadTimeoutException``
          - ``DeadlineException``
       - ``ConnectionLostException``
"""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Optional

LONGEST_TEXT = 1000
"""Characters of an exception's text, in which what the service said is quoted."""


class OpenApiException(Exception):  # noqa: N818 the name that scripts catch
    """Base of every exception that this package raises."""


class ApiTypeError(OpenApiException, TypeError):
    """An argument, a field or part of a body is of the wrong type."""


class ApiValueError(OpenApiException, ValueError):
    """An argument or a field is missing, or has a value that is not accepted."""


class ApiKeyError(OpenApiException, KeyError):
    """A name was looked up that does not exist."""


class ApiException(OpenApiException):
    """A call failed: the service refused it, sent no usable response, or was not reached.

    ``str()`` is one line with method, path, status, and the service's own code and message. It
    never shows a header or body that was sent.

    Attributes:
        status: HTTP status of the service; ``None`` without a response.
        reason: Reason phrase of the status, or what went wrong.
        body: Body of the response as text; ``None`` without a response.
        headers: Headers of the response; ``None`` without a response.
        code: The error code in the service's ``ErrorResponse``, if it sent one.
        message: The message in it.
        details: The details in it.
        method: The HTTP method of the call.
        path: The path of the call, without its query.
    """

    _sent: ClassVar[bool] = True  # whether a byte of the request may have left
    _permanent: bool = False  # whether another attempt is known to fail as this one did

    def __init__(
        self,
        status: Optional[int] = None,
        reason: Optional[str] = None,
        http_resp: Optional[Any] = None,
        method: Optional[str] = None,
        path: Optional[str] = None,
    ) -> None:
        """Make the exception from its parts or from a response of urllib3.

        What stands in for a response in a test needs ``status``, ``reason``, ``data`` as bytes or
        text, and ``headers`` or, as in libica 2.5, ``getheaders()``.
        """
        response = http_resp
        self.status: Optional[int] = response.status if response else status
        self.reason: Optional[str] = reason or (response.reason if response else None)
        data = (response.data or b"") if response else None
        text = data.decode("utf-8", "replace") if isinstance(data, (bytes, bytearray)) else data
        self.body: Optional[str] = text
        self.headers: Optional[Mapping[str, str]] = _headers(response) if response else None
        self.method = method
        self.path = path
        error = _error_response(self.body)
        self.code: Optional[str] = error.get("code")
        self.message: Optional[str] = error.get("message")
        self.details: Optional[list[Any]] = error.get("details")
        super().__init__(self.status, self.reason)

    @property
    def may_have_happened(self) -> bool:
        """Whether the service may have acted on a call that changes something.

        If this is true of a launch, there may be a task run: look for it before you launch again.
        """
        if self.method in (None, "GET", "HEAD") or not self._sent:
            return False
        status: Any = self.status  # which may be a text in a test of yours
        return not isinstance(status, int) or status == 408 or not 300 <= status < 500

    def __str__(self) -> str:
        call = " ".join(part for part in (self.method, self.path) if part)
        outcome = " ".join(str(part) for part in (self.status, self.reason) if part)
        says = [self.code, self.message]
        if isinstance(self.body, str) and not any(says) and str(self.status) >= "300":
            content = (self.headers or {}).get("Content-Type", "no content type")
            says = [f"{len(self.body)} characters of {content}"]
        text = ": ".join(part for part in (call, outcome, *says) if part)
        line = "".join(each if each.isprintable() else " " for each in text)
        return line if len(line) <= LONGEST_TEXT else f"{line[:LONGEST_TEXT]}..."


class BadRequestException(ApiException):
    """400: the service does not accept the request; its message says why."""


class UnauthorizedException(ApiException):
    """401: the token is missing, wrong or expired."""


class ForbiddenException(ApiException):
    """403: the token is valid but does not allow this."""


class NotFoundException(ApiException):
    """404: there is no such object, or it is not visible to this token."""


class ConflictException(ApiException):
    """409: the request clashes with what exists, such as a name that is taken."""


class TooManyRequestsException(ApiException):
    """429: the service asks to slow down, also after the client's retries."""


class ServiceException(ApiException):
    """500 to 599: the service failed."""


class InvalidResponseException(ApiException):
    """The response breaks the contract, or is not HTTP.

    Examples are a login page in HTML, an empty body, a body that is not JSON or too long, or a
    field of the wrong type; ``reason`` says what was expected, what came and where.
    """


class ApiConnectionException(ApiException):
    """There is no complete response; ``__cause__`` is what urllib3 reported."""


class ConnectException(ApiConnectionException):
    """No connection could be made, so nothing was sent.

    The host refuses connections or cannot be reached, unless a subclass says otherwise.
    """

    _sent = False


class UnknownHostException(ConnectException):
    """The host name has no address: it is misspelled, or there is no network."""


class ProxyException(ConnectException):
    """The proxy could not be reached, or refused to forward the call."""


class TlsException(ConnectException):
    """The certificate is not trusted, has expired or names another host."""

    _permanent = True


class ConnectTimeoutException(ConnectException):
    """No connection could be made within the connect timeout."""


class ReadTimeoutException(ApiConnectionException):
    """The response was not complete within the read timeout."""


class DeadlineException(ReadTimeoutException):
    """The timeout of the whole call, given as one number, ended before its response."""


class ConnectionLostException(ApiConnectionException):
    """The connection broke before the response was complete."""


STATUS_EXCEPTIONS: dict[int, type[ApiException]] = {
    400: BadRequestException,
    401: UnauthorizedException,
    403: ForbiddenException,
    404: NotFoundException,
    409: ConflictException,
    429: TooManyRequestsException,
    **dict.fromkeys(range(500, 600), ServiceException),
}


def _headers(response: Any) -> Mapping[str, str]:
    """Return the headers of a response, which may be a mock that has none."""
    headers: Any = getattr(response, "headers", None)
    if isinstance(headers, Mapping):
        return headers
    try:
        return dict(getattr(response, "getheaders", lambda: headers)())
    except (TypeError, ValueError):
        return {}


def _error_response(body: Optional[str]) -> dict[str, Any]:
    """Return the fields of an ``ErrorResponse``, as far as the body is one."""
    import json

    try:
        data = json.loads(body or "")
    except (TypeError, ValueError, RecursionError):  # made by hand it may be anything
        data = None
    types = {"code": str, "message": str, "details": list}
    given = data.items() if isinstance(data, dict) else ()
    return {name: value for name, value in given if isinstance(value, types.get(name, ()))}


def wrong_type(where: str, accepted: str, value: object) -> ApiTypeError:
    """Make the error for a value of a wrong type; the value is not shown, it may be a secret."""
    return ApiTypeError(f"Invalid type for `{where}`, must be {accepted}, not {kind(value)}")


def wrong_value(where: str, accepted: str) -> ApiValueError:
    """Make the error for a value that is not accepted; it is not shown, it may be a secret."""
    return ApiValueError(f"Invalid value for `{where}`, must {accepted}")


def kind(value: object) -> str:
    """Name what a value is without showing it, for messages: ``int``, ``numpy.bool``."""
    cls = type(value)
    alike = getattr(builtins, cls.__name__, cls) is not cls
    return "None" if value is None else f"{cls.__module__}." * alike + cls.__name__


def closest(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean ...?"`` where a known name is close, else nothing."""
    import difflib

    match = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {match[0]!r}?" if match else ""
