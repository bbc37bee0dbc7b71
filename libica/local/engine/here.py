"""Runs attempts in threads of this process."""

from __future__ import annotations

import threading
from pathlib import Path

from ..node import attempt, processes
from ..node.job import Job, Outcome, Settings


class Here:
    """Runs each job in a folder of its own.

    Args:
        attempts: Parent of the folders. What a killed service left in them is ended and removed.
        settings: How attempts run.
    """

    def __init__(self, attempts: Path, settings: Settings) -> None:
        self._attempts = attempts
        self._settings = settings
        processes.prepare()
        if attempts.is_dir():
            for folder in attempts.iterdir():
                attempt.end_left(folder)
                attempt.remove(folder)

    def run(self, job: Job, stop: threading.Event) -> Outcome:
        """Run the job and return its outcome."""
        folder = attempt.create(self._attempts, job, self._settings)
        try:
            return attempt.run(folder, stop)
        finally:
            attempt.remove(folder)
