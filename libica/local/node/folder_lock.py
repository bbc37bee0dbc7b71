"""A lock on a folder that ends with the process that holds it."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import ClassVar

_HELD = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)
_FAR = 1 << 30  # on Windows a locked byte cannot be read, and others read the process id


class HeldError(RuntimeError):
    """Another process holds a folder.

    Attributes:
        holder: Its process id.
    """

    def __init__(self, folder: Path, holder: str) -> None:
        super().__init__(f"{folder} is in use by another service, process {holder}")
        self.holder = holder


class FolderLock:
    """Holds a folder until it is closed or the process ends, even by SIGKILL.

    Raises:
        HeldError: Another process holds the folder.
        OSError: The folder cannot be written, or its file system has no locks.
    """

    NAME: ClassVar[str] = "lock"

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / self.NAME, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(self._file)
        except OSError as error:
            holder = os.read(self._file, 32).decode("ascii", "replace").strip()
            os.close(self._file)
            if error.errno not in _HELD:
                raise
            raise HeldError(folder, holder or "unknown") from None
        os.ftruncate(self._file, 0)
        os.write(self._file, str(os.getpid()).encode())

    def fileno(self) -> int:
        """Return a descriptor; the folder is held while any copy of it is open in any process."""
        return self._file

    def close(self) -> None:
        """Release the folder, unless another process has a copy of the descriptor."""
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
