"""The log files of an attempt: standard output and standard error of its command."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from .copying import copy_file
from .folders import LocalFolder
from .interruptible import Check, interruptible
from .job import Job
from .places import Local, Places, Remote, split_scheme
from .remote import Storage
from .staging import naming

_logger = logging.getLogger(__name__)
_PATIENCE = 60.0
"""Seconds for storing the logs of an attempt that failed or has to end."""


@contextmanager
def log_files(
    job: Job, places: Places, folder: Path, check: Check, log: dict[str, Any]
) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Open the log files under the URL of the system files, to write and read.

    In a folder of this machine they are written in place. Other storage gets them at the end,
    however the attempt ends.

    Args:
        job: The attempt.
        places: Maps the URL.
        folder: The attempt's folder, for files that cannot be written in place.
        check: Called often, to end the storing of such files by raising an exception.
        log: The attempt's `TaskRunLogs`, in which the URLs are recorded.

    Raises:
        StagingError: The files cannot be opened or stored.
    """
    files = job.execution.get("systemFiles") or {}
    above = (files.get("url") or places.logs).rstrip("/")
    stored: dict[Path, Remote] = {}
    with ExitStack() as stack:
        opened = []
        for name in ("stdout", "stderr"):
            url = f"{above}/{job.run_id}/{name}-{job.attempt}.log"
            with naming("systemFiles", {"url": above}):
                place = places.locate(url, files.get("credentials"))
                if isinstance(place, Local):
                    file = _opened(place)
                    log[name] = url if split_scheme(url)[0] else place.path.as_uri()
                else:
                    stored[folder / f"{name}.log"] = place
                    file = (folder / f"{name}.log").open("w+b")
                    log[name] = url
                opened.append(stack.enter_context(file))
        storing = partial(_store, above, stored)
        try:
            yield opened[0], opened[1]
        except BaseException:
            until = time.monotonic() + _PATIENCE
            try:
                storing(lambda: _check_time(until))
            except Exception as error:  # why the attempt ended matters more
                _logger.warning("the logs of %s were not stored: %s", job.run_id, error)
            raise
        storing(check)


def _opened(place: Local) -> BinaryIO:
    with LocalFolder.at(Local(place.path.parent, place.within), make=True) as folder:
        return folder.opened(place.path.name, os.O_RDWR | os.O_CREAT | os.O_TRUNC)


def _store(url: str, files: dict[Path, Remote], check: Check) -> None:
    def store(check: Check) -> None:
        storage = Storage()
        with naming("systemFiles", {"url": url}):
            for path, place in files.items():
                copy_file(Local(path, None), place, storage, check)

    if files:
        interruptible(store, check)


def _check_time(until: float) -> None:
    if time.monotonic() > until:
        raise TimeoutError(f"that took more than {_PATIENCE:g} s")
