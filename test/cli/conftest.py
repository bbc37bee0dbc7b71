"""Fixtures: one service for all tests of a process, and for each test a tenant and a folder."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from libica.local import LocalTes

from ..local.caller import Caller
from .command import Command


@pytest.fixture(scope="session")
def tes() -> Iterator[LocalTes]:
    with LocalTes() as tes:
        yield tes


@pytest.fixture
def caller(tes: LocalTes) -> Iterator[Caller]:
    with Caller(tes.url, tes.token_of(uuid.uuid4().hex)) as caller:
        yield caller
        for run in caller.ok("GET", "/v1/tasks/runs?pageSize=1000&status=Pending,Running")["items"]:
            caller.abort(run["id"])


@pytest.fixture
def command(caller: Caller, tmp_path: Path) -> Command:
    return Command(tmp_path, caller.url, caller.token)
