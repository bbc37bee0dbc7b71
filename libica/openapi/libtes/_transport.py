"""Requests over urllib3's pools, with TLS, proxies, redirects and limits of time and size.

Each attempt knows whether a byte of its request may have left: a pool connects first, notes that
the request is now being sent, and lets urllib3 go on. What may be retried, and which exception is
raised, follows from that note alone.
"""

from __future__ import annotations

import functools
import io
import json
import math
import os
import random
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from http import client as http
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple, Optional, Union
from urllib.parse import urljoin, urlsplit

import urllib3
from urllib3 import exceptions as wire

from ._errors import connection_exception
from ._proxies import Proxy, proxy_for
from ._redaction import redact, secrets_of
from ._retry import SAFE_METHODS, RetryPolicy, retry_after, retry_delay
from .configuration import Configuration, Timeout
from .exceptions import ApiException, ProxyException, wrong_value

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse

MAX_REDIRECTS = 5
REDIRECTS = frozenset((301, 302, 303, 307, 308))
PUBLIC_HEADERS = frozenset(("accept", "content-type", "user-agent"))
"""Headers that are sent to any host; all others are treated as secret."""

CONTENT_CODINGS = frozenset(("", "identity", "gzip", "deflate"))
MAX_POOLS = 8
"""Hosts, or settings of one host, whose connections are kept open."""

MAX_HEAD = 2**20
CHUNK = 2**14
"""Bytes to decompress at a time, each of which may become a thousand."""

# urllib3 reports the first failure as it is: retrying is decided here.
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


class Response(NamedTuple):
    """A response that was read completely; a raw one is urllib3's, with the same attributes."""

    status: int
    reason: Optional[str]
    headers: urllib3.HTTPHeaderDict
    data: bytes

    def __repr__(self) -> str:
        return f"<{self.status} with {len(self.data)} bytes>"


class _Attempt(threading.local):
    """The attempt that this thread makes.

    Attributes:
        sent: Whether a byte of the request may have left. A pool that is not ours, as in a test
            that patches urllib3, leaves it at the safe side.
        most: Longest response in bytes, head included, as it travels.
        timeout: Timeout of the call.
        end: Deadline of the call.
    """

    sent: bool = True
    most: float = math.inf
    timeout: Timeout = None
    end: float = math.inf

    def read_until(self) -> float:
        """Return when a response that is awaited from now on must be complete."""
        if self.timeout is None or isinstance(self.timeout, (int, float)):
            return self.end
        connect, read = self.timeout
        seconds = read if self.sent else connect  # by which a proxy makes its tunnel
        return math.inf if seconds is None else time.monotonic() + seconds


_attempt = _Attempt()
_choosing_connection = threading.RLock()
"""Held while a pool picks or makes a connection, which waits for nothing.

vcrpy puts urllib3's classes back for a moment whenever one of its own is made. Without the lock
another thread would get a real connection in that moment, and its call would leave the cassette.
"""

if hasattr(os, "register_at_fork"):  # so that no child finds it held by a thread of its parent
    _take, _leave = _choosing_connection.acquire, _choosing_connection.release
    os.register_at_fork(before=_take, after_in_parent=_leave, after_in_child=_leave)


class Rest:
    """Sends requests over connections that are kept open, by the settings at that moment."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._pools: OrderedDict[object, urllib3.HTTPConnectionPool] = OrderedDict()
        self._lock = threading.Lock()
        self._latest: tuple[object, Any] = (None, None)

    def close(self) -> None:
        """Close the connections; the next request opens new ones."""
        with self._lock:
            pools, self._pools, self._latest = self._pools, OrderedDict(), (None, None)
        for pool in pools.values():
            pool.close()

    def __del__(self) -> None:
        for pool in vars(self).get("_pools", {}).values():
            pool.close()

    def send(self, request: Request, end: float) -> Union[Response, BaseHTTPResponse]:
        """Send a request, again where that is safe and may help; return the response or raise.

        ``end`` is the deadline, by the clock of ``deadline``.
        """
        policy = RetryPolicy.of(self._configuration.retries)
        path = request.path  # errors name the path that was asked for, not a redirect's
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
    ) -> Union[Response, BaseHTTPResponse, ApiException]:
        """Return the response, or the exception that says why there is none."""
        response: Any = None
        forwarded = False
        limit = self._configuration.max_response_bytes
        _attempt.sent = False
        # Small chunks have up to eight times their size around them.
        _attempt.most = 8 * (limit or math.inf) + MAX_HEAD
        _attempt.timeout, _attempt.end = request.timeout, end
        try:
            pool, target = self._connections(request.url)
            forwarded = target is request.url
            _attempt.sent = True
            response = pool.urlopen(
                request.method,
                target,
                body=request.body,
                headers=request.headers,
                timeout=_timeout(request.timeout, end),
                retries=_ONCE,
                redirect=False,
                assert_same_host=False,  # a proxy is another host
                preload_content=False,
                enforce_content_length=True,
            )
            if response.status < 300 and not request.preload:
                return response  # type: ignore[no-any-return]
            data = _read(response, limit)
        except wire.ClosedPoolError:  # by another thread, and nothing was sent
            return self._attempt(request, end)
        except wire.HTTPError as error:
            if response is None or response.status < 300:
                return self._failure(error, request, response)
            response.close()
            data = b""  # the status says enough
        if forwarded and _is_of_proxy(response):
            return self._refused_by_proxy(request, response)
        return Response(response.status, response.reason, response.headers, data)

    def _failure(self, error: wire.HTTPError, request: Request, response: Any) -> ApiException:
        if response is not None:
            response.close()
        proxy = proxy_for(self._configuration, _origin(request.url))
        return connection_exception(
            error,
            request.method,
            request.url,
            sent=_attempt.sent,
            proxy=proxy and proxy.url,
            timeout=request.timeout,
            secrets=self.secrets(request),
            status=response and response.status,
        )

    def _refused_by_proxy(self, request: Request, response: Any) -> ProxyException:
        host = urlsplit(request.url).hostname
        proxy = proxy_for(self._configuration, _origin(request.url))
        said = redact(f"{response.status} {response.reason}", known=self.secrets(request))
        reason = f"the proxy made no connection to {host} through {proxy and proxy.url}: {said}"
        exception = ProxyException(None, reason, method=request.method, path=request.path)
        exception._permanent = True
        return exception

    def secrets(self, request: Request, refused: Optional[str] = None) -> list[str]:
        """Return what no message about a call may repeat; ``refused`` is a token sent before."""
        texts = [v for k, v in request.headers.items() if k.lower() not in PUBLIC_HEADERS]
        texts += [refused] if refused else []
        proxy = proxy_for(self._configuration, _origin(request.url))
        texts += proxy.secrets if proxy else []
        return secrets_of(texts, json.loads(request.body or "null"))

    def _connections(self, url: str) -> tuple[urllib3.HTTPConnectionPool, str]:
        """Return the pool for a URL, and what to ask it for: the whole URL where a proxy is."""
        origin = _origin(url)
        made_with = (
            origin,
            str(self._configuration.proxy_headers),
            *_MADE_WITH(self._configuration),
        )
        latest, pool = self._latest
        if latest != made_with:
            pool = self._pool(made_with, origin)
        if pool.proxy is not None and origin.startswith("http:"):
            return pool, url
        target = url[len(origin) :]
        return pool, target if target.startswith("/") else f"/{target}"

    def _pool(self, made_with: object, origin: str) -> urllib3.HTTPConnectionPool:
        """Return the pool for an origin and settings; the least recently used ones are dropped."""
        with self._lock:
            pool = self._pools.pop(made_with, None) or _connect(self._configuration, origin)
            self._pools[made_with] = pool
            self._latest = (made_with, pool)
            unused = self._pools.popitem(last=False)[1] if len(self._pools) > MAX_POOLS else None
        if unused is not None:
            unused.close()
        return pool


# A change of one of these makes new connections.
_MADE_WITH = attrgetter(
    *"connection_pool_maxsize ssl_ca_cert cert_file key_file verify_ssl assert_hostname".split(),
    "proxy",
)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _connect(configuration: Configuration, origin: str) -> urllib3.HTTPConnectionPool:
    """Make the pool for an origin. The classes are looked up now, which others may have patched."""
    authorities = configuration.ssl_ca_cert
    if authorities is None:
        import certifi

        authorities = certifi.where()
    for name in ("ssl_ca_cert", "cert_file", "key_file"):
        path = getattr(configuration, name)
        if path is not None and not os.path.exists(path):
            raise wrong_value(name, f"be a file that exists, not {path!r}")
    options: dict[str, Any] = {
        "num_pools": 1,
        "maxsize": configuration.connection_pool_maxsize or 4,
        "cert_reqs": "CERT_REQUIRED" if configuration.verify_ssl else "CERT_NONE",
        "cert_file": configuration.cert_file,
        "key_file": configuration.key_file,
        "ca_cert_dir" if os.path.isdir(authorities) else "ca_certs": authorities,
    }
    if configuration.assert_hostname is not None:
        options["assert_hostname"] = configuration.assert_hostname
    manager = _manager(proxy_for(configuration, origin), options)
    classes = manager.pool_classes_by_scheme
    manager.pool_classes_by_scheme = {k: _watched(pool) for k, pool in classes.items()}
    return manager.connection_from_url(origin)


def _manager(proxy: Optional[Proxy], options: dict[str, Any]) -> urllib3.PoolManager:
    if proxy is None:
        return urllib3.PoolManager(**options)
    if not proxy.is_socks:
        return urllib3.ProxyManager(proxy.url, proxy_headers=proxy.headers, **options)
    from urllib3.contrib.socks import SOCKSProxyManager

    return SOCKSProxyManager(proxy.url, proxy.user or None, proxy.password or None, **options)


@functools.cache
def _watched(pool: Any) -> Any:
    """Return a class of pools like this one that notes when a request is sent."""

    class Watched(pool):  # type: ignore[misc]
        def _get_conn(self, timeout: Optional[float] = None) -> Any:
            _attempt.sent = False
            with _choosing_connection:
                conn = super()._get_conn(timeout)
            if isinstance(conn, http.HTTPConnection):
                conn.response_class = _TimedResponse
            return conn

        def _validate_conn(self, conn: Any) -> None:
            # The last step before the request is written, in every version of urllib3.
            super()._validate_conn(conn)
            if isinstance(conn, http.HTTPConnection) and conn.sock is None:
                conn.connect()
            _attempt.sent = True

    return type(pool.__name__, (Watched,), {})


class _TimedResponse(http.HTTPResponse):
    """A response that must be complete, head included, when the read timeout is over."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self._timed: Optional[_TimedReader] = None
        # A socket that is not CPython's is read as it is, with its own timeout for each part.
        if isinstance(getattr(self.fp, "raw", None), socket.SocketIO):
            raw: Any = self.fp.detach()
            self._timed = _TimedReader(raw, sock)
            self.fp = io.BufferedReader(self._timed)

    def begin(self) -> None:
        super().begin()
        while 102 <= self.status < 200:  # http.client skips 100 alone
            self.headers = self.msg = None  # type: ignore[assignment]
            super().begin()
        if self._timed is not None:
            self._timed.has_head = True
        if self.headers.defects:  # urllib3 would log the lines that are not headers
            self.headers.defects.clear()
            self.headers.set_payload("")


class _TimedReader(io.RawIOBase):
    """Reads from a socket until the time or the size is used up, however small the parts."""

    def __init__(self, raw: socket.SocketIO, sock: socket.socket) -> None:
        self._raw = raw
        self._socket = sock
        self._left = _attempt.most
        self._end = _attempt.read_until()
        self._is_first = True
        self.has_head = False

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._raw.fileno()

    def close(self) -> None:
        # What was sent beyond the response must not be taken for the next one.
        if not self.closed and getattr(self._socket, "pending", int)():
            self._socket.shutdown(socket.SHUT_RDWR)
        self._raw.close()
        super().close()

    def readinto(self, buffer: Any) -> Optional[int]:
        if self._is_first:  # for which the socket's own timeout has just been set
            self._is_first = False
        elif self._end < math.inf:
            left = self._end - time.monotonic()
            if left <= 0:
                raise socket.timeout("timed out")
            self._socket.settimeout(left)
        count = self._raw.readinto(buffer)
        self._left -= count or 0
        if self._left < 0:
            raise http.HTTPException("the response is longer than max_response_bytes allows")
        if not count and not self.has_head:
            raise http.RemoteDisconnected("closed before the head of the response was complete")
        return count


def _is_of_proxy(response: Any) -> bool:
    """Tell whether a proxy that forwards requests made the refusal itself."""
    headers = response.headers
    server = headers.get("Server", "").lower()
    own = "X-Squid-Error" in headers or server.startswith(("squid", "tinyproxy"))
    # To a wrong login tinyproxy says 401.
    return response.status == 407 or (response.status in (401, 403) and own)


def _read(response: BaseHTTPResponse, limit: Optional[int]) -> bytes:
    """Read the body, of at most so many bytes when decompressed."""
    headers = response.headers
    coding = headers["Content-Encoding"].strip().lower() if "Content-Encoding" in headers else ""
    if coding not in CONTENT_CODINGS:
        raise wire.DecodeError("its Content-Encoding was not asked for")
    length = response.length_remaining if coding in ("", "identity") else None
    try:
        if length is None:
            data = b"".join(_counted(response.stream(CHUNK, decode_content=True), limit))
        else:
            _check_size(length, limit)
            data = response.read()
    except ValueError as error:  # of http.client, for the length of a chunk
        raise wire.DecodeError(error) from error
    if (release := getattr(response, "release_conn", None)) is not None:  # vcrpy 8 has none
        release()
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


def deadline(timeout: Timeout) -> float:
    """Return when a call that begins now is over: never, if only its attempts have a timeout."""
    return time.monotonic() + timeout if isinstance(timeout, (int, float)) else math.inf


def _timeout(timeout: Timeout, end: float) -> urllib3.Timeout:
    if isinstance(timeout, (int, float)):
        return urllib3.Timeout(total=max(end - time.monotonic(), 0.001))
    return _pair_of(timeout or (None, None))


@functools.lru_cache(maxsize=64)
def _pair_of(pair: tuple[Optional[float], Optional[float]]) -> urllib3.Timeout:
    return urllib3.Timeout(connect=pair[0], read=pair[1])


def _redirected(request: Request, response: Any) -> Optional[Request]:
    """Return the request to make elsewhere, if it may be repeated there.

    Another origin, even if only the scheme differs, gets none of the headers that may be secret.
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
