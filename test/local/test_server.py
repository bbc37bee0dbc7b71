"""``LocalTes``: a whole service in this process."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from libica.local import LocalTes
from libica.openapi import libtes

from .caller import SLEEP, Caller


def caller_of(tes: LocalTes) -> Caller:
    return Caller(tes.url, tes.token)


def test_it_serves_from_when_it_is_made_until_it_is_closed() -> None:
    with LocalTes() as tes:
        with libtes.ApiClient(tes.configuration()) as client:
            assert libtes.TasksApi(client).list_tasks().items == []
        host, port = tes.url.rpartition("//")[2].split(":")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=5)


def test_closing_twice_does_no_harm() -> None:
    tes = LocalTes()
    tes.close()
    tes.close()


def test_closing_leaves_no_thread_and_no_temporary_folder(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    with LocalTes() as tes:
        caller = caller_of(tes)
        run = caller.made("POST", "/v1/tasks/runs", {"execution": SLEEP})
        stdout = caller.run_when(run["id"], "Running")
        home = tes.home
        assert home.is_dir()
        caller.close()
    assert stdout["status"] == "Running"
    assert not home.exists()
    assert set(threading.enumerate()) <= before


def test_several_serve_side_by_side() -> None:
    with LocalTes() as one, LocalTes() as two:
        assert one.url != two.url
        assert one.token != two.token
        caller = Caller(two.url, one.token)
        assert caller("GET", "/v1/tasks").status == 401
        caller.close()


def test_what_is_in_the_data_folder_is_there_the_next_time(tmp_path: Path) -> None:
    with LocalTes(data=tmp_path, token="one") as tes:
        caller = caller_of(tes)
        task = caller.task()
        caller.close()
    with LocalTes(data=str(tmp_path), token="two") as tes:
        caller = caller_of(tes)
        assert caller.made("GET", f"/v1/tasks/{task['id']}")["href"].startswith(tes.url)
        old = Caller(tes.url, "one")
        assert old("GET", "/v1/tasks").status == 401
        old.close()
        caller.close()


def test_a_data_folder_has_one_service_also_within_a_process(tmp_path: Path) -> None:
    with LocalTes(data=tmp_path), pytest.raises(RuntimeError, match="in use by another service"):
        LocalTes(data=tmp_path)
    LocalTes(data=tmp_path).close()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_an_address_that_others_reach_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match="expose_to_network"):
        LocalTes(host=host)


def test_an_address_that_others_reach_can_be_meant() -> None:
    with LocalTes(host="0.0.0.0", expose_to_network=True) as tes:
        port = tes.url.rpartition(":")[2]
        caller = Caller(f"http://127.0.0.1:{port}", tes.token)
        assert caller("GET", "/v1/tasks").status == 200
        assert caller.send("GET", "/v1/tasks", None, {"Authorization": ""}).status == 401
        caller.close()


def test_it_listens_on_ipv6_too() -> None:
    try:
        with LocalTes(host="::1") as tes:
            assert tes.url.startswith("http://[::1]:")
            caller = caller_of(tes)
            assert caller("GET", "/v1/tasks").status == 200
            caller.close()
    except OSError:
        pytest.skip("no IPv6 here")


def test_a_port_that_is_taken_is_an_error() -> None:
    with LocalTes() as tes, pytest.raises(OSError, match="ddress already in use"):
        LocalTes(port=int(tes.url.rpartition(":")[2]))


@pytest.mark.parametrize("token", ["", " a", "a b\n", "\u00e9"])
def test_a_token_that_cannot_be_sent_is_refused(token: str) -> None:
    with pytest.raises(ValueError, match="token"):
        LocalTes(token=token)


def test_calls_at_once_are_all_answered() -> None:
    statuses: list[int] = []
    with LocalTes() as tes:

        def call() -> None:
            caller = caller_of(tes)
            for number in range(10):
                made = caller("POST", "/v1/tasks", {"name": f"{threading.get_ident()}-{number}"})
                statuses.append(made.status)
            caller.close()

        threads = [threading.Thread(target=call) for _ in range(32)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        caller = caller_of(tes)
        page = caller.made("GET", "/v1/tasks?include=totalItemCount")
        caller.close()
    assert statuses == [201] * 320
    assert page["totalItemCount"] == 320


def test_the_package_alone_loads_no_web_server() -> None:
    script = (
        "import sys, libica.local; "
        "assert not {'starlette', 'uvicorn', 'sqlite3'} & set(sys.modules), sys.modules"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True)


def test_an_unknown_name_of_the_package_is_an_attribute_error() -> None:
    import libica.local

    with pytest.raises(AttributeError, match="RemoteTes"):
        libica.local.RemoteTes  # noqa: B018
