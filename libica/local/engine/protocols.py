"""What the scheduler needs: something that runs jobs, and a store of runs."""

from __future__ import annotations

import threading
from typing import Protocol

from ..node.job import Job, Outcome


class Runner(Protocol):
    """Runs jobs. A container engine or a batch system can stand here."""

    def run(self, job: Job, stop: threading.Event) -> Outcome:
        """Run the job and return when it has ended; soon after ``stop`` is set."""
        ...


class RunStore(Protocol):
    """Keeps runs; each method may be called from any thread."""

    def pending(self) -> list[str]:
        """Return the ids of the runs that wait to be started, oldest first."""
        ...

    def job(self, run_id: str) -> Job:
        """Return the next attempt of a pending run."""
        ...

    def started(self, job: Job) -> bool:
        """Record that the job starts; false if its run is no longer pending, as when aborted."""
        ...

    def ended(self, job: Job, outcome: Outcome, again: bool) -> None:
        """Record how the job ended; ``again`` makes its run pending for another attempt."""
        ...
