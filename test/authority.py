"""A certificate authority for the servers of tests."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import trustme


class Authority:
    """A certificate authority that nobody else trusts, and the file that clients trust it by."""

    def __init__(self, folder: Path) -> None:
        self.ca = trustme.CA()
        self.file = folder / "authority.pem"
        self.ca.cert_pem.write_to_path(self.file)

    def server(self, *names: str, **validity: Any) -> ssl.SSLContext:
        """Return the TLS context of a server with these names."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(*names, **validity).configure_cert(context)
        return context
