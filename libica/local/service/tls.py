"""TLS: the certificate and key of the service."""

from __future__ import annotations

import ssl
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Optional, Union

AnyPath = Union[str, Path]


class Tls(NamedTuple):
    """How connections are encrypted.

    Attributes:
        context: The certificate and its key.
        authority: The file that clients have to trust, where it is the certificate's own: it is
            self-signed, or its file ends with that of its authority. ``None`` where clients trust
            the authority already, or get its certificate by other means.
    """

    context: ssl.SSLContext
    authority: Optional[Path]


def load(cert: Optional[AnyPath], key: Optional[AnyPath]) -> Optional[Tls]:
    """Load a certificate and its key from PEM files; return ``None`` if neither is given.

    Raises:
        ValueError: One is missing, they do not belong together, or the key has a password.
        OSError: A file cannot be read.
    """
    if cert is None and key is None:
        return None
    if cert is None or key is None:
        raise ValueError("tls_cert and tls_key (--tls-cert, --tls-key) must be given together")
    cert, key = (Path(each).expanduser().absolute() for each in (cert, key))
    for each in (cert, key):
        each.open("rb").close()  # the error of ssl does not name the file
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # Without a password OpenSSL would ask for it at the terminal.
        context.load_cert_chain(cert, key, password="")
    except (ssl.SSLError, ValueError) as error:
        raise ValueError(
            f"{cert} and {key} must be a certificate and its key in PEM, the key without "
            f"a password: {getattr(error, 'reason', None) or error}"
        ) from None
    return Tls(context, cert if _is_trusted(context, cert) else None)


def _is_trusted(context: ssl.SSLContext, authority: Path) -> bool:
    """Tell by a handshake in memory whether clients that trust a file accept the certificate."""
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname = False
    try:
        trusting.load_verify_locations(authority)
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        server = context.wrap_bio(to_server, to_client, server_side=True)
        client = trusting.wrap_bio(to_client, to_server)
        for side in (client, server, client):
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()
    except ssl.SSLError:
        return False
    return True
