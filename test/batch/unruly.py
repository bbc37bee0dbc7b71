"""A service that loses responses and whose lists cannot be trusted, each in a way of its own."""

from __future__ import annotations

import random
import threading
import time
from datetime import datetime, timedelta
from typing import Any, Optional

from ..server import Answer, Asked
from ..small_tes import Json, SmallTes, _summary
from .service import LostError, Service, is_launch

SCALE = 50
"""How many times faster than in life all waits are."""


class UnrulyTes(SmallTes):
    """A service in memory with lists that lag, are not sorted, or lack fields.

    Attributes:
        launched: Ids of the runs that launches have made, by name and version.
    """

    def __init__(
        self,
        lag: float = 0,
        whole_seconds: bool = False,
        skew: float = 0,
        unsorted: bool = False,
        times: bool = True,
        versions: bool = True,
        most_described: Optional[int] = None,
    ) -> None:
        super().__init__()
        self.launched: dict[tuple[str, str], list[str]] = {}
        self._lag = lag / SCALE
        self._whole_seconds = whole_seconds
        self._skew = skew
        self._unsorted = unsorted
        self._times = times
        self._versions = versions
        self._most_described = most_described
        self._made: dict[str, float] = {}

    def _create(self, body: Json, owner: str) -> Json:
        made = super()._create(body, owner)
        if owner == "runs":
            run = self._things[made["id"]]
            self._made[run["id"]] = time.monotonic()
            clock = datetime.fromisoformat(run["timeCreated"][:26] + "+00:00")
            clock += timedelta(seconds=self._skew * (len(self._made) % 2))
            clock = clock.replace(microsecond=0) if self._whole_seconds else clock
            run["timeCreated"] = clock.isoformat()
            if self._most_described is not None:
                run["description"] = run.get("description", "")[: self._most_described]
            made = {**run}
        return made

    def _launch(self, body: Json, task_id: str, version_id: str) -> Json:
        run = super()._launch(body, task_id, version_id)
        self.launched.setdefault((run["name"], version_id), []).append(run["id"])
        return run

    def _list(self, query: Json, owner: str) -> Json:
        until = time.monotonic() - self._lag
        found = [each for each in self._owned(owner) if self._made.get(each["id"], 0) <= until]
        if query.get("sort") == "timeCreated desc" and not self._unsorted:
            found.sort(key=lambda run: str(run["timeCreated"]), reverse=True)
        start, size = int(query.get("pageToken", 0)), int(query.get("pageSize", 10))
        items = [self._shown(each) for each in found[start : start + size]]
        following = str(start + size) if start + size < len(found) else None
        return {"items": items, "nextPageToken": following}

    def _shown(self, run: Json) -> Json:
        hidden = set() if self._times else {"timeCreated"}
        hidden |= set() if self._versions else {"taskVersionSummary"}
        return {key: each for key, each in _summary(run).items() if key not in hidden}


class UnrulyService(Service):
    """Loses a share of the responses to launches, before or after it has acted on them."""

    def __init__(self, seed: int, lost: float = 1 / 3, doubled: float = 0, **faults: Any) -> None:
        super().__init__(UnrulyTes(**faults))
        self._random = random.Random(seed)
        self._drawing = threading.Lock()
        self._lost = lost
        self._doubled = doubled
        self.before, self.after = self._forget, self._lose

    @property
    def unruly(self) -> UnrulyTes:
        assert isinstance(self.tes, UnrulyTes)
        return self.tes

    def _draw(self) -> float:
        with self._drawing:
            return self._random.random()

    def _forget(self, asked: Asked) -> Optional[Answer]:
        if is_launch(asked):
            if self._draw() < self._lost / 4:
                raise LostError
            if self._draw() < self._doubled:
                self.tes(asked)
        return None

    def _lose(self, asked: Asked) -> Optional[Answer]:
        if is_launch(asked) and self._draw() < self._lost * 3 / 4:
            raise LostError
        return None

    def runs_of(self, name: str) -> list[str]:
        """Return the ids of the runs that launches of a name have made."""
        return self.unruly.launched.get((name, self.ids[1]), [])
