"""The ledger: the state of each launch, and the only place where states change.

Time is counted in ticks, one per change of state, so nothing here depends on a clock.
"""

from __future__ import annotations

import threading
from array import array
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Optional

from libica.openapi.libtes import ApiValueError, TaskRunSummary

from .calling import AnyRun, note
from .journal import History, Journal
from .mark import Mark, mark_in
from .report import FINISHED, NOT_SENT, Launch

NO_OUTCOME = "an earlier call ended before the outcome was known"
"""Why the outcome of a launch is unknown if no request of this call failed."""

SPARE = 3
"""Number of launches that are held back while others are in progress or in doubt."""


class State(Enum):
    """The state of a launch."""

    NEW = "new"  # not sent
    WRITTEN = "written"  # the journal says that it is about to be sent
    SENT = "sent"  # its request is in progress
    DOUBTFUL = "doubtful"  # no response: it may have a run
    SETTLED = "settled"  # it has a run
    REFUSED = "refused"  # it has no run, and this call does not send it again

    if not TYPE_CHECKING:
        __hash__ = object.__hash__  # faster than that of Enum, which is written in Python


NEXT: dict[State, set[State]] = {
    State.NEW: {State.WRITTEN, State.SETTLED},
    State.WRITTEN: {State.SENT, State.NEW, State.SETTLED},
    State.SENT: {State.SETTLED, State.DOUBTFUL, State.WRITTEN, State.REFUSED},
    State.DOUBTFUL: {State.SETTLED, State.WRITTEN, State.REFUSED},
    State.REFUSED: {State.SETTLED},  # a list shows that it has a run after all
    State.SETTLED: set(),
}
"""The states that may follow each state."""


class Ledger:
    """The states of the launches of a batch, shared by several threads.

    Methods take the lock themselves; use `changed` to wait for a change.

    Args:
        launches: The launches of the history, in the order of the report.
        history: The contents of the journal.
        journal: Records all changes.
        request: Returns the request of a row; called under the lock.
        max_in_flight: Maximum number of unfinished runs at a time. Default: no limit.

    Attributes:
        rows: The launches.
        changed: The lock, and a condition that is notified of changes.
        stopped: The error that stopped the batch; `None` if nothing did.
        old: Ids of runs with names of this batch that existed before it; `None` until known.
        names_decide: Whether runs without a mark may belong to this batch.
        witness_wanted: Whether the next launch is wanted as a witness, to prove that a list is
            fresh.
        begun: The tick at which this call began.
    """

    def __init__(
        self,
        launches: Sequence[Launch],
        history: History,
        journal: Journal,
        request: Callable[[int], bytes],
        max_in_flight: Optional[int] = None,
    ) -> None:
        self.rows: list[Launch] = list(launches)
        self.changed: threading.Condition = threading.Condition()
        self.stopped: Optional[BaseException] = None
        self.batch: Optional[str] = history.batch
        self.old: Optional[set[str]] = history.old
        self.names_decide: bool = self.batch is None or history.marks_lost
        self.witness_wanted: bool = False
        self._journal = journal
        self._request = request
        self._max_in_flight = max_in_flight
        self._uncovered = {r for r, it in enumerate(self.rows) if it.name in history.uncovered}
        self._gated = True
        # Each earlier call counts two ticks: it sent its launches at the first, and those without
        # a response became doubtful at the second.
        self.begun: int = 2 * history.calls + 2
        self._tick = self.begun
        self._states = [self._first_state(each, history) for each in self.rows]
        self._counts = Counter(self._states)
        # The tick of the request that made the run, or may have made it; 0 if not known.
        self._sent = array("q", bytes(8 * len(self.rows)))
        self._since = array("q", bytes(8 * len(self.rows)))  # the tick of the last change of state
        for row, each in enumerate(self.rows):
            call = history.sent_by.get(each.name, 0)
            if each.attempts == 1:
                self._sent[row] = 2 * call
            if self._states[row] is State.DOUBTFUL:
                self._since[row] = 2 * call + 1
        settled = (r for r, state in enumerate(self._states) if state is State.SETTLED)
        # The greatest `_sent` of all settled launches.
        self._newest = max((self._sent[row] for row in settled), default=0)
        self._doubts = {r for r, state in enumerate(self._states) if state is State.DOUBTFUL}
        self._fresh = deque(r for r, state in enumerate(self._states) if state is State.NEW)
        self._ready: deque[int] = deque()  # the rows that are written
        self._running = sum(
            each.run_id is not None and each.status not in FINISHED for each in self.rows
        )

    @staticmethod
    def _first_state(launch: Launch, history: History) -> State:
        if launch.run_id is not None:
            return State.SETTLED
        return State.DOUBTFUL if launch.name in history.open else State.NEW

    # Queries

    def state(self, row: int) -> State:
        """Return the state of a launch."""
        return self._states[row]

    def mark(self, row: int) -> Optional[Mark]:
        """Return the mark of a launch; `None` if the runs of this batch have no marks."""
        launch = self.rows[row]
        return Mark(self.batch, launch.number or 0, launch.tries) if self.batch else None

    @property
    def left(self) -> int:
        """Number of launches without an outcome."""
        with self.changed:
            done = self._counts[State.SETTLED] + self._counts[State.REFUSED]
            return len(self.rows) - done - (self._counts[State.DOUBTFUL] - len(self._doubts))

    @property
    def refused(self) -> int:
        """Number of launches that have no run and are not sent again."""
        return self._counts[State.REFUSED]

    @property
    def unsure(self) -> int:
        """Number of launches that may have a run, whether they are still searched for or not."""
        return self._counts[State.DOUBTFUL]

    @property
    def ended(self) -> bool:
        """Whether nothing remains to be sent or searched for."""
        return self.stopped is not None or not self.left

    @property
    def doubts(self) -> set[int]:
        """The rows of the launches to search for."""
        with self.changed:
            return set(self._doubts)

    @property
    def full(self) -> bool:
        """Whether `max_in_flight` is reached."""
        under_way = self._running + self._counts[State.SENT] + len(self._doubts)
        return self._max_in_flight is not None and under_way >= self._max_in_flight

    @property
    def wants_old(self) -> bool:
        """Whether one launch was sent as a witness and launching now waits for `old`.

        Until lists show the witness, they may also lack runs that existed before it.
        """
        with self.changed:
            return self._waits_for_old() and not self._counts[State.SENT]

    @property
    def can_prove(self) -> int:
        """The latest tick for which a known run could prove that a list is fresh."""
        return self._newest

    def may_prove(self, tick: int) -> bool:
        """Return whether a launch sent after this tick may still turn out to have a run."""
        with self.changed:
            states = zip(self._states, self._since)
            under_way = any(state is State.SENT and since > tick for state, since in states)
            in_doubt = (row for row in self._doubts if self.rows[row].attempts == 1)
            return under_way or any(self._sent[row] > tick for row in in_doubt)

    @property
    def can_send(self) -> bool:
        """Whether there is a launch left to send."""
        with self.changed:  # those that are being written are in neither queue
            return self._counts[State.NEW] + self._counts[State.WRITTEN] > 0

    def lost_at(self, row: int) -> int:
        """Return the tick at which a launch entered its current state."""
        return self._since[row]

    def covers(self, row: int) -> bool:
        """Return whether a run with the name of a launch that is not in `old` must be its run."""
        return self.old is not None and row not in self._uncovered

    def proven(self, shown: Sequence[int]) -> int:
        """Return the tick up to which a list is proven to show all runs.

        The witness is a run in the list whose launch was sent at that tick: the list cannot be
        older than the witness. All runs known at that tick must be in the list too; otherwise the
        list is incomplete.

        Args:
            shown: For each launch, whether the list has its run.
        """
        with self.changed:
            known = [r for r, state in enumerate(self._states) if state is State.SETTLED]
            known = [r for r in known if self.rows[r].error is None]  # without lost ones
            missing = min((self._since[r] for r in known if not shown[r]), default=self._tick + 1)
            sent = (self._sent[r] for r in known if shown[r] and self._sent[r] <= missing)
            return max(sent, default=0)

    # Sending

    def write(self, most: int) -> list[int]:
        """Write to the journal that launches are about to be sent, and return their rows.

        `take` does not return them before `written` is called. The last launch is not written
        while others are in progress: if this process is killed, that launch can be the witness of
        the call that resumes.
        """
        with self.changed:
            rows = [self._fresh.popleft() for _ in range(min(most, self._writable))]
            if rows:
                self._journal.sending([self.rows[row] for row in rows])
                self._journal.flush()
            return rows

    def written(self, rows: Iterable[int]) -> None:
        """Record that the journal has these launches on disk."""
        with self.changed:
            self._journal.check()
            for row in rows:
                self._move(row, State.WRITTEN)
            self.changed.notify_all()

    @property
    def ready(self) -> int:
        """Number of launches that are written and not sent."""
        return len(self._ready)

    def low(self, most: int) -> bool:
        """Return whether more launches should be written: at most this many are ready."""
        with self.changed:
            return len(self._ready) <= most and self._writable > 0

    def take(self) -> Optional[tuple[int, bytes]]:
        """Return the row and request of a launch to send now; `None` if there is none.

        The last launches are held back while others are in progress or in doubt: being sent
        later than those, they can prove that a list is fresh.
        """
        with self.changed:
            left = len(self._ready) + len(self._fresh)
            kept = left <= self._kept and not self.witness_wanted
            if not self._ready or kept or self.full or self._waits_for_old():
                return None
            row = self._ready.popleft()
            self._move(row, State.SENT)
            self._sent[row] = self._sent[row] or self._tick
            self.rows[row].attempts += 1
            self.witness_wanted = False
            return row, self._request(row)

    @property
    def _kept(self) -> int:
        """Number of launches that are held back."""
        return SPARE if self._doubts or self._counts[State.SENT] else 0

    @property
    def _writable(self) -> int:
        """Number of launches that may be written now."""
        fresh = len(self._fresh)
        if self.witness_wanted and not self._ready:
            return min(1, fresh)
        most = fresh - (self._kept or int(fresh > 1 or bool(self._ready)))
        if self._gate:  # after a kill, written launches count as sent before `old` was known
            most = min(most, int(not self._ready and not self._waits_for_old()))
        return most

    @property
    def _gate(self) -> bool:
        return self.names_decide and self.old is None and self._gated

    def _waits_for_old(self) -> bool:
        return self._gate and (self._newest > self.begun or self._counts[State.SENT] > 0)

    # Outcomes of a request

    def settle(self, row: int, run: AnyRun) -> None:
        """Record the run in the response to a launch."""
        with self.changed:
            mark = self.mark(row)
            if mark is not None and not (run.description or "").endswith(str(mark)):
                self.lose_marks()
            self._sent[row] = self._since[row]  # this request made the run
            self._settle(row, run)
            self._newest = max(self._newest, self._sent[row])

    def lose(self, row: int, why: str) -> None:
        """Record that a launch got no response, so that it may have a run."""
        with self.changed:
            self.rows[row].error = why
            self._move(row, State.DOUBTFUL)

    def put_back(self, row: int) -> None:
        """Record that the service did not act on a launch, so that it is sent again."""
        with self.changed:
            self._move(row, State.WRITTEN)

    def refuse(self, row: int, why: str) -> None:
        """Record that a launch was refused."""
        with self.changed:
            self.rows[row].error = why
            self._journal.has_none(self.rows[row])
            self._move(row, State.REFUSED)

    # Outcomes of a search

    def find(self, row: int, runs: Sequence[TaskRunSummary]) -> None:
        """Record the runs, oldest first, that a list shows for a launch without a known run."""
        with self.changed:
            launch = self.rows[row]
            if launch.attempts > 1:
                self._sent[row] = 0  # any of the requests may have made it
            waiting = {State.WRITTEN: self._ready, State.NEW: self._fresh}
            if self._states[row] in waiting:
                waiting[self._states[row]].remove(row)
            self._settle(row, runs[0])
            self._newest = max(self._newest, self._sent[row])
            self.double(row, runs[1:])

    def double(self, row: int, runs: Iterable[TaskRunSummary]) -> None:
        """Record additional runs of a launch that has a run."""
        with self.changed:
            launch = self.rows[row]
            if add_doubles(launch, runs):
                self._journal.has_run(launch)
                self._journal.is_doubled(launch)

    def send_again(self, row: int) -> None:
        """Record that a launch is proven to have no run, so that it is sent again."""
        with self.changed:
            self._uncovered.discard(row)
            self._move(row, State.WRITTEN)

    def give_up(self, row: int, why: str) -> None:
        """Record that it cannot be determined whether a launch has a run."""
        with self.changed:
            self.rows[row].error = f"unsure: {why}"
            self._doubts.discard(row)
            self.changed.notify_all()

    # The batch

    def set_old(self, run_ids: Iterable[str]) -> None:
        """Record which runs with names of this batch existed before it."""
        with self.changed:
            unsure = (State.SENT, State.DOUBTFUL)
            self._uncovered = {r for r, state in enumerate(self._states) if state in unsure}
            self.old = set(run_ids)
            self._journal.are_old(self.old)
            self.changed.notify_all()

    def go_on_without_old(self) -> None:
        """Launch although `old` is not known; no run is then adopted by its name."""
        with self.changed:
            self._gated = False
            self.changed.notify_all()

    def lose_marks(self) -> None:
        """Record that the service drops marks, so that runs are recognised by name."""
        with self.changed:
            if not self.names_decide:
                self.names_decide = True
                self._journal.marks_are_lost()

    def want_witness(self) -> None:
        """Allow one held-back launch to be sent: its run can prove that a list is fresh."""
        with self.changed:
            self.witness_wanted = True
            self.changed.notify_all()

    def finished(self, count: int) -> None:
        """Record that runs have finished, which makes room for others."""
        with self.changed:
            self._running -= count
            self.changed.notify_all()

    def stop(self, error: BaseException) -> None:
        """Send nothing more; the first error given is kept as the reason."""
        with self.changed:
            self.stopped = self.stopped or error
            self.changed.notify_all()

    def close(self) -> None:
        """Give each launch a final state: unsent ones are new, those in progress doubtful."""
        with self.changed:
            for row, state in enumerate(self._states):
                if state is State.SENT:
                    self.lose(row, "the batch was stopped before the response came")
                    state = State.DOUBTFUL
                if state is State.DOUBTFUL and row in self._doubts:
                    self.give_up(row, self.rows[row].error or NO_OUTCOME)
                elif state in (State.NEW, State.WRITTEN):
                    self.rows[row].error = self.rows[row].error or NOT_SENT
            while self._ready:
                row = self._ready.popleft()
                self._move(row, State.NEW)
                self._journal.has_none(self.rows[row])
            self._journal.flush()

    def flush(self) -> None:
        """Flush the journal to the operating system."""
        with self.changed:
            self._journal.flush()

    def _settle(self, row: int, run: AnyRun) -> None:
        launch = self.rows[row]
        note(launch, run)
        self._running += launch.status not in FINISHED
        self._move(row, State.SETTLED)
        self._journal.has_run(launch)

    def _move(self, row: int, to: State) -> None:
        """Change the state of a launch; nothing else changes states."""
        before = self._states[row]
        if to not in NEXT[before]:
            raise ApiValueError(f"launch {row + 1} cannot become {to.value} after {before.value}")
        self._states[row] = to
        self._counts[before] -= 1
        self._counts[to] += 1
        self._tick += 1
        self._since[row] = self._tick
        self._doubts.discard(row)
        if to is State.DOUBTFUL:
            self._doubts.add(row)
        elif to is State.WRITTEN:
            self._ready.append(row)
        held = len(self._ready) <= SPARE or self._max_in_flight is not None or self._gate
        if held or to not in (State.SENT, State.SETTLED, State.REFUSED):
            self.changed.notify_all()  # no thread waits for other changes


def add_doubles(launch: Launch, runs: Iterable[TaskRunSummary]) -> bool:
    """Add runs to a launch that has a run, and return whether any of them is new.

    If a run with a mark is older than the run of the launch, it takes that place; all others
    become doubles.
    """
    known = {launch.run_id, *launch.doubles}
    new = [run for run in runs if run.id not in known]
    for run in new:
        made, had = run.time_created, launch.time_created
        other = str(run.id)
        earlier = made is not None and had is not None and made < had
        if earlier and mark_in(run.description) is not None:
            other, doubles = str(launch.run_id), launch.doubles
            note(launch, run)
            launch.doubles = doubles
        launch.doubles = (*launch.doubles, other)
    return bool(new)
