"""The file or folder of this machine that a URL refers to."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple, Optional
from urllib.parse import urlsplit
from urllib.request import url2pathname

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+)://(.*)", re.IGNORECASE | re.DOTALL)


class Place(NamedTuple):
    """A file or folder, and the folder that links must not lead out of, if any."""

    path: Path
    within: Optional[Path]


class Places:
    """Maps URLs to files: `gds://` and `s3://` to one folder, `file://` to anywhere.

    `gds://volume/path` is `volume/path` in that folder; `s3://bucket/key` is `.s3/bucket/key`.

    Args:
        gds: The folder; it need not exist yet.
    """

    def __init__(self, gds: Path) -> None:
        self.gds: Path = gds.absolute()

    def locate(self, url: str) -> Place:
        """Return the place of a URL or absolute path, whether or not it exists.

        Raises:
            ValueError: The URL does not refer to this machine, or leads out of the folder.
        """
        scheme, rest = split_scheme(url)
        if "\0" in url:
            raise ValueError("the URL has a null byte")
        if scheme == "gds":
            return self._beneath(rest, "")
        if scheme == "s3":
            return self._beneath(rest, ".s3")
        if scheme == "file":
            return Place(_file(rest), None)
        if scheme:
            raise ValueError(f"{scheme}:// URLs are not supported here")
        path = Path(url)
        if not path.is_absolute():
            raise ValueError("it must be an absolute path or a gds://, s3:// or file:// URL")
        return Place(path, None)

    def _beneath(self, rest: str, folder: str) -> Place:
        volume, *parts = rest.split("/")
        if not volume or volume.startswith(".") or ".." in parts or "\\" in rest:
            raise ValueError("the URL must have a volume or bucket, and no .. in its path")
        path = Path(self.gds, folder, volume, *(part for part in parts if part))
        within = real_path(self.gds)
        if not is_within(path, within):
            raise ValueError(f"a link leads out of {self.gds}")
        return Place(path, within)


def split_scheme(url: str) -> tuple[str, str]:
    """Return the scheme of a URL in lower case (empty for a plain path) and what follows `://`."""
    found = _SCHEME.match(url)
    return (found[1].lower(), found[2]) if found else ("", url)


def shown(url: str) -> str:
    """Return a URL without its parts that may be secret: user, password, query and fragment."""
    scheme, _ = split_scheme(url)
    if scheme not in ("http", "https"):
        return url
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def is_within(path: Path, folder: Path) -> bool:
    """Return whether a path lies in a folder after following links; the folder must be real."""
    real = real_path(path)
    return real == folder or folder in real.parents


def real_path(path: Path) -> Path:
    """Return a path with links followed. Unlike `Path.resolve`, this accepts a loop of links."""
    return Path(os.path.realpath(path))


def _file(rest: str) -> Path:
    host, _, path = rest.partition("/")
    if host.lower() not in ("", "localhost"):
        raise ValueError("a file:// URL cannot name another machine")
    # `#` and `?` are part of the path; Python 3.14 and later would end it there.
    quoted = path.replace("#", "%23").replace("?", "%3F")
    return Path(url2pathname(f"/{quoted}"))
