"""The command line ``python -m libica.local serve``."""

from __future__ import annotations

import os
import re
import signal
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from libica.local.__main__ import main
from libica.openapi import libtes

from .caller import TRUE
from .serving import Serving

Serve = Callable[..., Serving]


def test_it_prints_two_lines_to_paste_into_a_shell(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
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


@pytest.mark.slow
def test_folders_and_token_are_those_given_and_a_second_service_is_refused(
    serve: Serve, tmp_path: Path
) -> None:
    gds, data = tmp_path / "gds", tmp_path / "new" / "data"
    serving = serve("--gds", gds, "--data", data, "--token", "mine", "--workers", "1")
    assert serving.lines[1] == "export ICA_ACCESS_TOKEN=mine"
    execution = {**TRUE, "systemFiles": {"url": "gds://volume/logs"}}
    done = serving.caller().start(execution, "Completed")
    assert done["logs"][0]["stdout"].startswith("gds://volume/logs/")
    assert list((gds / "volume" / "logs").rglob("stdout*"))
    if os.name == "posix":
        assert stat.S_IMODE(data.stat().st_mode) == 0o700
    status, errors = serve("--data", data).ended()
    assert status == 1
    assert f"process {serving.process.pid}" in errors
    assert "Traceback" not in errors
    assert serving.end() == (0, "")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--host", "0.0.0.0"], "expose"),
        (["--token", ""], "token"),
        (["--token", "a b\n"], "token"),
        (["--data", "/dev/null/x"], "/dev/null"),
        (["--port", "70000"], "port"),
        (["--workers", "0"], "workers"),
    ],
)
def test_an_invalid_option_is_one_line_of_error(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    handlers = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        assert main(["serve", *options]) == 1
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert message in line


def test_help_describes_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["serve", "--help"])
    printed = capsys.readouterr().out
    for option in ("host", "port", "data", "gds", "token", "workers", "expose-to-network"):
        assert f"--{option}" in printed
