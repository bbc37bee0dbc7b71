"""Who a caller is, and the digest by which the caller's token is found."""

from __future__ import annotations

import base64
import hashlib
import uuid
from dataclasses import dataclass
from typing import NamedTuple

_NAMESPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")  # the one for URLs, RFC 4122


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
        """Derive an identity from names; the same names always give the same identity."""
        tenant_id, workgroup_id, user_id = (
            str(uuid.uuid5(_NAMESPACE, "/".join(names)))
            for names in ((tenant,), (tenant, workgroup), (tenant, workgroup, user))
        )
        encoded = base64.urlsafe_b64encode(f"libica-local:{tenant_id}".encode())
        return cls(encoded.rstrip(b"=").decode(), f"wid:{workgroup_id}", user_id)

    @property
    def acl(self) -> list[str]:
        """The access list entries that match this identity: the default for what it creates."""
        return [f"tid:{self.tenant}", self.workgroup]


OWNER: Identity = Identity.named("main")
"""The user of the service's own token."""


class Grant(NamedTuple):
    """What an access token grants.

    Attributes:
        label: The name of the token, which it keeps when it is replaced.
        digest: The digest of the token.
        identity: In whose name its bearer acts.
    """

    label: str
    digest: bytes
    identity: Identity


def digest(token: str) -> bytes:
    """Return the digest under which a token is stored and looked up.

    Looking up a digest takes no time that depends on how much of a guessed token is right.
    """
    return hashlib.sha256(token.encode()).digest()
