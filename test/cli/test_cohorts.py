"""Cohorts by the command: from a table to a report, and what goes wrong on the way."""

from __future__ import annotations

import csv
import json
import os
import re
from pathlib import Path

import pytest

from ..local.caller import SLEEP, Caller
from .command import Command

pytestmark = pytest.mark.slow

CHECK = {
    "command": "sh",
    "args": ["-c", "echo {{sample}}; test -e {{gate}} || { echo too few reads >&2; exit 3; }"],
}


def table(folder: Path, *, rows: int = 3, gates: int = 2) -> Path:
    """Write a table whose first rows make runs that complete."""
    lines = [f"s{row},{folder if row < gates else folder / 'gate'}," for row in range(rows)]
    path = folder / "cohort.csv"
    path.write_text("\n".join(["sample,gate,notes", *lines]))
    return path


OPTIONS = ("--name-column", "sample", "--ignore-columns", "notes", "--journal", "c.jsonl")


def test_a_cohort_goes_from_a_table_to_a_report_and_what_failed_is_launched_again(
    command: Command, caller: Caller
) -> None:
    task = caller.task("check", **CHECK)
    launch = ("launch", "check", "1", table(command.folder), *OPTIONS)

    planned = command.ok(*launch, "--dry-run")
    assert "3 launches" in planned.errors
    assert "Nothing was launched" in planned.errors
    assert not (command.folder / "c.jsonl").exists()

    done = command(*launch, "--wait")
    assert done.status == 3
    assert "3 launches: 2 Completed, 1 Failed" in done.out
    assert re.search(r"^Failed +s2\n +The command 'sh' ended with exit status 3", done.out, re.M)
    why = re.search("^See why +libica-tes (logs .*)$", done.errors, re.M)
    assert why is not None
    assert command.ok(*why[1].split()).out == "too few reads\n"

    again = command(*launch)
    assert "3 launches in it have a run already" in again.errors
    assert len(caller.ok("GET", "/v1/tasks/runs?pageSize=10")["items"]) == 3

    report = command("report", "c.jsonl", "--csv", "r.csv", "--html", "r.html", "--json")
    assert report.status == 3
    assert report.json["summary"] == {"Completed": 2, "Failed": 1}
    with (command.folder / "r.csv").open(newline="") as file:
        assert [row["name"] for row in csv.DictReader(file)] == ["s0", "s1", "s2"]
    assert "s2" in (command.folder / "r.html").read_text()

    (command.folder / "gate").touch()
    relaunched = command.ok("relaunch", "c.jsonl", "--wait")
    assert relaunched.out == "3 launches: 3 Completed\n"
    assert command.ok("wait", "c.jsonl").out == relaunched.out
    assert len(caller.ok("GET", "/v1/tasks/runs?pageSize=10")["items"]) == 4
    assert task["id"] in (command.folder / "c.jsonl").read_text()


def test_a_table_or_journal_that_does_not_fit_is_refused_before_anything_is_sent(
    command: Command, caller: Caller
) -> None:
    caller.task("check", **CHECK)
    path = table(command.folder)
    launch = ("launch", "check", "1", path, "--journal", "c.jsonl")
    wrong = command(*launch)
    assert wrong.status == 2
    assert "choose one with --name-column COLUMN" in wrong.errors
    wrong = command(*launch, "--name-column", "sample")
    assert wrong.status == 2
    assert "to ignore them, pass --ignore-columns 'notes'" in wrong.errors
    assert caller.ok("GET", "/v1/tasks/runs")["items"] == []

    command("launch", "check", "1", path, *OPTIONS, "--wait")
    table(command.folder, rows=2)
    told = command.refused(2, "launch", "check", "1", path, *OPTIONS)
    assert "c.jsonl belongs to another batch: the launch 's2' is missing" in told
    assert "give another --journal" in told
    assert "cohort.csv is not a journal" in command.refused(2, "report", path)
    assert "row" in command.refused(2, "relaunch", "c.jsonl", "--table", _changed(path))


def _changed(path: Path) -> Path:
    changed = path.with_name("changed.csv")
    changed.write_text(path.read_text().replace("s1,", "s9,"))
    return changed


def test_waiting_ends_at_its_timeout_and_says_how_to_go_on(
    command: Command, caller: Caller
) -> None:
    caller.task("sleep", **SLEEP, environment={"variables": {"S": "{{gate}}{{sample}}"}})
    launch = ("launch", "sleep", "1", table(command.folder, rows=1), *OPTIONS)
    launched = command.ok(*launch)
    assert "Wait      libica-tes wait c.jsonl" in launched.errors
    assert command("wait", "c.jsonl", "--timeout", "0").status == 4
    result = command("report", "c.jsonl", "--json")
    assert result.status == 4
    caller.abort(result.json["launches"][0]["run_id"])
    assert command("wait", "c.jsonl").status == 3


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
def test_ctrl_c_says_how_to_go_on_and_the_same_command_does(
    command: Command, caller: Caller
) -> None:
    caller.task("check", **CHECK)
    path = table(command.folder, rows=300, gates=300)
    launch = ("launch", "check", "1", path, *OPTIONS, "--concurrency", 1)
    stopped = command.in_terminal(*launch, interrupt_at=r"Launches: .* [1-9]\d*/300")
    assert stopped.status == 130, stopped
    assert re.search("interrupted: .*; the same command goes on where it stopped", stopped.out)
    going = command.in_terminal(*launch[:-2], "--wait", interrupt_at=r"Runs: .* [1-9]\d*/300")
    assert going.status == 130, going
    assert "libica-tes wait c.jsonl" in going.out
    journal = (command.folder / "c.jsonl").read_text().splitlines()
    ids = {record["run"] for record in map(json.loads, journal) if "run" in record}
    assert len(ids) == 300
    names = [run["name"] for run in caller.ok("GET", "/v1/tasks/runs?pageSize=1000")["items"]]
    assert sorted(names) == sorted(f"s{row}" for row in range(300))


def test_a_service_that_goes_away_stops_a_launch_and_names_it(command: Command) -> None:
    table(command.folder)
    told = command.refused(
        5,
        "launch",
        "check",
        "1",
        "cohort.csv",
        *OPTIONS,
        env={"ICA_BASE_URL": "http://127.0.0.1:1"},
    )
    assert "that the service is running" in told
