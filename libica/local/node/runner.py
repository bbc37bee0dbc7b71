"""Carries out one attempt in its folder: stages in, runs the command, stages out."""

from __future__ import annotations

import errno
import json
import logging
import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Optional

from . import host, processes
from .container_paths import ContainerPaths, is_plain
from .containers import Containers, ImageError, clean_left
from .job import Job, Outcome, Settings, now
from .logs import log_files
from .machines import machine_of
from .places import Places, split_scheme
from .processes import Leader, Prepared
from .staging import Staging, StagingError

_logger = logging.getLogger(__name__)

ROOT = "root"
"""The folder in an attempt's that takes the place of the root of a container."""
_LEADER, _LINK = "leader.json", "link"
_DETAILS_LIMIT = 4096
_TAIL = 2000
_LACKS = {errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
PAUSE = 0.5
"""Seconds to wait for free descriptors, processes or memory."""


def carry_out(
    folder: Path,
    job: Job,
    settings: Settings,
    stop: threading.Event,
    begin: Callable[[dict[str, Any]], object],
    lock: Optional[int] = None,
) -> Outcome:
    """Run a job in a folder and return its outcome; errors of any kind are outcomes too.

    Args:
        folder: A folder for this attempt.
        job: What to run.
        settings: How.
        stop: Ends the attempt as `Aborted` when it is set.
        begin: Called with what is known of the attempt's `TaskRunLogs` once it has log files.
        lock: A descriptor to keep open until all processes have ended.
    """
    check = _check(settings.time_limit, stop)
    log: dict[str, Any] = {"startTime": now()}
    started = False

    def note(pid: int) -> None:
        nonlocal started
        started = True
        with suppress(OSError):  # of use only if all supervisors are killed
            (folder / _LEADER).write_text(json.dumps(processes.leader(pid)))

    try:
        while True:
            try:
                details = _attempt(folder, job, settings, log, check, begin, note, lock)
                status = "Completed"
                break
            except (OSError, StagingError) as error:
                if started or not lacks(error):
                    raise
                # That is not the fault of the run, and passes.
                _logger.warning("an attempt of %s has to wait: %s", job.run_id, error)
            check()
            stop.wait(PAUSE)
    except _EndedError as ended:
        status, details = ended.status, str(ended)
    except (StagingError, ImageError, OSError, ValueError) as error:
        status, details = "Failed", str(error)
    except Exception as error:
        _logger.exception("unexpected error in an attempt of %s", job.run_id)
        status, details = "Failed", f"Unexpected error: {error!r}"
    remark = host.remark(job.execution) if settings.run_in == "host" else ""
    if settings.keeps_files_of(status) and (folder / ROOT).exists():
        remark = f" Its files are in {folder / ROOT}.{remark}"
    if remark and not details.endswith("."):
        details += "."
    details = details[: _DETAILS_LIMIT - len(remark)] + remark
    if status != "Completed":
        log["error"] = details
    log["endTime"] = now()
    return Outcome(status, details, log)


def _check(time_limit: Optional[float], stop: threading.Event) -> Callable[[], None]:
    until = None if time_limit is None else time.monotonic() + time_limit

    def check() -> None:
        if stop.is_set():
            raise _EndedError("Aborted", "The attempt was stopped.")
        if until is not None and time.monotonic() > until:
            raise _EndedError(
                "TimedOut", f"The attempt exceeded the time limit of {time_limit:g} s."
            )

    return check


class _EndedError(Exception):
    """The attempt did not complete, or has to end."""

    def __init__(self, status: str, details: str) -> None:
        super().__init__(details)
        self.status = status


def lacks(error: BaseException) -> bool:
    """Return whether this machine lacks descriptors, processes or memory at the moment."""
    cause = error.__cause__ or error
    return isinstance(cause, OSError) and cause.errno in _LACKS


def _attempt(
    folder: Path,
    job: Job,
    settings: Settings,
    log: dict[str, Any],
    check: Callable[[], None],
    begin: Callable[[dict[str, Any]], object],
    note: Callable[[int], object],
    lock: Optional[int],
) -> str:
    """Run the job; return the details of its success."""
    execution = job.execution
    if not split_scheme(settings.gds)[0] and not os.path.isdir(settings.gds):
        here = socket.gethostname()
        raise ValueError(f"{here} does not see {settings.gds}, the folder of gds:// URLs")
    places = Places(settings.gds)
    with _plain(folder) as within, log_files(job, places, folder, check, log) as logs:
        begin(log)
        check()
        output, errors = logs
        variables = _variables(execution)
        machine_of((execution.get("environment") or {}).get("resources"))
        path = os.environ.get("PATH", os.defpath) if settings.path is None else settings.path
        search = variables.get("PATH", path)
        container = ContainerPaths(within / ROOT, execution, search)
        staging = Staging(execution, container, places, folder, check)
        staging.prepare_outputs()
        staging.bring_inputs()
        if settings.run_in == "host":
            prepared = Prepared(host.prepare(execution, container, {"PATH": search, **variables}))
        else:
            engine = Containers(settings.run_in, confined=settings.confined)
            prepared = engine.prepare(execution, container, variables, folder, check)
        with processes.running(
            prepared.command, output, errors, check, clean=prepared.clean, lock=lock
        ) as process:
            note(process.pid)
            status = process.wait(check, settings.grace, prepared.ask)
            if status:
                log["errorDetails"] = tail = _tail(errors, variables)
                reason = prepared.explain(status, tail) or _ended(execution, status)
                raise _EndedError("Failed", reason)
        skipped = staging.store_outputs()
    return f"The command ended with exit status 0.{skipped}"


@contextmanager
def _plain(folder: Path) -> Iterator[Path]:
    """Yield a path of an attempt that shell scripts need not quote: its own, or a link to it."""
    if is_plain(folder):
        yield folder
        return
    link = Path(tempfile.mkdtemp(prefix="libica-"), "attempt")
    (folder / _LINK).symlink_to(link.parent)  # in case this process is killed
    link.symlink_to(folder.absolute(), target_is_directory=True)
    try:
        yield link
    finally:
        unlink(folder)


def unlink(folder: Path) -> None:
    """Remove the link by which an attempt was run, if there is one."""
    with suppress(OSError):
        parent = Path(os.readlink(folder / _LINK))
        (folder / _LINK).unlink()
        (parent / "attempt").unlink()
        parent.rmdir()


def end_processes(folder: Path) -> None:
    """End the container and the processes of an attempt that lost its supervisor, if any."""
    clean_left(folder)  # first: without their helpers containers are slow to end
    try:
        leader = Leader(*json.loads((folder / _LEADER).read_bytes()))
    except (OSError, ValueError, TypeError):  # killed between the start of the command and this
        leader = None
    if leader is None or leader.machine == processes.machine():
        processes.kill_left(leader, folder)


def _variables(execution: Mapping[str, Any]) -> dict[str, str]:
    declared = (execution.get("environment") or {}).get("variables") or {}
    return {name: str(value) for name, value in declared.items() if value is not None}


def _ended(execution: Mapping[str, Any], status: int) -> str:
    """Describe the exit status of a command that failed."""
    command = execution.get("command")
    what = f"The command {command!r}" if command else "The command of the image"
    if status > 0:
        return f"{what} ended with exit status {status}."
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    return f"{what} was ended by {name}."


def _tail(errors: BinaryIO, variables: Mapping[str, str]) -> str:
    """Return the end of the standard error of a command, with its secrets masked."""
    start = max(0, os.fstat(errors.fileno()).st_size - _TAIL)
    if hasattr(os, "pread"):  # what the command left may write, at the position of the file
        tail = os.pread(errors.fileno(), _TAIL, start)
    else:
        errors.seek(start)
        tail = errors.read(_TAIL)
    text = tail.decode("utf-8", "replace")
    for name, value in variables.items():
        # Masking shorter values would hide parts of ordinary words.
        if name.upper().startswith("SECURE_") and len(value) > 3:
            text = text.replace(value, "***")
    return text
