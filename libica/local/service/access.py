"""Signed data and short-lived tokens."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import uuid
from typing import Any, Optional

from ..store.identity import Identity

LIFETIME = 3600  # seconds for which a token from an API key or a heartbeat is valid


def signed(data: bytes, key: bytes) -> str:
    """Return data and its signature as URL-safe text."""
    return f"{encode(data)}.{encode(_signature(data, key))}"


def unsigned(text: str, key: bytes) -> Optional[bytes]:
    """Return the signed data; ``None`` unless the text was signed with the key."""
    head, _, tail = text.rpartition(".")
    data, signature = decode(head), decode(tail)
    if data is None or signature is None:
        return None
    return data if hmac.compare_digest(signature, _signature(data, key)) else None


_HEADER = {"alg": "HS256", "typ": "JWT"}


def jwt(identity: Identity, key: bytes, lifetime: float = LIFETIME) -> str:
    """Return a JSON Web Token (RFC 7519) for an identity, valid for ``lifetime`` seconds."""
    claims = {
        "tid": identity.tenant,
        "wid": identity.workgroup,
        "sub": identity.user,
        "exp": int(time.time() + lifetime),
        "jti": uuid.uuid4().hex,
    }
    text = f"{_segment(_HEADER)}.{_segment(claims)}"
    return f"{text}.{encode(_signature(text.encode(), key))}"


def identity_of_jwt(token: str, key: bytes) -> Optional[Identity]:
    """Return the identity of a token; ``None`` if it has expired or has another signature."""
    text, _, tail = token.rpartition(".")
    signature = decode(tail)
    if signature is None or not hmac.compare_digest(signature, _signature(text.encode(), key)):
        return None
    claims = json.loads(decode(text.partition(".")[2]) or b"{}")
    if claims["exp"] <= time.time():
        return None
    return Identity(claims["tid"], claims["wid"], claims["sub"])


def encode(data: bytes) -> str:
    """Return data as unpadded URL-safe base64."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> Optional[bytes]:
    """Return the data of unpadded URL-safe base64; ``None`` if the text is not exactly that."""
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return None
    # Python skips characters outside base64, but a token must have one spelling only.
    return data if encode(data) == text else None


def _segment(content: dict[str, Any]) -> str:
    return encode(json.dumps(content, separators=(",", ":")).encode())


def _signature(data: bytes, key: bytes) -> bytes:
    return hmac.new(key, data, hashlib.sha256).digest()
