"""Searches lists of runs for the runs of launches in doubt, and for launches with several runs.

A run in a list exists. That a run is missing from a list proves nothing without a witness: see
`Ledger.proven`. Nothing here relies on the order of a list, on a filter or on a clock.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from time import monotonic, sleep
from typing import Optional

from libica.openapi.libtes import ApiException, NotFoundException, TaskRunsApi, TaskRunSummary

from . import calling
from .calling import PAGE, Pace, passes, walk
from .ledger import NO_OUTCOME, Ledger, State
from .mark import mark_in, may_be_cut
from .report import UNSURE, Launch

SENDS = 10
"""Maximum number of times that a launch is sent that is proven to have no run."""

MORE_LOOKS = 8
"""Searches for a launch after those of `Waits.looks`, while no list is proven to be fresh."""

MOST_GETS = 20
"""Maximum number of runs missing from lists that an audit requests one by one."""

Runs = dict[int, dict[str, TaskRunSummary]]
"""For each row, runs by id in the order of the list."""


class Shown:
    """The runs of a batch that were found in a list.

    Args:
        launches: The launches.
        batch: Token of the batch in their marks, if they have marks.
        names: Rows that may have a run without a mark, by name.

    Attributes:
        complete: Whether the list was read to its end.
        known: For each launch, whether its known run was found.
        others: Runs that have the mark of a launch but are not its known run.
        named: Runs without a mark of this batch that have one of `names`.
        unmarked: Whether a known run was found without its mark.
    """

    def __init__(
        self, launches: Sequence[Launch], batch: Optional[str], names: dict[str, int]
    ) -> None:
        self.complete = False
        self.known: bytearray = bytearray(len(launches))
        self.others: Runs = {}
        self.named: Runs = {}
        self.unmarked: bool = False
        self._launches = launches
        self._batch = batch
        self._names = names
        self._ids: dict[str, int] = {}
        for row, launch in enumerate(launches):
            for tried in launch.earlier:
                self._ids[tried.run_id or ""] = -1
            if launch.run_id is not None:
                self._ids[launch.run_id] = row
        self._numbers = {each.number: row for row, each in enumerate(launches)} if batch else {}

    def add(self, runs: Iterable[TaskRunSummary]) -> int:
        """Add runs of a list; return how many have a mark of this batch or are known."""
        count = 0
        for run in runs:
            run_id = run.id
            if run_id is None:
                continue
            mark = mark_in(run.description) if self._batch else None
            ours = mark is not None and mark.batch == self._batch
            row = self._ids.get(run_id)
            if row is not None:
                count += 1
                if row >= 0:
                    self.known[row] = 1
                    self.unmarked |= self._batch is not None and not ours
            elif mark is not None and ours:
                row = self._numbers.get(mark.number)
                if row is not None:
                    count += 1
                    self.others.setdefault(row, {})[run_id] = run
            else:
                row = self._names.get(run.name or "")
                if row is not None:
                    self.named.setdefault(row, {})[run_id] = run
        return count


def oldest_first(runs: Iterable[TaskRunSummary]) -> list[TaskRunSummary]:
    """Return runs of one list in the order of their creation, as far as it is known."""
    newest_last = list(runs)[::-1]
    times = [run.time_created for run in newest_last if run.time_created is not None]
    if len(times) < len(newest_last):
        return newest_last
    return [newest_last[place] for place in sorted(range(len(times)), key=times.__getitem__)]


@dataclass
class _Doubt:
    """When to search for a launch that may have made a run."""

    due: float
    lost_at: int = 0
    looks: int = 0
    more: int = 0  # searches after those of `Waits.looks`


class Finder:
    """Searches for the runs of launches in doubt, in the thread that calls it.

    Args:
        ledger: The launches.
        api: Used to list runs.
        version_id: Id of the launched version.
        text: Returns the description of a launch without its mark.
        clock: Returns the time in seconds.
    """

    def __init__(
        self,
        ledger: Ledger,
        api: TaskRunsApi,
        version_id: str,
        text: Callable[[int], Optional[str]],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._ledger = ledger
        self._api = api
        self._version_id = version_id
        self._text = text
        self._clock = clock
        self._doubts: dict[int, _Doubt] = {}
        self._misses: dict[int, int] = {}
        self._versions: dict[str, Optional[str]] = {}
        self._old = _Doubt(0.0)  # when to list the runs that existed before this batch
        self._pace = Pace()

    def look(self) -> None:
        """Search for launches in doubt and for earlier runs, if a search is due."""
        now = self._clock()
        looks = calling.WAITS.looks
        doubts = self._ledger.doubts
        self._doubts = {row: self._doubt(row, now + looks[0]) for row in doubts}
        wants_old = self._ledger.wants_old and self._old.due <= now
        due = [row for row in doubts if self._doubts[row].due <= now]
        if not due and not wants_old:
            return
        ripe = any(self._doubts[row].looks >= len(looks) - 1 for row in due)
        shown = self._walk(due, complete=ripe or wants_old)
        if shown is None:
            return
        self.adopt(shown)
        proven = self._ledger.proven(shown.known) if shown.complete else 0
        if wants_old:
            self._list_old(shown, proven)
        for row in self._ledger.doubts.intersection(due):
            self._judge(row, shown, proven)

    def _doubt(self, row: int, due: float) -> _Doubt:
        lost_at = self._ledger.lost_at(row)
        known = self._doubts.get(row)
        return known if known and known.lost_at == lost_at else _Doubt(due, lost_at)

    def look_last(self) -> None:
        """Adopt the runs that a list shows for launches in doubt, after the last launch."""
        if self._ledger.doubts:
            shown = self._walk([], complete=False)
            if shown is not None:
                self.adopt(shown)

    def _walk(self, due: Sequence[int], complete: bool) -> Optional[Shown]:
        """Return the runs found in the list; `None` if it cannot be retrieved."""
        ledger = self._ledger
        with ledger.changed:
            rows = range(len(ledger.rows)) if ledger.names_decide else ledger.doubts
            names = {ledger.rows[row].name: row for row in rows}
            shown = Shown(ledger.rows, ledger.batch, names)
        most = 2 + len(ledger.rows) // PAGE
        pages = 0

        def visit(runs: Sequence[TaskRunSummary]) -> bool:
            nonlocal pages
            pages += 1
            shown.add(runs)
            found = all(row in shown.others for row in due)
            return not complete and (found or pages >= most)

        try:
            shown.complete = walk(self._api, visit)
        except ApiException as error:
            self._unseen(due, error)
            return None
        self._pace.succeeded()
        if shown.unmarked:
            ledger.lose_marks()
        return shown

    def adopt(self, shown: Shown) -> None:
        """Record the runs that certainly belong to a launch."""
        ledger = self._ledger
        for row, runs in shown.others.items():
            self._note(row, runs.values())
        if not ledger.names_decide:
            return
        for row, runs in shown.named.items():
            if ledger.covers(row) and ledger.state(row) in (State.DOUBTFUL, State.SETTLED):
                sure = [run for run in runs.values() if self._is_ours(run) is True]
                self._note(row, sure)

    def namesakes(self, shown: Shown) -> list[str]:
        """Return ids of runs that have the name of a launch but cannot be attributed to it."""
        launches = self._ledger.rows
        return [
            key
            for row, runs in shown.named.items()
            for key, run in runs.items()
            if launches[row].run_id not in (None, key)
            and key not in launches[row].doubles
            and mark_in(run.description) is None
            and self._version_may_be(run)
        ]

    def _note(self, row: int, runs: Iterable[TaskRunSummary]) -> None:
        """Record runs of a launch, which may be new to this ledger."""
        ledger = self._ledger
        found = oldest_first(runs)
        with ledger.changed:
            launch, state = ledger.rows[row], ledger.state(row)
            of_now = [run for run in found if self._is_of_try(run, launch)]
            if of_now and state not in (State.SENT, State.SETTLED):
                ledger.find(row, of_now)
            if ledger.state(row) is State.SETTLED:
                ledger.double(row, found)

    @staticmethod
    def _is_of_try(run: TaskRunSummary, launch: Launch) -> bool:
        mark = mark_in(run.description)
        return mark is None or mark.number != launch.number or mark.attempt == launch.tries

    def _is_ours(self, run: TaskRunSummary) -> Optional[bool]:
        """Return whether a run with the name of a launch belongs to it; `None` if unknown."""
        if mark_in(run.description) is not None:
            return False  # it belongs to another batch
        if run.id in (self._ledger.old or ()):
            return False
        version = run.task_version_summary
        version_id = None if version is None else version.id
        if version_id is None:
            version_id = self._version_of(str(run.id))
        return None if version_id is None else version_id == self._version_id

    def _version_of(self, run_id: str) -> Optional[str]:
        """Return the id of the version of a run that a list shows without its version."""
        if run_id not in self._versions:
            version = None
            with suppress(ApiException):
                version = self._api.get_task_run(run_id).task_version_summary
            self._versions[run_id] = None if version is None else version.id
        return self._versions[run_id]

    def _may_be(self, row: int, shown: Shown) -> list[str]:
        """Return ids of runs of which it is not known whether a launch in doubt made them."""
        ledger = self._ledger
        runs = shown.named.get(row, {})
        mark = ledger.mark(row)
        if not ledger.names_decide and mark is not None:
            text = self._text(row)
            return [key for key, run in runs.items() if may_be_cut(run.description, text, mark)]
        if not ledger.covers(row):
            return [key for key, run in runs.items() if self._version_may_be(run)]
        return [key for key, run in runs.items() if self._is_ours(run) is not False]

    def _version_may_be(self, run: TaskRunSummary) -> bool:
        version = run.task_version_summary
        return version is None or version.id in (None, self._version_id)

    def _judge(self, row: int, shown: Shown, proven: int) -> None:
        """Decide how to go on with a launch in doubt whose run was not found."""
        ledger, doubt = self._ledger, self._doubts[row]
        now, waits = self._clock(), calling.WAITS
        doubt.looks += 1
        if doubt.looks < len(waits.looks):
            doubt.due = now + waits.looks[doubt.looks]
            return
        why = ledger.rows[row].error or NO_OUTCOME
        lost_at = ledger.lost_at(row)
        found = self._may_be(row, shown)
        with ledger.changed:  # a witness may be sent at any time
            if found:
                ledger.give_up(row, f"its run may be {' or '.join(found)}, without a mark; {why}")
            elif proven > lost_at:
                self._send_again(row, why)
            elif ledger.can_prove <= lost_at and ledger.may_prove(lost_at):
                doubt.due = now + waits.looks[0]
            elif ledger.can_prove <= lost_at and not ledger.can_send:
                ledger.give_up(
                    row, f"no later launch exists to prove that the list of runs is fresh; {why}"
                )
            elif ledger.can_prove <= lost_at:
                ledger.want_witness()
                doubt.due = now + waits.looks[0]
            elif doubt.more < MORE_LOOKS:
                doubt.more += 1
                doubt.due = now + waits.again
            else:
                problem = "is incomplete" if shown.complete else "does not end"
                ledger.give_up(row, f"the list of runs {problem}; {why}")

    def _send_again(self, row: int, why: str) -> None:
        self._misses[row] = self._misses.get(row, 0) + 1
        if self._misses[row] < SENDS:
            self._ledger.send_again(row)
        else:
            attempts = self._ledger.rows[row].attempts
            self._ledger.refuse(row, f"sent {attempts} times without making a run: {why}")

    def _list_old(self, shown: Shown, proven: int) -> None:
        """Record which runs with names of this batch existed before it."""
        waits = calling.WAITS
        if proven > self._ledger.begun:
            self._ledger.set_old(key for runs in shown.named.values() for key in runs)
        elif self._old.looks < len(waits.looks):
            self._old.due = self._clock() + waits.looks[self._old.looks]
            self._old.looks += 1
        else:
            self._ledger.go_on_without_old()

    def _unseen(self, due: Sequence[int], error: ApiException) -> None:
        """Search again later; or give up the launches in doubt, without sending them again."""
        self._pace.failed(error)
        if passes(error) and self._pace.waited <= calling.WAITS.patience:
            for row in due:
                self._doubts[row].due = self._clock() + self._pace.wait()
            self._old.due = self._clock() + self._pace.wait()
            return
        self._ledger.go_on_without_old()
        if error.status == 401:
            self._ledger.stop(error)
            return
        for row in due:
            self._ledger.give_up(row, f"the runs could not be listed: {error}")


class Audit:
    """Lists the runs of a batch to find launches with several runs and lost runs.

    Args:
        api: Used to list runs.
        launches: The launches.
        batch: Token of the batch in their marks, if they have marks.
        names: As for `Shown`.
        see: Called with each run in the list.
        until: Deadline for all requests, as `monotonic` counts. Default: none.

    Attributes:
        shown: The runs found; `None` if the list could not be retrieved.
        notes: Remarks about the batch as a whole.
    """

    def __init__(
        self,
        api: TaskRunsApi,
        launches: Sequence[Launch],
        batch: Optional[str],
        names: Optional[dict[str, int]] = None,
        see: Optional[Callable[[TaskRunSummary], object]] = None,
        until: float = math.inf,
    ) -> None:
        self.shown: Optional[Shown] = None
        self.notes: list[str] = []
        self._api = api
        self._launches = launches
        self._batch = batch
        self._names = names or {}
        self._see = see
        self._until = until
        self._expected = [r for r, it in enumerate(launches) if it.run_id and not it.error]

    def make(self) -> None:
        """List the runs, repeatedly until all known ones are found or the delays are used up.

        If only a few are still missing, they are requested one by one, because the service may
        have lost them.
        """
        missing: list[int] = []
        try:
            for pause in (0.0, *calling.WAITS.looks):
                sleep(pause)
                missing = self.once()
                if not missing:
                    return
        except ApiException as error:
            self.shown = None
            self.notes.append(f"the closing audit failed: {error}")
            return
        for row in missing[:MOST_GETS]:
            self._look_at(self._launches[row])
        late = sum(self._launches[row].error is None for row in missing)
        if late:
            self.notes.append(
                f"{late:,} of {len(self._expected):,} runs are missing from the list of runs: "
                "launches with several runs may not have been noticed"
            )

    def once(self) -> list[int]:
        """List the runs once; return the rows whose known run was not found.

        Raises:
            ApiException: The list could not be retrieved.
        """
        shown = self.shown = Shown(self._launches, self._batch, self._names)
        unsure = {row for row, it in enumerate(self._launches) if it.outcome == UNSURE}
        begins_with_ours: Optional[bool] = None
        is_sorted = True
        last: Optional[datetime] = None

        def visit(runs: Sequence[TaskRunSummary]) -> bool:
            """End the walk after the runs of this batch, if the list seems sorted newest first."""
            nonlocal begins_with_ours, is_sorted, last
            for run in runs:
                made, before = run.time_created, last
                is_sorted &= made is not None and (before is None or made <= before)
                last = made
            if self._see is not None:
                for run in runs:
                    self._see(run)
            tail = len(runs) - len(runs) // 10
            first_ones, last_ones = shown.add(runs[:tail]), shown.add(runs[tail:])
            if begins_with_ours is None:
                begins_with_ours = first_ones > 0
            all_known = sum(shown.known) >= len(self._expected) and unsure <= shown.others.keys()
            return (begins_with_ours or is_sorted) and not last_ones and all_known

        shown.complete = walk(self._api, visit, self._until)
        return [row for row in self._expected if not shown.known[row]]

    def _look_at(self, launch: Launch) -> None:
        """Request a run that is missing from the list, to tell a lost run from a late one."""
        try:
            self._api.get_task_run(str(launch.run_id))
        except NotFoundException:
            launch.error = "lost: the service made this run but no longer has it"
        except ApiException as error:
            self.notes.append(f"run {launch.run_id} is missing from the list of runs: {error}")
