"""Tokens: who the caller is, and short-lived tokens in place of an access token.

A short-lived token is a JSON Web Token that is signed with the key of the service and the digest
of the access token that it came from. It ends with that access token.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import Optional

from ..store.identity import Grant, Identity
from ..store.store import Store

LIFETIME = 60 * 60
"""Seconds for which a short-lived token is valid."""
LONGEST = 24 * 60 * 60
"""Seconds after the use of an access token for which heartbeats may renew tokens from it."""

_PURPOSE = "libica-local:calls"
_ALGORITHM = "HS256"
_REQUIRED = ["aud", "auth_time", "exp"]


@dataclass(frozen=True)
class Caller:
    """Who calls, and by which access token.

    Attributes:
        grant: The access token, or the one that the caller's short-lived token came from.
        since: When the access token itself was used, in seconds since 1970.
    """

    grant: Grant
    since: int

    @property
    def identity(self) -> Identity:
        """The user in whose name the caller acts."""
        return self.grant.identity


def caller_of(token: str, store: Store) -> Optional[Caller]:
    """Return the caller that a token identifies; ``None`` if it is unknown or has expired."""
    grant = store.grant(token)
    if grant is not None:
        return Caller(grant, int(time.time()))
    return _caller_of_short_lived(token, store) if token.count(".") == 2 else None


def short_lived(caller: Caller, key: bytes, lifetime: float = LIFETIME) -> str:
    """Return a token for a caller, valid for ``lifetime`` seconds or what is left of `LONGEST`."""
    import jwt  # here, as it may load a large library that starting the service does not need

    now, identity = int(time.time()), caller.identity
    claims = {
        "aud": _PURPOSE,
        "iat": now,
        "auth_time": caller.since,
        "exp": min(int(now + lifetime), caller.since + LONGEST),
        "jti": uuid.uuid4().hex,
        "sub": identity.user,
        "tid": identity.tenant,
        "wid": identity.workgroup,
    }
    # The header names the access token; its digest must not be readable.
    headers = {"kid": caller.grant.label}
    return jwt.encode(claims, key + caller.grant.digest, _ALGORITHM, headers)


def _caller_of_short_lived(token: str, store: Store) -> Optional[Caller]:
    import jwt

    try:
        grant = store.grant_of(jwt.get_unverified_header(token).get("kid", ""))
        if grant is None:
            return None
        claims = jwt.decode(
            token,
            store.key + grant.digest,
            algorithms=[_ALGORITHM],
            audience=_PURPOSE,
            # A clock that was set back makes no token invalid.
            options={"require": _REQUIRED, "verify_iat": False},
        )
    except (jwt.PyJWTError, ValueError, RecursionError):  # the header was not signed by anyone yet
        return None
    return Caller(grant, claims["auth_time"])
