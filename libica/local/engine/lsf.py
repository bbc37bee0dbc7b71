"""The engine `lsf`, for IBM Spectrum LSF 10.1 or later."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar, Optional

from ..node.job import Outcome
from .batch_system import BatchSystem, CommandError, Demand, Job, exit_reason
from .interface import Report, State

_FIELDS = "jobid stat exit_code exec_host job_description exit_reason"
_DELIMITER = "^"


class Lsf(BatchSystem):
    """Runs attempts as jobs of LSF.

    An attempt's name is the description of its job.
    """

    title: ClassVar[str] = "LSF"
    commands: ClassVar[Sequence[str]] = ("bsub", "bjobs", "bkill")
    words: ClassVar[Mapping[str, str]] = {"queue": "q", "project": "P"}
    reserved: ClassVar[Collection[str]] = frozenset(
        "J Jd o oo e eo cwd rn r n M W I Is Ip K".split()
    )
    submitted: ClassVar[str] = r"Job <(\d+)>"
    busy: ClassVar[str] = "job limit|threshold reached|too many"
    gone: ClassVar[str] = "already finished|no matching job|not found"

    def submission(self, mark: str, name: str, demand: Demand) -> list[str]:
        """Return the bsub command."""
        command = ["bsub", "-J", name, "-Jd", mark, "-o", "/dev/null", "-cwd", "/", "-rn"]
        command += ["-n", str(demand.cpus), "-R", "span[hosts=1]"] if demand.cpus else []
        if demand.mib:
            command += ["-M", f"{demand.mib}MB", "-R", f"rusage[mem={demand.mib}MB]"]
        command += ["-W", str(-(-demand.seconds // 60))] if demand.seconds else []
        return command

    def jobs(
        self,
        handles: Optional[Collection[str]],  # noqa: ARG002 - those of this user are listed together
    ) -> Mapping[str, Job]:
        """Return the jobs of this user that bjobs lists."""
        fields = f"{_FIELDS} delimiter='{_DELIMITER}'"
        try:
            printed = self.run("bjobs", "-a", "-noheader", "-o", fields)
        except CommandError as error:
            if "no job found" not in error.words.lower():
                raise
            printed = error.printed
        lines = [line.split(_DELIMITER, 5) for line in printed.splitlines()]
        return {
            line[0].strip(): _job(*map(str.strip, line[1:])) for line in lines if len(line) == 6
        }


def _job(state: str, code: str, host: str, mark: str, reason: str) -> Job:
    return Job(mark, _report(state, code, "" if host == "-" else host, reason))


def _report(state: str, code: str, host: str, reason: str) -> Report:
    """Return the report of a job, whose reason to end may be such as `TERM_OWNER: job killed`."""
    if state in ("PEND", "PSUSP", "WAIT"):
        return Report(State.WAITING)
    if state not in ("DONE", "EXIT", "ZOMBI"):
        return Report(State.RUNNING)
    if state == "DONE":
        return Report(State.ENDED)
    word = reason.partition(":")[0]
    outcome = None
    if word in ("TERM_RUNLIMIT", "TERM_DEADLINE"):
        outcome = Outcome("TimedOut", "LSF ended the job at its time limit.", {})
    elif word in ("TERM_OWNER", "TERM_ADMIN", "TERM_FORCE_OWNER", "TERM_FORCE_ADMIN"):
        outcome = Outcome("Aborted", "The job was cancelled.", {})
    exited = exit_reason(int(code) if code.isdecimal() else 0, host)
    known = word if word.startswith("TERM_") else exited
    return Report(State.ENDED, f"LSF: {known or state}", outcome)
