"""Who calls, and how they show it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import uuid
from dataclasses import dataclass
from typing import Any, Optional

LIFETIME = 3600  # seconds that a token from an API key, or from a heartbeat, is good for


@dataclass(frozen=True)
class Identity:
    """A user in a workgroup of a tenant.

    Attributes:
        tenant: Id of the tenant: unpadded base64.
        workgroup: The workgroup as access lists name it: `wid:` and a UUID.
        user: Id of the user: a UUID.
    """

    tenant: str
    workgroup: str
    user: str

    @classmethod
    def named(cls, tenant: str, workgroup: str = "main", user: str = "main") -> Identity:
        """Make up the identity that these names stand for, always the same."""
        ids = [uuid.uuid5(_NAMESPACE, "/".join(n)) for n in ((tenant,), (tenant, workgroup))]
        who = uuid.uuid5(_NAMESPACE, "/".join((tenant, workgroup, user)))
        return cls(encode(f"libica-local:{ids[0]}".encode()), f"wid:{ids[1]}", str(who))

    @property
    def acl(self) -> list[str]:
        """The entries of access lists that mean this identity; what it makes gets them."""
        return [f"tid:{self.tenant}", self.workgroup]


_NAMESPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")  # the one for URLs, RFC 4122


def digest(token: str) -> bytes:
    """Return what is kept of a token, and looked up.

    Looking up a digest takes no time that depends on how much of a token is right.
    """
    return hashlib.sha256(token.encode()).digest()


def signed(data: bytes, key: bytes) -> str:
    """Return data with a signature that only the key makes, as text fit for a URL."""
    return f"{encode(data)}.{encode(_signature(data, key))}"


def unsigned(text: str, key: bytes) -> Optional[bytes]:
    """Return the data that was signed with the key; ``None`` if the text is anything else."""
    head, _, tail = text.rpartition(".")
    data, signature = decode(head), decode(tail)
    if data is None or signature is None:
        return None
    return data if hmac.compare_digest(signature, _signature(data, key)) else None


_HEADER = {"alg": "HS256", "typ": "JWT"}


def jwt(identity: Identity, key: bytes, lifetime: float = LIFETIME) -> str:
    """Return a JSON Web Token (RFC 7519) for an identity."""
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
    """Return whose token it is; ``None`` if it was not signed with the key or has expired."""
    text, _, tail = token.rpartition(".")
    signature = decode(tail)
    if signature is None or not hmac.compare_digest(signature, _signature(text.encode(), key)):
        return None
    claims = json.loads(decode(text.partition(".")[2]) or b"{}")
    if claims["exp"] <= time.time():
        return None
    return Identity(claims["tid"], claims["wid"], claims["sub"])


def encode(data: bytes) -> str:
    """Return data as unpadded base64 for URLs."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> Optional[bytes]:
    """Return the data of unpadded base64; ``None`` if the text is none, or is not spelled so."""
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return None
    # Python passes over what is no base64; a token must not have two spellings.
    return data if encode(data) == text else None


def _segment(content: dict[str, Any]) -> str:
    return encode(json.dumps(content, separators=(",", ":")).encode())


def _signature(data: bytes, key: bytes) -> bytes:
    return hmac.new(key, data, hashlib.sha256).digest()
