"""Fixtures: a server that responds as told, and a client that calls it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from libica.openapi import libtes

from .browser import started
from .server import Server

if TYPE_CHECKING:
    from playwright.sync_api import Browser

TOKEN = "token-that-nobody-may-see"

# Background jobs of a shell ignore it, and so would the processes that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# No test may use the proxies of the machine it runs on.
for each in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "request_method"):
    os.environ.pop(each, None)
    os.environ.pop(each.upper(), None)


# The quick session draws few examples.
settings.register_profile("quick", max_examples=10)
if "HYPOTHESIS_PROFILE" in os.environ:  # or else hypothesis has one of its own in CI
    settings.load_profile(os.environ["HYPOTHESIS_PROFILE"])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    return (os.cpu_count() or 1) * 3 // 2  # many tests wait for something


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with started() as browser:
        yield browser


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def configuration(server: Server) -> libtes.Configuration:
    configuration = libtes.Configuration(
        host=server.url,
        api_key={"Authorization": TOKEN},
        api_key_prefix={"Authorization": "Bearer"},
    )
    configuration.retries = 0
    return configuration


@pytest.fixture
def client(configuration: libtes.Configuration) -> Iterator[libtes.ApiClient]:
    with libtes.ApiClient(configuration) as client:
        yield client
