"""Fetching a file over http or https."""

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
_PATIENCE = urllib3.Timeout(connect=10, read=60)
# What fails is for the run to try again; urllib3 would write the URL, with its secrets, to its log.
_RETRIES = urllib3.Retry(connect=0, read=0, redirect=5, status=0)
_CHECK_EVERY = 0.02


def download(url: str, target: Path, check: Callable[[], None]) -> None:
    """Write what a URL holds to a file, as it was sent.

    Args:
        url: With http or https.
        target: The file to make.
        check: Called often; what it raises ends the download at once.

    Raises:
        ValueError: The answer is no file: another status than 200, or a redirect from https
            to http.
        OSError: The connection failed, or the file cannot be written.
    """
    # In a thread, because no call that waits for a socket can be told to end at once.
    fetch = _Fetch(url, target)
    try:
        while not fetch.done.wait(_CHECK_EVERY):
            check()
    finally:
        fetch.given_up.set()
    if fetch.error is not None:
        raise fetch.error


class _Fetch:
    """One download in a thread of its own, which ends soon after it was given up."""

    def __init__(self, url: str, target: Path) -> None:
        self.done = threading.Event()
        self.given_up = threading.Event()
        self.error: Optional[Exception] = None
        threading.Thread(target=self._run, args=(url, target), daemon=True).start()

    def _run(self, url: str, target: Path) -> None:
        try:
            self._write(url, target)
        except HTTPError as error:
            # MaxRetryError's message has the URL, where a signature may be; its reason's has not.
            self.error = ConnectionError(str(getattr(error, "reason", None) or error))
        except Exception as error:
            self.error = error
        finally:
            self.done.set()

    def _write(self, url: str, target: Path) -> None:
        response = _pools(_proxy(url)).request(
            "GET",
            url,
            timeout=_PATIENCE,
            retries=_RETRIES,
            preload_content=False,
            enforce_content_length=True,
        )
        try:
            _refuse_unless_file(url, response)
            with target.open("wb") as file:
                for chunk in response.stream(_CHUNK, decode_content=False):
                    if self.given_up.is_set():
                        return
                    file.write(chunk)
        finally:
            response.close()


def _refuse_unless_file(url: str, response: urllib3.BaseHTTPResponse) -> None:
    if response.status != 200:
        raise ValueError(f"the answer is {response.status} {response.reason or ''}".rstrip())
    steps = response.retries.history if response.retries else ()
    places = [(step.redirect_location or "").lower() for step in steps]
    if url.lower().startswith("https:") and any(place.startswith("http:") for place in places):
        raise ValueError("it redirects from https to http")


@functools.lru_cache(maxsize=8)
def _pools(proxy: Optional[str]) -> urllib3.PoolManager:
    import certifi

    if proxy is None:
        return urllib3.PoolManager(maxsize=4, ca_certs=certifi.where())
    return urllib3.ProxyManager(proxy, maxsize=4, ca_certs=certifi.where())


def _proxy(url: str) -> Optional[str]:
    """Return the proxy that the environment names for a URL, unless `NO_PROXY` exempts it."""
    parts = urlsplit(url)
    proxies = getproxies_environment()
    if not proxies or proxy_bypass_environment(parts.hostname or "", proxies):
        return None
    proxy: Optional[str] = proxies.get(parts.scheme) or proxies.get("all")
    return proxy
