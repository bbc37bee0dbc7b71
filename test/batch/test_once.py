"""Exactly once, with a service that loses responses and whose lists cannot be trusted."""

from __future__ import annotations

from typing import Any

import pytest

from libica.batch import calling, launch_all
from libica.openapi import libtes

from .service import UnrulyService, cohort

pytestmark = pytest.mark.slow

SCALE = 50
"""How many times shorter than usual all delays are."""

FAULTS: dict[str, dict[str, Any]] = {
    "equal times": {},
    "clocks 3 h apart": {"skew": 10_800},
    "a sort that is ignored": {"unsorted": True},
    "no times": {"without": "timeCreated"},
    "no versions": {"without": "taskVersionSummary"},
    "lists 5 s late": {"lag": 5 / SCALE},
}
LAUNCHES = 40


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    real = calling.Waits()
    scaled = calling.Waits(
        tuple(each / SCALE for each in real.looks), real.again / SCALE, backoff=0.01, tick=0.01
    )
    monkeypatch.setattr(calling, "WAITS", scaled)


def another_cohort(service: UnrulyService) -> None:
    """Launch the same names before, and runs of another version with these names."""
    hooks = service.before, service.after
    service.before = service.after = None
    versions = libtes.TaskVersionsApi(service.client)
    for each in cohort(LAUNCHES):
        versions.launch_task_run(*service.ids, body=each)
    service.old.update(service.runs)
    for each in cohort(LAUNCHES)[::2]:
        versions.launch_task_run(service.ids[0], "tvn.other", body=each)
    service.before, service.after = hooks


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("mark", [True, False], ids=["marks", "names"])
@pytest.mark.parametrize("fault", FAULTS)
def test_each_launch_makes_one_run_or_is_reported_as_unsure(
    fault: str, mark: bool, seed: int
) -> None:
    with UnrulyService(seed, **FAULTS[fault]) as service:
        another_cohort(service)
        report = launch_all(service.client, *service.ids, cohort(LAUNCHES), mark=mark)
        assert not report.doubled
        assert not report.lost
        for launch in report:
            made = service.runs_of(launch.name)
            assert len(made) <= 1
            assert [launch.run_id] == ([None] if launch.outcome == "Unsure" else made), launch
        # Without marks, nothing can be proven about launches that were sent before the old runs
        # were listed. Delays are short here, so on a busy machine a proof may come too late.
        assert len(report.unsure) <= (LAUNCHES // 4 if mark else LAUNCHES // 2)
