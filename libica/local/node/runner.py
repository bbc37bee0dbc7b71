"""Carries out jobs as commands of this machine, each in a scratch folder of its own."""

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

from .container_paths import ContainerPaths, is_plain
from .job import Job, Outcome, now
from .machines import machine_of
from .places import Places, split_scheme
from .processes import Command, Leader, boot_id, kill_all, run_command
from .staging import Staging, StagingError

try:
    import fcntl
except ImportError:  # Windows: what a killed service left there is not cleaned up
    fcntl = None  # type: ignore[assignment]

_logger = logging.getLogger(__name__)

DAY = 24 * 60 * 60.0
_DETAILS_LIMIT = 4096
_TAIL = 2000
_LEADER = "leader.json"


class LocalRunner:
    """Runs each job's command on this machine, as the user that the service runs as.

    Args:
        gds: The folder in which `gds://volume/path` is `volume/path`, and `s3://bucket/key` is
            `.s3/bucket/key`.
        scratch: Where attempts have their folders. What a killed service left there is ended and
            removed. Scripts cannot name a path with blanks, quotes and the like without care:
            such a folder is used through a link from the system's folder for temporary files.
        time_limit: Seconds after which an attempt is ended as TimedOut; `None` for no limit.
        path: The `PATH` on which commands are found, and which a command sees unless its
            execution declares another; by default that of this process. It is the only variable
            that a command gets without its execution declaring it.
        grace: Seconds from asking a command to end (SIGTERM) to killing it.
    """

    def __init__(
        self,
        gds: Path,
        scratch: Path,
        time_limit: Optional[float] = DAY,
        *,
        path: Optional[str] = None,
        grace: float = 2.0,
    ) -> None:
        self._places = Places(gds)
        self._path = os.environ.get("PATH", os.defpath) if path is None else path
        self._time_limit = time_limit
        self._grace = grace
        scratch.mkdir(parents=True, exist_ok=True)
        _sweep(scratch)
        self._scratch, release = _own_folder(scratch)
        self._release = weakref.finalize(self, release)

    def run(self, job: Job, stop: threading.Event) -> Outcome:
        """Carry out the job and return how it ended; whatever goes wrong is an outcome too."""
        log: dict[str, Any] = {"startTime": now()}
        try:
            status, details = "Completed", self._attempt(job, log, self._check(stop))
        except _EndedError as ended:
            status, details = ended.status, str(ended)
        except (StagingError, OSError, ValueError) as error:
            status, details = "Failed", str(error)
        except Exception as error:
            _logger.exception("an attempt of %s broke", job.run_id)
            status, details = "Failed", f"the runner broke: {error!r}"
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
                raise _EndedError("TimedOut", f"The run took longer than {self._time_limit:g} s.")

        return check

    def _attempt(self, job: Job, log: dict[str, Any], check: Callable[[], None]) -> str:
        """Carry out the job; return what there is to say when all went well."""
        execution = job.execution
        with ExitStack() as stack:
            output, errors = (
                stack.enter_context(self._log_file(job, name, log)) for name in ("stdout", "stderr")
            )
            check()
            variables = _variables(execution)
            machine_of((execution.get("environment") or {}).get("resources"))
            search = variables.get("PATH", self._path)
            folder = stack.enter_context(self._attempt_folder(job))
            container = ContainerPaths(folder / "root", execution, search)
            staging = Staging(execution, container, self._places, folder, check)
            staging.prepare_outputs()
            staging.bring_inputs()
            command = _command(execution, container, {"PATH": search, **variables})
            status = run_command(
                command,
                output,
                errors,
                check,
                grace=self._grace,
                within=folder,
                note=lambda leader: _note(folder, leader),
            )
            if status:
                log["errorDetails"] = _tail(errors, variables)
                raise _EndedError("Failed", _ended(execution["command"], status))
            staging.store_outputs()
        return "The command ended with exit status 0."

    @contextmanager
    def _log_file(self, job: Job, name: str, log: dict[str, Any]) -> Iterator[BinaryIO]:
        """Open a log of the attempt where the execution wants it, and note its URL."""
        wanted = (job.execution.get("systemFiles") or {}).get("url")
        folder = wanted or str(self._places.gds / "logs")
        url = f"{folder.rstrip('/')}/{job.run_id}/{name}-{job.attempt}.log"
        try:
            path = self._places.locate(url).path
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("w+b")
        except (OSError, ValueError) as error:
            raise StagingError(f"systemFiles ({wanted}): {error}") from error
        with file:
            log[name] = url if split_scheme(url)[0] else path.as_uri()
            yield file

    @contextmanager
    def _attempt_folder(self, job: Job) -> Iterator[Path]:
        folder = Path(tempfile.mkdtemp(prefix=f"{job.attempt}-", dir=self._scratch))
        try:
            yield folder
        finally:
            _remove(folder)


class _EndedError(Exception):
    """The attempt ended otherwise than well, or has to."""

    def __init__(self, status: str, details: str) -> None:
        super().__init__(details)
        self.status = status


def _variables(execution: Mapping[str, Any]) -> dict[str, str]:
    declared = (execution.get("environment") or {}).get("variables") or {}
    return {name: str(value) for name, value in declared.items() if value is not None}


def _command(
    execution: Mapping[str, Any], container: ContainerPaths, variables: Mapping[str, str]
) -> Command:
    """Return what to run, its paths mapped."""
    command = execution.get("command")
    if not command:
        raise ValueError("the execution has no command, and images are not pulled to ask them")
    folder = container.at(container.working_directory)
    folder.mkdir(parents=True, exist_ok=True)
    arguments = [container.mapped(str(argument)) for argument in execution.get("args") or ()]
    mapped = {name: container.mapped(value) for name, value in variables.items()}
    return Command(container.program(command), [command, *arguments], mapped, folder)


def _note(attempt: Path, leader: Leader) -> None:
    """Write down what runs, should this process be killed."""
    (attempt / _LEADER).write_text(json.dumps([*leader, boot_id()]))


def _ended(command: str, status: int) -> str:
    """Say how a command ended that did not end well."""
    if status > 0:
        return f"The command {command!r} ended with exit status {status}."
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    return f"The command {command!r} was ended by {name}."


def _tail(errors: BinaryIO, variables: Mapping[str, str]) -> str:
    """Return the last of what a command wrote to its standard error, without its secrets."""
    length = errors.seek(0, os.SEEK_END)
    errors.seek(max(0, length - _TAIL))
    text = errors.read(_TAIL).decode("utf-8", "replace")
    for name, value in variables.items():
        # A shorter one is no secret, and would make holes in every word.
        if name.upper().startswith("SECURE_") and len(value) > 3:
            text = text.replace(value, "***")
    return text


def _own_folder(scratch: Path) -> tuple[Path, Callable[[], None]]:
    """Make a folder that is locked as long as this process lives; return how to give it back."""
    new = Path(tempfile.mkdtemp(prefix="new-", dir=scratch)).resolve()
    lock = os.open(new / "lock", os.O_RDWR | os.O_CREAT)
    if fcntl is not None:
        fcntl.flock(lock, fcntl.LOCK_EX)
    # Locked before it has a name that another service would look for.
    folder = new.rename(new.with_name(new.name.replace("new-", "runner-")))
    link = None if is_plain(folder) else Path(tempfile.mkdtemp(prefix="libica-"), "scratch")
    if link is not None:
        link.symlink_to(folder, target_is_directory=True)

    def release() -> None:
        os.close(lock)
        # An attempt that still runs keeps its folder, by which the next service finds it.
        with suppress(OSError):
            (folder / "lock").unlink()
            folder.rmdir()
        if link is not None:
            link.unlink()
            link.parent.rmdir()

    return link or folder, release


def _sweep(scratch: Path) -> None:
    """End and remove what services that were killed have left in a scratch folder."""
    if fcntl is None:
        return
    for folder in scratch.glob("runner-*"):
        try:
            lock = os.open(folder / "lock", os.O_RDWR)
        except OSError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for attempt in folder.iterdir():
                if attempt.is_dir():
                    _kill_left(attempt)
            _remove(folder)
        except OSError:
            # Another service lives and holds it.
            continue
        finally:
            os.close(lock)


def _kill_left(attempt: Path) -> None:
    """End what an attempt of a killed service still runs."""
    try:
        pid, started, boot = json.loads((attempt / _LEADER).read_text())
    except (OSError, ValueError):
        return
    if boot and boot == boot_id():
        kill_all(Leader(pid, started), attempt)


def _remove(folder: Path) -> None:
    """Remove a folder with all in it, also what its owner may not write to."""
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        for path, _, _ in os.walk(folder):
            with suppress(OSError):
                os.chmod(path, stat.S_IRWXU)
        shutil.rmtree(folder, ignore_errors=True)
