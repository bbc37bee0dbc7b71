"""What a node is asked to do, and how it ended."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Job:
    """One attempt of a run.

    Attributes:
        run_id: Id of the run.
        execution: What to run: canonical camelCase JSON with its placeholders filled in.
        attempt: Number of the attempt; 1 for the first.
    """

    run_id: str
    execution: dict[str, Any]
    attempt: int


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended.

    Attributes:
        status: `Completed`, `Failed`, `TimedOut` or `Aborted`.
        details: The reason, for people to read; it becomes the run's `statusDetails`.
        log: The attempt's `TaskRunLogs` in camelCase JSON: `startTime`, `endTime`, `stdout`,
            `stderr`, `error` and `errorDetails`.
    """

    status: str
    details: str
    log: dict[str, Any]


def now() -> str:
    """Return the current time as TES writes it: UTC, with seven fractional digits."""
    seconds, ticks = divmod(time.time_ns() // 100, 10**7)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{ticks:07}Z"
