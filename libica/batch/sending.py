"""Threads that send the launches of a ledger."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any, Optional

from libica.openapi.libtes import ApiException, TaskRun, TlsException

from . import calling
from .calling import Pace, passes
from .ledger import Ledger
from .mark import marked

AHEAD = 8
"""Launches per thread that are written to the journal at once."""

FORBIDDEN = 20
"""Consecutive 403 responses after which the whole batch stops."""


class Sender:
    """Sends the launches of a ledger in several threads.

    Args:
        ledger: The launches.
        sync: Waits until the journal is on disk.
        launch: Sends the body of a launch request.
        text: Description of the version: the default description of its runs.
        stop_on_error: Whether to stop the batch when a launch is refused.
    """

    def __init__(
        self,
        ledger: Ledger,
        sync: Callable[[], object],
        launch: Callable[[Mapping[str, Any]], TaskRun],
        text: Optional[str],
        stop_on_error: bool,
    ) -> None:
        self._ledger = ledger
        self._sync = sync
        self._launch = launch
        self._text = text
        self._stop_on_error = stop_on_error
        self._pace = Pace()
        self._forbidden = 0
        self._threads: list[threading.Thread] = []
        self._block = 0  # launches that are written to the journal at once

    def start(self, concurrency: int) -> None:
        """Start this many threads that send, and one that writes the journal ahead of them."""
        workers = min(concurrency, self._ledger.left)
        self._block = AHEAD * workers
        self._threads = [
            threading.Thread(target=self._guard, args=(work,), name="libica-batch", daemon=True)
            for work in [self._prepare, *[self._work] * workers]
        ]
        for each in self._threads:
            each.start()

    def join(self, seconds: float = threading.TIMEOUT_MAX) -> None:
        """Wait for the threads to end, at most this many seconds."""
        until = monotonic() + seconds
        for each in filter(threading.Thread.is_alive, self._threads):  # some may not have started
            each.join(max(0.0, min(until - monotonic(), threading.TIMEOUT_MAX)))

    def _guard(self, work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:  # nothing above a thread would handle it
            self._ledger.stop(error)

    def _prepare(self) -> None:
        """Write launches to the journal ahead of the senders, so that they never wait for disk."""
        ledger = self._ledger
        while not ledger.ended:
            rows = ledger.write(self._block)
            if rows:
                self._sync()
                ledger.written(rows)
            with ledger.changed:
                ledger.changed.wait_for(lambda: ledger.ended or ledger.low(self._block // 2))

    def _work(self) -> None:
        while (taken := self._take()) is not None:
            self._send(*taken)

    def _take(self) -> Optional[tuple[int, bytes]]:
        """Wait for a launch to send; return `None` when the batch has ended."""
        ledger = self._ledger
        with ledger.changed:
            while not ledger.ended:
                wait = self._pace.wait()
                if wait > 0:
                    ledger.changed.wait(wait)
                elif (taken := ledger.take()) is not None:
                    if ledger.ready == self._block // 2:
                        ledger.changed.notify_all()  # wake the thread that writes the journal
                    return taken
                else:
                    ledger.changed.wait()
        return None

    def _send(self, row: int, request: bytes) -> None:
        body = json.loads(request)
        mark = self._ledger.mark(row)
        if mark is not None:
            body["description"] = marked(body.get("description", self._text), mark)
        try:
            run = self._launch(body)
        except ApiException as error:
            self._failed(row, error)
        else:
            self._forbidden = 0
            if run.id is None:
                self._ledger.lose(row, "the response has no id")
            else:
                self._ledger.settle(row, run)
                self._pace.succeeded()

    def _failed(self, row: int, error: ApiException) -> None:
        """Decide what to do with a launch that failed, and whether the batch goes on."""
        with self._ledger.changed:
            if error.may_have_happened:
                self._ledger.lose(row, str(error))
            elif passes(error, "POST"):
                self._ledger.put_back(row)
            else:
                self._refused(row, error)
                return
            self._pace.failed(error, len(self._threads))
            if self._pace.waited > calling.WAITS.patience:
                self._ledger.stop(error)

    def _refused(self, row: int, error: ApiException) -> None:
        self._pace.succeeded()
        self._ledger.refuse(row, str(error))
        self._forbidden = self._forbidden + 1 if error.status == 403 else 0
        fatal = error.status == 401 or isinstance(error, TlsException)
        if fatal or self._stop_on_error or self._forbidden >= FORBIDDEN:
            self._ledger.stop(error)
