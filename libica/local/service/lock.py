"""One service at a time on a data folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_FAR = 1 << 30  # on Windows nobody else can read what is locked, and others read the id


class FolderLock:
    """Holds a folder until it is closed, or the process ends in whatever way.

    Raises:
        RuntimeError: Another service holds it; the message has its process id.
    """

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(self._file)
        except OSError:
            holder = os.read(self._file, 32).decode("ascii", "replace").strip()
            os.close(self._file)
            raise RuntimeError(
                f"{folder} is in use by another service, process {holder or 'unknown'}"
            ) from None
        os.ftruncate(self._file, 0)
        os.write(self._file, str(os.getpid()).encode())

    def close(self) -> None:
        """Let others have the folder."""
        os.close(self._file)


if sys.platform == "win32":
    import msvcrt

    def _lock(file: int) -> None:
        os.lseek(file, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(file, 0, os.SEEK_SET)

else:
    import fcntl

    def _lock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
