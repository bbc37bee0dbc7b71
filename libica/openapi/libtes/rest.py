"""The wire: urllib3's pools, TLS, proxies, time-outs, redirects, and what may be tried again."""

from __future__ import annotations

import functools
import os
import random
import threading
import time
import traceback
from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple, Optional, Union
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

import urllib3
from urllib3 import exceptions as wire

from . import exceptions as ours
from .configuration import Configuration, Timeout, is_url
from .exceptions import ApiConnectionException, ApiException

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse

__all__ = ["ApiException", "Request", "Rest", "RetryPolicy", "retry_delay"]

MAX_REDIRECTS = 5
SAFE_METHODS = frozenset(("GET", "HEAD"))
RETRIED_STATUSES = frozenset((408, 429, 500, 502, 503, 504))
RETRY_AFTER_LIMIT = 120.0
"""Seconds up to which a ``Retry-After`` is obeyed; beyond it the error is raised."""

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
    outcome: Union[int, ApiConnectionException],
    retry_after: Optional[float] = None,
    fraction: float = 1.0,
) -> Optional[float]:
    """Decide whether a call is tried again: the seconds to wait before, or ``None``.

    A call that only reads is repeated after a connection error and after the statuses that pass.
    Any other is repeated only where the service cannot have acted on it. ``tried`` is how often
    that was done; ``outcome`` the status, or why there is none; ``retry_after`` the seconds that
    the service asked for; ``fraction`` a random part, from 0 to 1, of the wait to take.
    """
    if isinstance(outcome, ours.TlsException):
        passing = False
    elif method in SAFE_METHODS:
        passing = isinstance(outcome, ApiConnectionException) or outcome in RETRIED_STATUSES
    else:
        passing = isinstance(outcome, ours.ConnectException) or outcome == 429
    if not passing or tried >= policy.total:
        return None
    if retry_after is not None:
        return retry_after if retry_after <= RETRY_AFTER_LIMIT else None
    return min(policy.longest, policy.backoff * 2.0 ** min(tried, 60)) * fraction


class Rest:
    """Sends requests over connections that are kept open, by the configuration as it then is."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._pools: dict[object, Connections] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the connections; the next request opens new ones."""
        with self._lock:
            pools, self._pools = self._pools, {}
        for each in pools.values():
            (each.clear if isinstance(each, urllib3.PoolManager) else each.close)()

    def send(self, request: Request) -> BaseHTTPResponse:
        """Send a request, again where that is safe and may help; return an answer or raise."""
        policy = RetryPolicy.of(self._configuration.retries)
        tried = redirected = 0
        while True:
            outcome: Any = self._attempt(request)
            answered = not isinstance(outcome, ApiConnectionException)
            if answered and outcome.status < 300:
                break
            elsewhere = _redirected(request, outcome) if answered else None
            if elsewhere is not None and redirected < MAX_REDIRECTS:
                redirected += 1
                request = elsewhere
            else:
                what = outcome.status if answered else outcome
                wish = _retry_after(outcome) if answered else None
                delay = retry_delay(policy, tried, request.method, what, wish, random.random())
                if delay is None:
                    break
                time.sleep(delay)
                tried += 1
            if answered:
                outcome.drain_conn()
        if answered:
            return outcome  # type: ignore[no-any-return]
        raise outcome

    def _attempt(self, request: Request) -> Union[BaseHTTPResponse, ApiConnectionException]:
        """Return the answer, or the exception that says why there is none."""
        try:
            pool, target = self._connections(request.url)
            return pool.urlopen(
                request.method,
                target,
                body=request.body,
                headers=request.headers,
                timeout=_timeout(request.timeout),
                retries=_ONCE,
                redirect=False,
                preload_content=request.preload,
            )
        except wire.HTTPError as error:
            return connection_exception(error, request)

    def _connections(self, url: str) -> tuple[Connections, str]:
        """Return the connections to use, and what they are to be asked for."""
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        # A forked child must not write to the connections of its parent.
        headers = str(self._configuration.proxy_headers)
        made_with = (os.getpid(), origin, headers, *_MADE_WITH(self._configuration))
        with self._lock:
            if made_with not in self._pools:
                self._pools[made_with] = _connect(self._configuration, origin)
            pool = self._pools[made_with]
        if isinstance(pool, urllib3.PoolManager):
            return pool, url
        target = url[len(origin) :]
        return pool, target if target.startswith("/") else f"/{target}"


def connection_exception(error: Exception, request: Request) -> ApiConnectionException:
    """Say in this package's terms why urllib3 has no answer; ``__cause__`` is its error."""
    root: BaseException = error
    while inner := root.__cause__ or (None if root.__suppress_context__ else root.__context__):
        root = inner
    cls, what = next(say for known, say in _FAILURES.items() if isinstance(error, known))
    if cls is ours.TlsException and _in_use(root):
        cls, what = _FAILURES[Exception]
    reason = f"{what} {urlsplit(request.url).hostname}: {root}"
    exception = cls(reason=reason, method=request.method, path=request.path)
    exception.__cause__ = error
    return exception


def _in_use(error: BaseException) -> bool:
    """Tell whether an error of TLS came when it was in use, and not while it was set up."""
    using = {"recv_into", "send", "sendall"}
    frames = traceback.walk_tb(error.__traceback__)
    return any(frame.f_code.co_name in using for frame, _ in frames)


_FAILURES: dict[type[Exception], tuple[type[ApiConnectionException], str]] = {
    wire.ProxyError: (ours.ProxyException, "no way through the proxy to"),
    wire.SSLError: (ours.TlsException, "no secure connection to"),
    wire.NewConnectionError: (ours.ConnectException, "no connection to"),
    wire.ConnectTimeoutError: (ours.ConnectTimeoutException, "no connection in time to"),
    wire.ReadTimeoutError: (ours.ReadTimeoutException, "no answer in time from"),
    wire.LocationValueError: (ours.ConnectException, "no connection to"),
    Exception: (ours.ConnectionLostException, "connection lost to"),
}


@functools.lru_cache(maxsize=64)
def _timeout(timeout: Timeout) -> urllib3.Timeout:
    if isinstance(timeout, tuple):
        return urllib3.Timeout(connect=timeout[0], read=timeout[1])
    return urllib3.Timeout(total=timeout)


def _retry_after(response: BaseHTTPResponse) -> Optional[float]:
    """Return the seconds that ``Retry-After`` asks to wait, given as seconds or as a date."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return max(0.0, (moment - datetime.now(timezone.utc)).total_seconds())


def _redirected(request: Request, response: BaseHTTPResponse) -> Optional[Request]:
    """Return the request to make elsewhere, if it may be repeated there.

    Another origin, be it but another scheme, gets none of the headers that may be secret.
    """
    location = response.get_redirect_location()
    if not location or request.method not in SAFE_METHODS:
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
        public = ("accept", "user-agent")
        headers = {name: value for name, value in headers.items() if name.lower() in public}
    return request._replace(url=url, headers=headers)


# A change of one of these makes new connections.
_MADE_WITH = attrgetter(
    *"connection_pool_maxsize ssl_ca_cert cert_file key_file".split(),
    *"verify_ssl assert_hostname proxy".split(),
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
    if not proxy:
        return urllib3.PoolManager(**options).connection_from_url(origin)
    manager = _proxy_manager(proxy, configuration.proxy_headers, options)
    # Without TLS a proxy is asked for whole URLs, which its manager sees to.
    return manager.connection_from_url(origin) if origin.startswith("https") else manager


def _environment_proxy(origin: str) -> Optional[str]:
    """Return the proxy that the environment names for a host, unless ``NO_PROXY`` exempts it."""
    from urllib import request as environment  # not before it is needed: it loads a lot

    proxies = environment.getproxies_environment()
    parts = urlsplit(origin)
    if not proxies or environment.proxy_bypass_environment(parts.netloc, proxies):  # type: ignore[attr-defined]
        return None
    proxy: Optional[str] = proxies.get(parts.scheme) or proxies.get("all")
    return proxy


def _proxy_manager(
    proxy: str, headers: Optional[Mapping[str, str]], options: dict[str, Any]
) -> urllib3.ProxyManager:
    """Take user and password out of the proxy's URL, where error messages would show them."""
    url = proxy if "://" in proxy else f"http://{proxy}"
    if not is_url(url):
        raise ours.wrong_value("proxy", "be a URL with http:// or https://")
    parts = urlsplit(url)
    login, _, address = parts.netloc.rpartition("@")
    basic = urllib3.make_headers(proxy_basic_auth=unquote(login)) if login else {}
    url = urlunsplit((parts.scheme, address, "", "", ""))
    return urllib3.ProxyManager(url, proxy_headers={**basic, **(headers or {})}, **options)
