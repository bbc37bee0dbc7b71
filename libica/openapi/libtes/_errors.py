"""Maps urllib3's errors and refused calls to our exceptions, without the secrets they repeat."""

import re
import socket
import ssl
from http import client as http
from typing import Any, Optional
from urllib.parse import urlsplit

from urllib3 import exceptions as wire
from urllib3._collections import HTTPHeaderDict  # urllib3 1.26 has it there alone

from . import exceptions as ours
from ._messages import Request
from ._proxies import Proxy
from ._redaction import chain, redact, redact_text, scrub

_CLASSES: dict[type[ours.ApiException], str] = {
    ours.TlsException: "could not make a secure connection to",
    ours.ConnectTimeoutException: "timed out connecting to",
    ours.UnknownHostException: "could not find the address of",
    ours.ProxyException: "could not connect to",
    ours.ConnectException: "could not connect to",
    ours.ReadTimeoutException: "timed out waiting for a complete response from",
    ours.DeadlineException: "timed out waiting for a complete response from",
    ours.InvalidResponseException: "invalid response from",
    ours.ConnectionLostException: "connection lost to",
}
_TIMEOUTS = (wire.ReadTimeoutError, wire.ConnectTimeoutError)  # not their subclasses
_LATE = (socket.timeout, TimeoutError)  # one class from Python 3.10 on
_NO_HTTP = (http.HTTPException, http.BadStatusLine, http.LineTooLong, http.UnknownProtocol)
# Retrying a wrong password may lock the account.
_REFUSED = re.compile(r"Tunnel connection failed: 4\d\d|SOCKS5AuthError").search


def connection_exception(
    error: BaseException,
    request: Request,
    proxy: Optional[Proxy],
    sent: bool,
    status: Optional[int],
) -> ours.ApiException:
    """Make the exception for a call without a complete response; ``error`` is its cause.

    ``sent`` tells whether a byte of the request may have left.
    """
    causes = chain(error)
    cls = _class_of(causes, request, proxy, sent)
    root, inner = error, _origin(error)
    while inner is not None:
        root, inner = (inner if str(inner) else root), _origin(inner)  # pyOpenSSL's have no text
    secrets = request.secrets(proxy)
    scrub(error, secrets)
    host, through = urlsplit(request.url).hostname, f" through {proxy.url}" if proxy else ""
    reason = redact(f"{_CLASSES[cls]} {host}{through}: {root}", known=secrets)
    exception = cls(status, reason, method=request.method, path=request.path)
    exception.__cause__ = error
    if cls is ours.ProxyException:
        exception._permanent = any(_REFUSED(f"{type(each).__name__} {each}") for each in causes)
    return exception


def response_exception(
    response: Any, request: Request, token: Optional[str], unusable: Any = None
) -> ours.ApiException:
    """Make the exception for a response; secrets that it repeats are masked."""
    known = ours.STATUS_EXCEPTIONS.get(response.status, ours.ApiException)
    cls = ours.InvalidResponseException if unusable else known
    sent = request.secrets(response.proxy, token)
    headers = HTTPHeaderDict(redact(list(response.headers.items()), known=sent))
    reason = redact((unusable or response).reason, known=sent)
    body = redact_text(response.data.decode("utf-8", "replace"), sent).encode("utf-8", "replace")
    masked = response._replace(reason=reason, headers=headers, data=body)
    exception = cls(None, None, masked, request.method, request.path)
    if unusable:
        exception.__cause__ = unusable.__cause__
        scrub(exception.__cause__, sent)
    return exception


def is_of_proxy(response: Any) -> bool:
    """Tell whether a response is a refusal by a proxy rather than the service's."""
    server = response.headers.get("Server", "").lower()
    own = "X-Squid-Error" in response.headers or server.startswith(("squid", "tinyproxy"))
    # tinyproxy sends 401 for a wrong login.
    return response.status == 407 or (response.status in (401, 403) and own)


def proxy_exception(response: Any, request: Request, proxy: Proxy) -> ours.ProxyException:
    """Make the exception for a call that its proxy refused."""
    said = redact(f"{response.status} {response.reason}", known=request.secrets(proxy))
    host = urlsplit(request.url).hostname
    reason = f"could not connect to {host} through {proxy.url}: the proxy returned {said}"
    exception = ours.ProxyException(None, reason, method=request.method, path=request.path)
    exception._permanent = True
    return exception


def _origin(error: BaseException) -> Optional[BaseException]:
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _class_of(
    causes: list[BaseException], request: Request, proxy: Optional[Proxy], sent: bool
) -> type[ours.ApiException]:
    late = any(type(each) in _TIMEOUTS or isinstance(each, _LATE) for each in causes)
    if sent:
        if late:
            whole = isinstance(request.timeout, (int, float))
            return ours.DeadlineException if whole else ours.ReadTimeoutException
        if any(type(each) in _NO_HTTP or isinstance(each, wire.DecodeError) for each in causes):
            return ours.InvalidResponseException
        return ours.ConnectionLostException
    if late:
        return ours.ConnectTimeoutException
    if any(isinstance(each, (wire.SSLError, ssl.SSLError)) for each in causes):
        return ours.TlsException
    if proxy:
        return ours.ProxyException
    if any(isinstance(each, socket.gaierror) for each in causes):
        return ours.UnknownHostException
    return ours.ConnectException
