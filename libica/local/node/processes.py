"""Running one command, and ending everything that it started."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple, Optional

_CHECK_EVERY = 0.02
_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)
_FEW = 256
_LAST_WAIT = 5.0
"""Seconds after which a killed process is given up: it hangs in the kernel."""


class Command(NamedTuple):
    """What to run: a program, its arguments from the zeroth on, its variables and its folder."""

    program: str
    arguments: Sequence[str]
    variables: Mapping[str, str]
    folder: Path


class Leader(NamedTuple):
    """The process of a command; the moment of its start tells it from a later one of that id."""

    pid: int
    started: int


def run_command(
    command: Command,
    output: BinaryIO,
    errors: BinaryIO,
    check: Callable[[], None],
    *,
    grace: float,
    within: Path,
    note: Callable[[Leader], object],
) -> int:
    """Run a command to its end and return its exit status, below 0 if a signal ended it.

    When it ends, so does all that it started. What ``check`` raises, called often, ends it.

    Args:
        command: What to run. Its standard input is empty.
        output: Its standard output.
        errors: Its standard error.
        check: Raises when the command has to end.
        grace: Seconds from asking it to end to killing it.
        within: Processes that work in this folder belong to the command too.
        note: Is told the process.

    Raises:
        OSError: The command cannot be run.
        ValueError: It has a NUL, or a variable's name a `=`.
    """
    process = subprocess.Popen(  # noqa: S603 - running what users declare is what this is for
        command.arguments,
        executable=command.program,
        env=command.variables,
        cwd=command.folder,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=errors,
        start_new_session=True,
    )
    leader = Leader(process.pid, _started(process.pid))
    try:
        note(leader)
        with _waiting(process) as ended:
            try:
                while not ended(_CHECK_EVERY):
                    check()
            except BaseException:
                _signal_all(leader, within, signal.SIGTERM)
                ended(grace)
                raise
    finally:
        # Before the process is waited for, as long as no other can have got its id.
        kill_all(leader, within)
        if os.name != "posix":
            process.kill()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_LAST_WAIT)
    return process.returncode


def kill_all(leader: Leader, within: Path) -> None:
    """Kill all processes of a command that is over.

    These are, on Linux, the processes of its session, those that work in the folder and were
    started after it, and the descendants of both; elsewhere those of its process group.
    """
    until = time.monotonic() + _LAST_WAIT
    while _signal_all(leader, within, _KILL) and time.monotonic() < until:
        time.sleep(0.001)


@contextmanager
def _waiting(process: subprocess.Popen[bytes]) -> Iterator[Callable[[float], bool]]:
    """Give a function that waits some seconds for the end, and tells whether it came."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except (AttributeError, OSError):
        yield lambda seconds: _wait(process, seconds)
        return
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        yield lambda seconds: bool(poll.poll(seconds * 1000))
    finally:
        os.close(descriptor)


def _wait(process: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _signal_all(leader: Leader, within: Path, number: int) -> bool:
    """Send a signal to all processes of a command; tell whether any was left to get it."""
    if os.name != "posix":
        return False
    if _started(leader.pid) in (0, leader.started):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(leader.pid, number)
    members = _members(leader, within)
    for pid in members:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
    return bool(members)


class _Process(NamedTuple):
    alive: bool
    parent: int
    session: int
    started: int


def _members(leader: Leader, within: Path) -> set[int]:
    """Return the processes of a command that still run, as far as `/proc` tells."""
    processes = _processes(leader)
    folder = os.path.realpath(within)
    # Another process may have got the id since, and a session of its own.
    session = leader.pid if _started(leader.pid) in (0, leader.started) else None
    members = {
        pid
        for pid, process in processes.items()
        if process.session == session
        or (process.started >= leader.started and _works_in(pid, folder))
    }
    found = members
    while found:
        found = {
            pid
            for pid, process in processes.items()
            if process.parent in found and pid not in members
        }
        members |= found
    return members - {os.getpid()}


def _processes(leader: Leader) -> dict[int, _Process]:
    """Return all live processes that may be younger than the leader; none without a `/proc`."""
    try:
        pids = _young(leader) or [int(name) for name in os.listdir("/proc") if name.isdecimal()]
    except (OSError, ValueError):
        return {}
    known = ((pid, _process(pid)) for pid in pids)
    return {pid: process for pid, process in known if process and process.alive}


def _young(leader: Leader) -> Sequence[int]:
    """Return the few ids given out since a leader's; none where they are too many to be sure.

    Reading these alone, and not every process of the machine, lets short runs end quickly. Within
    a second the ids cannot have been given out all around.
    """
    if not leader.started:
        return ()
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - leader.started / os.sysconf("SC_CLK_TCK")
    if not 0 <= age <= 1:
        return ()
    latest = int(Path("/proc/loadavg").read_bytes().split()[-1])
    return range(leader.pid, latest + 1) if latest < leader.pid + _FEW else ()


def _process(pid: int) -> Optional[_Process]:
    """Read a process; none if it is gone. A dead one may wait to be asked for its status."""
    try:
        descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
        try:
            text = os.read(descriptor, 4096)
        finally:
            os.close(descriptor)
        # The name of the program, in parentheses, may hold anything.
        fields = text[text.rindex(b")") + 2 :].split()
        alive = fields[0] not in (b"Z", b"X")
        return _Process(alive, int(fields[1]), int(fields[3]), int(fields[19]))
    except (OSError, ValueError, IndexError):
        return None


def boot_id() -> str:
    """Return what tells this run of the system from those before, empty where there is nothing."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _started(pid: int) -> int:
    process = _process(pid)
    return process.started if process else 0


def _works_in(pid: int, folder: str) -> bool:
    try:
        place = os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return False
    return place == folder or place.startswith(folder + os.sep)
