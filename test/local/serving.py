"""A service in a process of its own, as the command line starts it."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import Optional

from .caller import Caller


class Serving:
    def __init__(self, *options: str) -> None:
        command = [sys.executable, "-m", "libica.local", "serve", "--port", "0", *options]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.lines = [self.process.stdout.readline().strip() for _ in range(2)]

    @property
    def url(self) -> str:
        return self.lines[0].partition("=")[2]

    def caller(self) -> Caller:
        return Caller(self.url, self.lines[1].partition("=")[2])

    def end(self, number: Optional[int] = None) -> tuple[int, str]:
        """End it with a signal; return its exit status and what it said of errors."""
        self.process.send_signal(signal.SIGTERM if number is None else number)
        return self.ended()

    def ended(self) -> tuple[int, str]:
        _, errors = self.process.communicate(timeout=30)
        return self.process.returncode, errors
