"""What became of the launches, to read, count, draw and hand on."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any, Callable, Optional, Union, overload

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FINISHED = ("Completed", "Failed", "TimedOut", "Aborted")
NOT_LAUNCHED = "Not launched"
UNSURE = "Unsure"
UNKNOWN = "Unknown"
_FIRST = (*FINISHED, "Running", "Pending")
_LAST = (UNKNOWN, NOT_LAUNCHED, UNSURE)
_SLOTS: dict[str, bool] = {"slots": True} if sys.version_info >= (3, 10) else {}


@dataclass(**_SLOTS)
class Launch:
    """What became of one launch."""

    name: str  # of the run
    run_id: Optional[str] = None
    status: Optional[str] = None  # of the run as last seen; None where there is no run
    attempts: int = 0  # how often the launch was sent
    error: Optional[str] = None  # what went wrong; "unsure: ..." where there may be a run
    time_created: Optional[datetime] = None
    time_modified: Optional[datetime] = None  # of a finished run: when it finished

    @property
    def outcome(self) -> str:
        """The status of the run, or ``Not launched``, ``Unsure`` or ``Unknown`` without one."""
        if self.run_id is not None:
            return self.status or UNKNOWN
        return UNSURE if (self.error or "").startswith("unsure") else NOT_LAUNCHED

    def __repr__(self) -> str:
        given = ((each.name, getattr(self, each.name)) for each in fields(self))
        shown = [f"{name}={_brief(value)}" for name, value in given if value is not None]
        return f"Launch({', '.join(shown)})"


class Report(Sequence[Launch]):
    """What became of each launch, in the order in which they were given.

    A part of it (``report[:10]``, ``report.failed``) is a report too.
    """

    def __init__(self, launches: Iterable[Launch] = ()) -> None:
        self._launches = list(launches)

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
        return Report(found) if isinstance(found, list) else found

    def __repr__(self) -> str:
        counts = "".join(f", {count} {status}" for status, count in self.summary().items())
        return f"<Report: {len(self)} launches{counts}>"

    def _where(self, holds: Callable[[Launch], bool]) -> Report:
        return Report(filter(holds, self))

    @property
    def completed(self) -> Report:
        """The runs that ended well."""
        return self._where(lambda each: each.outcome == "Completed")

    @property
    def failed(self) -> Report:
        """The runs that ended otherwise: ``Failed``, ``TimedOut`` or ``Aborted``."""
        return self._where(lambda each: each.outcome in FINISHED[1:])

    @property
    def unfinished(self) -> Report:
        """The runs that had not ended when they were last seen."""
        return self._where(lambda each: each.run_id is not None and each.status not in FINISHED)

    @property
    def not_launched(self) -> Report:
        """The launches without a run: refused, or never sent."""
        return self._where(lambda each: each.outcome == NOT_LAUNCHED)

    @property
    def unsure(self) -> Report:
        """The launches of which nobody could tell whether there is a run."""
        return self._where(lambda each: each.outcome == UNSURE)

    @property
    def run_ids(self) -> list[str]:
        """The ids of the runs, of those launches that have one."""
        return [each.run_id for each in self if each.run_id is not None]

    def summary(self) -> dict[str, int]:
        """Return how many runs have each status.

        Launches without a run count as ``Not launched`` or ``Unsure``, runs that were never seen
        as ``Unknown``.
        """
        counts = Counter(each.outcome for each in self)
        others = sorted(set(counts) - {*_FIRST, *_LAST})
        return {key: counts[key] for key in (*_FIRST, *others, *_LAST) if counts[key]}

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return a dict for each launch, with the attributes of ``Launch``, times as datetimes."""
        return [asdict(each) for each in self]

    def to_frame(self) -> Any:
        """Return a pandas frame with a row for each launch and the attributes of ``Launch``.

        Raises:
            ModuleNotFoundError: pandas is not installed.
        """
        try:
            pandas: Any = import_module("pandas")
        except ModuleNotFoundError as error:
            if error.name == "pandas":
                error.msg += "; it comes with: pip install pandas, or use report.to_dicts()"
            raise
        frame = pandas.DataFrame(self.to_dicts(), columns=[each.name for each in fields(Launch)])
        for name in ("time_created", "time_modified"):
            frame[name] = pandas.to_datetime(frame[name], utc=True)
        return frame

    def plot(self, ax: Optional[Axes] = None) -> Axes:
        """Draw a timeline: a bar for each run, from created to finished or up to now.

        More than 300 runs are counted: how many of each status there were at each time.

        Args:
            ax: Where to draw; a new figure by default.

        Returns:
            Where it was drawn, for ``ax.figure.savefig("cohort.png")`` and the like.

        Raises:
            ModuleNotFoundError: matplotlib is missing (``pip install 'libica-libtes[plot]'``).
        """
        from .plot import timeline

        return timeline(self, ax)

    def _repr_html_(self) -> str:
        from libica.openapi.libtes.models.html import MOST, code, table

        return f"<p>{code(repr(self))}</p>{table(self[:MOST].to_dicts(), len(self))}"


def _brief(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat(" ", "seconds")
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:76]}...{text[0]}"
