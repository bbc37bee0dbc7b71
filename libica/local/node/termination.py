"""What SIGINT and SIGTERM do to a process of ours."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from queue import SimpleQueue


def on_termination(act: Callable[[], object]) -> None:
    """Call a function, once, in a thread of its own, when SIGINT or SIGTERM arrives.

    A handler runs in the middle of whatever the main thread does. If it set an event that the main
    thread is beginning to wait for, both would wait for its lock for ever; a `SimpleQueue` is made
    to be used in handlers.
    """
    signals: SimpleQueue[int] = SimpleQueue()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: signals.put(number))

    def work() -> None:
        signals.get()
        act()

    threading.Thread(target=work, name="termination", daemon=True).start()
