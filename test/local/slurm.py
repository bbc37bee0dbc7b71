"""A real Slurm for tests."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ..helpers import ROOT
from ..real_parts import free_port, lacking, real_part
from .bench import is_alive
from .caller import Caller, wait_until
from .serving import Serving


def require_slurm() -> None:
    """Skip a test if no Slurm runs here."""
    if not _is_up():
        lacking("slurm", "no Slurm runs here; .ci/slurm starts one")


@functools.cache
def _is_up() -> bool:
    try:
        states = slurm("sinfo", "--noheader", "--format=%T", seconds=10).split()
    except (OSError, subprocess.SubprocessError):
        states = []
    return not {"idle", "mixed", "allocated"}.isdisjoint(states)


def slurm(*command: str, seconds: float = 30) -> str:
    """Run a command of Slurm; return what it prints."""
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=seconds)
    return done.stdout


class Lab:
    """A service whose attempts are jobs of Slurm, all with one name.

    Each command of Slurm, the service's and the test's, leaves its name in a file.
    """

    def __init__(
        self, folder: Path, serve: Callable[..., Serving], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.title = f"test-{uuid.uuid4().hex}"
        self.data = folder / "data"
        self.marks = folder / "marks"
        self.marks.mkdir()
        self._serve = serve
        self._calls = folder / "calls"
        self._bin = folder / "bin"
        self._bin.mkdir()
        self._real = {name: real_part(name) for name in ("sbatch", "squeue", "sacct", "scancel")}
        for name in self._real:
            self.replace(name, 'exec $real "$@"')
        monkeypatch.setenv("PATH", f"{self._bin}{os.pathsep}{os.environ['PATH']}")

    def replace(self, name: str, script: str) -> None:
        """Put a script in the place of a command of Slurm, which is `$real` there."""
        file = self._bin / f"{name}.new"
        file.write_text(
            f"#!/bin/sh\nreal={self._real[name]}\necho {name} >>{self._calls}\n{script}\n"
        )
        file.chmod(0o755)
        file.rename(self._bin / name)

    def calls(self) -> list[str]:
        return self._calls.read_text().split()

    def start(self, *options: object, **engine_options: object) -> Caller:
        """Start the service, or the next one for the same data."""
        self.serving = self._serve(
            *("--data", self.data, "--retry-delay", 0.1, "--engine", "slurm"),
            *(f"--engine-option={key}={value}" for key, value in engine_options.items()),
            *options,
        )
        return self.serving.caller()

    def launch(self, caller: Caller, script: str, mark: str = "run", **execution: Any) -> str:
        """Start a run that first leaves a line in a file; return its id."""
        args = ["-c", f"echo >>{self.marks}/{mark}; {script}"]
        shell = {"image": {"name": "any"}, "command": "sh", "args": args, "retryLimit": 0}
        return str(caller.start({**shell, **execution}, name=self.title)["id"])

    def executed(self) -> dict[str, int]:
        """Return how often each run's command was started."""
        return {each.name: each.read_text().count("\n") for each in self.marks.iterdir()}

    def jobs(self, *options: str) -> list[str]:
        """Return the ids of the jobs that have not ended, or of what squeue's options choose."""
        command = ["squeue", "--noheader", "--format=%A", f"--name={self.title}"]
        return slurm(*command, *options).split()

    def job(self, state: str) -> str:
        """Wait until there is a job in a state; return its id."""
        wait_until(lambda: self.jobs(f"--states={state}"))
        (job,) = self.jobs(f"--states={state}")
        return job

    def close(self) -> None:
        self.serving.close()
        slurm("scancel", f"--name={self.title}")


class Cluster:
    """A Slurm that no other test uses; commands use it as long as `SLURM_CONF` says so."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = [str(free_port()), str(free_port())]
        self.start()

    def start(self) -> None:
        """Start those daemons that do not run."""
        command = [ROOT / ".ci" / "slurm", self._folder, *self._ports]
        subprocess.run(command, check=True, timeout=120)
        with (self._folder / "slurm.conf").open("a") as conf:
            conf.write("MessageTimeout=3\n")  # for the commands alone, after which they give up

    def signal(self, daemon: str, number: int) -> int:
        """Send a signal to a daemon; return its process id."""
        pid = int((self._folder / f"{daemon}.pid").read_text())
        os.kill(pid, number)
        return pid

    def stop(self, *daemons: str) -> None:
        for daemon in daemons:
            self.signal(daemon, signal.SIGCONT)
            pid = self.signal(daemon, signal.SIGTERM)
            wait_until(lambda: not is_alive(pid))  # noqa: B023
