"""Progress: bars on terminals and in notebooks, callbacks, and silence elsewhere."""

from __future__ import annotations

import io
import itertools
import os
import re
import struct
import subprocess
import sys
import threading
from typing import Any, Optional

import pytest

from libica.batch.progress import bar

from ..helpers import ROOT, run_python

SHOW = (
    "from libica.batch.progress import bar\nwith bar({}, 3, 'Launches') as shown: shown.update(2)"
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown_on(stream: Optional[io.StringIO], progress: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(sys, "stderr", stream)
    with bar(progress, 3, "Launches") as shown:
        shown.update()
        shown.update(2)
    return stream.getvalue() if stream else ""


@pytest.mark.parametrize(("total", "told_total"), [(5, 5), (None, 0)])
def test_a_function_is_called_with_the_counts_and_its_errors_are_raised(
    total: Optional[int], told_total: int
) -> None:
    told: list[tuple[int, int]] = []
    with bar(lambda done, total: told.append((done, total)), total, "Launches") as shown:
        for count in (1, 3, 1):
            shown.update(count)
        shown.update()
    assert told == [(done, told_total) for done in (1, 4, 5, 6)]
    with pytest.raises(ZeroDivisionError), bar(lambda *_: 1 // 0, total, "Launches") as shown:
        shown.update()


def test_a_function_is_called_in_order_by_one_thread_at_a_time() -> None:
    told: list[int] = []
    with bar(lambda done, total: told.append(done), 4000, "Launches") as shown:
        threads = [
            threading.Thread(target=lambda: [shown.update() for _ in range(1000)]) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert told == list(range(1, 4001))


@pytest.mark.parametrize(
    ("stream", "progress", "shown"),
    [
        (Terminal, None, True),
        (Terminal, False, False),
        (io.StringIO, True, True),
        (io.StringIO, None, False),
        (io.StringIO, False, False),
        (lambda: None, None, False),
    ],
)
def test_a_bar_is_shown_on_a_terminal_unless_the_argument_says_otherwise(
    stream: Any, progress: Any, shown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tqdm")
    told = shown_on(stream(), progress, monkeypatch)
    assert ("Launches: 100%" in told and "3/3" in told) == shown
    assert shown or not told


def test_a_bar_shows_how_many_launches_failed_or_are_unsure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("tqdm")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with bar(True, 5000, "Launches") as shown:
        for counts in ({}, {"unsure": 1}, {"failed": 1200, "unsure": 2}, {"failed": 1200}):
            shown.update(10, **counts)  # faster than tqdm redraws by itself
    notes = re.findall(r"it/s(?:, ([^]]*))?\]", terminal.getvalue())
    assert [each for each, _ in itertools.groupby(notes)] == [
        "",
        "1 unsure",
        "1,200 failed, 2 unsure",
        "1,200 failed",
    ]


def test_a_real_terminal_shows_a_bar() -> None:
    pytest.importorskip("tqdm")
    fcntl, termios = pytest.importorskip("fcntl"), pytest.importorskip("termios")
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
    command = [sys.executable, "-W", "error", "-c", SHOW.format(None)]
    subprocess.run(command, cwd=ROOT, stderr=theirs, timeout=60, check=True)
    os.close(theirs)
    assert b"2/3" in os.read(ours, 10000)
    os.close(ours)


def test_without_tqdm_only_a_requested_bar_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "tqdm"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "path_importer_cache", {})
    assert shown_on(Terminal(), None, monkeypatch) == ""
    with pytest.raises(ModuleNotFoundError, match=r"tqdm.*pip install 'libica-libtes\[progress\]'"):
        shown_on(Terminal(), True, monkeypatch)


def test_tqdm_is_not_loaded_before_it_is_used() -> None:
    ask = "\nimport sys\nprint('tqdm' in sys.modules)"
    assert run_python(SHOW.format(None) + ask) == "False\n"
