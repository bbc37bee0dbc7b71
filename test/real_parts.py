"""Programs that tests run for real: squid, tinyproxy and the like."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

REQUIRED = "LIBTES_REQUIRE_PARTS"
"""The environment variable that makes a missing part a failure; CI sets it."""


def real_part(name: str) -> str:
    """Return the path of a program; without it the test is skipped, or fails where CI says so."""
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/lib/squid")
    if path is None:
        missing(f"{name} is not installed")
    return path


def missing(why: str) -> None:
    """Skip the test, or fail it where every part is required."""
    if os.environ.get(REQUIRED):
        pytest.fail(f"{why}, and {REQUIRED} is set")
    pytest.skip(why)


def free_port() -> int:
    """Return a port of 127.0.0.1 that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(command: Sequence[str], port: int, folder: Path) -> Iterator[None]:
    """Run a program that listens on a port of 127.0.0.1, for as long as the block lasts."""
    log = folder / "output.txt"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=output)
    try:
        end = time.monotonic() + 30
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > end:
                said = log.read_text(errors="replace")[-2000:]
                raise AssertionError(f"{command[0]} does not listen: {said}")
            time.sleep(0.02)
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


if sys.platform == "win32":  # nothing of this is there
    pytest.skip("the real parts run on Unix", allow_module_level=True)
