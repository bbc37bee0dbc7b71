"""Real programs that tests run: squid, tinyproxy and the like."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest


def real_part(program: str) -> str:
    """Return the path of a program that a test runs."""
    folders = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    return shutil.which(program, path=folders) or lacking(program, f"{program} is not installed")


def lacking(part: str, reason: str) -> NoReturn:
    """Skip a test that lacks a part, or fail it if ``LIBTES_REQUIRE_PARTS`` names the part."""
    if part in os.environ.get("LIBTES_REQUIRE_PARTS", "").split():
        pytest.fail(f"{reason}, and LIBTES_REQUIRE_PARTS names {part}")
    pytest.skip(reason)


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
        process.kill()  # none of them has anything to put in order
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
