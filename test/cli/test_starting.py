"""How the command starts: quickly, with clear errors, completion and the service."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from libica.openapi import libtes

from ..helpers import run_python
from ..local.caller import PATIENCE
from .command import Command

NOWHERE = "http://127.0.0.1:1"


@pytest.fixture
def offline(tmp_path: Path) -> Command:
    return Command(tmp_path, NOWHERE, "a-token-that-nobody-may-see")


def loaded(code: str) -> list[str]:
    heavy = ["typer", "rich", "urllib3", "libica.batch", "libica.local"]
    return (
        run_python(
            f"import sys\n{code}\nprint('|', *(each for each in {heavy} if each in sys.modules))"
        )
        .split("|")[1]
        .split()
    )


def test_version_and_commands_load_only_what_they_need() -> None:
    main = "from libica.cli.__main__ import main; assert main(['--version']) == 0"
    assert loaded(main) == []
    assert {*loaded("import libica.cli.commands")} <= {"typer", "rich"}  # old Typer needs Rich


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_without_the_extra_it_says_which_to_install(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = f"""
import sys
sys.modules[{missing!r}] = None
import libica.cli.__main__ as cli
sys.stderr = sys.stdout
print(cli.main(["show", "trn.1"]))
"""
    monkeypatch.setenv("ICA_BASE_URL", NOWHERE)
    monkeypatch.setenv("ICA_ACCESS_TOKEN", "token")
    told, status = run_python(code).splitlines()
    assert told.endswith("pip install 'libica-libtes[cli]'")
    assert status == "2"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nope"], "No such command 'nope'. See: libica-tes --help"),
        (["runs", "--status", "failed,none"], "'--status': 'none' is not one of Pending, "),
        (["show", "tvn.1"], "give TASK VERSION. See: libica-tes show --help"),
        (["launch", "a", "b", "c"], "'--journal': give a file"),
        (["launch", "a"], "See: libica-tes launch --help"),
        (["runs", "--limit", "0"], "'--limit'"),
        (["wait", "nope.jsonl"], "nope.jsonl: No such file"),
        (["launch", "a", "b", "nope.csv", "--dry-run"], "nope.csv is not a file"),
    ],
)
def test_invalid_usage_is_told_in_one_line(
    offline: Command, arguments: list[str], told: str
) -> None:
    status = 1 if arguments[0] == "wait" else 2
    assert told in offline.refused(status, *arguments)


@pytest.mark.parametrize(
    ("url", "status", "told"),
    [
        ("", 2, "set ICA_BASE_URL to the service"),
        ("tes.example.org", 2, "ICA_BASE_URL: "),
        pytest.param(NOWHERE, 5, f"check ICA_BASE_URL ({NOWHERE})", marks=pytest.mark.slow),
        pytest.param(
            "http://a.invalid", 5, "check ICA_BASE_URL (http://a.", marks=pytest.mark.slow
        ),
    ],
)
def test_a_service_that_cannot_be_called_is_named(
    offline: Command, url: str, status: int, told: str
) -> None:
    assert told in offline.refused(status, "runs", env={"ICA_BASE_URL": url})


def test_a_wrong_token_says_which_variable_to_set(command: Command) -> None:
    wrong = {"ICA_ACCESS_TOKEN": "wrong"}
    told = command.refused(1, "tasks", env=wrong)
    assert "401" in told
    assert "set ICA_ACCESS_TOKEN, or ICA_API_KEY" in told
    assert "set ICA_BASE_URL" in command.refused(2, "tasks", env={"ICA_ACCESS_TOKEN": ""})


def test_an_api_key_stands_in_for_a_token_that_is_missing_or_refused(command: Command) -> None:
    key = command.env["ICA_ACCESS_TOKEN"]
    for token in ("", "wrong"):
        result = command("tasks", env={"ICA_ACCESS_TOKEN": token, "ICA_API_KEY": key})
        assert (result.status, result.out, result.errors) == (0, "", "no tasks\n")


def test_debug_shows_the_requests_and_the_traceback(command: Command) -> None:
    with command.start("--debug", "show", "trn.1") as process:
        _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "GET /v1/tasks/runs/trn.1: 404 in " in errors
    assert "Traceback" in errors
    assert command.env["ICA_ACCESS_TOKEN"] not in errors


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_commands_and_statuses_are_completed(offline: Command, shell: str) -> None:
    for words, expected in (
        ("re", {"relaunch", "report"}),
        ("runs --status Run", {"Running"}),
        ("serve --to", {"token"}),
        ("serve --data x --tls-", {"cert", "key"}),
    ):
        given = f"libica-tes {words}"
        env = {
            "_LIBICA_TES_COMPLETE": f"complete_{shell}",
            "COMP_WORDS": given,
            "COMP_CWORD": str(given.count(" ")),
            "_TYPER_COMPLETE_ARGS": given,
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        }
        result = offline(env=env)
        assert expected <= set(re.findall(r"\w+", result.out)), result
        assert "wait" not in result.out


def test_serve_has_the_options_of_the_module_and_names_the_way_out_of_a_busy_port(
    offline: Command, command: Command
) -> None:
    assert "usage: libica-tes serve [-h] [--data DIR]" in offline.ok("serve", "--help").out
    port = command.env["ICA_BASE_URL"].rpartition(":")[2]
    result = offline("serve", "--port", port)
    assert result.status == 1
    assert re.search(f"in use: give another --port than {port}, or 0", result.errors)


@pytest.mark.slow
def test_serve_starts_a_service_that_the_command_can_call(offline: Command) -> None:
    with offline.start("serve", "--port", "0") as serving:
        pasted = [serving.stdout.readline().strip().partition("=")[2] for _ in range(2)]
        command = Command(offline.folder, *pasted)
        assert command.ok("runs").errors == "no runs\n"
        serving.send_signal(signal.SIGINT)
        assert serving.wait(PATIENCE) == 0


def test_the_version_is_that_of_the_client(offline: Command) -> None:
    assert offline.ok("--version").out == f"libica-tes {libtes.__version__}\n"
