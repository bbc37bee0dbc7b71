"""Runs jobs as commands of this machine, each in its own scratch folder."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import stat
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Optional

from . import host
from .container_paths import ContainerPaths, is_plain
from .containers import Containers, ImageError, clean_left
from .folder_lock import FolderLock
from .job import Job, Outcome, now
from .logs import log_files
from .machines import machine_of
from .places import Places
from .processes import Leader, Prepared, boot_id, kill_all, run_command
from .staging import Staging, StagingError

_logger = logging.getLogger(__name__)

DAY = 24 * 60 * 60.0
_DETAILS_LIMIT = 4096
_TAIL = 2000
_LEADER = "leader.json"


class LocalRunner:
    """Runs the command of each job on this machine: its own, or that of the job's image.

    Args:
        gds: The folder in which `gds://volume/path` is `volume/path`, and `s3://bucket/key` is
            `.s3/bucket/key`.
        scratch: Parent of the folders of attempts. Processes and folders that a killed service
            left there are removed. If shell scripts would have to quote its path, attempts use it
            through a link in the system's temporary folder.
        time_limit: Seconds after which an attempt ends as `TimedOut`; `None` for no limit.
        path: The `PATH` to find commands on, and the value of `PATH` for commands whose execution
            declares none; no other variable is set that is not declared. Default: that of this
            process.
        grace: Seconds between SIGTERM and SIGKILL when a command has to end.
        run_in: `host` for commands of this machine, run as the user of this process; `docker`,
            `podman` or `apptainer` for commands of the job's image.

    Raises:
        ValueError: ``run_in`` is something else, or is not on the `PATH`.
    """

    def __init__(
        self,
        gds: Path,
        scratch: Path,
        time_limit: Optional[float] = DAY,
        *,
        path: Optional[str] = None,
        grace: float = 2.0,
        run_in: str = "host",
    ) -> None:
        self._places = Places(gds)
        self._path = os.environ.get("PATH", os.defpath) if path is None else path
        self._containers = None if run_in == "host" else Containers(run_in)
        self._time_limit = time_limit
        self._grace = grace
        scratch.mkdir(parents=True, exist_ok=True)
        _sweep(scratch)
        self._scratch, release = _own_folder(scratch)
        self._release = weakref.finalize(self, release)

    def run(self, job: Job, stop: threading.Event) -> Outcome:
        """Run the job and return its outcome; errors of any kind are outcomes too."""
        log: dict[str, Any] = {"startTime": now()}
        try:
            status, details = "Completed", self._attempt(job, log, self._check(stop))
        except _EndedError as ended:
            status, details = ended.status, str(ended)
        except (StagingError, ImageError, OSError, ValueError) as error:
            status, details = "Failed", str(error)
        except Exception as error:
            _logger.exception("unexpected error in an attempt of %s", job.run_id)
            status, details = "Failed", f"Unexpected error: {error!r}"
        if self._containers is None:
            details += host.remark(job.execution)
        if status != "Completed":
            log["error"] = details[:_DETAILS_LIMIT]
        log["endTime"] = now()
        return Outcome(status, details[:_DETAILS_LIMIT], log)

    def _check(self, stop: threading.Event) -> Callable[[], None]:
        until = None if self._time_limit is None else time.monotonic() + self._time_limit

        def check() -> None:
            if stop.is_set():
                raise _EndedError("Aborted", "The run was aborted.")
            if until is not None and time.monotonic() > until:
                raise _EndedError(
                    "TimedOut", f"The attempt exceeded the time limit of {self._time_limit:g} s."
                )

        return check

    def _attempt(self, job: Job, log: dict[str, Any], check: Callable[[], None]) -> str:
        """Run the job; return the details of its success."""
        execution = job.execution
        with ExitStack() as stack:
            folder = stack.enter_context(self._attempt_folder(job))
            logs = log_files(job, self._places, folder, check, log)
            output, errors = stack.enter_context(logs)
            check()
            variables = _variables(execution)
            machine_of((execution.get("environment") or {}).get("resources"))
            search = variables.get("PATH", self._path)
            container = ContainerPaths(folder / "root", execution, search)
            staging = Staging(execution, container, self._places, folder, check)
            staging.prepare_outputs()
            staging.bring_inputs()
            if self._containers is None:
                prepared = Prepared(
                    host.prepare(execution, container, {"PATH": search, **variables})
                )
            else:
                prepared = self._containers.prepare(execution, container, variables, folder, check)
            stack.callback(prepared.clean)
            status = run_command(
                prepared.command,
                output,
                errors,
                check,
                grace=self._grace,
                within=folder,
                note=lambda leader: _note(folder, leader),
                ask=prepared.ask,
            )
            if status:
                log["errorDetails"] = tail = _tail(errors, variables)
                reason = prepared.explain(status, tail) or _ended(execution, status)
                raise _EndedError("Failed", reason)
            skipped = staging.store_outputs()
        return f"The command ended with exit status 0.{skipped}"

    @contextmanager
    def _attempt_folder(self, job: Job) -> Iterator[Path]:
        folder = Path(tempfile.mkdtemp(prefix=f"{job.attempt}-", dir=self._scratch))
        try:
            yield folder
        finally:
            _remove(folder)


class _EndedError(Exception):
    """The attempt did not complete, or has to end."""

    def __init__(self, status: str, details: str) -> None:
        super().__init__(details)
        self.status = status


def _variables(execution: Mapping[str, Any]) -> dict[str, str]:
    declared = (execution.get("environment") or {}).get("variables") or {}
    return {name: str(value) for name, value in declared.items() if value is not None}


def _note(attempt: Path, leader: Leader) -> None:
    """Record the process of the command, in case this process is killed."""
    (attempt / _LEADER).write_text(json.dumps([*leader, boot_id()]))


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
    length = errors.seek(0, os.SEEK_END)
    errors.seek(max(0, length - _TAIL))
    text = errors.read(_TAIL).decode("utf-8", "replace")
    for name, value in variables.items():
        # Masking shorter values would hide parts of ordinary words.
        if name.upper().startswith("SECURE_") and len(value) > 3:
            text = text.replace(value, "***")
    return text


def _own_folder(scratch: Path) -> tuple[Path, Callable[[], None]]:
    """Create a folder that this process locks; return it and a function that releases it."""
    new = Path(tempfile.mkdtemp(prefix="new-", dir=scratch)).resolve()
    lock = FolderLock(new)
    # Renamed after it is locked: other services sweep folders of the new name only.
    folder = new.rename(new.with_name(new.name.replace("new-", "runner-")))
    link = None if is_plain(folder) else Path(tempfile.mkdtemp(prefix="libica-"), "scratch")
    if link is not None:
        link.symlink_to(folder, target_is_directory=True)

    def release() -> None:
        lock.close()
        # The folder of an attempt that is still running stays, for the next service to find.
        with suppress(OSError):
            (folder / "lock").unlink()
            folder.rmdir()
        if link is not None:
            link.unlink()
            link.parent.rmdir()

    return link or folder, release


def _sweep(scratch: Path) -> None:
    """End the processes and remove the folders that killed services left in a scratch folder."""
    for folder in scratch.glob("runner-*"):
        try:
            lock = FolderLock(folder)
        except (OSError, RuntimeError):  # another service uses it
            continue
        for attempt in folder.iterdir():
            if attempt.is_dir():
                _kill_left(attempt)
        _remove(folder)
        lock.close()


def _kill_left(attempt: Path) -> None:
    """End the remaining processes of an attempt of a killed service."""
    clean_left(attempt)  # first: without their helpers containers are slow to end
    try:
        pid, started, boot = json.loads((attempt / _LEADER).read_text())
    except (OSError, ValueError):  # killed between the start of the command and this record
        kill_all(None, attempt)
        return
    if boot and boot == boot_id():
        kill_all(Leader(pid, started), attempt)


def _remove(folder: Path) -> None:
    """Remove a folder and its content, including folders that are not writable."""
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        for path, _, _ in os.walk(folder):
            with suppress(OSError):
                os.chmod(path, stat.S_IRWXU)
        shutil.rmtree(folder, ignore_errors=True)
