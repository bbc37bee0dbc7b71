"""A version as a CommandLineTool of the Common Workflow Language (CWL) v1.2."""

from __future__ import annotations

import math
import os
import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Optional

from libica.local.node.job import image_reference
from libica.local.node.places import split_scheme
from libica.local.node.staging import looks_like_folder
from libica.openapi import libtes
from libica.openapi.libtes import placeholders

from . import version as reading
from .cwl_inputs import Inputs, fixed_part, readable, reference, unused, valid_name
from .exported import Export, exported
from .version import Json, absolute

_SCRATCH = "$(runtime.tmpdir)"
# Folders in which images have their software: nothing is mounted on them, and in them nothing but
# what a version declares.
_OF_IMAGE = frozenset(
    "app bin boot dev etc home lib lib32 lib64 opt proc root run sbin srv sys usr var".split()
)
_ALL_FILES = ["*", ".[!.]*"]
_EMPTY = {
    "type": "Directory",
    "default": {"class": "Directory", "basename": "empty", "listing": []},
}


def to_cwl(
    version: libtes.TaskVersion,
    arguments: Optional[Mapping[str, str]] = None,
    *,
    name: Optional[str] = None,
) -> Export:
    """Return a version as a CWL v1.2 CommandLineTool.

    Placeholders become inputs: of type `string` in the command, in paths and in variables, and
    `File` or `Directory` in the URL of an input. Secrets become inputs without a value.

    Args:
        version: The version, as `get_task_version` returns it.
        arguments: Defaults of inputs, by placeholder. Placeholders where CWL permits no input, such
            as those of the image, need one.
        name: A name for people to read. Default: the name of the version.

    Raises:
        ApiValueError: The version has no image or command, or an argument is missing or unknown.
    """
    given = dict(arguments or {})
    execution = reading.execution_of(version)
    reading.check_arguments(execution, given)
    tool = _Tool(execution, given)
    return exported(tool.document(name or version.version, version.description), tool.notes)


class _Output(NamedTuple):
    """An output: its path and folder in the container, and where in CWL's folder it is."""

    path: str
    folder: str
    place: str
    about: str


class _Tool:
    """A tool in the making: its inputs, and notes on what it lacks."""

    def __init__(self, execution: Json, given: Mapping[str, str]) -> None:
        self.notes = list(reading.left_out(execution))
        self._execution = execution
        self._given = given
        self._secret = reading.secret_placeholders(execution)
        self._shown = {key: each for key, each in given.items() if key not in self._secret}
        self._inputs = Inputs()
        self._not_used = set(given)
        self._image = {
            key: self._fixed(f"image.{key}", value)
            for key, value in execution["image"].items()
            if key != "credentials"
        }
        variables = self._variables()
        mounts = {
            kind: [mount["path"] for mount in execution.get(kind) or ()]
            for kind in ("inputs", "outputs")
        }
        used = {
            "line": reading.line_of(execution),
            "workingDirectory": execution.get("workingDirectory") or "",
            **mounts,
            "variables": list(variables.values()),
        }
        ids = {each: self._string_input(each) for each in placeholders.find(used)}
        self._used = placeholders.fill(used, {k: reference(v) for k, v in ids.items()})
        self._variables_used = dict(zip(variables, self._used["variables"]))

    def document(self, label: Optional[str], doc: Optional[str]) -> Json:
        """Return the tool as JSON data."""
        roots = self._roots()
        outputs = list(self._collected(roots))
        docker = {"dockerPull": image_reference(self._image)}
        staged = list(self._staged())
        if len(roots) == 1:
            docker["dockerOutputDirectory"] = next(iter(roots))
        staged = [*(self._empty(root) for root in roots if len(roots) > 1), *staged]
        line = self._line(outputs, roots)
        requirements: Json = {"DockerRequirement": docker, "NetworkAccess": {"networkAccess": True}}
        if staged:
            requirements["InitialWorkDirRequirement"] = {"listing": staged}
        variables = {key: self._inputs.text(value) for key, value in self._variables_used.items()}
        if variables:
            requirements["EnvVarRequirement"] = {"envDef": variables}
        requirements.update(self._resources())
        self.notes += [f"arguments.{each}: not used" for each in sorted(self._not_used)]
        secret = self._inputs.secret
        hints: Json = {"cwltool:Secrets": {"secrets": secret}} if secret else {}
        found: Json = {
            "cwlVersion": "v1.2",
            "class": "CommandLineTool",
            **({"$namespaces": {"cwltool": "http://commonwl.org/cwltool#"}} if hints else {}),
            "label": label,
            "doc": doc,
            "requirements": requirements,
            "hints": hints,
            "inputs": self._inputs.declared,
            **line,
            "outputs": self._declared(outputs),
        }
        required = ("inputs", "outputs")
        return {key: value for key, value in found.items() if value or key in required}

    # -- inputs ------------------------------------------------------------------------------------

    def _string_input(self, placeholder: str) -> str:
        self._not_used.discard(placeholder)
        is_secret = placeholder in self._secret
        default = self._given.get(placeholder)
        if is_secret and default is not None:
            self.notes.append(f"arguments.{placeholder}: secret, not exported; an input")
        return self._inputs.add_string(placeholder, default=default, is_secret=is_secret)

    def _fixed(self, where: str, text: str) -> str:
        """Return a text of which CWL permits no part to be an input."""
        self._not_used -= set(placeholders.find(text))
        try:
            return str(placeholders.fill(text, self._given))
        except libtes.ApiValueError as error:
            raise libtes.ApiValueError(
                f"{where}: {error}; CWL permits no input here, so the export needs an argument"
            ) from None

    # -- variables ---------------------------------------------------------------------------------

    def _variables(self) -> dict[str, str]:
        """Return the variables; the values of secrets are placeholders or inputs."""
        found: dict[str, str] = {}
        for given, value in reading.variables_of(self._execution).items():
            name = self._fixed("environment.variables", given)
            if name in found:
                raise libtes.ApiValueError(
                    f"environment.variables: the arguments make two of them {name}"
                )
            is_own = reading.is_secret(name) and not reading.sole_placeholder(value)
            found[name] = self._own_secret(name) if is_own else value
            if name in ("HOME", "TMPDIR"):
                self.notes.append(f"environment.variables.{name}: CWL gives it a value of its own")
        return found

    def _own_secret(self, variable: str) -> str:
        """Declare an input for the value of a variable, which is not exported."""
        found = self._inputs.add_string(variable, default=None, is_secret=True)
        self.notes.append(
            f"environment.variables.{variable}: secret, its value is not exported; an input"
        )
        return reference(found)

    # -- files -------------------------------------------------------------------------------------

    def _staged(self) -> Iterator[Json]:
        """Declare the inputs that are files or folders, and yield where each is staged."""
        for i, (mount, path) in enumerate(zip(self._mounts("inputs"), self._used["inputs"])):
            kind = reading.kind_of(mount)
            url = mount.get("url") or ""
            declared: Json = {"type": "File" if kind == "file" else "Directory"}
            about = reading.shown_url(mount)
            location = _location(url, kind, self._shown)
            if kind == "manifest":
                about = f"The folder with the files that the manifest {about} lists."
                self.notes.append(f"inputs[{i}].type: manifest; give a folder with its files")
            elif location:
                self._not_used -= set(placeholders.find(url))
                declared["default"] = {"class": declared["type"], "location": location}
            elif not placeholders.find(url):
                self.notes.append(f"inputs[{i}].url: {about}; give a {kind} as the input")
            if mount.get("mode", "").lower() == "stream":
                self.notes.append(f"inputs[{i}].mode: stream; the input is staged as a whole")
            sole = reading.sole_placeholder(url)
            wanted = sole or posixpath.basename(path.rstrip("/"))
            used = self._inputs.add(wanted, {**declared, **({"doc": about} if about else {})})
            target = absolute(path, {"workingDirectory": self._used["workingDirectory"]})
            if kind == "file" and path.endswith("/"):
                target = posixpath.join(target, reference(f"{used}.basename"))
            yield {"entryname": self._inputs.text(target), "entry": f"$(inputs.{used})"}

    def _roots(self) -> dict[str, str]:
        """Return the folders of the outputs, and where each is in the folder that CWL collects.

        If one folder has all outputs, it is that folder itself.
        """
        folders = {fixed_part(_folder_of(each, mount)) for each, mount in self._outputs()}
        usable = set(filter(_is_mountable, folders))
        if not usable:
            return {}
        common = posixpath.commonpath(usable)
        working = absolute("", self._execution)
        if _is_beneath(common, working) and _is_for_data(working):
            return {working: "."}
        if common in usable or _is_for_data(common):
            return {common: "."}
        roots = [a for a in usable if not any(_is_beneath(a, b) for b in usable - {a})]
        places: dict[str, str] = {}
        for root in sorted(roots):
            places[root] = unused(valid_name(posixpath.basename(root)), places.values())
        return places

    def _outputs(self) -> Iterator[tuple[str, Json]]:
        """Yield the absolute path of each output, and the output."""
        directory = {"workingDirectory": self._used["workingDirectory"]}
        for mount, path in zip(self._mounts("outputs"), self._used["outputs"]):
            yield absolute(path, directory), mount

    def _collected(self, roots: Mapping[str, str]) -> Iterator[_Output]:
        for i, (path, mount) in enumerate(self._outputs()):
            folder = _folder_of(path, mount)
            root = next((each for each in roots if _is_beneath(folder, each)), None)
            if root is None:
                self.notes.append(
                    f"outputs[{i}].path: {readable(path)} is lost, since a folder of the image "
                    "cannot be collected"
                )
                continue
            about = reading.shown_url(mount)
            if about:
                self.notes.append(
                    f"outputs[{i}].url: {about}; what runs the tool decides where outputs go"
                )
            place = posixpath.normpath(posixpath.join(roots[root], posixpath.relpath(path, root)))
            yield _Output(path, folder, place, about)

    def _declared(self, outputs: list[_Output]) -> Json:
        found: Json = {}
        for each in outputs:
            glob: Any = self._inputs.text(_escaped(each.place))
            kind: Any = "Directory" if each.path == each.folder else "File"
            if each.place == ".":  # as a folder, it would have a random name
                glob, kind = _ALL_FILES, {"type": "array", "items": ["File", "Directory"]}
            name = unused(valid_name(posixpath.basename(each.path)), found)
            found[name] = {"type": kind, **({"doc": each.about} if each.about else {})}
            found[name]["outputBinding"] = {"glob": glob}
        return found

    def _empty(self, root: str) -> Json:
        """Declare an input that is an empty folder, and return where it is staged."""
        empty = self._inputs.add(f"empty_{posixpath.basename(root)}", dict(_EMPTY))
        return {
            "entryname": self._inputs.text(root),
            "entry": f"$(inputs.{empty})",
            "writable": True,
        }

    def _mounts(self, kind: str) -> list[Json]:
        return self._execution.get(kind) or []

    # -- command -----------------------------------------------------------------------------------

    def _line(self, outputs: list[_Output], roots: Mapping[str, str]) -> Json:
        """Return the command line.

        CWL runs a command in the folder that it collects, which is its HOME too. Of a version
        neither is, and the folders of its outputs exist: a shell sees to that.
        """
        line = [self._inputs.text(each) for each in self._used["line"]]
        working = self._used["workingDirectory"]
        command = self._execution.get("command")
        if not outputs and not working:
            if command and not placeholders.find(command):
                return {"baseCommand": [command], "arguments": line[1:]}
            return {"arguments": line}
        if not command:
            self.notes.append("command: a shell runs the args, not the entrypoint of the image")
        directory = self._inputs.text(absolute(working, {})) if working else _SCRATCH
        made = list(
            dict.fromkeys(self._inputs.text(e.folder) for e in outputs if e.folder not in roots)
        )
        steps = []
        if outputs and "HOME" not in self._variables_used:
            steps.append('export HOME="$TMPDIR"')
        if made:
            steps.append(f"mkdir -p {' '.join(_parameters(len(made)))}")
        steps.append('cd "$0"')
        if made:
            steps.append(f"shift {len(made)}")
        if len(roots) < 2:
            steps.append('exec "$@"')
        else:
            steps += ['"$@"', 'cd "$OLDPWD"', f"mkdir {' '.join(roots.values())}"]
            steps += (f"cp -R {shlex.quote(root)}/. {place}" for root, place in roots.items())
        script = " && ".join(steps)
        return {"baseCommand": ["sh", "-c", script], "arguments": [directory, *made, *line]}

    def _resources(self) -> Json:
        if reading.is_economy(self._execution):
            self.notes.append("environment.resources.tier: economy; what runs the tool decides")
        machine = reading.machine(self._execution, self.notes)
        if machine is None:
            return {}
        memory = math.ceil(machine.memory_gb * 1e9 / 2**20)
        return {"ResourceRequirement": {"coresMin": machine.cpu, "ramMin": memory}}


def _folder_of(path: str, mount: Json) -> str:
    """Return the folder of an output: its own, or that of the file."""
    return path if looks_like_folder(mount) else posixpath.dirname(path)


def _parameters(count: int) -> list[str]:
    """Return the first parameters of a shell script."""
    return [f'"${i}"' if i < 10 else f'"${{{i}}}"' for i in range(1, count + 1)]


def _escaped(path: str) -> str:
    """Return a path as a glob that matches it alone."""
    return re.sub(r"([*?[])", r"[\1]", path)


def _is_mountable(folder: str) -> bool:
    """Return whether a folder that a version declares can be mounted."""
    return folder.strip("/") not in {"", "tmp", *_OF_IMAGE}


def _is_for_data(folder: str) -> bool:
    """Return whether an image has nothing of its own in a folder, as far as one can tell."""
    is_fixed = not placeholders.find(folder)
    return is_fixed and _is_mountable(folder) and folder.split("/")[1] not in _OF_IMAGE


def _is_beneath(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")


def _location(url: str, kind: str, given: Mapping[str, str]) -> Optional[str]:
    """Return where an engine of CWL finds an input, if it can and no secret is in the URL."""
    if not url or set(placeholders.find(url)) - given.keys():
        return None
    filled = str(placeholders.fill(url, given))
    scheme, _ = split_scheme(filled)
    schemes = ("http", "https", "file") if kind == "file" else ("file",)
    if scheme in schemes and libtes.redact(filled) == filled:
        return filled
    return Path(filled).as_uri() if not scheme and os.path.isabs(filled) else None
