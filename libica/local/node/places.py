"""What a URL refers to: a file or folder of this machine, or one in other storage."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, Optional, Union
from urllib.parse import urlsplit
from urllib.request import url2pathname

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+)://(.*)", re.IGNORECASE | re.DOTALL)
_KEY, _SECRET = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"
_WEB = ("http", "https")


class Local(NamedTuple):
    """A file or folder of this machine, and the folder that links must not lead out of, if any."""

    path: Path
    within: Optional[Path]


class Remote(NamedTuple):
    """A file or folder in storage that fsspec reaches: its path beneath a URL.

    The credentials are those of the mount, if it has any, with names in upper case.
    """

    base: str
    path: str
    credentials: tuple[tuple[str, str], ...] = ()


class Web(NamedTuple):
    """A file to download."""

    url: str


Place = Union[Local, Remote]
Source = Union[Local, Remote, Web]


class Places:
    """Maps URLs to places: `gds://` into one folder, `s3://` to S3, `file://` to anywhere here.

    `gds://volume/path` is `volume/path` in the folder. If that is one of this machine and has a
    folder `.s3`, then this stands in for S3: `s3://bucket/key` is `.s3/bucket/key`.

    Args:
        gds: The folder, which need not exist yet: a path, or a URL that fsspec knows.

    Raises:
        ValueError: Nothing installed reaches that URL.
    """

    def __init__(self, gds: Union[str, Path]) -> None:
        scheme, rest = split_scheme(str(gds))
        self._gds: Union[str, Path] = str(gds).rstrip("/") if scheme else Path(gds).absolute()
        if scheme == "file":
            self._gds = _file(rest)
        elif scheme:
            _check_reachable(scheme, str(gds))
        self._within = real_path(self._gds) if isinstance(self._gds, Path) else None

    @property
    def logs(self) -> str:
        """The URL or path of the folder for the logs of runs that name none."""
        return str(self._gds / "logs") if isinstance(self._gds, Path) else "gds://logs"

    def locate(self, url: str, credentials: Optional[Mapping[str, Any]] = None) -> Place:
        """Return the place of a URL or absolute path, whether or not it exists.

        Args:
            url: The URL.
            credentials: Those of the mount, for `s3://`.

        Raises:
            ValueError: The URL does not refer to a place, or what is needed to reach S3 is missing.
        """
        scheme, rest = split_scheme(url)
        if "\0" in url:
            raise ValueError("the URL has a null byte")
        if scheme == "gds":
            return self._beneath(self._gds, rest)
        if scheme == "s3":
            stand_in = self._stand_in()
            if stand_in is not None:
                return self._beneath(stand_in, rest)
            _parts(rest)
            _check_reachable("s3", url)
            return Remote("s3://", rest.rstrip("/"), _checked(credentials or {}))
        if scheme == "file":
            return Local(_file(rest), None)
        if scheme:
            raise ValueError(f"{scheme}:// URLs are not supported here; {_ACCEPTED}")
        path = Path(url)
        if not path.is_absolute():
            raise ValueError(f"it is not an absolute path; {_ACCEPTED}")
        return Local(path, None)

    def source(self, url: str, credentials: Optional[Mapping[str, Any]] = None) -> Source:
        """Return the place of an input: as `locate`, and of HTTP and HTTPS URLs."""
        if split_scheme(url)[0] not in _WEB:
            return self.locate(url, credentials)
        if not urlsplit(url).hostname:
            raise ValueError("the URL has no host")
        return Web(url)

    def _stand_in(self) -> Optional[Path]:
        if isinstance(self._gds, Path) and (self._gds / ".s3").is_dir():
            return self._gds / ".s3"
        return None

    def _beneath(self, folder: Union[str, Path], rest: str) -> Place:
        parts = _parts(rest)
        if isinstance(folder, str):
            return Remote(folder, "/".join(parts))
        return Local(Path(folder, *parts), self._within)


_ACCEPTED = "use an absolute path, or a gds://, s3:// or file:// URL; or https:// for an input"


def split_scheme(url: str) -> tuple[str, str]:
    """Return the scheme of a URL in lower case (empty for a plain path) and what follows `://`."""
    found = _SCHEME.match(url)
    return (found[1].lower(), found[2]) if found else ("", url)


def shown(url: str) -> str:
    """Return a URL without its parts that may be secret: user, password, query and fragment."""
    scheme, _ = split_scheme(url)
    if scheme in ("", "file", "gds", "s3"):
        return url
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def real_within(place: Local) -> Path:
    """Return the path of a place with links followed.

    Raises:
        ValueError: A link leads out of bounds.
    """
    real = real_path(place.path)
    if place.within is not None and real != place.within and place.within not in real.parents:
        raise ValueError(f"{place.path} leads out of {place.within} by a link")
    return real


def real_path(path: Path) -> Path:
    """Return a path with links followed. Unlike `Path.resolve`, this accepts a loop of links."""
    return Path(os.path.realpath(path))


def _parts(rest: str) -> list[str]:
    """Return the volume or bucket, and the parts of the path in it."""
    volume, *parts = rest.split("/")
    if not volume or volume.startswith(".") or ".." in parts or "\\" in rest:
        raise ValueError("the URL must have a volume or bucket, and no .. in its path")
    return [volume, *(part for part in parts if part)]


def _check_reachable(scheme: str, url: str) -> None:
    """Check that what reaches a scheme is installed, without loading it for S3, which is usual."""
    if scheme == "s3":
        if find_spec("s3fs") is None:
            raise ValueError(
                "S3 needs the extra s3: pip install 'libica-libtes[s3]' (or let a folder .s3 in a "
                "gds folder of this machine stand in for S3)"
            )
        return
    try:
        if scheme in (*_WEB, "gds"):
            raise ValueError("use a folder, or a URL of storage that can be written to")
        import fsspec  # type: ignore[import-untyped]

        fsspec.get_filesystem_class(scheme)
    except (ValueError, ImportError) as error:
        raise ValueError(f"gds cannot be {shown(url)}: {error}") from error


def _checked(credentials: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return the credentials of a mount with names in upper case."""
    given = {name.upper(): str(value) for name, value in credentials.items() if value}
    if given and not (given.get(_KEY) and given.get(_SECRET)):
        raise ValueError(f"its credentials must have {_KEY} and {_SECRET}, or be left out")
    return tuple(sorted(given.items()))


def _file(rest: str) -> Path:
    host, _, path = rest.partition("/")
    if host.lower() not in ("", "localhost"):
        raise ValueError("a file:// URL cannot name another machine")
    # `#` and `?` are part of the path; Python 3.14 and later would end it there.
    quoted = path.replace("#", "%23").replace("?", "%3F")
    return Path(url2pathname(f"/{quoted}"))
