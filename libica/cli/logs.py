"""Logs of runs, as far as this machine can read where they are."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from time import sleep
from typing import Any, Optional
from urllib.parse import urlsplit
from urllib.request import url2pathname

from libica import batch
from libica.openapi import libtes

from .display import tell

CHUNK = 1 << 16
PAUSE = 0.5  # seconds between two looks at a log that grows
# All but tabs, line breaks and colours: a log must not command the terminal.
_CONTROL = re.compile(rb"(\x1b\[[0-9;]*m)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]").sub


class Log:
    """A log that is written to standard output as it grows."""

    def __init__(self, url: str, gds: Optional[str]) -> None:
        self.url = url
        self._place = _place(url, gds)
        self._written = 0

    def write(self) -> bool:
        """Write what is new; return whether the log exists."""
        try:
            with _open(self._place) as file:
                file.seek(self._written)
                while data := file.read(CHUNK):
                    self._written += len(data)
                    if sys.stdout.isatty():
                        data = _CONTROL(lambda found: found[1] or b"?", data)
                    sys.stdout.buffer.write(data)
        except FileNotFoundError:
            return False
        sys.stdout.buffer.flush()
        return True


def show(
    client: libtes.ApiClient, run_id: str, stderr: bool, follow: bool, gds: Optional[str]
) -> None:
    """Write the log of the last attempt of a run; on request until the run ends.

    Raises:
        ApiValueError: There is no log, or it cannot be read from here.
    """
    api = libtes.TaskRunsApi(client)
    log: Optional[Log] = None
    while True:
        run = api.get_task_run(run_id)
        ended = batch.is_finished(run)
        url = _url(run, stderr)
        if url is not None and (log is None or log.url != url):
            if log is not None:
                log.write()
                tell("-- the next attempt --")
            log = Log(url, gds)
        exists = log is not None and log.write()
        if ended or not follow:
            break
        sleep(PAUSE)
    if log is None:
        wait = "" if ended else "; --follow waits for it"
        raise libtes.ApiValueError(f"the run is {run.status} and has no log{wait}")
    if not exists:
        raise libtes.ApiValueError(f"{log.url} is not on this machine, or was removed")


def _url(run: libtes.TaskRun, stderr: bool) -> Optional[str]:
    found = [each.stderr if stderr else each.stdout for each in run.logs or []]
    return next((each for each in reversed(found) if each), None)


def _place(url: str, gds: Optional[str]) -> str:
    """Return the path of a file, or a URL of other storage."""
    if url.startswith("gds://"):
        if gds is None:
            raise libtes.ApiValueError(
                f"the log is {url}: give --gds, the folder or URL that gds:// URLs refer to"
            )
        url = f"{gds.rstrip('/')}/{url[len('gds://') :]}"
    parts = urlsplit(url)
    return url2pathname(parts.path) if parts.scheme == "file" else url


def _open(place: str) -> Any:
    if "://" not in place:
        return open(place, "rb")
    try:
        fsspec = import_module("fsspec")
    except ModuleNotFoundError as error:
        raise libtes.ApiValueError(
            f"the log is {place}: to read it, pip install 'libica-libtes[local,s3]'"
        ) from error
    return fsspec.open(place, "rb")
