"""Waiting: for runs to finish, by pages of lists; and stopping them."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import islice
from time import monotonic, sleep
from typing import Optional, Union

from libica.openapi.libtes import (
    ApiClient,
    ApiException,
    ApiTypeError,
    ApiValueError,
    BadRequestException,
    ConflictException,
    NotFoundException,
    TaskRun,
    TaskRunsApi,
    TaskRunSummary,
)
from libica.openapi.libtes.rest import retry_after

from .calling import PATIENCE, AnyRun, BatchError, note, passes
from .progress import Progress, bar
from .report import FINISHED, Launch, Report

Run = Union[Launch, TaskRun, TaskRunSummary, str]
Runs = Iterable[Run]
Poll = Union[float, tuple[float, float], None]

PAGE = 1000
POLL = (1.0, 30.0)
GROWTH = 1.5
GETS = 10  # runs that no list shows, looked at in one round
MISSES = 3  # rounds in which there is no such run, before that is believed


def is_finished(run: Union[AnyRun, Launch, str, None]) -> bool:
    """Tell whether a run, or a status, is Completed, Failed, TimedOut or Aborted."""
    return (run if run is None or isinstance(run, str) else run.status) in FINISHED


def duration(run: Union[AnyRun, Launch]) -> Optional[timedelta]:
    """Return how long a run took from when it was made until it finished.

    ``None`` if it has not finished, or its times are not known.
    """
    if not is_finished(run) or run.time_created is None or run.time_modified is None:
        return None
    return run.time_modified - run.time_created


def wait(
    api_client: ApiClient, run: Run, *, timeout: Optional[float] = None, poll: Poll = None
) -> Launch:
    """Wait for one run; as `wait_all`, but returns what it knows of the one."""
    return wait_all(api_client, [run], timeout=timeout, poll=poll, progress=False)[0]


def wait_all(
    api_client: ApiClient,
    runs: Runs,
    *,
    timeout: Optional[float] = None,
    poll: Poll = None,
    progress: Progress = None,
) -> Report:
    """Wait until all runs are Completed, Failed, TimedOut or Aborted.

    They are looked at by lists of 1000, and one by one where that takes fewer calls. Failures
    that pass are waited out. Ctrl-C ends the waiting and returns what is known by then, as the
    time-out does: see `report.unfinished`.

    Args:
        api_client: How the service is called.
        runs: A report of `launch_all`, or any of: ids, runs, launches. Those that have no run are
            not waited for.
        timeout: Seconds to wait at most. Default: as long as it takes.
        poll: Seconds between two looks; or a pair, the first wait and the longest that it grows
            to. Default: 1 to 30.
        progress: Whether to show a bar: by default if somebody looks and tqdm is installed; or a
            function to call with how many are done and how many there are.

    Returns:
        What is known of the runs, in the order given.

    Raises:
        ApiTypeError: One of the runs is none.
        ApiValueError: The seconds are not positive.
        BatchError: The service refused to tell, or gave no answer for ten minutes. It has the
            report.
    """
    first, longest = _seconds(poll)
    until = math.inf if timeout is None else monotonic() + timeout
    watch = _Watch(api_client, runs)
    total = len(watch.open)
    with bar(progress, total, "Runs") as shown, suppress(KeyboardInterrupt):
        interval, waited = first, 0.0
        while watch.open:
            before, failure = len(watch.open), None
            try:
                watch.look()
            except ApiException as error:
                failure = error
            shown.update(before - len(watch.open))
            waited = waited if failure else 0.0
            if failure and (not passes(failure) or waited > PATIENCE):
                raise BatchError(f"the waiting was ended: {failure}", watch.report()) from failure
            asked = retry_after(failure.headers) if failure else None
            pause = min(max(interval, asked or 0.0), until - monotonic())
            if not watch.open or pause <= 0:
                break
            sleep(pause)
            waited += pause
            interval = min(longest, interval * GROWTH)
    return watch.report()


def abort_all(api_client: ApiClient, runs: Runs, *, concurrency: int = 16) -> Report:
    """Abort the runs that have not finished.

    That one has finished meanwhile is no error. A run that is under way may take a while to end:
    `wait_all` waits for that.

    Args:
        api_client: How the service is called.
        runs: As for `wait_all`.
        concurrency: How many calls may be under way at once. Default 16.

    Returns:
        What is known of the runs, in the order given; `error` says which could not be aborted.

    Raises:
        ApiTypeError: One of the runs is none.
        BatchError: The token was refused. It has the report.
    """
    watch = _Watch(api_client, runs)
    threads = ThreadPoolExecutor(concurrency)
    try:
        list(threads.map(watch.abort, list(watch.open.values())))
    except ApiException as error:
        raise BatchError(f"the aborting was ended: {error}", watch.report()) from error
    finally:
        threads.shutdown(cancel_futures=True)
    return watch.report()


class _Watch:
    """Runs, what is known of them, and how they are looked at."""

    def __init__(self, api_client: ApiClient, runs: Runs) -> None:
        self._api = TaskRunsApi(api_client)
        self._versions: set[str] = set()  # names and ids, by which a list can be filtered
        self._filtering = True
        self._pages = 1  # calls that the last listing took
        self._missing: Counter[str] = Counter()
        if isinstance(runs, (str, bytes)) or not isinstance(runs, Iterable):
            raise ApiTypeError(f"runs must be a report or a list of runs, not {_kind(runs)}")
        known: dict[str, Launch] = {}
        self._rows = [
            known.setdefault(launch.run_id, launch) if launch.run_id else launch
            for launch in map(self._row, runs)
        ]
        self.open = {key: launch for key, launch in known.items() if not is_finished(launch)}

    def report(self) -> Report:
        """Return what is known."""
        return Report(self._rows)

    def look(self) -> None:
        """See how the open runs are."""
        unseen = dict(self.open)
        if len(unseen) > self._pages:
            self._list(unseen)
        for run_id in islice(unseen, max(GETS, self._pages)):
            # To the end, so that it is the turn of others the next time.
            self.open[run_id] = self.open.pop(run_id)
            self._get(run_id)

    def abort(self, launch: Launch) -> None:
        """Abort a run, unless it has finished."""
        run_id = launch.run_id
        for pause in (0.0, 1.0, 2.0, 4.0):
            sleep(pause)
            try:
                try:
                    note(launch, self._api.abort_task_run(run_id))
                except (BadRequestException, ConflictException) as error:
                    note(launch, self._api.get_task_run(run_id))
                    launch.error = None if is_finished(launch) else str(error)
                return
            except ApiException as error:
                launch.error = str(error)
                if error.status in (401, 403):
                    raise
                if not passes(error):
                    return

    def _row(self, run: Run) -> Launch:
        if isinstance(run, str):
            return Launch("", run)
        if isinstance(run, Launch):
            return dataclasses.replace(run)
        if not isinstance(run, (TaskRun, TaskRunSummary)):
            raise ApiTypeError(f"a run must be an id, a run or a launch, not {_kind(run)}")
        launch = Launch(run.name or "")
        self._see(launch, run)
        return launch

    def _see(self, launch: Launch, run: AnyRun) -> None:
        note(launch, run)
        launch.name = launch.name or run.name or ""
        version = run.task_version_summary
        if version is not None:
            found = (version.id, version.version)
            self._versions.update(each for each in found if each and "," not in each)

    def _saw(self, run_id: str, run: AnyRun) -> None:
        self._see(self.open[run_id], run)
        if is_finished(run):
            del self.open[run_id]

    def _list(self, unseen: dict[str, Launch]) -> None:
        """Look at the newest runs until all are seen; takes out of ``unseen`` what it saw.

        The list is filtered by the versions of the runs as soon as they are known, by name and
        by id: the contract does not say which of them the filter takes.
        """
        created = [launch.time_created for launch in unseen.values()]
        oldest = None if None in created else min(filter(None, created))
        versions = sorted(self._versions) if self._filtering else []
        most = max(10, 2 * math.ceil(len(unseen) / PAGE))
        token, seen, self._pages = None, 0, 0
        while unseen and self._pages < most:
            page = self._api.list_task_runs(
                sort="timeCreated desc", page_size=PAGE, page_token=token, versions=versions or None
            )
            self._pages += 1
            items = page.items or []
            for run in items:
                if run.id and unseen.pop(run.id, None) is not None:
                    self._saw(run.id, run)
                    seen += 1
            token = page.next_page_token
            if not token or (items and _is_before(items[-1], oldest)):
                break
            if self._filtering and not versions and seen < len(items):
                versions = self._versions_of(unseen)
                token, seen = (None, 0) if versions else (token, seen)
        if versions and not seen:
            self._filtering = False  # the filter takes something else

    def _versions_of(self, unseen: Mapping[str, Launch]) -> list[str]:
        """Return what to filter by when a list shows the runs of others too."""
        if unseen and not self._versions:
            self._get(next(iter(unseen)))  # it is seen again in the list
        return sorted(self._versions)

    def _get(self, run_id: str) -> None:
        try:
            run = self._api.get_task_run(run_id)
        except NotFoundException as error:
            self._missing[run_id] += 1
            if self._missing[run_id] >= MISSES:
                self.open.pop(run_id).error = str(error)
        else:
            self._saw(run_id, run)


def _is_before(run: TaskRunSummary, moment: Optional[datetime]) -> bool:
    return moment is not None and run.time_created is not None and run.time_created < moment


def _seconds(poll: Poll) -> tuple[float, float]:
    """Return the first wait and the longest."""
    if poll is None:
        return POLL
    first, longest = poll if isinstance(poll, tuple) else (poll, poll)
    if not 0 < first <= longest < math.inf:
        raise ApiValueError("poll must be positive seconds, or a pair of them, the longer last")
    return first, longest


def _kind(value: object) -> str:
    return "None" if value is None else type(value).__name__
