"""A TES service in memory that fails, lags and lies as a test says.

`libica.local` is the service to use where none of that is needed.
"""

from __future__ import annotations

import itertools
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta, timezone
from typing import Any, Optional

import pytest

from libica.batch import BatchError, Report, launch_all
from libica.openapi import libtes

from ..server import Answer, Asked, Server

Json = dict[str, Any]
Hook = Callable[[Asked], Any]
EXECUTION = {"image": {"name": "none"}, "command": "{{sample}}", "args": ["{{url}}"]}
TASK = "tdn.1"
WHOLE_SECOND = datetime.now(timezone.utc).replace(microsecond=0)


class LostError(Exception):
    """Ends a connection without a response."""


class Service(Server):
    """Serves the runs of one version; hooks may respond or lose a call ``before`` or ``after``.

    Attributes:
        runs: All runs by id, as JSON, in the order of their creation.
        hidden: Ids of runs that no list shows.
        version: The version, as JSON.
        clock: Returns the time of creation of a run.
        journal: The journal of `launch`; `None` for none.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ids = TASK, f"tvn.{uuid.uuid4().hex}"
        self.version: Json = {"id": self.ids[1], "version": "1.0", "execution": EXECUTION}
        self.runs: dict[str, Json] = {}
        self.hidden: set[str] = set()
        self.before: Optional[Hook] = None
        self.after: Optional[Hook] = None
        self.clock: Callable[[], datetime] = lambda: datetime.now(timezone.utc)
        self.journal: Any = None
        self.under_way = self.most_under_way = 0
        self._lock = threading.Lock()
        self.answer(self._serve)
        prefix = {"Authorization": "Bearer"}
        configuration = libtes.Configuration(self.url, {"Authorization": "token"}, prefix)
        configuration.retries = 0
        self.client = libtes.ApiClient(configuration)

    def close(self) -> None:
        self.client.close()
        super().close()

    def _serve(self, asked: Asked) -> Answer:
        with self._lock:
            self.under_way += 1
            self.most_under_way = max(self.under_way, self.most_under_way)
        try:
            response = self.before and self.before(asked)
            if response is None:
                response = self.act(asked)
                response = (self.after and self.after(asked)) or response
            return response
        finally:
            with self._lock:
                self.under_way -= 1

    def act(self, asked: Asked) -> Answer:
        """Do what a request says."""
        with self._lock:
            if is_list(asked):
                return Answer(200, self._list(asked.query))
            if is_launch(asked):
                return Answer(201, self.make(asked.json, asked.path.split("/")[-1].split(":")[0]))
            key, _, verb = asked.path.rpartition("/")[2].partition(":")
            if key == self.ids[1]:
                return Answer(200, self.version)
            run = self.runs.get(key)
            if run is None:
                return refused(404)
            if verb == "abort":
                if run["status"] == "Completed":
                    return refused(400)
                run["status"] = "Aborted"
            return Answer(200, run)

    def make(self, body: Json, version_id: str) -> Json:
        """Make a run as a launch of a version does."""
        run = {
            "description": self.version.get("description"),
            **{key: value for key, value in body.items() if key != "arguments"},
            "id": f"trn.{uuid.uuid4().hex}",
            "status": "Pending",
            "taskVersionSummary": {"id": version_id, "version": "1.0"},
        }
        run["timeCreated"] = run["timeModified"] = self.clock().isoformat()
        self.runs[str(run["id"])] = run
        return dict(run)

    def _list(self, query: dict[str, str]) -> Json:
        found = [run for key, run in self.runs.items() if key not in self.hidden]
        if "versions" in query:
            versions = set(query["versions"].split(","))
            found = [x for x in found if versions & set(x["taskVersionSummary"].values())]
        found = self.listed(found)
        start, size = int(query.get("pageToken", 0)), int(query.get("pageSize", 10))
        end = start + size
        return {"items": found[start:end], "nextPageToken": str(end) if found[end:] else None}

    def listed(self, runs: list[Json]) -> list[Json]:
        """Return runs in the order in which lists show them."""
        return sorted(runs, key=lambda run: str(run["timeCreated"]), reverse=True)

    @property
    def launches(self) -> list[str]:
        """The names in the launch requests, in the order of arrival."""
        return [each.json["name"] for each in self.asked if is_launch(each)]

    @property
    def names(self) -> dict[str, str]:
        """The names of the runs, by their ids."""
        with self._lock:
            return {key: run["name"] for key, run in self.runs.items()}

    def add_runs(
        self, names: list[str], status: str = "Running", *, version: str = "", age: float = 0
    ) -> list[str]:
        """Add runs, each some microseconds younger than the one before; returns their ids."""
        begun = datetime.now(timezone.utc) - timedelta(seconds=age)
        ids = [str(self.make({"name": each}, version or self.ids[1])["id"]) for each in names]
        for number, run_id in enumerate(ids):
            run = self.runs[run_id]
            run.update(status=status, description=None)
            run["timeCreated"] = (begun + timedelta(microseconds=number)).isoformat()
            run["timeModified"] = run["timeCreated"]
            run["taskVersionSummary"]["version"] = "2.0" if version else "1.0"
        return ids

    def launch(self, launches: Any = 5, **options: Any) -> Report:
        """Launch so many, or these."""
        given = cohort(launches) if isinstance(launches, int) else launches
        return launch_all(self.client, *self.ids, given, **{"journal": self.journal, **options})

    def stop(self, at: int, launches: int = 5) -> None:
        """Launch so many, and refuse the token at one of them, which stops the batch."""
        self.before = on(range(at, at + 1), is_launch, refuse(401))
        with pytest.raises(BatchError):
            self.launch(launches, concurrency=1)
        self.before = None

    def gather(self, matches: Callable[[Asked], bool], count: int) -> Hook:
        """Return a hook that holds such calls until there are so many at once."""
        full = threading.Event()

        def hold(_: Asked) -> None:
            if self.under_way >= count:
                full.set()
            full.wait(10)

        return on(EVER, matches, hold)

    def check(self, report: Report) -> None:
        """Check that each run is that of its launch, and that the report has all of them."""
        told = {run_id: each.name for each in report for run_id in (each.run_id, *each.doubles)}
        assert told == self.names
        assert [each.error for each in report] == [None] * len(report)

    def set_status(self, run_ids: Iterable[str], status: str = "Completed") -> None:
        for each in list(run_ids):
            self.runs[each]["status"] = status


class UnrulyService(Service):
    """Loses responses to launches, and has lists that lag, are unsorted or lack fields.

    Args:
        seed: Decides which responses are lost.
        traits: Other values for the attributes below.
    """

    lost = 1 / 3  # share of the launches without a response; most of them were acted on
    doubled = 0.0  # share of the launches that make two runs
    lag = 0.0  # seconds until a list shows a run
    skew = 0.0  # seconds by which the clocks of its two machines differ
    unsorted = False  # whether lists ignore the sort that is asked for
    without = ""  # the field that lists lack
    most_described = 4096  # the length to which descriptions are cut

    def __init__(self, seed: int, **traits: Any) -> None:
        super().__init__()
        vars(self).update(traits)
        self._random = random.Random(seed)
        self._made: dict[str, float] = {}
        self.clock = lambda: WHOLE_SECOND + timedelta(seconds=self.skew * (len(self.runs) % 2))
        self.old: set[str] = set()  # ids of runs that `runs_of` leaves out
        self.before, self.after = self._forget, self._lose

    def make(self, body: Json, version_id: str) -> Json:
        if "description" in body:
            body = {**body, "description": body["description"][: self.most_described]}
        run = super().make(body, version_id)
        self._made[run["id"]] = time.monotonic()
        return run

    def listed(self, runs: list[Json]) -> list[Json]:
        until = time.monotonic() - self.lag
        runs = [run for run in runs if self._made[run["id"]] <= until]
        runs = runs if self.unsorted else super().listed(runs)
        return [{key: run[key] for key in run if key != self.without} for run in runs]

    def _draw(self) -> float:
        with self._lock:
            return self._random.random()

    def _forget(self, asked: Asked) -> Optional[Answer]:
        if is_launch(asked):
            if self._draw() < self.lost / 4:
                raise LostError
            if self._draw() < self.doubled:
                self.act(asked)
        return None

    def _lose(self, asked: Asked) -> Optional[Answer]:
        if is_launch(asked) and self._draw() < self.lost * 3 / 4:
            raise LostError
        return None

    def runs_of(self, name: str) -> list[str]:
        """Return the ids of the runs that launches of the version have made under a name."""
        ours = {key for key, run in self.runs.items() if run["name"] == name} - self.old
        return [key for key in ours if self.runs[key]["taskVersionSummary"]["id"] == self.ids[1]]


EVER = range(10**9)


def any_request(_: Asked) -> bool:
    return True


def is_launch(asked: Asked) -> bool:
    return asked.path.endswith(":launch")


def is_list(asked: Asked) -> bool:
    return asked.path == "/v1/tasks/runs"


def on(which: range, matches: Callable[[Asked], bool], act: Hook) -> Hook:
    """Return a hook that acts on some of the calls that match, counted from 0."""
    numbers = itertools.count()
    return lambda asked: act(asked) if matches(asked) and next(numbers) in which else None


def lose(asked: Asked) -> Answer:
    raise LostError


def refused(status: int, **headers: str) -> Answer:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, {"code": f"TES.{status}", "message": "No."}, sent)


def refuse(status: int, **headers: str) -> Hook:
    """Return a hook that responds with an error."""
    return lambda _: refused(status, **headers)


def cohort(count: int) -> list[Json]:
    """Return launches that match the version."""
    return [
        {"name": f"s{number}", "arguments": {"sample": str(number), "url": "gds://v/x?secret"}}
        for number in range(count)
    ]
