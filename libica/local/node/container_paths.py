"""Where the paths of a container lie on this machine, and texts that speak of them."""

from __future__ import annotations

import os
import posixpath
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

# What an image brings; only paths that are declared themselves are looked for elsewhere.
_SYSTEM = frozenset("bin boot dev etc lib lib32 lib64 proc run sbin sys usr".split())
# Holds things of an image beside data: looked for elsewhere only where it is a direct parent.
_SHARED = frozenset("home media mnt opt private root srv tmp var Users Volumes".split())

# Where a path begins in a text: not within a longer name or URL, but after an option's letter.
_BEGIN = r"(?:(?<![\w./~)}*?\]+%\\-])|(?<=\s-[A-Za-z])|(?<=^-[A-Za-z])|(?<=file://))"
_END = r"(?![\w.+@%~-])"
_PROGRAM = r"(?P<program>/(?:[\w.+-]+/)*s?bin/[\w.+-]+)(?![\w.+@%~/-])"
# What means itself to a shell within a script, with or without quotes.
_PLAIN = re.compile(r"[\w./+@%=:,-]+", re.ASCII)


def is_plain(path: Path) -> bool:
    """Tell whether a path can be put into a shell script without quotes."""
    return bool(_PLAIN.fullmatch(path.as_posix()))


class ContainerPaths:
    """The files of one attempt, laid out beneath a folder as they would be in a container.

    Args:
        folder: What stands for the container's root.
        execution: The execution; its inputs, outputs and working directory are mapped.
        search: The `PATH` on which stand-ins for the image's programs are looked for.
    """

    def __init__(self, folder: Path, execution: Mapping[str, Any], search: str) -> None:
        self._folder = folder
        self._declared = sorted(_declared(execution))
        self._roots = _roots(self._declared)
        self._pattern = _pattern(self._roots)
        self._search = search
        self._search = self.mapped(search)
        self.working_directory = posixpath.join("/", execution.get("workingDirectory") or "/")

    def at(self, path: str) -> Path:
        """Return where a path of the container lies; a relative one is in the working directory."""
        inside = posixpath.normpath(posixpath.join(self.working_directory, path))
        return self._folder / inside.lstrip("/")

    def mapped(self, text: str) -> str:
        """Return a command's text with the container's paths replaced by where they lie.

        Replaced are the declared paths and their parent folders, with all that is beneath them,
        but not what an image brings (`/usr`, `/etc`, ...). A program of the image
        (`/opt/x/bin/NAME`) that does not exist here becomes the `NAME` found on the `PATH`.
        """
        return self._pattern.sub(self._replacement, text)

    def program(self, command: str) -> str:
        """Return the file to run for a command: staged, of this machine, or found on the `PATH`.

        Raises:
            FileNotFoundError: There is none.
        """
        if "/" in command:
            staged = self.at(command)
            for path in (staged, Path(command)):
                if path.is_absolute() and path.is_file():
                    return str(path)
        found = shutil.which(posixpath.basename(command), path=self._search)
        if found is None:
            raise FileNotFoundError(
                f"the command {command!r} is not on this machine: images are not pulled, "
                "so it must be on the PATH or among the inputs"
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
    """Yield the absolute paths that the execution names, but not the root itself."""
    mounts = [*(execution.get("inputs") or ()), *(execution.get("outputs") or ())]
    paths = [mount.get("path") for mount in mounts]
    for path in (*paths, execution.get("workingDirectory")):
        if isinstance(path, str) and path.startswith("/") and path.strip("/"):
            yield "/" + posixpath.normpath(path).lstrip("/")


def _roots(declared: Iterable[str]) -> set[str]:
    """Return the declared paths and those of their parents that are no folders of an image."""
    roots = set(declared)
    for path in declared:
        parent = posixpath.dirname(path)
        top = path.split("/")[1]
        if top in _SYSTEM:
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
