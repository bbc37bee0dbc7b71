"""The command line ``python -m libica.local serve``."""

from __future__ import annotations

import argparse
import contextlib
import inspect
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from libica.local import LocalTes
from libica.local.__main__ import _parser, main
from libica.openapi import libtes

from .caller import PATIENCE, TRUE
from .serving import Serving

Serve = Callable[..., Serving]


def test_it_prints_two_lines_to_paste_into_a_shell(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    serving = serve("--no-page")
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
    serving = serve("--gds", gds, "--data", data, "--token", "mine", "--workers", "1", "--no-page")
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
        ("--host 0.0.0.0", "--expose-to-network"),
        ("--host 0.0.0.0 --expose-to-network", "--no-tls"),
        ("--token=", "token must be printable"),
        ("--token=a\tb", "token must be printable"),
        ("--token-file nowhere/token", "nowhere/token"),
        ("--token-file not-ascii", "not-ascii"),
        ("--token a --token-file b", "not allowed with"),
        ("--data /dev/null/x", "/dev/null"),
        ("--gds not-ascii", "gds must be a folder or a URL"),
        ("--gds nothing://x", "nothing://"),
        ("--port 70000", "port must be 0 to 65535"),
        ("--port=-1", "port must be 0 to 65535"),
        ("--port x", "--port"),
        ("--workers 0", "workers must be 1 or more"),
        ("--time-limit 0", "time_limit must be more than 0 seconds"),
        ("--time-limit nan", "time_limit must be more than 0 seconds"),
        ("--keep-runs=-1", "keep_runs must be more than 0 days"),
        ("--keep-runs inf", "keep_runs must be more than 0 days and at most 36525"),
        ("--retry-delay=-1", "retry_delay must be 0 seconds or more"),
        ("--engine moon", "there is no engine 'moon'"),
        ("--engine-option x=1", "engine here"),
        ("--engine-option x", "--engine-option must be KEY=VALUE"),
        ("--engine-option x=1 --engine-option x=2", "--engine-option x is given twice"),
        ("--repair", "there is no home/tes.sqlite to repair"),
        ("--run-in moon", "--run-in"),
        ("--run-in apptainer", "apptainer is not on the PATH"),
        ("--tls-cert not-ascii", "given together"),
        ("--tls-cert not-ascii --tls-key nowhere", "nowhere"),
        ("--tls-cert not-ascii --tls-key not-ascii", "must be a certificate and its key"),
        ("--access-log nowhere/log", "nowhere/log"),
        ("--no-such-option", "--no-such-option"),
    ],
)
def test_an_invalid_option_is_one_line_of_error_before_anything_is_made(
    options: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "not-ascii").write_bytes(b"\xe9")
    given = ["--data", "home", *options.split(" ")]
    handlers = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        with contextlib.suppress(SystemExit):
            assert main(["serve", *given]) == 1
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert line.startswith("libica.local: ")
    assert message in line
    assert [path.name for path in tmp_path.iterdir()] == ["not-ascii"]


def test_a_signal_that_comes_when_the_main_thread_begins_to_wait_ends_it() -> None:
    code = """
import os, signal, threading
from libica.local.node.termination import on_termination
stop = threading.Event()
on_termination(stop.set)
with stop._cond:  # as within `stop.wait`
    os.kill(os.getpid(), signal.SIGTERM)
assert stop.wait(10)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=PATIENCE)


def options_of_serve() -> dict[str, argparse.Action]:
    (commands,) = (each for each in _parser()._actions if isinstance(each.choices, dict))
    assert commands.choices
    actions = commands.choices["serve"]._actions
    return {each.option_strings[-1]: each for each in actions if each.dest != "help"}


def test_a_repair_comes_before_the_service(serve: Serve, tmp_path: Path) -> None:
    with LocalTes(data=tmp_path) as tes, libtes.ApiClient(tes.configuration()) as client:
        libtes.TasksApi(client).create_task(body={"name": "kept"})
    serving = serve("--data", tmp_path, "--repair")
    assert [each["name"] for each in serving.caller().ok("GET", "/v1/tasks")["items"]] == ["kept"]
    status, errors = serving.end()
    assert status == 0
    assert errors.startswith("libica.local: ")
    assert "1 task" in errors


def test_the_options_are_those_of_the_class_and_each_is_described() -> None:
    options = options_of_serve()
    assert all(each.help for each in options.values())
    names = {each.dest for each in options.values()} - {"token_file", "repair"}
    assert names == set(inspect.signature(LocalTes).parameters)
    assert _parser().parse_args(["serve"]).time_limit == 86400
