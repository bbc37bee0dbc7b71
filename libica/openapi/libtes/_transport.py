"""Sends requests over urllib3's connection pools: TLS, redirects, timeouts and size limits.

Each attempt records whether a byte of its request may have left: a pool connects first, records
that the request is being sent, and then lets urllib3 send it. Retries and exceptions follow from
that record alone.
"""

from __future__ import annotations

import contextlib
import functools
import io
import math
import os
import random
import socket
import threading
import time
from collections import OrderedDict
from http import client as http
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Optional, Union
from urllib.parse import urljoin, urlsplit

import urllib3
from urllib3 import exceptions as wire

from ._errors import connection_exception, is_of_proxy, proxy_exception
from ._messages import PUBLIC_HEADERS, Request, Response
from ._proxies import Proxy, proxy_for
from ._retry import SAFE_METHODS, RetryPolicy, retry_after, retry_delay
from .configuration import Configuration, Timeout
from .exceptions import ApiException, wrong_value

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse

MAX_REDIRECTS = 5
REDIRECTS = frozenset((301, 302, 303, 307, 308))
CONTENT_CODINGS = frozenset(("", "identity", "gzip", "deflate"))
MAX_POOLS = 8  # hosts, or settings of one host, whose connections are kept open
MAX_HEAD = 2**20
CHUNK = 2**14  # bytes to decompress at a time; each may expand to a thousand
_ONCE = urllib3.Retry(total=False, redirect=False)  # urllib3 itself never retries


class _Attempt(threading.local):
    """The attempt that this thread is making; the timeout and the end are those of the call."""

    sent: bool = True  # whether a byte of the request may have left, unless a pool says otherwise
    most: float = math.inf  # bytes of the response, with its head, before decompression
    timeout: Timeout = None
    end: float = math.inf

    def read_until(self) -> float:
        """Return the time by which a response must be complete if waiting begins now."""
        if self.timeout is None or isinstance(self.timeout, (int, float)):
            return self.end
        connect, read = self.timeout
        seconds = read if self.sent else connect  # the latter for a proxy's tunnel
        return math.inf if seconds is None else time.monotonic() + seconds


_attempt = _Attempt()
# Held while a pool picks or makes a connection, which never blocks. When vcrpy makes one, it
# restores urllib3's classes for a moment, in which another thread would bypass the cassette.
_choosing_connection = threading.RLock()
if hasattr(os, "register_at_fork"):  # so that no child inherits it held by another thread
    _take, _leave = _choosing_connection.acquire, _choosing_connection.release
    os.register_at_fork(before=_take, after_in_parent=_leave, after_in_child=_leave)


class Rest:
    """Sends requests over connections that it keeps open, with the settings of that moment."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._pools: OrderedDict[object, _Connected] = OrderedDict()
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the connections; the next request opens new ones."""
        with self._lock:
            pools, self._pools = self._pools, OrderedDict()
        for pool, _ in pools.values():
            pool.close()

    def __del__(self) -> None:
        for pool, _ in vars(self).get("_pools", {}).values():
            pool.close()

    def send(self, request: Request, end: float) -> Union[Response, BaseHTTPResponse]:
        """Send a request, with retries and redirects, until a deadline; return the response."""
        policy = RetryPolicy.of(self._configuration.retries)
        path = request.path  # errors name the path of the call, not a redirect's
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
            asked = None if failed else retry_after(outcome.headers)
            left = end - time.monotonic()
            delay = retry_delay(policy, tried, request.method, what, asked, random.random(), left)
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
        proxy: Optional[Proxy] = None
        forwarded = False
        limit = self._configuration.max_response_bytes
        _attempt.sent = False
        # Small chunks have up to eight times their size around them.
        _attempt.most = 8 * (limit or math.inf) + MAX_HEAD
        _attempt.timeout, _attempt.end = request.timeout, end
        try:
            origin = request.origin
            pool, proxy = self._connections(origin)
            forwarded = pool.proxy is not None and origin.startswith("http:")
            target = request.url[len(origin) :]
            target = target if target.startswith("/") else f"/{target}"
            timeout = _timeout(request.timeout, end)
            _attempt.sent = True
            response = pool.urlopen(
                request.method,
                request.url if forwarded else target,
                body=request.body,
                headers=request.headers,
                timeout=timeout,
                retries=_ONCE,
                redirect=False,
                assert_same_host=False,  # a proxy is another host
                preload_content=False,
                enforce_content_length=True,
            )
            if 200 <= response.status < 300 and not request.preload:
                return response  # type: ignore[no-any-return]
            data = _read(response, limit)
        except wire.ClosedPoolError:  # by another thread, and nothing was sent
            return self._attempt(request, end)
        except wire.HTTPError as error:
            if response is not None:
                response.close()
            if response is None or response.status < 300:
                status = response and response.status
                return connection_exception(error, request, proxy, _attempt.sent, status)
            data = b""  # the status says enough
        if forwarded and proxy and is_of_proxy(response):
            return proxy_exception(response, request, proxy)
        return Response(response.status, response.reason, response.headers, data, proxy)

    def _connections(self, origin: str) -> _Connected:
        """Return the pool for an origin and its proxy; the least recently used pool is dropped."""
        configuration = self._configuration
        made_with = (origin, str(configuration.proxy_headers), *_MADE_WITH(configuration))
        with self._lock:
            found = self._pools.pop(made_with, None) or _connect(configuration, origin)
            self._pools[made_with] = found
            unused = self._pools.popitem(last=False)[1] if len(self._pools) > MAX_POOLS else None
        if unused is not None:
            unused[0].close()
        return found


_Connected = tuple[urllib3.HTTPConnectionPool, Optional[Proxy]]
_FILES = ("ssl_ca_cert", "cert_file", "key_file")
# A change of one of these makes new connections.
_MADE_WITH = attrgetter(
    "connection_pool_maxsize", "verify_ssl", "assert_hostname", "proxy", *_FILES
)


def _connect(configuration: Configuration, origin: str) -> _Connected:
    """Make the pool for an origin, of urllib3's classes as they are now: others may patch them."""
    proxy = proxy_for(configuration, origin)
    authorities = configuration.ssl_ca_cert
    if authorities is None:
        import certifi

        authorities = certifi.where()
    for name in _FILES:
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
    manager = _manager(proxy, options)
    classes = manager.pool_classes_by_scheme
    manager.pool_classes_by_scheme = {k: _watched(pool) for k, pool in classes.items()}
    return manager.connection_from_url(origin), proxy


def _manager(proxy: Optional[Proxy], options: dict[str, Any]) -> urllib3.PoolManager:
    if proxy is None:
        return urllib3.PoolManager(**options)
    if not proxy.url.startswith("socks"):
        return urllib3.ProxyManager(proxy.url, proxy_headers=proxy.headers, **options)
    from urllib3.contrib.socks import SOCKSProxyManager

    return SOCKSProxyManager(proxy.url, proxy.user or None, proxy.password or None, **options)


@functools.cache
def _watched(pool: Any) -> Any:
    class Watched(pool):  # type: ignore[misc]
        def _get_conn(self, timeout: Optional[float] = None) -> Any:
            _attempt.sent = False
            with _choosing_connection:
                conn = super()._get_conn(timeout)
            if isinstance(conn, http.HTTPConnection):
                conn.response_class = _TimedResponse
            return conn

        def _put_conn(self, conn: Any) -> None:
            try:
                super()._put_conn(conn)
            except AttributeError:  # urllib3 logs the size of a full pool, though it is now closed
                if conn is not None:
                    conn.close()

        def _validate_conn(self, conn: Any) -> None:
            # The last step before the request is written, in every version of urllib3.
            super()._validate_conn(conn)
            if isinstance(conn, http.HTTPConnection) and conn.sock is None:
                conn.connect()
            _attempt.sent = True

    return type(pool.__name__, (Watched,), {})


class _TimedResponse(http.HTTPResponse):
    """A response that must be complete, with its head, within the read timeout."""

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
    """Reads from a socket within limits of time and size for the whole response."""

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
        # Bytes after the end of the response must not be read as the next one.
        if not self.closed and getattr(self._socket, "pending", int)():
            self._socket.shutdown(socket.SHUT_RDWR)
        self._raw.close()
        super().close()

    def readinto(self, buffer: Any) -> Optional[int]:
        if self._is_first:  # the socket's own timeout has just been set
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


def _read(response: BaseHTTPResponse, limit: Optional[int]) -> bytes:
    """Read the body; ``limit`` is its greatest size in bytes when decompressed."""
    headers = response.headers
    coding = headers["Content-Encoding"].strip().lower() if "Content-Encoding" in headers else ""
    if coding not in CONTENT_CODINGS:
        raise wire.DecodeError("its Content-Encoding was not requested")
    length = response.length_remaining if coding in ("", "identity") else None
    try:
        if length is not None:
            _check_size(length, limit)
            data = response.read()
        else:
            parts = bytearray()
            for chunk in response.stream(CHUNK, decode_content=True):
                parts += chunk
                _check_size(len(parts), limit)
            data = bytes(parts)
    except ValueError as error:  # of http.client, for the length of a chunk
        raise wire.DecodeError(error) from error
    if (release := getattr(response, "release_conn", None)) is not None:  # vcrpy 8 has none
        release()
    return data


def _check_size(size: int, limit: Optional[int]) -> None:
    if limit is not None and size > limit:
        raise wire.DecodeError(f"the body is longer than max_response_bytes, {limit}")


def deadline(timeout: Timeout) -> float:
    """Return when a call that begins now must end; infinity if only attempts have a timeout."""
    return time.monotonic() + timeout if isinstance(timeout, (int, float)) else math.inf


def _timeout(timeout: Timeout, end: float) -> urllib3.Timeout:
    if isinstance(timeout, (int, float)):
        if (left := end - time.monotonic()) <= 0:
            raise wire.ConnectTimeoutError("the timeout of the whole call is over")
        return urllib3.Timeout(total=left)
    return _timeout_of_attempts(None, *(timeout or (None, None)))


_timeout_of_attempts = functools.lru_cache(maxsize=64)(urllib3.Timeout)


def _redirected(request: Request, response: Any) -> Optional[Request]:
    """Return the request to send instead, if the response is a redirect that may be followed."""
    location = response.headers.get("Location")
    if not location or response.status not in REDIRECTS or request.method not in SAFE_METHODS:
        return None
    with contextlib.suppress(ValueError):
        url = urljoin(request.url, location)
        origin, target = urlsplit(request.url)[:2], urlsplit(url)[:2]
        headers = request.headers
        if origin != target:  # even if only the scheme differs
            headers = {k: v for k, v in headers.items() if k.lower() in PUBLIC_HEADERS}
        if target[0] in ("http", "https"):
            return request._replace(url=url, headers=headers)
    return None
