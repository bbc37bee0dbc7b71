"""Running one command, and ending all processes that it started."""

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
"""Seconds after which to give up on a killed process: it hangs in the kernel."""


class Command(NamedTuple):
    """A program, its arguments (including the zeroth), environment and working directory."""

    program: str
    arguments: Sequence[str]
    variables: Mapping[str, str]
    folder: Path


class Prepared(NamedTuple):
    """A command, and what it needs beside its process where that is not all there is of it."""

    command: Command
    ask: Optional[Callable[[float], object]] = None
    """Asks it to end and gives it so many seconds; by default SIGTERM does."""
    explain: Callable[[int, str], str] = lambda *_: ""
    """Says why it failed, by its exit status and standard error; empty if the status says it."""
    clean: Callable[[], object] = lambda: None
    """Removes what is left of it."""


class Leader(NamedTuple):
    """The process of a command; its start time distinguishes it from later ones with its id."""

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
    ask: Optional[Callable[[float], object]] = None,
) -> int:
    """Run a command and return its exit status, negative if a signal ended it.

    All processes that the command started end with it.

    Args:
        command: What to run. Its standard input is empty.
        output: Its standard output.
        errors: Its standard error.
        check: Called often, to end the command by raising an exception.
        grace: Seconds between SIGTERM and SIGKILL.
        within: Processes whose working directory is in this folder belong to the command too.
        note: Called with the process once it has started.
        ask: Asks the command to end and gives it so many seconds. Default: SIGTERM.

    Raises:
        OSError: The command cannot be started.
        ValueError: An argument has a null byte, or the name of a variable a `=`.
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
                if ask is None:
                    _signal_all(leader, within, signal.SIGTERM)
                else:
                    ask(grace)
                ended(grace)
                raise
    finally:
        # Before waiting for the process: until then no other process can get its id.
        kill_all(leader, within)
        if os.name != "posix":
            process.kill()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_LAST_WAIT)
    return process.returncode


def kill_all(leader: Optional[Leader], within: Path) -> None:
    """Kill all remaining processes of a command.

    On Linux these are the processes of its session, those started later whose working directory
    is in the folder, and the descendants of both; elsewhere those of its process group. Without a
    leader they are those whose working directory is in the folder, and their descendants.
    """
    until = time.monotonic() + _LAST_WAIT
    while _signal_all(leader, within, _KILL) and time.monotonic() < until:
        time.sleep(0.001)


@contextmanager
def _waiting(process: subprocess.Popen[bytes]) -> Iterator[Callable[[float], bool]]:
    """Yield a function that waits some seconds for the process and returns whether it ended."""
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


def _signal_all(leader: Optional[Leader], within: Path, number: int) -> bool:
    """Send a signal to all processes of a command; return whether there were any."""
    if os.name != "posix":
        return False
    members = _members(leader, within)
    # To kill twice does no harm, and no process can fork in between; to ask twice would.
    if leader and _has_its_id(leader) and (number == _KILL or not members):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(leader.pid, number)
    for pid in members:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
    return bool(members)


class _Process(NamedTuple):
    alive: bool
    parent: int
    session: int
    started: int


def _members(leader: Optional[Leader], within: Path) -> set[int]:
    """Return the ids of the live processes of a command, according to `/proc`."""
    processes = _processes(leader)
    folder = os.path.realpath(within)
    session = leader.pid if leader and _has_its_id(leader) else None
    since = leader.started if leader else 0
    members = {
        pid
        for pid, process in processes.items()
        if process.session == session or (process.started >= since and _works_in(pid, folder))
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


def _processes(leader: Optional[Leader]) -> dict[int, _Process]:
    """Return live processes, all those younger than the leader included; none without `/proc`."""
    try:
        pids = (leader and _young(leader)) or [
            int(name) for name in os.listdir("/proc") if name.isdecimal()
        ]
    except (OSError, ValueError):
        return {}
    known = ((pid, _process(pid)) for pid in pids)
    return {pid: process for pid, process in known if process and process.alive}


def _young(leader: Leader) -> Sequence[int]:
    """Return the ids assigned since the leader's if they are few and known, else none.

    Reading these alone, rather than every process of the machine, lets short runs end quickly.
    Within a second the kernel cannot have assigned all ids once around.
    """
    if not leader.started:
        return ()
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - leader.started / os.sysconf("SC_CLK_TCK")
    if not 0 <= age <= 1:
        return ()
    latest = int(Path("/proc/loadavg").read_bytes().split()[-1])
    return range(leader.pid, latest + 1) if latest < leader.pid + _FEW else ()


def _process(pid: int) -> Optional[_Process]:
    """Return a process, which may be a zombie; ``None`` if there is none with that id."""
    try:
        descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
        try:
            text = os.read(descriptor, 4096)
        finally:
            os.close(descriptor)
        # The name of the program, in parentheses, may contain anything.
        fields = text[text.rindex(b")") + 2 :].split()
        alive = fields[0] not in (b"Z", b"X")
        return _Process(alive, int(fields[1]), int(fields[3]), int(fields[19]))
    except (OSError, ValueError, IndexError):
        return None


def boot_id() -> str:
    """Return an id of this boot of the system; empty where there is none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _started(pid: int) -> int:
    process = _process(pid)
    return process.started if process else 0


def _has_its_id(leader: Leader) -> bool:
    """Return whether no other process has got the id of a leader since, as far as is known."""
    return _started(leader.pid) in (0, leader.started)


def _works_in(pid: int, folder: str) -> bool:
    try:
        place = os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return False
    return place == folder or place.startswith(folder + os.sep)
