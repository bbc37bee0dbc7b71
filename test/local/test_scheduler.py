"""The scheduler: order, capacity, retries, aborts, full disks, and stopping."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Optional

import pytest

from libica.local.engine.interface import BusyError, RefusedError
from libica.local.engine.scheduler import Scheduler
from libica.local.node import attempt
from libica.local.node.job import Job, Settings

from .caller import PATIENCE, wait_until
from .engines import ME, Desk, Manual


class Office(Desk):
    """A desk with an engine that ends attempts when the test says so."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.engine = Manual()
        self.schedulers: list[Scheduler] = []

    def start(
        self, cpu: float = 4, memory: float = 100, retry_delay: float = 0, **more: Any
    ) -> Scheduler:
        always = self.engine.always
        self.engine = Manual(cpu, memory)
        self.engine.always = always
        scheduler = Scheduler(
            self.runs, self.engine, self.folder, Settings(""), retry_delay=retry_delay, **more
        )
        self.schedulers.append(scheduler)
        scheduler.start()
        return scheduler

    def running(self, *run_ids: str) -> None:
        """Check that exactly these runs start, and no other a moment later."""
        wait_until(lambda: sorted(self.engine.running) == sorted(run_ids))
        time.sleep(0.03)
        assert sorted(self.engine.running) == sorted(run_ids)

    def become(self, status: str, *run_ids: str) -> None:
        wait_until(lambda: all(self.status(each) == status for each in run_ids))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Office]:
    desk = Office(tmp_path)
    yield desk
    for scheduler in desk.schedulers:
        assert scheduler.stop(PATIENCE)
    desk.store.close()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have what fails be tried again soon."""
    monkeypatch.setattr("libica.local.engine.timing._SHORTEST", 0.01)
    monkeypatch.setattr("libica.local.engine.timing._LONGEST", 0.02)


@pytest.mark.parametrize("limit", [{"cpu": 2}, {"memory": 2}, {"workers": 2}])
def test_pending_and_added_runs_are_started_as_far_as_they_fit(
    desk: Office, limit: dict[str, Any]
) -> None:
    desk.add(*"abc")
    scheduler = desk.start(**limit)
    desk.running("a", "b")
    desk.add("d")
    scheduler.wake()
    desk.engine.end("b")
    desk.running("a", "c")
    desk.engine.end("a", "c")
    desk.running("d")
    desk.become("Completed", *"abc")
    wait_until(lambda: [each.name for each in desk.folder.iterdir()] == ["d-1"])


def test_fractions_of_processors_add_up(desk: Office) -> None:
    ids = [f"r{number:02}" for number in range(11)]
    desk.add(*ids, cpu=0.1)
    desk.start(cpu=1)
    desk.running(*ids[:10])


@pytest.mark.parametrize("large", [{"cpu": 4}, {"cpu": 64}, {"memory": 972}])
def test_none_overtakes_the_oldest_and_one_that_never_fits_runs_alone(
    desk: Office, large: dict[str, Any]
) -> None:
    desk.add("before")
    desk.add("large", **large)
    desk.add("after")
    desk.start(cpu=4)
    for each in ("before", "large"):
        desk.running(each)
        desk.engine.end(each)
    desk.running("after")


@pytest.mark.parametrize("at_the_head", [True, False])
def test_a_large_run_that_is_aborted_makes_way_for_small_ones(
    desk: Office, at_the_head: bool
) -> None:
    desk.add("a")
    large = ["large"] if at_the_head else ["first", "large"]
    desk.add(*large, cpu=4)
    desk.add("c")
    scheduler = desk.start(cpu=4)
    desk.running("a")
    for each in reversed(large):  # the head last
        desk.store.abort(each, ME).result()
        scheduler.abort(each)
    desk.running("a", "c")
    assert desk.engine.order == ["a", "c"]
    assert {desk.status(each) for each in large} == {"Aborted"}


@pytest.mark.parametrize(("limit", "attempts"), [(0, 1), (2, 3), (None, 4)])
def test_a_failed_run_is_retried_up_to_its_limit(
    desk: Office, limit: Optional[int], attempts: int
) -> None:
    desk.add("a", retryLimit=limit)
    desk.engine.always = "Failed"
    desk.start()
    desk.become("Failed", "a")
    assert desk.engine.order == ["a"] * attempts
    assert len(desk.shown("a")["logs"]) == attempts


@pytest.mark.parametrize("status", ["Completed", "TimedOut", "Aborted", "Failed"])
def test_a_run_that_ends_otherwise_or_is_aborted_is_not_retried(desk: Office, status: str) -> None:
    desk.add("a", "b")
    scheduler = desk.start()
    desk.running("a", "b")
    if status in ("Completed", "TimedOut"):
        desk.engine.end("a", status=status)
        desk.become(status, "a")
    else:
        desk.engine.deaf = status == "Failed"
        desk.store.abort("a", ME).result()
        scheduler.abort("a")
        scheduler.abort("no such run")
        if status == "Failed":  # while it is aborted
            desk.running("a", "b")
            assert desk.details("a") == "Being aborted"
            desk.engine.end("a", status="Failed")
            desk.engine.deaf = False
        desk.become("Aborted", "a")
    desk.running("b")
    assert desk.engine.order == ["a", "b"]


@pytest.mark.parametrize(
    ("written", "status"),
    [("Failed", "TimedOut"), ("Aborted", "TimedOut"), ("Completed", "Completed")],
)
def test_a_run_that_its_engine_timed_out_is_so_unless_it_was_completed(
    desk: Office, written: str, status: str
) -> None:
    desk.add("a")
    desk.start()
    desk.running("a")
    outcome = {"status": written, "details": "Ended by SIGTERM.", "log": {"startTime": "then"}}
    (desk.folder / "a-1" / "outcome.json").write_text(json.dumps(outcome))
    desk.engine.end("a", status="TimedOut")
    desk.become(status, "a")
    assert desk.engine.order == ["a"]


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def stepped(desk: Office, clock: Clock) -> Callable[[], Scheduler]:
    """Makes a scheduler that goes by the clock, a step at a time."""

    def make() -> Scheduler:
        return Scheduler(desk.runs, desk.engine, desk.folder, Settings(""), clock=clock)

    return make


def test_retries_wait_longer_each_time_and_say_so(
    desk: Office, clock: Clock, stepped: Callable[[], Scheduler]
) -> None:
    desk.add("a", retryLimit=6)
    desk.engine.always = "Failed"
    scheduler = stepped()
    scheduler.step()
    waits = []
    while desk.status("a") != "Failed":
        scheduler.step()  # hears of the end
        if desk.status("a") == "Pending":
            wait = scheduler.pause()
            assert wait is not None
            number = len(waits) + 2
            expected = f"Waiting {wait:g} s for attempt {number} of 7; the last one: It Failed."
            assert desk.details("a") == expected
            waits.append(wait)
            clock.now += wait - 0.1
            scheduler.step()
            assert desk.engine.order == ["a"] * (number - 1)
            clock.now += 0.2
            scheduler.step()
            assert desk.engine.order == ["a"] * number
    assert waits == [2, 8, 32, 128, 300, 300]


@pytest.mark.parametrize("jump", [0.0, -1e9, 1e9])
def test_a_retry_waits_as_long_after_a_restart_whatever_the_system_clock_does(
    desk: Office,
    clock: Clock,
    stepped: Callable[[], Scheduler],
    monkeypatch: pytest.MonkeyPatch,
    jump: float,
) -> None:
    desk.add("a", retryLimit=6)
    desk.engine.always = "Failed"
    scheduler = stepped()
    for _ in range(2):
        scheduler.step()
    assert desk.status("a") == "Pending"
    time_now = time.time
    monkeypatch.setattr(time, "time", lambda: time_now() + jump)
    scheduler = stepped()
    scheduler.step()
    assert (scheduler.pause() or 0) <= (300 if jump < 0 else 2)
    assert len(desk.engine.order) == (2 if jump > 0 else 1)
    clock.now += 301
    scheduler.step()
    assert len(desk.engine.order) == 2


@pytest.mark.parametrize(
    ("left", "status", "details", "attempts"),
    [
        ([], "Running", "Attempt 1 is running", 0),  # it had not begun: it does now
        (["log"], "Pending", "Waiting 2 s for attempt 2 of 2; the last one: The service was ", 1),
        (["log", "outcome"], "Completed", "It ended.", 1),
    ],
)
@pytest.mark.parametrize("aborting", [False, True])
def test_what_a_killed_service_left_is_taken_over(
    desk: Office,
    stepped: Callable[[], Scheduler],
    left: list[str],
    status: str,
    details: str,
    attempts: int,
    aborting: bool,
) -> None:
    desk.add("a", retryLimit=1)
    job = desk.store.runs.planned("a").job
    desk.store.runs.started(job, "here", "a-1", "Running", "Attempt 1 is running").result()
    folder = attempt.create(desk.folder, job, Settings(""))
    known = {
        "log": {"startTime": "then", "stdout": "url"},
        "outcome": {"status": "Completed", "details": "It ended.", "log": {"stdout": "url"}},
    }
    for each in left:
        (folder / f"{each}.json").write_text(json.dumps(known[each]))
    unknown = attempt.create(desk.folder, Job("b", {}, 1), Settings(""))
    if aborting:
        desk.store.abort("a", ME).result()
    stepped().step()
    shown = desk.shown("a")
    if aborting and status != "Completed":
        assert shown["status"] == "Aborted"
    else:
        assert (shown["status"], shown["statusDetails"][: len(details)]) == (status, details)
    assert [log["stdout"] for log in shown["logs"]] == ["url"] * attempts
    assert not unknown.exists()


def test_an_attempt_on_an_engine_that_is_no_longer_used_ends_when_its_folder_says_so(
    desk: Office, clock: Clock, stepped: Callable[[], Scheduler]
) -> None:
    desk.add("a", "b")
    job = desk.store.runs.planned("a").job
    desk.store.runs.started(job, "elsewhere", "1", "Running", "Attempt 1 is running").result()
    folder = attempt.create(desk.folder, job, Settings(""))
    scheduler = stepped()
    scheduler.step()
    assert desk.engine.order == ["b"]
    scheduler.abort("a")  # cannot be told to it
    clock.now += scheduler.pause() or 0
    scheduler.step()
    assert desk.status("a") == "Running"
    outcome = {"status": "TimedOut", "details": "It was slow.", "log": {"startTime": "then"}}
    (folder / "outcome.json").write_text(json.dumps(outcome))
    clock.now += scheduler.pause() or 0
    scheduler.step()
    assert (desk.status("a"), desk.details("a")) == ("TimedOut", "It was slow.")


def test_a_stop_ends_runs_which_are_pending_for_the_next_start(desk: Office) -> None:
    desk.add("a")
    desk.add("b", retryLimit=0)
    desk.add("c")
    scheduler = desk.start(cpu=2, retry_delay=1000)
    desk.running("a", "b")
    assert scheduler.stop(PATIENCE)
    assert desk.statuses("abc") == ["Pending", "Failed", "Pending"]
    assert "The service was stopped" not in desk.details("c")
    desk.start()
    desk.running("a", "c")


def test_a_stop_returns_false_if_a_run_does_not_end_in_time(desk: Office) -> None:
    desk.add("a")
    assert Scheduler(desk.runs, desk.engine, desk.folder, Settings("")).stop(PATIENCE)
    scheduler = desk.start()  # the one above never started
    desk.running("a")
    desk.engine.deaf = True
    assert not scheduler.stop(0.05)
    desk.engine.end("a")


def test_a_full_disk_delays_and_loses_nothing(
    desk: Office, quick: None, caplog: pytest.LogCaptureFixture
) -> None:
    desk.add(*"abc", retryLimit=0)
    desk.runs.full = True
    scheduler = desk.start(cpu=2)
    time.sleep(0.1)
    assert desk.engine.order == []
    desk.runs.full = False
    desk.running("a", "b")
    desk.runs.full = True
    desk.engine.end("a")
    desk.engine.end("b", status="TimedOut")
    desk.add("d")
    scheduler.wake()
    time.sleep(0.1)
    assert desk.statuses("abcd") == ["Running", "Running", "Pending", "Pending"]
    desk.runs.full = False  # nothing else happens
    desk.running("c", "d")
    assert desk.statuses("ab") == ["Completed", "TimedOut"]
    assert desk.engine.order == [*"abcd"]
    # One message for each time that it began to fail, and one when it worked again.
    for said in ("cannot read which runs", "works again to read which", "cannot record runs"):
        assert 1 <= caplog.text.count(said) <= 3, caplog.text


def test_a_stop_on_a_full_disk_does_not_wait_for_room(desk: Office) -> None:
    desk.add("a")
    scheduler = desk.start()
    desk.running("a")
    desk.runs.full = True
    assert scheduler.stop(PATIENCE)
    assert desk.status("a") == "Running"  # until the next start
    desk.runs.full = False


def test_a_lack_delays_a_start_says_so_and_costs_no_attempt(
    desk: Office, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("libica.local.engine.timing._SHORTEST", 0.2)
    desk.add("a", retryLimit=0)
    desk.add("b", retryLimit=0)
    scheduler = Scheduler(desk.runs, desk.engine, desk.folder, Settings(""))
    desk.schedulers.append(scheduler)
    desk.engine.errors = [BusyError("no threads"), BusyError("no threads")]
    scheduler.start()
    wait_until(lambda: "no threads" in desk.details("a"))
    assert desk.details("a") == "Attempt 1 is waiting to start: no threads"
    desk.running("a", "b")
    wait_until(lambda: desk.details("a") == "Attempt 1 is running")
    assert desk.shown("a")["retryCount"] == 0
    assert caplog.text.count("cannot submit attempts") == 1


def test_a_run_that_waits_for_what_is_lacking_can_be_aborted(desk: Office, quick: None) -> None:
    desk.add("a")
    scheduler = Scheduler(desk.runs, desk.engine, desk.folder, Settings(""))
    desk.schedulers.append(scheduler)
    desk.engine.errors = [BusyError("no threads")] * 10_000
    scheduler.start()
    wait_until(lambda: "no threads" in desk.details("a"))
    desk.store.abort("a", ME).result()
    scheduler.abort("a")
    desk.become("Aborted", "a")
    assert desk.engine.order == []


def test_a_refused_attempt_fails_with_the_words_of_the_engine(desk: Office) -> None:
    desk.add("a", retryLimit=3)
    desk.engine.errors = [RefusedError("invalid partition specified: fast")]
    scheduler = Scheduler(desk.runs, desk.engine, desk.folder, Settings(""))
    desk.schedulers.append(scheduler)
    scheduler.start()
    desk.become("Failed", "a")
    assert desk.details("a") == "invalid partition specified: fast"


def test_an_unexpected_error_is_logged_once_and_survived(
    desk: Office, quick: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    desk.add(*"ab")
    desk.start(cpu=1)
    desk.running("a")
    with monkeypatch.context() as broken:
        broken.setattr("libica.local.node.attempt.outcome", lambda _: 1 / 0)
        desk.engine.end("a")
        wait_until(lambda: "cannot schedule runs" in caplog.text)
        time.sleep(0.1)
    desk.running("b")
    desk.become("Completed", "a")
    assert caplog.text.count("cannot schedule runs") == 1


def test_an_unknown_machine_is_left_to_the_node(desk: Office) -> None:
    desk.add("a", environment={"resources": {"type": "unknown"}})
    desk.start()
    desk.running("a")


def test_each_of_many_runs_runs_once(desk: Office) -> None:
    desk.engine.always = "Completed"
    scheduler = desk.start(cpu=8)

    def add(part: int) -> None:
        for number in range(100):
            desk.add(f"{part}-{number}")
            scheduler.wake()

    with ThreadPoolExecutor(5) as threads:
        list(threads.map(add, range(5)))
    wait_until(lambda: len(desk.engine.order) == 500 and not desk.store.runs.under_way())
    assert len(set(desk.engine.order)) == 500


def test_an_idle_scheduler_uses_no_processor_time(desk: Office) -> None:
    desk.add("a")
    desk.start()
    desk.running("a")
    desk.engine.end("a")
    desk.become("Completed", "a")
    began = time.process_time()
    time.sleep(0.3)
    assert time.process_time() - began < 0.1
