"""Runs a command in its image, by the command line of docker, podman or apptainer."""

from __future__ import annotations

import base64
import csv
import io
import json
import math
import os
import posixpath
import re
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional

from .container_paths import SYSTEM, ContainerPaths
from .job import image_reference
from .machines import machine_of
from .processes import Command, Prepared

ENGINES = ("docker", "podman", "apptainer")
_NAME = "container.json"
_SECONDS = 60.0
"""How long a call that only asks or removes may take."""
_PULL_POLL = 0.05
_TAIL = 2000
# docker's own rule for short names, which podman leaves to its configuration.
_HAS_REGISTRY = re.compile(r"(?:localhost|[^/]*[.:][^/]*)/")


def check_engine(run_in: str, *, is_here: bool = True) -> None:
    """Check what commands run in: `host`, or a container engine.

    Args:
        run_in: One of them.
        is_here: Whether commands run on this machine, where the engine must be on the `PATH`.

    Raises:
        ValueError: It is something else, or is not on the `PATH`.
    """
    if run_in not in ("host", *ENGINES):
        raise ValueError(f"run_in must be host or one of {', '.join(ENGINES)}, not {run_in!r}")
    if is_here and run_in != "host":
        Containers(run_in)


class ImageError(Exception):
    """An image cannot be used; the message says which and why."""


class Mount(NamedTuple):
    """A file or folder of this machine, and its path in the container."""

    source: Path
    target: str


class Containers:
    """Runs commands in containers of one engine.

    Inputs and outputs are mounted at their own paths, so neither command nor variables are changed.
    The network is that of this machine. What a command writes belongs to the user of the service.

    Args:
        engine: One of `docker`, `podman` and `apptainer`, found on the `PATH`.
        confined: Whether a batch system limits the processes of the attempt.

    Raises:
        ValueError: It is not on the `PATH`.
    """

    def __init__(self, engine: str, *, confined: bool = False) -> None:
        program = shutil.which(engine)
        if program is None:
            raise ValueError(f"{engine} is not on the PATH: install it, or use run_in='host'")
        self._engine = engine
        self._confined = confined
        self._program = program

    def prepare(
        self,
        execution: Mapping[str, Any],
        paths: ContainerPaths,
        variables: Mapping[str, str],
        folder: Path,
        check: Callable[[], None],
    ) -> Prepared:
        """Return the command line that runs an execution; its image is pulled if it is missing.

        Args:
            execution: The execution; its inputs are in place.
            paths: Where the files of the container lie.
            variables: The environment variables that it declares.
            folder: The attempt's folder, which the container does not see.
            check: Called often; what it raises ends the pulling.

        Raises:
            ImageError: The image cannot be pulled.
            ValueError: A path cannot be mounted, or a variable cannot be passed on.
        """
        image = execution.get("image") or {}
        if not image.get("name"):
            raise ValueError(f"the execution has no image, which {self._engine} needs")
        mounts = [*_mounts(execution, paths), *_working_directory(paths, folder)]
        if self._engine == "apptainer":
            limits = [] if self._confined else _apptainer_limits(execution)
            line = _apptainer(execution, image, variables, mounts, limits)
            return Prepared(self._command(*line, folder))
        name = f"libica-{re.sub('[^A-Za-z0-9_.-]', '-', folder.name)}-{secrets.token_hex(4)}"
        made = self._docker(name, execution, image, variables, folder, mounts, check)
        return Prepared(
            self._command(*made, folder),
            ask=lambda grace: self._ask(["stop", f"--time={math.ceil(grace)}", name]),
            explain=lambda status, error: self._explain(status, error, name),
            clean=[self._program, *self._removal(), name],
        )

    def _command(self, arguments: list[str], own: dict[str, str], folder: Path) -> Command:
        line = [self._engine, *arguments]
        return Command(self._program, line, {**os.environ, **own}, folder)

    def remove(self, name: str) -> None:
        """Remove a container, if there is one, with all that runs in it."""
        self._ask([*self._removal(), name])

    def _removal(self) -> list[str]:
        return ["rm", "--force", *(["--time=0"] if self._engine == "podman" else [])]

    # -- docker and podman -------------------------------------------------------------------------

    def _docker(
        self,
        name: str,
        execution: Mapping[str, Any],
        image: Mapping[str, Any],
        variables: Mapping[str, str],
        folder: Path,
        mounts: Sequence[Mount],
        check: Callable[[], None],
    ) -> tuple[list[str], dict[str, str]]:
        podman = self._engine == "podman"
        login = _login(image, folder)
        reference = self._present(image, login, check)
        _write(folder / _NAME, json.dumps({"engine": self._engine, "name": name}))
        memory, cpus = _limits(execution)
        arguments = ["run", "--name", name, "--network", "host"]
        # Rootless podman maps the user of the service to root of the container.
        same = hasattr(os, "getuid") and not podman
        arguments += ["--user", f"{os.getuid()}:{os.getgid()}" if same else "0:0"]
        arguments += ["--memory", f"{memory}b", "--cpus", cpus]
        own, lines = _environment(variables)
        arguments += ["--env-file", str(_write(folder / "variables", lines))]
        for variable in own:
            arguments += ["--env", variable]
        if podman:
            arguments += ["--http-proxy=false", "--pull=never"]
        for mount in mounts:
            arguments += ["--mount", _fields("type=bind", *_ends(mount))]
        if execution.get("workingDirectory"):
            arguments += ["--workdir", _absolute(execution["workingDirectory"])]
        command = execution.get("command")
        if command:
            # podman reads a list, which any command fits into.
            arguments += ["--entrypoint", json.dumps([command]) if podman else command]
        return [*arguments, reference, *_texts(execution)], own

    def _present(
        self, image: Mapping[str, Any], login: Optional[Path], check: Callable[[], None]
    ) -> str:
        """Return the reference of an image that is on this machine, after pulling it if need be."""
        reference = _reference(image)
        if self._ask(["image", "inspect", "--format", "{{.Id}}", reference]) is not None:
            return reference
        if self._engine == "podman" and not _HAS_REGISTRY.match(reference):
            library = "" if "/" in reference else "library/"
            reference = f"docker.io/{library}{reference}"
        before, after = [], []
        if login is not None and self._engine == "podman":
            after = [f"--authfile={login / 'config.json'}"]
        elif login is not None:
            before = [f"--config={login}"]
        self._pull([*before, "pull", "--quiet", *after, reference], reference, check)
        return reference

    def _pull(self, arguments: Sequence[str], reference: str, check: Callable[[], None]) -> None:
        with tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(  # noqa: S603 - the engine that the user chose
                [self._program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )
            try:
                while process.poll() is None:
                    check()
                    time.sleep(_PULL_POLL)
            finally:
                process.terminate()  # nothing happens if it has ended
                process.wait()
            if process.returncode:
                errors.seek(0)
                said = _last_line(errors.read()[-_TAIL:].decode("utf-8", "replace"))
                raise ImageError(f"the image {reference} cannot be pulled: {said}")

    def _explain(self, status: int, error: str, name: str) -> str:
        """Say why a command failed; an empty text leaves that to its exit status."""
        state = self._state(name)
        if status in (125, 126, 127) and not state.get("started", True):
            return f"{self._engine} could not start the container: {_last_line(error)}"
        if status == 137 and "memory" in state:
            surely = "" if state["oom"] else "most likely "
            return (
                f"The command was killed, {surely}because it needed more than its memory, "
                f"{state['memory']:g} GB."
            )
        return ""

    def _state(self, name: str) -> dict[str, Any]:
        """Return what the engine knows of an attempt's container."""
        asked = "[{{json .State.OOMKilled}},{{json .State.StartedAt}},{{json .HostConfig.Memory}}]"
        answered = self._ask(["inspect", "--format", asked, name])
        if answered is None:  # it was not even made
            return {"started": False}
        try:
            oom, started, memory = json.loads(answered)
        except ValueError:
            return {}
        return {"oom": oom, "started": not started.startswith("0001"), "memory": memory / 1e9}

    def _ask(self, arguments: Sequence[str]) -> Optional[str]:
        """Return what the engine prints; nothing if it fails or hangs."""
        try:
            return subprocess.run(  # noqa: S603 - the engine that the user chose
                [self._program, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=True,
                text=True,
                timeout=_SECONDS,
            ).stdout
        except (OSError, subprocess.SubprocessError):
            return None


def _apptainer_limits(execution: Mapping[str, Any]) -> list[str]:
    memory, cpus = _limits(execution)
    return ["--memory", memory, "--cpus", cpus]


def _apptainer(
    execution: Mapping[str, Any],
    image: Mapping[str, Any],
    variables: Mapping[str, str],
    mounts: Sequence[Mount],
    limits: Sequence[str],
) -> tuple[list[str], dict[str, str]]:
    command = execution.get("command")
    arguments = ["exec" if command else "run", "--containall", "--cleanenv", "--no-home"]
    arguments += ["--writable-tmpfs", *limits]
    for mount in mounts:
        arguments += ["--mount", _fields("type=bind", *_ends(mount))]
    if execution.get("workingDirectory"):
        arguments += ["--pwd", _absolute(execution["workingDirectory"])]
    credentials = image.get("credentials") or {}
    names = {"APPTAINER_DOCKER_USERNAME": "username", "APPTAINER_DOCKER_PASSWORD": "password"}
    own = {name: str(credentials[key]) for name, key in names.items() if credentials.get(key)}
    # An --env-file would be read as a shell script.
    own.update({f"APPTAINERENV_{name}": value for name, value in variables.items()})
    arguments.append(f"docker://{_reference(image)}")
    return [*arguments, *([command] if command else []), *_texts(execution)], own


def clean_left(folder: Path) -> None:
    """Remove the container of an attempt that a killed service left behind."""
    try:
        known = json.loads((folder / _NAME).read_text(encoding="utf-8"))
        Containers(known["engine"]).remove(known["name"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # it had none yet, or its engine is not here


def _reference(image: Mapping[str, Any]) -> str:
    """Return an image's reference, checked: it stands on a command line."""
    reference = image_reference(image)
    if not re.fullmatch(r"[\w][\w.:/@+-]*", reference, re.ASCII):
        raise ValueError(f"{reference!r} is not the name of an image")
    return reference


def _login(image: Mapping[str, Any], folder: Path) -> Optional[Path]:
    """Write down the login of an image's registry, where only this user reads it."""
    credentials = image.get("credentials") or {}
    if not credentials.get("username") and not credentials.get("password"):
        return None
    registry = str(image["name"]).split("/")[0]
    if not _HAS_REGISTRY.match(f"{image['name']}"):
        registry = "https://index.docker.io/v1/"
    login = f"{credentials.get('username') or ''}:{credentials.get('password') or ''}"
    known = {registry: {"auth": base64.b64encode(login.encode()).decode()}}
    configuration = folder / "login"
    configuration.mkdir(mode=0o700, exist_ok=True)
    _write(configuration / "config.json", json.dumps({"auths": known}))
    return configuration


def _mounts(execution: Mapping[str, Any], paths: ContainerPaths) -> Iterator[Mount]:
    """Yield the fewest mounts that hold all inputs and outputs.

    A file that is an output is mounted with its folder, since programs replace files by renaming.
    """
    wanted = {paths.inside(mount["path"]) for mount in execution.get("inputs") or ()}
    for mount in execution.get("outputs") or ():
        path = paths.inside(mount["path"])
        if not paths.at(mount["path"]).is_dir():
            path = posixpath.dirname(path)
        if path == "/" or (path.count("/") == 1 and path[1:] in SYSTEM):
            raise ValueError(
                f"output {mount['path']}: {path} cannot be a mount, since the image's own files "
                "are there; write the output to a folder of its own"
            )
        wanted.add(path)
    for path in sorted(wanted):
        if not any(path.startswith(f"{other}/") for other in wanted):
            yield Mount(paths.at(path), path)


def _working_directory(paths: ContainerPaths, folder: Path) -> Iterator[Mount]:
    """Yield a mount that makes the working directory exist and hides nothing that is in it."""
    if paths.working_directory != "/":
        empty = folder / "empty"
        empty.mkdir(exist_ok=True)
        yield Mount(empty, posixpath.join(paths.working_directory, ".libica"))


def _limits(execution: Mapping[str, Any]) -> tuple[str, str]:
    """Return the bytes of memory and the processors of an execution's machine.

    docker refuses more processors than there are.
    """
    machine = machine_of((execution.get("environment") or {}).get("resources"))
    cpus = min(machine.cpu, os.cpu_count() or 1)
    return str(int(machine.memory_gb * 1e9)), f"{cpus:g}"


def _environment(variables: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """Return the variables that the engine must be given as its own, and lines of the others.

    None is on a command line, which other users see.
    """
    own, lines = {}, []
    for name, value in variables.items():
        if not name or re.search(r"[\s=#\0]", name):
            raise ValueError(f"{name!r} cannot be the name of an environment variable")
        if "\n" not in value and "\r" not in value:
            lines.append(f"{name}={value}\n")
        elif name in os.environ or name.startswith(("LD_", "DOCKER_", "CONTAINER", "XDG_", "GO")):
            raise ValueError(f"the variable {name} of a container cannot have a line break")
        else:
            own[name] = value
    return own, "".join(lines)


def _texts(execution: Mapping[str, Any]) -> list[str]:
    return [str(argument) for argument in execution.get("args") or ()]


def _absolute(path: str) -> str:
    return posixpath.normpath(posixpath.join("/", path))


def _ends(mount: Mount) -> tuple[str, str]:
    return f"source={os.path.realpath(mount.source)}", f"target={mount.target}"


def _fields(*fields: str) -> str:
    """Return fields as a line of CSV, which the engines read a mount as."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(fields)
    return line.getvalue()


def _write(path: Path, text: str) -> Path:
    """Write a file that only this user may read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8", newline="") as file:
        file.write(text)
    return path


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "it printed no reason"
