"""A version as a CommandLineTool of the Common Workflow Language (CWL) v1.2."""

from __future__ import annotations

import math
import os
import posixpath
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Optional

from libica.local.node.job import image_reference
from libica.local.node.places import split_scheme
from libica.local.node.staging import looks_like_folder
from libica.openapi import libtes
from libica.openapi.libtes import placeholders

from . import version as reading
from .exported import Export
from .version import Json, absolute

_MARK = "\0"  # on both sides of the id of an input, in texts; no text of a command can have it
_SCRATCH = "$(runtime.tmpdir)"
# Folders of an image, on which the folder that CWL collects outputs from would be mounted.
_OF_IMAGE = frozenset(
    "/ /bin /boot /dev /etc /home /lib /lib32 /lib64 /opt /proc /root /run /sbin /sys /tmp /usr "
    "/var".split()
)
_ALL_FILES = ["*", ".[!.]*"]


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
    return Export(tool.document(name or version.version, version.description), tuple(tool.notes))


class _Output(NamedTuple):
    path: str
    folder: str
    is_folder: bool
    mount: Json


class _Tool:
    """A tool in the making: its inputs, and notes on what it lacks."""

    def __init__(self, execution: Json, given: Mapping[str, str]) -> None:
        self.notes = list(reading.left_out(execution))
        self._execution = execution
        self._given = given
        self._secret = reading.secret_placeholders(execution)
        self._inputs: dict[str, Json] = {}
        self._needless = set(given)
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
        self._used = placeholders.fill(used, {k: f"{_MARK}{v}{_MARK}" for k, v in ids.items()})
        self._variables_used = dict(zip(variables, self._used["variables"]))
        self._own_secrets(execution)

    def document(self, label: Optional[str], doc: Optional[str]) -> Json:
        """Return the tool as JSON data."""
        staged = list(self._staged())
        outputs = list(self._outputs())
        outdir = self._outdir(outputs)
        kept = [each for each in outputs if outdir and _is_beneath(each.folder, outdir)]
        docker = {"dockerPull": image_reference(self._image)}
        if kept and outdir:
            docker["dockerOutputDirectory"] = outdir
        line = self._line(kept, outdir)
        requirements: Json = {"DockerRequirement": docker, "NetworkAccess": {"networkAccess": True}}
        if staged:
            requirements["InitialWorkDirRequirement"] = {"listing": staged}
        variables = {key: self._text(value) for key, value in self._variables_used.items()}
        if variables:
            requirements["EnvVarRequirement"] = {"envDef": variables}
        requirements.update(self._resources())
        self.notes += [f"arguments.{each}: not used" for each in sorted(self._needless)]
        secret = [each for each, declared in self._inputs.items() if declared.pop("secret", False)]
        hints: Json = {"cwltool:Secrets": {"secrets": secret}} if secret else {}
        found: Json = {
            "cwlVersion": "v1.2",
            "class": "CommandLineTool",
            **({"$namespaces": {"cwltool": "http://commonwl.org/cwltool#"}} if hints else {}),
            "label": label,
            "doc": doc,
            "requirements": requirements,
            "hints": hints,
            "inputs": self._inputs,
            **line,
            "outputs": self._declared(kept, outdir),
        }
        required = ("inputs", "outputs")
        return {key: value for key, value in found.items() if value or key in required}

    # -- inputs ------------------------------------------------------------------------------------

    def _string_input(self, placeholder: str) -> str:
        secret = placeholder in self._secret
        self._needless.discard(placeholder)
        declared: Json = {"type": "string", "secret": secret}
        if placeholder in self._given and not secret:
            declared["default"] = self._given[placeholder]
        elif placeholder in self._given:
            self.notes.append(f"arguments.{placeholder}: secret, not exported; an input")
        return self._input(placeholder, declared, placeholder)

    def _input(self, wanted: str, declared: Json, label: str = "") -> str:
        """Declare an input, and return its id: a name that every engine accepts."""
        base = re.sub(r"\W", "_", wanted, flags=re.ASCII) or "_"
        base = f"_{base}" if base[0].isdigit() else base
        found, number = base, 1
        while found in self._inputs:
            number += 1
            found = f"{base}_{number}"
        named = {"label": label} if label and label != found else {}
        self._inputs[found] = {**named, **declared}
        return found

    def _fixed(self, where: str, text: str) -> str:
        """Return a text of which CWL permits no part to be an input."""
        self._needless -= set(placeholders.find(text))
        try:
            return str(placeholders.fill(text, self._given))
        except libtes.ApiValueError as error:
            raise libtes.ApiValueError(
                f"{where}: {error}; CWL permits no input here, so the export needs an argument"
            ) from None

    # -- variables ---------------------------------------------------------------------------------

    def _variables(self) -> dict[str, str]:
        """Return the variables whose values are exported; those of secrets are placeholders."""
        found = {}
        for name, value in reading.variables_of(self._execution).items():
            if not reading.is_secret(name) or reading.sole_placeholder(value):
                found[self._fixed("environment.variables", name)] = value
        for name in ("HOME", "TMPDIR"):
            if name in found:
                self.notes.append(f"environment.variables.{name}: CWL gives it a value of its own")
        return found

    def _own_secrets(self, execution: Json) -> None:
        """Declare inputs for the values of secret variables, which are not exported."""
        for name, value in reading.variables_of(execution).items():
            if reading.is_secret(name) and not reading.sole_placeholder(value):
                found = self._input(name, {"type": "string", "secret": True})
                self._variables_used[name] = f"{_MARK}{found}{_MARK}"
                self.notes.append(
                    f"environment.variables.{name}: secret, its value is not exported; the input "
                    f"{found}"
                )

    # -- files -------------------------------------------------------------------------------------

    def _staged(self) -> Iterator[Json]:
        """Declare the inputs that are files or folders, and yield where each is staged."""
        for i, (mount, path) in enumerate(zip(self._mounts("inputs"), self._used["inputs"])):
            kind = reading.kind_of(mount)
            url = mount.get("url") or ""
            declared: Json = {"type": "File" if kind == "file" else "Directory"}
            about = reading.shown_url(mount)
            if kind == "manifest":
                about = f"The folder with the files that the manifest {about} lists."
                self.notes.append(f"inputs[{i}].type: manifest; give a folder with its files")
            location = _location(url, self._given)
            if location:
                self._needless -= set(placeholders.find(url))
                declared["default"] = {"class": declared["type"], "location": location}
            elif not placeholders.find(url):
                self.notes.append(f"inputs[{i}].url: {about}; give the file or folder as an input")
            if mount.get("mode", "").lower() == "stream":
                self.notes.append(f"inputs[{i}].mode: stream; the input is staged as a whole")
            sole = reading.sole_placeholder(url)
            wanted = sole or _readable(posixpath.basename(path.rstrip("/"))) or "input"
            used = self._input(wanted, {**declared, **({"doc": about} if about else {})})
            target = absolute(path, {"workingDirectory": self._used["workingDirectory"]})
            if kind == "file" and path.endswith("/"):
                target = posixpath.join(target, f"{_MARK}{used}.basename{_MARK}")
            yield {"entryname": self._text(target), "entry": f"$(inputs.{used})"}

    def _outputs(self) -> Iterator[_Output]:
        for mount, path in zip(self._mounts("outputs"), self._used["outputs"]):
            found = absolute(path, {"workingDirectory": self._used["workingDirectory"]})
            is_folder = looks_like_folder(mount)
            yield _Output(found, found if is_folder else posixpath.dirname(found), is_folder, mount)

    def _outdir(self, outputs: list[_Output]) -> Optional[str]:
        """Return the folder that CWL runs the command in and collects outputs from, if any."""
        folders = [_unmarked(each.folder) for each in outputs]
        working = absolute("", self._execution) if self._execution.get("workingDirectory") else "/"
        common = posixpath.commonpath(folders) if folders else "/"
        if _is_beneath(common, working) and not placeholders.find(working):
            common = working if working not in _OF_IMAGE else common
        usable = [each for each in (common, *folders) if each not in _OF_IMAGE]
        outdir = usable[0] if usable else None
        for i, each in enumerate(outputs):
            if outdir is None or not _is_beneath(each.folder, outdir):
                where = f"which must be in {outdir}" if outdir else "none of which can be mounted"
                self.notes.append(
                    f"outputs[{i}].path: {_readable(each.path)} is lost; CWL collects outputs from "
                    f"one folder, {where}"
                )
            elif each.mount.get("url"):
                self.notes.append(
                    f"outputs[{i}].url: {reading.shown_url(each.mount)}; what runs the tool "
                    "decides where outputs go"
                )
        return outdir

    def _declared(self, outputs: list[_Output], outdir: Optional[str]) -> Json:
        found: Json = {}
        for each in outputs:
            glob: Any = self._text(_escaped(posixpath.relpath(each.path, outdir)))
            kind: Any = "Directory" if each.is_folder else "File"
            if each.path == outdir:  # as a folder, it would have a random name
                glob, kind = _ALL_FILES, {"type": "array", "items": ["File", "Directory"]}
            name = re.sub(r"\W", "_", _readable(posixpath.basename(each.path)), flags=re.ASCII)
            while name in found:
                name += "_"
            about = reading.shown_url(each.mount)
            found[name] = {"type": kind, **({"doc": about} if about else {})}
            found[name]["outputBinding"] = {"glob": glob}
        return found

    def _mounts(self, kind: str) -> list[Json]:
        return self._execution.get(kind) or []

    # -- command -----------------------------------------------------------------------------------

    def _line(self, outputs: list[_Output], outdir: Optional[str]) -> Json:
        """Return the command line.

        CWL runs a command in the folder of the outputs, which is its HOME too. Of a version neither
        is, and the folders of its outputs exist: a shell sees to that, and becomes the command.
        """
        line = [self._text(each) for each in self._used["line"]]
        working = self._used["workingDirectory"]
        command = self._execution.get("command")
        if not outputs and not working:
            if command and not placeholders.find(command):
                return {"baseCommand": [command], "arguments": line[1:]}
            return {"arguments": line}
        if not command:
            self.notes.append("command: a shell runs the args, not the entrypoint of the image")
        directory = self._text(absolute(working, {})) if working else _SCRATCH
        folders = dict.fromkeys(self._text(each.folder) for each in outputs)
        folders.pop(outdir or "", None)
        steps = (
            ['export HOME="$TMPDIR" && '] if outputs and "HOME" not in self._variables_used else []
        )
        if folders:
            steps.append(f"mkdir -p {' '.join(_parameters(len(folders)))} && ")
        steps.append('cd "$0" && ')
        if folders:
            steps.append(f"shift {len(folders)} && ")
        script = "".join([*steps, 'exec "$@"'])
        return {"baseCommand": ["sh", "-c", script], "arguments": [directory, *folders, *line]}

    def _resources(self) -> Json:
        if reading.is_economy(self._execution):
            self.notes.append("environment.resources.tier: economy; what runs the tool decides")
        machine = reading.machine(self._execution, self.notes)
        if machine is None:
            return {}
        memory = math.ceil(machine.memory_gb * 1e9 / 2**20)
        return {"ResourceRequirement": {"coresMin": machine.cpu, "ramMin": memory}}

    # -- texts -------------------------------------------------------------------------------------

    def _text(self, marked: str) -> str:
        """Return a text as CWL has it: with references to inputs, and all else literal."""
        parts = marked.split(_MARK)
        literal = "".join(parts[::2])
        if len(parts) == 1 and "$(" not in literal and "${" not in literal:
            return literal  # engines do not look at it any further
        # Engines remove white space around a text with references.
        first, last = parts[0].lstrip(), parts[-1].rstrip()
        before = self._blank(parts[0][: len(parts[0]) - len(first)])
        after = self._blank(parts[-1][len(last) :])
        if len(parts) == 1:
            return f"{before}{_literal(literal.strip())}{after}"
        parts[0], parts[-1] = first, last
        texts = (f"$(inputs.{part})" if i % 2 else _literal(part) for i, part in enumerate(parts))
        return f"{before}{''.join(texts)}{after}"

    def _blank(self, text: str) -> str:
        """Return a reference to white space, if there is any."""
        if not text:
            return ""
        return f"$(inputs.{self._input('blank', {'type': 'string', 'default': text})})"


def _parameters(count: int) -> list[str]:
    """Return the first parameters of a shell script."""
    return [f'"${i}"' if i < 10 else f'"${{{i}}}"' for i in range(1, count + 1)]


def _literal(text: str) -> str:
    """Return a text in which nothing is a reference."""
    return text.replace("\\", "\\\\").replace("$(", "\\$(").replace("${", "\\${")


def _escaped(path: str) -> str:
    """Return a path as a glob that matches it alone."""
    return re.sub(r"([*?[])", r"[\1]", path)


def _readable(marked: str) -> str:
    return marked.replace(_MARK, "")


def _unmarked(folder: str) -> str:
    """Return the part of a folder that is the same whatever the inputs are."""
    before, mark, _ = folder.partition(_MARK)
    return posixpath.dirname(before) if mark else folder


def _is_beneath(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")


def _location(url: str, given: Mapping[str, str]) -> Optional[str]:
    """Return where an engine of CWL finds an input, if it can and no secret is in the URL."""
    if set(placeholders.find(url)) - given.keys():
        return None
    filled = str(placeholders.fill(url, given))
    scheme, _ = split_scheme(filled)
    if scheme in ("http", "https", "file") and libtes.redact(filled) == filled:
        return filled
    return Path(filled).as_uri() if not scheme and os.path.isabs(filled) else None
