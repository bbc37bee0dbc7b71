"""The scheduler: order, capacity, retries, aborts, and stopping."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Optional

import pytest

from libica.local.engine.scheduler import Scheduler
from libica.local.node.job import Job, Outcome
from libica.local.store import objects
from libica.local.store.identity import Identity
from libica.local.store.store import Store

from .caller import PATIENCE, wait_until

ME = Identity.named("main")


class RecordingStore(Store):
    """A store in memory that records how jobs ended, and fails as often as told."""

    def __init__(self) -> None:
        super().__init__()
        self.outcomes: list[tuple[str, str, bool]] = []
        self.failures = 0

    def add(self, *run_ids: str, cpu: float = 1, memory: float = 1, **more: Any) -> None:
        resources = {"cpuCores": cpu, "memoryGb": memory}
        execution = {"environment": {"resources": resources}, "retryCount": 0, **more}
        for run_id in run_ids:
            self.add_run({**objects.run({}, execution, ME), "id": run_id}, execution).result()

    def status(self, run_id: str) -> str:
        return str(json.loads(self.run(run_id, ME)[0])["status"])

    def pending(self) -> list[str]:
        if self.failures:
            self.failures -= 1
            raise OSError("disk")
        return super().pending()

    def ended(self, job: Job, outcome: Outcome, again: bool) -> None:
        super().ended(job, outcome, again)
        self.outcomes.append((job.run_id, outcome.status, again))


class Runner:
    """Ends jobs when the test says so, and records which ran at the same time."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.running: list[str] = []
        self.order: list[str] = []
        self.ends: dict[str, str] = {}
        self.always: Optional[str] = None
        self.error: Optional[Exception] = None

    def run(self, job: Job, stop: threading.Event) -> Outcome:
        with self.changed:
            self.running.append(job.run_id)
            self.order.append(job.run_id)
            self.changed.notify_all()
            while not (stop.is_set() or self.always or job.run_id in self.ends or self.error):
                self.changed.wait(0.01)
            self.running.remove(job.run_id)
            status = self.ends.pop(job.run_id, None) or self.always or "Aborted"
        if self.error:
            raise self.error
        return Outcome(status, f"It {status}.", {"error": "some"})

    def end(self, *run_ids: str, status: str = "Completed") -> None:
        with self.changed:
            self.ends.update(dict.fromkeys(run_ids, status))
            self.changed.notify_all()


class Desk:
    """A store, a runner and the schedulers that a test starts on them."""

    def __init__(self) -> None:
        self.store = RecordingStore()
        self.runner = Runner()
        self.schedulers: list[Scheduler] = []

    def start(
        self, cpu: float = 4, memory: float = 100, workers: Optional[int] = None
    ) -> Scheduler:
        scheduler = Scheduler(self.store, self.runner, cpu=cpu, memory_gb=memory, workers=workers)
        self.schedulers.append(scheduler)
        scheduler.start()
        return scheduler

    def running(self, *run_ids: str) -> None:
        """Check that exactly these runs start, and no other a moment later."""
        wait_until(lambda: sorted(self.runner.running) == sorted(run_ids))
        time.sleep(0.03)
        assert sorted(self.runner.running) == sorted(run_ids)

    def outcomes(self, *expected: tuple[str, str, bool]) -> None:
        """Check which runs end, how, and whether they are retried."""
        wait_until(lambda: len(self.store.outcomes) >= len(expected))
        assert sorted(self.store.outcomes) == sorted(expected)


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    for scheduler in desk.schedulers:
        assert scheduler.stop(PATIENCE)
    desk.store.close()


@pytest.mark.parametrize("limit", [{"cpu": 2}, {"memory": 2}, {"workers": 2}])
def test_pending_and_added_runs_are_started_as_far_as_they_fit(
    desk: Desk, limit: dict[str, Any]
) -> None:
    desk.store.add(*"abc")
    scheduler = desk.start(**limit)
    desk.running("a", "b")
    desk.store.add("d")
    scheduler.wake()
    desk.runner.end("b")
    desk.running("a", "c")
    desk.runner.end("a", "c")
    desk.running("d")
    desk.outcomes(*((each, "Completed", False) for each in "abc"))


def test_fractions_of_processors_add_up(desk: Desk) -> None:
    ids = [f"r{number:02}" for number in range(11)]
    desk.store.add(*ids, cpu=0.1)
    desk.start(cpu=1)
    desk.running(*ids[:10])


@pytest.mark.parametrize("large", [{"cpu": 4}, {"cpu": 64}, {"memory": 972}])
def test_none_overtakes_the_oldest_and_one_that_never_fits_runs_alone(
    desk: Desk, large: dict[str, Any]
) -> None:
    desk.store.add("before")
    desk.store.add("large", **large)
    desk.store.add("after")
    desk.start(cpu=4)
    for each in ("before", "large"):
        desk.running(each)
        desk.runner.end(each)
    desk.running("after")


@pytest.mark.parametrize(("limit", "attempts"), [(0, 1), (2, 3), (None, 4)])
def test_a_failed_run_is_retried_up_to_its_limit(
    desk: Desk, limit: Optional[int], attempts: int
) -> None:
    desk.store.add("a", retryLimit=limit)
    desk.runner.always = "Failed"
    desk.start()
    desk.outcomes(*(("a", "Failed", each < attempts) for each in range(1, attempts + 1)))


@pytest.mark.parametrize("status", ["Completed", "TimedOut", "Aborted", "Failed"])
def test_a_run_that_ends_otherwise_or_is_aborted_is_not_retried(desk: Desk, status: str) -> None:
    desk.store.add("a", "b")
    scheduler = desk.start()
    desk.running("a", "b")
    if status in ("Completed", "TimedOut"):
        desk.runner.end("a", status=status)
    else:
        with desk.runner.changed:
            if status == "Failed":  # while it is aborted
                desk.runner.ends["a"] = "Failed"
            scheduler.abort("a")
            scheduler.abort("no such run")
    desk.outcomes(("a", status, False))
    desk.running("b")


def test_a_run_that_is_aborted_while_it_does_not_fit_makes_way(desk: Desk) -> None:
    desk.store.add("a")
    desk.store.add("large", cpu=4)
    desk.store.add("c")
    scheduler = desk.start(cpu=4)
    desk.running("a")
    desk.store.abort("large", ME).result()
    scheduler.abort("large")
    desk.running("a", "c")
    assert desk.runner.order == ["a", "c"]


def test_a_stop_ends_runs_which_are_pending_for_the_next_start(desk: Desk) -> None:
    desk.store.add("a")
    desk.store.add("b", retryLimit=0)
    desk.store.add("c")
    scheduler = desk.start(cpu=2)
    desk.running("a", "b")
    assert scheduler.stop(PATIENCE)
    assert [desk.store.status(each) for each in "abc"] == ["Pending", "Failed", "Pending"]
    desk.outcomes(("a", "Failed", True), ("b", "Failed", False))
    desk.start()
    desk.running("a", "c")


def test_a_stop_returns_false_if_a_run_does_not_end_in_time(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()

    def run(job: Job, stop: threading.Event) -> Outcome:
        release.wait(PATIENCE)
        return Outcome("Completed", "", {})

    desk.store.add("a")
    monkeypatch.setattr(desk.runner, "run", run)
    assert Scheduler(desk.store, desk.runner).stop(PATIENCE)  # it never started
    scheduler = desk.start()
    wait_until(lambda: desk.store.status("a") == "Running")
    assert not scheduler.stop(0.05)
    release.set()


def test_failures_of_runner_and_store_are_logged_and_survived(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> None:
        raise OSError("disk")

    monkeypatch.setattr("libica.local.engine.scheduler._PAUSE", 0.01)
    desk.store.failures = 3
    desk.store.add("a", retryLimit=0)
    desk.start()
    desk.running("a")
    assert "cannot start runs" in caplog.text
    desk.runner.error = RuntimeError("oops")
    desk.outcomes(("a", "Failed", False))
    assert "unexpected error in an attempt of a" in caplog.text
    desk.runner.error = None
    monkeypatch.setattr(desk.store, "ended", broken)
    desk.store.add("b")
    desk.schedulers[0].wake()
    desk.running("b")
    desk.runner.end("b")
    wait_until(lambda: "cannot store the outcome of b" in caplog.text)


def test_an_unknown_machine_is_left_to_the_runner(desk: Desk) -> None:
    desk.store.add("a", environment={"resources": {"type": "unknown"}})
    desk.start()
    desk.running("a")


def test_each_of_many_runs_runs_once(desk: Desk) -> None:
    desk.runner.always = "Completed"
    scheduler = desk.start(cpu=8)

    def add(part: int) -> None:
        for number in range(100):
            desk.store.add(f"{part}-{number}")
            scheduler.wake()

    with ThreadPoolExecutor(5) as threads:
        list(threads.map(add, range(5)))
    wait_until(lambda: len(desk.store.outcomes) == 500)
    assert len(set(desk.runner.order)) == len(desk.runner.order) == 500


def test_an_idle_scheduler_uses_no_processor_time(desk: Desk) -> None:
    desk.store.add("a")
    desk.start()
    desk.running("a")
    desk.runner.end("a")
    desk.outcomes(("a", "Completed", False))
    began = time.process_time()
    time.sleep(0.3)
    assert time.process_time() - began < 0.1
