"""Staging: inputs of an execution in, outputs out."""

from __future__ import annotations

import json
import posixpath
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Optional, Union
from urllib.parse import unquote, urlsplit

from .container_paths import ContainerPaths
from .copying import copy_file, copy_folder, mode_at
from .interruptible import Check, interruptible
from .places import Local, Places, Source, Web, real_within, shown, split_scheme
from .remote import Storage

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
        self._storage = Storage()

    def bring_inputs(self) -> None:
        """Copy or download each input to its path.

        Raises:
            StagingError: An input cannot be copied, or its declaration is invalid.
        """

        def bring(check: Check) -> None:
            for mount in self._inputs:
                with naming("input", mount):
                    self._bring(mount, check)

        if self._inputs:
            interruptible(bring, self._check)

    def prepare_outputs(self) -> None:
        """Create the folders that the command writes its outputs to.

        Raises:
            StagingError: The path, URL or type of an output is invalid.
        """
        for mount in self._outputs:
            with naming("output", mount):
                place = self._places.locate(_required(mount, "url"), mount.get("credentials"))
                if isinstance(place, Local):
                    real_within(place)
                path = self._container.at(_required(mount, "path"))
                folder = path if looks_like_folder(mount) else path.parent
                folder.mkdir(parents=True, exist_ok=True)

    def store_outputs(self) -> str:
        """Copy each output to its URL; return a remark on what was not copied, if anything.

        Links and special files in an output folder are not copied: what a link names in a container
        is another file here.

        Raises:
            StagingError: An output does not exist, cannot be copied, or is a link to a file that
                does not belong to the attempt.
        """
        skipped: list[str] = []

        def store(check: Check) -> None:
            for mount in self._outputs:
                with naming("output", mount):
                    self._store(mount, skipped, check)

        if self._outputs:
            interruptible(store, self._check)
        if not skipped:
            return ""
        more = f" and {len(skipped) - _FEW} more" if len(skipped) > _FEW else ""
        return f" Links and special files were not stored: {', '.join(skipped[:_FEW])}{more}."

    def _bring(self, mount: Mapping[str, Any], check: Check) -> None:
        kind = _type(mount, _INPUT_TYPES) or "file"
        url, path = _required(mount, "url"), _required(mount, "path")
        target = self._container.at(path)
        if kind == "folder":
            folder = self._places.locate(url, mount.get("credentials"))
            if not stat.S_ISDIR(self._mode(folder)):
                raise ValueError("it is not a folder")
            copy_folder(folder, self._inside(target), self._storage, check)
            return
        source = self._places.source(url, mount.get("credentials"))
        if kind == "manifest":
            self._bring_file(source, Local(self._manifest, None), check)
            self._bring_listed(mount, target, check)
        else:
            target = target / name_of(url) if path.endswith("/") else target
            self._bring_file(source, self._inside(target), check)

    def _bring_file(self, source: Source, target: Local, check: Check) -> None:
        if stat.S_ISDIR(self._mode(source)):
            raise ValueError("it is a folder; set type to Folder")
        copy_file(source, target, self._storage, check)

    def _inside(self, target: Path) -> Local:
        return Local(target, self._container.root)

    def _mode(self, source: Source) -> int:
        if isinstance(source, Web):
            return stat.S_IFREG
        mode = mode_at(source, self._storage)
        if not mode:
            raise ValueError(f"{source.path} does not exist")
        return mode

    def _bring_listed(self, mount: Mapping[str, Any], folder: Path, check: Check) -> None:
        """Copy what a manifest lists, after all of it has been checked."""
        listed = []
        for entry in _entries(self._manifest.read_bytes()):
            with naming("entry", entry):
                url = _required(entry, "url")
                path = (_text(entry, "path") or name_of(url)).lstrip("/")
                if ".." in path.split("/"):
                    raise ValueError("its path leads out of the folder of the input")
                if not isinstance(entry.get("size") or 0, (int, float)):
                    raise ValueError(f"its size must be a number, not {entry['size']!r}")
                source = self._places.source(url, mount.get("credentials"))
                listed.append((entry, source, folder / path))
        for entry, source, target in listed:
            with naming("entry", entry):
                self._bring_file(source, self._inside(target), check)
                size, found = entry.get("size"), target.stat().st_size
                if size is not None and size != found:
                    raise ValueError(f"it has {found} bytes, not {size}")

    def _store(self, mount: Mapping[str, Any], skipped: list[str], check: Check) -> None:
        kind = _type(mount, _OUTPUT_TYPES)
        url, path = _required(mount, "url"), _required(mount, "path")
        source = Local(self._container.at(path), self._container.root)
        mode = mode_at(source, self._storage)
        if not mode:
            raise ValueError("the command did not create it")
        is_folder = stat.S_ISDIR(mode)
        if kind and is_folder != (kind == "folder"):
            raise ValueError(f"it is not a {kind}")
        if not is_folder and url.endswith("/"):
            url += source.path.name
        target = self._places.locate(url, mount.get("credentials"))
        if is_folder:
            passed_over: list[str] = []
            copy_folder(source, target, self._storage, check, link=True, skipped=passed_over)
            skipped += (f"{self._container.inside(path).rstrip('/')}{each}" for each in passed_over)
        else:
            copy_file(source, target, self._storage, check, link=True)


def check_mounts(execution: Mapping[str, Any], gds: Union[str, Path]) -> None:
    """Check all of the inputs, outputs and system files that can be known before anything runs.

    Args:
        execution: The execution, with its placeholders filled in.
        gds: The folder or URL that `gds://` refers to.

    Raises:
        ValueError: Something cannot be; the message names it, such as `$.execution.inputs[0].url`.
    """
    places = Places(gds)
    for name, types in {"inputs": _INPUT_TYPES, "outputs": _OUTPUT_TYPES}.items():
        for i, mount in enumerate(execution.get(name) or ()):
            where = f"$.execution.{name}[{i}]"
            with _at(f"{where}.type"):
                kind = _type(mount, types)
            with _at(f"{where}.path"):
                if "\0" in _required(mount, "path"):
                    raise ValueError("it has a null byte")
            with _at(f"{where}.url", mount.get("url")):
                is_file = name == "inputs" and kind != "folder"
                locate = places.source if is_file else places.locate
                locate(_required(mount, "url"), mount.get("credentials"))
    files = execution.get("systemFiles") or {}
    if files.get("url"):
        with _at("$.execution.systemFiles.url", files["url"]):
            places.locate(files["url"], files.get("credentials"))


@contextmanager
def _at(where: str, url: Optional[str] = None) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{where}{f' ({shown(url)})' if url else ''}: {error}") from error


@contextmanager
def naming(what: str, mount: Mapping[str, Any]) -> Iterator[None]:
    """Turn errors into a `StagingError` that names the input or output."""
    try:
        yield
    except Exception as error:  # each kind of storage has errors of its own
        url, path = mount.get("url"), mount.get("path")
        named = " ".join(str(part) for part in (what, path, url and f"({shown(str(url))})") if part)
        raise StagingError(f"{named}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    if isinstance(error, (OSError, ValueError, StagingError)) and str(error):
        return str(error)
    return f"{type(error).__name__}: {error}"


def _text(mount: Mapping[str, Any], name: str) -> str:
    value = mount.get(name) or ""
    if not isinstance(value, str):
        raise ValueError(f"its {name} must be a string, not {value!r}")
    return value


def _required(mount: Mapping[str, Any], name: str) -> str:
    value = _text(mount, name)
    if not value:
        raise ValueError(f"it has no {name}")
    return value


def _type(mount: Mapping[str, Any], types: tuple[str, ...]) -> str:
    """Return the type in lower case; empty if unset."""
    kind = str(mount.get("type") or "").lower()
    if kind and kind not in types:
        raise ValueError(f"its type must be one of {', '.join(types)}, not {mount['type']!r}")
    return kind


def looks_like_folder(mount: Mapping[str, Any]) -> bool:
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


def name_of(url: str) -> str:
    """Return the file name at the end of a URL."""
    scheme, rest = split_scheme(url)
    path = unquote(urlsplit(url).path) if scheme in ("http", "https", "file") else rest
    return posixpath.basename(path.rstrip("/"))
