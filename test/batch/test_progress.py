"""Progress: shown where someone looks, told to functions, and otherwise silent."""

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


def without_tqdm(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "tqdm"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "path_importer_cache", {})


# Functions


def test_a_function_is_told_how_many_are_done_and_how_many_there_are() -> None:
    told: list[tuple[int, int]] = []
    with bar(lambda done, total: told.append((done, total)), 5, "Launches") as shown:
        for count in (1, 3, 1):
            shown.update(count)
        shown.update()
    assert told == [(1, 5), (4, 5), (5, 5), (6, 5)]


def test_a_total_that_is_not_known_is_0_for_a_function() -> None:
    told: list[tuple[int, int]] = []
    with bar(lambda done, total: told.append((done, total)), None, "Launches") as shown:
        shown.update(2)
    assert told == [(2, 0)]


def test_a_function_is_told_in_order_by_one_thread_at_a_time() -> None:
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


def test_an_error_of_a_function_is_not_hidden() -> None:
    shows = bar(lambda done, total: 1 // 0, 1, "Launches")
    with pytest.raises(ZeroDivisionError), shows as shown:
        shown.update()


# Bars


def test_a_terminal_shows_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tqdm")
    told = shown_on(Terminal(), None, monkeypatch)
    assert "Launches: 100%" in told
    assert "3/3" in told


def test_a_bar_shows_how_many_failed_and_are_unsure_by_now(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tqdm")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with bar(True, 5000, "Launches") as shown:
        for counts in ({}, {"unsure": 1}, {"failed": 1200, "unsure": 2}, {"failed": 1200}):
            shown.update(10, **counts)  # too soon one after the other for tqdm to draw by itself
    notes = re.findall(r"it/s(?:, ([^]]*))?\]", terminal.getvalue())
    assert [each for each, _ in itertools.groupby(notes)] == [
        "",
        "1 unsure",
        "1,200 failed, 2 unsure",
        "1,200 failed",
    ]


@pytest.mark.parametrize("progress", [None, False])
def test_no_terminal_shows_nothing(progress: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown_on(io.StringIO(), progress, monkeypatch) == ""


def test_a_bar_that_was_asked_for_is_shown_in_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tqdm")
    assert "3/3" in shown_on(io.StringIO(), True, monkeypatch)


def test_a_bar_that_nobody_wants_is_not_shown_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert shown_on(Terminal(), False, monkeypatch) == ""


def test_a_program_without_standard_error_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown_on(None, None, monkeypatch) == ""


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


# Without tqdm


def test_without_tqdm_a_terminal_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    without_tqdm(monkeypatch)
    assert shown_on(Terminal(), None, monkeypatch) == ""


def test_without_tqdm_a_bar_that_was_asked_for_is_an_error_that_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without_tqdm(monkeypatch)
    with pytest.raises(ModuleNotFoundError, match=r"tqdm.*pip install 'libica-libtes\[progress\]'"):
        shown_on(Terminal(), True, monkeypatch)


def test_tqdm_is_not_loaded_before_it_is_used() -> None:
    ask = "\nimport sys\nprint('tqdm' in sys.modules)"
    assert run_python(SHOW.format(None) + ask) == "False\n"
