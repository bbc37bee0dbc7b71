"""Finding out from lists of runs which runs a batch has: those of launches in doubt, and doubles.

A list is evidence of what it shows. Of what it does not show it is evidence only with a witness:
see `Ledger.proven`. Nothing here relies on the order of a list, on a filter or on a clock.
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
from ._client import redact
from .calling import PAGE, Pace, passes, walk
from .ledger import Ledger, State
from .mark import mark_in, may_be_cut
from .report import UNSURE, Launch

SENDS = 10
"""How often a launch is sent that is proven to have no run, before it is given up."""

MORE_LOOKS = 8
"""Looks for a launch beyond the first ones, while no list is proven to be fresh."""

MOST_GETS = 20
"""Runs that no list shows, looked at one by one in an audit."""

Runs = dict[int, dict[str, TaskRunSummary]]
"""Runs by their ids, in the order of the list, for each row."""


class Shown:
    """What a walk through a list shows of the launches of a batch.

    Args:
        launches: The launches.
        batch: Token of the batch in their marks, if they have any.
        names: Rows that may have a run without a mark, by name.

    Attributes:
        complete: Whether the walk came to the end of the list.
        known: For each launch, whether its run was shown.
        others: Runs with the mark of a launch that are not its known run.
        named: Runs without a mark of this batch, that have the name of one of `names`.
        unmarked: Whether a known run was shown without its mark.
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
        """Take in runs of a list; returns how many have a mark of this batch or are known."""
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
    """Return runs of one list, as far as can be told in the order in which they were made."""
    newest_last = list(runs)[::-1]
    times = [run.time_created for run in newest_last if run.time_created is not None]
    if len(times) < len(newest_last):
        return newest_last
    return [newest_last[place] for place in sorted(range(len(times)), key=times.__getitem__)]


@dataclass
class _Doubt:
    """When to look for a launch that may have made a run."""

    due: float
    lost_at: int = 0
    looks: int = 0
    more: int = 0  # looks after the first ones


class Finder:
    """Looks for the runs of the launches that are in doubt, in the thread that calls it.

    Args:
        ledger: The launches.
        api: How lists are had.
        version_id: Id of the version that is launched.
        text: Returns the description that a launch has without its mark.
        clock: Returns seconds.
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
        self._old = _Doubt(0.0)  # when to list the earlier runs
        self._pace = Pace()

    def look(self) -> None:
        """Look for launches in doubt, and for the earlier runs, where a look is due."""
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
        """Adopt what a list shows of the launches in doubt, when nothing is sent any more."""
        if self._ledger.doubts:
            shown = self._walk([], complete=False)
            if shown is not None:
                self.adopt(shown)

    def _walk(self, due: Sequence[int], complete: bool) -> Optional[Shown]:
        """Return what a list shows; `None` if it cannot be had."""
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
        self._pace.answered()
        if shown.unmarked:
            ledger.lose_marks()
        return shown

    def adopt(self, shown: Shown) -> None:
        """Note the runs that are for certain those of a launch."""
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
        """Return ids of runs that may be doubles, or others' or older runs of the same name."""
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
        """Note runs of a launch; if it has none, even one of which this ledger did not know."""
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
        """Tell whether a run with the name of a launch can be its; `None` if that is not known."""
        if mark_in(run.description) is not None:
            return False  # of another batch
        if run.id in (self._ledger.old or ()):
            return False
        version = run.task_version_summary
        version_id = None if version is None else version.id
        if version_id is None:
            version_id = self._version_of(str(run.id))
        return None if version_id is None else version_id == self._version_id

    def _version_of(self, run_id: str) -> Optional[str]:
        """Return the version of a run that a list shows without it."""
        if run_id not in self._versions:
            version = None
            with suppress(ApiException):
                version = self._api.get_task_run(run_id).task_version_summary
            self._versions[run_id] = None if version is None else version.id
        return self._versions[run_id]

    def _may_be(self, row: int, shown: Shown) -> list[str]:
        """Return ids of runs that may be that of a launch in doubt, or not."""
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
        """Decide what becomes of a launch in doubt whose run was not found."""
        ledger, doubt = self._ledger, self._doubts[row]
        now, waits = self._clock(), calling.WAITS
        doubt.looks += 1
        if doubt.looks < len(waits.looks):
            doubt.due = now + waits.looks[doubt.looks]
            return
        why = ledger.rows[row].error or "an earlier call ended before its outcome was known"
        lost_at = ledger.lost_at(row)
        if found := self._may_be(row, shown):
            ledger.give_up(row, f"its run may be {' or '.join(found)}, which has no mark; {why}")
        elif proven > lost_at:
            self._send_again(row, why)
        elif ledger.can_prove <= lost_at and ledger.may_prove(lost_at):
            doubt.due = now + waits.looks[0]
        elif ledger.can_prove <= lost_at and not ledger.can_send:
            ledger.give_up(
                row, f"nothing was launched after it to prove that a list is fresh; {why}"
            )
        elif ledger.can_prove <= lost_at:
            ledger.want_witness()
            doubt.due = now + waits.looks[0]
        elif doubt.more < MORE_LOOKS:
            doubt.more += 1
            doubt.due = now + waits.again
        else:
            missing = "is not complete" if shown.complete else "does not end"
            ledger.give_up(row, f"the list of runs {missing}; {why}")

    def _send_again(self, row: int, why: str) -> None:
        self._misses[row] = self._misses.get(row, 0) + 1
        if self._misses[row] < SENDS:
            self._ledger.send_again(row)
        else:
            attempts = self._ledger.rows[row].attempts
            self._ledger.refuse(row, f"sent {attempts} times and not found: {why}")

    def _list_old(self, shown: Shown, proven: int) -> None:
        """Note which runs with names of this batch were there before it."""
        waits = calling.WAITS
        if proven > self._ledger.begun:
            self._ledger.set_old(key for runs in shown.named.values() for key in runs)
        elif self._old.looks < len(waits.looks):
            self._old.due = self._clock() + waits.looks[self._old.looks]
            self._old.looks += 1
        else:
            self._ledger.go_on_without_old()

    def _unseen(self, due: Sequence[int], error: ApiException) -> None:
        """Look again later; or say that nobody can tell, and send nothing again."""
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
            self._ledger.give_up(row, f"no list of runs could be had: {redact(str(error))}")


class Audit:
    """Lists the runs of a batch once, for doubles and losses.

    Args:
        api: How lists are had.
        launches: The launches.
        batch: Token of the batch in their marks, if they have any.
        names: As for `Shown`.
        see: Is called with each run that is listed.
        until: When, by the clock of `monotonic`, its calls are to have ended. Default: never.

    Attributes:
        shown: What the list shows; `None` if it could not be had.
        notes: What there is to say of the batch as a whole.
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
        """List the runs; again until all known ones are shown, or had the time to be.

        Those that are not shown then are looked at one by one, as far as they are few: the
        service may have lost them.
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
            self.notes.append(f"the closing audit could not be made: {redact(str(error))}")
            return
        for row in missing[:MOST_GETS]:
            self._look_at(self._launches[row])
        late = sum(self._launches[row].error is None for row in missing)
        if late:
            self.notes.append(
                f"the list of runs does not show {late:,} of {len(self._expected):,} runs: "
                "doubles may not have been seen"
            )

    def once(self) -> list[int]:
        """List the runs; returns the launches whose known run was not shown.

        Raises:
            ApiException: No list could be had.
        """
        shown = self.shown = Shown(self._launches, self._batch, self._names)
        unsure = {row for row, it in enumerate(self._launches) if it.outcome == UNSURE}
        begins_with_ours: Optional[bool] = None
        is_sorted = True
        last: Optional[datetime] = None

        def visit(runs: Sequence[TaskRunSummary]) -> bool:
            """End the walk behind the runs of this batch, if the newest seem to come first."""
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
        """Look at a run that no list shows, to tell a lost one from a late one."""
        try:
            self._api.get_task_run(str(launch.run_id))
        except NotFoundException:
            launch.error = "lost: the service responded with this run and does not know it now"
        except ApiException as error:
            self.notes.append(f"run {launch.run_id} is in no list: {redact(str(error))}")
