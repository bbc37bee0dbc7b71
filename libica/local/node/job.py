"""What a node is asked to do, and how it ended."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

DAY = 24 * 60 * 60.0
"""Seconds after which attempts are ended, unless settings say otherwise."""


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
class Settings:
    """How attempts run, whatever their jobs are.

    Attributes:
        gds: The folder in which `gds://volume/path` is `volume/path`, as a path or URL.
        run_in: `host` for commands of the machine, run as the user of the process; `docker`,
            `podman` or `apptainer` for commands of the job's image.
        time_limit: Seconds after which an attempt ends as `TimedOut`; `None` for no limit.
        grace: Seconds between SIGTERM and SIGKILL when a command has to end.
        path: The `PATH` to find commands on, and the value of `PATH` for commands whose execution
            declares none; no other variable is set that is not declared. Default: that of the
            process that runs the attempt.
        keep_failed: Keep the files of attempts that end as `Failed` or `TimedOut`.
        confined: Whether a batch system holds the processes of attempts to the memory and
            processors that they ask for. Then those of apptainer's containers get no other limits,
            which not every user may set.
    """

    gds: str
    run_in: str = "host"
    time_limit: Optional[float] = DAY
    grace: float = 2.0
    path: Optional[str] = None
    keep_failed: bool = False
    confined: bool = False

    def keeps_files_of(self, status: str) -> bool:
        """Return whether the files of attempts that ended with a status are kept."""
        return self.keep_failed and status in ("Failed", "TimedOut")


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


def image_reference(image: Mapping[str, Any]) -> str:
    """Return an image's name with its digest if it has one, else with its tag."""
    name, tag, digest = (image.get(key) or "" for key in ("name", "tag", "digest"))
    return f"{name}@{digest}" if digest else f"{name}:{tag or 'latest'}"
