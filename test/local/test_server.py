"""``LocalTes``: the whole service in this process."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from urllib3.exceptions import HTTPError

import libica.local
from libica.local import LocalTes
from libica.openapi import libtes

from ..helpers import run_python
from .caller import SLEEP, TRUE, Caller, wait_until
from .tls import Authority


def test_it_serves_until_it_is_closed_and_leaves_nothing_behind() -> None:
    before = set(threading.enumerate())
    with LocalTes() as tes, Caller(tes.url, tes.token) as caller:
        with libtes.ApiClient(tes.configuration()) as client:
            assert libtes.TasksApi(client).list_tasks().items == []
        caller.start(SLEEP, "Running")
        assert tes.home.is_dir()
        assert tes.gds.is_dir()
    # Another process may have its port by now, which does not know its token.
    with Caller(tes.url, tes.token) as caller, pytest.raises((HTTPError, AssertionError)):
        caller.ok("GET", "/v1/tasks")
    assert not tes.home.exists()
    assert set(threading.enumerate()) <= before
    tes.close()


def test_a_data_folder_is_reopened_with_a_new_token(tmp_path: Path) -> None:
    with LocalTes(data=tmp_path, token="one") as tes, Caller(tes.url, "one") as caller:
        task = caller.task()
    with LocalTes(data=str(tmp_path), token="two") as tes, Caller(tes.url, "two") as caller:
        assert caller.ok("GET", f"/v1/tasks/{task['id']}")["href"].startswith(tes.url)
        with LocalTes(token="one") as another:  # at the same time
            assert another.url != tes.url
        caller.token = "one"
        caller.refused(401, "GET", "/v1/tasks")


@pytest.mark.slow
def test_runs_that_ended_are_forgotten_after_so_many_days(tmp_path: Path) -> None:
    with LocalTes(data=tmp_path) as tes, Caller(tes.url, tes.token) as caller:
        run = caller.start(TRUE, "Completed")
    time.sleep(1.1)  # times are compared by the second
    token: dict[str, Any] = {"data": tmp_path, "token": "t"}
    with LocalTes(**token, keep_runs=1) as tes, Caller(tes.url, "t") as caller:
        assert caller.run(run["id"])["status"] == "Completed"
    with LocalTes(**token, keep_runs=1e-6) as tes, Caller(tes.url, "t") as caller:
        wait_until(lambda: caller("GET", f"/v1/tasks/runs/{run['id']}").status == 404)


def test_a_data_folder_or_port_in_use_is_an_error(tmp_path: Path) -> None:
    with LocalTes(data=tmp_path) as tes:
        with pytest.raises(RuntimeError, match="in use by another service"):
            LocalTes(data=tmp_path)
        with pytest.raises(OSError, match="ddress already in use"):
            LocalTes(port=int(tes.url.rpartition(":")[2]))
    LocalTes(data=tmp_path).close()


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        *(("host", each, "expose_to_network") for each in ("0.0.0.0", "::", "192.0.2.1", "a.org")),
        *(("token", each, "token") for each in ("", " a", "a b\n", "\u00e9")),
    ],
)
def test_a_host_that_other_machines_can_reach_or_a_token_that_cannot_be_sent_is_an_error(
    option: str, value: str, told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        LocalTes(**{option: value})


def test_a_host_that_other_machines_can_reach_needs_tls_unless_told_otherwise(
    authority: Authority, tmp_path: Path
) -> None:
    exposed: dict[str, Any] = {"host": "0.0.0.0", "expose_to_network": True}
    with pytest.raises(ValueError, match="without TLS tokens travel readable"):
        LocalTes(**exposed)
    with LocalTes(**exposed, **authority.files("127.0.0.1", tmp_path)) as tes:
        assert tes.url.startswith(f"https://{socket.gethostname()}:")
    with LocalTes(**exposed, no_tls=True) as tes:
        url = f"http://127.0.0.1:{tes.url.rpartition(':')[2]}"
        with Caller(url, tes.token) as caller:
            assert caller("GET", "/v1/tasks").status == 200
            assert caller.send("GET", "/v1/tasks", None, {"Authorization": ""}).status == 401


def test_it_listens_on_ipv6_too() -> None:
    try:
        tes = LocalTes(host="::1")
    except OSError:
        pytest.skip("no IPv6 here")
    with tes, Caller(tes.url, tes.token) as caller:
        assert tes.url.startswith("http://[::1]:")
        assert caller("GET", "/v1/tasks").status == 200


def test_the_package_alone_loads_no_web_server() -> None:
    heavy = {"starlette", "uvicorn", "sqlite3"}
    assert run_python(f"import sys, libica.local; print({heavy} & set(sys.modules))") == "set()\n"
    with pytest.raises(AttributeError, match="RemoteTes"):
        libica.local.RemoteTes  # noqa: B018
