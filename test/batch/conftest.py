"""Fixtures: a service with one version, and a batch that loses no time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from libica.batch import calling

from .service import Service


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as service:
        yield service
        service.client.close()


HASTY = calling.Waits(looks=(0.0, 0.02, 0.05), again=0.02, backoff=0.01, tick=0.01)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for what had no response at once, and again soon after."""
    monkeypatch.setattr(calling, "WAITS", HASTY)
