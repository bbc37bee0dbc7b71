"""A lock on a folder that ends with the process that holds it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_FAR = 1 << 30  # on Windows a locked byte cannot be read, and others read the process id


class FolderLock:
    """Holds a folder until it is closed or the process ends, even by SIGKILL.

    Raises:
        RuntimeError: Another lock holds the folder; the message has the process id of its holder.
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
        """Release the folder."""
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
