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
    api = libtes.TasksApi(client)
    api.list_tasks()
    assert lines(caplog) == []
    if how == "debug":
        client.configuration.debug = True
    else:
        caplog.set_level(logging.DEBUG, LOGGER)
    server.respond(Response(201), Response(404))
    api.create_task(body={})
    with pytest.raises(libtes.NotFoundException):
        api.get_task("t")
    client.configuration.host = "http://nowhere.invalid"
    with pytest.raises(libtes.ConnectException):
        api.get_task("t")
    called, missing, lost = lines(caplog)
    assert called.startswith("POST /v1/tasks: 201 in ")
    assert float(called.split()[-2]) >= 0
    assert missing.startswith("GET /v1/tasks/t: 404 ")
    assert lost.startswith("GET /v1/tasks/t: no response ")


def test_debug_can_be_switched_at_any_time_and_changes_nothing_that_others_see(
    client: libtes.ApiClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def seen() -> list[Any]:
        names = ["", "libica", "libica.openapi", LOGGER, "urllib3", "urllib3.connectionpool"]
        loggers = [logging.getLogger(name) for name in names]
        return [
            [(each.level, list(each.handlers), each.propagate) for each in loggers],
            (logging.root.manager.disable, HTTPConnection.debuglevel, logging.getLoggerClass()),
        ]

    before = seen()
    client.configuration.logger_file = str(tmp_path / "log")
    assert not list(tmp_path.iterdir())
    for debug in (True, False, True):
        client.configuration.debug = debug
        libtes.TasksApi(client).list_tasks()
        assert seen() == before
    assert len(lines(caplog)) == len((tmp_path / "log").read_text().splitlines()) == 2


def test_a_call_does_not_fail_where_logging_cannot_open_its_own_file(
    client: libtes.ApiClient, tmp_path: Path
) -> None:
    handler = logging.FileHandler(tmp_path / "no" / "folder", delay=True)
    logging.getLogger().addHandler(handler)
    try:
        for file in (None, str(tmp_path / "log")):
            client.configuration.debug, client.configuration.logger_file = True, file
            libtes.TasksApi(client).list_tasks()
    finally:
        logging.getLogger().removeHandler(handler)
    assert (tmp_path / "log").read_text().count("\n") == 1


SCRIPT = """
import logging, sys
sys.stderr = sys.stdout
from libica.openapi import libtes
host, token, folder = sys.argv[1:]
def call(name, file):
    configuration = libtes.Configuration(host, {"Authorization": token})
    configuration.debug = True
    configuration.logger_file = file
    configuration.logger_format = f"{name} %(levelname)s %(message)s"
    with libtes.ApiClient(configuration) as client:
        libtes.TasksApi(client).get_task(name)
for number in range(9):  # files are closed, else -W error has this tell of them
    call(str(number), f"{folder}/{number}")
call("nowhere", f"{folder}/no/such/folder/log")  # which does not fail the call
call("own", None)
logging.basicConfig(level=logging.INFO, format="root %(message)s")
call("root", None)
"""


def test_a_log_goes_to_a_file_or_where_logging_is_set_up_to_or_to_standard_error(
    server: Server, tmp_path: Path
) -> None:
    printed = run_python(SCRIPT, server.url, TOKEN, str(tmp_path))
    own, root = printed.splitlines()
    assert own.startswith("own DEBUG GET /v1/tasks/own: 200 in ")
    assert root.startswith("root GET /v1/tasks/root: 200 in ")
    assert TOKEN not in printed
    for number in range(9):
        [line] = (tmp_path / str(number)).read_text().splitlines()
        assert line.startswith(f"{number} DEBUG GET /v1/tasks/{number}: 200 in ")
