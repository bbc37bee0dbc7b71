"""Progress bars and progress callbacks."""

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
    """Counts finished items, from any thread, and reports the count.

    Args:
        tell: Called with the number of finished items and a note about those that need
            attention; the note is empty if none do.
    """

    def __init__(self, tell: Callable[[int, str], object]) -> None:
        self._tell = tell
        self._done = 0
        self._lock = Lock()

    def update(self, n: int = 1, *, failed: int = 0, unsure: int = 0) -> None:
        """Count ``n`` more items; ``failed`` and ``unsure`` are totals."""
        counts = {"failed": failed, "unsure": unsure}
        note = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
        with self._lock:
            self._done += n
            self._tell(self._done, note)


@contextmanager
def bar(progress: Progress, total: Optional[int], what: str) -> Iterator[Bar]:
    """Show progress while the block runs.

    Args:
        progress: ``None`` for a bar on a terminal or in a notebook if tqdm is installed, ``True``
            to always show a bar, ``False`` for none, or a function that is called with the number
            of finished items and the total.
        total: Number of items; ``None`` if unknown, which the function gets as 0.
        what: Label of the bar.

    Raises:
        ModuleNotFoundError: ``progress`` is ``True`` and tqdm is not installed.
    """
    if callable(progress):
        yield Bar(lambda done, _: progress(done, total or 0))
    elif progress or (progress is None and _is_watched() and find_spec("tqdm")):
        with _tqdm()(desc=what, total=total, dynamic_ncols=True) as shown:
            yield Bar(partial(_show, shown))
    else:
        yield Bar(lambda *_: None)


def _show(shown: Any, done: int, note: str) -> None:
    """Update a tqdm bar; redraw it immediately if the note changed."""
    news = note != (shown.postfix or "")
    shown.set_postfix_str(note, refresh=False)
    shown.update(done - shown.n)
    if news:
        shown.refresh()


def in_notebook() -> bool:
    """Return whether this runs in a notebook, or in another front end of a Jupyter kernel."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")


def _is_watched() -> bool:
    return in_notebook() or (sys.stderr is not None and sys.stderr.isatty())


def _tqdm() -> Any:
    # Without ipywidgets, tqdm's own choice for notebooks warns, and fails in older versions.
    widgets = in_notebook() and find_spec("ipywidgets")
    try:
        return import_module("tqdm.notebook" if widgets else "tqdm.std").tqdm
    except ModuleNotFoundError as error:
        if error.name == "tqdm":
            error.msg += "; it comes with: pip install 'libica-libtes[progress]'"
        raise
