"""Finding out whether launches that had no answer have made runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import takewhile
from typing import Optional
from urllib.parse import quote

from libica.openapi.libtes import TaskRunsApi, TaskRunSummary

from .report import Launch

_LENGTH = 4000  # characters of names in one call


def find_runs(
    api: TaskRunsApi,
    version_id: str,
    since: Mapping[str, Optional[datetime]],
    witness: Optional[Launch],
) -> dict[str, list[TaskRunSummary]]:
    """Return the runs of a version by their names, the newest first, if they are new enough.

    The list is not filtered by version: the contract does not say what that filter takes, and a
    wrong guess would find nothing.

    Args:
        api: How the runs are listed.
        version_id: Id of the version.
        since: For each name, the moment after which its run was made; `None` for any.
        witness: A launch whose run is among the newest.
    """
    begun = since.values()
    oldest = None if None in begun else min(filter(None, begun))
    found: dict[str, list[TaskRunSummary]] = {}
    for run in _made_after(api, oldest, list(since), witness):
        name, version = run.name or "", run.task_version_summary
        of_version = version is None or version.id in (None, version_id)
        if of_version and name in since and _is_after(run, since[name]):
            found.setdefault(name, []).append(run)
    return found


def _made_after(
    api: TaskRunsApi, moment: Optional[datetime], names: Sequence[str], witness: Optional[Launch]
) -> Iterable[TaskRunSummary]:
    """Return at least the runs of these names.

    The contract does not say whether a filter takes several names, and it can hardly take commas.
    So a filtered list must show the witness too, or all runs are listed.
    """
    if witness is None or any("," in name for name in (witness.name, *names)):
        return _listed(api, moment, None)
    found: list[TaskRunSummary] = []
    for some in _portions(names):
        listed = list(_listed(api, moment, [*some, witness.name]))
        if all(run.id != witness.run_id for run in listed):
            return _listed(api, moment, None)
        found += listed
    return found


def _listed(
    api: TaskRunsApi, moment: Optional[datetime], names: Optional[Sequence[str]]
) -> Iterator[TaskRunSummary]:
    runs = api.iter_task_runs(names=names, sort="timeCreated desc")
    return takewhile(lambda run: _is_after(run, moment), runs)


def _is_after(run: TaskRunSummary, moment: Optional[datetime]) -> bool:
    return moment is None or run.time_created is None or run.time_created > moment


def _portions(names: Sequence[str]) -> Iterator[list[str]]:
    """Split names so that the address of a call is not too long."""
    portion: list[str] = []
    length = 0
    for name in names:
        size = len(quote(name)) + 3
        if portion and length + size > _LENGTH:
            yield portion
            portion, length = [], 0
        portion.append(name)
        length += size
    yield portion
