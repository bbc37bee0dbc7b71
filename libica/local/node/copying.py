"""Copying files and folders: completely or not at all, never following links out of bounds."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Optional, Union

from .download import downloading
from .folders import Details, LocalFolder, mode_of
from .interruptible import Check
from .places import Local, Place, Source, Web, real_path
from .remote import RemoteFolder, Storage

Folder = Union[LocalFolder, RemoteFolder]
Opening = AbstractContextManager[tuple[Iterator[bytes], Details]]


def mode_at(place: Place, storage: Storage) -> int:
    """Return the mode of what is at a place, after following links; 0 if nothing is.

    Raises:
        ValueError: A link leads out of bounds.
    """
    if isinstance(place, Local):
        return mode_of(place)
    return storage.mode(place)


def folder_at(place: Place, storage: Storage, *, make: bool = False) -> Folder:
    """Open the folder at a place."""
    if isinstance(place, Local):
        return LocalFolder.at(place, make=make)
    folder = RemoteFolder(*storage.reached(place))
    return folder.made() if make else folder


def parent(place: Place, storage: Storage, *, make: bool = False) -> tuple[Folder, str]:
    """Open the folder that a place is in; return it and the name in it."""
    if isinstance(place, Local):
        above = Local(place.path.parent, place.within)
        return LocalFolder.at(above, make=make), place.path.name
    system, path = storage.reached(place)
    upper, _, name = path.rpartition("/")
    folder = RemoteFolder(system, upper)
    return folder.made() if make else folder, name


def copy_file(
    source: Source, target: Place, storage: Storage, check: Check, *, link: bool = False
) -> None:
    """Copy a file with its permissions and time; it has its new name when it is complete.

    Args:
        source: The file.
        target: The copy; missing parent folders are created.
        storage: Connections to other storage.
        check: Called often, to end the copying by raising an exception.
        link: Make a hard link instead where possible; for sources that will be removed.

    Raises:
        ValueError: The source is not a regular file, or a link leads out of bounds.
        OSError: A file cannot be read or written.
    """
    into, new = parent(target, storage, make=True)
    with into:
        if isinstance(source, Web):
            _write(downloading(source.url), into, new, check)
            return
        folder, name = parent(source, storage)
        with folder:
            _copy(folder, name, into, new, check, link)


def copy_folder(
    source: Place,
    target: Place,
    storage: Storage,
    check: Check,
    *,
    link: bool = False,
    skipped: Optional[list[str]] = None,
) -> None:
    """Copy the content of a folder into another.

    Arguments and errors are those of `copy_file`. With ``skipped``, the paths of links and special
    files are added to that list, relative to the source, and nothing else is done with these;
    without it, links are followed and special files are errors.
    """
    if isinstance(source, Local) and isinstance(target, Local):
        real, new = real_path(source.path), real_path(target.path)
        if real in (new, *new.parents):
            raise ValueError(f"{source.path} contains the folder to copy it to")
    with folder_at(source, storage) as folder, folder_at(target, storage, make=True) as into:
        _copy_content(folder, into, check, link, skipped, "", ())


def _copy_content(
    folder: Folder,
    into: Folder,
    check: Check,
    link: bool,
    skipped: Optional[list[str]],
    path: str,
    above: tuple[object, ...],
) -> None:
    above = (*above, folder.identity())
    if above[-1] in above[:-1]:
        raise ValueError(f"{folder.path} is a link to a folder that contains it")
    for name, mode in folder.entries(follow=skipped is None):
        check()
        inner = f"{path}/{name}"
        if skipped is not None and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            skipped.append(inner)
        elif stat.S_ISDIR(mode):
            with folder.folder(name) as source, into.folder(name, make=True) as target:
                _copy_content(source, target, check, link, skipped, inner, above)
        else:
            _copy(folder, name, into, name, check, link)


def _copy(
    folder: Folder, name: str, into: Folder, new: str, check: Check, link: bool = False
) -> None:
    if (
        link
        and isinstance(folder, LocalFolder)
        and isinstance(into, LocalFolder)
        and into.link(new, folder, name)
    ):
        return
    _write(folder.reading(name), into, new, check)


def _write(source: Opening, into: Folder, name: str, check: Check) -> None:
    with source as (chunks, details), into.writing(name, details) as writer:
        for chunk in chunks:
            check()
            writer.write(chunk)
        check()
