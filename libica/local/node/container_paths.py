"""Where paths of a container lie on this machine, and replacing them in a command."""

from __future__ import annotations

import os
import posixpath
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .places import real_path

# Folders of an image: only the declared paths in them are replaced, not their parents.
SYSTEM = frozenset("bin boot dev etc lib lib32 lib64 proc run sbin sys usr".split())
# Folders of both image and data: replaced only as the direct parent of a declared path.
_SHARED = frozenset("home media mnt opt private root srv tmp var Users Volumes".split())

# A path begins neither within a longer name nor in a URL, but may follow an option's letter.
_BEGIN = r"(?:(?<![\w./~)}*?\]+%\\-])|(?<=\s-[A-Za-z])|(?<=^-[A-Za-z])|(?<=file://))"
_END = r"(?![\w.+@%~-])"
_PROGRAM = r"(?P<program>/(?:[\w.+-]+/)*s?bin/[\w.+-]+)(?![\w.+@%~/-])"
# Has no special meaning to a shell, with or without quotes.
_PLAIN = re.compile(r"[\w./+@%=:,-]+", re.ASCII)


def is_plain(path: Path) -> bool:
    """Return whether a path needs no quotes in a shell script."""
    return bool(_PLAIN.fullmatch(path.as_posix()))


class ContainerPaths:
    """The files of one attempt, laid out in a folder as they would be in a container.

    Args:
        folder: The folder that replaces the root of the container.
        execution: The execution; its inputs, outputs and working directory are mapped.
        search: The `PATH` to find replacements for the image's programs on.
    """

    def __init__(self, folder: Path, execution: Mapping[str, Any], search: str) -> None:
        self._folder = folder
        self.root: Path = real_path(folder)
        self._declared = sorted(_declared(execution))
        self._roots = _roots(self._declared)
        self._pattern = _pattern(self._roots)
        self._search = search
        self._search = self.mapped(search)
        self.working_directory = posixpath.join("/", execution.get("workingDirectory") or "/")

    def at(self, path: str) -> Path:
        """Map a path of the container; a relative one is in the working directory."""
        return self._folder / self.inside(path).lstrip("/")

    def inside(self, path: str) -> str:
        """Return a path of the container as an absolute one."""
        return "/" + posixpath.normpath(posixpath.join(self.working_directory, path)).lstrip("/")

    def shown(self, path: Path) -> str:
        """Return the path in the container of a file that lies here."""
        return f"/{path.relative_to(self._folder).as_posix()}"

    def mapped(self, text: str) -> str:
        """Return a text of the command with the container's paths replaced.

        Declared paths and their parent folders are replaced, with everything beneath them, but
        not folders of an image such as `/usr` and `/etc`. A program of the image
        (`/opt/x/bin/NAME`) that does not exist here becomes the `NAME` on the `PATH`.
        """
        return self._pattern.sub(self._replacement, text)

    def program(self, command: str) -> str:
        """Return the program of a command: an input, a file of this machine, or on the `PATH`.

        Raises:
            FileNotFoundError: There is no such program.
        """
        if "/" in command:
            staged = self.at(command)
            for path in (staged, Path(command)):
                if path.is_absolute() and path.is_file():
                    return str(path)
        found = shutil.which(posixpath.basename(command), path=self._search)
        if found is None:
            raise FileNotFoundError(
                f"the command {command!r} was not found: images are not used, so it must be on "
                "the PATH of this machine or among the inputs"
            )
        return os.path.abspath(found)

    def _replacement(self, found: re.Match[str]) -> str:
        text = found[0]
        name = found["program"]
        if name and not self._is_declared(name) and not os.path.exists(name):
            stand_in = shutil.which(posixpath.basename(name), path=self._search)
            if stand_in and is_plain(Path(stand_in)):
                return os.path.abspath(stand_in)
        if name and not any(_is_beneath(name, root) for root in self._roots):
            return text
        return f"{self._folder.as_posix()}{text}"

    def _is_declared(self, path: str) -> bool:
        return any(_is_beneath(path, declared) for declared in self._declared)


def _declared(execution: Mapping[str, Any]) -> Iterator[str]:
    """Yield the absolute paths that the execution declares, except the root itself."""
    mounts = [*(execution.get("inputs") or ()), *(execution.get("outputs") or ())]
    paths = [mount.get("path") for mount in mounts]
    for path in (*paths, execution.get("workingDirectory")):
        if isinstance(path, str) and path.startswith("/") and path.strip("/"):
            yield "/" + posixpath.normpath(path).lstrip("/")


def _roots(declared: Iterable[str]) -> set[str]:
    """Return the declared paths and those of their parents that are not folders of an image."""
    roots = set(declared)
    for path in declared:
        parent = posixpath.dirname(path)
        top = path.split("/")[1]
        if top in SYSTEM:
            continue
        roots.add(parent)
        while parent.count("/") > 1:
            parent = posixpath.dirname(parent)
            if parent[1:] not in _SHARED:
                roots.add(parent)
    return roots - {"/"}


def _pattern(roots: Iterable[str]) -> re.Pattern[str]:
    longest_first = sorted(roots, key=len, reverse=True)
    paths = "".join(f"|{re.escape(root)}{_END}" for root in longest_first)
    return re.compile(f"{_BEGIN}(?:{_PROGRAM}{paths})")


def _is_beneath(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + "/")
