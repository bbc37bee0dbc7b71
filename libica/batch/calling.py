"""What the calls of a batch have in common: what stops it, what passes, what a run tells."""

from __future__ import annotations

import sys
from random import random
from time import monotonic
from typing import Any, Union

from libica.openapi.libtes import (
    ApiConnectionException,
    ApiException,
    OpenApiException,
    TaskRun,
    TaskRunSummary,
)
from libica.openapi.libtes.rest import RetryPolicy, retry_after, retry_delay

from .report import FINISHED, Launch, Report

PATIENCE = 600.0
"""Seconds that a batch waits, all waits together, without one good answer before it gives up."""

GROWING = RetryPolicy(total=sys.maxsize, longest=30.0)
"""How waits grow where the service does not say how long."""

AnyRun = Union[TaskRun, TaskRunSummary]


class BatchError(OpenApiException):
    """A batch was stopped on its way; ``__cause__`` is what stopped it.

    Attributes:
        report: How far it came.
    """

    def __init__(self, message: str, report: Report) -> None:
        super().__init__(message, report)
        self.report: Report = report

    def __str__(self) -> str:
        return str(self.args[0])


def passes(error: ApiException, method: str = "GET") -> bool:
    """Tell whether a failure is one after which the same call may be tried again."""
    outcome: Any = error if isinstance(error, ApiConnectionException) else error.status
    return retry_delay(RetryPolicy(), 0, method, outcome) is not None


class Pace:
    """When a service may be called again that asked to wait, or gives no answers."""

    def __init__(self) -> None:
        self.waited: float = 0.0  # seconds, since the last good answer
        self._open_at = 0.0
        self._waits = self._failures = 0  # since then too

    def wait(self) -> float:
        """Return the seconds until it may be called; not positive if it may be now."""
        return self._open_at - monotonic()

    def answered(self) -> None:
        """Note a good answer."""
        self.waited = 0.0
        self._waits = self._failures = 0

    def failed(self, error: ApiException, callers: int = 1) -> None:
        """Note a failure: the next call has to wait if the service asks for that, or answers none.

        Of several callers at once each fails a first time before any has to wait.
        """
        now = monotonic()
        self._failures += 1
        wait = retry_after(error.headers) if error.status in (429, 503) else None
        if wait is None:
            alone = error.status != 429 and self._failures < callers
            if alone or now < self._open_at:
                return
            wait = retry_delay(GROWING, self._waits, "GET", 503, fraction=random()) or 0.0
            self._waits += 1
        until = max(self._open_at, now + wait)
        self.waited += until - max(now, self._open_at)
        self._open_at = until


def note(launch: Launch, run: AnyRun) -> None:
    """Write down what a run tells of itself."""
    launch.run_id = run.id
    launch.status = run.status and sys.intern(run.status)  # a few words, in many rows
    launch.time_created = run.time_created
    launch.time_modified = run.time_modified if run.status in FINISHED else None
    launch.error = None
