"""Running work that may block, so that it can be ended at once."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

Check = Callable[[], None]
"""Called often during long work, to end it by raising an exception."""

T = TypeVar("T")
_CHECK_EVERY = 0.02
_GRACE = 2.0
"""Seconds for abandoned work to put things in order."""


def interruptible(work: Callable[[Check], T], check: Check) -> T:
    """Return what work returns, or raise what it or the check raises.

    Args:
        work: Runs in a thread, since nothing can end a call that blocks on a socket. It calls its
            argument often, which raises an exception once the work is abandoned.
        check: Called often; what it raises ends the work.
    """
    abandoned = threading.Event()
    future: Future[T] = Future()

    def inner_check() -> None:
        if abandoned.is_set():
            raise InterruptedError("abandoned")

    def run() -> None:
        try:
            future.set_result(work(inner_check))
        except BaseException as error:
            future.set_exception(error)

    try:
        threading.Thread(target=run, daemon=True).start()
    except RuntimeError as error:
        raise OSError(errno.EAGAIN, "no thread can be started now") from error
    try:
        while not wait((future,), _CHECK_EVERY).done:
            check()
    except BaseException:
        abandoned.set()
        wait((future,), _GRACE)
        raise
    return future.result()
