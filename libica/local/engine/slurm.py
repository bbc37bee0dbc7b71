"""The engine `slurm`, for Slurm 20.02 or later."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar, Optional

from ..node.job import Outcome
from .batch_system import BatchSystem, CommandError, Demand, Job, exit_reason
from .interface import Report, State

_WAITING = frozenset(
    "PENDING CONFIGURING REQUEUED REQUEUE_FED REQUEUE_HOLD RESV_DEL_HOLD SPECIAL_EXIT".split()
)
_ENDED = frozenset(
    "BOOT_FAIL CANCELLED COMPLETED DEADLINE FAILED NODE_FAIL OUT_OF_MEMORY PREEMPTED REVOKED "
    "TIMEOUT".split()
)
# Fields of squeue and their widths.
_FIELDS = {"JobID": 16, "State": 20, "exit_code": 12, "Reason": 40, "NodeList": 80, "Comment": 200}


class Slurm(BatchSystem):
    """Runs attempts as jobs of Slurm; ``queue`` is the partition.

    An attempt's name is the comment of its job.
    """

    title: ClassVar[str] = "Slurm"
    commands: ClassVar[Sequence[str]] = ("sbatch", "squeue", "scancel")
    words: ClassVar[Mapping[str, str]] = {"queue": "partition", "account": "account"}
    reserved: ClassVar[Collection[str]] = frozenset(
        "J job-name comment o output e error D chdir no-requeue requeue N nodes n ntasks "
        "c cpus-per-task mem t time a array wrap parsable".split()
    )
    submitted: ClassVar[str] = r"^(\d+)"
    busy: ClassVar[str] = r"max ?submit|slurm temporarily unable|too many jobs|\(connect failure\)"
    gone: ClassVar[str] = "invalid job id|already complet"

    _accounts = True  # until sacct says that it does not

    @staticmethod
    def option(name: str, value: str) -> list[str]:
        """Return the argument that sets an option of sbatch."""
        if len(name) == 1:
            return [f"-{name}{value}"]
        return [f"--{name}={value}" if value else f"--{name}"]

    def submission(self, mark: str, name: str, demand: Demand) -> list[str]:
        """Return the sbatch command."""
        command = ["sbatch", "--parsable", f"--job-name={name}", f"--comment={mark}"]
        command += ["--output=/dev/null", "--error=/dev/null", "--chdir=/", "--no-requeue"]
        command += ["--nodes=1", "--ntasks=1"]
        command += [f"--cpus-per-task={demand.cpus}"] if demand.cpus else []
        command += [f"--mem={demand.mib}M"] if demand.mib else []
        command += [f"--time={-(-demand.seconds // 60)}"] if demand.seconds else []
        return command

    def jobs(self, handles: Optional[Collection[str]]) -> Mapping[str, Job]:
        """Return the jobs that squeue lists, and of others what accounting knows."""
        user, fields = f"--user={os.getuid()}", ",".join(f"{k}:{v}" for k, v in _FIELDS.items())
        found: dict[str, Job] = {}
        asked = set(handles or ())
        for line in self.run(
            "squeue", user, "--states=all", "--noheader", f"--Format={fields}"
        ).splitlines():
            number, state, code, reason, node, comment = _cut(line)
            found[number] = Job(comment, _report(state, code, reason, node))
            if not state.startswith("CANCELLED"):  # accounting knows by whom
                asked.discard(number)
        for number, state, code, node in self._accounted(asked):
            if state and (number not in found or found[number].report.state is State.ENDED):
                found[number] = Job("", _report(state, code, "", node))
        return found

    def _accounted(self, numbers: Collection[str]) -> list[list[str]]:
        if not numbers or not self._accounts:
            return []
        command = ["sacct", "--noheader", "--parsable2", "--allocations"]
        command += ["--format=JobID,State,ExitCode,NodeList", f"--jobs={','.join(numbers)}"]
        try:
            lines = self.run(*command).splitlines()
        except (CommandError, OSError) as error:  # what is not known is lost, for now
            self._accounts = "disabled" not in str(error) and not isinstance(
                error, FileNotFoundError
            )
            return []
        return [line.split("|", 3) for line in lines if line.count("|") >= 3]


def _cut(line: str) -> list[str]:
    values, start = [], 0
    for width in _FIELDS.values():
        values.append(line[start : start + width].strip())
        start += width
    return values


def _report(state: str, code: str, reason: str, node: str) -> Report:
    """Return the report of a job in a state, which may be followed by ` by` and who caused it."""
    word = state.partition(" ")[0]
    if word in _WAITING:
        return Report(State.WAITING, "" if reason in ("None", "(null)") else reason)
    if word not in _ENDED:
        return Report(State.RUNNING)
    if word == "COMPLETED":
        return Report(State.ENDED)
    outcome = None
    if word in ("TIMEOUT", "DEADLINE"):
        outcome = Outcome("TimedOut", "Slurm ended the job at its time limit.", {})
    elif word == "CANCELLED":
        outcome = Outcome("Aborted", "The job was cancelled.", {})
    exited = exit_reason(_status(code), "" if node == "(null)" else node)
    details = f", {exited}" if exited and word == "FAILED" else ""
    return Report(State.ENDED, f"Slurm: {state}{details}", outcome)


def _status(code: str) -> int:
    """Return an exit status; squeue tells that of ``wait``, and sacct one such as ``1:0``."""
    status, colon, _ = code.partition(":")
    if not status.isdecimal():
        return 0
    return int(status) if colon else int(status) >> 8
