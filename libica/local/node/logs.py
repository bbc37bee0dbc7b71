"""The log files of an attempt: standard output and standard error of its command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from .copying import Check
from .job import Job
from .places import Places, split_scheme
from .staging import StagingError


@contextmanager
def log_files(
    job: Job,
    places: Places,
    folder: Path,  # noqa: ARG001 - for storage that cannot be written in place
    check: Check,  # noqa: ARG001
    log: dict[str, Any],
) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Open the log files under the URL of the system files, to write and read.

    Args:
        job: The attempt.
        places: Maps the URL.
        folder: The attempt's folder, for files that cannot be written in place.
        check: Called often, to end the storing of such files by raising an exception.
        log: The attempt's `TaskRunLogs`, in which the URLs are recorded.

    Raises:
        StagingError: The files cannot be opened or stored.
    """
    wanted = (job.execution.get("systemFiles") or {}).get("url")
    above = (wanted or str(places.gds / "logs")).rstrip("/")
    with ExitStack() as stack:
        files = []
        for name in ("stdout", "stderr"):
            url = f"{above}/{job.run_id}/{name}-{job.attempt}.log"
            try:
                path = places.locate(url).path
                path.parent.mkdir(parents=True, exist_ok=True)
                files.append(stack.enter_context(path.open("w+b")))
            except (OSError, ValueError) as error:
                raise StagingError(f"systemFiles ({wanted}): {error}") from error
            log[name] = url if split_scheme(url)[0] else path.as_uri()
        yield files[0], files[1]
