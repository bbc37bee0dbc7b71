"""The exceptions of this package: one class per kind of failure.

``OpenApiException``
 - ``ApiTypeError``, ``ApiValueError``, ``ApiKeyError``: invalid input; nothing was sent
 - ``ApiException``: a call failed
    - ``BadRequestException`` (400), ``UnauthorizedException`` (401), ``ForbiddenException`` (403),
      ``NotFoundException`` (404), ``ConflictException`` (409), ``TooManyRequestsException`` (429),
      ``ServiceException`` (500 to 599)
    - ``InvalidResponseException``
    - ``ApiConnectionException``
       - ``ConnectException``: nothing was sent; ``UnknownHostException``, ``ProxyException``,
         ``TlsException``, ``ConnectTimeoutException``
       - ``ReadTimeoutException``; ``DeadlineException``
       - ``ConnectionLostException``
"""

import builtins
import re
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Optional

LONGEST_TEXT = 1000  # characters of an exception's text, which quotes the service


class OpenApiException(Exception):  # noqa: N818 the name that scripts catch
    """Base of all exceptions of this package."""


class ApiTypeError(OpenApiException, TypeError):
    """An argument, a field or a part of a body has the wrong type."""


class ApiValueError(OpenApiException, ValueError):
    """An argument or a field is missing or has an invalid value."""


class ApiKeyError(OpenApiException, KeyError):
    """A name was looked up that does not exist."""


class ApiException(OpenApiException):
    """A call failed: it was refused, got no valid response, or did not reach the service.

    ``str()`` is one line with method, path, status, and the service's error code and message. It
    ends with the place in the documentation that tells causes and remedies, such as
    ``[errors#not-found]``. It never shows a header or body of the request.

    Attributes:
        status: HTTP status; ``None`` without a response.
        reason: Reason phrase of the status, or what went wrong.
        body: Body of the response as text; ``None`` without a response.
        headers: Headers of the response; ``None`` without a response.
        code: Error code of the service's ``ErrorResponse``, if it sent one.
        message: Its message.
        details: Its details.
        method: HTTP method of the call.
        path: Path of the call, without the query.
    """

    _sent: ClassVar[bool] = True  # whether a byte of the request may have been sent
    _permanent: bool = False  # whether another attempt is bound to fail in the same way

    def __init__(
        self,
        status: Optional[int] = None,
        reason: Optional[str] = None,
        http_resp: Optional[Any] = None,
        method: Optional[str] = None,
        path: Optional[str] = None,
    ) -> None:
        """Make the exception from its parts or from a response, as of urllib3.

        A fake response needs ``status``, ``reason``, ``data`` as bytes or text, and ``headers`` or,
        as in libica 2.5, ``getheaders()``.
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
        """Whether the call may have changed something nevertheless; look before launching again."""
        if self.method in (None, "GET", "HEAD") or not self._sent:
            return False
        status: Any = self.status  # a string in some users' tests
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
        line = line if len(line) <= LONGEST_TEXT else f"{line[:LONGEST_TEXT]}..."
        ours = next(cls for cls in type(self).__mro__ if cls.__module__ == __name__)
        return f"{line} [errors#{heading(ours)}]" if line else ""


class BadRequestException(ApiException):
    """400: the request is invalid; the service's message says why."""


class UnauthorizedException(ApiException):
    """401: the token is missing, invalid or expired."""


class ForbiddenException(ApiException):
    """403: the token is valid but does not permit this call."""


class NotFoundException(ApiException):
    """404: the object does not exist or is not visible to this token."""


class ConflictException(ApiException):
    """409: the request conflicts with existing data, such as a name that is taken."""


class TooManyRequestsException(ApiException):
    """429: too many requests, even after the client's retries."""


class ServiceException(ApiException):
    """500 to 599: the service failed."""


class InvalidResponseException(ApiException):
    """The response does not follow the contract or is not HTTP; ``reason`` says what and where.

    Examples: a login page in HTML, an empty or overlong body, a field of the wrong type.
    """


class ApiConnectionException(ApiException):
    """No complete response was received; ``__cause__`` is urllib3's error."""


class ConnectException(ApiConnectionException):
    """No connection was made, so nothing was sent; subclasses give the reason if it is known."""

    _sent = False


class UnknownHostException(ConnectException):
    """The host name has no address: it is misspelled, or there is no network."""


class ProxyException(ConnectException):
    """The proxy could not be reached or refused to forward the call."""


class TlsException(ConnectException):
    """The certificate is not trusted, has expired or names another host."""

    _permanent = True


class ConnectTimeoutException(ConnectException):
    """No connection was made within the connect timeout."""


class ReadTimeoutException(ApiConnectionException):
    """The response was not complete within the read timeout."""


class DeadlineException(ReadTimeoutException):
    """The timeout of the whole call, given as one number, passed before the response."""


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


def heading(cls: type[BaseException]) -> str:
    """Return the anchor of a class in the documentation's page of errors: ``not-found``."""
    return "-".join(re.findall("[A-Z][a-z]+", cls.__name__.removesuffix("Exception"))).lower()


def _headers(response: Any) -> Mapping[str, str]:
    headers: Any = getattr(response, "headers", None)
    if isinstance(headers, Mapping):
        return headers
    try:
        return dict(getattr(response, "getheaders", lambda: headers)())
    except (TypeError, ValueError):  # a mock without any
        return {}


def _error_response(body: Optional[str]) -> dict[str, Any]:
    """Return the valid fields of an ``ErrorResponse``; none if the body is something else."""
    import json

    types = {"code": str, "message": str, "details": list}
    try:
        given = json.loads(body or "").items()
    except (TypeError, ValueError, RecursionError, AttributeError):
        return {}
    return {name: value for name, value in given if isinstance(value, types.get(name, ()))}


def wrong_type(where: str, accepted: str, value: object) -> ApiTypeError:
    """Make the error for a value of the wrong type, which is not shown: it may be a secret."""
    return ApiTypeError(f"Invalid type for `{where}`, must be {accepted}, not {kind(value)}")


def wrong_value(where: str, accepted: str) -> ApiValueError:
    """Make the error for an invalid value, which is not shown: it may be a secret."""
    return ApiValueError(f"Invalid value for `{where}`, must {accepted}")


def kind(value: object) -> str:
    """Name the type of a value for a message, such as ``int`` or ``numpy.bool``."""
    cls = type(value)
    alike = getattr(builtins, cls.__name__, cls) is not cls
    return "None" if value is None else f"{cls.__module__}." * alike + cls.__name__


def closest(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean ...?"`` if a known name is close, or an empty string."""
    import difflib

    match = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {match[0]!r}?" if match else ""
