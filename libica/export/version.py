"""Reading a version for export: what it runs, what is secret, and what no other standard has."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from typing import Any, Optional

from libica.local.node.machines import Machine, machine_of
from libica.local.node.staging import looks_like_folder
from libica.openapi import libtes
from libica.openapi.libtes import placeholders
from libica.openapi.libtes.models.encoding import encode

Json = dict[str, Any]
_SAMPLE = "a value"
_INPUT_TYPES = ("file", "folder", "manifest")


def execution_of(version: libtes.TaskVersion) -> Json:
    """Return the execution of a version as JSON data without null values.

    Raises:
        ApiValueError: It has no image or nothing to run, or an input or output is invalid.
    """
    execution: Json = _checked(encode(version.execution) or {})
    if not (execution.get("image") or {}).get("name"):
        raise libtes.ApiValueError("the version has no image, which an export needs")
    if not execution.get("command") and not execution.get("args"):
        raise libtes.ApiValueError("the version has neither command nor args")
    for where, mount in mounts(execution):
        if not mount.get("path"):
            raise libtes.ApiValueError(f"{where}.path: it is not set")
        if where.startswith("inputs") and kind_of(mount) not in _INPUT_TYPES:
            raise libtes.ApiValueError(
                f"{where}.type: it must be File, Folder or manifest, not {mount['type']!r}"
            )
        if where.startswith("outputs"):
            _check_output(where, mount)
    return execution


def _check_output(where: str, mount: Json) -> None:
    try:
        looks_like_folder(mount)
    except ValueError as error:
        raise libtes.ApiValueError(f"{where}: {error}") from None


def check_arguments(execution: Json, arguments: Mapping[str, str]) -> None:
    """Check that each argument is for a placeholder.

    Raises:
        ApiValueError: One is not.
    """
    known = placeholders.find(execution)
    for name in arguments:
        if name not in known:
            has = f"it has {', '.join(known)}" if known else "it has none"
            raise libtes.ApiValueError(f"the version has no placeholder {name!r}; {has}")


def mounts(execution: Json) -> Iterator[tuple[str, Json]]:
    """Yield the inputs and outputs, and where each stands."""
    for kind in ("inputs", "outputs"):
        for i, mount in enumerate(execution.get(kind) or ()):
            yield f"{kind}[{i}]", mount


def owners(execution: Json) -> Iterator[tuple[str, Json]]:
    """Yield what may have credentials, and where each stands."""
    yield "image", execution["image"]
    yield "systemFiles", execution.get("systemFiles") or {}
    yield from mounts(execution)


def kind_of(mount: Mapping[str, Any]) -> str:
    """Return the type of an input in lower case."""
    return str(mount.get("type") or "file").lower()


def variables_of(execution: Json) -> dict[str, str]:
    """Return the environment variables of an execution."""
    variables = (execution.get("environment") or {}).get("variables") or {}
    return {name: str(value) for name, value in variables.items()}


def line_of(execution: Json) -> list[str]:
    """Return the command, if there is one, and its arguments."""
    return [*filter(None, [execution.get("command")]), *(execution.get("args") or ())]


def machine(execution: Json, notes: list[str]) -> Optional[Machine]:
    """Return the machine that an execution asks for, if it asks for one that is known."""
    resources = _resources(execution)
    if not any(resources.get(name) for name in ("type", "size", "cpuCores", "memoryGb")):
        return None
    try:
        return machine_of(resources)
    except ValueError as error:
        notes.append(f"environment.resources: {error}")
        return None


def is_economy(execution: Json) -> bool:
    """Return whether an execution may be interrupted, for a lower price."""
    return str(_resources(execution).get("tier")).lower() == "economy"


def _resources(execution: Json) -> Json:
    return dict((execution.get("environment") or {}).get("resources") or {})


def is_secret(name: str) -> bool:
    """Return whether the value of an environment variable is a secret."""
    return bool(libtes.redact({name: _SAMPLE})[name] != _SAMPLE)


def sole_placeholder(text: Optional[str]) -> Optional[str]:
    """Return the name of the placeholder that a text consists of, if it does."""
    names = placeholders.find(text)
    if len(names) == 1 and placeholders.fill(text, {names[0]: ""}) == "":
        return names[0]
    return None


def secret_placeholders(execution: Json) -> set[str]:
    """Return the placeholders of secrets: of credentials and of secret variables."""
    found: set[str] = set()
    for _, owner in owners(execution):
        found.update(placeholders.find(owner.get("credentials")))
    for name, value in variables_of(execution).items():
        sole = sole_placeholder(value)
        if is_secret(name) and sole:
            found.add(sole)
    return found


def absolute(path: str, execution: Json) -> str:
    """Return a path of the container as an absolute one, without a slash at its end."""
    directory = posixpath.join("/", execution.get("workingDirectory") or "/")
    return "/" + posixpath.normpath(posixpath.join(directory, path)).lstrip("/")


def left_out(execution: Json) -> Iterator[str]:
    """Yield a note on each field that no other standard has, or that is secret."""
    for where, owner in owners(execution):
        if owner.get("credentials"):
            yield f"{where}.credentials: secret, not exported"
        for name in ("storageProvider", "serviceUrl", "urn"):
            if owner.get(name):
                yield f"{where}.{name}: {libtes.redact(owner[name])}"
    texts: dict[str, str] = {
        f"args[{i}]": each for i, each in enumerate(execution.get("args") or ())
    }
    for name, value in variables_of(execution).items():
        if not is_secret(name):
            texts[f"environment.variables.{name}"] = value
    for where, text in texts.items():
        if libtes.redact(text) != text:
            yield f"{where}: exported with the query of a URL, which may be a signature"
    yield from _of_machine(execution)
    url = (execution.get("systemFiles") or {}).get("url")
    if url:
        yield f"systemFiles.url: {libtes.redact(url)}; what runs the export keeps the logs"
    if execution.get("retryLimit"):
        yield f"retryLimit: {execution['retryLimit']}; what runs the export decides on retries"


def _of_machine(execution: Json) -> Iterator[str]:
    resources = _resources(execution)
    if str(resources.get("type")).lower() == "fpga":
        yield "environment.resources.type: fpga; only its processors and memory are asked for"
    if resources.get("hardware"):
        yield f"environment.resources.hardware: {', '.join(resources['hardware'])}"
    if (execution.get("environment") or {}).get("inputStreamSettings"):
        yield "environment.inputStreamSettings: what runs the export decides how inputs are read"


def shown_url(mount: Mapping[str, Any]) -> str:
    """Return the URL of an input or output with secrets masked."""
    return str(libtes.redact(mount.get("url") or ""))


def _checked(value: Any) -> Any:
    """Return JSON data without null values, and refuse texts that no command can have."""
    if isinstance(value, Mapping):
        return {_checked(key): _checked(each) for key, each in value.items() if each is not None}
    if isinstance(value, list):
        return list(map(_checked, value))
    if isinstance(value, str) and "\0" in value:
        raise libtes.ApiValueError("the version has a null character in a text")
    return value
