"""Fixtures: a service with one version, and a batch that loses no time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from libica.batch import launching

from .service import Service


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as service:
        yield service
        service.client.close()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for what had no answer at once, and a second time soon after."""
    monkeypatch.setattr(launching, "LOOKS", (0.0, 0.05))
    monkeypatch.setattr(launching, "_TICK", 0.01)
