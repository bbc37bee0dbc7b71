"""An authority that issues certificates, and clients that trust it."""

from __future__ import annotations

from pathlib import Path

import trustme

from libica.local import LocalTes
from libica.openapi import libtes


class Authority:
    def __init__(self) -> None:
        self._ca = trustme.CA()

    def file(self, folder: Path) -> Path:
        """Write the certificate of the authority."""
        file = folder / "authority.pem"
        self._ca.cert_pem.write_to_path(str(file))
        return file

    def files(self, name: str, folder: Path, *, with_authority: bool = False) -> dict[str, Path]:
        """Write a new certificate for a name; return the arguments of ``LocalTes`` for it."""
        issued = self._ca.issue_cert(name)
        cert, key = folder / f"{name}.pem", folder / f"{name}.key"
        chain = b"".join(each.bytes() for each in issued.cert_chain_pems)
        cert.write_bytes(chain + self._ca.cert_pem.bytes() * with_authority)
        issued.private_key_pem.write_to_path(str(key))
        return {"tls_cert": cert, "tls_key": key}

    def options(self, name: str, folder: Path) -> list[str]:
        """Return the command line options for a new certificate."""
        files = self.files(name, folder)
        return ["--tls-cert", str(files["tls_cert"]), "--tls-key", str(files["tls_key"])]


def trusting(tes: LocalTes, authority: Authority, folder: Path) -> libtes.Configuration:
    configuration = tes.configuration()
    if tes.url.startswith("https"):
        configuration.ssl_ca_cert = str(authority.file(folder))
    return configuration
