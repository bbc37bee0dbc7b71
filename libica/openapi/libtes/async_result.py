"""Calls in the background: their results, and the threads that run them."""

from __future__ import annotations

import atexit
import sys
import threading
import warnings
import weakref
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Optional, TypeVar

T = TypeVar("T")


class AsyncResult(Future[T]):
    """The result of a call with ``async_req=True``, which runs in the background.

    It is a ``concurrent.futures.Future`` with the methods of ``multiprocessing.pool.AsyncResult``.
    """

    def get(self, timeout: Optional[float] = None) -> T:
        """Wait for the result and return it, or raise what the call raised.

        Raises:
            TimeoutError: No result after ``timeout`` seconds; the call goes on.
        """
        __tracebackhide__ = True
        self.wait(timeout)
        if self.done():
            return self.result()
        import multiprocessing

        both = type("AsyncTimeoutError", (FutureTimeoutError, multiprocessing.TimeoutError), {})
        raise both(f"no result after {timeout} s; the call goes on")

    def wait(self, timeout: Optional[float] = None) -> None:
        """Wait for the end of the call, at most ``timeout`` seconds."""
        with suppress(FutureTimeoutError, CancelledError):
            self.exception(timeout)

    def ready(self) -> bool:
        """Tell whether the call has ended."""
        return self.done()

    def successful(self) -> bool:
        """Tell whether the call has ended without raising; ``ValueError`` if it has not ended."""
        if not self.done():
            raise ValueError(f"{self!r} not ready")
        return not self.cancelled() and self.exception() is None


class Workers:
    """Threads that run calls in order; they keep neither the interpreter nor the owner alive."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._calls: SimpleQueue[Any] = SimpleQueue()
        self._submitted = 0
        self._ended = threading.Semaphore(0)
        self._threads: list[threading.Thread] = []
        _ALL.add(self)

    def submit(self, call: Callable[[], T]) -> AsyncResult[T]:
        """Run a call in the background. The owner must not call this in two threads at once."""
        result: AsyncResult[T] = AsyncResult()
        self._submitted += 1
        self._calls.put((result, call))
        if len(self._threads) < self._count:
            given = (self._calls, self._ended)  # not the owner, which may be collected
            thread = threading.Thread(target=_work, args=given, name="libtes", daemon=True)
            self._threads.append(thread)
            thread.start()
        return result

    def cancel(self) -> None:
        """Cancel the calls that have not started, and let the threads end."""
        with suppress(Empty):
            while item := self._calls.get_nowait():
                item[0].cancel()
        self.__del__()

    def close(self) -> None:
        """Wait for all calls, then end the threads."""
        self.__del__()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()

    def finish(self, patience: float) -> int:
        """Wait while a call ends every ``patience`` seconds; return how many are left then."""
        for ended in range(self._submitted):
            if not self._ended.acquire(timeout=patience):
                return self._submitted - ended
        return 0

    def __del__(self) -> None:
        for _ in self._threads:
            self._calls.put(None)


def _work(calls: SimpleQueue[Any], ended: threading.Semaphore) -> None:
    __tracebackhide__ = True
    while (item := calls.get()) is not None:
        result, call = item
        if result.set_running_or_notify_cancel():
            try:
                result.set_result(call())
            except BaseException as error:  # the result is the only place to report it
                result.set_exception(error)
        del item, result, call
        ended.release()


PATIENCE = 2.0  # seconds that the exit of the interpreter waits for the next call to end
_ALL: weakref.WeakSet[Workers] = weakref.WeakSet()


@atexit.register
def _finish() -> None:
    """Let calls in the background end, unless one hangs or Ctrl-C ended the script."""
    interrupted = getattr(sys, "last_type", None) is KeyboardInterrupt
    dropped = 0 if interrupted else sum(workers.finish(PATIENCE) for workers in list(_ALL))
    if dropped:
        warnings.warn(f"{dropped} calls in the background had not ended", stacklevel=1)
