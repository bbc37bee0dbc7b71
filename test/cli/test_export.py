"""Exporting a version from the command line."""

from __future__ import annotations

import json

import pytest

from ..local.caller import Caller
from .command import Command

pytestmark = pytest.mark.slow


def test_a_version_is_written_as_a_task_or_a_tool(command: Command, caller: Caller) -> None:
    secret = {"variables": {"SECURE_KEY": "what-nobody-may-see"}}
    caller.task("greet", args=["{{word}} \u2603", "{{name}}"], environment=secret, retryLimit=2)
    result = command.ok("export", "greet", "1", "--as", "ga4gh", "--argument", "word=a=b")
    task = json.loads(result.out)
    assert task["name"] == "greet 1"
    assert task["executors"][0]["command"] == ["echo", "a=b \u2603", "{{name}}"]
    told = [line.partition(":")[0] for line in result.errors.splitlines()]
    assert told == ["retryLimit", "environment.variables.SECURE_KEY", "placeholders"]

    file = command.folder / "greet.cwl"
    result = command.ok("export", "greet", "1", "--as", "cwl", "--output", file)
    assert result.out == ""
    text = file.read_text(encoding="utf-8")
    assert 'label: "greet 1"' in text
    assert '- "$(inputs.word) \u2603"' in text
    for line in result.errors.splitlines():
        assert f"# - {line}\n" in text
    for each in (text, result.errors, json.dumps(task)):
        assert "what-nobody-may-see" not in each


def test_a_wrong_export_is_refused_in_one_line(command: Command, caller: Caller) -> None:
    caller.task("greet")
    export = ("export", "greet", "1", "--as")
    assert "'wdl' is not ga4gh or cwl" in command.refused(2, *export, "wdl")
    assert "it has word" in command.refused(2, *export, "cwl", "--argument", "wrod=x")
    assert "give NAME=VALUE" in command.refused(2, *export, "cwl", "--argument", "word")
    twice = ("--argument", "word=1", "--argument", "word=2")
    assert "once" in command.refused(2, *export, "cwl", *twice)
    away = command.folder / "none" / "file.cwl"
    assert str(away) in command.refused(1, *export, "cwl", "--output", away)
