"""Staging: inputs of an execution in, outputs out."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from .container_paths import ContainerPaths
from .copying import Check, copy_file, copy_folder
from .download import download
from .places import Place, Places, shown, split_scheme

_INPUT_TYPES = ("file", "folder", "manifest")
_OUTPUT_TYPES = ("file", "folder")
_FEW = 5


class StagingError(Exception):
    """Staging of an input or output failed; the message says which one and why."""


class Staging:
    """Copies the inputs and outputs of one attempt.

    Args:
        execution: The execution, which declares the inputs and outputs.
        container: Maps their paths.
        places: Maps their URLs.
        spare: A folder for temporary files.
        check: Called often, to end the staging at once by raising an exception.
    """

    def __init__(
        self,
        execution: Mapping[str, Any],
        container: ContainerPaths,
        places: Places,
        spare: Path,
        check: Check,
    ) -> None:
        self._inputs = execution.get("inputs") or ()
        self._outputs = execution.get("outputs") or ()
        self._container = container
        self._places = places
        self._manifest = spare / "manifest.json"
        self._check = check

    def bring_inputs(self) -> None:
        """Copy or download each input to its path.

        Raises:
            StagingError: An input cannot be copied, or its declaration is invalid.
        """
        for mount in self._inputs:
            with _naming("input", mount):
                self._bring(mount)

    def prepare_outputs(self) -> None:
        """Create the folders that the command writes its outputs to.

        Raises:
            StagingError: The path, URL or type of an output is invalid.
        """
        for mount in self._outputs:
            with _naming("output", mount):
                self._places.locate(_required(mount, "url"))
                path = self._container.at(_required(mount, "path"))
                folder = path if _looks_like_folder(mount) else path.parent
                folder.mkdir(parents=True, exist_ok=True)

    def store_outputs(self) -> str:
        """Copy each output to its URL; return a remark on what was not copied, if anything.

        Links and special files in an output folder are not copied: what a link names in a container
        is another file here.

        Raises:
            StagingError: An output does not exist, cannot be copied, or is a link to a file that
                does not belong to the attempt.
        """
        skipped: list[Path] = []
        for mount in self._outputs:
            with _naming("output", mount):
                self._store(mount, skipped)
        if not skipped:
            return ""
        names = ", ".join(self._container.shown(path) for path in skipped[:_FEW])
        more = f" and {len(skipped) - _FEW} more" if len(skipped) > _FEW else ""
        return f" Links and special files were not stored: {names}{more}."

    def _bring(self, mount: Mapping[str, Any]) -> None:
        kind = _type(mount, _INPUT_TYPES) or "file"
        url, path = _required(mount, "url"), _required(mount, "path")
        target = self._container.at(path)
        if kind == "manifest":
            self._bring_file(url, self._manifest)
            self._bring_listed(_entries(self._manifest.read_bytes()), target)
        elif kind == "folder":
            self._bring_folder(url, target)
        else:
            self._bring_file(url, target / _name(url) if path.endswith("/") else target)

    def _bring_file(self, url: str, target: Path) -> None:
        if split_scheme(url)[0] in ("http", "https"):
            target.parent.mkdir(parents=True, exist_ok=True)
            download(url, target, self._check)
            return
        source = self._existing(url)
        if source.path.is_dir():
            raise ValueError("it is a folder; set type to Folder")
        copy_file(source, Place(target, None), self._check)

    def _bring_folder(self, url: str, target: Path) -> None:
        source = self._existing(url)
        if not source.path.is_dir():
            raise ValueError("it is not a folder")
        copy_folder(source, Place(target, None), self._check)

    def _existing(self, url: str) -> Place:
        source = self._places.locate(url)
        if not source.path.exists():
            raise ValueError(f"{source.path} does not exist")
        return source

    def _bring_listed(self, entries: list[Mapping[str, Any]], folder: Path) -> None:
        for entry in entries:
            with _naming("entry", entry):
                url = _required(entry, "url")
                path = (entry.get("path") or _name(url)).lstrip("/")
                if ".." in path.split("/"):
                    raise ValueError("its path leads out of the folder of the input")
                target = folder / path
                self._bring_file(url, target)
                size, found = entry.get("size"), target.stat().st_size
                if size is not None and size != found:
                    raise ValueError(f"it has {found} bytes, not {size}")

    def _store(self, mount: Mapping[str, Any], skipped: list[Path]) -> None:
        kind = _type(mount, _OUTPUT_TYPES)
        url = _required(mount, "url")
        source = Place(self._container.at(_required(mount, "path")), self._container.root)
        if not source.path.exists():
            raise ValueError("the command did not create it")
        if kind and source.path.is_dir() != (kind == "folder"):
            raise ValueError(f"it is not a {kind}")
        if source.path.is_dir():
            place = self._places.locate(url)
            copy_folder(source, place, self._check, link=True, skipped=skipped)
        else:
            url = url + source.path.name if url.endswith("/") else url
            copy_file(source, self._places.locate(url), self._check, link=True)


@contextmanager
def _naming(what: str, mount: Mapping[str, Any]) -> Iterator[None]:
    """Turn errors into a `StagingError` that names the input or output."""
    try:
        yield
    except (OSError, ValueError, StagingError) as error:
        url, path = mount.get("url"), mount.get("path")
        named = " ".join(str(part) for part in (what, path, url and f"({shown(str(url))})") if part)
        raise StagingError(f"{named}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return str(error)


def _required(mount: Mapping[str, Any], name: str) -> str:
    value = mount.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(f"it has no {name}")
    return value


def _type(mount: Mapping[str, Any], types: tuple[str, ...]) -> str:
    """Return the type in lower case; empty if unset."""
    kind = str(mount.get("type") or "").lower()
    if kind and kind not in types:
        raise ValueError(f"its type must be one of {', '.join(types)}, not {mount['type']!r}")
    return kind


def _looks_like_folder(mount: Mapping[str, Any]) -> bool:
    """Return whether an output is a folder, guessing from its path if it has no type.

    The default of the contract is a folder, but a path such as `/data/out.txt` means a file.
    """
    kind = _type(mount, _OUTPUT_TYPES)
    if kind:
        return kind == "folder"
    path = str(mount["path"])
    return path.endswith("/") or not posixpath.splitext(path)[1]


def _entries(text: bytes) -> list[Mapping[str, Any]]:
    """Return the entries of a manifest, with keys in lower case."""
    try:
        entries = json.loads(text)
    except ValueError as error:
        raise ValueError(f"the manifest is not valid JSON: {error}") from error
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError("the manifest must be a JSON list of objects with url, size and path")
    return [{key.lower(): value for key, value in entry.items()} for entry in entries]


def _name(url: str) -> str:
    """Return the file name at the end of a URL."""
    scheme, rest = split_scheme(url)
    path = unquote(urlsplit(url).path) if scheme in ("http", "https", "file") else rest
    return posixpath.basename(path.rstrip("/"))
