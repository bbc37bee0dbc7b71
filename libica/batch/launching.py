"""Launching: each launch makes exactly one run, whatever fails on the way."""

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
from libica.openapi.libtes._redaction import confidential
from libica.openapi.libtes.placeholders import find as placeholders

from . import calling
from .calling import BatchError, BatchInterrupt, BatchWarning, Pace, passes
from .finding import Audit, Finder
from .journal import History, Journal, JournalError, changed_rows, next_try
from .ledger import Ledger
from .mark import LONGEST_DESCRIPTION, LONGEST_MARK, has_room
from .plan import Launches, LaunchesError, Plan
from .progress import Bar, Progress, bar
from .report import NOT_SENT, OUTCOMES, Launch, Report
from .sending import Sender
from .tables import Problem
from .waiting import GROWTH, POLL, Watch, audit

RELAUNCHED = ("Failed", "TimedOut")
NAMESAKES = 5
"""Maximum number of run ids that a note lists."""

MARKS_LOST = "the service does not keep marks in descriptions: runs were recognised by name"


@confidential
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
    """Launch a version many times; each launch makes exactly one run.

    All launches are checked before the first is sent: each needs a unique name and an argument
    for each placeholder. If a launch gets no response, its run is searched for in the lists of
    runs, by its mark. The launch is sent again only if a list that is proven to be complete and
    fresh does not have the run; without such proof it is reported as unsure. After the last
    launch, the runs are listed once more, and launches with several runs are reported.

    With a journal, repeating the call resumes the batch, however the last call ended. Launches
    that have a run are not launched again; refused launches are. The journal has no arguments.

    Args:
        api_client: The client to use. This function decides about retries, whatever the
            client's configuration says.
        task_id: Id of the task.
        version_id: Id of the version.
        launches: A table with a column of names for the runs and one column per placeholder: the
            path of a CSV, TSV or .xlsx file, a pandas or polars frame, a pyarrow table, or an
            iterable of dicts whose keys are the columns. Or an iterable of requests, as
            `LaunchTaskRequest` or dicts with JSON names.
        concurrency: Maximum number of concurrent requests. Default: 16.
        journal: Path of the journal file. Default: no journal.
        progress: Whether to show a progress bar, or a function that is called with the number of
            finished launches and the total. Default: a bar on a terminal and in a notebook, if
            tqdm is installed.
        stop_on_error: Whether to stop the batch when a launch is refused. Default: continue; the
            report has the refused launches and the reasons.
        mark: Whether to end each run's description with a mark that identifies its launch.
            Default: true. Without marks, runs are recognised by name, and one run is launched and
            must appear in a list before the others are launched.
        max_in_flight: Maximum number of launched runs that have not finished. Default: no limit.
        name_column: Heading of the column with the names of the runs. Default: `name` in any
            casing, or the index of a pandas frame if it consists of strings.
        ignore_columns: Headings of columns that are not arguments. Default: none; a column that
            matches no placeholder is an error.
        allow_empty: Whether an empty cell of a table is a valid argument. Default: it is an error.
        dry_run: Whether to check all launches without sending any. Default: false. The version is
            requested; the journal is not touched.

    Returns:
        The outcome of each launch, in the order given.

    Warns:
        BatchWarning: Some launches have more than one run, or the service lost their runs.

    Raises:
        LaunchesError: Launches do not match the version or are invalid; it lists all problems.
        ApiTypeError: Launches cannot be read from a value of this type, or `ignore_columns` is a
            string.
        ApiValueError: The table cannot be read, or has no column of names.
        ModuleNotFoundError: The table is an .xlsx file, and openpyxl is not installed
            (``pip install 'libica-libtes[excel]'``).
        JournalError: The journal belongs to another batch, or is in use.
        ApiException: The version could not be retrieved; nothing was launched.
        BatchError: The batch was stopped: the token was refused, 20 consecutive launches were
            forbidden (403), the service did not respond for ten minutes, the journal could not be
            written, or a launch was refused and `stop_on_error` is set. Its ``report`` has the
            outcomes so far.
        BatchInterrupt: Ctrl-C: a `KeyboardInterrupt` whose ``report`` has the outcomes so far.
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


@confidential
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
    """Launch some launches of a batch again, by default those whose runs failed.

    Each is a new try of the same launch, with its own mark and run, in the same journal. Earlier
    tries stay in the report: see `Launch.earlier` and `Report.tries`.

    Args:
        api_client: The client to use.
        journal: Path of the journal of the batch, which has the ids of the task and the version.
        launches: All or some of the launches, as `launch_all` accepts them, because the journal
            has no arguments. Default: the table that the journal was started with.
        status: The outcomes of the last try, as in `Report.summary`, that lead to a new try.
            Default: ``("Failed", "TimedOut")``. With ``"Unsure"``, a launch whose run is missing
            from the lists may get a second run.
        concurrency: As for `launch_all`.
        progress: As for `launch_all`.
        stop_on_error: As for `launch_all`.
        max_in_flight: As for `launch_all`.

    Returns:
        The outcome of each launch of the batch, in the order of the journal.

    Warns:
        BatchWarning: As `launch_all`.

    Raises:
        JournalError: The journal does not exist, is malformed or in use, or the launches differ
            from those that it was started with.
        ApiValueError: No launches are given, and the journal was not started with a table, or the
            table no longer exists.
        ApiException: The version or the statuses of the runs could not be retrieved; nothing was
            launched.
        BatchError: As for `launch_all`.
        BatchInterrupt: As for `launch_all`.
    """
    _check(concurrency=concurrency, max_in_flight=max_in_flight)
    with ExitStack() as stack:
        if not os.path.exists(journal):
            raise JournalError(f"the journal {os.fspath(journal)} does not exist")
        record = stack.enter_context(Journal(journal))
        history = record.history
        if history is None:
            raise JournalError(f"the journal {os.fspath(journal)} has no launches")
        ids = history.head["task"], history.head["version"]
        options = dict(history.head.get("table") or {})
        path = options.pop("path", None)
        source = path if launches is None else launches
        if source is None:
            raise ApiValueError("pass `launches`: the journal was not started with a table")
        if launches is None and not os.path.exists(path):
            raise ApiValueError(
                f"pass `launches`: {path}, the table of the journal, no longer exists"
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
    """Return the launches to try again, in the state before the new try."""
    history.mark_unsure()
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
            record.has_run(launch)  # with its current status
        if launch.run_id is not None or launch.name in history.open:
            launch = history.launches[launch.name] = next_try(launch)
            history.closed(launch.name)
        chosen.append(launch)
    return chosen


class _Batch:
    """A batch in progress: several threads send; the calling thread searches for lost runs.

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
        """Send the launches without a run, and make sure that none gets more than one."""
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
        """Return the report, or raise the error that stopped the batch."""
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
        """If the batch was stopped, give calls in progress some time and close the ledger."""
        if self._ledger.stopped is not None:
            with suppress(KeyboardInterrupt):  # a second Ctrl-C ends the wait
                sender.join(calling.WAITS.grace)
            try:
                self._ledger.close()
            except (OSError, JournalError) as error:
                self._ledger.stop(error)

    def _tell(self, shown: Bar, seconds: float) -> bool:
        """Wait a little, update the progress, and return whether the batch has ended."""
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
        """Return the description of a launch without its mark."""
        with self._ledger.changed:
            return _description(self._request(row), self._version)

    def _look_for_room(self) -> None:
        """If `max_in_flight` is reached, check which runs have finished."""
        ledger = self._ledger
        if not ledger.full or monotonic() < self._watch_at:
            return
        with ledger.changed:
            self._watch.add(each for each in ledger.rows if each.error is None)
        before = len(self._watch.open)
        try:
            self._watch.look()
            self._watch_pace.succeeded()
        except ApiException as error:
            self._watch_pace.failed(error)
            if not passes(error) or self._watch_pace.waited > calling.WAITS.patience:
                ledger.stop(error)
        ended = before - len(self._watch.open)
        ledger.finished(ended)
        self._interval = POLL[0] if ended else min(POLL[1], self._interval * GROWTH)
        self._watch_at = monotonic() + max(self._interval, self._watch_pace.wait())

    def _take_stock(self, runs: TaskRunsApi, finder: Finder) -> None:
        """When a batch resumes, adopt runs by their marks even if the journal lacks them."""
        stock = Audit(runs, self._ledger.rows, self._ledger.batch)
        with suppress(ApiException):
            stock.once()
            if stock.shown is not None:
                finder.adopt(stock.shown)

    def _audit(self, runs: TaskRunsApi, finder: Finder) -> None:
        """List the runs once more to find launches with several runs and lost runs."""
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
                    "other runs with names of this batch, either older or second runs of a launch: "
                    f"{len(others):,} ({some}{more})"
                )
        self._notes += closing.notes


def _warn(report: Report) -> None:
    doubled, lost = len(report.doubled), len(report.lost)
    found = []
    if doubled:
        found.append(
            f"launches with more than one run: {doubled:,} (see report.doubled and "
            "report.abort_doubles())"
        )
    if lost:
        found.append(f"launches whose runs the service lost: {lost:,} (see report.lost)")
    if found:
        warnings.warn("; ".join(found), BatchWarning, stacklevel=4)


def _stopped(error: BaseException, report: Report) -> BatchError:
    return BatchError(f"the batch was stopped: {error}", report)


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
                f"the description{whose} has {len(text or ''):,} characters; to leave room for "
                f"the mark, use at most {most:,}, or pass mark=False"
            )
            problems.append(Problem(row + 1, name, problem))
    if problems:
        raise LaunchesError(problems)


def _description(request: bytes, version: TaskVersion) -> Optional[str]:
    """Return the description of a launch without its mark."""
    if b'"description"' not in request:
        return version.description
    text: Optional[str] = json.loads(request).get("description", version.description)
    return text


def _once(api_client: ApiClient, concurrency: int) -> ApiClient:
    """Return a client like the given one, but without retries."""
    given = api_client.configuration
    configuration = copy.copy(given)
    configuration.api_key = given.api_key  # shared, so that both use a renewed token
    configuration.api_key_prefix = given.api_key_prefix
    configuration.retries = 0
    configuration.connection_pool_maxsize = max(concurrency, given.connection_pool_maxsize or 0)
    client = ApiClient(configuration, cookie=api_client.cookie)
    client.default_headers = dict(api_client.default_headers)
    return client
