"""The engines `pbs`, for OpenPBS and PBS Professional, and `pbs_classic`, for Torque."""

from __future__ import annotations

import getpass
import re
from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar, Optional

from ..node.job import Outcome
from .batch_system import BatchSystem, CommandError, Demand, Job, exit_reason
from .interface import Report, State

_MARK = "LIBICA_ATTEMPT"
_TERMINATED = 256 + 15  # the exit status of a job that got SIGTERM, as by qdel
# What the server of PBS says in place of an exit status (JOB_EXEC_KILL_* of its sources).
_KILLED = {-24: "ncpus", -25: "ncpus", -26: "vmem", -27: "mem", -28: "cput", -29: "walltime"}


class Pbs(BatchSystem):
    """Runs attempts as jobs of OpenPBS or PBS Professional.

    An attempt's name is the value of a variable of its job, ``LIBICA_ATTEMPT``.
    """

    title: ClassVar[str] = "PBS"
    commands: ClassVar[Sequence[str]] = ("qsub", "qstat", "qselect", "qdel")
    words: ClassVar[Mapping[str, str]] = {"queue": "q", "account": "A", "project": "P"}
    reserved: ClassVar[Collection[str]] = frozenset("N S o e j k r v V J t I".split())
    submitted: ClassVar[str] = r"^(\d+\S*)"
    busy: ClassVar[str] = r"limit of|maximum number of jobs|too many"
    gone: ClassVar[str] = "unknown job|has finished|invalid for state|history job"
    ended_too: ClassVar[Sequence[str]] = ("-x",)
    """The option by which qstat and qselect know jobs that have ended."""

    def resources(self, demand: Demand) -> list[str]:
        """Return the resources to ask for."""
        chunk = ["select=1"]
        chunk += [f"ncpus={demand.cpus}"] if demand.cpus else []
        chunk += [f"mem={demand.mib}mb"] if demand.mib else []
        limit = [f"walltime={demand.seconds}"] if demand.seconds else []
        return [":".join(chunk), *limit]

    def submission(self, mark: str, name: str, demand: Demand) -> list[str]:
        """Return the qsub command."""
        command = ["qsub", "-N", name, "-S", "/bin/sh", "-o", "/dev/null", "-e", "/dev/null"]
        command += ["-r", "n", "-v", f"{_MARK}={mark}"]
        for each in self.resources(demand):
            command += ["-l", each]
        return command

    def jobs(self, handles: Optional[Collection[str]]) -> Mapping[str, Job]:
        """Return the jobs that qstat lists."""
        if handles is None:
            mine = ["qselect", *self.ended_too, "-u", getpass.getuser()]
            handles = self.run(*mine).split()
        if not handles:
            return {}
        try:
            printed = self.run("qstat", *self.ended_too, "-f", *handles)
        except CommandError as error:  # of some jobs, perhaps
            unknown = re.search(self.gone, error.words, re.IGNORECASE)
            if not unknown:
                raise
            printed = error.printed
        return dict(map(_job, re.split(r"^Job Id: ", printed, flags=re.MULTILINE)[1:]))


class Torque(Pbs):
    """Runs attempts as jobs of Torque.

    An attempt's name is the value of a variable of its job, ``LIBICA_ATTEMPT``.
    """

    title: ClassVar[str] = "Torque"
    words: ClassVar[Mapping[str, str]] = {"queue": "q", "account": "A"}
    longest_name: ClassVar[int] = 15
    ended_too: ClassVar[Sequence[str]] = ()

    def resources(self, demand: Demand) -> list[str]:
        """Return the resources to ask for."""
        ask = [f"nodes=1:ppn={demand.cpus}"] if demand.cpus else []
        ask += [f"mem={demand.mib}mb"] if demand.mib else []
        ask += [f"walltime={demand.seconds}"] if demand.seconds else []
        return [",".join(ask)] if ask else []


def _job(listed: str) -> tuple[str, Job]:
    """Parse what ``qstat -f`` prints of a job: its id, and a line for each attribute."""
    number, *lines = listed.replace("\n\t", "").splitlines()
    attributes = {}
    for line in lines:
        name, is_attribute, value = line.strip().partition(" = ")
        if is_attribute:
            attributes[name.lower()] = value
    found = re.search(rf"\b{_MARK}=([^,\s]+)", attributes.get("variable_list", ""))
    return number.strip(), Job(found.group(1) if found else "", _report(attributes))


def _report(attributes: Mapping[str, str]) -> Report:
    state, comment = attributes.get("job_state", ""), attributes.get("comment", "")
    if state in ("Q", "W", "H", "T", "M"):
        return Report(State.WAITING, comment)
    if state not in ("C", "F", "X"):
        return Report(State.RUNNING)
    status = int(attributes.get("exit_status", 0))
    node = attributes.get("exec_host", "").partition("/")[0]
    if status in _KILLED:
        reason, what = f"PBS: exceeded {_KILLED[status]}", f"PBS ended the job: {_KILLED[status]}."
        ended = Outcome("TimedOut", what, {}) if _KILLED[status] == "walltime" else None
        return Report(State.ENDED, reason, ended)
    if status == _TERMINATED or attributes.get("substate") == "91":
        return Report(State.ENDED, "PBS: terminated", Outcome("Aborted", "It was cancelled.", {}))
    reason = exit_reason(status, node)
    return Report(State.ENDED, f"PBS: {reason}" if reason else "")
