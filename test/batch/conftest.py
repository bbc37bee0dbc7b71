"""Fixtures: a service with one version, and delays so short that no test waits."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from libica.batch import calling

from .service import Service


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as service:
        yield service


HASTY = calling.Waits(looks=(0.0, 0.02, 0.05), again=0.02, backoff=0.01, tick=0.01)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Search at once for launches that got no response, and again soon after."""
    monkeypatch.setattr(calling, "WAITS", HASTY)


@pytest.fixture
def impatient(hasty: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop soon if the service does not respond."""
    monkeypatch.setattr(calling, "WAITS", dataclasses.replace(HASTY, patience=0.05))
