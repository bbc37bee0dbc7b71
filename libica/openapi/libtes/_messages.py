"""Requests and responses as values, and which of their parts may be secret."""

from __future__ import annotations

import json
from typing import NamedTuple, Optional
from urllib.parse import urlsplit

from urllib3._collections import HTTPHeaderDict  # urllib3 1.26 has it there alone

from ._proxies import Proxy
from ._redaction import secrets_of
from .configuration import Timeout

PUBLIC_HEADERS = frozenset(("accept", "content-type", "user-agent"))  # all others may be secret


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
        """The path without the query."""
        return urlsplit(self.url).path

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    def secrets(self, proxy: Optional[Proxy], refused: Optional[str] = None) -> list[str]:
        """Return what messages about the call must not show; ``refused`` is an earlier token."""
        texts = [v for k, v in self.headers.items() if k.lower() not in PUBLIC_HEADERS]
        texts += [refused or "", *(proxy.secrets if proxy else ())]
        return secrets_of(texts, json.loads(self.body or "null"))

    def __repr__(self) -> str:
        return f"<{self.method} {self.path}>"  # headers and body may be secret


class Response(NamedTuple):
    """A response that was read completely; a raw one is urllib3's, with the same attributes."""

    status: int
    reason: Optional[str]
    headers: HTTPHeaderDict
    data: bytes
    proxy: Optional[Proxy] = None

    def __repr__(self) -> str:
        return f"<{self.status} with {len(self.data)} bytes>"
