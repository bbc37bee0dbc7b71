"""Copying files and folders: whole or not at all, never out of where they belong."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .places import Place, is_within, real_path

Check = Callable[[], None]
"""Called often during long work; what it raises ends that work."""

_CHUNK = 1 << 20


def copy_file(source: Place, target: Place, check: Check, *, link: bool = False) -> None:
    """Copy a file, with its permissions, to a name under which it appears when it is complete.

    Args:
        source: The file.
        target: What to make; its folders are made too.
        check: Called often; what it raises ends the copying.
        link: Give the file itself the second name where possible, as it will lose its first.

    Raises:
        ValueError: The source is no file, or one of the two leads out of where it belongs.
        OSError: It cannot be read or written.
    """
    _guard(source)
    _guard(target)
    if not stat.S_ISREG(source.path.stat().st_mode):
        # Such as a pipe, from which reading may never end.
        raise ValueError(f"{source.path} is no file")
    target.path.parent.mkdir(parents=True, exist_ok=True)
    with _complete(target.path) as part:
        if not (link and _linked(source.path, part)):
            _copy(source.path, part, check)


def copy_folder(
    source: Place, target: Place, check: Check, *, link: bool = False, above: tuple[Path, ...] = ()
) -> None:
    """Copy what is in a folder into another; links are followed.

    The arguments and errors are those of `copy_file`; ``above`` are the folders around this one.
    """
    _guard(source)
    _guard(target)
    real = real_path(source.path)
    if real in above:
        raise ValueError(f"{source.path} is a link that leads back to a folder around it")
    if is_within(target.path, real):
        raise ValueError(f"{source.path} holds the folder it would be copied to")
    target.path.mkdir(parents=True, exist_ok=True)
    for name in sorted(os.listdir(source.path)):
        check()
        inner = source._replace(path=source.path / name)
        copied = target._replace(path=target.path / name)
        if inner.path.is_dir():
            copy_folder(inner, copied, check, link=link, above=(*above, real))
        else:
            copy_file(inner, copied, check, link=link)


def _guard(place: Place) -> None:
    if place.within is not None and not is_within(place.path, place.within):
        raise ValueError(f"{place.path} is a link that leads out of {place.within}")


@contextmanager
def _complete(target: Path) -> Iterator[Path]:
    """Give a name to write to; what is there becomes the target at the end, if all went well."""
    part = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        yield part
        os.replace(part, target)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise


def _linked(source: Path, part: Path) -> bool:
    """Link a file that has no other name, as two files that are one would be changed together."""
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
