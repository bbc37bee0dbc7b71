"""Who looks at the page: one-time keys, and the cookie that each becomes.

A cookie is signed with a key that the service makes when it starts, and with the digest of the
access token that it stands for. It ends with either, after a day, and when its browser signs out.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from contextlib import suppress
from typing import Optional

from itsdangerous import BadData, SignatureExpired, TimestampSigner
from itsdangerous.encoding import base64_decode, base64_encode

from ..service.access import Caller
from ..service.errors import Refused
from ..store.identity import Grant, digest
from ..store.store import Store

LIFETIME = 24 * 60 * 60
"""Seconds for which a browser stays signed in."""
_MOST_KEYS = 100  # unused; beyond, the oldest is no longer valid


class SignIn:
    """Lets browsers in.

    Args:
        store: Knows the access tokens.
        url: Base URL of the service.
        label: The label of the access token that one-time keys stand for.
    """

    def __init__(self, store: Store, url: str, label: str) -> None:
        self.url = url
        self.is_secure: bool = url.startswith("https:")
        # Cookies are shared by all ports of a host, so each service has a name of its own.
        self.cookie_name: str = f"libica-tes-{url.rpartition(':')[2]}"
        self._store = store
        self._label = label
        self._keys: dict[bytes, bool] = {}  # digests, oldest first
        self._secret = secrets.token_bytes(32)
        self._signed_out: dict[bytes, float] = {}  # digests of cookies, and until when to keep them

    def address(self) -> str:
        """Return an address with a new key, which lets one browser in, once."""
        key = secrets.token_urlsafe(24)
        self._keys[digest(key)] = True
        if len(self._keys) > _MOST_KEYS:
            self._keys.pop(next(iter(self._keys)), None)
        return f"{self.url}/sign-in?key={key}"

    def by_key(self, key: str) -> str:
        """Return the cookie for a one-time key, which is then used up.

        Raises:
            Refused: The key is unknown or was used.
        """
        if not self._keys.pop(digest(key), False):
            raise Refused(401, "This address has been used, or is not of this service")
        grant = self._store.grant_of(self._label)
        if grant is None:  # its label was removed from the store
            raise Refused(401, "The access token of this service has been removed")
        return self._cookie(grant)

    def by_token(self, token: str) -> str:
        """Return the cookie for an access token.

        Raises:
            Refused: The token is unknown.
        """
        grant = self._store.grant(token)
        if grant is None:
            raise Refused(401, "The access token is unknown")
        return self._cookie(grant)

    def caller(self, cookie: Optional[str]) -> Caller:
        """Return the caller that a cookie stands for.

        Raises:
            Refused: There is no cookie, or it is invalid or expired.
        """
        if not cookie:
            raise Refused(401, "You are not signed in")
        if digest(cookie) in self._signed_out:
            raise Refused(401, "You have signed out")
        try:
            label = base64_decode(cookie.partition(".")[0]).decode()
            grant = self._store.grant_of(label)
            if grant is not None:
                self._signer(grant).unsign(cookie, max_age=LIFETIME)
                return Caller(grant, int(time.time()))
        except SignatureExpired:
            raise Refused(401, "Your sign-in has expired") from None
        except (BadData, UnicodeDecodeError):
            pass
        raise Refused(401, "Your sign-in is no longer valid")

    def sign_out(self, cookie: Optional[str]) -> None:
        """Let nobody in with a cookie any more, such as with a copy of it."""
        with suppress(Refused):
            self.caller(cookie)
            now = time.time()
            kept = {each: until for each, until in self._signed_out.items() if until > now}
            self._signed_out = {**kept, digest(cookie or ""): now + LIFETIME}

    def _cookie(self, grant: Grant) -> str:
        # Two browsers that sign in within a second have different cookies.
        content = f"{base64_encode(grant.label).decode()}.{secrets.token_urlsafe(9)}"
        return self._signer(grant).sign(content).decode()

    def _signer(self, grant: Grant) -> TimestampSigner:
        return TimestampSigner(
            self._secret + grant.digest, salt="libica-local:cookie", digest_method=hashlib.sha256
        )
