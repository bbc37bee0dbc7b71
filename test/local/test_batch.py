"""A batch system that is slow, loses answers, reports late and forgets: each run ends once."""

from __future__ import annotations

import collections
import contextlib
import json
import random
import tempfile
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from libica.local.engine.interface import Attempt, BusyError, Capacity, Engine, Report, State
from libica.local.engine.scheduler import Scheduler
from libica.local.node.job import Settings

from .engines import ME, Desk


class Killed(BaseException):
    """The service is killed by SIGKILL."""


@dataclass
class Job:
    attempt: Attempt
    submitted: float
    begins: float
    ends: float
    shows: float  # when its outcome can be seen
    truth: str  # its outcome, or `Lost` if its machine fails
    cancelled: Optional[float] = None
    begun: bool = False

    def state(self, now: float) -> State:
        if now >= min(self.ends, self.cancelled or self.ends):
            return State.ENDED
        return State.RUNNING if now >= self.begins else State.WAITING


class Batch(Engine):
    """A simulated batch system; its nodes share the attempts' folders."""

    patience = 60.0
    lag = 40.0  # less than the patience

    def __init__(self, seed: int) -> None:
        self.name = "simulated"
        self.capacity = Capacity(attempts=5)
        self.now = 0.0
        self.random = random.Random(seed)
        self.faulty = True
        self.jobs: dict[str, Job] = {}
        self.calls: collections.Counter[str] = collections.Counter()

    def clock(self) -> float:
        return self.now

    def chance(self, probability: float) -> bool:
        return self.faulty and self.random.random() < probability

    def trouble(self, *what: Any) -> None:
        """Raise one of some exceptions, at times."""
        if self.chance(0.15):
            raise self.random.choice(what)

    def submit(self, attempt: Attempt, announce: Callable[[], None]) -> str:
        self.calls["submit"] += 1
        self.trouble(BusyError("the queue is full"), OSError("timed out"), Killed())
        assert json.loads((attempt.folder / "job.json").read_text())
        handle, pick = str(len(self.jobs) + 1), self.random.uniform
        begins = self.now + pick(0, 100)
        ends = begins + pick(0, 100)
        truth = self.random.choice(["Completed", "Completed", "Failed", "TimedOut", "Lost"])
        shows = ends + pick(0, self.lag)
        self.jobs[handle] = Job(attempt, self.now, begins, ends, shows, truth)
        self.trouble(OSError("the answer was lost"), Killed())
        return handle

    def find(self, names: Collection[str]) -> Mapping[str, str]:
        self.calls["find"] += 1
        self.trouble(OSError("does not respond"), Killed())
        known = {
            self.jobs[handle].attempt.name: handle for handle in self.jobs if self.knows(handle)
        }
        return {name: known[name] for name in names if name in known}

    def poll(self, handles: Collection[str]) -> Mapping[str, Report]:
        self.calls["poll"] += 1
        self.trouble(OSError("does not respond"), Killed())
        reports = {}
        for handle in self.random.sample([*handles], len(handles)):
            late = self.random.uniform(0, self.lag) if self.faulty else 0
            if not self.knows(handle):
                reports[handle] = Report(State.LOST)
            elif not self.chance(0.1):
                state = self.jobs[handle].state(self.now - late)
                ended = state is State.ENDED and self.jobs[handle].truth == "Lost"
                reports[handle] = Report(state, "NODE_FAIL" if ended else "")
        return reports

    def knows(self, handle: str) -> bool:
        """Return whether a job is in the lists: not just submitted, and not long ended."""
        job = self.jobs[handle]
        shown = self.now >= job.submitted + (self.lag if self.faulty else 0)
        return shown and self.now < job.ends + 300

    def cancel(self, handle: str) -> None:
        self.calls["cancel"] += 1
        self.trouble(OSError("does not respond"))
        job = self.jobs[handle]
        if job.state(self.now) is not State.ENDED:
            job.cancelled = self.now
        self.trouble(OSError("the answer was lost"), Killed())

    def advance(self, seconds: float) -> None:
        """Let time pass, and do what the nodes do meanwhile."""
        self.now += seconds
        for job in self.jobs.values():
            with contextlib.suppress(FileNotFoundError):  # its folder, as it was given up
                self.run(job)

    def run(self, job: Job) -> None:
        folder, gone = job.attempt.folder, job.cancelled
        if not job.begun and self.now >= job.begins and (gone is None or job.begins < gone):
            job.begun = True
            (folder / "log.json").write_text('{"startTime": "then", "stdout": "url"}')
        in_time = gone is None or job.ends <= gone
        if job.begun and self.now >= (job.shows if in_time else gone) and job.truth != "Lost":
            truth = job.truth if in_time else "Aborted"
            outcome = {"status": truth, "details": f"It {truth}.", "log": {"startTime": "then"}}
            (folder / "outcome.json").write_text(json.dumps(outcome))


class Lab(RuleBasedStateMachine):
    @initialize(seed=st.integers(0, 1 << 32))
    def begin(self, seed: int) -> None:
        self.temporary = tempfile.TemporaryDirectory()
        self.desk = Desk(Path(self.temporary.name))
        self.batch = Batch(seed)
        self.limits: dict[str, int] = {}
        self.aborted: set[str] = set()
        self.serve()

    def serve(self) -> None:
        self.scheduler = Scheduler(
            self.desk.runs, self.batch, self.desk.folder, Settings(""), clock=self.batch.clock
        )

    def work(self) -> None:
        for _ in range(100):
            try:
                self.scheduler.step()
                if self.scheduler.pause() != 0:
                    return
            except Killed:
                self.serve()
        raise AssertionError("the scheduler does not come to rest")

    @rule(limit=st.integers(0, 2), number=st.integers(1, 4))
    def launch(self, limit: int, number: int) -> None:
        for _ in range(number):
            run_id = f"r{len(self.limits):03}"
            self.desk.add(run_id, retryLimit=limit)
            self.limits[run_id] = limit
        self.scheduler.wake()
        self.work()

    @rule(seconds=st.sampled_from([0.5, 5, 30, 100, 1000]))
    def wait(self, seconds: float) -> None:
        self.batch.advance(seconds)
        self.work()

    @rule(full=st.booleans())
    def fill_the_disk(self, full: bool) -> None:
        self.desk.runs.full = full

    @rule()
    def kill(self) -> None:
        self.serve()
        self.work()

    @rule(pick=st.integers(0, 100))
    def abort(self, pick: int) -> None:
        under_way = [
            each for each in self.limits if self.desk.status(each) in ("Pending", "Running")
        ]
        if under_way:
            run_id = under_way[pick % len(under_way)]
            self.desk.store.abort(run_id, ME).result()
            self.aborted.add(run_id)
            self.scheduler.abort(run_id)
            self.work()

    @invariant()
    def nothing_runs_twice(self) -> None:
        names = [job.attempt.name for job in self.batch.jobs.values()] if self.limits else []
        assert len(set(names)) == len(names)  # nor is submitted twice

    def teardown(self) -> None:
        if hasattr(self, "desk"):
            try:
                self.check()
            finally:
                self.scheduler.stop()
                self.desk.store.close()
                self.temporary.cleanup()

    def check(self) -> None:
        """Let all faults pass, and compare each run with what happened to it."""
        self.batch.faulty = self.desk.runs.full = False
        for _ in range(5000):
            self.work()
            if all(self.desk.status(each) not in ("Pending", "Running") for each in self.limits):
                break
            self.batch.advance(max(0.1, self.scheduler.pause() or 30))
        truths: dict[str, list[str]] = {each: [] for each in self.limits}
        for job in self.batch.jobs.values():
            truths[job.attempt.name.rpartition("-")[0]].append(job.truth)
        for run_id, limit in self.limits.items():
            shown, attempts = self.desk.shown(run_id), truths[run_id]
            if run_id in self.aborted:
                assert shown["status"] in ("Aborted", *attempts[-1:])
                continue
            *before, last = attempts
            assert set(before) <= {"Failed", "Lost"}, (shown, attempts)
            assert shown["status"] == {"Lost": "Failed"}.get(last, last), (shown, attempts)
            assert len(attempts) == len(shown["logs"]) == limit + 1 or shown["status"] != "Failed"
            assert shown["retryCount"] == len(before)
        assert not self.desk.store.runs.under_way()


@pytest.mark.slow
class TestLab(Lab.TestCase):  # type: ignore[misc, name-defined]
    settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
