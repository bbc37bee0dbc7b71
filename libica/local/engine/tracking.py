"""The attempts under way, as the scheduler knows them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple, Optional

from ..node.job import Job, Outcome
from .interface import Attempt, State


class Phase(Enum):
    """Where an attempt stands."""

    NEW = "is to be recorded as started"
    RECORDED = "is to be submitted"
    UNSURE = "may have been submitted"
    WAITING = "waits in the engine"
    RUNNING = "runs in the engine"
    ENDED = "has ended, which is to be recorded"


class Shown(NamedTuple):
    """What the store says of an attempt that is under way."""

    handle: str
    status: str
    details: str
    log: Optional[dict[str, Any]] = None


@dataclass(eq=False)
class Tracked:
    """An attempt from its start until its end is recorded.

    Attributes:
        job: What to run; without the execution, which may be large, once that is in the folder.
        attempt: What the engine knows of it.
        engine: The name of its engine, which is another one if the service ran with that before.
        retry_limit: How often its run may be retried.
        recorded: What the store says of it.
        shown: What the store should say of it.
        phase: Where it stands; only `Register.move` changes it.
        since: The time when it entered the phase.
        aborted: Whether its run is to be aborted.
        gone: As what the engine says that it is gone, and since when, while it has no outcome.
        outcome: How it ended.
        again: What to say of its run while that waits for another attempt; empty if it gets none.
        delay: Seconds until then.
    """

    job: Job
    attempt: Attempt
    engine: str
    retry_limit: int
    recorded: Shown
    shown: Shown
    phase: Phase = Phase.NEW
    since: float = 0.0
    aborted: bool = False
    gone: Optional[tuple[State, float]] = None
    outcome: Outcome = field(default_factory=lambda: Outcome("Aborted", "It did not begin.", {}))
    again: str = ""
    delay: float = 0.0

    def show(self, **changes: Any) -> None:
        """Change what the store should say."""
        self.shown = self.shown._replace(**changes)


class Register:
    """The attempts under way, by phase. At most one attempt of a run is under way."""

    def __init__(self) -> None:
        self._all: dict[str, Tracked] = {}
        self._phases: dict[Phase, dict[str, Tracked]] = {phase: {} for phase in Phase}

    def __len__(self) -> int:
        return len(self._all)

    def of_run(self, run_id: str) -> Optional[Tracked]:
        """Return the attempt of a run that is under way."""
        return self._all.get(run_id)

    def within(self, *phases: Phase) -> list[Tracked]:
        """Return the attempts in some phases, those that entered it first before others."""
        return [each for phase in phases for each in self._phases[phase].values()]

    def any_within(self, *phases: Phase) -> bool:
        """Return whether there are attempts in some phases."""
        return any(self._phases[phase] for phase in phases)

    def move(self, each: Tracked, phase: Phase, now: float) -> None:
        """Change the phase of an attempt."""
        self.forget(each)
        each.phase, each.since = phase, now
        self._all[each.job.run_id] = self._phases[phase][each.job.run_id] = each

    def forget(self, each: Tracked) -> None:
        """Leave an attempt out from now on."""
        self._all.pop(each.job.run_id, None)
        self._phases[each.phase].pop(each.job.run_id, None)
