"""Runs start in order, as many as fit; failed ones again; and everything ends when told to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Optional

import pytest

from libica.local.engine.scheduler import Scheduler
from libica.local.node.job import Job, Outcome


class Store:
    """Runs in memory."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.status: dict[str, str] = {}
        self.executions: dict[str, dict[str, Any]] = {}
        self.attempts: dict[str, int] = {}
        self.outcomes: list[tuple[str, str, bool]] = []
        self.broken = 0

    def add(self, run_id: str, cpu: float = 1, memory: float = 1, **more: Any) -> None:
        resources = {"cpuCores": cpu, "memoryGb": memory}
        with self.lock:
            self.executions[run_id] = {"environment": {"resources": resources}, **more}
            self.attempts[run_id] = 1
            self.status[run_id] = "Pending"

    def pending(self) -> list[str]:
        with self.lock:
            if self.broken:
                self.broken -= 1
                raise OSError("disk")
            return [run_id for run_id, status in self.status.items() if status == "Pending"]

    def job(self, run_id: str) -> Job:
        return Job(run_id, self.executions[run_id], self.attempts[run_id])

    def started(self, job: Job) -> bool:
        with self.lock:
            if self.status[job.run_id] != "Pending":
                return False
            self.status[job.run_id] = "Running"
            return True

    def ended(self, job: Job, outcome: Outcome, again: bool) -> None:
        with self.lock:
            self.outcomes.append((job.run_id, outcome.status, again))
            self.attempts[job.run_id] += again
            self.status[job.run_id] = "Pending" if again else outcome.status


class Runner:
    """Ends jobs when the test says so, and notes what ran beside each other."""

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

    def await_started(self, count: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.order) >= count, 10)

    def end(self, run_id: str, status: str = "Completed") -> None:
        with self.changed:
            self.ends[run_id] = status
            self.changed.notify_all()


class Bench:
    def __init__(self) -> None:
        self.store = Store()
        self.runner = Runner()
        self.schedulers: list[Scheduler] = []

    def start(
        self, cpu: float = 4, memory: float = 100, workers: Optional[int] = None
    ) -> Scheduler:
        scheduler = Scheduler(self.store, self.runner, cpu=cpu, memory_gb=memory, workers=workers)
        self.schedulers.append(scheduler)
        scheduler.start()
        return scheduler

    def until(self, condition: Callable[[], Any]) -> None:
        end = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < end, (self.runner.running, self.store.status)
            time.sleep(0.002)

    def runs(self, *run_ids: str) -> bool:
        """Tell whether exactly these run, and go on doing so."""
        self.until(lambda: sorted(self.runner.running) == sorted(run_ids))
        time.sleep(0.03)
        return sorted(self.runner.running) == sorted(run_ids)


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    for scheduler in bench.schedulers:
        assert scheduler.stop(10)


def test_what_waits_already_is_started(bench: Bench) -> None:
    bench.store.add("a")
    bench.start()
    assert bench.runs("a")
    bench.runner.end("a")
    bench.until(lambda: bench.store.status["a"] == "Completed")
    assert bench.store.outcomes == [("a", "Completed", False)]


def test_what_is_added_is_started_at_once(bench: Bench) -> None:
    scheduler = bench.start()
    waits = []
    for number in range(20):
        bench.store.add(f"r{number}", cpu=0.1)
        began = time.monotonic()
        scheduler.wake()
        bench.runner.await_started(number + 1)
        waits.append(time.monotonic() - began)
    assert sorted(waits)[10] < 0.05


@pytest.mark.parametrize("limit", [{"cpu": 2}, {"memory": 2}, {"workers": 2}])
def test_as_many_run_as_fit(bench: Bench, limit: dict[str, Any]) -> None:
    for run_id in "abcd":
        bench.store.add(run_id)
    bench.start(**limit)
    assert bench.runs("a", "b")
    bench.runner.end("b")
    assert bench.runs("a", "c")
    bench.runner.end("a")
    bench.runner.end("c")
    assert bench.runs("d")


def test_parts_of_processors_add_up(bench: Bench) -> None:
    for number in range(11):
        bench.store.add(f"r{number:02}", cpu=0.1)
    bench.start(cpu=1)
    assert bench.runs(*(f"r{number:02}" for number in range(10)))


def test_none_overtakes_the_oldest_so_that_a_large_one_has_its_turn(bench: Bench) -> None:
    bench.store.add("small-1")
    bench.store.add("large", cpu=4)
    bench.store.add("small-2")
    bench.start(cpu=4)
    assert bench.runs("small-1")
    bench.runner.end("small-1")
    assert bench.runs("large")
    bench.runner.end("large")
    assert bench.runs("small-2")


@pytest.mark.parametrize("large", [{"cpu": 64}, {"memory": 972}])
def test_one_larger_than_all_there_is_runs_alone(bench: Bench, large: dict[str, Any]) -> None:
    bench.store.add("before")
    bench.store.add("large", **large)
    bench.store.add("after")
    bench.start()
    assert bench.runs("before")
    bench.runner.end("before")
    assert bench.runs("large")
    bench.runner.end("large")
    assert bench.runs("after")


@pytest.mark.parametrize(("limit", "attempts"), [(0, 1), (2, 3), (None, 4)])
def test_a_failed_run_is_tried_again_up_to_its_limit(
    bench: Bench, limit: Optional[int], attempts: int
) -> None:
    bench.store.add("a", retryLimit=limit)
    bench.runner.always = "Failed"
    bench.start()
    bench.until(lambda: bench.store.status["a"] == "Failed")
    assert bench.store.outcomes == [
        ("a", "Failed", attempt < attempts) for attempt in range(1, attempts + 1)
    ]


@pytest.mark.parametrize("status", ["Completed", "TimedOut", "Aborted"])
def test_nothing_else_is_tried_again(bench: Bench, status: str) -> None:
    bench.store.add("a")
    scheduler = bench.start()
    assert bench.runs("a")
    if status == "Aborted":
        scheduler.abort("a")
    else:
        bench.runner.end("a", status)
    bench.until(lambda: bench.store.outcomes)
    assert bench.store.outcomes == [("a", status, False)]


def test_a_run_that_fails_while_it_is_aborted_is_not_tried_again(bench: Bench) -> None:
    bench.store.add("a")
    scheduler = bench.start()
    assert bench.runs("a")
    with bench.runner.changed:
        bench.runner.ends["a"] = "Failed"
        scheduler.abort("a")
    bench.until(lambda: bench.store.outcomes)
    assert bench.store.outcomes == [("a", "Failed", False)]


def test_an_abort_ends_only_that_run(bench: Bench) -> None:
    bench.store.add("a")
    bench.store.add("b")
    scheduler = bench.start()
    assert bench.runs("a", "b")
    scheduler.abort("b")
    scheduler.abort("no such run")
    assert bench.runs("a")


def test_a_run_aborted_while_it_waits_is_not_started(bench: Bench) -> None:
    for run_id in "abc":
        bench.store.add(run_id)
    scheduler = bench.start(cpu=1)
    assert bench.runs("a")
    bench.store.status["b"] = "Aborted"
    scheduler.abort("b")
    bench.runner.end("a")
    assert bench.runs("c")
    assert bench.runner.order == ["a", "c"]


def test_an_aborted_run_that_waits_for_room_makes_way(bench: Bench) -> None:
    bench.store.add("a")
    bench.store.add("large", cpu=4)
    bench.store.add("c")
    scheduler = bench.start(cpu=4)
    assert bench.runs("a")
    bench.store.status["large"] = "Aborted"
    scheduler.abort("large")
    assert bench.runs("a", "c")


def test_a_stop_ends_runs_so_that_they_wait_for_the_next_start(bench: Bench) -> None:
    bench.store.add("a")
    bench.store.add("b", retryLimit=0)
    bench.store.add("c")
    scheduler = bench.start(cpu=2)
    assert bench.runs("a", "b")
    assert scheduler.stop(10)
    assert bench.store.status == {"a": "Pending", "b": "Failed", "c": "Pending"}
    assert sorted(bench.store.outcomes) == [("a", "Failed", True), ("b", "Failed", False)]
    bench.start()
    assert bench.runs("a", "c")


def test_a_stop_tells_when_something_does_not_end_in_time(bench: Bench) -> None:
    bench.store.add("a")
    release = threading.Event()

    class Stubborn:
        def run(self, job: Job, stop: threading.Event) -> Outcome:
            release.wait(10)
            return Outcome("Completed", "", {})

    scheduler = Scheduler(bench.store, Stubborn())
    scheduler.start()
    bench.until(lambda: bench.store.status["a"] == "Running")
    assert not scheduler.stop(0.05)
    release.set()
    assert scheduler.stop(10)


def test_one_that_never_started_can_be_stopped() -> None:
    assert Scheduler(Store(), Runner()).stop(1)


def test_a_runner_that_breaks_is_a_failure(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.runner.error = RuntimeError("oops")
    bench.store.add("a", retryLimit=0)
    bench.start()
    bench.until(lambda: bench.store.status["a"] == "Failed")
    assert "the runner broke on a" in caplog.text


def test_a_store_that_fails_for_a_moment_is_asked_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("libica.local.engine.scheduler._PAUSE", 0.01)
    bench.store.broken = 3
    bench.store.add("a")
    bench.start()
    assert bench.runs("a")
    assert "cannot be started" in caplog.text


def test_a_machine_that_does_not_exist_is_left_to_the_runner(bench: Bench) -> None:
    bench.store.add("a")
    bench.store.executions["a"] = {"environment": {"resources": {"type": "none"}}}
    bench.start()
    assert bench.runs("a")


def test_each_of_many_runs_once(bench: Bench) -> None:
    bench.runner.always = "Completed"
    scheduler = bench.start(cpu=8)

    def add(part: int) -> None:
        for number in range(100):
            bench.store.add(f"{part}-{number}")
            scheduler.wake()

    threads = [threading.Thread(target=add, args=(part,)) for part in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    bench.until(lambda: len(bench.store.outcomes) == 500)
    assert len(set(bench.runner.order)) == len(bench.runner.order) == 500


def test_nothing_is_done_while_nothing_happens(bench: Bench) -> None:
    bench.store.add("a")
    bench.store.add("large", cpu=99)
    bench.start()
    assert bench.runs("a")
    bench.runner.end("a")
    assert bench.runs("large")
    bench.runner.end("large")
    bench.until(lambda: len(bench.store.outcomes) == 2)
    time.sleep(0.05)
    began = time.process_time()
    time.sleep(0.3)
    assert time.process_time() - began < 0.1
