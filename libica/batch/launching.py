"""Launching: each launch becomes one run and no more, whatever happens on the way."""

from __future__ import annotations

import copy
import json
import os
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from time import monotonic
from typing import Any, Optional, Union

from libica.openapi.libtes import (
    ApiClient,
    ApiException,
    ApiValueError,
    TaskRunsApi,
    TaskRunSummary,
    TaskVersionsApi,
    TlsException,
)
from libica.openapi.libtes.confidential import MASK, redact

from .calling import PATIENCE, AnyRun, BatchError, Pace, note, passes
from .finding import find_runs
from .journal import Journal
from .placeholder import placeholders
from .plan import Launches, Plan
from .progress import Bar, Progress, bar
from .report import NOT_LAUNCHED, UNSURE, Launch, Report

LOOKS = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds before each look for a run whose launch had no answer.

It may still be on its way: together they are longer than gateways let a call take.
"""

SENDS = 10
"""How often a launch is sent that is not found, before it is given up."""

AHEAD = 8
"""How many launches a thread are written to the journal at once."""

GRACE = 5.0
"""Seconds that calls under way get to end after Ctrl-C."""

_TICK = 0.1  # seconds between two looks at how far the threads are


def launch_all(
    api_client: ApiClient,
    task_id: str,
    version_id: str,
    launches: Launches,
    *,
    concurrency: int = 16,
    journal: Union[str, os.PathLike[str], None] = None,
    progress: Progress = None,
    stop_on_error: bool = False,
    name_column: Optional[str] = None,
    ignore_columns: Iterable[str] = (),
    allow_empty: bool = False,
    dry_run: bool = False,
) -> Report:
    """Launch a version many times: each launch becomes one run and no more.

    All launches are checked before the first is sent: each needs a name of its own and an
    argument for each placeholder. A launch whose answer never came is looked for by its name
    among the runs made since; it is sent again only if it is not there.

    With a journal the same call goes on where the last one was, however that ended: what has a
    run is not launched again. Refused launches are sent again. The journal holds no arguments.

    Args:
        api_client: How the service is called. What is tried again is decided here, whatever its
            configuration says of `retries`.
        task_id: Id of the task.
        version_id: Id of the version.
        launches: A table with a column for the names of the runs and one for each placeholder:
            the path of a CSV, TSV or .xlsx file, a frame of pandas or polars, a table of pyarrow,
            or an iterable of dicts whose keys are the columns. Or an iterable of requests, as
            `LaunchTaskRequest` or dicts with JSON names.
        concurrency: How many calls may be under way at once. Default 16.
        journal: File to keep the record in. Default: none is kept.
        progress: Whether to show a bar: by default if somebody looks and tqdm is installed; or a
            function to call with how many are done and how many there are.
        stop_on_error: Whether to launch nothing more after a launch was refused. Default: go on;
            the report tells which were refused, and why.
        name_column: The column of a table that has the names of the runs. Default: `name`, in
            any casing, or the index of a pandas frame if that holds strings.
        ignore_columns: Columns of a table that are not arguments. Default: none; a column that
            fits no placeholder is an error.
        allow_empty: Whether an empty cell of a table is an argument. Default: it is an error.
        dry_run: Whether to check all launches, but send none. Default: they are sent. The
            version is fetched; the journal is not touched.

    Returns:
        What became of each launch, in the order given.

    Raises:
        LaunchesError: Launches do not go with the version; it names all of them.
        ApiTypeError: `launches` holds no launches, or `ignore_columns` is no list.
        ApiValueError: The table cannot be read, or has no column for the names.
        ModuleNotFoundError: The table is an .xlsx file, and openpyxl is not installed
            (``pip install 'libica-libtes[excel]'``).
        JournalError: The journal is that of another batch, or is in use.
        ApiException: The version or the list of runs could not be got; nothing was launched.
        BatchError: The batch was stopped, because the token was refused, the service did not
            answer for ten minutes, the journal could not be written, or a launch was refused and
            `stop_on_error` set. It has the report.
    """
    if concurrency < 1:
        raise ApiValueError(f"concurrency must be 1 or more, not {concurrency}")
    version = TaskVersionsApi(api_client).get_task_version(task_id, version_id)
    with ExitStack() as stack:
        plan = stack.enter_context(
            Plan(
                api_client,
                launches,
                placeholders(version),
                name_column=name_column,
                ignore_columns=ignore_columns,
                allow_empty=allow_empty,
            )
        )
        if dry_run:
            return Report(Launch(name, error="not sent: dry run") for name in plan.names)
        record = stack.enter_context(Journal(journal, task_id, version_id, plan))
        record.session(_newest_run(api_client))
        client = stack.enter_context(_once(api_client, concurrency))
        launching = _Launching(client, (task_id, version_id), plan, record, stop_on_error)
        return launching.run(concurrency, stack.enter_context(bar(progress, len(plan), "Launches")))


@dataclass
class _Doubt:
    """A launch that may have made a run."""

    due: float  # when to look for it
    why: str
    looks: int = 0


class _Launching:
    """A batch under way: threads send, the thread that called looks for what had no answer."""

    def __init__(
        self,
        client: ApiClient,
        ids: tuple[str, str],
        plan: Plan,
        journal: Journal,
        stop_on_error: bool,
    ) -> None:
        self._versions = TaskVersionsApi(client)
        self._runs = TaskRunsApi(client)
        self._ids = ids
        self._plan = plan
        self._journal = journal
        self._stop_on_error = stop_on_error
        self._rows = [
            journal.launched.get(name) or Launch(name, attempts=journal.sent.get(name, 0))
            for name in plan.names
        ]
        now = monotonic()
        self._doubts = {
            row: _Doubt(now, "an earlier call was ended before the answer came")
            for row, launch in enumerate(self._rows)
            if launch.name in journal.doubtful
        }
        self._ready: deque[int] = deque()  # to be sent; the journal knows that they are
        self._missed: dict[int, int] = {}  # how often a launch was looked for and not found
        self._left = sum(launch.run_id is None for launch in self._rows)
        self._told = 0  # how many are done
        self._ends: Counter[str] = Counter()  # how many came to which outcome
        # A launch whose run a look must show too, if it looks as it should.
        self._witness = next((each for each in reversed(self._rows) if each.run_id), None)
        self._changed = threading.Condition()
        self._stopped: Optional[BaseException] = None
        self._threads: list[threading.Thread] = []
        self._block = 0  # how many launches are written down at once
        self._pace = Pace()
        self._looking = Pace()

    def run(self, concurrency: int, shown: Bar) -> Report:
        """Launch what has no run yet."""
        workers = min(concurrency, self._left)
        self._block = AHEAD * workers
        self._threads = [
            threading.Thread(target=self._guard, args=(work,), name="libica-batch", daemon=True)
            for work in [self._prepare, *[self._work] * workers]
        ]
        try:
            for each in self._threads:
                each.start()
            while not self._tell(shown):
                self._look()
            self._join(threading.TIMEOUT_MAX)
            self._look(last=True)
        except OSError as error:  # the journal cannot be written
            self._stop(error)
        except BaseException as error:
            self._stop(error)
            raise
        finally:
            self._join(GRACE)
            with self._changed, suppress(OSError):
                unsent = [self._rows[row] for row in self._ready if row not in self._missed]
                self._journal.has_none(unsent)
        return self._report()

    def _tell(self, shown: Bar) -> bool:
        """Wait a little, and tell how many are done; returns whether the batch has ended."""
        with self._changed:
            ended = self._changed.wait_for(self._has_ended, _TICK)
            new = len(self._rows) - self._left - self._told
            self._told += new
            failed, unsure = self._ends[NOT_LAUNCHED], self._ends[UNSURE] + len(self._doubts)
        self._journal.flush()
        shown.update(new, failed=failed, unsure=unsure)
        return ended

    def _join(self, seconds: float) -> None:
        until = monotonic() + seconds
        for each in self._threads:
            each.join(max(0.0, until - monotonic()))

    def _report(self) -> Report:
        for row, launch in enumerate(self._rows):
            if row in self._doubts:
                launch.error = f"unsure: {self._doubts[row].why}"
            elif launch.run_id is None and launch.error is None:
                launch.error = "not sent: the batch was stopped"
        report = Report(self._rows)
        if self._stopped is not None:
            why = redact(str(self._stopped))
            raise BatchError(f"the batch was stopped: {why}", report) from self._stopped
        return report

    def _has_ended(self) -> bool:
        return not self._left or self._stopped is not None

    def _is_low(self) -> bool:
        return len(self._ready) <= self._block // 2 or self._has_ended()

    def _stop(self, error: BaseException) -> None:
        with self._changed:
            self._stopped = self._stopped or error
            self._changed.notify_all()

    def _guard(self, work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:  # a thread has nobody else to tell
            self._stop(error)

    def _prepare(self) -> None:
        """Write down that launches are sent, somewhat ahead: nobody waits for the disk then."""
        fresh = iter(
            [
                row
                for row, launch in enumerate(self._rows)
                if launch.run_id is None and launch.name not in self._journal.doubtful
            ]
        )
        while rows := list(islice(fresh, self._block)):
            self._journal.sending([self._rows[row].name for row in rows])
            with self._changed:
                self._ready.extend(rows)
                self._changed.notify_all()
                self._changed.wait_for(self._is_low)
                if self._has_ended():
                    return

    def _work(self) -> None:
        while (taken := self._take()) is not None:
            self._send(*taken)

    def _take(self) -> Optional[tuple[int, bytes]]:
        """Wait for a launch to send; none when all is done."""
        with self._changed:
            while not self._has_ended():
                wait = self._pace.wait()
                if wait > 0:
                    self._changed.wait(wait)
                elif self._ready:
                    row = self._ready.popleft()
                    if len(self._ready) == self._block // 2:
                        self._changed.notify_all()
                    return row, self._plan.request(row)
                else:
                    self._changed.wait()
        return None

    def _send(self, row: int, request: bytes) -> None:
        launch = self._rows[row]
        body = json.loads(request)
        launch.attempts += 1
        try:
            run = self._versions.launch_task_run(*self._ids, body=body)
        except ApiException as error:
            with self._changed:
                self._failed(row, error, _why(error, body))
        else:
            with self._changed:
                if run.id is None:
                    self._doubt(row, "the answer has no id")
                else:
                    self._has_run(launch, run)
                    self._pace.answered()
                    self._witness = launch

    def _has_run(self, launch: Launch, run: AnyRun) -> None:
        note(launch, run)
        self._journal.has_run(launch)
        self._settled(launch)

    def _settled(self, launch: Launch) -> None:
        self._ends[launch.outcome] += 1
        self._left -= 1
        if not self._left:
            self._changed.notify_all()

    def _doubt(self, row: int, why: str) -> None:
        self._doubts[row] = _Doubt(monotonic() + LOOKS[0], why, looks=1)

    def _failed(self, row: int, error: ApiException, why: str) -> None:
        """Decide what becomes of a launch that failed, and of the others."""
        if error.may_have_happened:
            self._doubt(row, why)
        elif passes(error, "POST"):
            self._ready.append(row)
        else:
            self._refused(row, error, why)
            return
        self._pace.failed(error, len(self._threads))
        if self._pace.waited > PATIENCE:
            self._stop(error)

    def _refused(self, row: int, error: ApiException, why: str) -> None:
        self._pace.answered()
        launch = self._rows[row]
        launch.error = why
        if row not in self._missed:
            self._journal.has_none([launch])
        self._settled(launch)
        if self._stop_on_error or error.status in (401, 403) or isinstance(error, TlsException):
            self._stop(error)

    def _look(self, last: bool = False) -> None:
        """Look for the launches that may have made a run."""
        now = monotonic()
        with self._changed:
            due = [row for row, doubt in self._doubts.items() if last or doubt.due <= now]
        if not due:
            return
        try:
            names = [self._rows[row].name for row in due]
            since = {name: self._journal.doubtful.get(name) for name in names}
            found = find_runs(self._runs, self._ids[1], since, self._witness)
        except ApiException as error:
            with self._changed:
                self._unseen(due, error)
            return
        self._looking.answered()
        with self._changed:
            for row in due:
                runs = found.get(self._rows[row].name)
                if runs:
                    self._adopt(row, runs)
                elif not last:
                    self._not_there(row)

    def _adopt(self, row: int, runs: Sequence[TaskRunSummary]) -> None:
        del self._doubts[row]
        self._has_run(self._rows[row], runs[-1])
        if len(runs) > 1:
            ids = ", ".join(str(run.id) for run in runs)
            self._rows[row].error = f"{len(runs)} runs have this name: {ids}"

    def _not_there(self, row: int) -> None:
        doubt = self._doubts[row]
        if doubt.looks < len(LOOKS):
            doubt.due = monotonic() + LOOKS[doubt.looks]
            doubt.looks += 1
            return
        del self._doubts[row]
        self._missed[row] = self._missed.get(row, 0) + 1
        if self._missed[row] < SENDS:
            self._ready.append(row)
            self._changed.notify()
        else:
            attempts = self._rows[row].attempts
            self._rows[row].error = f"sent {attempts} times and not found: {doubt.why}"
            self._settled(self._rows[row])

    def _unseen(self, rows: Sequence[int], error: ApiException) -> None:
        """Look again later; or say that nobody can tell, and send nothing again."""
        self._looking.failed(error)
        if error.status == 429:
            self._pace.failed(error)
        if passes(error) and self._stopped is None and self._looking.waited <= PATIENCE:
            for row in rows:
                self._doubts[row].due = monotonic() + self._looking.wait()
            return
        for row in rows:
            del self._doubts[row]
            self._rows[row].error = f"unsure: {redact(str(error))}"
            self._settled(self._rows[row])
        if error.status in (401, 403):
            self._stop(error)


def _why(error: ApiException, body: Mapping[str, Any]) -> str:
    """Say why a launch failed, without what may be secret in it."""
    text: str = redact(str(error))
    for name, value in body.get("arguments", {}).items():
        if name.upper().startswith("SECURE_") and value:
            text = text.replace(value, MASK)
    return text


def _newest_run(api_client: ApiClient) -> Optional[datetime]:
    """Return when the newest run was made, by the clock of the service."""
    page = TaskRunsApi(api_client).list_task_runs(sort="timeCreated desc", page_size=1)
    return next((run.time_created for run in page.items or ()), None)


def _once(api_client: ApiClient, concurrency: int) -> ApiClient:
    """Return a client that calls the same service in the same way, but nothing twice."""
    given = api_client.configuration
    configuration = copy.copy(given)
    configuration.api_key = given.api_key  # so that a token that either renews is there for both
    configuration.api_key_prefix = given.api_key_prefix
    configuration.retries = 0
    configuration.connection_pool_maxsize = max(concurrency, given.connection_pool_maxsize or 0)
    client = ApiClient(configuration, cookie=api_client.cookie)
    client.default_headers = dict(api_client.default_headers)
    return client
