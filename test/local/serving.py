"""A service in a process of its own, started by its command line."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import Optional

from .caller import PATIENCE, Caller


class Serving:
    def __init__(self, *options: str) -> None:
        command = [sys.executable, "-m", "libica.local", "serve", "--port", "0", *options]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.lines = [self.process.stdout.readline().strip() for _ in range(2)]
        self._callers: list[Caller] = []

    @property
    def url(self) -> str:
        return self.lines[0].partition("=")[2]

    def caller(self) -> Caller:
        self._callers.append(Caller(self.url, self.lines[1].partition("=")[2]))
        return self._callers[-1]

    def end(self, number: Optional[int] = None) -> tuple[int, str]:
        """End it with a signal; return its exit status and its standard error."""
        self.process.send_signal(signal.SIGTERM if number is None else number)
        return self.ended()

    def ended(self) -> tuple[int, str]:
        _, errors = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, errors

    def close(self) -> None:
        for caller in self._callers:
            caller.__exit__()
        if self.process.poll() is None:
            self.end()
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()
