"""Waiting for runs to finish, with few requests, and aborting runs."""

from __future__ import annotations

import dataclasses
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import islice
from time import monotonic, sleep
from typing import Optional, TypeVar, Union

from libica.openapi.libtes import (
    ApiClient,
    ApiException,
    ApiTypeError,
    ApiValueError,
    BadRequestException,
    ConflictException,
    ForbiddenException,
    NotFoundException,
    TaskRun,
    TaskRunsApi,
    TaskRunSummary,
)
from libica.openapi.libtes._redaction import confidential
from libica.openapi.libtes.exceptions import kind
from libica.openapi.libtes.rest import retry_after

from . import calling
from .calling import EXPIRED, PAGE, AnyRun, BatchError, bounded, note, passes
from .finding import Audit, oldest_first
from .ledger import add_doubles
from .progress import Progress, bar
from .report import FINISHED, Launch, Report

Item = TypeVar("Item")
Run = Union[Launch, TaskRun, TaskRunSummary, str]
Runs = Iterable[Run]
Poll = Union[float, tuple[float, float], None]

POLL = (1.0, 30.0)
GROWTH = 1.5
GETS = 10  # runs that no list shows and that are requested one by one in a round
MISSES = 3  # refused requests for a run after which it is no longer waited for
CONCURRENCY = 16  # concurrent requests for single runs
ONCE = 10.0  # seconds for the one round of a timeout of 0

_EXIT_STATUS = re.compile(
    r"\bexit(?:ed)?(?: with)? ?(?:status|code)\W{1,3}?(-?\d+)\b", re.IGNORECASE
)


def is_finished(run: Union[AnyRun, Launch, str, None]) -> bool:
    """Return whether a run, or a status, is Completed, Failed, TimedOut or Aborted."""
    return (run if run is None or isinstance(run, str) else run.status) in FINISHED


def duration(run: Union[AnyRun, Launch]) -> Optional[timedelta]:
    """Return the time from the creation of a run to its end.

    ``None`` if the run has not finished, or its times are not known.
    """
    if not is_finished(run) or run.time_created is None or run.time_modified is None:
        return None
    return run.time_modified - run.time_created


@confidential
def wait(
    api_client: ApiClient, run: Run, *, timeout: Optional[float] = None, poll: Poll = None
) -> Launch:
    """Wait for one run and return its outcome; the arguments are those of `wait_all`."""
    return wait_all(api_client, [run], timeout=timeout, poll=poll, progress=False)[0]


@confidential
def wait_all(
    api_client: ApiClient,
    runs: Runs,
    *,
    timeout: Optional[float] = None,
    poll: Poll = None,
    progress: Progress = None,
) -> Report:
    """Wait until all runs are Completed, Failed, TimedOut or Aborted.

    Runs are checked with lists of 1000, or one by one if that takes fewer requests. Transient
    failures are retried. At the timeout and on Ctrl-C, the waiting ends and the current state is
    returned; see `Report.unfinished`. Each run that did not complete is requested once to find
    out why.

    If the runs of a report have marks, the first round lists all of them and reports launches
    that have more than one run.

    Args:
        api_client: The client to use.
        runs: A report of `launch_all`, or an iterable of ids, runs and launches. Launches without
            a run are not waited for.
        timeout: Maximum time to wait in seconds, requests included; 0 checks once. Default: no
            limit.
        poll: Seconds between two checks; or a pair, the first delay and the longest that it grows
            to. Default: 1 to 30.
        progress: Whether to show a progress bar, or a function that is called with the number of
            finished runs and the total. Default: a bar on a terminal and in a notebook, if tqdm
            is installed.

    Returns:
        The outcomes of the runs, in the order given.

    Raises:
        ApiTypeError: A value in ``runs`` is not a run.
        ApiValueError: ``poll`` is not positive.
        BatchError: The service refused to list runs, or did not respond for ten minutes. Its
            ``report`` has the outcomes so far.
    """
    report = Report(
        _launches(runs),
        batch=runs.batch if isinstance(runs, Report) else None,
        notes=runs.notes if isinstance(runs, Report) else (),
        api_client=api_client,
    )
    rounds = follow(api_client, report, timeout, poll)
    total = left = next(rounds)
    with bar(progress, total, "Runs") as shown, suppress(KeyboardInterrupt):
        for open_runs in rounds:
            shown.update(left - open_runs, failed=len(report.failed))
            left = open_runs
    return report


def follow(
    api_client: ApiClient, report: Report, timeout: Optional[float], poll: Poll
) -> Iterator[int]:
    """Update the launches of a report, in place, until their runs have finished.

    Yields:
        The number of runs that have not finished: at first, and after each round of checks.
    """
    first, longest = _seconds(poll)
    until = math.inf if timeout is None else monotonic() + timeout
    watch = Watch(api_client, report, math.inf if timeout is None else until + (not timeout) * ONCE)
    yield len(watch.open)
    interval, waited, audited = first, 0.0, report.batch is None
    while watch.open:
        failure = None
        try:
            watch.look() if audited else audit(watch, report, str(report.batch))
            audited = True
        except ApiException as error:
            failure = error
        watch.explain()
        yield len(watch.open)
        waited = waited if failure else 0.0
        gone = failure and (not passes(failure) or waited > calling.WAITS.patience)
        if failure and gone and monotonic() < until:
            raise BatchError(f"stopped waiting: {failure}", report) from failure
        asked = retry_after(failure.headers) if failure else None
        pause = min(max(interval, asked or 0.0), until - monotonic())
        if not watch.open or pause <= 0:
            break
        sleep(pause)
        waited += pause
        interval = min(longest, interval * GROWTH)


def audit(watch: Watch, launches: Sequence[Launch], batch: str) -> list[Launch]:
    """List the runs of a batch, update their statuses, and find launches with several runs.

    Returns:
        The launches whose run was not known before.

    Raises:
        ApiException: The list could not be retrieved.
    """
    listing = Audit(watch.api, launches, batch, see=watch.see, until=watch.until)
    listing.once()
    adopted = []
    for row, runs in listing.shown.others.items() if listing.shown else ():
        launch = launches[row]
        found = oldest_first(runs.values())
        if launch.run_id is None:
            note(launch, found[0])
            watch.add([launch])
            adopted.append(launch)
        add_doubles(launch, found)
    return adopted


@confidential
def abort_all(api_client: ApiClient, runs: Runs, *, concurrency: int = 16) -> Report:
    """Abort the runs that have not finished.

    It is not an error if a run has finished in the meantime. A run in progress may take a while
    to end; use `wait_all` to wait for it.

    Args:
        api_client: The client to use.
        runs: As for `wait_all`.
        concurrency: Maximum number of concurrent requests. Default: 16.

    Returns:
        The outcomes of the runs, in the order given; `error` is set if a run was not aborted.

    Raises:
        ApiTypeError: A value in ``runs`` is not a run.
        BatchError: The token was refused. Its ``report`` has the outcomes so far.
    """
    launches = _launches(runs)
    watch = Watch(api_client, launches)
    batch = runs.batch if isinstance(runs, Report) else None
    report = Report(launches, batch=batch, api_client=api_client)
    threads = ThreadPoolExecutor(concurrency)
    try:
        list(threads.map(watch.abort, list(watch.open.values())))
    except ApiException as error:
        raise BatchError(f"stopped aborting: {error}", report) from error
    finally:
        threads.shutdown(cancel_futures=True)
    return report


def _launches(runs: Runs) -> list[Launch]:
    """Return a launch for each run; a run that is given twice has one launch."""
    if isinstance(runs, (str, bytes)) or not isinstance(runs, Iterable):
        raise ApiTypeError(f"runs must be a report or a list of runs, not {kind(runs)}")
    known: dict[str, Launch] = {}
    return [
        known.setdefault(launch.run_id, launch) if launch.run_id else launch
        for launch in map(_launch, runs)
    ]


def _launch(run: Run) -> Launch:
    if isinstance(run, str):
        return Launch("", run)
    if isinstance(run, Launch):
        return dataclasses.replace(run)
    if not isinstance(run, (TaskRun, TaskRunSummary)):
        raise ApiTypeError(f"a run must be an id, a run or a launch, not {kind(run)}")
    launch = Launch(run.name or "")
    note(launch, run)
    return launch


class Watch:
    """Keeps the statuses of runs up to date.

    Args:
        api_client: The client to use.
        launches: The launches whose runs are watched; they are updated in place.
        until: Deadline for all requests, as `monotonic` counts. Default: none.

    Attributes:
        api: The API of runs.
        open: The runs that have not finished, by id.
        until: As given.
    """

    def __init__(
        self, api_client: ApiClient, launches: Iterable[Launch], until: float = math.inf
    ) -> None:
        self.api: TaskRunsApi = TaskRunsApi(api_client)
        self.open: dict[str, Launch] = {}
        self._launches = list(launches)
        self.until: float = until
        self._versions: set[str] = set()  # names and ids of versions, to filter lists by
        self._filtering = True
        self._pages = 1  # requests that the last listing took
        self._missing: Counter[str] = Counter()
        self._explained = {each.run_id for each in self._launches if each.status_details}
        self.add(self._launches)

    def add(self, launches: Iterable[Launch]) -> None:
        """Watch more runs."""
        for each in launches:
            if each.run_id is not None and not is_finished(each):
                self.open[each.run_id] = each

    def look(self) -> None:
        """Update the open runs, by lists and a limited number of single requests."""
        unseen = dict(self.open)
        if len(unseen) > self._pages:
            self._list(unseen)
        for run_id in islice(unseen, max(GETS, self._pages)):
            # Move it to the end, so that the next round requests other runs.
            self.open[run_id] = self.open.pop(run_id)
            self._get(run_id)

    def look_at_all(self) -> None:
        """Update every open run, one by one where lists do not show it."""
        unseen = dict(self.open)
        if len(unseen) > 1:
            self._list(unseen)
        _concurrently(self._get, list(unseen))

    def explain(self) -> None:
        """Request each run that did not complete, once, to find out why; see `explain`."""
        ended = [
            each
            for each in self._launches
            if each.run_id not in self._explained and each.status in FINISHED[1:]
        ]
        _concurrently(self._explain, ended)

    def _explain(self, launch: Launch) -> None:
        with suppress(ApiException):  # the next round tries again
            explain(launch, self.api.get_task_run(launch.run_id, **bounded(self.until)))
            self._explained.add(launch.run_id)

    def abort(self, launch: Launch) -> None:
        """Abort a run, unless it has finished."""
        run_id = launch.run_id
        for pause in (0.0, 1.0, 2.0, 4.0):
            sleep(pause)
            try:
                try:
                    note(launch, self.api.abort_task_run(run_id))
                except (BadRequestException, ConflictException) as error:
                    note(launch, self.api.get_task_run(run_id))
                    launch.error = None if is_finished(launch) else str(error)
                return
            except ApiException as error:
                launch.error = str(error)
                if error.status == 401:
                    raise
                if not passes(error):
                    return

    def see(self, run: AnyRun) -> None:
        """Update the launch of a run, if the run is watched and was not finished before."""
        launch = self.open.get(run.id or "")
        if launch is None:
            return
        note(launch, run)
        launch.name = launch.name or run.name or ""
        version = run.task_version_summary
        if version is not None:
            found = (version.id, version.version)
            self._versions.update(each for each in found if each and "," not in each)
        if is_finished(run):
            del self.open[run.id or ""]

    def _list(self, unseen: dict[str, Launch]) -> None:
        """List the newest runs until all of ``unseen`` are found; remove the found ones from it.

        As soon as the versions of the runs are known, the list is filtered by them, by name and by
        id, because the contract does not say which of the two the filter expects. An expired page
        token ends the listing; the next round continues with the runs that it did not show.
        """
        created = [launch.time_created for launch in unseen.values()]
        oldest = None if None in created else min(filter(None, created))
        versions = sorted(self._versions) if self._filtering else []
        most = max(10, 2 * math.ceil(len(unseen) / PAGE))
        token, seen, self._pages = None, 0, 0
        while unseen and self._pages < most:
            try:
                page = self.api.list_task_runs(
                    sort="timeCreated desc",
                    page_size=PAGE,
                    page_token=token,
                    versions=versions or None,
                    **bounded(self.until),
                )
            except ApiException as error:
                if token is None or error.status not in EXPIRED:
                    raise
                break
            self._pages += 1
            items = page.items or []
            for run in items:
                if run.id and unseen.pop(run.id, None) is not None:
                    self.see(run)
                    seen += 1
            token = page.next_page_token
            if not token or (items and _is_before(items[-1], oldest)):
                break
            if self._filtering and not versions and seen < len(items):
                versions = self._versions_of(unseen)
                token, seen = (None, 0) if versions else (token, seen)
        if versions and not seen:
            self._filtering = False  # the filter expects something else

    def _versions_of(self, unseen: Mapping[str, Launch]) -> list[str]:
        """Return the versions to filter by, once a list has shown runs of others."""
        if unseen and not self._versions:
            self._get(next(iter(unseen)))  # this run tells its version
        return sorted(self._versions)

    def _get(self, run_id: str) -> None:
        """Request one run; stop watching it if that is refused repeatedly."""
        try:
            run = self.api.get_task_run(run_id, **bounded(self.until))
        except (BadRequestException, ForbiddenException, NotFoundException) as error:
            self._missing[run_id] += 1
            if self._missing[run_id] >= MISSES:
                self.open.pop(run_id).error = str(error)
        else:
            self.see(run)


def _concurrently(work: Callable[[Item], object], items: Sequence[Item]) -> None:
    if items:
        threads = ThreadPoolExecutor(min(CONCURRENCY, len(items)))
        try:
            list(threads.map(work, items))
        finally:
            threads.shutdown(cancel_futures=True)


def explain(launch: Launch, run: TaskRun) -> None:
    """Copy the reason why a run did not complete to its launch."""
    launch.status_details = run.status_details
    log = run.logs[-1] if run.logs else None
    texts = [run.status_details]
    if log is not None:
        launch.stdout, launch.stderr = log.stdout, log.stderr
        texts += [log.error, log.error_details]
        launch.status_details = run.status_details or log.error or log.error_details
    found = _EXIT_STATUS.search(" ".join(filter(None, texts)))
    launch.exit_status = int(found[1]) if found else None


def _is_before(run: TaskRunSummary, moment: Optional[datetime]) -> bool:
    return moment is not None and run.time_created is not None and run.time_created < moment


def _seconds(poll: Poll) -> tuple[float, float]:
    """Return the first and the longest delay."""
    if poll is None:
        return POLL
    first, longest = poll if isinstance(poll, tuple) else (poll, poll)
    if not 0 < first <= longest < math.inf:
        raise ApiValueError("poll must be a positive number of seconds, or a pair: first, longest")
    return first, longest
