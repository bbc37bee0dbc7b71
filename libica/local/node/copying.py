"""Copying files and folders: completely or not at all, never following links out of bounds."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Optional

from .places import Place, is_within, real_path

Check = Callable[[], None]
"""Called often during long work, to end it by raising an exception."""

_CHUNK = 1 << 20


def copy_file(source: Place, target: Place, check: Check, *, link: bool = False) -> None:
    """Copy a file with its permissions; it appears under its new name when it is complete.

    Args:
        source: The file.
        target: The copy; missing parent folders are created.
        check: Called often, to end the copying by raising an exception.
        link: Make a hard link instead where possible; for sources that will be removed.

    Raises:
        ValueError: The source is not a regular file, or a link leads out of bounds.
        OSError: A file cannot be read or written.
    """
    _guard(source)
    _guard(target)
    if not stat.S_ISREG(source.path.stat().st_mode):
        # Reading from a pipe, for example, may never end.
        raise ValueError(f"{source.path} is not a regular file")
    target.path.parent.mkdir(parents=True, exist_ok=True)
    with _complete(target.path) as part:
        if not (link and _linked(source.path, part)):
            _copy(source.path, part, check)


def copy_folder(
    source: Place,
    target: Place,
    check: Check,
    *,
    link: bool = False,
    skipped: Optional[list[Path]] = None,
    above: tuple[Path, ...] = (),
) -> None:
    """Copy the content of a folder into another.

    Arguments and errors are those of `copy_file`. With ``skipped``, links and special files are
    added to that list instead of being copied; without it, links are followed and special files are
    errors. ``above`` are the parent folders copied so far.
    """
    _guard(source)
    _guard(target)
    real = real_path(source.path)
    if real in above:
        raise ValueError(f"{source.path} is a link to a folder that contains it")
    if is_within(target.path, real):
        raise ValueError(f"{source.path} contains the folder to copy it to")
    target.path.mkdir(parents=True, exist_ok=True)
    for name in sorted(os.listdir(source.path)):
        check()
        inner = source._replace(path=source.path / name)
        copied = target._replace(path=target.path / name)
        if skipped is not None and not _is_plain(inner.path):
            skipped.append(inner.path)
        elif inner.path.is_dir():
            copy_folder(inner, copied, check, link=link, skipped=skipped, above=(*above, real))
        else:
            copy_file(inner, copied, check, link=link)


def _is_plain(path: Path) -> bool:
    mode = path.lstat().st_mode
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)


def _guard(place: Place) -> None:
    if place.within is not None and not is_within(place.path, place.within):
        raise ValueError(f"{place.path} leads out of {place.within} by a link")


@contextmanager
def _complete(target: Path) -> Iterator[Path]:
    """Yield a temporary path to write to; rename it to the target on success."""
    part = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        yield part
        os.replace(part, target)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise


def _linked(source: Path, part: Path) -> bool:
    """Make a hard link, unless the file has others: two outputs must not be one file."""
    try:
        if source.is_symlink() or source.stat().st_nlink != 1:
            return False
        os.link(source, part)
    except OSError:
        return False
    return True


def _copy(source: Path, target: Path, check: Check) -> None:
    with source.open("rb") as reader, target.open("wb") as writer:
        while chunk := reader.read(_CHUNK):
            check()
            writer.write(chunk)
    shutil.copymode(source, target)
