"""The engine `here`: runs attempts in threads of this process, on this machine."""

from __future__ import annotations

import logging
import math
import os
import threading
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import ClassVar, Optional, Union

from ..node import attempt as node
from ..node import processes
from ..node.job import Outcome
from .interface import Attempt, BusyError, Capacity, Engine, Report, State
from .options import positive

_logger = logging.getLogger(__name__)

NAME = "here"


class Here(Engine):
    """Runs attempts in threads of this process.

    Args:
        cpu: Processors to allocate. Default: those of this machine.
        memory_gb: Memory to allocate, in gigabytes. Default: that of this machine.

    Raises:
        ValueError: One of them is not a positive number.
    """

    embedded: ClassVar[bool] = True
    patience: float = 0.0

    def __init__(
        self, cpu: Union[float, str, None] = None, memory_gb: Union[float, str, None] = None
    ) -> None:
        self.name = NAME
        self.capacity: Capacity = Capacity(
            (os.cpu_count() or 1) if cpu is None else positive("cpu", cpu),
            _memory_gb() if memory_gb is None else positive("memory_gb", memory_gb),
        )
        self._threads: dict[str, _Thread] = {}
        processes.prepare()

    def submit(self, attempt: Attempt, announce: Callable[[], None]) -> str:
        """Start a thread for an attempt."""
        thread = _Thread(attempt, announce)
        try:
            thread.start()
        except (RuntimeError, MemoryError) as error:  # "can't start new thread"
            raise BusyError(str(error) or "out of memory") from error
        self._threads[attempt.name] = thread
        return attempt.name

    def find(self, names: Collection[str]) -> Mapping[str, str]:
        """Return those attempts that have a thread."""
        return {name: name for name in names if name in self._threads}

    def poll(self, handles: Collection[str]) -> Mapping[str, Report]:
        """Say which threads have done their work."""
        self._threads = {name: self._threads[name] for name in handles if name in self._threads}
        lost = Report(State.LOST)
        return {
            name: self._threads[name].report() if name in self._threads else lost
            for name in handles
        }

    def cancel(self, handle: str) -> None:
        """Ask a thread to end its attempt."""
        if handle in self._threads:
            self._threads[handle].stop.set()


class _Thread(threading.Thread):
    def __init__(self, attempt: Attempt, announce: Callable[[], None]) -> None:
        super().__init__(name=attempt.name, daemon=True)
        self.stop = threading.Event()
        self._folder = attempt.folder
        self._announce = announce
        self._outcome: Optional[Outcome] = None

    def report(self) -> Report:
        if self._outcome is None:
            return Report(State.RUNNING)
        return Report(State.ENDED, outcome=self._outcome)

    def run(self) -> None:
        try:
            self._outcome = self._run()
        except Exception as error:
            _logger.exception("unexpected error in attempt %s", self.name)
            details = f"Unexpected error: {error!r}"
            self._outcome = Outcome("Failed", details, {"error": details})
        self._announce()

    def _run(self) -> Outcome:
        try:
            return node.run(self._folder, self.stop)
        except node.AttemptError as error:
            if self.stop.is_set():
                return Outcome("Aborted", "The attempt was aborted before it began.", {})
            return Outcome("Failed", str(error), {"error": str(error)})


def left(folder: Path) -> Optional[Outcome]:
    """End what a killed service left of an attempt on this machine, and return how it ended.

    Returns:
        ``None`` if the attempt had not begun.
    """
    node.end_left(folder)
    outcome = node.outcome(folder)
    log = node.log_so_far(folder)
    if outcome is None and log:
        details = "The service was killed while the run was running."
        outcome = Outcome("Failed", details, {**log, "error": details})
    return outcome


def _memory_gb() -> float:
    """Return the memory of this machine; infinity where it is unknown."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    except (AttributeError, OSError, ValueError):
        return math.inf
