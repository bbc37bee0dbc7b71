"""Folders of this machine, held open so that no link that appears later leads out of bounds."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple, Optional, cast

from .places import Local, real_within

CHUNK = 1 << 20
# Not on Windows: paths are checked before they are used, as well as that goes.
_HELD = {os.open, os.mkdir, os.link, os.unlink, os.rename, os.stat} <= os.supports_dir_fd
_NO_LINK: int = getattr(os, "O_NOFOLLOW", 0)
_FILE: int = _NO_LINK | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
# To open a pipe that nobody writes to would wait for ever.
READ: int = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)
# O_PATH needs no permission to list the folder.
_FOLDER: int = getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_PATH", os.O_RDONLY)


class Details(NamedTuple):
    """What is known of a file besides its content."""

    size: int
    modified_ns: Optional[int] = None
    permissions: Optional[int] = None


class LocalFolder:
    """An open folder: what is done in it is done in this very one, wherever its path leads by then.

    Links in it are not followed, unless a method says so.
    """

    def __init__(self, path: Path, within: Optional[Path], descriptor: Optional[int]) -> None:
        self.path = path
        self._within = within
        self._descriptor = descriptor

    @classmethod
    def at(cls, place: Local, *, make: bool = False) -> LocalFolder:
        """Open a folder; links in its path are followed if they stay within the place's bounds.

        Raises:
            ValueError: A link leads out of bounds.
            OSError: There is no such folder; with ``make``, it cannot be made.
        """
        path, within = place
        if within is None:
            if make:
                path.mkdir(parents=True, exist_ok=True)
            return cls(path, None, os.open(path, _FOLDER) if _HELD else None)
        real = real_within(place)
        if make:
            within.mkdir(parents=True, exist_ok=True)
        folder = cls(within, within, os.open(within, _FOLDER) if _HELD else None)
        for part in real.relative_to(within).parts:
            with folder:  # of a real path no part is a link, unless somebody has just made it one
                folder = folder._step(part, make)
        return folder

    def __enter__(self) -> LocalFolder:
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def folder(self, name: str, *, make: bool = False) -> LocalFolder:
        """Open a folder in this one; a link to one is followed if it stays within the bounds."""
        if stat.S_ISLNK(self._mode(name)):
            return self.at(Local(self.path / name, self._within), make=make)
        return self._step(name, make)

    def entries(self, *, follow: bool) -> Iterator[tuple[str, int]]:
        """Yield the names in the folder, sorted, with the mode of each; of links, if not followed.

        Raises:
            ValueError: A link that is followed leads out of bounds.
        """
        if self._descriptor is None:
            names = os.listdir(self.path)
        else:
            listed = os.open(".", os.O_RDONLY, dir_fd=self._descriptor)
            try:
                names = os.listdir(listed)
            finally:
                os.close(listed)
        for name in sorted(names):
            mode = self._mode(name)
            if follow and stat.S_ISLNK(mode):
                mode = mode_of(Local(self.path / name, self._within))
            yield name, mode

    def identity(self) -> object:
        """Return what is the same for each way to this folder."""
        status = os.stat(self.path if self._descriptor is None else self._descriptor)
        return status.st_dev, status.st_ino

    @contextmanager
    def reading(self, name: str) -> Iterator[tuple[Iterator[bytes], Details]]:
        """Open a regular file; yield its content in chunks, and its details.

        A link to one is followed if it stays within the bounds.
        """
        mode = self._mode(name)
        if stat.S_ISLNK(mode):
            real = real_within(Local(self.path / name, self._within))
            above = Local(real.parent, self._within)
            with LocalFolder.at(above) as folder, folder.reading(real.name) as opened:
                yield opened
            return
        self._check_regular(mode or stat.S_IFREG, name)
        with self.opened(name, READ) as file:
            status = os.fstat(file.fileno())
            self._check_regular(status.st_mode, name)
            permissions = stat.S_IMODE(status.st_mode)
            details = Details(status.st_size, status.st_mtime_ns, permissions)
            yield iter(partial(file.read, CHUNK), b""), details

    @contextmanager
    def writing(self, name: str, details: Details) -> Iterator[BinaryIO]:
        """Open a new file; it has its name, which it takes from another, when it is complete."""
        created = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with self._completing(name) as part, self.opened(part, created) as file:
            yield file
            file.flush()
            path = file.fileno() if os.utime in os.supports_fd else self.path / part
            if details.permissions is not None:
                os.chmod(path, details.permissions)
            if details.modified_ns is not None:
                os.utime(path, ns=(details.modified_ns, details.modified_ns))

    def link(self, name: str, source: LocalFolder, original: str) -> bool:
        """Make a hard link to a regular file of another folder; return whether that is possible.

        A file that has others already is left: two outputs must not be one file.
        """
        if not _HELD:
            return False
        status = source._status(original)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
            return False
        try:
            with self._completing(name) as part:
                os.link(
                    original,
                    part,
                    src_dir_fd=source._descriptor,
                    dst_dir_fd=self._descriptor,
                    follow_symlinks=False,
                )
                if not os.path.samestat(self._status(part), status):
                    raise FileNotFoundError(f"{source.path / original} has just been replaced")
        except OSError:
            return False
        return True

    def opened(self, name: str, flags: int) -> BinaryIO:
        """Open a file that is not a link, to read or to write, as `os.open` does."""
        with self._named(name):
            descriptor = os.open(self._at(name), flags | _FILE, 0o666, dir_fd=self._descriptor)
        mode = {os.O_WRONLY: "wb", os.O_RDWR: "r+b"}.get(flags & (os.O_WRONLY | os.O_RDWR), "rb")
        return cast(BinaryIO, open(descriptor, mode))

    def _step(self, name: str, make: bool) -> LocalFolder:
        path = self.path / name
        with self._named(name):
            if make:
                with suppress(FileExistsError):
                    os.mkdir(self._at(name), dir_fd=self._descriptor)
            if self._descriptor is None:
                return LocalFolder(path, self._within, None)
            opened = os.open(name, _FOLDER | _NO_LINK, dir_fd=self._descriptor)
        return LocalFolder(path, self._within, opened)

    def _mode(self, name: str) -> int:
        """Return the mode of a name, of the link itself if it is one; 0 if there is none."""
        try:
            return self._status(name).st_mode
        except FileNotFoundError:
            return 0

    def _check_regular(self, mode: int, name: str) -> None:
        if not stat.S_ISREG(mode):
            raise ValueError(f"{self.path / name} is not a regular file")

    def _at(self, name: str) -> str:
        return str(self.path / name) if self._descriptor is None else name

    def _status(self, name: str) -> os.stat_result:
        return os.stat(self._at(name), dir_fd=self._descriptor, follow_symlinks=False)

    @contextmanager
    def _named(self, name: str) -> Iterator[None]:
        """Put the whole path in errors, which name a file as it was opened."""
        try:
            yield
        except OSError as error:
            if isinstance(error.filename, str) and not os.path.isabs(error.filename):
                error.filename = str(self.path / name)
            raise

    @contextmanager
    def _completing(self, name: str) -> Iterator[str]:
        """Yield a temporary name; on success it becomes the given one."""
        part, at = temporary_name(), self._descriptor
        try:
            yield part
            with self._named(name):
                os.replace(self._at(part), self._at(name), src_dir_fd=at, dst_dir_fd=at)
        except BaseException:
            with suppress(OSError):
                os.unlink(self._at(part), dir_fd=self._descriptor)
            raise


def temporary_name() -> str:
    """Return a name for a file that is not complete."""
    return f".{secrets.token_hex(8)}.part"


def mode_of(place: Local) -> int:
    """Return the mode of what is at a place, after following links; 0 if nothing is.

    Raises:
        ValueError: A link leads out of bounds.
    """
    path = real_within(place)
    return path.stat().st_mode if path.exists() else 0
