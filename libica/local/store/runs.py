"""The life of runs: pending, running, ended; what the engine needs to know and to record."""

from __future__ import annotations

import json
import sqlite3

from ..node.job import Job, Outcome, now
from .database import Database
from .objects import Json
from .rows import PARTS, dumps, update

_DETAILS = 4096  # maximum characters of statusDetails in the contract
_INTERRUPTED = "The service was killed while the run was running"


class Runs:
    """The runs of a store, as the engine sees them. Any thread may call any method."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def pending(self) -> list[str]:
        """Return the ids of the pending runs, oldest first."""
        sql = "SELECT id FROM runs WHERE status = 'Pending' ORDER BY seq"
        return [run_id for (run_id,) in self._database.read(sql)]

    def job(self, run_id: str) -> Job:
        """Return the next attempt of a run."""
        rows = self._database.read("SELECT execution FROM runs WHERE id = ?", run_id)
        execution = json.loads(rows[0][0])
        return Job(run_id, execution, execution["retryCount"] + 1)

    def started(self, job: Job) -> bool:
        """Record that the job starts; false if its run is no longer pending, as when aborted."""

        def apply(db: sqlite3.Connection) -> bool:
            run = _Run(db, job.run_id)
            if run.summary["status"] != "Pending":
                return False
            run.save(db, "Running", f"Attempt {job.attempt} is running")
            return True

        return self._database.write(apply).result()

    def ended(self, job: Job, outcome: Outcome, again: bool) -> None:
        """Record how the job ended; ``again`` makes its run pending for another attempt."""
        self._database.write(lambda db: _Run(db, job.run_id).end(db, outcome, again)).result()

    def recover(self) -> None:
        """Make runs that a killed service left running pending again, or fail them."""

        def apply(db: sqlite3.Connection) -> None:
            sql = "SELECT id FROM runs WHERE status = 'Running' ORDER BY seq"
            for (run_id,) in db.execute(sql).fetchall():
                _Run(db, run_id).interrupted(db)

        self._database.write(apply).result()


class _Run:
    """A run within a transaction, whose status changes as its attempts start and end."""

    def __init__(self, db: sqlite3.Connection, run_id: str) -> None:
        sql = f"SELECT {PARTS['runs']} FROM runs WHERE id = ?"  # noqa: S608
        summary, execution, logs, self.aborting = db.execute(sql, (run_id,)).fetchone()
        self.summary: Json = json.loads(summary)
        self.execution: Json = json.loads(execution)
        self.logs: list[Json] = json.loads(logs)

    def interrupted(self, db: sqlite3.Connection) -> None:
        """Record that the service was killed during an attempt."""
        again = self.execution["retryCount"] < self.execution["retryLimit"]
        details = _INTERRUPTED if again else f"{_INTERRUPTED}, and no retries are left (retryLimit)"
        times = {"startTime": self.summary["timeModified"], "endTime": now()}
        self.end(db, Outcome("Failed", details, {**times, "error": details}), again)

    def end(self, db: sqlite3.Connection, outcome: Outcome, again: bool) -> None:
        """Record how an attempt ended."""
        self.logs.append(outcome.log)
        if self.aborting and outcome.status != "Completed":
            self.save(db, "Aborted", "Aborted while it was running")
        elif again:
            self.execution["retryCount"] += 1
            following = self.execution["retryCount"] + 1
            self.save(
                db, "Pending", f"Waiting for attempt {following}; the last one: {outcome.details}"
            )
        else:
            self.save(db, outcome.status, outcome.details)

    def save(self, db: sqlite3.Connection, status: str, details: str) -> None:
        """Write the run with a new status."""
        self.summary.update(status=status, statusDetails=details[:_DETAILS], timeModified=now())
        parts = {"execution": dumps(self.execution), "logs": dumps(self.logs)}
        update(db, "runs", self.summary, **parts)
