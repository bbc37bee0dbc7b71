"""Progress: bars on terminals and in notebooks, callbacks, and silence elsewhere."""

from __future__ import annotations

import io
import itertools
import os
import re
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Optional

import pytest

from libica.batch.progress import bar

from ..helpers import ROOT

SHOW = "from libica.batch.progress import bar\nwith bar(None, 3, 'Launches') as it: it.update(2)"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("total", "told_total"), [(4000, 4000), (None, 0)])
def test_a_function_is_called_by_one_thread_at_a_time(
    total: Optional[int], told_total: int
) -> None:
    told: list[tuple[int, int]] = []
    with bar(lambda *counts: told.append(counts), total, "Launches") as shown:
        with ThreadPoolExecutor(4) as threads:
            for _ in range(4):
                threads.submit(lambda: [shown.update() for _ in range(999)])
        shown.update(4)
    assert told == [(done, told_total) for done in (*range(1, 3997), 4000)]
    with pytest.raises(ZeroDivisionError), bar(lambda *_: 1 // 0, total, "Launches") as shown:
        shown.update()


@pytest.mark.parametrize(
    ("stream", "progress", "shown"),
    [
        (Terminal(), None, True),
        (Terminal(), False, False),
        (io.StringIO(), True, True),
        (io.StringIO(), None, False),
        (io.StringIO(), False, False),
        (None, None, False),
    ],
)
def test_a_bar_is_shown_on_a_terminal_unless_the_argument_says_otherwise(
    stream: Any, progress: Any, shown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tqdm")
    monkeypatch.setattr(sys, "stderr", stream)

    def told() -> str:
        with bar(progress, 3, "Launches") as it:
            it.update()
            it.update(2)
        return stream.getvalue() if stream else ""

    first = told()
    assert ("Launches: 100%" in first and "3/3" in first) == shown
    assert shown or not first
    monkeypatch.setitem(sys.modules, "tqdm", None)
    if progress is None:  # only a bar that was asked for is an error where tqdm is missing
        assert told() == first


def test_a_bar_shows_how_many_failed_or_are_unsure(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tqdm")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with bar(True, 5000, "Launches") as shown:
        for counts in ({}, {"unsure": 1}, {"failed": 1200, "unsure": 2}, {"failed": 1200}):
            shown.update(10, **counts)  # faster than tqdm redraws by itself
    notes = re.findall(r"it/s(?:, ([^]]*))?\]", terminal.getvalue())
    expected = ["", "1 unsure", "1,200 failed, 2 unsure", "1,200 failed"]
    assert [each for each, _ in itertools.groupby(notes)] == expected


def test_a_real_terminal_shows_a_bar() -> None:
    pytest.importorskip("tqdm")
    fcntl, termios = pytest.importorskip("fcntl"), pytest.importorskip("termios")
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
    command = [sys.executable, "-W", "error", "-c", SHOW]
    subprocess.run(command, cwd=ROOT, stderr=theirs, timeout=60, check=True)
    os.close(theirs)
    assert b"2/3" in os.read(ours, 10000)
    os.close(ours)
