"""The scheduler: order, capacity, retries, aborts, and stopping."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
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


def test_pending_and_added_runs_are_started(desk: Desk) -> None:
    desk.store.add("a")
    scheduler = desk.start()
    desk.running("a")
    desk.store.add("b")
    scheduler.wake()
    desk.running("a", "b")
    desk.runner.end("a", "b")
    desk.outcomes(("a", "Completed", False), ("b", "Completed", False))


@pytest.mark.parametrize("limit", [{"cpu": 2}, {"memory": 2}, {"workers": 2}])
def test_as_many_run_as_fit(desk: Desk, limit: dict[str, Any]) -> None:
    desk.store.add(*"abcd")
    desk.start(**limit)
    desk.running("a", "b")
    desk.runner.end("b")
    desk.running("a", "c")
    desk.runner.end("a", "c")
    desk.running("d")


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


@pytest.mark.parametrize("status", ["Completed", "TimedOut", "Aborted"])
def test_no_other_run_is_retried(desk: Desk, status: str) -> None:
    desk.store.add("a")
    scheduler = desk.start()
    desk.running("a")
    if status == "Aborted":
        scheduler.abort("a")
    else:
        desk.runner.end("a", status=status)
    desk.outcomes(("a", status, False))


def test_a_run_that_fails_while_it_is_aborted_is_not_retried(desk: Desk) -> None:
    desk.store.add("a")
    scheduler = desk.start()
    desk.running("a")
    with desk.runner.changed:
        desk.runner.ends["a"] = "Failed"
        scheduler.abort("a")
    desk.outcomes(("a", "Failed", False))


def test_an_abort_ends_that_run_alone(desk: Desk) -> None:
    desk.store.add("a", "b")
    scheduler = desk.start()
    desk.running("a", "b")
    scheduler.abort("b")
    scheduler.abort("no such run")
    desk.running("a")


def test_a_run_aborted_in_the_store_is_not_started(desk: Desk) -> None:
    desk.store.add(*"abc")
    desk.start(cpu=1)
    desk.running("a")
    desk.store.abort("b", ME).result()
    desk.runner.end("a")
    desk.running("c")
    assert desk.runner.order == ["a", "c"]


def test_a_run_that_is_aborted_while_it_does_not_fit_makes_way(desk: Desk) -> None:
    desk.store.add("a")
    desk.store.add("large", cpu=4)
    desk.store.add("c")
    scheduler = desk.start(cpu=4)
    desk.running("a")
    desk.store.abort("large", ME).result()
    scheduler.abort("large")
    desk.running("a", "c")


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


def test_a_stop_returns_false_if_a_run_does_not_end_in_time(desk: Desk) -> None:
    desk.store.add("a")
    release = threading.Event()

    class Stubborn:
        def run(self, job: Job, stop: threading.Event) -> Outcome:
            release.wait(PATIENCE)
            return Outcome("Completed", "", {})

    scheduler = Scheduler(desk.store, Stubborn())
    scheduler.start()
    wait_until(lambda: desk.store.status("a") == "Running")
    assert not scheduler.stop(0.05)
    release.set()
    assert scheduler.stop(PATIENCE)


def test_a_scheduler_that_never_started_can_be_stopped(desk: Desk) -> None:
    assert Scheduler(desk.store, desk.runner).stop(PATIENCE)


def test_an_exception_of_the_runner_is_a_failed_run(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.runner.error = RuntimeError("oops")
    desk.store.add("a", retryLimit=0)
    desk.start()
    desk.outcomes(("a", "Failed", False))
    assert "unexpected error in an attempt of a" in caplog.text


def test_a_store_that_fails_for_a_moment_is_asked_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("libica.local.engine.scheduler._PAUSE", 0.01)
    desk.store.failures = 3
    desk.store.add("a")
    desk.start()
    desk.running("a")
    assert "cannot start runs" in caplog.text


def test_an_outcome_that_cannot_be_stored_is_logged(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> None:
        raise OSError("disk")

    monkeypatch.setattr(desk.store, "ended", broken)
    desk.store.add("a")
    desk.start()
    desk.running("a")
    desk.runner.end("a")
    wait_until(lambda: "cannot store the outcome of a" in caplog.text)


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

    threads = [threading.Thread(target=add, args=(part,)) for part in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
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
