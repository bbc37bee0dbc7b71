"""What the calls of a batch have in common: waits, failures that pass, walks through lists."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import random
from time import monotonic, sleep
from typing import Any, Union

from libica.openapi.libtes import (
    ApiConnectionException,
    ApiException,
    OpenApiException,
    TaskRun,
    TaskRunsApi,
    TaskRunSummary,
)

from ._client import RetryPolicy, retry_after, retry_delay
from .report import FINISHED, Launch, Report

PAGE = 1000
"""Runs to a page of a list: the most that the service gives."""

PAGE_TRIES = 5  # for each page
RESTARTS = 3  # of a walk
LONG = 300.0  # seconds that no call is allowed beyond what the configuration says
LEAST = 0.1  # seconds that a call is allowed in any case
EXPIRED = (400, 404, 410)
"""Statuses that an expired page token may get."""

AnyRun = Union[TaskRun, TaskRunSummary]


@dataclass(frozen=True)
class Waits:
    """How long a batch waits for what, in seconds.

    Attributes:
        looks: Before each look for a run whose launch had no response. A launch may be under way
            for long, and lists may lag: together they are the 35 seconds after which a list that
            is proven to be fresh is believed.
        again: Between further looks, where no list has been proven to be fresh.
        patience: Without one good response, all waits together, before a batch gives up.
        grace: For calls under way to end, after Ctrl-C.
        tick: Between two looks at how far the threads are.
        backoff: The first wait after a failure; it doubles up to `longest`.
        longest: The longest wait after a failure.
    """

    looks: tuple[float, ...] = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 20.0)
    again: float = 5.0
    patience: float = 600.0
    grace: float = 5.0
    tick: float = 0.1
    backoff: float = 0.5
    longest: float = 30.0

    def growing(self, waited: int) -> float:
        """Return the wait after a failure, the service not saying how long to wait."""
        policy = RetryPolicy(sys.maxsize, self.backoff, self.longest)
        return retry_delay(policy, waited, "GET", 503, fraction=random()) or 0.0


WAITS = Waits()


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


class BatchInterrupt(KeyboardInterrupt):
    """Ctrl-C stopped a batch on its way.

    Attributes:
        report: How far it came.
    """

    def __init__(self, report: Report) -> None:
        super().__init__(report)
        self.report: Report = report

    def __str__(self) -> str:
        return f"interrupted: {self.report!r}"


class BatchWarning(UserWarning):
    """Launches of a batch have more than one run, or runs that the service lost."""


def passes(error: ApiException, method: str = "GET") -> bool:
    """Tell whether a failure is one after which the same call may be tried again."""
    outcome: Any = error if isinstance(error, ApiConnectionException) else error.status
    return retry_delay(RetryPolicy(), 0, method, outcome) is not None


class Pace:
    """When a service may be called again that asked to wait, or does not respond."""

    def __init__(self) -> None:
        self.waited: float = 0.0  # seconds, since the last good response
        self._open_at = 0.0
        self._waits = self._failures = 0  # since then too

    def wait(self) -> float:
        """Return the seconds until it may be called; not positive if it may be now."""
        return self._open_at - monotonic()

    def answered(self) -> None:
        """Note a good response."""
        self.waited = 0.0
        self._waits = self._failures = 0

    def failed(self, error: ApiException, callers: int = 1) -> None:
        """Note a failure: the next call has to wait if the service asks for that, or is down.

        Of several callers at once each fails a first time before any has to wait.
        """
        now = monotonic()
        self._failures += 1
        wait = retry_after(error.headers) if error.status in (429, 503) else None
        if wait is None:
            alone = error.status != 429 and self._failures < callers
            if alone or now < self._open_at:
                return
            wait = WAITS.growing(self._waits)
            self._waits += 1
        until = max(self._open_at, now + wait)
        self.waited += until - max(now, self._open_at)
        self._open_at = until


def bounded(until: float) -> dict[str, Any]:
    """Return how long a call may take: no longer than there is time, if that is not long."""
    left = until - monotonic()
    return {"_request_timeout": max(LEAST, left)} if left < LONG else {}


def walk(
    api: TaskRunsApi, visit: Callable[[Sequence[TaskRunSummary]], object], until: float = math.inf
) -> bool:
    """Show all pages of the list of runs, the newest first if the service obliges.

    A page that fails is asked for again; where a page token has expired, the walk begins anew, so
    pages may be shown twice.

    Args:
        api: How the list is had.
        visit: Is given each page; ends the walk by returning something true.
        until: When, by the clock of `monotonic`, all calls are to have ended. Default: never.

    Returns:
        Whether the walk came to the end of the list.

    Raises:
        ApiException: A page could not be had.
    """
    token, failed, restarts = None, 0, 0
    visited: set[str] = set()
    while True:
        try:
            page = api.list_task_runs(
                sort="timeCreated desc", page_size=PAGE, page_token=token, **bounded(until)
            )
        except ApiException as error:
            failed += 1
            if token and error.status in EXPIRED and restarts < RESTARTS:
                token, failed, restarts = None, 0, restarts + 1
                visited.clear()
                continue
            pause = retry_after(error.headers) or WAITS.growing(failed)
            if not passes(error) or failed >= PAGE_TRIES or monotonic() + pause > until:
                raise
            sleep(pause)
            continue
        failed = 0
        if visit(page.items or []):
            return False
        token = page.next_page_token
        if not token:
            return True
        first = page.items[0].id if page.items else None
        places = {f"token {token}", f"run {first}"}
        if visited & places:  # it would go round for ever
            return False
        visited |= places


def note(launch: Launch, run: AnyRun) -> None:
    """Write down what a run tells of itself."""
    launch.run_id = run.id
    launch.status = run.status and sys.intern(run.status)  # a few words, in many rows
    launch.time_created = run.time_created
    launch.time_modified = run.time_modified if run.status in FINISHED else None
    launch.error = None
