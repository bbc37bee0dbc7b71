"""The scheduler: starts runs, oldest first, as many at once as fit this machine."""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field, replace
from typing import Optional

from ..node.job import Job, Outcome
from ..node.machines import Machine, machine_of
from .protocols import Runner, RunStore

_logger = logging.getLogger(__name__)

_RETRY_LIMIT = 3
_PAUSE = 1.0
"""Seconds to wait after an error of the store or the system."""


@dataclass
class _Attempt:
    job: Job
    machine: Machine
    stop: threading.Event = field(default_factory=threading.Event)
    aborted: bool = False


class Scheduler:
    """Starts pending runs, oldest first, as many at once as fit.

    A run needs the processors and memory of the machine that its execution asks for. The oldest
    starts as soon as these are free and no other overtakes it, so none starves. One that needs
    more than there is runs alone. A `Failed` run is retried up to its `retryLimit`; a `TimedOut`
    one is not, as it would most likely take as long again.

    Args:
        store: Keeps the runs.
        runner: Runs their attempts.
        cpu: Processors to allocate. Default: those of this machine.
        memory_gb: Memory to allocate, in gigabytes. Default: that of this machine.
        workers: Maximum number of concurrent runs. Default: as many as fit.

    Attributes:
        started: How many attempts started.
        ended: How many attempts ended, by the status of their outcome.
    """

    def __init__(
        self,
        store: RunStore,
        runner: Runner,
        *,
        cpu: Optional[float] = None,
        memory_gb: Optional[float] = None,
        workers: Optional[int] = None,
    ) -> None:
        self.started = 0
        self.ended: Counter[str] = Counter()
        self._store = store
        self._runner = runner
        self._cpu = (os.cpu_count() or 1) if cpu is None else cpu
        self._memory_gb = _memory_gb() if memory_gb is None else memory_gb
        self._workers = math.inf if workers is None else workers
        self._changed = threading.Condition()
        self._news = True  # the store may have pending runs that are not in the queue
        self._stopping = False
        self._queue: deque[str] = deque()
        self._head: Optional[_Attempt] = None  # the next to start, when it fits
        self._active: dict[str, _Attempt] = {}
        self._threads: set[threading.Thread] = set()
        self._dispatcher = threading.Thread(target=self._dispatch, name="scheduler", daemon=True)

    def start(self) -> None:
        """Begin to start runs, including those already pending in the store."""
        self._dispatcher.start()

    def wake(self) -> None:
        """Announce that runs were added to the store."""
        with self._changed:
            self._news = True
            self._changed.notify_all()

    def abort(self, run_id: str) -> None:
        """End a run if it is running."""
        with self._changed:
            attempt = self._active.get(run_id) or self._head
            if attempt is not None and attempt.job.run_id == run_id:
                attempt.aborted = True
                attempt.stop.set()
                self._changed.notify_all()

    def stop(self, timeout: Optional[float] = None) -> bool:
        """End all runs and start no more; return whether all ended within the timeout, in seconds.

        A run that this ends becomes pending again, for the next start of the service, or fails if
        this was its last attempt.
        """
        until = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            self._stopping = True
            for attempt in self._active.values():
                attempt.stop.set()
            self._changed.notify_all()
            threads = [*self._threads, *([self._dispatcher] if self._dispatcher.ident else ())]
        for thread in threads:
            thread.join(None if until is None else max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)

    def is_alive(self) -> bool:
        """Tell whether it starts runs."""
        return self._dispatcher.is_alive()

    def _dispatch(self) -> None:
        while not self._stopping:
            self._dispatch_one()

    def _dispatch_one(self) -> None:
        try:
            run_id = self._next()
            if run_id is not None:
                self._start_when_it_fits(self._attempt(run_id))
        except Exception:
            _logger.exception("cannot start runs; trying again")
            with self._changed:
                self._news = True
                self._changed.wait_for(lambda: self._stopping, _PAUSE)

    def _next(self) -> Optional[str]:
        """Wait for a pending run and return its id; ``None`` after filling the queue."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._news or self._stopping)
            if self._stopping:
                return None
            if self._queue:
                run_id = self._queue.popleft()
                return None if run_id in self._active else run_id
            self._news = False
        # The store is read only when the queue is empty: reading it for each added run would take
        # longer the more runs are pending.
        self._queue.extend(self._store.pending())
        return None

    def _attempt(self, run_id: str) -> _Attempt:
        job = self._store.job(run_id)
        resources = (job.execution.get("environment") or {}).get("resources")
        try:
            machine = machine_of(resources)
        except ValueError:
            # The runner reports this, in an outcome that the user sees.
            machine = Machine(0, 0)
        return _Attempt(job, machine)

    def _start_when_it_fits(self, attempt: _Attempt) -> None:
        thread = threading.Thread(
            target=self._run_attempt, args=(attempt,), name=attempt.job.run_id, daemon=True
        )
        with self._changed:
            self._head = attempt
            self._changed.wait_for(
                lambda: self._stopping or attempt.stop.is_set() or self._fits(attempt.machine)
            )
            self._head = None
            if self._stopping or attempt.stop.is_set():
                return
            thread.start()
            self._active[attempt.job.run_id] = attempt
            self._threads = {thread, *(one for one in self._threads if one.is_alive())}

    def _fits(self, machine: Machine) -> bool:
        if not self._active:
            return True
        machines = [machine, *(attempt.machine for attempt in self._active.values())]
        return (
            len(machines) <= self._workers
            and sum(one.cpu for one in machines) <= self._cpu + 1e-9
            and sum(one.memory_gb for one in machines) <= self._memory_gb + 1e-9
        )

    def _run_attempt(self, attempt: _Attempt) -> None:
        again = False
        try:
            if not attempt.stop.is_set() and self._store.started(attempt.job):
                with self._changed:
                    self.started += 1
                outcome = self._outcome(attempt)
                with self._changed:
                    self.ended[outcome.status] += 1
                again = _may_retry(attempt, outcome)
                self._store.ended(attempt.job, outcome, again)
        except Exception:
            _logger.exception("cannot store the outcome of %s", attempt.job.run_id)
        finally:
            with self._changed:
                self._active.pop(attempt.job.run_id, None)
                self._news = self._news or again
                self._changed.notify_all()

    def _outcome(self, attempt: _Attempt) -> Outcome:
        try:
            outcome = self._runner.run(attempt.job, attempt.stop)
        except Exception as error:
            _logger.exception("unexpected error in an attempt of %s", attempt.job.run_id)
            return Outcome("Failed", f"Unexpected error: {error!r}", {})
        if outcome.status == "Aborted" and not attempt.aborted:
            details = "The service was stopped while the run was running."
            return replace(
                outcome, status="Failed", details=details, log={**outcome.log, "error": details}
            )
        return outcome


def _may_retry(attempt: _Attempt, outcome: Outcome) -> bool:
    limit = attempt.job.execution.get("retryLimit")
    allowed = attempt.job.attempt <= (_RETRY_LIMIT if limit is None else limit)
    return allowed and outcome.status == "Failed" and not attempt.aborted


def _memory_gb() -> float:
    """Return the memory of this machine; infinity where it is unknown."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    except (AttributeError, OSError, ValueError):
        return math.inf
