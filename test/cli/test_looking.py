"""Looking at tasks and runs: lists, single objects, logs; and aborting."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from rich.cells import cell_len

from libica.cli.display import ago, one_line, status, table

from ..local.caller import ECHO, SLEEP, Caller, wait_until
from .command import Command

pytestmark = pytest.mark.slow
terminal = pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
NOW = datetime(2026, 11, 29, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *((-3600, "2026-11-29"), (-1, "now"), (0, "0 s ago"), (59.9, "59 s ago")),
        *((61, "1 min ago"), (7200, "2 h ago"), (86400, "1 day ago"), (200_000, "2 days ago")),
        (8 * 86400, "2026-11-21"),
    ],
)
def test_ages_are_short(seconds: float, text: str) -> None:
    assert ago(NOW - timedelta(seconds=seconds), NOW) == text


def test_a_task_its_versions_and_its_runs_are_listed(command: Command, caller: Caller) -> None:
    task = caller.task("count-reads")
    version = task["taskVersions"][0]
    run = caller.launch(task, name="NA12878", arguments={"word": "hi"}).json
    assert re.search(rf"^NAME .*\ncount-reads .* {task['id']}\n$", command.ok("tasks").out)
    assert version["id"] in command.ok("versions", "count-reads").out
    listed = command.ok("runs", "--name", "NA12878", "--json").json
    assert [each["id"] for each in listed] == [run["id"]]
    assert {"statusDetails", "timeCreated"} <= listed[0].keys()
    shown = command.ok("show", "count-reads", "1").out
    assert re.search(r"Placeholders +word\n", shown)
    assert command.ok("show", task["id"], version["id"], "--json").json["execution"]["args"]
    assert command.ok("show", task["id"]).out.startswith("Task ")
    assert run["id"] in command.ok("show", "NA12878").out
    assert "lists them" in command.refused(2, "versions", "nope")


def test_no_more_runs_are_shown_than_asked_for_and_what_is_left_out_is_told(
    command: Command, caller: Caller
) -> None:
    for number in range(3):
        caller.start(ECHO | {"args": []}, "Completed", name=f"run-{number}")
    two = command.ok("runs", "--limit", 2)
    two_names = ["run-2", "run-1"]
    assert re.findall(r"^run-\d", two.out, re.MULTILINE) == two_names
    assert "--all" in two.errors
    assert [each["name"] for each in command.ok("runs", "--limit", 2, "--json").json] == two_names
    assert command.ok("runs", "--name", "none", "--json").json == []
    every = command.ok("runs", "--all", "--status", "completed,timedout")
    assert (len(every.out.splitlines()), every.errors) == (4, "")


def test_long_lists_are_aligned_and_printed_as_they_come(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    printed: list[str] = []

    def rows() -> Iterator[tuple[Any, ...]]:
        for number in range(2500):
            if number == 2000:
                printed.append(capsys.readouterr().out)
            yield (
                one_line(f"sample-{number}-\u2603\u4e2d" * (1 + number % 3)),
                status("Failed"),
                f"{number:04}",
            )

    assert table(("NAME", "STATUS", "N"), rows()) == 2500
    lines = (printed[0] + capsys.readouterr().out).splitlines()
    assert printed[0].count("\n") == 2001
    assert lines[0].split() == ["NAME", "STATUS", "N"]
    assert {cell_len(line[: line.index("Failed")]) for line in lines[1:]} == {28}
    assert max(map(cell_len, lines)) <= 40
    assert sum("\u2026" in line for line in lines) > 1000


@terminal
def test_a_terminal_has_colours_and_no_line_is_wider_than_it(
    command: Command, caller: Caller
) -> None:
    name = "a-name-\u2603-" * 10
    caller.start(ECHO | {"args": []}, "Completed", name=name)
    for arguments in (["runs"], ["show", name], ["tasks"]):
        shown = command.in_terminal(*arguments).out
        lines = re.sub("\x1b\\[[0-9;]*m", "", shown).splitlines()
        assert max(map(len, lines)) <= 80
        assert arguments[0] == "tasks" or "\x1b[32mCompleted" in shown
    piped = command.ok("runs").out
    assert name in piped  # nothing is cut for programs
    assert "\x1b" not in piped


def test_names_and_errors_are_text_whatever_they_hold_and_secrets_are_masked(
    command: Command, caller: Caller
) -> None:
    hostile = "[red]a\x1b]0;title\x07[/]:smile:"
    variables = {"SECURE_KEY": "hunter22", "PLAIN": "shown"}
    execution = ECHO | {"args": ["\x1b[2J"], "environment": {"variables": variables}}
    run = caller.start(execution, "Completed", name=hostile)
    for arguments in (["runs"], ["show", run["id"]]):
        out = command.ok(*arguments).out
        assert r"[red]a\x1b]0;title\x07[/]:smile:" in out
        assert "\x1b" not in out
    for arguments in (["show", run["id"]], ["show", run["id"], "--json"]):
        out = command.ok(*arguments).out
        assert "shown" in out
        assert "hunter22" not in out


WRITES = {"image": {"name": "any"}, "command": "sh", "retryLimit": 0}


def test_logs_are_written_as_they_are(command: Command, caller: Caller) -> None:
    script = "printf 'out\\303\\251\\n'; echo wrong >&2; exit 3"
    run = caller.start(WRITES | {"args": ["-c", script]}, "Failed", name="one")
    assert command.ok("logs", "one").out == "out\u00e9\n"
    assert command.ok("logs", run["id"], "--stderr").out == "wrong\n"
    gds = WRITES | {"args": ["-c", script], "systemFiles": {"url": "gds://volume/logs"}}
    run = caller.start(gds, "Failed")
    assert "give --gds" in command.refused(2, "logs", run["id"])
    told = command.refused(2, "logs", run["id"], "--gds", command.folder)
    assert "is not on this machine" in told


def test_a_log_is_followed_until_the_run_has_finished(command: Command, caller: Caller) -> None:
    gate = command.folder / "gate"
    script = f"echo first; until test -e {gate}; do sleep 0.05; done; echo last"
    run = caller.start(WRITES | {"args": ["-c", script]})
    with command.start("logs", run["id"], "--follow") as following:
        assert following.stdout.readline() == "first\n"
        gate.touch()
        assert following.stdout.read() == "last\n"
    assert following.returncode == 0


@terminal
def test_a_log_cannot_command_the_terminal(command: Command, caller: Caller) -> None:
    script = r"printf '\033[31mred\033[0m \033]0;title\007\n'"
    caller.start(WRITES | {"args": ["-c", script]}, "Completed", name="one")
    assert command.in_terminal("logs", "one").out == "\x1b[31mred\x1b[0m ?]0;title?\n"


def test_runs_are_aborted_by_id_and_by_a_name_that_only_one_has(
    command: Command, caller: Caller
) -> None:
    first = caller.start(SLEEP, "Running", name="one")
    assert "will be aborted soon" in command.ok("abort", "one").out
    wait_until(lambda: caller.run(first["id"])["status"] == "Aborted")
    second = caller.start(SLEEP, "Running", name="one")
    assert "more than one run 'one'" in command.refused(2, "abort", "one")
    unknown = "trn." + "0" * 32
    result = command("abort", second["id"], unknown, "--json")
    assert result.status == 3
    assert [bool(each["error"]) for each in result.json] == [False, True]
