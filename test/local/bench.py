"""Runs one attempt from start to end, with stand-ins for the commands of images."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any, Optional

from libica.local.node import attempt
from libica.local.node.job import Job, Outcome, Settings

KEPT = {"job.json", "log.json", "outcome.json", "lock"}


class Bench:
    """Settings with folders of their own and a `PATH` on which stand-ins come first."""

    def __init__(self, folder: Path, *, grace: float = 0.2, **options: Any) -> None:
        self.gds = folder / "gds"
        self.attempts = folder / "attempts"
        self.bin = folder / "bin"
        self.bin.mkdir(parents=True)
        (self.gds / ".s3").mkdir(parents=True)  # in place of S3 itself
        path = f"{self.bin}{os.pathsep}{os.defpath}"
        self.settings = Settings(str(self.gds), path=path, grace=grace, **options)

    def command(self, name: str, script: str) -> Path:
        """Put a stand-in shell script on the PATH."""
        file = self.bin / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)
        return file

    def put(self, path: str, text: str) -> Path:
        """Write a file in the gds folder."""
        file = self.gds / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def read(self, path: str) -> str:
        """Read a file in the gds folder."""
        return (self.gds / path).read_text()

    def run(
        self, execution: dict[str, Any], stop: Optional[threading.Event] = None, number: int = 1
    ) -> Outcome:
        """Run one attempt of the run `trn.1`; nothing but what is known of it stays."""
        folder = self.create(execution, number)
        outcome = attempt.run(folder, stop or threading.Event())
        if not self.settings.keeps_files_of(outcome.status):
            assert {path.name for path in folder.iterdir()} <= KEPT
        attempt.remove(folder)
        return outcome

    def create(self, execution: dict[str, Any], number: int = 1, run_id: str = "trn.1") -> Path:
        """Create the folder of an attempt."""
        execution = {"systemFiles": {"url": "gds://volume/logs"}, **execution}
        return attempt.create(self.attempts, Job(run_id, execution, number), self.settings)

    def shell(self, script: str, **more: Any) -> Outcome:
        """Run a shell script."""
        return self.run({"command": "sh", "args": ["-c", script], **more})

    def stdout(self) -> str:
        """Read the standard output of the first attempt."""
        return self.read("volume/logs/trn.1/stdout-1.log")


def completed(outcome: Outcome) -> Outcome:
    assert outcome.status == "Completed", outcome
    return outcome


def is_alive(pid: int) -> bool:
    """Return whether a process runs, and is not a zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:  # no /proc, or it has just ended
        return not Path("/proc/self").exists()
