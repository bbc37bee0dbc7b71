"""Exactly once, against a service whose lists are late, unsorted or lack fields."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from libica.batch import Report, calling, launch_all
from libica.openapi import libtes

from .service import cohort
from .unruly import SCALE, UnrulyService

FAULTS: dict[str, dict[str, Any]] = {
    "whole seconds": {"whole_seconds": True},
    "clocks 2 s apart": {"skew": 2},
    "a sort that is ignored": {"unsorted": True},
    "no times": {"times": False},
    "no versions": {"versions": False},
    "lists 5 s late": {"lag": 5},
}
LAUNCHES = 40


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    real = calling.Waits()
    scaled = calling.Waits(
        tuple(each / SCALE for each in real.looks), real.again / SCALE, backoff=0.01, tick=0.01
    )
    monkeypatch.setattr(calling, "WAITS", scaled)


@contextmanager
def another_cohort(service: UnrulyService) -> Iterator[None]:
    """Have others launch the same names before, and another version of them at the same time."""
    versions = libtes.TaskVersionsApi(service.client)
    hooks = service.before, service.after
    service.before = service.after = None
    body = {"version": "2.0", "execution": {"command": "true"}}
    other = versions.create_task_version(service.ids[0], body=body)
    launches = cohort(LAUNCHES)
    for each in launches:
        versions.launch_task_run(*service.ids, body=each)
    service.unruly.launched.clear()
    for each in launches[::2]:
        versions.launch_task_run(service.ids[0], other.id, body=each)
    service.before, service.after = hooks
    yield


def check(service: UnrulyService, report: Report) -> None:
    """Check that no launch is lost or doubled without the report saying so."""
    for launch in report:
        made = service.runs_of(launch.name)
        told = {launch.run_id, *launch.doubles} - {None}
        if launch.outcome == "Unsure":
            assert not told
        else:
            assert told == set(made), launch


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("mark", [True, False], ids=["marks", "names"])
@pytest.mark.parametrize("fault", FAULTS)
def test_no_launch_is_lost_or_doubled(fault: str, mark: bool, seed: int) -> None:
    with UnrulyService(seed, **FAULTS[fault]) as service, another_cohort(service):
        report = launch_all(service.client, *service.ids, cohort(LAUNCHES), mark=mark)
        check(service, report)
        assert not report.doubled
        assert not report.lost
        assert all(len(service.runs_of(launch.name)) <= 1 for launch in report)
        # Names tell less: of what was launched before the old runs were listed they tell nothing.
        # The waits are a fraction of real ones, so on a busy machine a proof may come too late.
        assert len(report.unsure) <= (LAUNCHES // 4 if mark else LAUNCHES // 2)
        service.client.close()
