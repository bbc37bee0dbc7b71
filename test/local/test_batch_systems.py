"""PBS, Torque and LSF by stand-ins of their commands, and what batch systems say, word by word."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from libica.local import LocalTes
from libica.local.engine.batch_system import BatchSystem, CommandError
from libica.local.engine.interface import Attempt, BusyError, RefusedError
from libica.local.engine.loading import load
from libica.local.node.machines import Machine

from .caller import SLEEP, TRUE, Caller, Json

STAND_IN = Path(__file__).with_name("stand_in.py")
COMMANDS = "qsub qstat qselect qdel bsub bjobs bkill sbatch squeue scancel sacct".split()


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the jobs of a batch system whose commands are stand-ins."""
    home, commands = tmp_path / "jobs", tmp_path / "bin"
    home.mkdir()
    commands.mkdir()
    for name in COMMANDS:
        (commands / name).write_text(
            f'#!/bin/sh\nexec {sys.executable} -I {commands}/main/{name} "$@"\n'
        )
        (commands / name).chmod(0o755)
        (commands / "main").mkdir(exist_ok=True)
        (commands / "main" / name).symlink_to(STAND_IN)
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("STAND_IN", str(home))
    return home


@pytest.fixture(params=["pbs", "pbs_classic", "lsf"])
def dialect(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("STAND_IN_DIALECT", request.param)
    return str(request.param)


@pytest.fixture
def caller(dialect: str, stand_in: Path, tmp_path: Path) -> Iterator[Caller]:
    options = {"queue": "short", "patience": 1}
    with (
        LocalTes(
            data=tmp_path / "data", engine=dialect, engine_options=options, time_limit=600
        ) as tes,
        Caller(tes.url, tes.token) as caller,
    ):
        yield caller


def start(caller: Caller, execution: Json, **more: Any) -> str:
    return str(caller.start({**execution, **more}, name="sample 1/2")["id"])


def details(caller: Caller, run_id: str, status: str) -> str:
    return str(caller.run_when(run_id, status)["statusDetails"])


@pytest.mark.slow
def test_jobs_get_what_runs_ask_for_and_runs_end_as_their_jobs_do(
    caller: Caller, stand_in: Path, dialect: str
) -> None:
    good = start(caller, TRUE, environment={"resources": {"cpuCores": 1.5, "memoryGb": 2}})
    details(caller, good, "Completed")
    bad = start(caller, TRUE, command="sh", args=["-c", "exit 3"])
    assert "exit status 3" in details(caller, bad, "Failed")
    asked = {
        "pbs": "-l select=1:ncpus=2:mem=1908mb -l walltime=900 -q short",
        "pbs_classic": "-l nodes=1:ppn=2,mem=1908mb,walltime=900 -q short",
        "lsf": "-n 2 -R span[hosts=1] -M 1908MB -R rusage[mem=1908MB] -W 15 -q short",
    }
    arguments = (stand_in / "1" / "arguments").read_text()
    assert asked[dialect] in arguments
    assert "sample_1_2" in arguments


@pytest.mark.slow
def test_an_abort_and_an_outside_cancel_end_jobs(
    caller: Caller, stand_in: Path, dialect: str
) -> None:
    aborted, cancelled = (start(caller, SLEEP) for _ in range(2))
    for each in (aborted, cancelled):
        caller.run_when(each, "Running")
    caller.abort(aborted)
    marks = [mark for mark in stand_in.glob("*/mark") if cancelled in mark.read_text()]
    command, words = {"lsf": ("bkill", "LSF: TERM_OWNER")}.get(dialect, ("qdel", "PBS: terminated"))
    subprocess.run([command, marks[0].parent.name], check=True)
    details(caller, aborted, "Aborted")
    assert f"({words})" in details(caller, cancelled, "Failed")


@pytest.mark.slow
def test_a_job_whose_id_was_lost_is_found_by_its_mark(caller: Caller, stand_in: Path) -> None:
    (stand_in / "lossy").touch()
    details(caller, start(caller, TRUE), "Completed")
    assert len([*stand_in.glob("*/mark")]) == 1


@pytest.mark.slow
def test_a_refused_job_fails_its_run_with_the_words_of_the_batch_system(
    dialect: str, stand_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    more: Any = {"engine_options": {"queue": "closed"}, "time_limit": math.inf}
    with LocalTes(data="data", engine=dialect, **more) as tes, Caller(tes.url, tes.token) as caller:
        words = details(caller, start(caller, TRUE, retryLimit=3), "Failed")
    assert words.startswith({"pbs": "PBS", "pbs_classic": "Torque", "lsf": "LSF"}[dialect])
    assert tes.home == tmp_path / "data"
    assert ("No such queue" if dialect == "lsf" else "Unknown queue") in words


# -- What they print, word by word -----------------------------------------------------------------


def saying(name: str, monkeypatch: pytest.MonkeyPatch, **printed: str) -> BatchSystem:
    """Return an engine whose commands print these texts; one that starts with `!` is an error."""
    engine = load(name, {"patience": 7})
    assert isinstance(engine, BatchSystem)

    def run(command: str, *_: str, script: str = "") -> str:
        text = printed.get(command, "")
        if text.startswith("!"):
            raise CommandError(command, text[1:])
        return text

    monkeypatch.setattr(engine, "run", run)
    return engine


def line(state: str, code: str = "0", reason: str = "None", node: str = "node1") -> str:
    """Return what squeue prints of job 7."""
    return f"{7:<16}{state:<20}{code:<12}{reason:<40}{node:<80}{'trn.1-1':<200}\n"


def qstat(**attributes: object) -> str:
    return "Job Id: 7\n" + "".join(f"    {name} = {attributes[name]}\n" for name in attributes)


@pytest.mark.parametrize(
    ("name", "printed", "state", "reason", "status"),
    [
        (
            "slurm",
            {"squeue": line("PENDING", reason="Priority", node="")},
            "WAITING",
            "Priority",
            "",
        ),
        ("slurm", {"squeue": line("PENDING", node="(null)")}, "WAITING", "", ""),
        ("slurm", {"squeue": line("COMPLETING")}, "RUNNING", "", ""),
        ("slurm", {"squeue": line("COMPLETED")}, "ENDED", "", ""),
        ("slurm", {"squeue": line("NODE_FAIL")}, "ENDED", "Slurm: NODE_FAIL", ""),
        ("slurm", {"squeue": line("OUT_OF_MEMORY", "125")}, "ENDED", "Slurm: OUT_OF_MEMORY", ""),
        ("slurm", {"squeue": line("TIMEOUT")}, "ENDED", "Slurm: TIMEOUT", "TimedOut"),
        ("slurm", {"squeue": line("CANCELLED")}, "ENDED", "Slurm: CANCELLED", "Aborted"),
        (
            "slurm",
            {"squeue": line("CANCELLED"), "sacct": "7|CANCELLED by 1001|0:0|node1\n"},
            "ENDED",
            "Slurm: CANCELLED by 1001",
            "Aborted",
        ),
        (
            "slurm",
            {"squeue": line("FAILED", "16896")},
            "ENDED",
            "Slurm: FAILED, exit status 66: node1 cannot read the folder of the attempt; "
            "is the data folder on storage that nodes share?",
            "",
        ),
        (
            "slurm",
            {"sacct": "7|FAILED|2:0|node1\n"},
            "ENDED",
            "Slurm: FAILED, exit status 2 on node1",
            "",
        ),
        ("slurm", {"sacct": "!Slurm accounting storage is disabled"}, "LOST", "", ""),
        (
            "pbs",
            {"qstat": qstat(job_state="Q", comment="Not Running")},
            "WAITING",
            "Not Running",
            "",
        ),
        ("pbs", {"qstat": qstat(job_state="F", Exit_status=0)}, "ENDED", "", ""),
        (
            "pbs",
            {"qstat": qstat(job_state="F", Exit_status=-29)},
            "ENDED",
            "PBS: exceeded walltime",
            "TimedOut",
        ),
        ("pbs", {"qstat": qstat(job_state="F", Exit_status=-27)}, "ENDED", "PBS: exceeded mem", ""),
        (
            "pbs",
            {"qstat": qstat(job_state="F", substate=91)},
            "ENDED",
            "PBS: terminated",
            "Aborted",
        ),
        (
            "pbs_classic",
            {"qstat": qstat(job_state="C", exit_status=1, exec_host="n2/0+n2/1")},
            "ENDED",
            "PBS: exit status 1 on n2",
            "",
        ),
        ("pbs", {"qstat": "!qstat: Unknown Job Id 7"}, "LOST", "", ""),
        ("lsf", {"bjobs": "7^PEND^-^-^trn.1-1^-\n"}, "WAITING", "", ""),
        (
            "lsf",
            {"bjobs": "7^EXIT^140^n2^trn.1-1^TERM_RUNLIMIT: job killed after reaching its limit\n"},
            "ENDED",
            "LSF: TERM_RUNLIMIT",
            "TimedOut",
        ),
        ("lsf", {"bjobs": "7^EXIT^2^n2^trn.1-1^-\n"}, "ENDED", "LSF: exit status 2 on n2", ""),
        ("lsf", {"bjobs": "!No job found"}, "LOST", "", ""),
    ],
)
def test_what_a_batch_system_says_of_a_job_is_understood(
    stand_in: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    printed: dict[str, str],
    state: str,
    reason: str,
    status: str,
) -> None:
    report = saying(name, monkeypatch, **printed).poll(["7"])["7"]
    outcome = report.outcome.status if report.outcome else ""
    assert (report.state.name, report.reason, outcome) == (state, reason, status)


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("sbatch: error: Batch job submission failed: Invalid account", RefusedError),
        ("sbatch: error: QOSMaxSubmitJobPerUserLimit", BusyError),
        ("sbatch: error: Unable to contact slurm controller (connect failure)", BusyError),
        ("sbatch: error: Socket timed out on send/recv operation", CommandError),
    ],
)
def test_a_failed_submission_is_final_or_comes_later_or_is_in_doubt(
    stand_in: Path, monkeypatch: pytest.MonkeyPatch, words: str, kind: type[Exception]
) -> None:
    engine = saying("slurm", monkeypatch, sbatch=f"!{words}")
    attempt = Attempt("trn.1-1", Path("/shared/trn.1-1"), "", Machine(1, 1), None)
    with pytest.raises(kind, match=re.escape(words)):
        engine.submit(attempt, lambda: None)


def test_a_batch_system_that_does_not_respond_is_an_error_rather_than_no_jobs(
    stand_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, command in (("slurm", "squeue"), ("pbs", "qstat"), ("lsf", "bjobs")):
        engine = saying(name, monkeypatch, **{command: "!cannot connect to the server"})
        with pytest.raises(CommandError):
            engine.poll(["7"])


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("slurm", {"project": "x"}, "engine slurm: Slurm has no project"),
        ("slurm", {"comment": "x"}, "engine slurm: comment cannot be set: sbatch gets it from the"),
        ("pbs", {"v": "x"}, "engine pbs: v cannot be set"),
        ("lsf", {"a b": "x"}, "engine lsf: a b cannot be set"),
        ("lsf", {"account": "x"}, "engine lsf: LSF has no account"),
        (
            "slurm",
            {"max_submitted": "none"},
            "engine slurm: max_submitted must be a number above 0",
        ),
    ],
)
def test_an_invalid_option_of_a_batch_system_is_refused(
    stand_in: Path, name: str, options: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        load(name, options)


def test_a_batch_system_that_is_not_here_or_a_service_without_data_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stand_in: Path
) -> None:
    with pytest.raises(ValueError, match="engine slurm needs a data folder"):
        LocalTes(engine="slurm")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match="sbatch is not on the PATH"):
        load("slurm", {})


def test_native_options_reach_the_command_that_submits_and_no_secret_does(
    stand_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ICA_ACCESS_TOKEN", "hidden")
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    options = {"queue": "long", "constraint": "gpu", "exclusive": "", "x": "1"}
    sent: list[str] = []
    engine: Any = load("slurm", options)
    printed = engine.run("env")
    assert "hidden" not in printed
    assert "SLURM_JOB_ID" not in printed
    monkeypatch.setattr(
        engine, "run", lambda *command, script: sent.extend([*command, script]) or "7"
    )
    attempt = Attempt("trn.1-1", Path("/a b"), "", Machine(0, 0), None)
    assert engine.submit(attempt, lambda: None) == "7"
    assert {"--partition=long", "--constraint=gpu", "--exclusive", "-x1"} < set(sent)
    assert "exec >>'/a b'/printed.txt" in sent[-1]
