"""The command in a process of its own, with pipes or in a terminal."""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple, Optional

from ..local.caller import PATIENCE

COMMAND = (sys.executable, "-m", "libica.cli")
_TAKE_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # so that Ctrl-C is a signal
os.execv(sys.argv[1], sys.argv[1:])
"""
_UNSET = ("ICA_", "COLUMNS", "NO_COLOR", "FORCE_COLOR", "LIBICA_", "SSL_CERT_FILE")


class Result(NamedTuple):
    status: int
    out: str
    errors: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Command:
    """Runs ``libica-tes`` in a folder, for a service."""

    def __init__(self, folder: Path, url: str, token: str) -> None:
        self.folder = folder
        self.env = {"ICA_BASE_URL": url, "ICA_ACCESS_TOKEN": token}

    def _env(self, env: Optional[dict[str, str]]) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(_UNSET)}
        given = {**kept, "PYTHONPATH": _absolute_path(), **self.env, **(env or {})}
        return {key: value for key, value in given.items() if value}

    def start(self, *arguments: object, env: Optional[dict[str, str]] = None) -> Any:
        return subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
            cwd=self.folder,
            env=self._env(env),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )

    def __call__(self, *arguments: object, env: Optional[dict[str, str]] = None) -> Result:
        """Run it; no output may show the token or a traceback."""
        with self.start(*arguments, env=env) as process:
            out, errors = process.communicate(timeout=PATIENCE)
        assert "Traceback" not in errors, errors
        assert self.env["ICA_ACCESS_TOKEN"] not in out + errors
        return Result(process.returncode, out, errors)

    def ok(self, *arguments: object) -> Result:
        result = self(*arguments)
        assert result.status == 0, result
        return result

    def refused(self, status: int, *arguments: object, env: Optional[dict[str, str]] = None) -> str:
        """Return the one line that says why."""
        result = self(*arguments, env=env)
        assert result.status == status, result
        line = result.errors.splitlines()[-1]
        assert line.startswith("libica-tes: ")
        return line

    def in_terminal(self, *arguments: object, columns: int = 80, interrupt_at: str = "") -> Result:
        """Run it in a terminal; press Ctrl-C as soon as it shows a pattern."""
        import fcntl
        import pty
        import struct
        import termios

        terminal, inside = pty.openpty()
        fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        process = subprocess.Popen(
            [sys.executable, "-I", "-c", _TAKE_TERMINAL, *COMMAND, *map(str, arguments)],
            cwd=self.folder,
            env={**self._env(None), "TERM": "xterm-256color"},
            stdin=inside,
            stdout=inside,
            stderr=inside,
            start_new_session=True,
        )
        os.close(inside)
        shown, waits = b"", bool(interrupt_at)
        while data := _read(terminal):
            shown += data
            if waits and re.search(interrupt_at.encode(), shown):
                os.write(terminal, b"\x03")
                waits = False
        os.close(terminal)
        text = shown.decode().replace("\r\n", "\n")
        return Result(process.wait(PATIENCE), text, "")


def _read(terminal: int) -> bytes:
    ready, _, _ = select.select([terminal], [], [], PATIENCE)
    assert ready, "the command shows nothing more and does not end"
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # how Linux tells that the program has ended
        return b""


def _absolute_path() -> str:
    given = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    return os.pathsep.join(map(os.path.abspath, given))
