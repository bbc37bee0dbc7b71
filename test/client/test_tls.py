"""TLS: certificates of services and clients, authorities, names, and what speaks no TLS."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import trustme
from urllib3.exceptions import InsecureRequestWarning

from libica.openapi import libtes

from ..authority import Authority
from ..conftest import TOKEN
from ..operations import Operation
from ..server import RawServer, Response, Server
from ..wire import head, reset
from .calls import LAUNCH, READ, each_call, failure
from .conftest import Clock, Connect


@pytest.fixture
def misnamed(authority: Authority) -> Iterator[Server]:
    """A server whose certificate is for another host."""
    with Server(authority.server("tes.example")) as misnamed:
        misnamed.respond(Response(body={"id": "x"}))
        yield misnamed


# -- Whom to trust ---------------------------------------------------------------------------------


@each_call
def test_a_certificate_that_is_not_trusted_is_an_error_that_is_not_retried(
    connect: Connect, secure: Server, operation: Operation, clock: Clock
) -> None:
    exception = failure(connect(secure.url), operation)
    assert type(exception) is libtes.TlsException
    assert "certificate" in str(exception)
    assert "127.0.0.1" in str(exception)
    assert (clock.waits, secure.asked) == ([], [])


def test_an_authority_is_trusted_by_its_file(
    connect: Connect, secure: Server, authority: Authority
) -> None:
    assert READ.call(connect(secure.url, ssl_ca_cert=str(authority.file))).id == "x"
    assert secure.last.headers["Authorization"] == f"Bearer {TOKEN}"


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl to name the files")
def test_authorities_are_trusted_by_their_folder(
    connect: Connect, secure: Server, authority: Authority, tmp_path: Path
) -> None:
    client = connect(secure.url, ssl_ca_cert=str(tmp_path))
    assert type(failure(client, READ)) is libtes.TlsException
    command = ["openssl", "x509", "-hash", "-noout", "-in", str(authority.file)]
    name = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    shutil.copy(authority.file, tmp_path / f"{name}.0")
    client.close()
    assert READ.call(client).id == "x"


def in_days(count: int) -> datetime:
    return datetime.now(timezone.utc) + timedelta(days=count)


def test_a_certificate_out_of_its_time(connect: Connect, authority: Authority) -> None:
    for reason, first, last in (("has expired", -20, -10), ("not yet valid", 10, 20)):
        context = authority.server("127.0.0.1", not_before=in_days(first), not_after=in_days(last))
        with Server(context) as server:
            exception = failure(connect(server.url, ssl_ca_cert=str(authority.file)), LAUNCH)
            assert type(exception) is libtes.TlsException
            assert reason in str(exception)
            assert server.asked == []


def test_a_certificate_that_vouches_for_itself(connect: Connect, tmp_path: Path) -> None:
    own = Authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.ca.private_key_pem.write_to_path(tmp_path / "key")
    context.load_cert_chain(own.file, tmp_path / "key")
    with Server(context) as server:
        assert type(failure(connect(server.url), LAUNCH)) is libtes.TlsException
        assert server.asked == []


def test_the_name_in_the_certificate_is_checked_or_given(
    connect: Connect, misnamed: Server, authority: Authority
) -> None:
    client = connect(misnamed.url, ssl_ca_cert=str(authority.file))
    for name in (None, "other.example"):
        client.configuration.assert_hostname = name
        exception = failure(client, READ)
        assert type(exception) is libtes.TlsException
        assert "127.0.0.1" in str(exception)
    assert misnamed.asked == []
    for accepted in ("tes.example", False):
        client.configuration.assert_hostname = accepted
        assert READ.call(client).id == "x"


def test_without_verification_any_certificate_is_accepted(
    connect: Connect, misnamed: Server
) -> None:
    with pytest.warns(InsecureRequestWarning):
        assert READ.call(connect(misnamed.url, verify_ssl=False)).id == "x"


@pytest.mark.parametrize("name", ["verify_ssl", "ssl_ca_cert"])
@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_settings_that_are_changed_later_hold_from_the_next_call_on(
    connect: Connect, secure: Server, authority: Authority, name: str
) -> None:
    client = connect(secure.url)
    assert type(failure(client, READ)) is libtes.TlsException
    setattr(client.configuration, name, False if name == "verify_ssl" else str(authority.file))
    assert READ.call(client).id == "x"


@pytest.mark.parametrize("name", ["ssl_ca_cert", "cert_file", "key_file"])
def test_a_file_that_does_not_exist_is_named_by_its_setting(
    connect: Connect, secure: Server, name: str
) -> None:
    with pytest.raises(libtes.ApiValueError, match=f"`{name}`, must be a file that exists"):
        READ.call(connect(secure.url, **{name: "/no/such/file.pem"}))
    assert secure.connections == 0


# -- Certificates of the client --------------------------------------------------------------------


class ClientCertificate:
    """Files with a client's certificate, its private key, and both."""

    def __init__(self, ca: trustme.CA, folder: Path) -> None:
        cert = ca.issue_cert("agent@tes.example")
        self.cert, self.key, self.both = (str(folder / name) for name in ("cert", "key", "both"))
        cert.cert_chain_pems[0].write_to_path(self.cert)
        cert.private_key_pem.write_to_path(self.key)
        cert.private_key_and_cert_chain_pem.write_to_path(self.both)


@pytest.fixture
def demanding(authority: Authority) -> Iterator[Server]:
    """A server that demands a certificate of its own authority."""
    context = authority.server("127.0.0.1")
    authority.ca.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # with which the client hears of it in time
    with Server(context) as demanding:
        demanding.respond(Response(body={"id": "x"}))
        yield demanding


def test_a_certificate_of_the_client_is_one_file_or_two(
    connect: Connect, demanding: Server, authority: Authority, tmp_path: Path
) -> None:
    own = ClientCertificate(authority.ca, tmp_path)
    client = connect(demanding.url, ssl_ca_cert=str(authority.file), cert_file=own.both)
    assert READ.call(client).id == "x"
    client.configuration.cert_file, client.configuration.key_file = own.cert, own.key
    assert READ.call(client).id == "x"
    assert demanding.connections == 2


def test_without_the_right_certificate_of_the_client(
    connect: Connect, demanding: Server, authority: Authority, tmp_path: Path
) -> None:
    client = connect(demanding.url, ssl_ca_cert=str(authority.file))
    for certificate in (None, ClientCertificate(trustme.CA(), tmp_path).both):
        client.configuration.cert_file = certificate
        assert type(failure(client, READ)) is libtes.TlsException
    assert demanding.asked == []


# -- What speaks no TLS ----------------------------------------------------------------------------


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
