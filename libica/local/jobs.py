"""What the service and whatever runs its jobs need to know of each other."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Job:
    """One attempt of a run.

    Attributes:
        run_id: Id of the run.
        execution: What to do: canonical camelCase JSON with its placeholders filled in.
        attempt: Which attempt this is; 1 for the first.
    """

    run_id: str
    execution: dict[str, Any]
    attempt: int


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended.

    Attributes:
        status: `Completed`, `Failed`, `TimedOut` or `Aborted`.
        details: Why, for a person to read; it becomes the run's `statusDetails`.
        log: The attempt's `TaskRunLogs` in camelCase JSON: `startTime`, `endTime`, `stdout`,
            `stderr`, `error` and `errorDetails`.
    """

    status: str
    details: str
    log: dict[str, Any]


class Runner(Protocol):
    """What carries out jobs. A container engine or another queue can stand here."""

    def run(self, job: Job, stop: threading.Event) -> Outcome:
        """Carry out the job and return when it has ended; at once when ``stop`` is set."""
        ...


class RunStore(Protocol):
    """What the scheduler needs of the store; each method may be called from any thread."""

    def pending(self) -> list[str]:
        """Return the ids of the runs that wait to be started, the oldest first."""
        ...

    def job(self, run_id: str) -> Job:
        """Return the attempt that the run waits for."""
        ...

    def started(self, job: Job) -> bool:
        """Note that the job starts; false if its run waits no longer, because it was aborted."""
        ...

    def ended(self, job: Job, outcome: Outcome, again: bool) -> None:
        """Note how the job ended; ``again`` lets its run wait for another attempt."""
        ...
