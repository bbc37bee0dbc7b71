"""Running one command, and ending all processes that it started."""

from __future__ import annotations

import atexit
import marshal
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple, Optional

from . import supervisor

_CHECK_EVERY = 0.02
_LAST_WAIT = supervisor.LAST_WAIT + supervisor.CLEAN_WAIT


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
    clean: Sequence[str] = ()
    """The program and arguments that remove what is left of it beside its processes."""


class Running(NamedTuple):
    """A command that has started."""

    pid: int
    ended: Callable[[float], Optional[int]]
    """Waits so many seconds; returns its exit status if it has ended."""
    terminate: Callable[[], object]
    """Sends SIGTERM to its processes."""

    def wait(
        self,
        check: Callable[[], None],
        grace: float,
        ask: Optional[Callable[[float], object]] = None,
    ) -> int:
        """Wait for the end of the command; return its exit status, negative if a signal ended it.

        Args:
            check: Called often, to end the command by raising an exception.
            grace: Seconds that it then has to end by itself.
            ask: Asks it to end and gives it so many seconds. Default: SIGTERM to its processes.

        Raises:
            ChildProcessError: Its supervisor was killed, and it with it.
        """
        while (status := self.ended(_CHECK_EVERY)) is None:
            try:
                check()
            except BaseException:  # noqa: PERF203 - it is called 50 times a second
                if ask is None:
                    self.terminate()
                else:
                    ask(grace)
                with suppress(ChildProcessError):
                    self.ended(grace)
                raise
        return status


@contextmanager
def running(
    command: Command,
    output: BinaryIO,
    errors: BinaryIO,
    check: Callable[[], None],
    *,
    clean: Sequence[str] = (),
    lock: Optional[int] = None,
) -> Iterator[Running]:
    """Start a command; when the block ends, so do all processes that the command started.

    On Linux these are all its descendants, elsewhere those of its process group. They end too if
    this process is killed.

    Args:
        command: What to run. Its standard input is empty.
        output: Its standard output.
        errors: Its standard error.
        check: Called often until it has started, to give up by raising an exception.
        clean: A program and its arguments, run before the remaining processes are killed.
        lock: A descriptor that is kept open until all have ended.

    Raises:
        OSError: The command cannot be started.
        ValueError: An argument has a null byte, or the name of a variable a `=`.
    """
    descriptors = [output.fileno(), errors.fileno(), *([] if lock is None else [lock])]
    if sys.platform == "win32":
        how = _alone(command, descriptors)
    else:
        how = _supervised(command, clean, descriptors, check)
    with how as started:
        yield started


@contextmanager
def _supervised(
    command: Command, clean: Sequence[str], descriptors: Sequence[int], check: Callable[[], None]
) -> Iterator[Running]:
    request = marshal.dumps(
        (
            os.fsencode(command.program),
            [os.fsencode(argument) for argument in command.arguments],
            {os.fsencode(name): os.fsencode(value) for name, value in command.variables.items()},
            os.fsencode(command.folder),
            [os.fsencode(argument) for argument in clean],
        )
    )
    with _connected(descriptors) as connection:
        link = _Link(connection)
        with suppress(OSError):  # it has answered why
            connection.sendall(request)
        while not link.answers(_CHECK_EVERY):
            check()
        kind, text = link.receive()
        if kind != "started":
            number, reason, *names = text.split("\0")
            raise OSError(int(number), reason, *names) if int(number) else ValueError(reason)

        def terminate() -> None:
            with suppress(OSError):  # it has ended
                connection.sendall(supervisor.ASK)

        try:
            yield Running(int(text), link.ended, terminate)
        finally:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_WR)
            link.close()


class _Link:
    """Receives what the supervisor of a command says."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._received = b""
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)

    def receive(self) -> tuple[str, str]:
        """Return the next line as its first word and the rest."""
        while b"\n" not in self._received:
            data = b""
            with suppress(ConnectionResetError):
                data = self._connection.recv(1 << 16)
            if not data:
                raise ChildProcessError("the process that supervises the command was killed")
            self._received += data
        line, _, self._received = self._received.partition(b"\n")
        kind, _, text = line.decode("utf-8", "surrogateescape").partition(" ")
        return kind, text

    def answers(self, seconds: float) -> bool:
        """Wait some seconds for something to receive; return whether there is."""
        return bool(self._received or self._poll.poll(seconds * 1000))

    def ended(self, seconds: float) -> Optional[int]:
        """Wait some seconds for the end of the command; return its exit status if it has ended."""
        return int(self.receive()[1]) if self.answers(seconds) else None

    def close(self) -> None:
        """Wait until the supervisor has ended all processes."""
        until = time.monotonic() + _LAST_WAIT
        with suppress(ChildProcessError):
            while (left := until - time.monotonic()) > 0:
                if self.answers(left) and self.receive()[0] == "done":
                    return


@contextmanager
def _alone(command: Command, descriptors: Sequence[int]) -> Iterator[Running]:
    """Start a command without a supervisor, where processes cannot be forked."""
    import psutil

    process = subprocess.Popen(  # noqa: S603 - running what users declare is what this is for
        command.arguments,
        executable=command.program,
        env=command.variables,
        cwd=command.folder,
        stdin=subprocess.DEVNULL,
        stdout=descriptors[0],
        stderr=descriptors[1],
    )

    def ended(seconds: float) -> Optional[int]:
        with suppress(subprocess.TimeoutExpired):
            return process.wait(seconds)
        return None

    try:
        yield Running(process.pid, ended, lambda: None)
    finally:
        with suppress(psutil.Error):
            for child in psutil.Process(process.pid).children(recursive=True):
                with suppress(psutil.Error):
                    child.kill()
        process.kill()
        ended(supervisor.LAST_WAIT)


# -- The process that forks supervisors ------------------------------------------------------------


class _Server(NamedTuple):
    control: socket.socket
    process: subprocess.Popen[bytes]


_server: Optional[_Server] = None
_connections: set[socket.socket] = set()
_lock = threading.Lock()


def prepare() -> None:
    """Start the process that forks supervisors, unless it runs. The first command would wait."""
    if sys.platform != "win32":
        with _lock:
            _control()


@contextmanager
def _connected(descriptors: Sequence[int]) -> Iterator[socket.socket]:
    """Yield a connection to a new supervisor, which gets the descriptors."""
    ours, theirs = socket.socketpair()
    _connections.add(ours)
    try:
        with theirs, _lock:
            try:
                socket.send_fds(_control(), [b"+"], [theirs.fileno(), *descriptors])
            except BrokenPipeError:  # it was killed
                _stop()
                socket.send_fds(_control(), [b"+"], [theirs.fileno(), *descriptors])
        yield ours
    finally:
        _connections.discard(ours)
        ours.close()


def _control() -> socket.socket:
    global _server
    if _server is None:
        ours, theirs = socket.socketpair()
        with theirs:
            # Without site: it imports nothing but the standard library, and perhaps psutil.
            line = [sys.executable, "-I", "-S", supervisor.__file__, str(theirs.fileno())]
            process = subprocess.Popen(  # noqa: S603
                [*line, *sys.path],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C is for the process that has a terminal
            )
        _server = _Server(ours, process)
    return _server.control


def _stop() -> None:
    """End the process that forks supervisors; running commands keep theirs."""
    global _server
    if _server is not None:
        _server.control.close()
        _server.process.wait()
        _server = None


def _forget() -> None:
    """Leave to the parent what is the parent's, which would not end with it otherwise."""
    global _server, _lock
    for connection in _connections:
        connection.close()
    _connections.clear()
    if _server is not None:
        _server.control.close()
        _server.process.returncode = 0  # not a child of this process
    _server, _lock = None, threading.Lock()


atexit.register(_stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


# -- What is left where supervisors were killed too ------------------------------------------------


class Leader(NamedTuple):
    """The process of a command; a later process with its id has another time."""

    machine: str
    pid: int
    created: float


def leader(pid: int) -> Leader:
    """Return what to recognise a process and its session by after a restart."""
    created = 0.0  # of a process that has ended already
    with suppress(ImportError):
        import psutil

        with suppress(psutil.Error):
            created = psutil.Process(pid).create_time()
    return Leader(machine(), pid, created)


def machine() -> str:
    """Return an id of this machine and of its boot, where it has one."""
    boot = ""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{socket.gethostname()} {boot}"


def kill_left(known: Optional[Leader], within: Path) -> None:
    """Kill the processes that a command left whose supervisor was killed.

    These are those of its session, those whose working directory is in the folder, and the
    descendants of both.
    """
    until = time.monotonic() + supervisor.LAST_WAIT
    while (members := _members(known, within)) and time.monotonic() < until:
        for pid in members:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, supervisor.KILL)
        time.sleep(0.001)


def _members(known: Optional[Leader], within: Path) -> set[int]:
    try:
        import psutil
    except ImportError:
        return set()
    folder = os.path.realpath(within)
    since = known.created if known else 0.0
    parents, members = {}, set()
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            parents[process.pid] = process.ppid()
            if (known and _has_session(process.pid, known)) or (
                process.create_time() >= since and _is_in(process.cwd(), folder)
            ):
                members.add(process.pid)
    found = members
    while found:
        found = {pid for pid, parent in parents.items() if parent in found} - members
        members = members | found
    return members - {os.getpid()}


def _has_session(pid: int, known: Leader) -> bool:
    import psutil

    if not hasattr(os, "getsid") or os.getsid(pid) != known.pid:
        return False
    with suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(known.pid).create_time() == known.created)
    return True


def _is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + os.sep)
