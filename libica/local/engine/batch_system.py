"""What batch systems have in common: attempts are jobs, handled by the system's own commands.

PSI/J, which has these commands behind one interface, does not serve here: it cannot find a job
whose id was lost, it says COMPLETED of any job that ended before it was asked, and neither Slurm's
reasons nor the name of a job pass through it.
"""

from __future__ import annotations

import math
import os
import re
import shlex
import shutil
import subprocess
import sys
from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple, Optional, Union

from ..node.attempt import PRINTED
from .interface import Attempt, BusyError, Capacity, Engine, RefusedError, Report, State
from .options import positive

UNREADABLE = 66
"""Exit status of a job whose node cannot read the attempt's folder."""

_COMMAND_SECONDS = 60.0
_MARGIN = 300.0  # seconds that the batch system allows beyond the limit that the node keeps
_SECRETS = {"ICA_ACCESS_TOKEN", "ICA_API_KEY", "LIBICA_LOCAL_TOKEN"}
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_MIB = 1 << 20
# These leave open whether a job was submitted. All other words mean that it was not.
_UNSURE = re.compile(
    r"timed out|time-?out|unable to contact|connection|cannot connect|connect failure|communication"
    r"|transmitted|(send|receive) failure|not respond|temporar|try again|credential|standby"
    r"|authentication|is down|end of file|premature",
    re.IGNORECASE,
)


class Job(NamedTuple):
    """A job, as its batch system lists it.

    Attributes:
        mark: The name of its attempt; something else for a job that is not one of ours.
        report: What there is to say of it.
    """

    mark: str
    report: Report


class Demand(NamedTuple):
    """What a job asks for; 0 for no wish.

    Attributes:
        cpus: Processors, all of one node.
        mib: Memory in MiB.
        seconds: Limit of its time.
    """

    cpus: int
    mib: int
    seconds: int


class CommandError(Exception):
    """A command of the batch system failed.

    Attributes:
        words: What it said.
        printed: Its standard output.
    """

    def __init__(self, command: str, words: str, printed: str = "") -> None:
        super().__init__(f"{command}: {words}")
        self.words = words
        self.printed = printed


class BatchSystem(Engine):
    """Runs attempts as jobs of a batch system, whose commands must be on the `PATH`.

    Nodes must see the folders of attempts at the paths that they have here.

    Args:
        queue: Queue or partition. Default: the batch system's.
        account: Account to charge, for batch systems that have accounts.
        project: Project to charge, for batch systems that have projects.
        python: Interpreter that runs attempts on the nodes. Default: this one.
        setup: Shell text to run on the nodes before, such as ``module load apptainer``.
        max_submitted: Maximum number of jobs that are waiting or running.
        patience: Seconds until the batch system lists a job that was submitted, and until shared
            storage shows what a node wrote.
        native: Options of the command that submits, without the leading dashes; an empty value
            makes a flag.

    Raises:
        ValueError: An option is invalid, or a command is not on the `PATH`.
    """

    title: ClassVar[str]
    """The name of the batch system, for people to read."""
    commands: ClassVar[Sequence[str]]
    """The commands that it needs; the first submits, the last cancels."""
    words: ClassVar[Mapping[str, str]]
    """What the command that submits calls `queue`, `account` and `project`."""
    reserved: ClassVar[Collection[str]]
    """Options of the command that submits that are set here."""
    submitted: ClassVar[str]
    """A pattern that finds the id in what the command that submits prints."""
    busy: ClassVar[str] = "$^"
    """A pattern of messages that say that a job cannot be submitted now, but can be later."""
    gone: ClassVar[str]
    """A pattern of messages that say that a job is not known, or that it has ended."""
    longest_name: ClassVar[int] = 200

    def __init__(
        self,
        *,
        queue: Optional[str] = None,
        account: Optional[str] = None,
        project: Optional[str] = None,
        python: str = sys.executable,
        setup: str = "",
        max_submitted: Union[int, str] = 1000,
        patience: Union[float, str] = 60,
        **native: object,
    ) -> None:
        self.capacity: Capacity = Capacity(
            attempts=math.floor(positive("max_submitted", max_submitted))
        )
        self.patience: float = positive("patience", patience)
        for command in self.commands:
            if shutil.which(command) is None:
                raise ValueError(
                    f"{command} is not on the PATH: the service must run where {self.title} is used"
                )
        self._python = python
        self._setup = setup
        self._options: list[str] = []
        given = {"queue": queue, "account": account, "project": project}
        for name, value in given.items():
            if value is not None:
                if name not in self.words:
                    raise ValueError(f"{self.title} has no {name}")
                self._options += self.option(self.words[name], value)
        for name, native_value in native.items():
            if name in self.reserved or not _NAME.fullmatch(name):
                raise ValueError(
                    f"{name} cannot be set: {self.commands[0]} gets it from the service"
                )
            self._options += self.option(name, str(native_value))

    @staticmethod
    def option(name: str, value: str) -> list[str]:
        """Return the arguments that set an option of the command that submits."""
        return [f"-{name}", *([value] if value else [])]

    @abstractmethod
    def submission(self, mark: str, name: str, demand: Demand) -> list[str]:
        """Return the command that submits the script on its standard input as a job."""

    @abstractmethod
    def jobs(self, handles: Optional[Collection[str]]) -> Mapping[str, Job]:
        """Return at least those jobs that are listed, by id; ``None`` for all of this user."""

    def submit(self, attempt: Attempt, announce: Callable[[], None]) -> str:  # noqa: ARG002
        """Submit a job."""
        machine, limit = attempt.machine, attempt.time_limit
        demand = Demand(
            math.ceil(machine.cpu),
            math.ceil(machine.memory_gb * 1e9 / _MIB),
            0 if limit is None else math.ceil(limit + _MARGIN),
        )
        command = self.submission(attempt.name, self._name(attempt), demand)
        try:
            printed = self.run(*command, *self._options, script=self._script(attempt.folder))
        except CommandError as error:
            if re.search(self.busy, error.words, re.IGNORECASE):
                raise BusyError(error.words) from error
            if _UNSURE.search(error.words):
                raise
            raise RefusedError(f"{self.title} refused the job: {error.words}") from error
        found = re.search(self.submitted, printed)
        if found is None:
            raise CommandError(command[0], f"printed no id of a job, but {printed[:200]!r}")
        return found.group(1)

    def find(self, names: Collection[str]) -> Mapping[str, str]:
        """Find jobs by their marks."""
        listed = self.jobs(None)
        return {job.mark: handle for handle, job in listed.items() if job.mark in names}

    def poll(self, handles: Collection[str]) -> Mapping[str, Report]:
        """List all jobs."""
        listed, lost = self.jobs(handles), Job("", Report(State.LOST))
        return {handle: listed.get(handle, lost).report for handle in handles}

    def cancel(self, handle: str) -> None:
        """Cancel a job."""
        try:
            self.run(self.commands[-1], handle)
        except CommandError as error:
            if not re.search(self.gone, error.words, re.IGNORECASE):
                raise

    def run(self, *command: str, script: str = "") -> str:
        """Return what a command prints.

        Raises:
            CommandError: It failed, or did not end in time.
            OSError: It could not be started.
        """
        try:
            done = subprocess.run(  # noqa: S603
                command,
                input=script,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                cwd="/",
                env=_environment(),
                timeout=_COMMAND_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise CommandError(command[0], f"timed out after {_COMMAND_SECONDS:g} s") from None
        if done.returncode:
            words = " ".join((done.stderr or done.stdout).split())
            what = words or f"exit status {done.returncode}"
            raise CommandError(command[0], what[:1000], done.stdout)
        return done.stdout

    def _name(self, attempt: Attempt) -> str:
        name = re.sub(r"[^A-Za-z0-9._-]+", "_", attempt.title).strip("_.-") or attempt.name
        return (name if name[0].isalpha() else f"run_{name}")[: self.longest_name]

    def _script(self, folder: Path) -> str:
        quoted = shlex.quote(str(folder))
        lines = [
            "#!/bin/sh",
            f"cat {quoted}/job.json >/dev/null 2>&1 || exit {UNREADABLE}",
            f"exec >>{quoted}/{PRINTED} 2>&1",
            self._setup,
            f"exec {shlex.quote(self._python)} -m libica.local.node {quoted}",
        ]
        return "\n".join(filter(None, lines)) + "\n"


def exit_reason(status: int, node: str) -> str:
    """Return what an exit status of a job means; empty for 0."""
    if status == 0:
        return ""
    if status == UNREADABLE:
        return (
            f"exit status {status}: {node or 'its node'} cannot read the folder of the attempt; "
            "is the data folder on storage that nodes share?"
        )
    return f"exit status {status}" + (f" on {node}" if node else "")


def _environment() -> dict[str, str]:
    """Return the environment of commands, which some batch systems hand to the jobs.

    It has no secrets, and nothing of the job that the service itself may be running in.
    """
    kept = ("SLURM_CONF", "SLURM_JWT")
    return {
        name: value
        for name, value in os.environ.items()
        if name not in _SECRETS
        and (name in kept or not name.startswith(("SLURM_", "PBS_", "LSB_")))
    }
