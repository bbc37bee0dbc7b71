"""The ledger and the finder against a model of an unreliable service, without threads.

The model loses responses, makes runs late or twice, refuses requests that it has acted on, and has
lists that lag, are in any order, and lack descriptions.
"""

from __future__ import annotations

import contextlib
import itertools
import tempfile
import threading
from collections import defaultdict
from pathlib import Path
from typing import Any, Optional

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from libica.batch import Launch, calling
from libica.batch.finding import Finder
from libica.batch.journal import Journal, report_of
from libica.batch.ledger import NEXT, Ledger, State
from libica.batch.mark import Mark, marked
from libica.batch.plan import Plan
from libica.openapi import libtes

from ..helpers import few_examples

CLIENT = libtes.ApiClient(libtes.Configuration("http://127.0.0.1:1"))
VERSION = "tvn.1"
ROWS = 10
FATES = ["made"] * 4 + ["lost", "late", "never made"] * 2
FATES += ["busy", "refused", "twice", "lied about"]
LATE = 30.0
"""Seconds after a lost response at which a late run is made; lists lag at most 5 s more."""


class Model:
    """A service: runs with their time of creation, and the lists of them."""

    def __init__(self, keeps: bool) -> None:
        self.now = 0.0
        self.lag = 0.0
        self.order = 1
        self.keeps = keeps
        self.runs: list[tuple[float, libtes.TaskRunSummary]] = []
        self._ids = itertools.count()

    def make(self, name: str, description: Optional[str], at: float) -> libtes.TaskRunSummary:
        run = libtes.TaskRunSummary(id=f"trn.{next(self._ids)}", name=name, status="Pending")
        run.task_version_summary = libtes.TaskVersionSummary(id=VERSION)
        run.description = description if self.keeps else None
        self.runs.append((at, run))
        return run

    def list_task_runs(self, **query: Any) -> libtes.TaskRunSummaryPagedItems:
        shown = [run for at, run in self.runs if at <= self.now - self.lag]
        start = int(query["page_token"] or 0)
        page = shown[:: self.order][start : start + 3]
        token = str(start + 3) if start + 3 < len(shown) else None
        return libtes.TaskRunSummaryPagedItems(items=page, next_page_token=token)

    def get_task_run(self, run_id: str) -> libtes.TaskRun:
        (run,) = [run for _, run in self.runs if run.id == run_id]
        return libtes.TaskRun(id=run.id, task_version_summary=run.task_version_summary)


class Launching(RuleBasedStateMachine):
    """The launches of a batch; any request may fail in any way at any time."""

    @initialize(mark=st.booleans(), keeps=st.booleans(), old=st.booleans(), freezes=st.booleans())
    def begin(self, mark: bool, keeps: bool, old: bool, freezes: bool) -> None:
        self.model = Model(keeps)
        self.freezes = freezes  # lists may lag for longer, but then no run is made late
        names = [f"s{row}" for row in range(ROWS)]
        if old:
            for name in names:
                self.model.make(name, "of old", -3600)
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "journal"
        self.plan = Plan(CLIENT, [{"name": name, "arguments": {}} for name in names], [])
        self.journal = Journal(self.path)
        history = self.journal.begin("tdn.1", VERSION, self.plan, mark=mark)
        rows: list[Launch] = [history.launches[name] for name in names]
        self.ledger = Ledger(rows, history, self.journal, self.plan.request)
        api: Any = self.model
        self.finder = Finder(self.ledger, api, VERSION, lambda _: "text", lambda: self.model.now)
        self.under_way: dict[int, Optional[str]] = {}
        self.made: dict[str, list[str]] = defaultdict(list)
        self.spoiled: set[str] = set()  # launches that made two runs or were refused but made one

    # Events

    @rule(most=st.integers(1, ROWS))
    def send(self, most: int) -> None:
        self.ledger.written(self.ledger.write(most))
        for _ in range(most):
            taken = self.ledger.take()
            if taken is None:
                return
            mark = self.ledger.mark(taken[0])
            self.under_way[taken[0]] = marked("text", mark) if mark else "text"

    @precondition(lambda self: self.under_way)
    @rule(fates=st.lists(st.sampled_from(FATES), min_size=1, max_size=ROWS))
    def end(self, fates: list[str]) -> None:
        for fate, row in zip(fates, list(self.under_way)):
            name = self.ledger.rows[row].name
            if fate in ("twice", "lied about"):
                self.spoiled.add(name)
                self._make(row)
            if fate in ("made", "twice"):
                self.ledger.settle(row, self._make(row))
            elif fate in ("refused", "lied about"):
                self.ledger.refuse(row, "400")
            elif fate == "busy":
                self.ledger.put_back(row)
            else:
                if fate == "lost":
                    self._make(row)
                elif fate == "late":
                    self._make(row, 0 if self.freezes else LATE)
                self.ledger.lose(row, "lost")
            del self.under_way[row]

    @rule(seconds=st.sampled_from([1, 45, 90]))
    def wait(self, seconds: int) -> None:
        for _ in range(seconds):
            self.model.now += 1
            self.finder.look()

    @rule(lag=st.sampled_from([0, 1, 5]), order=st.sampled_from([1, -1]))
    def list_otherwise(self, lag: float, order: int) -> None:
        self.model.lag, self.model.order = lag * (20 if self.freezes else 1), order

    def _make(self, row: int, delay: float = 0) -> libtes.TaskRunSummary:
        name = self.ledger.rows[row].name
        run = self.model.make(name, self.under_way[row], self.model.now + delay)
        self.made[name].append(str(run.id))
        return run

    # Properties

    @invariant()
    def no_launch_is_doubled(self) -> None:
        for name, ids in getattr(self, "made", {}).items():
            assert len(ids) <= 1 or name in self.spoiled, name

    @invariant()
    def each_run_is_that_of_its_launch(self) -> None:
        for launch in self.ledger.rows if hasattr(self, "ledger") else ():
            told = {launch.run_id, *launch.doubles} - {None}
            assert told <= set(self.made[launch.name]), launch

    def teardown(self) -> None:
        if not hasattr(self, "ledger"):
            return
        try:
            self._end()
        finally:
            self.journal.close()
            self.plan.close()
            self.folder.cleanup()

    def _end(self) -> None:
        self.end(["late"] * len(self.under_way))
        self.ledger.stop(KeyboardInterrupt())
        self.ledger.close()
        self.no_launch_is_doubled()
        self.each_run_is_that_of_its_launch()
        told = report_of(self.path)
        for row, (launch, kept) in enumerate(zip(self.ledger.rows, told)):
            # No run is lost: it is known, or its launch is reported as unsure.
            unmade = not self.made[launch.name] or launch.name in self.spoiled
            assert launch.run_id or unmade or launch.outcome == "Unsure"
            assert (kept.run_id, kept.doubles) == (launch.run_id, launch.doubles)
            assert (kept.outcome == "Unsure") == (self.ledger.state(row) is State.DOUBTFUL)


TestLaunching = pytest.mark.slow(Launching.TestCase)
TestLaunching.settings = settings(few_examples, max_examples=40, stateful_step_count=80)


@pytest.fixture
def ledger(tmp_path: Path) -> Any:
    launches = [{"name": f"s{n}", "arguments": {}} for n in range(6)]
    with Plan(CLIENT, launches, []) as plan, Journal(tmp_path / "journal") as journal:
        history = journal.begin("tdn.1", VERSION, plan)
        rows = [history.launches[name] for name in plan.names]
        yield Ledger(rows, history, journal, plan.request)


def run(number: int, mark: Optional[Mark]) -> libtes.TaskRun:
    return libtes.TaskRun(id=f"trn.{number}", status="Pending", description=f"text {mark}")


@pytest.mark.parametrize(("before", "after"), [*itertools.product(State, State)])
def test_states_change_only_as_declared(ledger: Ledger, before: State, after: State) -> None:
    ledger._states[0] = before
    refused = pytest.raises(libtes.ApiValueError, match=f"{after.value} after {before.value}")
    with ledger.changed, contextlib.nullcontext() if after in NEXT[before] else refused:
        ledger._move(0, after)
    assert ledger.state(0) is (after if after in NEXT[before] else before)


def test_a_list_is_proven_up_to_its_newest_witness(ledger: Ledger) -> None:
    ledger.written(ledger.write(5))
    for _ in range(3):
        assert ledger.take() is not None
    ledger.lose(0, "lost")
    ledger.settle(1, run(1, ledger.mark(1)))  # sent before the loss
    assert ledger.proven([0, 1, 0, 0, 0, 0]) < ledger.lost_at(0)
    ledger.settle(2, run(2, ledger.mark(2)))
    ledger.want_witness()
    assert ledger.take() is not None
    ledger.settle(3, run(3, ledger.mark(3)))
    assert ledger.proven([0, 1, 1, 1, 0, 0]) > ledger.lost_at(0)
    assert ledger.proven([0, 1, 0, 1, 0, 0]) < ledger.lost_at(0)  # a known run is missing
    assert ledger.proven([0, 1, 1, 0, 0, 0]) < ledger.lost_at(0)  # the witness is missing
    assert ledger.proven([0] * 6) == 0


def test_the_last_launches_are_held_back_while_others_are_in_progress(ledger: Ledger) -> None:
    rows = ledger.write(100)
    ledger.written(rows)
    assert rows == [0, 1, 2, 3, 4]
    assert not ledger.low(100)
    while ledger.take() is not None:
        pass
    assert ledger.ready == 2  # two more are held back
    ledger.lose(0, "lost")
    for row in (1, 2):
        ledger.settle(row, run(row, ledger.mark(row)))
    assert ledger.take() is None
    ledger.want_witness()
    assert ledger.take() is not None
    assert ledger.take() is None  # one witness is enough


def test_a_launch_in_progress_when_a_batch_stops_is_unsure(ledger: Ledger) -> None:
    ledger.written(ledger.write(2))
    assert ledger.take() is not None
    ledger.stop(KeyboardInterrupt())
    ledger.close()
    assert [each.outcome for each in ledger.rows] == ["Unsure"] + ["Not launched"] * 5
    assert ledger.rows[0].error == "unsure: the batch was stopped before the response came"


def test_the_delays_before_a_proof_add_up_to_35_seconds() -> None:
    assert 35 < sum(calling.Waits().looks) < 40


def test_doubt_lasts_while_a_witness_may_come(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calling, "WAITS", calling.Waits(looks=(0.0,)))
    model: Any = Model(keeps=True)
    finder = Finder(ledger, model, VERSION, lambda _: "text", lambda: model.now)

    def look() -> None:
        finder.look()
        model.now += 1
        assert 0 in ledger.doubts

    ledger.written(ledger.write(1))
    ledger.take()
    ledger.lose(0, "lost")
    ledger.want_witness()
    rows = ledger.write(1)
    while ledger.write(100):
        pass
    look()  # the journal is waiting for the disk
    ledger.written(rows)
    look()
    may_prove, taken = ledger.may_prove, threading.Thread(target=ledger.take)

    def then_send(tick: int) -> bool:
        proves = may_prove(tick)
        taken.start()
        taken.join(0.2)
        return proves

    monkeypatch.setattr(ledger, "may_prove", then_send)
    look()
    taken.join()
    assert ledger.state(1) is State.SENT
