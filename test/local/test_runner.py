"""One attempt: what its command sees, how it ends, and what is left of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Optional

import psutil
import pytest

from libica.local.node import attempt
from libica.local.node.attempt import AttemptError
from libica.local.node.job import Outcome

from .bench import Bench, completed, is_alive
from .caller import wait_until

pytestmark = pytest.mark.skipif(os.name != "posix", reason="runs shell scripts")
linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")


def pid_in(file: Path) -> int:
    """Return the process id that a script has written to a file."""
    wait_until(lambda: file.exists() and file.read_text().endswith("\n"))
    return int(file.read_text())


# What a command sees.


def test_a_command_that_succeeds_is_completed(bench: Bench) -> None:
    before = datetime.now(timezone.utc).replace(tzinfo=None)
    outcome = completed(bench.shell("echo out; echo err >&2; cat"))
    assert outcome.details == "The command ended with exit status 0."
    assert set(outcome.log) == {"startTime", "endTime", "stdout", "stderr"}
    for name, printed in (("stdout", "out\n"), ("stderr", "err\n")):
        assert outcome.log[name] == f"gds://volume/logs/trn.1/{name}-1.log"
        assert bench.read(f"volume/logs/trn.1/{name}-1.log") == printed
    for name in ("startTime", "endTime"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z", outcome.log[name])
    start = datetime.fromisoformat(outcome.log["startTime"][:26])
    assert abs((start - before).total_seconds()) < 60
    assert outcome.log["startTime"] < outcome.log["endTime"]


def test_a_command_sees_only_the_declared_variables_and_the_path(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ICA_ACCESS_TOKEN", "secret")
    script = "import json, os; print(json.dumps(dict(os.environ)))"
    variables = {"A": "1", "SECURE_B": "x y", "IN": "/in/x:/other", "EMPTY": ""}
    bench.run(
        {
            "command": sys.executable,
            "args": ["-I", "-c", script],
            "inputs": [{"url": str(bench.put("volume/x", "")), "path": "/in/x"}],
            "environment": {"variables": variables},
        }
    )
    seen = json.loads(bench.stdout())
    seen.pop("LC_CTYPE", None)  # set by Python itself
    assert seen.pop("PATH") == f"{bench.bin}{os.pathsep}{os.defpath}"
    assert re.fullmatch(r".*/root/in/x:/other", seen.pop("IN"))
    assert seen == {"A": "1", "SECURE_B": "x y", "EMPTY": ""}


def test_a_declared_path_replaces_the_default_and_arguments_are_not_interpreted_by_a_shell(
    bench: Bench, tmp_path: Path
) -> None:
    bench.command("tool", "echo of the service")
    (tmp_path / "own").mkdir()
    tool = bench.command("mine", 'echo $PATH; for argument; do echo "[$argument]"; done')
    tool.rename(tmp_path / "own/tool")
    path = str(tmp_path / "own")
    arguments = ["$HOME", "a b", "", "; exit 1", "*"]
    variables = {"variables": {"PATH": path}}
    bench.run({"command": "tool", "args": arguments, "environment": variables})
    assert bench.stdout().splitlines() == [path, *(f"[{each}]" for each in arguments)]


def test_the_working_directory_is_the_declared_one_or_the_root(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "my 'own' folder")  # a path that needs quotes
    bench.shell("pwd; echo x >made; ls /work/here", workingDirectory="/work/here")
    assert re.fullmatch(r"/.*/root/work/here\nmade\n", bench.stdout())
    bench.put("volume/x", "read\n")
    bench.command("tool", "cat $1")
    inputs = [{"url": "gds://volume/x", "path": "/in/x"}]
    outputs = [{"url": "gds://volume/out", "path": "/out/"}]
    completed(bench.shell("ls; tool /in/x >/out/y", inputs=inputs, outputs=outputs))
    assert bench.stdout() == "in\nout\n"
    assert bench.read("volume/out/y") == "read\n"


# Logs.


@pytest.mark.parametrize("url", ["file://{tmp}/a%20b/", "{tmp}/a b", "s3://bucket/logs", None])
def test_logs_of_each_attempt_have_urls_in_the_scheme_of_the_system_files(
    bench: Bench, tmp_path: Path, url: Any
) -> None:
    url = url and url.format(tmp=tmp_path)
    execution = {"command": "sh", "args": ["-c", "echo here"], "systemFiles": {"url": url}}
    log = bench.run(execution, number=2).log["stdout"]
    folder = tmp_path / "a b" if url else bench.gds / "logs"
    shown = folder.as_uri()
    if url == "s3://bucket/logs":
        folder, shown = bench.gds / ".s3/bucket/logs", url
    assert log == f"{shown}/trn.1/stdout-2.log"
    assert (folder / "trn.1/stdout-2.log").read_text() == "here\n"


@pytest.mark.parametrize("url", ["https://host/logs", "gds://volume/../../x", "relative"])
def test_a_url_of_system_files_that_cannot_be_written_fails_the_attempt(
    bench: Bench, url: str
) -> None:
    outcome = bench.shell("true", systemFiles={"url": url})
    assert outcome.status == "Failed"
    assert outcome.details.startswith(f"systemFiles ({url}): ")
    assert set(outcome.log) == {"startTime", "endTime", "error"}


# How a command fails.


def test_a_failed_command_is_described_by_its_exit_status_or_signal_and_the_end_of_its_errors(
    bench: Bench,
) -> None:
    outcome = bench.shell(
        "yes aaaaaaaaa | head -n 9999 >&2; echo $SECURE_KEY $OTHER >&2; exit 3",
        environment={"variables": {"SECURE_KEY": "hush-hush", "OTHER": "open", "SECURE_X": "a"}},
    )
    assert outcome.status == "Failed"
    assert outcome.details == "The command 'sh' ended with exit status 3."
    assert outcome.log["error"] == outcome.details
    assert outcome.log["errorDetails"].endswith("aaaaaaaaa\n*** open\n")
    assert len(outcome.log["errorDetails"]) < 2001
    for number, name in ((11, "SIGSEGV"), (40, "signal 40")):
        details = bench.shell(f"kill -{number} $$").details
        assert details == f"The command 'sh' was ended by {name}."


@pytest.mark.parametrize(
    ("execution", "reason"),
    [
        ({"command": "no-such-tool"}, "the command 'no-such-tool' was not found"),
        ({"command": "/opt/no-such-tool"}, "'/opt/no-such-tool' was not found"),
        ({}, "the execution has no command"),
        ({"command": "true", "args": ["a\0b"]}, "null byte"),
        ({"command": "true", "environment": {"variables": {"A=B": "1"}}}, "illegal environment"),
        ({"command": "true", "environment": {"resources": {"type": "x"}}}, "machine type 'x'"),
        ({"command": "broken"}, "Exec format error"),
        ({"command": "/etc/passwd"}, "Permission denied"),
        ({"command": "true", "inputs": "x"}, "Unexpected error: AttributeError"),
        ({"command": "x" * 9000}, "xxx"),
    ],
)
def test_a_command_that_cannot_run_fails_with_the_reason(
    bench: Bench, execution: dict[str, Any], reason: str
) -> None:
    bench.command("broken", "").write_bytes(b"\x7fELF\0\1")
    outcome = bench.run(execution)
    assert outcome.status == "Failed"
    assert reason in outcome.details
    assert len(outcome.details) <= 4096
    assert outcome.log["error"] == outcome.details


# How a command is ended, and what is left.


def aborted(bench: Bench, script: str, when: Callable[[], Any]) -> Outcome:
    """Run a shell script and abort it when a condition holds."""
    stop = threading.Event()
    thread = threading.Thread(target=lambda: (wait_until(when), stop.set()))
    thread.start()
    outcome = bench.run({"command": "sh", "args": ["-c", script]}, stop)
    thread.join()
    return outcome


def test_an_abort_ends_the_command_and_all_that_it_started(bench: Bench, tmp_path: Path) -> None:
    pids, on_linux = tmp_path / "pids", sys.platform == "linux"
    daemon = f"setsid sh -c 'echo $$ >>{pids}; exec sleep 60'" if on_linux else "true"
    script = f"sleep 60 & echo $! >{pids}; sleep 60 & echo $! >>{pids}; {daemon} & wait"
    outcome = aborted(
        bench, script, lambda: pids.exists() and pids.read_text().count("\n") == 2 + on_linux
    )
    assert (outcome.status, outcome.details) == ("Aborted", "The attempt was stopped.")
    assert outcome.log["error"] == "The attempt was stopped."
    wait_until(lambda: not any(is_alive(int(pid)) for pid in pids.read_text().split()))


@pytest.mark.parametrize(
    ("script", "grace", "printed"),
    [
        (
            "trap 'echo cleaned up; exit 0' TERM; sleep 60 & sleep 0.1; echo ready; wait",
            60,
            "cleaned up\n",
        ),
        ("trap '' TERM; echo ready; while :; do sleep 0.05; done", 0.2, ""),
    ],
    ids=["ends", "does not end"],
)
def test_a_command_is_asked_to_end_before_it_is_killed(
    tmp_path: Path, script: str, grace: float, printed: str
) -> None:
    bench = Bench(tmp_path, grace=grace)
    log = bench.gds / "volume/logs/trn.1/stdout-1.log"
    outcome = aborted(bench, script, lambda: log.exists() and log.read_text())
    assert outcome.status == "Aborted"
    assert bench.stdout() == f"ready\n{printed}"


def test_a_run_aborted_before_it_starts_does_nothing(bench: Bench) -> None:
    stop = threading.Event()
    stop.set()
    outcome = bench.run({"command": "sh", "args": ["-c", "echo ran"]}, stop)
    assert (outcome.status, bench.stdout()) == ("Aborted", "")


def test_a_command_beyond_its_time_limit_is_timed_out(tmp_path: Path) -> None:
    outcome = Bench(tmp_path, time_limit=0.1).shell("sleep 60")
    assert outcome.status == "TimedOut"
    assert outcome.details == "The attempt exceeded the time limit of 0.1 s."


DAEMON = "(setsid sh -c 'echo $$ >{pid}; exec sleep 60' >/dev/null &)"


@pytest.mark.parametrize(
    ("start", "pause"),
    [
        ("sleep 60 & echo $! >{pid}", 0),
        pytest.param(DAEMON, 0, marks=linux),
        pytest.param(DAEMON, 1.1, marks=linux),
    ],
    ids=["child", "daemon", "daemon of a command of more than a second"],
)
def test_processes_that_a_command_leaves_end_with_it(
    bench: Bench, tmp_path: Path, start: str, pause: float
) -> None:
    pid = tmp_path / "pid"
    wait = f"while [ ! -s {pid} ]; do :; done; sleep {pause}"
    completed(bench.shell(f"{start.format(pid=pid)}; {wait}"))
    wait_until(lambda: not is_alive(pid_in(pid)))


def test_scratch_folders_that_are_not_writable_are_removed(bench: Bench) -> None:
    completed(bench.shell("mkdir -p a/b && touch a/b/c && chmod 500 a/b && chmod 0 a"))


# What is left when what runs an attempt is killed.


@contextmanager
def running_elsewhere(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run an attempt in another process, which is killed in the end."""
    process = subprocess.Popen([sys.executable, "-m", "libica.local.node", folder])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


# It leaves its session, working directory, parents and variables.
DETACHED = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.chdir("/")
        os.closerange(0, 256)
        with open(sys.argv[1], "w") as file:
            print(os.getpid(), file=file)
        os.execve("/bin/sleep", ["sleep", "600"], {})
    os._exit(0)
"""


@pytest.fixture
def detached(bench: Bench, tmp_path: Path) -> tuple[str, Path]:
    """A script that starts a daemon, and the file with its process id."""
    (tmp_path / "daemon.py").write_text(DETACHED)
    pid = tmp_path / "daemon.pid"
    start = f"'{sys.executable}' -I {tmp_path}/daemon.py {pid}"
    return f"{start}; while [ ! -s {pid} ]; do sleep 0.01; done", pid


@linux
@pytest.mark.parametrize("end", ["by itself", "aborted"])
def test_a_daemon_ends_with_its_run(bench: Bench, detached: tuple[str, Path], end: str) -> None:
    script, pid = detached
    if end == "aborted":
        aborted(bench, f"{script}; sleep 60", lambda: pid.exists() and pid.read_text())
    else:
        completed(bench.shell(script))
    assert not is_alive(pid_in(pid))


@linux
def test_a_daemon_ends_when_what_runs_it_is_killed_and_the_attempt_is_not_run_again(
    bench: Bench, detached: tuple[str, Path]
) -> None:
    script, pid = detached
    folder = bench.create({"command": "sh", "args": ["-c", f"echo started; {script}; sleep 60"]})
    with running_elsewhere(folder) as process:
        daemon = pid_in(pid)
        with pytest.raises(AttemptError, match=f"runs in process {process.pid}$"):
            attempt.run(folder, threading.Event())
    attempt.end_left(folder)
    assert not is_alive(daemon)
    assert attempt.outcome(folder) is None
    log = attempt.log_so_far(folder)
    assert log["stdout"] == "gds://volume/logs/trn.1/stdout-1.log"
    outcome = attempt.run(folder, threading.Event())
    assert outcome.status == "Failed"
    assert outcome.details == "What ran the attempt was killed, or its machine failed."
    assert outcome.log.items() > log.items()
    assert bench.stdout() == "started\n"


FORKED = """
import os, sys, threading, time
from pathlib import Path
from libica.local.node import attempt
threading.Thread(target=attempt.run, args=(Path(sys.argv[1]), threading.Event())).start()
while not Path(sys.argv[2]).exists():
    time.sleep(0.01)
if os.fork():
    os.kill(os.getpid(), 9)
print(os.getpid(), flush=True)
time.sleep(600)
"""


@linux
def test_a_fork_of_what_runs_an_attempt_does_not_keep_it_running(
    bench: Bench, detached: tuple[str, Path]
) -> None:
    script, pid = detached
    folder = bench.create({"command": "sh", "args": ["-c", f"{script}; sleep 60"]})
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", FORKED, folder, pid],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        fork = int(process.stdout.readline())
        try:
            wait_until(lambda: not is_alive(pid_in(pid)))
            assert is_alive(fork)
        finally:
            os.kill(fork, 9)


def supervisors(pid: Optional[int] = None) -> list[psutil.Process]:
    """Return what supervises the commands of a process: the one that forks, and its forks."""
    found = []
    for each in psutil.Process(pid).children(recursive=True):
        with suppress(psutil.Error):  # it has just ended
            if "supervisor.py" in " ".join(each.cmdline()):
                found.append(each)
    return found


@linux
@pytest.mark.parametrize("recorded", [True, False])
def test_what_is_left_after_supervisors_were_killed_too_is_ended(
    bench: Bench, tmp_path: Path, recorded: bool
) -> None:
    pid = tmp_path / "pid"
    script = f"{'cd /; ' * recorded}sleep 60 & echo $! >{pid}; wait"
    folder = bench.create({"command": "sh", "args": ["-c", script]})
    with running_elsewhere(folder) as process:
        left = pid_in(pid)
        wait_until(lambda: (folder / "leader.json").exists())
        all_of_them = [psutil.Process(process.pid), *supervisors(process.pid)]
        for each in all_of_them:
            each.suspend()  # none may act while the others are killed
        for each in reversed(all_of_them):
            each.kill()
    assert is_alive(left)
    if not recorded:  # as if killed between the start of the command and this record
        (folder / "leader.json").unlink()
    attempt.end_left(folder)
    wait_until(lambda: not is_alive(left))  # what is killed may need a moment to be gone


@linux
def test_a_supervisor_that_is_killed_fails_its_run_alone_and_leaves_nothing(
    bench: Bench, detached: tuple[str, Path]
) -> None:
    script, pid = detached

    def kill() -> None:
        daemon = psutil.Process(pid_in(pid))
        wait_until(lambda: daemon.parent() in supervisors())
        daemon.parent().kill()

    thread = threading.Thread(target=kill)
    thread.start()
    outcome = bench.shell(f"{script}; sleep 60")
    thread.join()
    assert outcome.status == "Failed"
    assert outcome.details == "the process that supervises the command was killed"
    wait_until(lambda: not is_alive(pid_in(pid)))
    killed = supervisors()  # the one that forks them as well
    for each in killed:
        each.kill()
    wait_until(lambda: not any(is_alive(each.pid) for each in killed))  # their sockets are closed
    completed(bench.shell("true"))


# Its processes have no parent for long, so that no list of processes has them.
WORM = """
import os, sys
for _ in range(int(sys.argv[1])):
    if os.fork():
        os._exit(0)
"""


@pytest.mark.slow
@linux
def test_processes_that_fork_all_the_time_end_with_their_run(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "worm.py").write_text(WORM)
    worm = f"'{sys.executable}' -I {tmp_path}/worm.py 3000 &"
    bomb = "bomb() { sleep 60 & [ $1 -le 0 ] || { bomb $(($1-1)) & bomb $(($1-1)) & }; sleep 60; };"
    outcome = aborted(
        bench,
        f"{bomb} bomb 6 & {worm} {worm} echo $$ >{tmp_path}/pid; wait; sleep 60",
        lambda: (tmp_path / "pid").exists() and not time.sleep(0.2),
    )
    assert outcome.status == "Aborted"
    mine = [each for each in psutil.process_iter(["cmdline"]) if str(tmp_path) in str(each.info)]
    assert not mine


@pytest.mark.slow
def test_200_mb_of_output_are_kept(bench: Bench) -> None:
    outcome = bench.shell("head -c 200000000 /dev/zero; head -c 100000000 /dev/zero >&2; exit 1")
    assert outcome.status == "Failed"
    for name, size in (("stdout", 200), ("stderr", 100)):
        assert (bench.gds / f"volume/logs/trn.1/{name}-1.log").stat().st_size == size * 10**6
    assert len(outcome.log["errorDetails"]) == 2000


LACKING = """
import os, resource, sys, threading
from pathlib import Path
from libica.local.node import attempt
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
held = [os.open(os.devnull, os.O_RDONLY) for _ in range(45)]
try:
    while True:
        held.append(os.open(os.devnull, os.O_RDONLY))
except OSError:
    for descriptor in held[-SPARE:]:
        os.close(descriptor)
threading.Timer(1, os.closerange, (held[0], held[-SPARE])).start()
print(attempt.run(Path(sys.argv[1]), threading.Event()))
"""


@pytest.mark.slow
@pytest.mark.parametrize("spare", [2, 3, 4, 5, 6, 8])
def test_an_attempt_waits_for_descriptors(bench: Bench, spare: int) -> None:
    folder = bench.create({"command": "sh", "args": ["-c", "echo out"]})
    program = LACKING.replace("SPARE", str(spare))
    ran = subprocess.run(
        [sys.executable, "-c", program, folder], capture_output=True, text=True, check=True
    )
    assert "status='Completed'" in ran.stdout, ran
    assert bench.stdout() == "out\n"


def test_many_attempts_run_at_the_same_time(bench: Bench) -> None:
    def run(number: int) -> str:
        execution = {
            "command": "sh",
            "args": ["-c", f"cat /in/x >/out/y; echo {number} >>/out/y"],
            "inputs": [{"url": "gds://volume/x", "path": "/in/x"}],
            "outputs": [{"url": f"gds://volume/{number}", "path": "/out/"}],
        }
        folder = bench.create(execution, run_id=f"trn.{number}")
        return attempt.run(folder, threading.Event()).status

    bench.put("volume/x", "x")
    with ThreadPoolExecutor(20) as threads:
        assert list(threads.map(run, range(20))) == ["Completed"] * 20
    assert all(bench.read(f"volume/{number}/y") == f"x{number}\n" for number in range(20))
