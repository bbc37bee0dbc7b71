"""Maps urllib3's errors to ours: the class follows from whether the request was sent, and why."""

import re
import socket
import ssl
from http import client as http
from typing import Optional
from urllib.parse import urlsplit

from urllib3 import exceptions as wire

from . import exceptions as ours
from ._redaction import chain, redact, scrub
from .configuration import Timeout

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
    method: str,
    url: str,
    *,
    sent: bool,
    proxy: Optional[str],
    timeout: Timeout,
    secrets: list[str],
    status: Optional[int],
) -> ours.ApiException:
    """Make the exception for a call without a complete response; ``error`` is its cause.

    ``sent`` tells whether a byte of the request may have left, ``proxy`` is the URL of the proxy.
    """
    causes = chain(error)
    cls = _class_of(causes, sent, proxy, timeout)
    root, inner = error, _origin(error)
    while inner is not None:
        root, inner = (inner if str(inner) else root), _origin(inner)  # pyOpenSSL's have no text
    scrub(error, secrets)
    parts = urlsplit(url)
    through = f" through {proxy}" if proxy else ""
    reason = redact(f"{_CLASSES[cls]} {parts.hostname}{through}: {root}", known=secrets)
    exception = cls(status, reason, method=method, path=parts.path)
    exception.__cause__ = error
    if cls is ours.ProxyException:
        exception._permanent = any(_REFUSED(f"{type(each).__name__} {each}") for each in causes)
    return exception


def _origin(error: BaseException) -> Optional[BaseException]:
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _class_of(
    causes: list[BaseException], sent: bool, proxy: Optional[str], timeout: Timeout
) -> type[ours.ApiException]:
    late = any(type(each) in _TIMEOUTS or isinstance(each, _LATE) for each in causes)
    if sent:
        if late:
            whole = isinstance(timeout, (int, float))
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
