"""Folders of attempts: what is in them, who may run them, and running them in a process."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Optional

import pytest

from libica.local.node import attempt
from libica.local.node.attempt import AttemptError
from libica.local.node.job import Job, Outcome, Settings

from .bench import Bench, completed
from .caller import PATIENCE, wait_until

pytestmark = pytest.mark.skipif(os.name != "posix", reason="runs shell scripts")


def node(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run ``python -m libica.local.node``."""
    line = [sys.executable, "-m", "libica.local.node", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, timeout=PATIENCE)


def shell(bench: Bench, script: str, **more: Any) -> Path:
    """Create an attempt of a shell script."""
    return bench.create({"command": "sh", "args": ["-c", script], **more})


def test_an_attempt_runs_once_and_its_outcome_stays(bench: Bench, tmp_path: Path) -> None:
    folder = shell(bench, f"echo ran >>{tmp_path}/count; exit 3")
    assert attempt.outcome(folder) is None
    assert attempt.log_so_far(folder) == {}
    first = attempt.run(folder, threading.Event())
    assert first.status == "Failed"
    assert attempt.run(folder, threading.Event()) == attempt.outcome(folder) == first
    assert attempt.log_so_far(folder) == first.log
    attempt.end_left(folder)
    assert attempt.outcome(folder) == first
    assert (tmp_path / "count").read_text() == "ran\n"
    attempt.remove(folder)
    assert not list(bench.attempts.iterdir())
    attempt.end_left(folder)  # does nothing, as does removing it twice
    attempt.remove(folder)


@pytest.mark.parametrize("mask", [0, 0o077])
def test_only_its_user_may_see_an_attempt(bench: Bench, mask: int) -> None:
    before = os.umask(mask)
    try:
        folder = shell(bench, "true", environment={"variables": {"SECURE_X": "hidden"}})
        completed(attempt.run(folder, threading.Event()))
    finally:
        os.umask(before)
    assert folder.stat().st_mode & 0o777 == 0o700
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert modes == dict.fromkeys(("job.json", "log.json", "outcome.json", "lock"), 0o600)


def test_logs_are_known_and_grow_while_an_attempt_is_running(bench: Bench) -> None:
    folder = shell(bench, "echo first; while [ ! -e /in/go ]; do sleep 0.01; done; echo second")
    stop = threading.Event()
    thread = threading.Thread(target=attempt.run, args=(folder, stop))
    thread.start()
    wait_until(lambda: "stdout" in attempt.log_so_far(folder))
    assert set(attempt.log_so_far(folder)) == {"startTime", "stdout", "stderr"}
    wait_until(lambda: bench.stdout() == "first\n")
    stop.set()
    thread.join()
    outcome = attempt.outcome(folder)
    assert outcome is not None
    assert outcome.status == "Aborted"


@pytest.mark.parametrize("status", ["Completed", "Failed", "TimedOut"])
def test_files_of_failed_attempts_are_kept_if_wanted(tmp_path: Path, status: str) -> None:
    bench = Bench(tmp_path, keep_failed=True, time_limit=0.5 if status == "TimedOut" else None)
    end = {"Completed": "true", "Failed": "false", "TimedOut": "sleep 60"}[status]
    outputs = [{"path": "/out/", "url": "gds://volume/out/"}]
    folder = shell(bench, f"echo result >/out/x; {end}", outputs=outputs)
    outcome = attempt.run(folder, threading.Event())
    assert outcome.status == status
    kept = folder / "root/out/x"
    assert kept.exists() == (status != "Completed")
    if status != "Completed":
        assert f"Its files are in {folder}/root." in outcome.details
        assert kept.read_text() == "result\n"


def test_a_folder_that_this_machine_does_not_see_is_an_outcome(tmp_path: Path) -> None:
    settings = Settings(str(tmp_path / "elsewhere"))
    folder = attempt.create(tmp_path, Job("trn.1", {"command": "true"}, 1), settings)
    outcome = attempt.run(folder, threading.Event())
    assert outcome.status == "Failed"
    assert re.match(f"{os.uname().nodename} does not see {tmp_path}/elsewhere", outcome.details)
    assert not (tmp_path / "elsewhere").exists()


# In a process.


def test_a_process_runs_an_attempt_and_loads_neither_service_nor_store(bench: Bench) -> None:
    folder = shell(bench, "echo out; exit 3")
    ran = node(os.path.relpath(folder))
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    outcome = attempt.outcome(folder)
    assert outcome is not None
    assert outcome.details == "The command 'sh' ended with exit status 3."
    assert bench.stdout() == "out\n"
    program = "import sys, libica.local.node.__main__; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = ("starlette", "uvicorn", "sqlite3", "libica.openapi")
    parts = tuple(f"libica.local.{part}" for part in ("engine", "service", "store"))
    assert not [module for module in loaded if module.startswith((*heavy, *parts))]


def test_a_process_that_is_asked_to_end_ends_its_command_first(tmp_path: Path) -> None:
    bench = Bench(tmp_path, grace=60)
    folder = shell(bench, "trap 'echo asked; exit 0' TERM; sleep 60 & sleep 0.1; echo ready; wait")
    process = subprocess.Popen([sys.executable, "-m", "libica.local.node", str(folder)])
    log = bench.gds / "volume/logs/trn.1/stdout-1.log"
    wait_until(lambda: log.exists() and log.read_text())
    process.terminate()
    assert process.wait(PATIENCE) == 0
    outcome = attempt.outcome(folder)
    assert outcome is not None
    assert (outcome.status, outcome.details) == ("Aborted", "The attempt was stopped.")
    assert bench.stdout() == "ready\nasked\n"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "job.json cannot be read: No such file or directory"),
        ("{", "job.json is not one of this version: "),
        ("[]", "job.json is not one of this version: "),
        ('{"job": {}, "settings": {"x": 1}}', "job.json is not one of this version: "),
    ],
)
def test_a_folder_that_is_no_attempt_is_refused_in_one_line(
    tmp_path: Path, content: Optional[str], reason: str
) -> None:
    if content is not None:
        (tmp_path / "job.json").write_text(content)
    ran = node(tmp_path)
    assert ran.returncode == 2
    assert ran.stderr.startswith(
        f"libica.local.node: {tmp_path} is not an attempt that can be run on this machine: {reason}"
    )
    assert ran.stderr.count("\n") == 1
    with pytest.raises(AttemptError, match="is not an attempt"):
        attempt.run(tmp_path, threading.Event())


def test_wrong_arguments_are_refused() -> None:
    for arguments in ((), ("a", "b"), ("--help",)):
        ran = node(*arguments)
        assert (ran.returncode, ran.stderr) == (2, "usage: python -m libica.local.node FOLDER\n")


def test_an_outcome_is_read_back_as_it_was(tmp_path: Path) -> None:
    outcome = Outcome("Failed", "täxt \udc80", {"startTime": "x", "stdout": "gds://v/ä"})
    (tmp_path / "outcome.json").write_text(json.dumps(vars(outcome)))
    assert attempt.outcome(tmp_path) == outcome
    (tmp_path / "outcome.json").write_text('{"status":')
    assert attempt.outcome(tmp_path) is None
