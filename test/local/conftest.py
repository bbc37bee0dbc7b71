"""Fixtures: one service for all tests of a process, and for each test a tenant of its own."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import pytest

from libica.local import LocalTes
from libica.openapi import libtes

from .caller import Caller
from .serving import Serving


@pytest.fixture(scope="session")
def shared_tes() -> Iterator[LocalTes]:
    with LocalTes() as tes:
        yield tes


@pytest.fixture
def caller(shared_tes: LocalTes) -> Iterator[Caller]:
    caller = Caller(shared_tes.url, shared_tes.token_of(uuid.uuid4().hex))
    yield caller
    for run in caller.made("GET", "/v1/tasks/runs?pageSize=1000&status=Pending,Running")["items"]:
        caller("PUT", f"/v1/tasks/runs/{run['id']}:abort")  # or the runs of other tests would wait
    caller.close()


@pytest.fixture
def other(shared_tes: LocalTes) -> Iterator[Caller]:
    """Somebody of another tenant."""
    other = Caller(shared_tes.url, shared_tes.token_of(uuid.uuid4().hex))
    yield other
    other.close()


@pytest.fixture
def client(shared_tes: LocalTes, caller: Caller) -> Iterator[libtes.ApiClient]:
    configuration = shared_tes.configuration()
    configuration.api_key["Authorization"] = caller.token
    with libtes.ApiClient(configuration) as client:
        yield client


@pytest.fixture
def serve() -> Iterator[Callable[..., Serving]]:
    """Starts services in processes of their own; those that a test leaves are ended."""
    started: list[Serving] = []

    def start(*options: object) -> Serving:
        started.append(Serving(*map(str, options)))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.end()
        each.process.communicate()
