"""A version as a task of the Task Execution Service (TES) v1.1 of the GA4GH."""

from __future__ import annotations

import math
import posixpath
import re
from collections.abc import Mapping
from typing import Optional

from libica.local.node.job import image_reference
from libica.local.node.staging import looks_like_folder, name_of
from libica.openapi import libtes
from libica.openapi.libtes import placeholders

from . import version as reading
from .exported import Export, exported, told
from .version import Json, absolute


def to_ga4gh(
    version: libtes.TaskVersion,
    arguments: Optional[Mapping[str, str]] = None,
    *,
    name: Optional[str] = None,
) -> Export:
    """Return a version as a GA4GH TES v1.1 task.

    Such a task has no parameters: placeholders without an argument are left in it as `{{name}}`,
    and named in its tag `placeholders`. The values of secret variables become placeholders.

    Args:
        version: The version, as `get_task_version` returns it.
        arguments: What to replace placeholders with, as for a launch.
        name: The name of the task. Default: the name of the version.

    Raises:
        ApiValueError: The version has no image or command, an argument is unknown, or one is
            missing for the name of a file.
    """
    given = dict(arguments or {})
    execution = reading.execution_of(version)
    notes = list(reading.left_out(execution))
    notes += _replace_values(execution)
    reading.check_arguments(execution, given)
    secret = reading.secret_placeholders(execution)
    execution.pop("systemFiles", None)
    for _, owner in reading.owners(execution):
        owner.pop("credentials", None)
    known = placeholders.find(execution)
    for each in given:
        if each not in known:
            notes.append(f"arguments.{each}: not used")
        elif each in secret:
            notes.append(f"arguments.{each}: a secret, which is now in the task")
    left = [each for each in known if each not in given]
    kept = {each: f"{{{{{each}}}}}" for each in left}
    carried = _carried(placeholders.fill(execution, {**kept, **given}), notes)
    if left:
        notes.append(f"placeholders: {', '.join(left)}; give an argument for each")
    task = {
        "name": name or version.version,
        "description": "\n".join(filter(None, [version.description, *told(notes)])),
        **carried,
        "tags": {"placeholders": ",".join(left)} if left else {},
    }
    return exported({key: value for key, value in task.items() if value}, notes)


def _replace_values(execution: Json) -> list[str]:
    """Replace by placeholders what a task cannot have; return a note on each."""
    notes, known = [], set(placeholders.find(execution))

    def new(wanted: str) -> str:
        name = re.sub(r"[\s{}]", "_", wanted)
        while name in known:
            name += "_"
        known.add(name)
        return f"{{{{{name}}}}}"

    variables = reading.variables_of(execution)
    for name, value in variables.items():
        if reading.is_secret(name) and not reading.sole_placeholder(value):
            variables[name] = new(name)
            notes.append(f"environment.variables.{name}: secret, its value is not exported")
    if variables:
        execution["environment"]["variables"] = variables
    for where, mount in reading.mounts(execution):
        url = mount.get("url") or ""
        is_manifest = where.startswith("inputs") and reading.kind_of(mount) == "manifest"
        is_signed = libtes.redact(url) != url
        if not url or is_signed or (is_manifest and not reading.sole_placeholder(url)):
            mount["url"] = new(posixpath.basename(mount["path"].rstrip("/")) or where)
        if is_signed:
            notes.append(f"{where}.url: it may have a signature, and is not exported")
        if is_manifest:
            notes.append(
                f"{where}.type: manifest; in place of {mount['url']}, give the URL of a folder "
                "with the files that it lists"
            )
    return notes


def _carried(execution: Json, notes: list[str]) -> Json:
    """Return the part of a task that says what it does."""
    executor = {
        "image": image_reference(execution["image"]),
        "command": reading.line_of(execution),
        "env": reading.variables_of(execution),
    }
    if not execution.get("command"):
        notes.append("command: not set; the first of args must be a program")
    if execution.get("workingDirectory"):
        executor["workdir"] = absolute("", execution)
    outputs = [
        {
            "path": absolute(mount["path"], execution),
            "url": mount.get("url") or "",
            "type": "DIRECTORY" if looks_like_folder(mount) else "FILE",
        }
        for mount in execution.get("outputs") or ()
    ]
    for i, each in enumerate(outputs):
        if re.search(r"[*?[]", each["path"]):
            notes.append(f"outputs[{i}].path: a task takes {each['path']} for a pattern")
    machine = reading.machine(execution, notes)
    resources: Json = {}
    if machine is not None:
        resources = {"cpu_cores": math.ceil(machine.cpu), "ram_gb": machine.memory_gb}
    if reading.is_economy(execution):
        resources["preemptible"] = True
    inputs = execution.get("inputs") or ()
    return {
        "inputs": [_input(f"inputs[{i}]", mount, execution) for i, mount in enumerate(inputs)],
        "outputs": outputs,
        "resources": resources,
        "executors": [{key: value for key, value in executor.items() if value}],
    }


def _input(where: str, mount: Json, execution: Json) -> Json:
    kind, path, url = reading.kind_of(mount), mount["path"], mount["url"]
    if kind == "file" and path.endswith("/"):
        missing = reading.sole_placeholder(url)
        if missing:
            raise libtes.ApiValueError(
                f"{where}.path: it ends with /, so the file has the name at the end of its URL, "
                f"and the export needs an argument for {missing}"
            )
        path += name_of(url)
    declared = {"url": url, "path": absolute(path, execution)}
    declared["type"] = "FILE" if kind == "file" else "DIRECTORY"
    is_streamed = str(mount.get("mode")).lower() == "stream"
    return {**declared, **({"streamable": True} if is_streamed else {})}
