"""Bars that show how far something is."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from threading import Lock
from typing import Any, Callable, Optional, Union

Progress = Union[bool, Callable[[int, int], object], None]


class Bar:
    """Counts what is done, from any thread, and passes it on.

    Args:
        tell: Called with how many are done, and a text of those that need attention, which is
            empty if there are none.
    """

    def __init__(self, tell: Callable[[int, str], object]) -> None:
        self._tell = tell
        self._done = 0
        self._lock = Lock()

    def update(self, n: int = 1, *, failed: int = 0, unsure: int = 0) -> None:
        """Count ``n`` more, and say how many have failed and are unsure by now."""
        counts = {"failed": failed, "unsure": unsure}
        note = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
        with self._lock:
            self._done += n
            self._tell(self._done, note)


@contextmanager
def bar(progress: Progress, total: Optional[int], what: str) -> Iterator[Bar]:
    """Show how far something is.

    Args:
        progress: ``None`` for a bar on a terminal or in a notebook if tqdm is installed,
            ``True`` for a bar in any case, ``False`` for none, or a function that is called with
            how many are done and how many there are.
        total: How many there are; ``None`` if unknown, which the function gets as 0.
        what: What is done, shown beside the bar.

    Raises:
        ModuleNotFoundError: ``progress`` is true, and tqdm is not installed.
    """
    if callable(progress):
        yield Bar(lambda done, _: progress(done, total or 0))
    elif progress or (progress is None and _is_watched() and find_spec("tqdm")):
        with _tqdm()(desc=what, total=total, dynamic_ncols=True) as shown:
            yield Bar(partial(_show, shown))
    else:
        yield Bar(lambda *_: None)


def _show(shown: Any, done: int, note: str) -> None:
    """Bring a bar of tqdm up to date, at once if the note is news."""
    news = note != (shown.postfix or "")
    shown.set_postfix_str(note, refresh=False)
    shown.update(done - shown.n)
    if news:
        shown.refresh()


def _is_watched() -> bool:
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel") or (sys.stderr is not None and sys.stderr.isatty())


def _tqdm() -> Any:
    try:
        return import_module("tqdm.auto").tqdm
    except ModuleNotFoundError as error:
        if error.name == "tqdm":
            error.msg += "; it comes with: pip install 'libica-libtes[progress]'"
        raise
