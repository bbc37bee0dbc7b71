"""Engines for tests, and a store whose disk can be full."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Optional

from libica.local.engine.interface import Attempt, Capacity, Engine, Report, State
from libica.local.node.job import Outcome
from libica.local.store import objects
from libica.local.store.errors import UnavailableError
from libica.local.store.identity import Identity
from libica.local.store.store import Store

ME = Identity.named("main")


class Desk:
    """A store in memory, a folder for attempts, and the engine of a test."""

    def __init__(self, folder: Path) -> None:
        self.store = Store()
        self.runs = FullAtTimes(self.store)
        self.folder = folder / "attempts"

    def add(self, *run_ids: str, cpu: float = 1, memory: float = 1, **more: Any) -> None:
        resources = {"cpuCores": cpu, "memoryGb": memory}
        execution = {"environment": {"resources": resources}, "retryCount": 0, **more}
        for run_id in run_ids:
            run = {**objects.run({}, execution, ME), "id": run_id}
            self.store.add_run(run, execution).result()

    def shown(self, run_id: str) -> dict[str, Any]:
        summary, execution, logs = self.store.run(run_id, ME)
        retried = json.loads(execution)["retryCount"]
        return {**json.loads(summary), "logs": json.loads(logs), "retryCount": retried}

    def status(self, run_id: str) -> str:
        return str(self.shown(run_id)["status"])

    def statuses(self, run_ids: str) -> list[str]:
        return [self.status(each) for each in run_ids]

    def details(self, run_id: str) -> str:
        return str(self.shown(run_id)["statusDetails"])


class FullAtTimes:
    """The runs of a store, which can neither be read nor written while it is `full`."""

    def __init__(self, store: Store) -> None:
        self._runs = store.runs
        self.full = False

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._runs, name)

        def call(*arguments: Any) -> Any:
            if not self.full:
                return method(*arguments)
            error = UnavailableError("disk full")
            if name in ("pending", "planned", "delayed", "under_way"):
                raise error
            future: Future[Any] = Future()
            future.set_exception(error)
            return future

        return call


class Manual(Engine):
    """Ends attempts when the test says so, and records which ran at the same time."""

    embedded = True
    patience = 0.0

    def __init__(self, cpu: float = 4, memory: float = 100) -> None:
        self.name = "manual"
        self.capacity = Capacity(cpu, memory)
        self.order: list[str] = []
        self.running: list[str] = []
        self.always: Optional[str] = None
        self.deaf = False  # to requests to cancel
        self.errors: list[Exception] = []  # to raise for the next attempts
        self._outcomes: dict[str, Outcome] = {}
        self._lock = threading.Lock()
        self._announce: Callable[[], None] = lambda: None

    def submit(self, attempt: Attempt, announce: Callable[[], None]) -> str:
        if self.errors:
            raise self.errors.pop(0)
        self._announce = announce
        run_id = attempt.name.rpartition("-")[0]
        with self._lock:
            self.order.append(run_id)
            self.running.append(run_id)
        if self.always:
            self.end(run_id, status=self.always)
        return attempt.name

    def find(self, names: Collection[str]) -> Mapping[str, str]:
        return {}

    def poll(self, handles: Collection[str]) -> Mapping[str, Report]:
        reports = {}
        for handle in handles:
            outcome = self._outcomes.get(handle.rpartition("-")[0])
            state = State.ENDED if outcome else State.RUNNING
            reports[handle] = Report(state, "", outcome)
        return reports

    def cancel(self, handle: str) -> None:
        run_id = handle.rpartition("-")[0]
        if run_id in self.running and not self.deaf:
            self.end(run_id, status="Aborted")

    def end(self, *run_ids: str, status: str = "Completed") -> None:
        with self._lock:
            for each in run_ids:
                self.running.remove(each)
                self._outcomes[each] = Outcome(status, f"It {status}.", {"startTime": "then"})
        self._announce()
