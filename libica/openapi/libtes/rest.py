"""The wire: urllib3's pools, TLS, proxies, time-outs, redirects, and what may be tried again."""

from __future__ import annotations

import functools
import json
import math
import os
import random
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from http import client as http
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple, Optional, Union
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

import urllib3
from urllib3 import exceptions as wire

from . import exceptions as ours
from .confidential import chain, redact, scrub, secrets_of
from .configuration import Configuration, Timeout, check_header, is_url
from .exceptions import ApiException

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse

__all__ = ["Answer", "ApiException", "Request", "Rest", "RetryPolicy", "retry_after", "retry_delay"]

MAX_REDIRECTS = 5
REDIRECTS = frozenset((301, 302, 303, 307, 308))
SAFE_METHODS = frozenset(("GET", "HEAD"))
RETRIED_STATUSES = frozenset((408, 429, 500, 502, 503, 504))
RETRY_AFTER_LIMIT = 120.0
"""Seconds up to which a ``Retry-After`` is obeyed; beyond it the error is raised."""

PUBLIC_HEADERS = frozenset(("accept", "content-type", "user-agent"))
"""Headers that are sent to any host; all others are treated as secret."""
CONTENT_CODINGS = frozenset(("", "identity", "gzip", "deflate"))
MAX_HEAD = 2**20
CHUNK = 2**14
"""Bytes to decompress at a time, each of which may become a thousand."""

Connections = Union[urllib3.PoolManager, urllib3.HTTPConnectionPool]

# urllib3 reports the first failure as it is: trying again is decided here.
_ONCE = urllib3.Retry(total=False, redirect=False)


class Request(NamedTuple):
    """A call, checked and ready to be sent."""

    method: str
    url: str
    headers: dict[str, str]
    body: Optional[bytes]
    timeout: Timeout
    preload: bool

    @property
    def path(self) -> str:
        """The path without the query, which may hold page tokens."""
        return urlsplit(self.url).path

    def __repr__(self) -> str:
        return f"<{self.method} {self.path}>"  # headers and body may be secret


class Answer(NamedTuple):
    """An answer that was read to its end; other ones are urllib3's, with the same attributes."""

    status: int
    reason: Optional[str]
    headers: urllib3.HTTPHeaderDict
    data: bytes

    def __repr__(self) -> str:
        return f"<{self.status} with {len(self.data)} bytes>"


class RetryPolicy(NamedTuple):
    """How often to try again, and the longest waits: the first, and that of all (seconds)."""

    total: int = 3
    backoff: float = 0.5
    longest: float = 8.0

    @classmethod
    def of(cls, retries: Union[int, urllib3.Retry, None]) -> RetryPolicy:
        """Read ``Configuration.retries``; what it cannot be is an error."""
        if retries is None:
            return cls()
        if isinstance(retries, urllib3.Retry):
            longest: float = getattr(retries, "backoff_max", urllib3.Retry.DEFAULT_BACKOFF_MAX)
            return cls(int(retries.total or 0), retries.backoff_factor, longest)
        if not isinstance(retries, int):
            raise ours.wrong_type("retries", "int or urllib3.Retry", retries)
        if retries < 0:
            raise ours.wrong_value("retries", f"be 0 or more, got {retries}")
        return cls(total=int(retries))


def retry_delay(
    policy: RetryPolicy,
    tried: int,
    method: str,
    outcome: Union[int, ApiException],
    retry_after: Optional[float] = None,
    fraction: float = 1.0,
    left: float = math.inf,
) -> Optional[float]:
    """Decide whether a call is tried again: the seconds to wait before, or ``None``.

    A call that only reads is repeated after a connection error and after the statuses that pass.
    Any other is repeated only where the service cannot have acted on it. ``tried`` is how often
    that was done; ``outcome`` the status, or why there is none; ``retry_after`` the seconds that
    the service asked for; ``fraction`` a random part, from 0 to 1, of the wait to take; ``left``
    the seconds that the call may still last.
    """
    if isinstance(outcome, ours.TlsException):
        passing = False
    elif method in SAFE_METHODS:
        passing = isinstance(outcome, ours.ApiConnectionException) or outcome in RETRIED_STATUSES
    else:
        passing = isinstance(outcome, ours.ConnectException) or outcome == 429
    if not passing or tried >= policy.total:
        return None
    delay = min(policy.longest, policy.backoff * 2.0 ** min(tried, 60)) * fraction
    if retry_after is not None:
        delay = retry_after
    return delay if delay <= RETRY_AFTER_LIMIT and delay < left else None


class Rest:
    """Sends requests over connections that are kept open, by the configuration as it then is."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._pools: dict[object, Connections] = {}

    def close(self) -> None:
        """Close the connections; the next request opens new ones."""
        pools, self._pools = self._pools, {}
        for each in pools.values():
            (each.clear if isinstance(each, urllib3.PoolManager) else each.close)()

    __del__ = close

    def send(self, request: Request, end: float) -> Union[Answer, BaseHTTPResponse]:
        """Send a request, again where that is safe and may help; return an answer or raise.

        ``end`` is when the call is over, by the clock of ``deadline``.
        """
        policy = RetryPolicy.of(self._configuration.retries)
        path = request.path  # a redirect may lead to another, which nobody asked for
        tried = redirected = 0
        while True:
            outcome: Any = self._attempt(request, end)
            failed = isinstance(outcome, ApiException)
            if not failed and outcome.status < 300:
                break
            elsewhere = None if failed else _redirected(request, outcome)
            if elsewhere is not None and redirected < MAX_REDIRECTS:
                redirected += 1
                request = elsewhere
                continue
            what = outcome if failed else outcome.status
            wish = None if failed else retry_after(outcome.headers)
            left = end - time.monotonic()
            delay = retry_delay(policy, tried, request.method, what, wish, random.random(), left)
            if delay is None:
                break
            time.sleep(delay)
            tried += 1
        if failed:
            outcome.path = path
            raise outcome
        return outcome  # type: ignore[no-any-return]

    def _attempt(
        self, request: Request, end: float
    ) -> Union[Answer, BaseHTTPResponse, ApiException]:
        """Return the answer, or the exception that says why there is none."""
        response: Any = None
        try:
            pool, target = self._connections(request.url)
            response = pool.urlopen(
                request.method,
                target,
                body=request.body,
                headers=request.headers,
                timeout=_timeout(request.timeout, end),
                retries=_ONCE,
                redirect=False,
                preload_content=False,
                enforce_content_length=True,
            )
            if response.status < 300 and not request.preload:
                return response  # type: ignore[no-any-return]
            data = _read(response, self._configuration.max_response_bytes)
        except wire.ClosedPoolError:  # by another thread, and nothing was sent
            return self._attempt(request, end)
        except wire.HTTPError as error:
            if response is None:
                return connection_exception(error, request, self.secrets(request))
            response.close()
            if response.status < 300:
                known = self.secrets(request)
                return connection_exception(error, request, known, response.status)
            data = b""  # the status says enough
        return Answer(response.status, response.reason, response.headers, data)

    def secrets(self, request: Request, refused: Optional[str] = None) -> list[str]:
        """Return what no message about a call may repeat; ``refused`` is a token sent before."""
        texts = [v for k, v in request.headers.items() if k.lower() not in PUBLIC_HEADERS]
        texts += [refused] if refused else []
        proxy = self._configuration.proxy or _environment_proxy(request.url)
        if proxy:
            _, headers, login = _proxy_parts(proxy, self._configuration.proxy_headers)
            texts += [*headers.values(), login, login.partition(":")[2]]
        return secrets_of(texts, json.loads(request.body or "null"))

    def _connections(self, url: str) -> tuple[Connections, str]:
        """Return the connections to use, and what they are to be asked for."""
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        headers = str(self._configuration.proxy_headers)
        made_with = (origin, headers, *_MADE_WITH(self._configuration))
        pools = self._pools
        pool = pools.get(made_with)
        if pool is None:
            pool = pools.setdefault(made_with, _connect(self._configuration, origin))
        if isinstance(pool, urllib3.PoolManager):
            return pool, url
        target = url[len(origin) :]
        return pool, target if target.startswith("/") else f"/{target}"


class _TimedReader(socket.SocketIO):
    """Reads an answer until its time is over, however often a part of it comes."""

    connection: socket.socket
    end = math.inf
    bytes_left = math.inf
    has_head = False
    is_first = True

    def close(self) -> None:
        # What was sent beyond the answer must not be taken for the next one.
        if not self.closed and getattr(self.connection, "pending", int)():
            self.connection.shutdown(socket.SHUT_RDWR)
        super().close()

    def readinto(self, b: Any) -> Optional[int]:
        if self.is_first:  # for which the socket's own time-out has just been set
            self.is_first = False
        elif self.end < math.inf:
            left = self.end - time.monotonic()
            if left <= 0:
                raise socket.timeout("timed out")
            self.connection.settimeout(left)
        count = super().readinto(b)
        self.bytes_left -= count or 0
        if self.bytes_left < 0:
            raise http.HTTPException("the answer is longer than max_response_bytes allows")
        if not count and not self.has_head:
            raise http.RemoteDisconnected("closed before the head of the answer was complete")
        return count


class _TimedResponse(http.HTTPResponse):
    """An answer that must be complete, its head too, when the read time-out is over."""

    def __init__(self, most: float, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        reader: Any = self.fp.raw
        reader.__class__ = _TimedReader
        reader.connection = sock
        reader.end = time.monotonic() + (sock.gettimeout() or math.inf)
        reader.bytes_left = most
        self._reader = reader

    def begin(self) -> None:
        super().begin()
        while 102 <= self.status < 200:  # http.client passes over 100 alone
            self.headers = self.msg = None  # type: ignore[assignment]
            super().begin()
        self._reader.has_head = True
        if self.headers.defects:  # urllib3 would log the lines that are no headers
            self.headers.defects.clear()
            self.headers.set_payload("")


def _limited(pool: Any, limit: Optional[int]) -> Any:
    """Return a class of pools like this one whose answers end, in time and within a size."""
    most = 8 * (limit or math.inf) + MAX_HEAD  # small chunks have that much around them

    class Connection(pool.ConnectionCls):  # type: ignore[misc]
        response_class = staticmethod(functools.partial(_TimedResponse, most))

        def connect(self) -> None:
            try:
                super().connect()
            except Exception as error:
                error.connecting = True  # type: ignore[attr-defined]
                raise

    return type(pool.__name__, (pool,), {"ConnectionCls": Connection})


@functools.cache
def _pools(limit: Optional[int]) -> dict[str, Any]:
    kinds = {"http": urllib3.HTTPConnectionPool, "https": urllib3.HTTPSConnectionPool}
    return {scheme: _limited(pool, limit) for scheme, pool in kinds.items()}


def _read(response: BaseHTTPResponse, limit: Optional[int]) -> bytes:
    """Read the body, of at most so many bytes when decompressed."""
    headers = response.headers
    coding = headers["Content-Encoding"].strip().lower() if "Content-Encoding" in headers else ""
    if coding not in CONTENT_CODINGS:
        raise wire.DecodeError("its Content-Encoding is none that was asked for")
    length = response.length_remaining if coding in ("", "identity") else None
    try:
        if length is None:
            data = b"".join(_counted(response.stream(CHUNK, decode_content=True), limit))
        else:
            _check_size(length, limit)
            data = response.read()
    except ValueError as error:  # of http.client, for the length of a chunk
        raise wire.DecodeError(error) from error
    response.release_conn()
    return data


def _counted(chunks: Iterable[bytes], limit: Optional[int]) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        _check_size(size, limit)
        yield chunk


def _check_size(size: int, limit: Optional[int]) -> None:
    if limit is not None and size > limit:
        raise wire.DecodeError(f"the body is longer than max_response_bytes, {limit}")


def connection_exception(
    error: Exception, request: Request, known: list[str], status: Optional[int] = None
) -> ApiException:
    """Say in this package's terms why urllib3 has no answer; ``__cause__`` is its error."""
    root: BaseException = error
    while inner := root.__cause__ or (None if root.__suppress_context__ else root.__context__):
        root = inner
    came_from = chain(error)
    cls, what = next(say for known, say in _FAILURES.items() if isinstance(error, known))
    if any(getattr(each, "connecting", False) for each in came_from):
        cls, what = _WHILE_CONNECTING.get(cls, (cls, what))
        if isinstance(root, socket.gaierror) and cls is ours.ConnectException:
            cls = ours.UnknownHostException
    elif cls is ours.TlsException:
        cls, what = _FAILURES[Exception]
    elif cls is ours.ReadTimeoutException and isinstance(request.timeout, (int, float)):
        cls = ours.DeadlineException
    elif any(type(each) in _NO_HTTP for each in came_from):
        cls, what = _FAILURES[wire.DecodeError]
    scrub(error, known)
    reason = redact(f"{what} {urlsplit(request.url).hostname}: {root}", known=known)
    exception = cls(status, reason, method=request.method, path=request.path)
    exception.__cause__ = error
    return exception


_NO_HTTP = (http.HTTPException, http.BadStatusLine, http.LineTooLong, http.UnknownProtocol)
_FAILURES: dict[type[Exception], tuple[type[ApiException], str]] = {
    wire.ProxyError: (ours.ProxyException, "no way through the proxy to"),
    wire.SSLError: (ours.TlsException, "no secure connection to"),
    wire.NewConnectionError: (ours.ConnectException, "no connection to"),
    wire.ConnectTimeoutError: (ours.ConnectTimeoutException, "no connection in time to"),
    wire.ReadTimeoutError: (ours.ReadTimeoutException, "no complete answer in time from"),
    wire.LocationValueError: (ours.ConnectException, "no connection to"),
    wire.DecodeError: (ours.InvalidResponseException, "no usable answer from"),
    Exception: (ours.ConnectionLostException, "connection lost to"),
}
_WHILE_CONNECTING: dict[type[ApiException], tuple[type[ApiException], str]] = {
    ours.ReadTimeoutException: _FAILURES[wire.ConnectTimeoutError],
    ours.ConnectionLostException: _FAILURES[wire.NewConnectionError],
}


def deadline(timeout: Timeout) -> float:
    """Return when a call that begins now is over: never, if only its attempts have a time-out."""
    return time.monotonic() + timeout if isinstance(timeout, (int, float)) else math.inf


def _timeout(timeout: Timeout, end: float) -> urllib3.Timeout:
    if isinstance(timeout, (int, float)):
        return urllib3.Timeout(total=max(end - time.monotonic(), 0.001))
    return _pair_of(timeout or (None, None))


@functools.lru_cache(maxsize=64)
def _pair_of(pair: tuple[Optional[float], Optional[float]]) -> urllib3.Timeout:
    return urllib3.Timeout(connect=pair[0], read=pair[1])


def retry_after(headers: Optional[Mapping[str, str]]) -> Optional[float]:
    """Return the seconds that ``Retry-After`` asks to wait, given as seconds or as a date."""
    value = (headers or {}).get("Retry-After", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return max(0.0, (moment - datetime.now(timezone.utc)).total_seconds())


def _redirected(request: Request, response: Any) -> Optional[Request]:
    """Return the request to make elsewhere, if it may be repeated there.

    Another origin, be it but another scheme, gets none of the headers that may be secret.
    """
    location = response.headers.get("Location")
    if not location or response.status not in REDIRECTS or request.method not in SAFE_METHODS:
        return None
    try:
        url = urljoin(request.url, location)
        origin, target = urlsplit(request.url)[:2], urlsplit(url)[:2]
    except ValueError:
        return None
    if target[0] not in ("http", "https"):
        return None
    headers = request.headers
    if origin != target:
        headers = {k: v for k, v in headers.items() if k.lower() in PUBLIC_HEADERS}
    return request._replace(url=url, headers=headers)


# A change of one of these makes new connections.
_MADE_WITH = attrgetter(
    *"connection_pool_maxsize ssl_ca_cert cert_file key_file".split(),
    *"verify_ssl assert_hostname proxy max_response_bytes".split(),
)


def _connect(configuration: Configuration, origin: str) -> Connections:
    authorities = configuration.ssl_ca_cert
    if authorities is None:
        import certifi

        authorities = certifi.where()
    for name in ("ssl_ca_cert", "cert_file", "key_file"):
        path = getattr(configuration, name)
        if path is not None and not os.path.exists(path):
            raise ours.wrong_value(name, f"be a file that exists, not {path!r}")
    options: dict[str, Any] = {
        "num_pools": 4,
        "maxsize": configuration.connection_pool_maxsize or 4,
        "cert_reqs": "CERT_REQUIRED" if configuration.verify_ssl else "CERT_NONE",
        "cert_file": configuration.cert_file,
        "key_file": configuration.key_file,
        "ca_cert_dir" if os.path.isdir(authorities) else "ca_certs": authorities,
    }
    if configuration.assert_hostname is not None:
        options["assert_hostname"] = configuration.assert_hostname
    proxy = configuration.proxy or _environment_proxy(origin)
    manager = urllib3.PoolManager(**options)
    if proxy:
        url, headers, _ = _proxy_parts(proxy, configuration.proxy_headers)
        manager = urllib3.ProxyManager(url, proxy_headers=headers, **options)
    manager.pool_classes_by_scheme = _pools(configuration.max_response_bytes)
    # Without TLS a proxy is asked for whole URLs, which its manager sees to.
    through = proxy and not origin.startswith("https")
    return manager if through else manager.connection_from_url(origin)


def _environment_proxy(origin: str) -> Optional[str]:
    """Return the proxy that the environment names for a host, unless ``NO_PROXY`` exempts it."""
    from urllib import request as environment  # not before it is needed: it loads a lot

    proxies = environment.getproxies_environment()
    parts = urlsplit(origin)
    if not proxies or environment.proxy_bypass_environment(parts.netloc, proxies):  # type: ignore[attr-defined]
        return None
    proxy: Optional[str] = proxies.get(parts.scheme) or proxies.get("all")
    return proxy


def _proxy_parts(
    proxy: str, headers: Optional[Mapping[str, str]]
) -> tuple[str, dict[str, str], str]:
    """Take user and password out of a proxy's URL, where error messages would show them."""
    url = proxy if "://" in proxy else f"http://{proxy}"
    if not is_url(url):
        raise ours.wrong_value("proxy", "be a URL with http:// or https://")
    for name, value in (headers or {}).items():
        check_header(name, value, "proxy_headers")
    parts = urlsplit(url)
    quoted, _, address = parts.netloc.rpartition("@")
    login = unquote(quoted)
    try:
        basic = urllib3.make_headers(proxy_basic_auth=login) if login else {}
    except UnicodeEncodeError:
        raise ours.wrong_value("proxy", "have a user and password of Latin-1 letters") from None
    return urlunsplit((parts.scheme, address, "", "", "")), {**basic, **(headers or {})}, login
