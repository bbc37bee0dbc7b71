"""An attempt: a folder that says what to run, and in the end how that ended.

Who starts an attempt and who runs it meet in this folder alone, be they on one machine or on two.
"""

from __future__ import annotations

import dataclasses
import errno
import functools
import json
import logging
import os
import shutil
import stat
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Optional

from .folder_lock import FolderLock, HeldError
from .job import Job, Outcome, Settings, now
from .runner import PAUSE, ROOT, carry_out, end_processes, lacks, unlink

_logger = logging.getLogger(__name__)

PRINTED = "printed.txt"
"""What the process that runs an attempt prints, if its engine keeps that."""

_JOB, _LOG, _OUTCOME = "job.json", "log.json", "outcome.json"
_LAST = 500  # bytes
_ENDING = 90.0
"""Seconds in which what runs an attempt must have ended after it was killed."""


class AttemptError(Exception):
    """A folder is no attempt that can be run here, or its attempt is running."""


def create(parent: Path, job: Job, settings: Settings) -> Path:
    """Create the folder of an attempt, which only this user may see, and return it.

    Raises:
        OSError: It cannot be created.
    """
    folder = parent / f"{job.run_id}-{job.attempt}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    known = {"job": dataclasses.asdict(job), "settings": dataclasses.asdict(settings)}
    _write(folder / _JOB, known)
    return folder


def run(folder: Path, stop: threading.Event) -> Outcome:
    """Run an attempt and return its outcome, which is also in its folder; soon after ``stop``.

    Errors of any kind are outcomes too. No attempt runs twice: one that has an outcome returns it,
    and one that was started before and did not end has failed.

    Raises:
        AttemptError: The folder is no attempt that can be run here, or its attempt is running.
    """
    folder = folder.absolute()
    with ExitStack() as held:
        while True:
            try:
                job, settings = _read(folder)
                lock = _locked(folder)
                if lock is not None:
                    held.callback(lock.close)
                before = outcome(folder)
                break
            except OSError as error:
                held.close()
                if not lacks(error) or stop.wait(PAUSE):
                    raise AttemptError(f"{folder} cannot be used: {error}") from error
        if before is not None:
            return before
        if (folder / _LOG).exists():
            ended = _interrupted(folder)
        else:
            begin = functools.partial(_write, folder / _LOG)
            descriptor = None if lock is None else lock.fileno()
            ended = carry_out(folder, job, settings, stop, begin, descriptor)
        kept = [ROOT] if settings.keeps_files_of(ended.status) else []
        try:
            _write(folder / _OUTCOME, dataclasses.asdict(ended))
            _clear(folder, *kept)
        except OSError:  # a full disk, most likely
            _clear(folder, *kept)
            try:
                _write(folder / _OUTCOME, dataclasses.asdict(ended))
            except OSError:
                _logger.exception("cannot write the outcome of %s", folder)
        return ended


def outcome(folder: Path) -> Optional[Outcome]:
    """Return the outcome of an attempt; ``None`` if it has none."""
    try:
        return Outcome(**json.loads((folder / _OUTCOME).read_bytes()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def log_so_far(folder: Path) -> dict[str, Any]:
    """Return what is known of an attempt's `TaskRunLogs`, however far it has come."""
    ended = outcome(folder)
    if ended is not None:
        return ended.log
    try:
        return dict(json.loads((folder / _LOG).read_bytes()))
    except (OSError, ValueError, TypeError):
        return {}


def last_words(folder: Path) -> str:
    """Return the last that the process that runs an attempt has printed, on one line."""
    try:
        with (folder / PRINTED).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _LAST))
            return " ".join(file.read().decode(errors="replace").split())
    except OSError:
        return ""


def end_left(folder: Path) -> None:
    """End what is left of an attempt on this machine after what ran it was killed.

    Raises:
        AttemptError: The attempt is running.
    """
    if not folder.is_dir():
        return
    until = time.monotonic() + _ENDING
    while True:  # supervisors end by themselves what they supervise, and hold the lock until then
        try:
            lock = _locked(folder)
            break
        except AttemptError:
            if time.monotonic() > until:
                raise
            time.sleep(0.01)
    try:
        end_processes(folder)
        if outcome(folder) is None:
            _clear(folder)
    finally:
        if lock is not None:
            lock.close()


def remove(folder: Path) -> None:
    """Remove the folder of an attempt that has ended, with all that is in it."""
    unlink(folder)
    _remove(folder)


def _read(folder: Path) -> tuple[Job, Settings]:
    try:
        known = json.loads((folder / _JOB).read_bytes())
        return Job(**known["job"]), Settings(**known["settings"])
    except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
        reason = f"{_JOB} cannot be read: {error.strerror}"
    except (ValueError, KeyError, TypeError) as error:
        reason = f"{_JOB} is not one of this version: {error!r}"
    raise AttemptError(f"{folder} is not an attempt that can be run on this machine: {reason}")


def _locked(folder: Path) -> Optional[FolderLock]:
    """Lock an attempt; ``None`` where the file system has no locks."""
    try:
        return FolderLock(folder)
    except HeldError as error:
        raise AttemptError(f"the attempt in {folder} runs in process {error.holder}") from None
    except OSError as error:
        if error.errno in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):
            return None
        raise


def _interrupted(folder: Path) -> Outcome:
    """Return the outcome of an attempt that was started before and did not end."""
    end_processes(folder)
    details = "What ran the attempt was killed, or its machine failed."
    return Outcome("Failed", details, {**log_so_far(folder), "error": details, "endTime": now()})


def _write(path: Path, content: Any) -> None:
    """Write JSON that only this user may read; it appears when it is complete."""
    part = path.with_suffix(".part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(json.dumps(content))
    os.replace(part, path)


def _clear(folder: Path, *kept: str) -> None:
    """Remove all that an attempt needed only while it was running."""
    unlink(folder)
    keep = {_JOB, _LOG, _OUTCOME, FolderLock.NAME, *kept}
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name not in keep:
                _remove(Path(entry.path))


def _remove(path: Path) -> None:
    """Remove a file, or a folder and its content, including folders that are not writable."""
    if path.is_symlink() or not path.is_dir():
        with suppress(OSError):
            path.unlink()
        return
    shutil.rmtree(path, ignore_errors=True)
    if path.exists():
        for inner, _, _ in os.walk(path):
            with suppress(OSError):
                os.chmod(inner, stat.S_IRWXU)
        shutil.rmtree(path, ignore_errors=True)
