"""Downloading a file over HTTP or HTTPS."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Optional
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

import urllib3
from urllib3.exceptions import HTTPError

_CHUNK = 1 << 20
_TIMEOUT = urllib3.Timeout(connect=10, read=60)
# The run is retried as a whole; and retries by urllib3 would log the URL with its secrets.
_RETRIES = urllib3.Retry(connect=0, read=0, redirect=5, status=0)
_CHECK_EVERY = 0.02


def download(url: str, target: Path, check: Callable[[], None]) -> None:
    """Download a URL to a file, byte for byte.

    Args:
        url: An HTTP or HTTPS URL.
        target: The file to write.
        check: Called often, to end the download at once by raising an exception.

    Raises:
        ValueError: The status of the response is not 200, or HTTPS redirects to HTTP.
        OSError: The connection fails, or the file cannot be written.
    """
    # In a thread, because a call that blocks on a socket cannot be ended at once.
    fetch = _Fetch(url, target)
    try:
        while not fetch.done.wait(_CHECK_EVERY):
            check()
    finally:
        fetch.abandoned.set()
    if fetch.error is not None:
        raise fetch.error


class _Fetch:
    """A download in its own thread, which ends soon after it is abandoned."""

    def __init__(self, url: str, target: Path) -> None:
        self.done = threading.Event()
        self.abandoned = threading.Event()
        self.error: Optional[Exception] = None
        threading.Thread(target=self._run, args=(url, target), daemon=True).start()

    def _run(self, url: str, target: Path) -> None:
        try:
            self._write(url, target)
        except HTTPError as error:
            # The message of MaxRetryError has the URL, which may be signed; its reason has not.
            self.error = ConnectionError(str(getattr(error, "reason", None) or error))
        except Exception as error:
            self.error = error
        finally:
            self.done.set()

    def _write(self, url: str, target: Path) -> None:
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
            with target.open("wb") as file:
                for chunk in response.stream(_CHUNK, decode_content=False):
                    if self.abandoned.is_set():
                        return
                    file.write(chunk)
        finally:
            response.close()


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
