"""Folders of other storage, by fsspec: S3 and whatever else is installed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from typing import Any, Protocol

from .folders import CHUNK, Details, temporary_name
from .places import Remote

_BLOCK = 8 << 20
_MOST_PARTS = 9000  # of an upload to S3, which takes 10000


class Writer(Protocol):
    """What takes the content of a file."""

    def write(self, data: bytes, /) -> object:
        """Take the next chunk."""


class Storage:
    """Connections of one attempt to other storage, made when they are needed."""

    def __init__(self) -> None:
        self._connected: dict[tuple[str, tuple[tuple[str, str], ...]], tuple[Any, str]] = {}

    def reached(self, place: Remote) -> tuple[Any, str]:
        """Return the file system of a place, and the place's path in it."""
        key = place.base, place.credentials
        if key not in self._connected:
            self._connected[key] = _connect(*key)
        system, root = self._connected[key]
        return system, f"{root.rstrip('/')}/{place.path}" if root.strip("/") else place.path

    def mode(self, place: Remote) -> int:
        """Return the mode of what is at a place: file, folder, or 0 for nothing."""
        system, path = self.reached(place)
        try:
            return _mode(system.info(path))
        except FileNotFoundError:
            return 0


class RemoteFolder:
    """A folder that fsspec reaches; in S3 it is what all its keys begin with."""

    def __init__(self, system: Any, path: str) -> None:
        self.path = path
        self._system = system
        self._s3 = "s3" in _protocols(system)

    def __enter__(self) -> RemoteFolder:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def folder(self, name: str, *, make: bool = False) -> RemoteFolder:
        """Return a folder in this one."""
        folder = RemoteFolder(self._system, self._at(name))
        return folder.made() if make else folder

    def made(self) -> RemoteFolder:
        """Make the folder where storage has folders, unless it exists."""
        if not self._s3:  # s3fs would make a bucket
            self._system.makedirs(self.path, exist_ok=True)
        return self

    def entries(self, *, follow: bool) -> list[tuple[str, int]]:  # noqa: ARG002 - no links
        """Return the names in the folder, sorted, with the mode of each: file or folder."""
        entries = []
        for info in self._system.ls(self.path, detail=True):
            mode = _mode(info)
            name = info["name"].strip("/")
            if name == self.path.strip("/") and stat.S_ISREG(mode):
                continue  # S3 consoles make such an empty file for a folder
            name = name[len(self.path.strip("/")) :].lstrip("/")
            if (
                name in ("", ".", "..")
                or "/" in name
                or "\0" in name
                or (os.sep != "/" and os.sep in name)
            ):
                raise ValueError(f"{info['name']} cannot be the name of a file here")
            entries.append((name, mode))
        return sorted(entries)

    def identity(self) -> object:
        """Return nothing that another folder has, since there are no links."""
        return self

    @contextmanager
    def reading(self, name: str) -> Iterator[tuple[Iterator[bytes], Details]]:
        """Open a file; yield its content in chunks, and its details."""
        path = self._at(name)
        with self._system.open(path, "rb", block_size=_BLOCK) as file:
            info = getattr(file, "details", None) or self._system.info(path)
            chunks = iter(partial(file.read, CHUNK), b"")
            yield _whole(chunks, info.get("size")), Details(info.get("size") or 0, _modified(info))

    @contextmanager
    def writing(self, name: str, details: Details) -> Iterator[Writer]:
        """Open a new file; it has its name when it is complete."""
        path = self._at(name)
        # A file appears in S3 when its upload is completed. To move it there would copy it.
        written = path if self._s3 else self._at(temporary_name())
        block = max(_BLOCK, -(-details.size // _MOST_PARTS))
        file = self._system.open(written, "wb", block_size=block)
        try:
            yield file
            size = file.tell()
            file.close()
            stored = self._system.info(written).get("size")
            if stored not in (None, size):
                raise ValueError(f"{stored} of its {size} bytes were stored")
            if not self._s3:
                self._system.mv(written, path)
        except BaseException:
            with suppress(Exception):
                if self._s3:
                    file.closed = True  # or its destructor would complete the upload
                    file.discard()
                else:
                    file.close()
            with suppress(Exception):
                if not self._s3:
                    self._system.rm_file(written)
            raise

    def _at(self, name: str) -> str:
        return f"{self.path.rstrip('/')}/{name}" if self.path else name


def _connect(base: str, credentials: tuple[tuple[str, str], ...]) -> tuple[Any, str]:
    from fsspec.core import url_to_fs  # type: ignore[import-untyped]

    options: dict[str, Any] = {"skip_instance_cache": True}  # which would keep credentials for ever
    if base.startswith("s3://"):
        options.update(_s3_options(dict(credentials)))
    system, root = url_to_fs(base, **options)
    return system, root


def _s3_options(credentials: dict[str, str]) -> dict[str, Any]:
    found = {**os.environ, **credentials}
    options: dict[str, Any] = {"use_listings_cache": False, "client_kwargs": {}}
    names = {"endpoint_url": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")}
    # botocore reads the second of the regions alone, and older ones no endpoint.
    names["region_name"] = ("AWS_REGION", "AWS_DEFAULT_REGION")
    for option, variables in names.items():
        value = next((found[name] for name in variables if found.get(name)), None)
        if value:
            options["client_kwargs"][option] = value
    if credentials:
        options["key"] = credentials["AWS_ACCESS_KEY_ID"]
        options["secret"] = credentials["AWS_SECRET_ACCESS_KEY"]
        options["token"] = credentials.get("AWS_SESSION_TOKEN")
    return options


def _protocols(system: Any) -> tuple[str, ...]:
    protocol = system.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)


def _mode(info: dict[str, Any]) -> int:
    return stat.S_IFDIR if info["type"] == "directory" else stat.S_IFREG


def _modified(info: dict[str, Any]) -> Any:
    """Return the time of modification in nanoseconds, if the storage says one."""
    time = info.get("LastModified") or info.get("mtime")
    if isinstance(time, datetime):
        time = time.timestamp()
    return int(time * 1e9) if isinstance(time, (int, float)) else None


def _whole(chunks: Iterator[bytes], size: Any) -> Iterator[bytes]:
    """Yield chunks, and check that their sizes add up."""
    count = 0
    for chunk in chunks:
        count += len(chunk)
        yield chunk
    if size not in (None, count):
        raise ValueError(f"{count} of its {size} bytes could be read")
