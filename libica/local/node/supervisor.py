"""A program that starts commands and ends all that they leave, whatever happens to its parent.

Each process that runs attempts starts it once, with a socket to it (see `processes`). It keeps
supervisors ready; each takes one connection that arrives over that socket, and the command that
arrives over the connection. On Linux a supervisor is a sub-reaper: whatever a command starts,
however it detaches itself, stays a descendant of the supervisor. When the connection is closed,
which SIGKILL of the process that runs the attempt does too, it ends all its descendants.

It is a program of its own, and loads little, since to fork a large process with threads is slow and
unsafe. It answers in lines; the command is marshalled.
"""

from __future__ import annotations

import marshal
import math
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress

LAST_WAIT = 5.0
"""Seconds in which killed processes end, unless they hang in the kernel."""
CLEAN_WAIT = 60.0
"""Seconds for the command that cleans up, such as the removal of a container."""
ASK = b"a"
_READY = 2
"""Supervisors that wait for a command, since forking one would make the command wait."""
_PAUSE = 20
"""Milliseconds in which a command gets a processor before the next supervisor is forked."""
_PID = 4
"""Bytes of a process id."""
_SET_CHILD_SUBREAPER = 36
_LINUX = sys.platform == "linux"
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # Windows has none


def serve(control: socket.socket) -> None:
    """Keep supervisors ready, each for the next command, until the socket is closed."""
    woken = _become_reaper()
    taken, take = os.pipe()
    ready: set[int] = set()
    supervisors: set[int] = set()
    poll = _poll(woken, taken)
    poll.register(control, 0)  # for its end alone
    found: set[int] = set()
    while True:
        if len(ready) < _READY and not (ready and found):  # a start comes before the next fork
            with suppress(OSError):  # too many processes: commands wait until there are fewer
                ready.add(_fork(control, take))
        wait = None if len(ready) == _READY else _PAUSE
        found = {descriptor for descriptor, _ in poll.poll(wait)}
        if control.fileno() in found:
            return
        if taken in found:
            pid = int.from_bytes(os.read(taken, _PID), "big")
            ready.discard(pid)
            supervisors.add(pid)
        if woken in found:
            os.read(woken, 4096)
            for pid, _ in _reap():
                ready.discard(pid)
                supervisors.discard(pid)
            # What a supervisor left that was killed itself.
            _kill(set(_children()) - ready - supervisors)


def _fork(control: socket.socket, take: int) -> int:
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            woken = _become_reaper()
            with suppress(OSError):  # a start that fails, so that the next one is fast
                _start(b"/dev/null/none", [b"none"], {}, b"/", take, take)
            data, descriptors, _, _ = socket.recv_fds(control, 1, 4)
            control.close()
            if data:
                os.write(take, os.getpid().to_bytes(_PID, "big"))
                _supervise(socket.socket(fileno=descriptors[0]), descriptors[1:], woken)
        os._exit(0)
    return child


def _supervise(link: socket.socket, descriptors: list[int], woken: int) -> None:
    """Run the command that arrives; end it, and all that it left, when the socket is closed.

    The descriptors are its standard output, standard error and what to keep open until the end.
    """
    with link.makefile("rb") as stream:
        request = marshal.load(stream)  # noqa: S302 - from the process that started this one
    program, arguments, variables, folder, clean = request
    if select.select([link], [], [], 0)[0]:
        return  # it is no longer wanted
    try:
        process = _start(program, arguments, variables, folder, *descriptors[:2])
    except (OSError, ValueError) as error:
        _answer(link, _described(error))
        return
    _answer(link, f"started {process.pid}")
    poll = _poll(link.fileno(), woken)
    wanted = True
    while wanted:
        ready = {descriptor for descriptor, _ in poll.poll()}
        if woken in ready:
            os.read(woken, 4096)
            for pid, status in _reap():
                if pid == process.pid:
                    _answer(link, f"ended {os.waitstatus_to_exitcode(status)}")
        if link.fileno() in ready:
            wanted = _received(link) == ASK
            if wanted:
                _ask(process.pid)
    if clean:
        _clean(clean, variables)
    _kill_all(process.pid, woken, LAST_WAIT)
    for descriptor in descriptors:
        os.close(descriptor)
    _answer(link, "done")  # a moment before this process has ended
    _kill_all(process.pid, woken, math.inf)


def _received(link: socket.socket) -> bytes:
    try:
        return link.recv(1)
    except OSError:  # its other end was killed before it read the last answer
        return b""


def _clean(command: list[bytes], variables: dict[bytes, bytes]) -> None:
    with suppress(OSError, subprocess.SubprocessError):
        subprocess.run(  # noqa: S603 - of the engine that the user chose
            command,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=CLEAN_WAIT,
        )


def _start(
    program: bytes,
    arguments: list[bytes],
    variables: dict[bytes, bytes],
    folder: bytes,
    output: int,
    errors: int,
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - running what users declare is what this is for
        arguments,
        executable=program,
        env=variables,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=errors,
        start_new_session=True,
    )


def _ask(leader: int) -> None:
    """Send SIGTERM to each process of a command once."""
    asked = 0
    if _LINUX:
        with suppress(ImportError):
            import psutil

            for member in psutil.Process().children(recursive=True):
                with suppress(psutil.Error):
                    member.terminate()
                    asked += 1
    if not asked:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGTERM)


def _kill_all(leader: int, woken: int, seconds: float) -> None:
    """Kill all descendants: the orphans of those that are killed become children."""
    until = time.monotonic() + seconds
    poll = _poll(woken)
    while time.monotonic() < until:
        if not _LINUX:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(leader, KILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        _kill(_children())
        if poll.poll(10):
            os.read(woken, 4096)


def _kill(pids: Iterable[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, KILL)


def _children() -> list[int]:
    """Return the ids of the children of this process, which has one thread."""
    me = os.getpid()
    try:
        with open(f"/proc/{me}/task/{me}/children", "rb") as file:
            return [int(pid) for pid in file.read().split()]
    except OSError:
        pass
    try:
        import psutil
    except ImportError:
        return []
    return [child.pid for child in psutil.Process().children()]


def _reap() -> list[tuple[int, int]]:
    """Return the ids and wait statuses of all children that have ended."""
    ended = []
    with suppress(ChildProcessError):
        while (one := os.waitpid(-1, os.WNOHANG))[0]:
            ended.append(one)
    return ended


def _become_reaper() -> int:
    """Adopt orphaned descendants, where Linux offers it; return what is readable if a child ends.

    Signals that would end this process are handled, and not ignored, which commands would inherit.
    It ends when it is no longer needed.
    """
    if _LINUX:
        with suppress(ImportError, OSError, AttributeError):
            import ctypes

            ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    woken, wake = os.pipe()
    for descriptor in (woken, wake):
        os.set_blocking(descriptor, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    return woken


def _poll(*descriptors: int) -> select.poll:
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return poll


def _answer(link: socket.socket, text: str) -> None:
    with suppress(OSError):  # nobody listens any more
        link.sendall(text.encode("utf-8", "surrogateescape") + b"\n")


def _described(error: Exception) -> str:
    number, name = getattr(error, "errno", None) or 0, getattr(error, "filename", None)
    parts = [str(number), getattr(error, "strerror", None) or str(error)]
    if name is not None:
        parts.append(os.fsdecode(name))
    return "failed " + "\0".join(parts).replace("\n", " ")


if __name__ == "__main__":
    sys.path[:] = sys.argv[2:]
    serve(socket.socket(fileno=int(sys.argv[1])))
