"""Bars that show how far something is."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from threading import Lock
from typing import Any, Callable, Optional, Union

Progress = Union[bool, Callable[[int, int], object], None]


class Bar:
    """Counts what is done, from any thread, and tells it on."""

    def __init__(self, tell: Callable[[int], object]) -> None:
        self._tell = tell
        self._done = 0
        self._lock = Lock()

    def update(self, n: int = 1) -> None:
        """Count ``n`` more."""
        with self._lock:
            self._done += n
            self._tell(self._done)


@contextmanager
def bar(progress: Progress, total: Optional[int], what: str) -> Iterator[Bar]:
    """Show how far something is.

    Args:
        progress: ``None`` for a bar where someone looks (a terminal or a notebook) and tqdm is
            installed, ``True`` for a bar in any case, ``False`` for none, or a function that is
            called with how many are done and how many there are.
        total: How many there are; ``None`` if unknown, which the function gets as 0.
        what: What is done, shown beside the bar.

    Raises:
        ModuleNotFoundError: ``progress`` is true, and tqdm is not installed.
    """
    if callable(progress):
        yield Bar(lambda done: progress(done, total or 0))
    elif progress or (progress is None and _someone_looks() and find_spec("tqdm")):
        with _tqdm()(desc=what, total=total, dynamic_ncols=True) as shown:
            yield Bar(lambda done: shown.update(done - shown.n))
    else:
        yield Bar(lambda _: None)


def _someone_looks() -> bool:
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel") or (sys.stderr is not None and sys.stderr.isatty())


def _tqdm() -> Any:
    try:
        return import_module("tqdm.auto").tqdm
    except ModuleNotFoundError as error:
        if error.name == "tqdm":
            error.msg += "; it comes with: pip install 'libica-libtes[progress]'"
        raise
