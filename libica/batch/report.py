"""Reports: the outcome of each launch, with counts, tables and a timeline."""

from __future__ import annotations

import csv
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any, Optional, Union, overload

from libica.openapi.libtes._redaction import Boundary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from libica.openapi.libtes import ApiClient

FINISHED = ("Completed", "Failed", "TimedOut", "Aborted")
NOT_LAUNCHED = "Not launched"
UNSURE = "Unsure"
LOST = "Lost"
UNKNOWN = "Unknown"
NOT_SENT = "not sent: the batch was stopped"
OUTCOMES = (*FINISHED, "Running", "Pending", NOT_LAUNCHED, UNSURE, LOST)
"""Values of `Launch.outcome`; a service may have further statuses."""

SHOWN = 20
"""Maximum number of launches that the text of a report describes."""

_FIRST = (*FINISHED, "Running", "Pending")
_LAST = (UNKNOWN, NOT_LAUNCHED, UNSURE, LOST)
_SLOTS: dict[str, bool] = {"slots": True} if sys.version_info >= (3, 10) else {}


@dataclass(**_SLOTS)
class Launch:
    """The outcome of one launch.

    Attributes:
        name: Name of the run.
        run_id: Id of the run; `None` if there is no run, or none is known.
        status: Last known status of the run; `None` if there is no run.
        attempts: Number of times that the launch request was sent.
        error: What went wrong. Begins with ``unsure:`` if there may be a run, and with ``lost:``
            if there was a run that the service no longer has.
        time_created: When the run was created.
        time_modified: When the run finished; `None` if it has not.
        number: Number of the launch in its batch, starting at 1.
        doubles: Ids of additional runs that this launch made.
        earlier: The earlier tries of this launch, oldest first; see `relaunch`.
        status_details: Why the run did not complete, as reported by the service.
        exit_status: Exit status of the command, if `status_details` or the logs mention it.
        stdout: URL of the standard output of the command, from its last execution.
        stderr: URL of the standard error of the command, from its last execution.
    """

    name: str
    run_id: Optional[str] = None
    status: Optional[str] = None
    attempts: int = 0
    error: Optional[str] = None
    time_created: Optional[datetime] = None
    time_modified: Optional[datetime] = None
    number: Optional[int] = None
    doubles: tuple[str, ...] = ()
    earlier: tuple[Launch, ...] = ()
    status_details: Optional[str] = None
    exit_status: Optional[int] = None
    stdout: Optional[str] = None
    stderr: Optional[str] = None

    @property
    def outcome(self) -> str:
        """The status of the run, or ``Not launched``, ``Unsure``, ``Lost`` or ``Unknown``."""
        begin = (self.error or "").partition(":")[0]
        if self.run_id is not None:
            return LOST if begin == "lost" else self.status or UNKNOWN
        return UNSURE if begin == "unsure" else NOT_LAUNCHED

    @property
    def tries(self) -> int:
        """Number of tries including this one; greater than 1 after `relaunch`."""
        return len(self.earlier) + 1

    @property
    def why(self) -> Optional[str]:
        """What went wrong, on one line; `None` if nothing did."""
        log = f"stderr: {self.stderr}" if self.stderr else None
        doubles = f"several runs: {self.run_id}, {', '.join(self.doubles)}"
        return _joined(self._reason, log, doubles if self.doubles else None)

    @property
    def _reason(self) -> Optional[str]:
        status = None if self.exit_status is None else f"exit status {self.exit_status}"
        return _joined(self.error, status, self.status_details)

    def __repr__(self) -> str:
        given = ((each.name, getattr(self, each.name)) for each in fields(self))
        shown = [f"{k}={_brief(v)}" for k, v in given if v is not None and v != ()]
        return f"Launch({', '.join(shown)})"


COLUMNS = tuple("tries" if each.name == "earlier" else each.name for each in fields(Launch))


class Report(Boundary, Sequence[Launch]):
    """The outcome of each launch, in the order given.

    A subset of it (``report[:10]``, ``report.failed``) is a report too.

    Args:
        launches: The launches.
        batch: Token of the batch in the marks of its runs, if they have marks.
        notes: Remarks about the batch as a whole.
        api_client: The client that `abort_doubles` uses by default; it is not pickled.

    Attributes:
        batch: As given.
        notes: As given.
    """

    def __init__(
        self,
        launches: Iterable[Launch] = (),
        *,
        batch: Optional[str] = None,
        notes: Iterable[str] = (),
        api_client: Optional[ApiClient] = None,
    ) -> None:
        self._launches = list(launches)
        self._client = api_client
        self.batch: Optional[str] = batch
        self.notes: list[str] = list(notes)

    @classmethod
    def from_journal(cls, path: Union[str, os.PathLike[str]]) -> Report:
        """Read a report from a journal, without calling the service.

        Statuses are those at the time of launch. To update them, pass the report to `wait_all`,
        with ``timeout=0`` to check all runs once without waiting.

        Args:
            path: The journal.

        Raises:
            JournalError: The file is not a journal, or is malformed.
            OSError: The file cannot be read.
        """
        from .journal import report_of

        return report_of(path)

    def __len__(self) -> int:
        return len(self._launches)

    def __iter__(self) -> Iterator[Launch]:
        return iter(self._launches)

    @overload
    def __getitem__(self, index: int) -> Launch: ...
    @overload
    def __getitem__(self, index: slice) -> Report: ...
    def __getitem__(self, index: Union[int, slice]) -> Union[Launch, Report]:
        found = self._launches[index]
        return self._part(found) if isinstance(found, list) else found

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_client": None}

    def __repr__(self) -> str:
        counts = "".join(f", {count} {status}" for status, count in self.summary().items())
        launches = f"{len(self)} launch{'es' * (len(self) != 1)}"
        doubled = len(self.doubled)
        return f"<Report: {launches}{counts}{f', {doubled} with several runs' * bool(doubled)}>"

    def __str__(self) -> str:
        from libica.openapi.libtes import redact

        told = [each for each in self if each.why is not None and each.error != NOT_SENT]
        told_of = [redact(_line(each)) for each in told[:SHOWN]]
        more = [f"... and {len(told) - SHOWN:,} more"] if len(told) > SHOWN else []
        return "\n  ".join([repr(self), *self.notes, *told_of, *more])

    def _part(self, launches: Iterable[Launch]) -> Report:
        return Report(launches, batch=self.batch, api_client=self._client)

    def _where(self, holds: Callable[[Launch], object]) -> Report:
        return self._part(filter(holds, self))

    @property
    def completed(self) -> Report:
        """The runs that are ``Completed``."""
        return self._where(lambda each: each.outcome == "Completed")

    @property
    def failed(self) -> Report:
        """The runs that are ``Failed``, ``TimedOut`` or ``Aborted``."""
        return self._where(lambda each: each.outcome in FINISHED[1:])

    @property
    def unfinished(self) -> Report:
        """The runs that had not finished when their status was last checked."""
        other = (*FINISHED, LOST)
        return self._where(lambda each: each.run_id is not None and each.outcome not in other)

    @property
    def not_launched(self) -> Report:
        """The launches without a run: refused or never sent."""
        return self._where(lambda each: each.outcome == NOT_LAUNCHED)

    @property
    def unsure(self) -> Report:
        """The launches for which it is not known whether there is a run."""
        return self._where(lambda each: each.outcome == UNSURE)

    @property
    def lost(self) -> Report:
        """The launches that had a run which the service no longer has."""
        return self._where(lambda each: each.outcome == LOST)

    @property
    def doubled(self) -> Report:
        """The launches that have more than one run; see ``Launch.doubles``."""
        return self._where(lambda each: each.doubles)

    @property
    def tries(self) -> Report:
        """All tries of all launches, one row each; see `relaunch`."""
        return self._part(each for launch in self for each in (*launch.earlier, launch))

    @property
    def run_ids(self) -> list[str]:
        """The ids of the known runs."""
        return [each.run_id for each in self if each.run_id is not None]

    def summary(self) -> dict[str, int]:
        """Return the number of launches by status of their run.

        Launches without a run count as ``Not launched`` or ``Unsure``, runs whose status was
        never read as ``Unknown``, and runs that the service no longer has as ``Lost``.
        """
        counts = Counter(each.outcome for each in self)
        others = sorted(set(counts) - {*_FIRST, *_LAST})
        return {key: counts[key] for key in (*_FIRST, *others, *_LAST) if counts[key]}

    def abort_doubles(self, api_client: Optional[ApiClient] = None) -> Report:
        """Abort all but the first run of each launch that has more than one.

        Args:
            api_client: The client to use. Default: the one that made this report.

        Returns:
            One row for each run to abort, as `abort_all` returns them.

        Raises:
            ApiValueError: There are runs to abort, but there is no client.
            BatchError: The token was refused. Its ``report`` has the outcome so far.
        """
        from libica.openapi.libtes import ApiValueError

        from .waiting import abort_all

        doubles = [Launch(each.name, run_id) for each in self for run_id in each.doubles]
        client = api_client or self._client
        if not doubles:
            return Report()
        if client is None:
            raise ApiValueError(
                "abort_doubles needs an api_client: this report was not made with one"
            )
        return abort_all(client, doubles)

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return a dict for each launch with the attributes of ``Launch``; times are datetimes.

        ``tries``, the number of tries, replaces ``earlier``.
        """
        rows = [{name: getattr(each, name) for name in COLUMNS} for each in self]
        for row in rows:
            row["doubles"] = list(row["doubles"])
        return rows

    def to_frame(self) -> Any:
        """Return a pandas frame with one row per launch and the columns of `to_dicts`.

        Raises:
            ModuleNotFoundError: pandas is not installed.
        """
        try:
            pandas: Any = import_module("pandas")
        except ModuleNotFoundError as error:
            if error.name == "pandas":
                error.msg += "; it comes with: pip install pandas, or use report.to_dicts()"
            raise
        frame = pandas.DataFrame(self.to_dicts(), columns=list(COLUMNS))
        for name in ("time_created", "time_modified"):
            frame[name] = pandas.to_datetime(frame[name], utc=True)
        frame["exit_status"] = frame["exit_status"].astype("Int64")
        return frame

    def to_csv(self, path: Union[str, os.PathLike[str]]) -> None:
        """Write a CSV file in UTF-8 with one row per launch and the columns of `to_dicts`.

        Times are in ISO 8601; the ids in ``doubles`` are separated by spaces.

        Args:
            path: The file; it is overwritten.

        Raises:
            OSError: The file cannot be written.
        """
        with open(path, "w", encoding="utf-8", errors="replace", newline="") as file:
            rows = csv.DictWriter(file, COLUMNS)
            rows.writeheader()
            rows.writerows({name: _cell(row[name]) for name in row} for row in self.to_dicts())

    def to_html(self, path: Union[str, os.PathLike[str]]) -> None:
        """Write all launches to a self-contained HTML file; secrets are masked.

        Args:
            path: The file; it is overwritten.

        Raises:
            OSError: The file cannot be written.
        """
        from .html_page import document

        with open(path, "w", encoding="utf-8", errors="replace") as file:
            file.write(document(*self._shown()))

    def plot(self, ax: Optional[Axes] = None) -> Axes:
        """Draw a timeline: one bar per run, from its creation to its end or until now.

        For more than 300 runs it draws the number of runs of each status over time instead.

        Args:
            ax: The axes to draw on. Default: those of a new figure.

        Returns:
            The axes, for example for ``ax.figure.savefig("cohort.png")``.

        Raises:
            ModuleNotFoundError: matplotlib is not installed
                (``pip install 'libica-libtes[plot]'``).
        """
        from .plot import timeline

        return timeline(self, ax)

    def _repr_html_(self) -> str:
        from .html_page import body

        return body(*self._shown())

    def _shown(self) -> tuple[str, dict[str, int], list[str], list[dict[str, Any]]]:
        doubled = f", {len(self.doubled):,} with several runs" if self.doubled else ""
        head = f"{len(self):,} launch{'es' * (len(self) != 1)}{doubled}"
        return head, self.summary(), self.notes, list(map(_row, self))


def _row(launch: Launch) -> dict[str, Any]:
    """Return what a table shows of a launch, by the names of its attributes."""
    from .html_page import brief
    from .waiting import duration

    took = duration(launch)
    return {
        "name": launch.name,
        "status": launch.outcome,
        "why": launch._reason,
        "duration": None if took is None else brief(took),
        "time_created": launch.time_created,
        "run_id": launch.run_id,
        "stderr": launch.stderr,
        "stdout": launch.stdout,
        "tries": launch.tries if launch.tries > 1 else None,
        "attempts": launch.attempts if launch.attempts > 1 else None,
        "doubles": " ".join(launch.doubles) or None,
    }


def _line(launch: Launch) -> str:
    tries = f" (try {launch.tries})" if launch.tries > 1 else ""
    return f"{_brief(launch.name)}{tries}: {launch.outcome}: {launch.why}"


def _joined(*texts: Optional[str]) -> Optional[str]:
    return "; ".join(" ".join(each.split()) for each in filter(None, texts)) or None


def _cell(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return " ".join(value) if isinstance(value, list) else value


def _brief(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat(" ", "seconds")
    if isinstance(value, tuple):
        return f"({', '.join(map(str, value))})" if isinstance(value[0], str) else f"{len(value)}"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:76]}...{text[0]}"
