"""TLS: certificates of services and clients, authorities, names, and what speaks no TLS."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Optional

import pytest
import trustme

from libica.openapi import libtes

from ..authority import Authority
from ..conftest import TOKEN
from ..server import RawServer, Response, Server
from ..wire import head, reset
from .calls import LAUNCH, READ, WRITES, failure
from .conftest import Clock, Connect

no_warning = pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")


@pytest.fixture(scope="module")
def files(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return files of certificates and keys, and folders of authorities, by what they hold."""
    folder = tmp_path_factory.mktemp("files")
    files = {"AUTHORITY": str(authority.file), "EMPTY FOLDER": str(tmp_path_factory.mktemp("none"))}
    own, other = (ca.issue_cert("agent@tes.example") for ca in (authority.ca, trustme.CA()))
    for name, pem in (
        ("CERTIFICATE", own.cert_chain_pems[0]),
        ("KEY", own.private_key_pem),
        ("BOTH", own.private_key_and_cert_chain_pem),
        ("BOTH OF A STRANGER", other.private_key_and_cert_chain_pem),
    ):
        files[name] = str(folder / name)
        pem.write_to_path(files[name])
    if shutil.which("openssl"):  # which names the files of such a folder
        command = ["openssl", "x509", "-hash", "-noout", "-in", str(authority.file)]
        name = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        shutil.copy(authority.file, folder / f"{name}.0")
        files["FOLDER"] = str(folder)
    return files


def context_of(served: str, authority: Authority, folder: Path) -> ssl.SSLContext:
    """Return the TLS context of a server with a certificate of this kind."""
    first, last = {"expired": (-20, -10), "not valid yet": (10, 20)}.get(served, (-1, 1))
    now = datetime.now(timezone.utc)
    validity = {"not_before": now + timedelta(first), "not_after": now + timedelta(last)}
    host = "tes.example" if served == "of another host" else "127.0.0.1"
    context = authority.server(host, **validity)
    if served == "self-signed":
        own = Authority(folder)
        own.ca.private_key_pem.write_to_path(folder / "key")
        context.load_cert_chain(own.file, folder / "key")
    if served == "demanding the client's":
        authority.ca.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
        context.maximum_version = ssl.TLSVersion.TLSv1_2  # the client hears of it in time
    return context


TWO_FILES = {"cert_file": "CERTIFICATE", "key_file": "KEY"}
CONNECTIONS: list[tuple[str, dict[str, Any], Optional[str]]] = [
    # The certificate of the server, settings of the client, and what is wrong, if anything.
    ("valid", {}, None),
    ("valid", {"ssl_ca_cert": None}, "certificate"),
    ("valid", {"ssl_ca_cert": "FOLDER"}, None),
    ("valid", {"ssl_ca_cert": "EMPTY FOLDER"}, "certificate"),
    ("expired", {}, "has expired"),
    ("not valid yet", {}, "not yet valid"),
    ("self-signed", {}, "certificate"),
    ("of another host", {}, "match"),
    ("of another host", {"assert_hostname": "other.example"}, "other.example"),
    ("of another host", {"assert_hostname": "tes.example"}, None),
    ("of another host", {"assert_hostname": False}, None),
    ("of another host", {"ssl_ca_cert": None, "verify_ssl": False}, None),
    ("demanding the client's", {}, ""),
    ("demanding the client's", {"cert_file": "BOTH OF A STRANGER"}, ""),
    ("demanding the client's", {"cert_file": "BOTH"}, None),
    ("demanding the client's", TWO_FILES, None),
]


@no_warning
@pytest.mark.parametrize(("served", "settings", "wrong"), CONNECTIONS)
def test_a_call_is_sent_only_if_the_certificates_of_both_sides_are_right(
    connect: Connect,
    authority: Authority,
    files: dict[str, str],
    clock: Clock,
    tmp_path: Path,
    served: str,
    settings: dict[str, Any],
    wrong: Optional[str],
) -> None:
    if "FOLDER" in settings.values() and "FOLDER" not in files:
        pytest.skip("needs openssl")
    with Server(context_of(served, authority, tmp_path)) as server:
        server.respond(Response(body={"id": "x"}))
        given = {"ssl_ca_cert": "AUTHORITY", **settings}
        client = connect(server.url)
        with contextlib.suppress(libtes.TlsException):
            READ.call(client)  # settings that are changed later hold from the next call on
        for name, value in given.items():
            setattr(client.configuration, name, files.get(value, value))
        server.asked.clear()
        for operation in (READ, *WRITES):
            if wrong is None:
                assert operation.call(client).id == "x"
                assert server.last.headers["Authorization"] == f"Bearer {TOKEN}"
                continue
            exception = failure(client, operation)
            assert type(exception) is libtes.TlsException
            assert "127.0.0.1" in str(exception)
            assert wrong in str(exception)
            assert (clock.waits, server.asked) == ([], [])  # it is not retried


@pytest.mark.parametrize("name", ["ssl_ca_cert", "cert_file", "key_file"])
def test_a_file_that_does_not_exist_is_named_by_its_setting(
    connect: Connect, secure: Server, name: str
) -> None:
    with pytest.raises(libtes.ApiValueError, match=f"`{name}`, must be a file that exists"):
        READ.call(connect(secure.url, **{name: "/no/such/file.pem"}))
    assert secure.connections == 0


def test_what_speaks_no_tls_is_never_sent_the_call(connect: Connect) -> None:
    seen: list[bytes] = []
    said = [b"", head("400 Bad Request"), b"SSH-2.0-x\r\n", b"\x15\x03\x01\x00\x02\x02\x28"]

    def talk(connection: socket.socket) -> None:
        seen.append(connection.recv(65536))
        connection.sendall(said[len(seen) - 1])

    with RawServer(talk, read=False) as plain:
        for number in range(len(said)):
            client = connect(plain.url.replace("http:", "https:"))
            assert type(failure(client, LAUNCH)) is libtes.TlsException
            assert len(seen) == number + 1  # it is not retried
    assert TOKEN.encode() not in b"".join(seen)
    with RawServer(lambda c: (c.recv(65536), reset()(c)), read=False) as resetting:
        client = connect(resetting.url.replace("http:", "https:"))
        assert type(failure(client, LAUNCH)) is libtes.ConnectException
        assert resetting.connections == 3
