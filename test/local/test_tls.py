"""TLS: certificates that are used, and those that are refused before anything is made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from libica.local import LocalTes
from libica.openapi import libtes

from .serving import Serving
from .tls import Authority, trusting


def names(tes: LocalTes, configuration: libtes.Configuration) -> list[str]:
    configuration.retries = 0
    with libtes.ApiClient(configuration) as client:
        tasks = libtes.TasksApi(client)
        tasks.create_task(body={"name": "t"})
        return [task.name or "" for task in tasks.iter_tasks()]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_client_that_trusts_the_authority_works(
    host: str, authority: Authority, tmp_path: Path
) -> None:
    with LocalTes(host=host, **authority.files(host, tmp_path)) as tes:
        assert tes.url.startswith(f"https://{host}:")
        assert tes.authority is None
        assert names(tes, trusting(tes, authority, tmp_path)) == ["t"]
        with pytest.raises(libtes.ApiException, match="certificate"):
            names(tes, tes.configuration())


def test_the_configuration_trusts_a_certificate_whose_file_holds_its_authority(
    authority: Authority, tmp_path: Path
) -> None:
    files = authority.files("127.0.0.1", tmp_path, with_authority=True)
    with LocalTes(**files) as tes:
        assert tes.authority == files["tls_cert"]
        assert names(tes, tes.configuration()) == ["t"]


@pytest.mark.slow
def test_the_printed_lines_work_with_tls(
    serve: Callable[..., Serving],
    authority: Authority,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    authority.files("127.0.0.1", tmp_path, with_authority=True)
    files = tmp_path / "127.0.0.1.pem", tmp_path / "127.0.0.1.key"
    serving = serve("--tls-cert", files[0], "--tls-key", files[1], "--no-page")
    for line in serving.lines:
        monkeypatch.setenv(*line.replace("export ", "").split("="))
    configuration = libtes.Configuration.from_env()
    configuration.ssl_ca_cert = str(files[0])
    with libtes.ApiClient(configuration) as client:
        assert libtes.TasksApi(client).list_tasks().items == []
    status, errors = serving.end()
    assert (status, errors) == (0, f"libica.local: clients must trust {files[0]}\n")


def test_a_certificate_that_cannot_be_used_is_refused_before_anything_is_made(
    authority: Authority, tmp_path: Path
) -> None:
    one = authority.files("127.0.0.1", tmp_path)
    two = authority.files("localhost", tmp_path)
    missing, text, locked = (tmp_path / name for name in ("missing.pem", "text", "locked.key"))
    text.write_text("no certificate")
    locked.write_text(
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----"
    )
    home = tmp_path / "home"
    for options, told in (
        ({"tls_cert": one["tls_cert"]}, "given together"),
        ({"tls_key": one["tls_key"]}, "given together"),
        ({**one, "tls_key": two["tls_key"]}, "must be a certificate and its key"),
        ({**one, "tls_key": text}, "must be a certificate and its key"),
        ({**one, "tls_key": locked}, "without a password"),
        ({**one, "tls_cert": text}, "must be a certificate and its key"),
        ({**one, "tls_cert": missing}, "missing.pem"),
        ({**one, "tls_key": tmp_path}, str(tmp_path)),
    ):
        with pytest.raises((ValueError, OSError), match=told) as raised:
            LocalTes(data=home, **options)
        assert len(str(raised.value).splitlines()) == 1
    assert not home.exists()
