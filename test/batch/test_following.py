"""Following a report until its runs have finished; for notebooks see the tests of examples."""

from __future__ import annotations

import _thread
import pickle
import re
from typing import Any

import pytest

from libica.batch import BatchError, Launch, Report, live
from libica.openapi import libtes

from .service import EVER, Service, any_request, is_list, on, refuse


def launched(service: Service, names: str, **options: Any) -> Report:
    launches = [
        Launch(each, run_id, "Pending") for each, run_id in zip(names, service.add_runs(names))
    ]
    return Report(launches, api_client=service.client, **options)


def test_a_terminal_gets_a_line_for_each_change_of_the_counts_and_at_the_end_the_reasons(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    report = launched(service, "abc", notes=["Take note."])
    report = Report([*report, Launch("d", error="400: no")], notes=report.notes)
    rounds = iter([[], [], report.run_ids[:1], [], report.run_ids])
    service.before = on(EVER, is_list, lambda _: service.set_status(next(rounds, [])))
    live(report, service.client, poll=0.01)
    lines = capsys.readouterr().out.splitlines()
    assert [re.sub(r"^\d\d:\d\d:\d\d ", "", each) for each in lines] == [
        "<Report: 4 launches, 3 Pending, 1 Not launched>",
        "<Report: 4 launches, 3 Running, 1 Not launched>",
        "<Report: 4 launches, 1 Completed, 2 Running, 1 Not launched>",
        "<Report: 4 launches, 3 Completed, 1 Not launched>",
        "  Take note.",
        "  'd': Not launched: 400: no",
    ]


def test_a_report_that_has_ended_is_shown_without_requests(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    live(Report([Launch("a", "trn.1", "Completed"), Launch("b")]), service.client)
    assert capsys.readouterr().out.count("1 Completed, 1 Not launched") == 1
    assert not service.asked


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_timeout_and_ctrl_c_end_it_with_the_current_state(
    service: Service, interrupted: bool
) -> None:
    report = launched(service, "ab")
    service.set_status(report.run_ids[:1])
    if interrupted:
        service.before = on(range(2, 3), any_request, lambda _: _thread.interrupt_main())
    live(report, timeout=None if interrupted else 0, poll=0.01)
    assert report.summary() == {"Completed": 1, "Running": 1}


def test_it_needs_a_client_and_a_valid_poll_and_tells_what_was_refused(service: Service) -> None:
    report = launched(service, "ab")
    with pytest.raises(libtes.ApiValueError, match="live needs an api_client"):
        live(pickle.loads(pickle.dumps(report)))
    with pytest.raises(libtes.ApiValueError, match="poll must be"):
        live(report, poll=0)
    service.before = on(EVER, is_list, refuse(401))
    with pytest.raises(BatchError, match="stopped waiting"):
        live(report)
