"""Fixtures: a client that holds every secret, and a record of all that a call makes visible."""

from __future__ import annotations

import logging
import pprint
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from libica.openapi import libtes
from libica.openapi.libtes import ApiClient

from .hidden import API_KEY, LOGIN, WAYS, caught, client_of, leaks, settings, told, with_locals

ClientOf = Callable[[str], ApiClient]
Seen = Callable[[], list[str]]
Check = Callable[..., Any]


@pytest.fixture
def seen(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    recwarn: pytest.WarningsRecorder,
) -> Seen:
    """Return a function that tells what was logged, warned of and printed meanwhile."""
    for name in (None, "libica", "urllib3", "urllib3.connectionpool"):
        caplog.set_level(logging.DEBUG, name)

    def texts() -> list[str]:
        texts = [repr(vars(each)) for each in recwarn]
        for each in caplog.records:
            texts += [each.getMessage(), repr(each.args), pprint.pformat(vars(each))]
            texts.append(logging.Formatter("%(asctime)s %(message)s").format(each))
            if each.exc_info and each.exc_info[1]:
                texts += told(each.exc_info[1])
        return [*texts, *capfd.readouterr(), *(file.read_text() for file in tmp_path.glob("*.log"))]

    return texts


@pytest.fixture
def client_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ClientOf]:
    """Return a function that makes a client for a host; it holds every secret, and logs."""
    monkeypatch.setenv("ALL_PROXY", f"http://{LOGIN}@proxy.invalid:8080")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,nowhere.invalid")
    monkeypatch.setenv("ICA_API_KEY", API_KEY)
    made = []

    def make(host: str) -> ApiClient:
        configuration = settings(host)
        configuration.logger_file = str(tmp_path / "calls.log")
        made.append(client_of(configuration))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def check(seen: Seen) -> Check:
    """Return a function that makes a call, which fails, and looks everywhere for secrets."""

    def check(client: ApiClient, call: Any, expected: Any = libtes.ApiException) -> Any:
        call = WAYS[call][0] if isinstance(call, str) else call
        error = caught(lambda: call(client), expected)
        assert leaks(*told(error)) == {}
        assert leaks(*seen()) == {}
        assert "libtes" in with_locals(error)  # where it happened is still told
        return error

    return check
