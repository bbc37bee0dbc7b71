"""Stands in for the commands of PBS, Torque and LSF: runs jobs as processes of this machine.

It is called by the name of a command. Jobs are folders in ``STAND_IN``; a file ``lossy`` in it
makes the command that submits fail after it has done so.
"""

from __future__ import annotations

import getopt
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

HOME = Path(os.environ["STAND_IN"])
DIALECT = os.environ["STAND_IN_DIALECT"]  # `pbs`, `pbs_classic` or `lsf`
WRAPPER = "trap : TERM; sh script <&-; echo $? >exit.new; mv exit.new exit"


def fail(message: str, status: int = 1) -> NoReturn:
    print(message, file=sys.stderr)
    sys.exit(status)


def submit(mark: str, queue: str) -> str:
    if queue == "closed":
        fail(
            {"lsf": "closed: No such queue. Job not submitted."}.get(DIALECT, "qsub: Unknown queue")
        )
    number = str(len([*HOME.glob("*/mark")]) + 1)
    folder = HOME / number
    folder.mkdir()
    (folder / "script").write_text(sys.stdin.read())
    (folder / "arguments").write_text(" ".join(sys.argv[1:]))
    process = subprocess.Popen(
        ["sh", "-c", WRAPPER],
        cwd=folder,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    (folder / "pid").write_text(str(process.pid))
    (folder / "mark").write_text(mark)
    if (HOME / "lossy").exists():
        (HOME / "lossy").unlink()
        fail("Connection timed out")
    return number


def cancel(number: str) -> None:
    folder = HOME / number
    if (folder / "exit").exists():
        fail(
            {"lsf": f"Job <{number}>: Job has already finished"}.get(
                DIALECT, "qdel: Unknown Job Id"
            )
        )
    (folder / "cancelled").touch()
    os.killpg(int((folder / "pid").read_text()), signal.SIGTERM)


def numbers() -> list[str]:
    return sorted(mark.parent.name for mark in HOME.glob("*/mark"))


def look(number: str) -> tuple[str, str, bool]:
    """Return the mark of a job, its exit status and whether it was cancelled."""
    folder = HOME / number
    status = (folder / "exit").read_text().strip() if (folder / "exit").exists() else ""
    return (folder / "mark").read_text(), status, (folder / "cancelled").exists()


def qsub(arguments: list[str]) -> None:
    given, rest = getopt.getopt(arguments, "N:S:o:e:r:v:l:q:A:W:" + "P:" * (DIALECT == "pbs"))
    options = dict(given)
    assert rest == []
    assert options["-r"] == "n"
    assert len(options["-N"]) <= (15 if DIALECT == "pbs_classic" else 236)
    assert ("select=" in str(given)) == (DIALECT == "pbs")
    print(submit(options["-v"].partition("=")[2], options.get("-q", "")) + ".server")


def qstat(arguments: list[str]) -> None:
    given, wanted = getopt.getopt(arguments, "f" + "x" * (DIALECT == "pbs"))
    assert ("-f", "") in given
    unknown = ""
    for each in wanted:
        number = each.partition(".")[0]
        if number not in numbers():
            unknown = each
            continue
        mark, status, cancelled = look(number)
        ended = {"pbs": "F", "pbs_classic": "C"}[DIALECT]
        print(f"Job Id: {each}\n    Job_Name = x\n    job_state = {ended if status else 'R'}")
        if status:
            name = "Exit_status" if DIALECT == "pbs" else "exit_status"
            print(f"    {name} = {271 if cancelled else status}")
        print("    exec_host = node1/0\n    Variable_List = PBS_O_HOME=/root,PBS_O_SHELL=/bin/sh,")
        print(f"\tLIBICA_ATTEMPT={mark[:20]}\n\t{mark[20:]},PBS_O_QUEUE=short\n")
    if unknown:
        fail(f"qstat: Unknown Job Id {unknown}", 153)


def qselect(arguments: list[str]) -> None:
    _, rest = getopt.getopt(arguments, "u:" + "x" * (DIALECT == "pbs"))
    assert rest == []
    print("".join(f"{number}.server\n" for number in numbers()), end="")


def bsub(arguments: list[str]) -> None:
    options: dict[str, str] = {}
    words = iter(arguments)
    for word in words:
        assert word.startswith("-"), arguments
        options[word] = "" if word == "-rn" else next(words)
    number = submit(options["-Jd"], options.get("-q", ""))
    print(f"Job <{number}> is submitted to queue <{options.get('-q', 'normal')}>.")


def bjobs(arguments: list[str]) -> None:
    assert arguments[:3] == ["-a", "-noheader", "-o"]
    fields = "jobid stat exit_code exec_host job_description exit_reason delimiter='^'"
    assert arguments[3:] == [fields]
    if not numbers():
        fail("No job found", 255)
    for number in numbers():
        mark, status, cancelled = look(number)
        state = {"": "RUN", "0": "DONE"}.get(
            "" if status == "" else str(int(cancelled or status)), "EXIT"
        )
        reason = "TERM_OWNER: job killed by owner" if cancelled else "-"
        code = status if state == "EXIT" else "-"
        print("^".join([number, state, code, "node1", mark, reason]))


def main() -> None:
    name, arguments = Path(sys.argv[0]).name, sys.argv[1:]
    if name in ("qdel", "bkill"):
        cancel(arguments[0].partition(".")[0])
    else:
        {"qsub": qsub, "qstat": qstat, "qselect": qselect, "bsub": bsub, "bjobs": bjobs}[name](
            arguments
        )


if __name__ == "__main__":
    main()
