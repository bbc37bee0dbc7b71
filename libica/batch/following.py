"""Following a cohort: its report, kept up to date in a notebook or as lines on a terminal."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from importlib import import_module
from typing import Any, Optional

from libica.openapi.libtes import ApiClient, ApiValueError
from libica.openapi.libtes._redaction import confidential

from .progress import in_notebook
from .report import Report
from .waiting import Poll, follow


@confidential
def live(
    report: Report,
    api_client: Optional[ApiClient] = None,
    *,
    timeout: Optional[float] = None,
    poll: Poll = None,
) -> None:
    """Show a report, and keep it up to date until all of its runs have finished.

    In a notebook, the report stays in its place and changes there. Elsewhere, a line is printed
    whenever the counts have changed, and at the end the launches that did not succeed. The
    timeout and Ctrl-C end it; the report then has the current state.

    Args:
        report: The report; it is updated.
        api_client: The client to use. Default: the one that made this report.
        timeout: Maximum time in seconds, as for `wait_all`.
        poll: Seconds between two checks, as for `wait_all`.

    Raises:
        ApiValueError: There is no client, or ``poll`` is not positive.
        BatchError: The service refused to list runs, or did not respond for ten minutes.
    """
    client = api_client or report._client
    if client is None:
        raise ApiValueError("live needs an api_client: this report was not made with one")
    rounds = follow(client, report, timeout, poll)
    next(rounds)
    show = _in_notebook(report) if in_notebook() else _on_terminal(report)
    with suppress(KeyboardInterrupt):
        for _ in rounds:
            show()
    _, _, reasons = str(report).partition("\n")
    if reasons and not in_notebook():
        print(reasons, flush=True)


def _in_notebook(report: Report) -> Callable[[], object]:
    display: Any = import_module("IPython.display").display
    handle = display(report, display_id=True)
    return lambda: handle.update(report)


def _on_terminal(report: Report) -> Callable[[], object]:
    told = ""

    def show() -> None:
        nonlocal told
        if told != repr(report):
            told = repr(report)
            print(f"{datetime.now():%H:%M:%S}", told, flush=True)

    show()
    return show
