"""Launching: each launch becomes one run and no more, whatever happens on the way."""

from __future__ import annotations

import copy
import json
import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from time import monotonic
from typing import Optional, Union

from libica.openapi.libtes import (
    ApiClient,
    ApiException,
    ApiValueError,
    TaskRunsApi,
    TaskVersion,
    TaskVersionsApi,
)

from . import calling
from ._client import redact
from .calling import BatchError, BatchInterrupt, BatchWarning, Pace, passes
from .finding import Audit, Finder
from .journal import History, Journal, JournalError, changed_rows, next_try
from .ledger import Ledger
from .mark import LONGEST_DESCRIPTION, LONGEST_MARK, has_room
from .placeholder import placeholders
from .plan import Launches, LaunchesError, Plan
from .progress import Bar, Progress, bar
from .report import NOT_SENT, OUTCOMES, Launch, Report
from .sending import Sender
from .tables import Problem
from .waiting import GROWTH, POLL, Watch, audit

RELAUNCHED = ("Failed", "TimedOut")
NAMESAKES = 5
"""How many ids of runs that may be doubles a note names."""

MARKS_LOST = "the service does not keep marks in descriptions: runs were recognised by their names"


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
    mark: bool = True,
    max_in_flight: Optional[int] = None,
    name_column: Optional[str] = None,
    ignore_columns: Iterable[str] = (),
    allow_empty: bool = False,
    dry_run: bool = False,
) -> Report:
    """Launch a version many times: each launch becomes one run and no more.

    All launches are checked before the first is sent: each needs a name of its own and an
    argument for each placeholder. A launch that had no response is looked for in the lists of
    runs, by its mark. It is sent again only if a list that is proven to be complete and fresh
    does not show it; where there is no such proof it is reported as unsure. When all is launched,
    the runs are listed once more, and launches with several runs are reported.

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
        progress: Whether to show a bar. Default: on a terminal and in a notebook, if tqdm is
            installed. Or a function that is called with how many are done and how many there are.
        stop_on_error: Whether to launch nothing more after a launch was refused. Default: go on;
            the report tells which were refused, and why.
        mark: Whether each run's description ends with a mark of its launch, by which it is
            recognised. Default true. Without, runs are recognised by their names, and launching
            begins with one run that a list has to show before the others are launched.
        max_in_flight: How many runs may be under way at once, launched and not ended. Default:
            any number.
        name_column: The column of a table that has the names of the runs. Default: `name`, in
            any casing, or the index of a pandas frame if that holds strings.
        ignore_columns: Columns of a table that are not arguments. Default: none; a column that
            fits no placeholder is an error.
        allow_empty: Whether an empty cell of a table is an argument. Default: it is an error.
        dry_run: Whether to check all launches, but send none. Default: they are sent. The
            version is fetched; the journal is not touched.

    Returns:
        What became of each launch, in the order given.

    Warns:
        BatchWarning: Launches have more than one run, or runs that the service lost.

    Raises:
        LaunchesError: Launches do not fit the version; it names all of them.
        ApiTypeError: `launches` holds no launches, or `ignore_columns` is not a list.
        ApiValueError: The table cannot be read, or has no column for the names.
        ModuleNotFoundError: The table is an .xlsx file, and openpyxl is not installed
            (``pip install 'libica-libtes[excel]'``).
        JournalError: The journal is that of another batch, or is in use.
        ApiException: The version could not be got; nothing was launched.
        BatchError: The batch was stopped, because the token was refused, 20 launches in a row
            were forbidden (403), the service did not respond for ten minutes, the journal could
            not be written, or a launch was refused and `stop_on_error` set. It has the report.
        BatchInterrupt: Ctrl-C. A `KeyboardInterrupt` that has the report.
    """
    _check(concurrency=concurrency, max_in_flight=max_in_flight)
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
        if mark:
            _check_room(plan, version)
        if dry_run:
            return Report(Launch(name, error="not sent: dry run") for name in plan.names)
        record = stack.enter_context(Journal(journal))
        try:
            history = record.begin(task_id, version_id, plan, mark=mark, table=plan.table)
        except OSError as error:
            report = Report(Launch(name, error=NOT_SENT) for name in plan.names)
            raise _stopped(error, report) from error
        rows = [history.launches[name] for name in plan.names]
        ledger = Ledger(rows, history, record, plan.request, max_in_flight)
        client = stack.enter_context(_once(api_client, concurrency))
        batch = _Batch(client, api_client, ledger, record, version, plan.request, stop_on_error)
        shown = stack.enter_context(bar(progress, len(rows), "Launches"))
        batch.run((task_id, version_id), concurrency, shown)
        return batch.report(ledger.rows)


def relaunch(
    api_client: ApiClient,
    journal: Union[str, os.PathLike[str]],
    launches: Optional[Launches] = None,
    status: Union[str, Iterable[str]] = RELAUNCHED,
    *,
    concurrency: int = 16,
    progress: Progress = None,
    stop_on_error: bool = False,
    max_in_flight: Optional[int] = None,
) -> Report:
    """Launch some launches of a batch again: those whose runs failed, unless you say otherwise.

    Each is a next try of the same launch, with a mark and a run of its own, in the same journal.
    The tries before are in the report: see `Launch.earlier` and `Report.tries`.

    Args:
        api_client: How the service is called.
        journal: The journal of the batch; it tells the task and the version.
        launches: The launches again, all or some of them, as `launch_all` takes them: the journal
            holds no arguments. Default: the table that the journal was begun with.
        status: Which launches are tried again: those whose last try has one of these outcomes, as
            `Report.summary` counts them. Default ``("Failed", "TimedOut")``. With ``"Unsure"`` a
            launch whose run no list shows may get a second one.
        concurrency: As for `launch_all`.
        progress: As for `launch_all`.
        stop_on_error: As for `launch_all`.
        max_in_flight: As for `launch_all`.

    Returns:
        What became of all launches of the batch, in the order of the journal.

    Warns:
        BatchWarning: As `launch_all`.

    Raises:
        JournalError: It is no journal or in use, or the launches differ from those that it was
            begun with.
        ApiValueError: The journal was not begun with a table, or that is gone, and no launches
            are given.
        ApiException: The version, or how the runs are, could not be got; nothing was launched.
        BatchError: As for `launch_all`.
        BatchInterrupt: As for `launch_all`.
    """
    _check(concurrency=concurrency, max_in_flight=max_in_flight)
    with ExitStack() as stack:
        if not os.path.exists(journal):
            raise JournalError(f"there is no journal {os.fspath(journal)}")
        record = stack.enter_context(Journal(journal))
        history = record.history
        if history is None:
            raise JournalError(f"{os.fspath(journal)} tells of no launches")
        ids = history.head["task"], history.head["version"]
        options = dict(history.head.get("table") or {})
        path = options.pop("path", None)
        source = path if launches is None else launches
        if source is None:
            raise ApiValueError("give `launches`: the journal was not begun with a table")
        if launches is None and not os.path.exists(path):
            raise ApiValueError(
                f"give `launches`: {path}, the table that the journal was begun with, is gone"
            )
        version = TaskVersionsApi(api_client).get_task_version(*ids)
        plan = stack.enter_context(Plan(api_client, source, placeholders(version), **options))
        record.refuse(changed_rows(history, plan))
        if history.batch is not None:
            _check_room(plan, version)
        wanted = {status} if isinstance(status, str) else set(status)
        for each in OUTCOMES:
            if miscased := {other for other in wanted - {each} if other.lower() == each.lower()}:
                raise ApiValueError(f"status must be {each!r}, not {min(miscased)!r}")
        try:
            chosen = _choose(api_client, history, plan.names, wanted, record)
            record.go_on()
        except OSError as error:
            raise _stopped(error, Report(history.launches.values())) from error
        numbers = {name: row for row, name in enumerate(plan.names)}
        plan_rows = [numbers[each.name] for each in chosen]

        def request(row: int) -> bytes:
            return plan.request(plan_rows[row])

        ledger = Ledger(chosen, history, record, request, max_in_flight)
        client = stack.enter_context(_once(api_client, concurrency))
        batch = _Batch(client, api_client, ledger, record, version, request, stop_on_error)
        batch.everything = list(history.launches.values())
        shown = stack.enter_context(bar(progress, len(chosen), "Launches"))
        batch.run(ids, concurrency, shown)
        return batch.report(batch.everything)


def _choose(
    api_client: ApiClient, history: History, names: Iterable[str], wanted: set[str], record: Journal
) -> list[Launch]:
    """Return the launches to try again, as they are before that."""
    history.tell_unsure()
    everything = list(history.launches.values())
    watch = Watch(api_client, everything)
    if history.batch is not None:
        for launch in audit(watch, everything, history.batch):
            record.has_run(launch)
            history.closed(launch.name)
    watch.look_at_all()
    chosen = []
    for launch in (history.launches[name] for name in names):
        if launch.outcome not in wanted:
            continue
        if launch.run_id is not None:
            record.has_run(launch)  # with its status of now
        if launch.run_id is not None or launch.name in history.open:
            launch = history.launches[launch.name] = next_try(launch)
            history.closed(launch.name)
        chosen.append(launch)
    return chosen


class _Batch:
    """A batch under way: threads send, the thread that called looks for what had no response.

    Attributes:
        everything: The launches of the report.
    """

    def __init__(
        self,
        client: ApiClient,
        given: ApiClient,
        ledger: Ledger,
        journal: Journal,
        version: TaskVersion,
        request: Callable[[int], bytes],
        stop_on_error: bool,
    ) -> None:
        self.everything: Sequence[Launch] = ledger.rows
        self._client = client
        self._given = given
        self._ledger = ledger
        self._journal = journal
        self._version = version
        self._request = request
        self._stop_on_error = stop_on_error
        self._resumed = journal.resumed and ledger.batch is not None
        self._notes: list[str] = []
        self._told = 0
        self._watch = Watch(given, [])
        self._interval = POLL[0]
        self._watch_at = 0.0
        self._watch_pace = Pace()

    def run(self, ids: tuple[str, str], concurrency: int, shown: Bar) -> None:
        """Launch what has no run yet, and see to it that each launch has no more than one."""
        ledger, waits = self._ledger, calling.WAITS
        runs = TaskRunsApi(self._client)
        versions = TaskVersionsApi(self._client)
        sender = Sender(
            ledger,
            self._journal.sync,
            lambda body: versions.launch_task_run(*ids, body=body),
            self._version.description,
            self._stop_on_error,
        )
        finder = Finder(ledger, runs, ids[1], self._text)
        had_work = not ledger.ended
        try:
            if self._resumed and had_work:
                self._take_stock(runs, finder)
            sender.start(concurrency)
            while not self._tell(shown, waits.tick):
                finder.look()
                self._look_for_room()
            sender.join()
            finder.look_last()
            ledger.close()
            if had_work and ledger.stopped is None:
                self._audit(runs, finder)
                ledger.flush()
        except KeyboardInterrupt as error:
            ledger.stop(error)
        except (OSError, JournalError) as error:  # the journal cannot be written
            ledger.stop(error)
        except BaseException as error:
            ledger.stop(error)
            self._end(sender)
            raise
        self._end(sender)

    def report(self, launches: Sequence[Launch]) -> Report:
        """Return what became of the launches, or raise what stopped the batch."""
        ledger = self._ledger
        batch = ledger.batch
        if ledger.names_decide and batch is not None:
            batch = None
            self._notes.insert(0, MARKS_LOST)
        report = Report(launches, batch=batch, notes=self._notes, api_client=self._given)
        _warn(report)
        error = ledger.stopped
        if isinstance(error, KeyboardInterrupt):
            raise BatchInterrupt(report) from error
        if error is not None:
            raise _stopped(error, report) from error
        return report

    def _end(self, sender: Sender) -> None:
        """Give the calls under way some time, and leave the ledger as it can be gone on with."""
        if self._ledger.stopped is not None:
            with suppress(KeyboardInterrupt):  # who is in a hurry need not wait
                sender.join(calling.WAITS.grace)
            try:
                self._ledger.close()
            except (OSError, JournalError) as error:
                self._ledger.stop(error)

    def _tell(self, shown: Bar, seconds: float) -> bool:
        """Wait a little, and tell how many are done; returns whether the batch has ended."""
        ledger = self._ledger
        with ledger.changed:
            ended = ledger.changed.wait_for(lambda: ledger.ended, seconds)
            new = len(ledger.rows) - ledger.left - self._told
            self._told += new
            failed, unsure = ledger.refused, ledger.unsure
            ledger.flush()
        shown.update(new, failed=failed, unsure=unsure)
        return ended

    def _text(self, row: int) -> Optional[str]:
        """Return the description that a launch has without its mark."""
        with self._ledger.changed:
            return _description(self._request(row), self._version)

    def _look_for_room(self) -> None:
        """See which runs have ended, where no more may be under way."""
        ledger = self._ledger
        if not ledger.full or monotonic() < self._watch_at:
            return
        with ledger.changed:
            self._watch.add(each for each in ledger.rows if each.error is None)
        before = len(self._watch.open)
        try:
            self._watch.look()
            self._watch_pace.answered()
        except ApiException as error:
            self._watch_pace.failed(error)
            if not passes(error) or self._watch_pace.waited > calling.WAITS.patience:
                ledger.stop(error)
        ended = before - len(self._watch.open)
        ledger.finished(ended)
        self._interval = POLL[0] if ended else min(POLL[1], self._interval * GROWTH)
        self._watch_at = monotonic() + max(self._interval, self._watch_pace.wait())

    def _take_stock(self, runs: TaskRunsApi, finder: Finder) -> None:
        """Adopt the runs that a list shows by their marks, even if the journal has lost them."""
        stock = Audit(runs, self._ledger.rows, self._ledger.batch)
        with suppress(ApiException):
            stock.once()
            if stock.shown is not None:
                finder.adopt(stock.shown)

    def _audit(self, runs: TaskRunsApi, finder: Finder) -> None:
        """List the runs once more, for doubles and losses."""
        ledger = self._ledger
        names = {}
        if ledger.names_decide:
            names = {each.name: row for row, each in enumerate(ledger.rows)}
        closing = Audit(runs, ledger.rows, ledger.batch, names)
        closing.make()
        if closing.shown is not None:
            if closing.shown.unmarked:
                ledger.lose_marks()
            finder.adopt(closing.shown)
            if others := finder.namesakes(closing.shown):
                some = ", ".join(others[:NAMESAKES])
                more = ", ..." if len(others) > NAMESAKES else ""
                self._notes.append(
                    "further runs with names of this batch, doubles or older ones: "
                    f"{len(others):,} ({some}{more})"
                )
        self._notes += closing.notes


def _warn(report: Report) -> None:
    doubled, lost = len(report.doubled), len(report.lost)
    found = []
    if doubled:
        found.append(
            f"{doubled:,} launches have more than one run: see report.doubled, and "
            "report.abort_doubles()"
        )
    if lost:
        found.append(f"the service lost the runs of {lost:,} launches: see report.lost")
    if found:
        warnings.warn("; ".join(found), BatchWarning, stacklevel=4)


def _stopped(error: BaseException, report: Report) -> BatchError:
    return BatchError(f"the batch was stopped: {redact(str(error))}", report)


def _check(**numbers: Optional[int]) -> None:
    for name, number in numbers.items():
        if number is not None and number < 1:
            raise ApiValueError(f"{name} must be 1 or more, not {number}")


def _check_room(plan: Plan, version: TaskVersion) -> None:
    """Refuse descriptions that leave no room for a mark."""
    problems = []
    for row, name in enumerate(plan.names):
        text = _description(plan.request(row), version)
        if not has_room(text):
            most = LONGEST_DESCRIPTION - LONGEST_MARK
            whose = "" if text is not version.description else " of the version"
            problem = (
                f"the description{whose} has {len(text or ''):,} characters, and more than "
                f"{most:,} leave no room for the mark: give a shorter one, or pass mark=False"
            )
            problems.append(Problem(row + 1, name, problem))
    if problems:
        raise LaunchesError(problems)


def _description(request: bytes, version: TaskVersion) -> Optional[str]:
    """Return the description that a launch has without its mark."""
    if b'"description"' not in request:
        return version.description
    text: Optional[str] = json.loads(request).get("description", version.description)
    return text


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
