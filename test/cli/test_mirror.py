"""Taking tasks along by the command: what it says, its exit statuses, and serving the copies."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest

from libica.local import LocalTes

from ..local.caller import ECHO, PATIENCE, Caller
from ..local.gate import Gate, refusal
from .command import Command

pytestmark = pytest.mark.slow

MIRROR = ("mirror", "--data", "my data")


def test_tasks_are_taken_along_and_served_under_their_ids(command: Command, caller: Caller) -> None:
    secret = {"environment": {"variables": {"SECURE_KEY": "hunter22"}}}
    task = caller.task("count reads", **secret)
    caller.task("other\x1b[2J")
    planned = command.ok(*MIRROR, "--dry-run")
    assert planned.errors == "Nothing was written.\n"
    assert not (command.folder / "my data").exists()

    first = command.ok(*MIRROR)
    assert first.out == planned.out
    assert re.match(r"tasks +2 new\nversions +2 new\n\nOUTCOME ", first.out)
    assert re.search(rf"^new +task +count reads +{task['id']}$", first.out, re.MULTILINE)
    assert r"other\x1b[2J" in first.out
    told = (
        "Secrets were left out of 1 execution; --with-credentials takes them along:\n"
        "  version count reads 1: environment.variables.SECURE_KEY\n"
    )
    assert told in first.errors
    assert "Serve it  libica-tes serve --data 'my data'" in first.errors

    second = command.ok(*MIRROR, "--json", "--tasks", f"count reads, {task['id']}")
    assert second.json["counts"] == {"task": {"unchanged": 1}, "version": {"unchanged": 1}}
    assert {item["left_out"] != [] for item in second.json["items"]} == {True, False}
    third = command.ok(*MIRROR, "--with-credentials", "--runs")
    assert "versions  1 changed, 1 unchanged" in third.out
    assert "Secrets" not in third.errors
    assert "hunter22" not in third.out + third.errors
    assert command.ok(*MIRROR).out.endswith("\nNothing is new or changed.\n")

    serve = command.start("serve", "--data", "my data", "--port", "0", "--no-page")
    with serve as serving:
        pasted = [serving.stdout.readline().strip().partition("=")[2] for _ in range(2)]
        copy = Command(command.folder, *pasted)
        shown = copy.ok("show", task["id"], task["taskVersions"][0]["id"], "--json").json
        assert shown["execution"]["args"] == ECHO["args"]
        used = copy.refused(2, *MIRROR)
        assert f"{command.folder / 'my data'} is in use by another service, process " in used
        (copy.folder / "t.csv").write_text("name,word\na,hello\n")
        launch = ("launch", "count reads", "1", "t.csv", "--journal", "j", "--wait")
        assert copy.ok(*launch).out == "1 launch: 1 Completed\n"
        serving.send_signal(signal.SIGINT)
        assert serving.wait(PATIENCE) == 0


def test_what_is_missing_is_named_first_and_by_the_exit_status(
    tes: LocalTes, command: Command, caller: Caller
) -> None:
    tasks = [caller.task(f"task {number:02}") for number in range(30)]
    hidden = tasks[-1]["taskVersions"][0]["id"]
    gate = Gate(tes.url)
    command.env["ICA_BASE_URL"] = gate.server.url
    gate.meddle = lambda asked, _: refusal(403) if asked.path.endswith(hidden) else None
    try:
        result = command(*MIRROR)
        assert result.status == 3
        assert re.search("\nOUTCOME .*\nnot visible  version  task 29 1  .*403", result.out)
        assert "... and 40 more, all of which --json has\n" in result.out
        assert command(*MIRROR, "--json").json["counts"]["version"]["not visible"] == 1
        gate.meddle = lambda asked, _: None
        assert command.ok(*MIRROR).out.startswith("tasks     30 unchanged\nversions  1 new, 29 un")
        assert "there is no task 'nope' at http" in command.refused(2, *MIRROR, "--tasks", "nope")
        gate.meddle = lambda asked, _: refusal(401) if asked.path.endswith("/versions") else None
        refused = command(*MIRROR)
        assert refused.status == 1
        assert "the same command goes on where it stopped" in refused.errors
        assert refused.errors.splitlines()[-1].startswith("libica-tes: GET /v1/tasks/tdn.")
        assert "'--data'" in command.refused(2, "mirror")
    finally:
        gate.close()


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
def test_ctrl_c_says_that_the_same_command_goes_on(
    tes: LocalTes, command: Command, caller: Caller, tmp_path: Path
) -> None:
    for number in range(30):
        caller.task(f"{number}")
    gate = Gate(tes.url)
    command.env["ICA_BASE_URL"] = gate.server.url
    lists_and_some = 1 + 30 + 20
    gate.meddle = lambda asked, _: (
        refusal(429, Retry_After="100") if len(gate.paths) > lists_and_some else None
    )
    try:
        stopped = command.in_terminal(*MIRROR, interrupt_at=r"Reading versions [^\n]*[1-9]\d%")
    finally:
        gate.close()
    assert stopped.status == 130
    assert "the same command goes on where it stopped" in stopped.out
    command.env["ICA_BASE_URL"] = tes.url
    assert re.match(r"tasks +\d+ new, \d+ unchanged\n", command.ok(*MIRROR).out)
    assert command.ok(*MIRROR).out.startswith("tasks     30 unchanged\nversions  30 unchanged\n")
