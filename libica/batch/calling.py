"""Shared by all calls of a batch: errors, delays, transient failures, and paging through lists."""

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
from libica.openapi.libtes.rest import RetryPolicy, retry_after, retry_delay

from .plan import told
from .report import FINISHED, Launch, Report

PAGE = 1000
"""Runs per page: the maximum that the service allows."""

PAGE_TRIES = 5  # requests for one page
RESTARTS = 3  # times that a walk starts again because its page token expired
LONG = 300.0  # a deadline at least this many seconds away does not shorten a call's timeout
LEAST = 0.1  # shortest timeout of a call, in seconds
EXPIRED = (400, 404, 410)
"""Statuses that the service may return for an expired page token."""

AnyRun = Union[TaskRun, TaskRunSummary]


@dataclass(frozen=True)
class Waits:
    """Delays of a batch, in seconds.

    Attributes:
        looks: Delays before each search for the run of a launch that got no response. The request
            may still be in progress and lists may lag, so a list that is proven to be fresh is
            trusted only after all of these delays, about 35 seconds.
        again: Delay between further searches, while no list is proven to be fresh.
        patience: Total time to wait without a successful response before the batch stops.
        grace: Time for calls in progress to finish after Ctrl-C.
        tick: Delay between two checks of the threads' progress.
        backoff: First delay after a failure; it doubles up to `longest`.
        longest: Longest delay after a failure.
    """

    looks: tuple[float, ...] = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 20.0)
    again: float = 5.0
    patience: float = 600.0
    grace: float = 5.0
    tick: float = 0.1
    backoff: float = 0.5
    longest: float = 30.0

    def growing(self, waited: int) -> float:
        """Return the delay before a retry when the service does not specify one."""
        policy = RetryPolicy(sys.maxsize, self.backoff, self.longest)
        return retry_delay(policy, waited, "GET", 503, fraction=random()) or 0.0


WAITS = Waits()


class BatchError(OpenApiException):
    """A batch stopped before it was complete; ``__cause__`` is the error that stopped it.

    Attributes:
        report: The outcome of each launch so far.
    """

    def __init__(self, message: str, report: Report) -> None:
        super().__init__(message, report)
        self.report: Report = report

    def __str__(self) -> str:
        text = str(self.args[0])
        return text if "[errors#" in text else told(self, text)  # that of the call says more


class BatchInterrupt(KeyboardInterrupt):
    """Ctrl-C stopped a batch before it was complete.

    Attributes:
        report: The outcome of each launch so far.
    """

    def __init__(self, report: Report) -> None:
        super().__init__(report)
        self.report: Report = report

    def __str__(self) -> str:
        return told(self, f"interrupted: {self.report!r}")


class BatchWarning(UserWarning):
    """Some launches have more than one run, or the service lost their runs."""


def passes(error: ApiException, method: str = "GET") -> bool:
    """Return whether a failure is transient, so that the same call may be retried."""
    outcome: Any = error if isinstance(error, ApiConnectionException) else error.status
    return retry_delay(RetryPolicy(), 0, method, outcome) is not None


class Pace:
    """Decides when to call the service again after it asked to wait or did not respond."""

    def __init__(self) -> None:
        self.waited: float = 0.0  # seconds since the last successful response
        self._open_at = 0.0
        self._waits = self._failures = 0  # counts since the last successful response

    def wait(self) -> float:
        """Return the seconds until the next call is allowed; zero or less if it is allowed now."""
        return self._open_at - monotonic()

    def succeeded(self) -> None:
        """Record a successful response."""
        self.waited = 0.0
        self._waits = self._failures = 0

    def failed(self, error: ApiException, callers: int = 1) -> None:
        """Record a failure, and delay the next call if the service asks for it or seems down.

        With several concurrent callers, there is no delay until each may have failed once.
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
    """Return the keyword arguments that make a call end by a deadline (`monotonic` seconds)."""
    left = until - monotonic()
    return {"_request_timeout": max(LEAST, left)} if left < LONG else {}


def walk(
    api: TaskRunsApi, visit: Callable[[Sequence[TaskRunSummary]], object], until: float = math.inf
) -> bool:
    """Visit all pages of the list of runs, newest first if the service sorts as requested.

    A page that fails is requested again. If a page token has expired, the walk starts again, so
    pages may be visited twice.

    Args:
        api: Used to request the pages.
        visit: Called with the runs of each page; a true return value ends the walk.
        until: Deadline for all calls, as `monotonic` counts. Default: none.

    Returns:
        Whether the walk reached the end of the list.

    Raises:
        ApiException: A page could not be retrieved.
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
        if visited & places:  # the pages repeat: the walk would never end
            return False
        visited |= places


def note(launch: Launch, run: AnyRun) -> None:
    """Copy the id, status and times of a run to its launch."""
    launch.run_id = run.id
    launch.status = run.status and sys.intern(run.status)  # few values in many rows
    launch.time_created = run.time_created
    launch.time_modified = run.time_modified if run.status in FINISHED else None
    launch.error = None
