"""The life of runs: pending, under way, ended; what the engine needs to know and to record."""

from __future__ import annotations

import json
import sqlite3
from concurrent.futures import Future
from typing import Any, NamedTuple, Optional

from ..node.job import Job, Outcome, now
from .database import Database
from .objects import Json
from .rows import PARTS, dumps, update

_DETAILS = 4096  # maximum characters of statusDetails in the contract


class Planned(NamedTuple):
    """The next attempt of a pending run, and the name of the run."""

    job: Job
    name: str


class UnderWay(NamedTuple):
    """An attempt that was handed to an engine, as far as the store knows.

    Attributes:
        job: The attempt.
        name: The name of the run.
        engine: The name of the engine; empty for one of an earlier version.
        aborting: Whether the run is to be aborted.
        handle: The engine's name for the attempt; empty if it was not recorded.
        status: The status of the run.
        details: Its `statusDetails`.
    """

    job: Job
    name: str
    engine: str
    aborting: bool
    handle: str
    status: str
    details: str


class Runs:
    """The runs of a store, as the engine sees them.

    Any thread may call any method. Those that change something return a future, which is done
    when the change is on disk.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def pending(self, limit: int) -> list[str]:
        """Return the ids of the oldest runs that may start at once."""
        sql = (
            "SELECT id FROM runs WHERE status = 'Pending' AND engine = '' AND startAfter = 0 "
            "ORDER BY seq LIMIT ?"
        )
        return [run_id for (run_id,) in self._database.read(sql, limit)]

    def delayed(self) -> list[tuple[str, float]]:
        """Return the ids of the pending runs that wait for another attempt, and until when."""
        sql = "SELECT id, startAfter FROM runs WHERE status = 'Pending' AND startAfter > 0"
        return self._database.read(sql)

    def planned(self, run_id: str) -> Optional[Planned]:
        """Return the next attempt of a run; ``None`` if the run is no longer pending."""
        sql = "SELECT execution, name FROM runs WHERE id = ? AND status = 'Pending' AND engine = ''"
        for execution, name in self._database.read(sql, run_id):
            return Planned(_job(run_id, execution), name)
        return None

    def under_way(self) -> list[UnderWay]:
        """Return the attempts that were handed to an engine and whose end is not recorded."""
        sql = (
            "SELECT id, execution, name, engine, aborting, handle, status, summary FROM runs "
            "WHERE status = 'Running' OR status = 'Pending' AND engine != '' ORDER BY seq"
        )
        return [
            UnderWay(
                _job(run_id, execution),
                name,
                engine,
                bool(aborting),
                handle,
                status,
                json.loads(summary).get("statusDetails", ""),
            )
            for run_id, execution, name, engine, aborting, handle, status, summary in (
                self._database.read(sql)
            )
        ]

    def started(
        self, job: Job, engine: str, handle: str, status: str, details: str
    ) -> Future[bool]:
        """Record that the engine gets an attempt; false if its run is no longer pending."""

        def apply(db: sqlite3.Connection) -> bool:
            run = _Run(db, job.run_id)
            if run.summary["status"] != "Pending":  # such as aborted
                return False
            run.save(db, status, details, engine=engine, handle=handle, startAfter=0)
            return True

        return self._database.write(apply)

    def noted(
        self, job: Job, handle: str, status: str, details: str, log: Optional[Json]
    ) -> Future[None]:
        """Record what is known of an attempt that is under way."""

        def apply(db: sqlite3.Connection) -> None:
            run = _Run(db, job.run_id)
            more = {"handle": handle}
            if log:
                run.logs[job.attempt - 1 :] = [log]
                more["logs"] = dumps(run.logs)
            run.save(db, status, run.summary["statusDetails"] if run.aborting else details, **more)

        return self._database.write(apply)

    def put_back(self, job: Job, details: str) -> Future[None]:
        """Record that an attempt did not begin, so that its run is pending as before."""
        return self._database.write(
            lambda db: _Run(db, job.run_id).end(db, "Pending", details, engine="", handle="")
        )

    def ended(
        self, job: Job, outcome: Outcome, again: str = "", start_after: float = 0
    ) -> Future[None]:
        """Record how an attempt ended.

        Args:
            job: The attempt.
            outcome: How it ended.
            again: What to say of the run while it waits for another attempt; empty if it gets none.
            start_after: The time before which the other attempt does not start.
        """

        def apply(db: sqlite3.Connection) -> None:
            run = _Run(db, job.run_id)
            run.logs[job.attempt - 1 :] = [outcome.log] if outcome.log else []
            more: dict[str, Any] = {"engine": "", "handle": "", "logs": dumps(run.logs)}
            if outcome.status == "Completed" or not again:
                run.end(db, outcome.status, outcome.details, **more)
            else:
                run.execution["retryCount"] = job.attempt
                more.update(execution=dumps(run.execution), startAfter=start_after)
                run.end(db, "Pending", again, **more)

        return self._database.write(apply)


class _Run:
    """A run within a transaction, whose status changes as its attempts start and end."""

    def __init__(self, db: sqlite3.Connection, run_id: str) -> None:
        sql = f"SELECT {PARTS['runs']} FROM runs WHERE id = ?"  # noqa: S608
        summary, execution, logs, self.aborting = db.execute(sql, (run_id,)).fetchone()
        self.summary: Json = json.loads(summary)
        self.execution: Json = json.loads(execution)
        self.logs: list[Json] = json.loads(logs)

    def end(self, db: sqlite3.Connection, status: str, details: str, **more: Any) -> None:
        """Write the run after an attempt; it is `Aborted` if that was asked for."""
        if self.aborting and status != "Completed":
            status, details = "Aborted", "Aborted while it was running"
        self.save(db, status, details, **more)

    def save(self, db: sqlite3.Connection, status: str, details: str, **more: Any) -> None:
        """Write the run with a new status."""
        self.summary.update(status=status, statusDetails=details[:_DETAILS], timeModified=now())
        update(db, "runs", self.summary, **more)


def is_under_way(db: sqlite3.Connection, run_id: str) -> bool:
    """Return whether an engine has an attempt of a run."""
    sql = "SELECT 1 FROM runs WHERE id = ? AND (status = 'Running' OR engine != '')"
    return db.execute(sql, (run_id,)).fetchone() is not None


def _job(run_id: str, execution: str) -> Job:
    described = json.loads(execution)
    return Job(run_id, described, described["retryCount"] + 1)
