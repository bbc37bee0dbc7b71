"""The log of calls: what a line has, where it goes, and that nothing else is changed."""

from __future__ import annotations

import logging
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from libica.openapi import libtes

from ..conftest import TOKEN
from ..helpers import run_python
from ..server import Response, Server

LOGGER = "libica.openapi.libtes"


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the lines of this package; that they have no secret is tested with the secrets."""
    records = [each for each in caplog.records if each.name.startswith("libica")]
    assert {(each.name, each.levelno) for each in records} <= {(LOGGER, logging.DEBUG)}
    return [each.getMessage() for each in records]


@pytest.mark.parametrize("how", ["debug", "logging"])
def test_a_call_is_logged_with_method_path_status_and_time(
    how: str, server: Server, client: libtes.ApiClient, caplog: pytest.LogCaptureFixture
) -> None:
    server.respond(Response(201))
    libtes.TasksApi(client).list_tasks()
    assert lines(caplog) == []
    if how == "debug":
        client.configuration.debug = True
    else:
        caplog.set_level(logging.DEBUG, LOGGER)
    libtes.TasksApi(client).create_task(body={})
    [line] = lines(caplog)
    words = line.replace(":", " ").split()
    assert words[:3] == ["POST", "/v1/tasks", "201"]
    assert any(word.replace(".", "").isdigit() for word in words[3:])


def test_a_call_that_fails_is_logged_too(
    server: Server, client: libtes.ApiClient, caplog: pytest.LogCaptureFixture
) -> None:
    client.configuration.debug = True
    server.respond(Response(404))
    with pytest.raises(libtes.NotFoundException):
        libtes.TasksApi(client).get_task("t")
    client.configuration.host = "http://nowhere.invalid"
    with pytest.raises(libtes.ConnectException):
        libtes.TasksApi(client).get_task("t")
    first, second = lines(caplog)
    assert first.startswith("GET /v1/tasks/t: 404 ")
    assert second.startswith("GET /v1/tasks/t: no response ")


def test_debug_can_be_switched_at_any_time_and_changes_nothing_that_others_see(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def seen() -> list[Any]:
        names = ["", "libica", "libica.openapi", LOGGER, "urllib3", "urllib3.connectionpool"]
        loggers = [logging.getLogger(name) for name in names]
        return [
            [(each.level, list(each.handlers), each.propagate) for each in loggers],
            (logging.root.manager.disable, HTTPConnection.debuglevel, logging.getLoggerClass()),
        ]

    before = seen()
    configuration = libtes.Configuration(server.url)
    configuration.logger_file = str(tmp_path / "log")
    with libtes.ApiClient(configuration) as client:
        assert not list(tmp_path.iterdir())
        for debug in (True, False, True):
            client.configuration.debug = debug
            libtes.TasksApi(client).list_tasks()
            assert seen() == before
    assert len(lines(caplog)) == 2


def test_each_configuration_can_log_to_a_file_in_its_own_format(
    server: Server, tmp_path: Path
) -> None:
    for name in ("one", "other"):
        configuration = libtes.Configuration(server.url, {"Authorization": TOKEN})
        configuration.debug = True
        configuration.logger_file = str(tmp_path / name)
        configuration.logger_format = f"%(levelname)s|{name}|%(message)s"
        with libtes.ApiClient(configuration) as client:
            libtes.TasksApi(client).get_task(name)
            libtes.TasksApi(client).create_task()
    client.configuration.logger_file = str(tmp_path / "no" / "such" / "folder" / "log")
    libtes.TasksApi(client).list_tasks()  # a file that cannot be written does not fail the call
    for name in ("one", "other"):
        first, second = (tmp_path / name).read_text().splitlines()
        assert first.startswith(f"DEBUG|{name}|GET /v1/tasks/{name}: 200 ")
        assert second.startswith(f"DEBUG|{name}|POST /v1/tasks: 200 ")


SCRIPT = """
import logging, sys
sys.stderr = sys.stdout
from libica.openapi import libtes
host, token, folder = sys.argv[1:]
for number in range(9):  # files are closed, else -W error has this tell of them
    configuration = libtes.Configuration(host)
    configuration.debug = True
    configuration.logger_file = f"{folder}/{number}"
    with libtes.ApiClient(configuration) as client:
        libtes.TasksApi(client).get_task(str(number))
configuration = libtes.Configuration(host, {"Authorization": token})
configuration.debug = True
configuration.logger_format = "LINE %(message)s"
with libtes.ApiClient(configuration) as client:
    libtes.TasksApi(client).list_tasks()
    logging.basicConfig(level=logging.INFO, format="ROOT %(message)s")
    libtes.TasksApi(client).list_tasks()
"""


def test_without_a_handler_or_a_file_calls_are_logged_to_standard_error(
    server: Server, tmp_path: Path
) -> None:
    printed = run_python(SCRIPT, server.url, TOKEN, str(tmp_path))
    assert [line.split()[0] for line in printed.splitlines()] == ["LINE", "ROOT"]
    assert all("GET /v1/tasks: 200 in " in line for line in printed.splitlines())
    assert TOKEN not in printed
    assert all((tmp_path / str(number)).read_text() for number in range(9))
