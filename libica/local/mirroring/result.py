"""What became of each object that `mirror` met."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Outcome(str, Enum):
    """What became of an object of the other service.

    `CHANGED_HERE` is of a copy that was changed in the data folder, but not at the source since; a
    copy that was changed in both, or whose name is taken, is a `CONFLICT`. Both are left as they
    are.
    """

    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    CHANGED_HERE = "changed here"
    CONFLICT = "conflict"
    NOT_VISIBLE = "not visible"
    UNREADABLE = "unreadable"
    UNFINISHED = "unfinished"


@dataclass(frozen=True)
class Item:
    """One object of the other service.

    Attributes:
        kind: `task`, `version` or `run`.
        id: Its id.
        name: Its name; that of a version follows the name of its task.
        outcome: What became of it.
        reason: Why, if the outcome alone does not say it.
        left_out: The places of the secrets that the copy in the data folder lacks.
    """

    kind: str
    id: str
    name: str
    outcome: Outcome
    reason: str = ""
    left_out: Sequence[str] = ()

    @property
    def is_missing(self) -> bool:
        """Whether it could not be taken along as it is at the source."""
        return self.outcome in (Outcome.CONFLICT, Outcome.NOT_VISIBLE, Outcome.UNREADABLE)


@dataclass(frozen=True)
class Mirrored:
    """What `mirror` did, or would do.

    Attributes:
        items: The objects of the other service that it met.
    """

    items: list[Item] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """The number of objects of each kind and outcome, such as `{"task": {"new": 2}}`."""
        counted = Counter((item.kind, item.outcome) for item in self.items)
        return {
            kind: {each.value: counted[kind, each] for each in Outcome if counted[kind, each]}
            for kind in ("task", "version", "run")
            if any(item.kind == kind for item in self.items)
        }

    @property
    def missing(self) -> list[Item]:
        """The objects that could not be taken along as they are at the source."""
        return [item for item in self.items if item.is_missing]

    @property
    def without_secrets(self) -> list[Item]:
        """The objects whose copies lack secrets."""
        return [item for item in self.items if item.left_out]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"counts": self.counts, "items": [_plain(item) for item in self.items]}


def _plain(item: Item) -> dict[str, Any]:
    return {**vars(item), "outcome": item.outcome.value, "left_out": list(item.left_out)}
