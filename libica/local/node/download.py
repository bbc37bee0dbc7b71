"""Downloading a file over HTTP or HTTPS."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import Optional
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

import urllib3
from urllib3.exceptions import HTTPError

from .folders import CHUNK, Details

_TIMEOUT = urllib3.Timeout(connect=10, read=60)
# The run is retried as a whole; and retries by urllib3 would log the URL with its secrets.
_RETRIES = urllib3.Retry(connect=0, read=0, redirect=5, status=0)


@contextmanager
def downloading(url: str) -> Iterator[tuple[Iterator[bytes], Details]]:
    """Start to download a URL; yield its content in chunks, byte for byte, and its details.

    Raises:
        ValueError: The status of the response is not 200, or HTTPS redirects to HTTP.
        OSError: The connection fails.
    """
    try:
        response = _pools(_proxy(url)).request(
            "GET",
            url,
            timeout=_TIMEOUT,
            retries=_RETRIES,
            preload_content=False,
            enforce_content_length=True,
        )
        try:
            _check_response(url, response)
            yield response.stream(CHUNK, decode_content=False), _details(response)
        finally:
            response.close()
    except HTTPError as error:
        # The message of MaxRetryError has the URL, which may be signed; its reason has not.
        raise ConnectionError(str(getattr(error, "reason", None) or error)) from None


def _details(response: urllib3.BaseHTTPResponse) -> Details:
    try:
        modified = parsedate_to_datetime(response.headers["Last-Modified"]).timestamp()
    except (KeyError, ValueError, TypeError, OverflowError):
        return Details(0)
    return Details(0, int(modified) * 10**9)


def _check_response(url: str, response: urllib3.BaseHTTPResponse) -> None:
    if response.status != 200:
        raise ValueError(f"the response is {response.status} {response.reason or ''}".rstrip())
    steps = response.retries.history if response.retries else ()
    places = [(step.redirect_location or "").lower() for step in steps]
    if url.lower().startswith("https:") and any(place.startswith("http:") for place in places):
        raise ValueError("it redirects from HTTPS to HTTP")


@functools.lru_cache(maxsize=8)
def _pools(proxy: Optional[str]) -> urllib3.PoolManager:
    import certifi

    if proxy is None:
        return urllib3.PoolManager(maxsize=4, ca_certs=certifi.where())
    return urllib3.ProxyManager(proxy, maxsize=4, ca_certs=certifi.where())


def _proxy(url: str) -> Optional[str]:
    """Return the proxy for a URL from the environment, unless `NO_PROXY` exempts it."""
    parts = urlsplit(url)
    proxies = getproxies_environment()
    if not proxies or proxy_bypass_environment(parts.hostname or "", proxies):
        return None
    proxy: Optional[str] = proxies.get(parts.scheme) or proxies.get("all")
    return proxy
