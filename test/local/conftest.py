"""Fixtures: one service for all tests of a process, and for each test a tenant of its own."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from libica.local import LocalTes
from libica.openapi import libtes

from . import images
from .bench import Bench
from .caller import Caller
from .serving import Serving


@pytest.fixture(scope="session")
def shared_tes() -> Iterator[LocalTes]:
    with LocalTes() as tes:
        yield tes


@pytest.fixture
def caller(shared_tes: LocalTes) -> Iterator[Caller]:
    with Caller(shared_tes.url, shared_tes.token_of(uuid.uuid4().hex)) as caller:
        yield caller
        unfinished = caller.ok("GET", "/v1/tasks/runs?pageSize=1000&status=Pending,Running")
        for run in unfinished["items"]:  # they would delay the runs of other tests
            caller.abort(run["id"])


@pytest.fixture
def other(shared_tes: LocalTes) -> Iterator[Caller]:
    """A caller of another tenant."""
    with Caller(shared_tes.url, shared_tes.token_of(uuid.uuid4().hex)) as other:
        yield other


@pytest.fixture
def client(shared_tes: LocalTes, caller: Caller) -> Iterator[libtes.ApiClient]:
    configuration = shared_tes.configuration()
    configuration.api_key["Authorization"] = caller.token
    with libtes.ApiClient(configuration) as client:
        yield client


@pytest.fixture
def serve() -> Iterator[Callable[..., Serving]]:
    """Starts services in processes of their own, which end with the test."""
    started: list[Serving] = []

    def start(*options: object) -> Serving:
        started.append(Serving(*map(str, options)))
        return started[-1]

    yield start
    for each in started:
        each.close()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture(scope="session")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return podman with an image of busybox; what is in /opt/app is the image's own."""
    folder = tmp_path_factory.mktemp("podman")
    with images.image(f"{images.NAME}:1", folder, {"opt/app/own.txt": "of the image\n"}) as podman:
        yield podman
