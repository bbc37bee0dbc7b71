"""`mirror`: what the other service lists is compared with the data folder, and what differs taken.

Nothing else is remembered between calls, so a call that was interrupted is resumed by another.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional, Union

from libica.openapi import libtes

from ..store.copies import Copy, Known
from ..store.errors import StoreError
from ..store.folder import DATABASE, held
from ..store.identity import OWNER
from ..store.store import Store
from .result import Item, Mirrored, Outcome
from .secrets import without_secrets
from .source import NOT_VISIBLE, Found, Json, Request, Source

Progress = Callable[[str, int, int], object]

_TABLES = {"task": "tasks", "version": "versions", "run": "runs"}
_FINISHED = ("Completed", "Failed", "TimedOut", "Aborted")

_TASKS = "/v1/tasks"
_TASK = f"{_TASKS}/{{taskId}}"
_VERSIONS = f"{_TASK}/versions"
_VERSION = f"{_VERSIONS}/{{versionId}}"
_RUNS = f"{_TASKS}/runs"
_RUN = f"{_RUNS}/{{runId}}"
_BESIDE = {  # what the store keeps beside the summary of an object, or makes of it
    "task": ("taskVersions",),
    "version": ("execution",),
    "run": ("execution", "logs", "executionRawJson"),
}
_RUNS_AT_ONCE = 100  # runs in one transaction


def mirror(
    client: libtes.ApiClient,
    data: Union[str, Path],
    *,
    tasks: Union[str, Iterable[str], None] = None,
    runs: bool = False,
    with_credentials: bool = False,
    dry_run: bool = False,
    progress: Optional[Progress] = None,
) -> Mirrored:
    """Take tasks and versions along from a service into a data folder, which `LocalTes` can serve.

    They keep their ids, names, executions, access lists and times, so that a script with ids in it
    runs unchanged. The other service is only read. A further call brings what is new or changed,
    and goes on where one was interrupted. What was made or changed in the folder stays as it is.

    Args:
        client: A client of the other service.
        data: The data folder. No service may use it meanwhile.
        tasks: Names or ids of the tasks to take along. Default: all that the client can see.
        runs: Also take along runs that have finished; with ``tasks``, those of their versions.
        with_credentials: Also take along secrets in executions: credentials of mounts and images,
            `SECURE_*` variables, queries of URLs. Default: leave them out.
        dry_run: Only compare, and write nothing.
        progress: Called with what is read (`tasks`, `versions` or `runs`), the number that has been
            read, and the total.

    Returns:
        What became of each object.

    Raises:
        ApiException: The other service refuses a call or cannot be reached; what was taken along
            until then is kept.
        ApiValueError: There is no task of a given name.
        RuntimeError: A service uses the data folder.
        ValueError: The folder is not usable, or it is that of the other service.
        OSError: The folder cannot be written.
    """
    wanted = [tasks] if isinstance(tasks, str) else None if tasks is None else list(tasks)
    with _opened(data, dry_run) as store, Source(client) as source:
        taking = _Taking(store, source, with_credentials, dry_run, progress)
        try:
            versions = taking.versions(taking.tasks(wanted))
            if runs:
                taking.runs(None if wanted is None else versions)
        except StoreError as error:
            raise OSError(error.message) from error
        return Mirrored(taking.items)


@contextlib.contextmanager
def _opened(data: Union[str, Path], dry_run: bool) -> Iterator[Store]:
    """Open the store of a data folder; for a dry run, a copy."""
    with contextlib.ExitStack() as parts:
        database = None
        if not dry_run or (Path(data).expanduser() / DATABASE).exists():
            database = parts.enter_context(held(data)) / DATABASE
        if database is not None and dry_run:
            scratch = parts.enter_context(tempfile.TemporaryDirectory())
            log = database.with_name(f"{DATABASE}-wal")
            for file in filter(Path.exists, (database, log)):
                shutil.copy(file, scratch)
            database = Path(scratch, DATABASE)
        yield parts.enter_context(contextlib.closing(Store(database)))


class _Listed(NamedTuple):
    """An object of the other service.

    Attributes:
        kind: `task`, `version` or `run`.
        id: Its id.
        name: Its name; that of a version follows the name of its task.
        state: What identifies the state in which it is listed.
        scope: Of a version, the id of its task.
        summary: Its summary; of a run only id and status, as there may be many.
    """

    kind: str
    id: str
    name: str
    state: str
    scope: str
    summary: Json

    def item(self, outcome: Outcome, reason: str = "", left_out: Sequence[str] = ()) -> Item:
        return Item(self.kind, self.id, self.name, outcome, reason, left_out)

    def unread(self, error: Exception) -> Item:
        hidden = isinstance(error, NOT_VISIBLE)
        return self.item(Outcome.NOT_VISIBLE if hidden else Outcome.UNREADABLE, str(error))


class _Taking:
    """One call of `mirror`."""

    def __init__(
        self,
        store: Store,
        source: Source,
        with_credentials: bool,
        dry_run: bool,
        progress: Optional[Progress],
    ) -> None:
        self._store = store
        self._source = source
        self._with_credentials = with_credentials
        self._dry_run = dry_run
        self._progress = progress or (lambda *_: None)
        self._made_here = store.tasks_made_here()
        self.items: list[Item] = []

    def tasks(self, wanted: Optional[Sequence[str]]) -> list[_Listed]:
        """Return the tasks to take along."""
        listed = self._source.items(Request(_TASKS, {}, libtes.TaskSummaryPagedItems))
        tasks = [_listed("task", task, task["name"]) for task in listed]
        if wanted is None:
            return tasks
        chosen = [task for task in tasks if task.id in wanted or task.name in wanted]
        known = {task.id for task in chosen} | {task.name for task in chosen}
        missing = [each for each in dict.fromkeys(wanted) if each not in known]
        for each in missing:
            if not each.startswith("tdn."):
                raise libtes.ApiValueError(f"there is no task {each!r} at {self._source.host}")
        requests = [Request(_TASK, {"taskId": each}, libtes.TaskSummary) for each in missing]
        for task_id, found in zip(missing, self._source.objects(requests)):
            if isinstance(found, libtes.ApiException):
                self.items.append(_Listed("task", task_id, task_id, "", "", {}).unread(found))
            else:
                chosen.append(_listed("task", found, found["name"]))
        return chosen

    def versions(self, tasks: Sequence[_Listed]) -> set[str]:
        """Take tasks and their versions along; return the ids of the versions."""
        groups = list(self._groups(tasks))
        wanted = [
            [each for each in (task, *versions) if self._is_wanted(each)]
            for task, versions in groups
        ]
        contents = self._contents([each for group in wanted for each in group])
        for group in filter(None, wanted):  # a new task and its versions are written together
            self._write(itertools.islice(contents, len(group)))
        return {version.id for _, versions in groups for version in versions}

    def _groups(self, tasks: Sequence[_Listed]) -> Iterator[tuple[_Listed, list[_Listed]]]:
        """Yield each task whose versions can be listed, with these, oldest first."""
        model = libtes.TaskVersionSummaryPagedItems
        requests = [Request(_VERSIONS, {"taskId": task.id}, model) for task in tasks]
        for number, (task, found) in enumerate(zip(tasks, self._source.lists(requests)), 1):
            self._progress("tasks", number, len(tasks))
            if isinstance(found, libtes.ApiException):
                self.items.append(task.unread(found))
                continue
            found.sort(key=lambda version: version["timeCreated"])
            named = ((each, f"{task.name} {each['version']}") for each in found)
            yield task, [_listed("version", each, name, task.id) for each, name in named]

    def runs(self, versions: Optional[set[str]]) -> None:
        """Take finished runs along, all or those of some versions."""
        wanted = []
        for run in self._source.items(Request(_RUNS, {}, libtes.TaskRunSummaryPagedItems)):
            launched = run.get("taskVersionSummary", {}).get("id")
            if versions is None or launched in versions:
                listed = _listed("run", run, run.get("name", ""))
                listed = listed._replace(summary={name: run.get(name) for name in ("id", "status")})
                if self._is_finished(listed, run) and self._is_wanted(listed):
                    wanted.append(listed)
        contents = self._contents(wanted)
        while read := list(itertools.islice(contents, _RUNS_AT_ONCE)):
            self._write(read)

    def _is_finished(self, listed: _Listed, run: Json) -> bool:
        """Return whether a run has finished; note it if not, as it would run here once more."""
        status = run["status"]
        if status in _FINISHED:
            return True
        self.items.append(listed.item(Outcome.UNFINISHED, f"it is {status}"))
        return False

    def _is_wanted(self, listed: _Listed) -> bool:
        """Return whether to take an object; note what becomes of it if not."""
        known = self._store.known(_TABLES[listed.kind], listed.id)
        if known is None:
            return True
        if not known.is_copy:
            raise ValueError(
                f"the data folder is that of {self._source.host}, or a copy of it: {listed.kind} "
                f"{listed.id} was made in it. Use another folder"
            )
        changed_there = known.listed != listed.state
        if known.is_changed:
            outcome = Outcome.CONFLICT if changed_there else Outcome.CHANGED_HERE
            reason = "it was changed both here and at the source" if changed_there else ""
            self.items.append(listed.item(outcome, reason, known.left_out))
            return False
        if changed_there or (self._with_credentials and known.left_out):
            return True
        self.items.append(listed.item(Outcome.UNCHANGED, "", known.left_out))
        return False

    def _contents(self, wanted: Sequence[_Listed]) -> Iterator[tuple[_Listed, Found]]:
        """Read objects; of tasks and in a dry run, the summaries do."""
        read = [listed for listed in wanted if listed.kind != "task" and not self._dry_run]
        contents = self._source.objects(map(_request, read))
        number = 0
        for listed in wanted:
            if listed.kind == "task" or self._dry_run:
                yield listed, listed.summary
            else:
                content = next(contents)
                number += 1
                self._progress(_TABLES[listed.kind], number, len(read))
                yield listed, content

    def _write(self, read: Iterable[tuple[_Listed, Found]]) -> None:
        """Store objects in one transaction, and note what becomes of each."""
        copies = []
        for listed, content in read:
            if isinstance(content, libtes.ApiException):
                self.items.append(listed.unread(content))
            elif listed.kind != "run" or self._is_finished(listed, content):
                known = self._store.known(_TABLES[listed.kind], listed.id)
                copies.append((listed, known, self._copy(listed, content)))
        refused = self._store.take([copy for *_, copy in copies], OWNER).result()
        ids = {copy.summary["id"] for copy in refused}
        for listed, known, copy in copies:
            self.items.append(self._taken(listed, known, copy, is_refused=listed.id in ids))

    def _copy(self, listed: _Listed, content: Json) -> Copy:
        beside = _BESIDE[listed.kind]
        summary = {name: _local(name, each) for name, each in content.items() if name not in beside}
        execution = content.get("execution", {} if listed.kind == "run" else None)
        left_out: list[str] = []
        if execution and not self._with_credentials:
            execution, left_out = without_secrets(execution)
        logs = content.get("logs", ())
        table = _TABLES[listed.kind]
        return Copy(table, summary, listed.state, listed.scope, execution, logs, left_out)

    def _taken(self, listed: _Listed, known: Optional[Known], copy: Copy, is_refused: bool) -> Item:
        if is_refused:
            return listed.item(Outcome.CONFLICT, "its task has another version of this name")
        if known is None:
            same = self._made_here.get(listed.name, ()) if listed.kind == "task" else ()
            reason = f"{', '.join(same)}, made here, has the same name" if same else ""
            return listed.item(Outcome.NEW, reason, copy.left_out)
        is_same = known.content == copy.content and known.left_out == copy.left_out
        return listed.item(
            Outcome.UNCHANGED if is_same else Outcome.CHANGED, left_out=copy.left_out
        )


def _listed(kind: str, summary: Json, name: str, scope: str = "") -> _Listed:
    content = {name: _local(name, each) for name, each in summary.items()}
    state = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return _Listed(kind, summary["id"], name, state, scope, summary)


def _request(listed: _Listed) -> Request:
    if listed.kind == "run":
        return Request(_RUN, {"runId": listed.id}, libtes.TaskRun)
    ids = {"taskId": listed.scope, "versionId": listed.id}
    return Request(_VERSION, ids, libtes.TaskVersion)


def _local(name: str, value: Any) -> Any:
    """Return a field of a summary with its address under the host that serves it."""
    if name == "taskVersionSummary":
        return {key: _local(key, each) for key, each in value.items()}
    if name == "href" and "/v1/" in value:
        return value[value.index("/v1/") :]
    return value
