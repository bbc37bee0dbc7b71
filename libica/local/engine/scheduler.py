"""The scheduler: hands runs to an engine, oldest first, and records what becomes of them."""

from __future__ import annotations

import heapq
import math
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Optional, Protocol

from ..node import attempt as node
from ..node.job import Job, Outcome, Settings, now
from ..node.machines import Machine, machine_of
from ..node.runner import ROOT
from . import here
from .interface import Attempt, BusyError, Capacity, Engine, RefusedError, Report, State
from .timing import Interval, Tries
from .tracking import Phase, Register, Shown, Tracked

_RETRY_LIMIT = 3
_GROWTH = 4  # of the delay from one retry to the next
_LONGEST_DELAY = 300.0  # seconds
_QUEUE = 256  # maximum number of pending runs to read at a time
_STARTS = 64  # maximum number of attempts to start before looking at all else
_LOOKS = (1.0, 30.0)  # seconds between looks for the logs of attempts that have begun
_WAITING = "Waiting for a free machine"


class RunStore(Protocol):
    """Keeps runs, as `libica.local.store.runs` does. Changes are done when their futures are."""

    def pending(self, limit: int) -> list[str]:
        """Return the ids of the oldest runs that may start at once."""
        ...

    def delayed(self) -> list[tuple[str, float]]:
        """Return the ids of the pending runs that wait for another attempt, and until when."""
        ...

    def planned(self, run_id: str) -> Optional[tuple[Job, str]]:
        """Return the next attempt and the name of a run; ``None`` if it is no longer pending."""
        ...

    def under_way(self) -> Iterable[tuple[Job, str, str, bool, str, str, str]]:
        """Return the attempts under way, as far as they are recorded.

        Each is a job, the run's name, the engine, whether to abort it, the handle, the status and
        its details.
        """
        ...

    def started(
        self, job: Job, engine: str, handle: str, status: str, details: str
    ) -> Future[bool]:
        """Record that the engine gets an attempt; false if its run is no longer pending."""
        ...

    def noted(
        self, job: Job, handle: str, status: str, details: str, log: Optional[dict[str, Any]]
    ) -> Future[None]:
        """Record what is known of an attempt that is under way."""
        ...

    def put_back(self, job: Job, details: str) -> Future[None]:
        """Record that an attempt did not begin, so that its run is pending as before."""
        ...

    def ended(
        self, job: Job, outcome: Outcome, again: str = "", start_after: float = 0
    ) -> Future[None]:
        """Record how an attempt ended; ``again`` makes its run pending for another attempt."""
        ...


class Scheduler:
    """Hands pending runs to an engine, oldest first, as many at once as it has capacity for.

    A run needs the processors and memory of the machine that its execution asks for. The oldest
    starts as soon as these are free and no other overtakes it, so none starves. One that needs
    more than there is runs alone. A `Failed` run is retried up to its `retryLimit`, after a delay;
    a `TimedOut` one is not, as it would most likely take as long again.

    What cannot be done at the moment, since the disk is full, descriptors are lacking or a batch
    system does not respond, is tried again until it works, and costs no run an attempt.

    An attempt is recorded before it is submitted, and its handle as soon as there is one. It is
    submitted again only if the engine does not know its name.

    Args:
        store: Keeps the runs.
        engine: Runs their attempts.
        folder: Parent of the attempts' folders.
        settings: How attempts run.
        workers: Maximum number of concurrent attempts. Default: as many as the engine takes.
        retry_delay: Seconds before the second attempt of a run; before each further one, four times
            as many as before the last, up to five minutes.
        clock: The time in seconds, from any origin.

    Attributes:
        started: How many attempts started.
        ended: How many attempts ended, by the status of their outcome.
    """

    def __init__(
        self,
        store: RunStore,
        engine: Engine,
        folder: Path,
        settings: Settings,
        *,
        workers: Optional[int] = None,
        retry_delay: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.started: int = 0
        self.ended: Counter[str] = Counter()
        self._store = store
        self._engine = engine
        self._folder = folder.absolute()
        self._settings = settings
        self._most = min(math.inf if workers is None else workers, engine.capacity.attempts)
        self._retry_delay = retry_delay
        self._clock = clock
        self._thread = threading.Thread(target=self._work, name="scheduler", daemon=True)
        self._remover = ThreadPoolExecutor(1, "remover")

        # What other threads change, under this lock.
        self._changed = threading.Condition()
        self._news = True
        self._announced = False
        self._aborts: set[str] = set()
        self._stopping = False

        # All that follows is used by the thread of the scheduler alone.
        self._now = clock()  # when the last step began
        # What was under way when the last service ended, and is yet to be taken over.
        self._left: Optional[deque[tuple[Job, str, str, bool, str, str, str]]] = None
        self._more = True  # the store may have pending runs that are not in the queue
        self._queue: deque[str] = deque()
        self._delayed: list[tuple[float, str]] = []  # a heap
        self._head: Optional[Tracked] = None  # the next to start, when it fits
        self._attempts = Register()
        self._to_note: dict[str, Tracked] = {}
        self._to_cancel: dict[str, Tracked] = {}
        self._without_log: dict[str, Tracked] = {}
        self._asks = Interval(*engine.poll_every)
        self._looks = Interval(*_LOOKS)
        self._asking = Tries(f"ask {engine.name} how attempts are")
        self._taking_over = Tries("take over the attempts of the last service")
        self._reading = Tries("read which runs to start")
        self._storing = Tries("record runs")
        self._preparing = Tries("make folders for attempts")
        self._submitting = Tries(f"submit attempts to {engine.name}")
        self._cancelling = Tries(f"cancel attempts in {engine.name}")

    def start(self) -> None:
        """Begin to start runs, including those already pending in the store."""
        self._thread.start()

    def wake(self) -> None:
        """Announce that runs were added to the store."""
        with self._changed:
            self._news = True
            self._changed.notify_all()

    def abort(self, run_id: str) -> None:
        """End a run if it is under way."""
        with self._changed:
            self._aborts.add(run_id)
            self._changed.notify_all()

    def stop(self, timeout: Optional[float] = None) -> bool:
        """Start no more runs; return whether all is done within the timeout, in seconds.

        Attempts of an embedded engine are ended: each run becomes pending again, for the next start
        of the service, or fails if this was its last attempt. Those of other engines go on.
        """
        with self._changed:
            self._stopping = self._news = True
            self._changed.notify_all()
        if self._thread.ident is None:
            return True
        self._thread.join(timeout)
        self._remover.shutdown(cancel_futures=True)  # the next start removes what is left
        return not self._thread.is_alive()

    def is_alive(self) -> bool:
        """Tell whether it starts runs."""
        return self._thread.is_alive()

    def _announce(self) -> None:
        with self._changed:
            self._announced = True
            self._changed.notify_all()

    def _work(self) -> None:
        scheduling = Tries("schedule runs")
        while not self._stopping or (self._engine.embedded and self._attempts):
            try:
                self.step()
                scheduling.worked()
            except Exception as error:  # such as a folder that cannot be read at the moment
                scheduling.failed(self._now, error)
            with self._changed:
                if scheduling.failing:
                    self._announced = True  # it may not have been heeded
                    self._changed.wait(max(0.0, scheduling.due - self._clock()))
                else:
                    self._changed.wait_for(self._has_news, self.pause())

    def _has_news(self) -> bool:
        stops = self._stopping and not (self._engine.embedded and self._attempts)
        return self._news or self._announced or bool(self._aborts) or stops

    def step(self) -> None:
        """Do all that can be done now. The thread of the scheduler calls this again and again."""
        self._now = self._clock()
        with self._changed:
            self._more, self._news = self._more or self._news, False
            announced, self._announced = self._announced, False
            aborts, self._aborts = self._aborts, set()
        self._mark(aborts)
        if self._left is None or self._left:
            self._recover()
        while self._delayed and self._delayed[0][0] <= self._now:
            self._queue.appendleft(heapq.heappop(self._delayed)[1])
        self._ask(announced)
        self._cancel()
        self._look_for_logs()
        self._record()
        self._submit()

    def pause(self) -> Optional[float]:
        """Return the seconds until there is something to do that nobody announces."""
        tries = self._taking_over, self._reading, self._storing, self._preparing
        times = [each.due for each in (*tries, self._submitting, self._cancelling)]
        if self._is_polled():
            times.append(self._asks.due)
        if self._without_log:
            times.append(self._looks.due)
        if self._delayed:
            times.append(self._delayed[0][0])
        to_record = self._to_note or self._attempts.any_within(Phase.ENDED)
        if to_record and not self._storing.failing:
            return 0.0
        # What was due in the last step was done, or there was nothing to do.
        later = min((each for each in times if each > self._now), default=math.inf)
        return None if later == math.inf else max(0.0, later - self._clock())

    def _mark(self, aborts: Iterable[str]) -> None:
        """Mark the attempts that are to be ended."""
        for run_id in aborts:
            if self._head is not None and self._head.job.run_id == run_id:
                self._head = None  # it makes way
            each = self._attempts.of_run(run_id)
            if each is not None:
                each.aborted = True
                self._to_cancel[run_id] = each
        if self._stopping and self._engine.embedded:
            for each in self._attempts.within(*Phase):
                if self._is_own(each):
                    self._to_cancel[each.job.run_id] = each
                else:
                    self._forget(each)

    def _move(self, each: Tracked, phase: Phase) -> None:
        """Change the phase of an attempt, and note what else follows from that."""
        run_id = each.job.run_id
        self._attempts.move(each, phase, self._now)
        self._to_note.pop(run_id, None)
        if phase is not Phase.ENDED and each.shown != each.recorded:
            self._to_note[run_id] = each
        self._without_log.pop(run_id, None)
        if phase is Phase.RUNNING and each.shown.log is None:
            self._without_log[run_id] = each
            self._looks.news(self._now)

    def _forget(self, each: Tracked) -> None:
        self._attempts.forget(each)
        for others in (self._to_note, self._to_cancel, self._without_log):
            others.pop(each.job.run_id, None)

    def _track(self, job: Job, title: str, engine: str, shown: Shown) -> Tracked:
        name = f"{job.run_id}-{job.attempt}"
        limit = job.execution.get("retryLimit")
        machine = _machine(job)
        attempt = Attempt(name, self._folder / name, title, machine, self._settings.time_limit)
        return Tracked(job, attempt, engine, _RETRY_LIMIT if limit is None else limit, shown, shown)

    # What the last service left

    def _recover(self) -> None:
        """Take over the attempts that were under way when the last service ended."""
        if self._now < max(self._reading.due, self._taking_over.due):
            return
        if self._left is None:
            try:
                left, delayed = deque(self._store.under_way()), self._store.delayed()
                self._sweep({f"{job.run_id}-{job.attempt}" for job, *_ in left})
            except Exception as error:
                self._reading.failed(self._now, error)
                return
            for run_id, until in delayed:
                # No clock that was set back or forth makes it wait longer.
                wait = min(max(0.0, until - time.time()), _LONGEST_DELAY)
                heapq.heappush(self._delayed, (self._now + wait, run_id))
            self._left = left
        try:
            while self._left:
                self._take_over(*self._left[0])
                self._left.popleft()
            self._taking_over.worked()
        except Exception as error:
            self._left.rotate(-1)
            self._taking_over.failed(self._now, error)

    def _sweep(self, known: set[str]) -> None:
        """Remove the folders of attempts that were not started, or whose end is recorded.

        Those stay whose files were to be kept.
        """
        for folder in self._folder.glob("*"):
            if folder.name not in known:
                kept = (folder / ROOT).exists() and node.outcome(folder) is not None
                if not kept:
                    node.remove(folder)

    def _take_over(self, job: Job, title: str, engine: str, aborting: bool, *shown: str) -> None:
        handle, status, details = shown
        each = self._track(job, title, engine, Shown(handle, status, details))
        each.aborted = aborting
        each.job = replace(job, execution={})
        if engine in ("", here.NAME):
            outcome = here.left(each.attempt.folder)
            if outcome is None:
                self._store.put_back(job, _WAITING).result()
                self._more = True
            else:
                self._end(each, outcome)
            return
        if aborting:
            self._to_cancel[job.run_id] = each
        # Another engine is not asked for anything: the outcome in the folder says how it ended.
        known = each.shown.handle or not self._is_own(each)
        self._move(each, Phase.WAITING if known else Phase.UNSURE)
        self._asks.news(self._now)

    # What becomes of attempts in the engine

    def _is_polled(self) -> bool:
        """Return whether there are attempts whose ends are not announced."""
        phases = [Phase.UNSURE, Phase.WAITING]
        return self._attempts.any_within(
            *phases, *([] if self._engine.embedded else [Phase.RUNNING])
        )

    def _is_own(self, each: Tracked) -> bool:
        return each.engine == self._engine.name

    def _ask(self, announced: bool) -> None:
        """Ask the engine how its attempts are."""
        if not announced and not (self._is_polled() and self._now >= self._asks.due):
            return
        self._asks.begin(self._now)
        unsure = self._attempts.within(Phase.UNSURE)
        submitted = self._attempts.within(Phase.WAITING, Phase.RUNNING)
        handles = [each.shown.handle for each in submitted if self._is_own(each)]
        found: Mapping[str, str] = {}
        reports: Mapping[str, Report] = {}
        try:
            reports = self._engine.poll(handles) if handles else {}
            found = self._engine.find([each.attempt.name for each in unsure]) if unsure else {}
            self._asking.worked()
        except Exception as error:
            self._asking.failed(self._now, error)
            unsure = []
        for each in submitted:
            own = self._is_own(each)
            self._hear(each, reports.get(each.shown.handle) if own else None)
        for each in unsure:
            self._settle(each, found.get(each.attempt.name))

    def _settle(self, each: Tracked, handle: Optional[str]) -> None:
        """Take note of whether an attempt was submitted."""
        if handle:
            self._submitted(each, handle)
        elif self._now < each.since + self._engine.patience:
            return  # the engine may find it later
        elif node.outcome(each.attempt.folder) or node.log_so_far(each.attempt.folder):
            self._hear(each, Report(State.LOST))  # for it has begun
        else:
            self._move(each, Phase.RECORDED)

    def _hear(self, each: Tracked, report: Optional[Report]) -> None:
        """Take note of what the engine says of an attempt; ``None`` if it says nothing."""
        if report is not None and report.state in (State.WAITING, State.RUNNING):
            self._show(each, report)
            return
        outcome = node.outcome(each.attempt.folder)
        if outcome is not None:
            self._end(each, outcome, report)
        elif report is None:
            each.gone = None
        else:
            state, since = each.gone or (None, 0.0)
            if state is not report.state:
                since = self._now
                each.gone = report.state, since
            if each.aborted or self._now >= since + self._engine.patience:
                self._end(each, _unwritten(each, report), report)

    def _show(self, each: Tracked, report: Report) -> None:
        """Take note of an attempt that is waiting or running."""
        each.gone = None
        number, reason = each.job.attempt, report.reason
        if report.state is State.RUNNING:
            phase, status, details = Phase.RUNNING, "Running", f"Attempt {number} is running"
        else:
            phase, status = Phase.WAITING, "Pending"
            details = f"Attempt {number} is waiting in {each.engine}"
            details += f" ({reason})" if reason else ""
        if each.phase is not phase:
            self._asks.news(self._now)
        elif (status, details) == each.shown[1:3]:
            return
        each.show(status=status, details=details)
        self._move(each, phase)

    def _end(
        self,
        each: Tracked,
        outcome: Outcome,
        report: Optional[Report] = None,
        *,
        refused: bool = False,
    ) -> None:
        """Take note of how an attempt ended, and decide whether its run gets another."""
        details = outcome.details
        seen = None if report is None else report.outcome
        if seen is not None and seen.status == "TimedOut" and outcome.status != "Completed":
            # The engine's signals look like a failure or a cancellation to the attempt.
            outcome, details = replace(outcome, status=seen.status), seen.details
        elif outcome.status == "Aborted" and not each.aborted:
            outcome = replace(outcome, status="Failed")
            what = "service was stopped" if each.engine == here.NAME else "attempt was cancelled"
            details = f"The {what} while the run was running."
        if report is not None and report.reason and outcome.status != "Completed":
            details += f" ({report.reason})"
        if details != outcome.details:
            log = {**outcome.log, "error": details}
            outcome = replace(outcome, details=details, log=log)
        each.outcome = outcome
        number, limit = each.job.attempt, each.retry_limit
        if outcome.status == "Failed" and not each.aborted and not refused and number <= limit:
            growth = _GROWTH ** min(number - 1, 10)
            each.delay = min(self._retry_delay * growth, _LONGEST_DELAY)
            each.delay = 0.0 if self._stopping else each.delay
            wait = f"Waiting {each.delay:g} s" if each.delay else "Waiting"
            following = f"attempt {number + 1} of {limit + 1}"
            each.again = f"{wait} for {following}; the last one: {details}"
        self._asks.news(self._now)
        self._move(each, Phase.ENDED)

    def _cancel(self) -> None:
        """Have the engine end the attempts that are to be ended."""
        if self._now < self._cancelling.due:
            return
        for run_id, each in [*self._to_cancel.items()]:
            if each.phase in (Phase.NEW, Phase.UNSURE):
                continue  # not yet
            if each.phase is Phase.RECORDED:
                if each.aborted:
                    self._move(each, Phase.ENDED)
                else:  # for the next start of the service
                    self._forget(each)
            elif each.phase is not Phase.ENDED and self._is_own(each):
                try:
                    self._engine.cancel(each.shown.handle)
                except Exception as error:
                    self._cancelling.failed(self._now, error)
                    return
                self._asks.news(self._now)
            self._to_cancel.pop(run_id, None)
        self._cancelling.worked()

    def _look_for_logs(self) -> None:
        """Show the logs of attempts that are still running."""
        if not self._without_log or self._now < self._looks.due:
            return
        self._looks.begin(self._now)
        for each in [*self._without_log.values()]:
            log = node.log_so_far(each.attempt.folder)
            if "stdout" in log:
                each.show(log=log)
                self._move(each, each.phase)

    # What goes into the store, and out to the engine

    def _record(self) -> None:
        """Record all changes, and which runs start, in one transaction if possible."""
        if self._now < self._storing.due:
            return
        ended, noted = self._attempts.within(Phase.ENDED), [*self._to_note.values()]
        changes: list[tuple[Tracked, Future[Any], Callable[[Tracked, Any], None]]] = [
            *((each, self._record_end(each), self._ended) for each in ended),
            *((each, self._store.noted(each.job, *each.shown), self._noted) for each in noted),
            *((each, self._record_start(each), self._started) for each in self._starting()),
        ]
        failures: list[tuple[Tracked, BaseException]] = []
        for each, future, done in changes:
            failure = future.exception()
            if failure is None:
                done(each, future.result())
            else:
                failures.append((each, failure))
        if failures:
            self._storing.failed(self._now, failures[0][1])
        elif changes:
            self._storing.worked()
        self._undo([each for each, _ in failures])

    def _record_start(self, each: Tracked) -> Future[bool]:
        handle, status, details, _ = each.shown
        return self._store.started(each.job, each.engine, handle, status, details)

    def _record_end(self, each: Tracked) -> Future[None]:
        until = time.time() + each.delay if each.delay else 0.0
        return self._store.ended(each.job, each.outcome, each.again, until)

    def _undo(self, failed: list[Tracked]) -> None:
        """Have those runs that could not be recorded as started wait as before."""
        new = [each for each in failed if each.phase is Phase.NEW]
        if new and self._head is not None:
            self._queue.appendleft(self._head.job.run_id)
            self._head = None
        for each in reversed(new):
            self._queue.appendleft(each.job.run_id)
            self._forget(each)
        for each in failed:
            if self._stopping:  # the next start of the service finds the outcome in the folder
                self._forget(each)

    def _ended(self, each: Tracked, _: None) -> None:
        self.ended[each.outcome.status] += 1
        self._forget(each)
        if not self._settings.keeps_files_of(each.outcome.status):
            self._remove(each)
        if each.delay:
            heapq.heappush(self._delayed, (self._now + each.delay, each.job.run_id))
        elif each.again:
            self.wake()

    def _noted(self, each: Tracked, _: None) -> None:
        each.recorded = each.shown
        self._to_note.pop(each.job.run_id, None)

    def _started(self, each: Tracked, started: bool) -> None:
        if started:
            self.started += 1
            each.recorded = each.shown
            self._move(each, Phase.RECORDED)
        else:
            self._forget(each)
            self._remove(each)
            self.wake()  # for those that fit in its place

    def _remove(self, each: Tracked) -> None:
        """Remove the folder of an attempt, beside all else: some file systems take long."""
        try:
            self._remover.submit(node.remove, each.attempt.folder)
        except RuntimeError:  # no thread can be started
            node.remove(each.attempt.folder)

    def _starting(self) -> list[Tracked]:
        """Make the folders of the attempts that start now, as many as fit, and return them."""
        if self._stopping or self._left is None or self._attempts.any_within(Phase.RECORDED):
            return []
        if self._now < max(self._reading.due, self._preparing.due, self._submitting.due):
            return []
        most = 1 if self._submitting.failing else _STARTS
        starting: list[Tracked] = []
        head = self._next()
        room = None if head is None else _Room(self._engine.capacity, self._most, self._attempts)
        while head is not None and room is not None and room.fits(head.attempt.machine):
            try:
                node.create(self._folder, head.job, self._settings)
            except OSError as error:
                self._preparing.failed(self._now, error)
                break
            self._preparing.worked()
            self._head = None
            head.job = replace(head.job, execution={})
            room.take(head.attempt.machine)
            self._move(head, Phase.NEW)
            starting.append(head)
            if len(starting) == most:
                self.wake()  # for the others
                break
            head = self._next()
        return starting

    def _next(self) -> Optional[Tracked]:
        """Return the next attempt to start, whether or not it fits; ``None`` if there is none."""
        try:
            while self._head is None:
                if not self._queue:
                    if not self._more:
                        return None
                    self._queue.extend(self._store.pending(_QUEUE))
                    self._more = len(self._queue) == _QUEUE
                    continue
                run_id = self._queue[0]
                planned = self._store.planned(run_id)
                self._queue.popleft()
                if planned is not None and self._attempts.of_run(run_id) is None:
                    self._head = self._plan(*planned)
            self._reading.worked()
        except Exception as error:
            self._reading.failed(self._now, error)
        return self._head

    def _plan(self, job: Job, title: str) -> Tracked:
        name, number = self._engine.name, job.attempt
        if self._engine.embedded:
            handle = f"{job.run_id}-{number}"
            shown = Shown(handle, "Running", f"Attempt {number} is running")
        else:
            shown = Shown("", "Pending", f"Attempt {number} is being submitted to {name}")
        return self._track(job, title, name, shown)

    def _submit(self) -> None:
        """Submit the attempts that are recorded."""
        for each in self._attempts.within(Phase.RECORDED):
            if self._now < self._submitting.due:
                return
            try:
                handle = self._engine.submit(each.attempt, self._announce)
            except RefusedError as error:
                self._end(each, _failed(str(error) or repr(error), {}), refused=True)
            except BusyError as error:
                self._submitting.failed(self._now, error)
                each.show(details=f"Attempt {each.job.attempt} is waiting to start: {error}")
                self._move(each, Phase.RECORDED)
            except Exception as error:
                self._submitting.failed(self._now, error)
                self._move(each, Phase.UNSURE)
                self._asks.news(self._now)
            else:
                self._submitting.worked()
                self._submitted(each, handle)

    def _submitted(self, each: Tracked, handle: str) -> None:
        each.show(handle=handle)
        self._show(each, Report(State.RUNNING if self._engine.embedded else State.WAITING))


class _Room:
    """What the attempts under way leave of an engine's capacity."""

    def __init__(self, capacity: Capacity, most: float, attempts: Register) -> None:
        machines = [
            each.attempt.machine
            for each in attempts.within(*(phase for phase in Phase if phase is not Phase.ENDED))
        ]
        self._taken = len(machines)
        self._most = most
        self._cpu = capacity.cpu + 1e-9 - sum(machine.cpu for machine in machines)
        self._memory_gb = capacity.memory_gb + 1e-9 - sum(one.memory_gb for one in machines)

    def fits(self, machine: Machine) -> bool:
        if not self._taken:  # alone, it gets all there is
            return True
        return (
            self._taken < self._most
            and machine.cpu <= self._cpu
            and machine.memory_gb <= self._memory_gb
        )

    def take(self, machine: Machine) -> None:
        self._taken += 1
        self._cpu -= machine.cpu
        self._memory_gb -= machine.memory_gb


def _machine(job: Job) -> Machine:
    try:
        return machine_of((job.execution.get("environment") or {}).get("resources"))
    except ValueError:  # the node reports this, in an outcome that the user sees
        return Machine(0, 0)


def _unwritten(each: Tracked, report: Report) -> Outcome:
    """Return the outcome of an attempt that wrote none, but that its engine may have seen."""
    log, seen = node.log_so_far(each.attempt.folder), report.outcome
    if seen is not None:
        return replace(seen, log={"endTime": now(), "error": seen.details, **log, **seen.log})
    if each.aborted:
        return Outcome("Aborted", "The run was aborted.", {**log, "endTime": now()})
    what = "ended in" if report.state is State.ENDED else "is no longer known to"
    details = f"The attempt {what} {each.engine} and left no outcome"
    words = node.last_words(each.attempt.folder)
    return _failed(f"{details}; it printed: {words}" if words else details, log)


def _failed(details: str, log: dict[str, Any]) -> Outcome:
    return Outcome("Failed", details, {**log, "error": details, "endTime": now()})
