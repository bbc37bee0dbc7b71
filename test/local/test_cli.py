"""The command line."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from libica.openapi import libtes

from .caller import TRUE
from .serving import Serving

Serve = Callable[..., Serving]


def test_it_prints_two_lines_to_paste_into_a_shell(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serving = serve()
    url, token = serving.lines
    assert re.fullmatch(r"export ICA_BASE_URL=http://127\.0\.0\.1:\d+", url)
    assert re.fullmatch(r"export ICA_ACCESS_TOKEN=[\w-]{40,}", token)
    for line in serving.lines:
        monkeypatch.setenv(*line.replace("export ", "").split("="))
    with libtes.ApiClient(libtes.Configuration.from_env()) as client:
        assert libtes.TasksApi(client).list_tasks().items == []
    assert serving.end() == (0, "")


def test_the_folders_and_the_token_are_those_given(serve: Serve, tmp_path: Path) -> None:
    gds, data = tmp_path / "gds", tmp_path / "new" / "data"
    serving = serve("--gds", str(gds), "--data", str(data), "--token", "mine", "--workers", "1")
    assert serving.lines[1] == "export ICA_ACCESS_TOKEN=mine"
    caller = serving.caller()
    execution = {**TRUE, "systemFiles": {"url": "gds://volume/logs"}}
    run = caller.made("POST", "/v1/tasks/runs", {"execution": execution})
    done = caller.run_when(run["id"], "Completed", "Failed")
    assert done["status"] == "Completed"
    assert done["logs"][0]["stdout"].startswith("gds://volume/logs/")
    assert list((gds / "volume" / "logs").rglob("stdout*"))
    if os.name == "posix":
        assert stat.S_IMODE(data.stat().st_mode) == 0o700
    caller.close()
    assert serving.end() == (0, "")


def test_a_second_service_on_the_same_data_is_refused(serve: Serve, tmp_path: Path) -> None:
    serving = serve("--data", tmp_path)
    second = serve("--data", tmp_path)
    status, said = second.ended()
    assert status == 1
    assert f"process {serving.process.pid}" in said
    assert "Traceback" not in said
    serving.end()
    third = serve("--data", tmp_path)
    assert third.url
    third.end()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--host", "0.0.0.0"], "expose"),
        (["--token", ""], "token"),
        (["--token", "a b\n"], "token"),
        (["--data", "/dev/null/x"], "/dev/null"),
        (["--port", "70000"], "port"),
        (["--workers", "0"], "workers"),
        (["--port", "x"], "--port"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(serve: Serve, options: list[str], message: str) -> None:
    serving = serve(*options)
    status, said = serving.ended()
    assert status in (1, 2)
    assert message in said.splitlines()[-1]
    assert "Traceback" not in said
    assert serving.lines == ["", ""]


def test_help_tells_of_every_option() -> None:
    command = [sys.executable, "-m", "libica.local", "serve", "--help"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for option in ("host", "port", "data", "gds", "token", "workers", "expose-to-network"):
        assert f"--{option}" in told
