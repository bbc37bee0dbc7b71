"""Threads, processes and a long life: many calls at once, fork, Ctrl-C, and how things end."""

from __future__ import annotations

import contextlib
import functools
import gc
import json
import multiprocessing
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any, Optional

import pytest

from libica.openapi import libtes
from libica.openapi.libtes import ApiClient, TaskRunsApi

from ..conftest import TOKEN
from ..helpers import ROOT
from ..server import RawServer, Talk, say, wait_until
from ..wire import Wire, drip, framed, head, hold
from .calls import configuration_for

LONG = 50.0  # seconds that no test waits unless it fails; what is interrupted would wait for 60
needs_posix = pytest.mark.skipif(os.name != "posix", reason="needs fork, signals and /dev/fd")


def echo(request: bytes) -> bytes:
    """Respond with the last segment of the path as the id, and the name that was sent."""
    start, _, body = request.partition(b"\r\n\r\n")
    name = start.split(b" ")[1].partition(b"?")[0].rpartition(b"/")[2].decode()
    if name == "missing":
        return framed(b'{"code": "NOT_FOUND", "message": "no such run"}', "404 Not Found")
    if name == "html":
        return framed(b"<html>", "200 OK", "Content-Type: text/html")
    return framed(json.dumps({**json.loads(body or "{}"), "id": name}).encode())


@pytest.fixture
def wire() -> Iterator[Wire]:
    with Wire(echo) as wire:
        yield wire


@pytest.fixture
def client(wire: Wire) -> Iterator[ApiClient]:
    with ApiClient(configuration_for(wire)) as client:
        yield client


# A script has these names, and is called with the address of a server.
SCRIPT = """
import gc, os, signal, sys, threading, time
from libica.openapi import libtes
configuration = libtes.Configuration(host=sys.argv[1], api_key={"Authorization": "token"})
configuration.retries = 0
client = libtes.ApiClient(configuration)
runs = libtes.TaskRunsApi(client)
def later(name):
    return runs.get_task_run(name, async_req=True)
"""


@contextlib.contextmanager
def script(code: str, host: str) -> Iterator[subprocess.Popen[str]]:
    """Start a script whose warnings are errors; it is ended here if it does not end itself."""
    command = [sys.executable, "-W", "error", "-c", SCRIPT + code, host]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def run(code: str, host: str, status: int = 0) -> list[str]:
    """Run a script to its end, and return the words that it printed."""
    with script(code, host) as process:
        out, err = process.communicate(timeout=LONG)
    assert (process.returncode, err if status == 0 else "") == (status, ""), err
    return out.split()


# -- Threads ---------------------------------------------------------------------------------------


def test_64_threads_get_each_the_responses_to_its_own_calls_while_others_close_the_client(
    wire: Wire, client: ApiClient, request: pytest.FixtureRequest
) -> None:
    request.addfinalizer(functools.partial(sys.setswitchinterval, sys.getswitchinterval()))
    sys.setswitchinterval(1e-5)  # so that threads take turns at nearly every step
    together, over = threading.Barrier(64), threading.Event()
    runs, versions = TaskRunsApi(client), libtes.TaskVersionsApi(client)

    def close() -> None:
        while not over.is_set():
            client.close()
            time.sleep(0)

    def work(number: int) -> None:
        together.wait(LONG)
        for turn in range(4):
            name = f"{number}-{turn}"
            assert runs.get_task_run(name).id == name
            launched = versions.launch_task_run(name, name, body={"name": name})
            assert (launched.id, launched.name) == (f"{name}:launch", name)
            with pytest.raises(libtes.NotFoundException):
                runs.get_task_run("missing")
            assert runs.get_task_run(name, async_req=True).get(LONG).id == name

    with ThreadPoolExecutor(65) as threads:
        closing = threads.submit(close)
        try:
            assert list(threads.map(work, range(64))) == [None] * 64
        finally:
            over.set()
        closing.result(LONG)
    assert len(wire.received) == 64 * 16


def test_a_client_may_be_closed_while_a_connection_returns_to_a_full_pool(
    client: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    class FullAndClosed(queue.LifoQueue):  # type: ignore[type-arg]
        def put(self, item: object, block: bool = True, timeout: Optional[float] = None) -> None:
            if item is not None:
                client.close()
                raise queue.Full
            super().put(item, block, timeout)

    monkeypatch.setattr("urllib3.HTTPConnectionPool.QueueCls", FullAndClosed)
    assert [TaskRunsApi(client).get_task_run(name).id for name in "xy"] == ["x", "y"]


def test_a_client_may_be_closed_by_many_threads_and_by_its_own_calls(client: ApiClient) -> None:
    runs, closed = TaskRunsApi(client), threading.Event()
    for _ in range(5):
        results = [runs.get_task_run("x", async_req=True) for _ in range(4)]
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda _: client.close(), range(8)))
        assert all(each.ready() for each in results)
    result = runs.get_task_run("x", async_req=True)
    result.add_done_callback(lambda _: (client.close(), closed.set()))
    assert result.get(LONG).id == "x"
    assert closed.wait(LONG)
    assert runs.get_task_run("y", async_req=True).get(LONG).id == "y"


# -- Many calls ------------------------------------------------------------------------------------


def use(client: ApiClient) -> None:
    """Make one call of each kind, eight of them."""
    runs = TaskRunsApi(client)
    assert runs.get_task_run("x").id == "x"
    assert runs.create_task_run(body={"name": "x"}).name == "x"
    assert runs.list_task_runs(names=["a", "b"]).items is None
    assert list(runs.iter_task_runs()) == []
    assert runs.get_task_run("y", async_req=True).get(LONG).id == "y"
    assert runs.get_task_run("z", _preload_content=False).data == b'{"id": "z"}'
    for name in ("missing", "html"):
        with contextlib.suppress(libtes.NotFoundException, libtes.InvalidResponseException):
            runs.get_task_run(name)


@pytest.mark.slow
@needs_posix
def test_many_calls_leave_nothing_behind(wire: Wire, client: ApiClient) -> None:
    def left() -> tuple[int, int, int]:
        for _ in range(30):
            use(client)
        assert len(wire.received) == 8 * 30
        wire.received.clear()
        gc.collect()
        return sys.getallocatedblocks(), len(os.listdir("/dev/fd")), threading.active_count()

    blocks, files, threads = zip(*(left() for _ in range(7)))
    # Some steps may fill caches, but if a call left anything behind, all of them would show it.
    assert min(after - before for before, after in zip(blocks, blocks[1:])) < 30
    # Tests before this one may have left some that end meanwhile.
    assert files[-1] <= files[1]
    assert threads[-1] <= threads[0]
    assert wire.connections == 1


FORGOTTEN = """
before = len(os.listdir("/dev/fd"))
configuration.verify_ssl = False  # changes of settings make new connections
runs.get_task_run("x")
later("y").get()
try:
    runs.get_task_run("missing")
except libtes.ApiException:
    pass
"""
CIRCLE = "client.me = client\n"
DROPPED = """
del client, runs, later
gc.collect()
for each in threading.enumerate()[1:]:
    each.join(10)
print(threading.active_count(), len(os.listdir("/dev/fd")) - before)
"""


@needs_posix
@pytest.mark.parametrize(
    ("code", "printed"),
    [
        (FORGOTTEN + DROPPED, ["1", "0"]),
        (FORGOTTEN + CIRCLE + DROPPED, ["1", "0"]),
        (FORGOTTEN + CIRCLE, []),
    ],
    ids=["dropped", "dropped in a circle", "kept until the interpreter ends"],
)
def test_a_client_that_is_dropped_leaves_no_thread_and_no_warning(
    wire: Wire, code: str, printed: list[str]
) -> None:
    assert run(code, wire.url) == printed


# -- Processes -------------------------------------------------------------------------------------

# With `child()` and `parent(child)` around it, a child tells by its status that all was well.
FORK = """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)  # of fork beside threads
parent = os.getpid()
def fork(code):
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        status = 1
        try:
            code()
            status = 0
        finally:
            os._exit(status)
    return child
def ended_well(child):
    return os.waitpid(child, 0)[1] == 0
"""


FORKS: dict[str, tuple[str, list[str]]] = {
    "threads in calls": ("""
client.pool_threads = 2
over = threading.Event()
def call(name):
    assert runs.get_task_run(name).id == name
    assert later(name).get(10).id == name
def work(number):
    turn = 0
    while not over.is_set():
        call(f"{number}-{turn}")
        turn += 1
    done.append(number)
done = []
call("first")  # fork during an import would hang, whoever imports
threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
for each in threads:
    each.start()
def in_child():
    for turn in range(3):
        call(f"{os.getpid()}-{turn}")
    client.close()
    call("again")
print(*[ended_well(fork(in_child)) for _ in range(12)])
over.set()
for each in threads:
    each.join()
print(sorted(done) == [0, 1, 2, 3])
""", ["True"] * 13),
    "a thread that gets a token": ("""
inside, go_on = threading.Event(), threading.Event()
def hook(configuration):
    if os.getpid() == parent:
        inside.set()
        go_on.wait()
    configuration.api_key["Authorization"] = "token"
configuration.api_key.clear()
configuration.refresh_api_key_hook = hook
result = later("parent")
inside.wait()
def in_child():
    assert runs.get_task_run("child").id == "child"
    assert later("child").get(10).id == "child"
    client.close()
print(ended_well(fork(in_child)))
go_on.set()
print(result.get(10).id)
""", ["True", "parent"]),
    "calls that hang": ("""
configuration.timeout = None
with __import__("socket").create_server(("127.0.0.1", 0)) as silent:
    configuration.host = f"http://127.0.0.1:{silent.getsockname()[1]}"
    results = [later("never"), later("queued")]
    connection = silent.accept()[0]
    child = os.fork()
    if child:
        print(ended_well(child))
        connection.close()
        client.configuration.host = sys.argv[1]
    else:
        signal.alarm(20)
        connection.close()
        sys.exit()
""", ["True"]),
}  # fmt: skip


@needs_posix
@pytest.mark.parametrize("meanwhile", FORKS)
def test_a_child_can_call_while_its_parent_is_in_calls(meanwhile: str, wire: Wire) -> None:
    code, expected = FORKS[meanwhile]
    assert run(FORK + code, wire.url) == expected


def fetch_token(configuration: libtes.Configuration) -> None:
    configuration.api_key["Authorization"] = "fetched"


def call_elsewhere(configuration: libtes.Configuration, name: str) -> Any:
    """Call in another process, where the configuration was unpickled."""
    with ApiClient(configuration) as client:
        return TaskRunsApi(client).get_task_run(name)


def test_a_configuration_can_be_sent_to_a_process_that_starts_afresh(wire: Wire) -> None:
    configuration = configuration_for(wire)
    configuration.refresh_api_key_hook = fetch_token
    assert TOKEN.encode() not in pickle.dumps(configuration)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as processes:
        got = processes.submit(call_elsewhere, configuration, "x")
        missing = processes.submit(call_elsewhere, configuration, "missing")
        assert got.result(LONG) == libtes.TaskRun(id="x")
        error = missing.exception(LONG)
    assert isinstance(error, libtes.NotFoundException)
    assert (error.status, error.message) == (404, "no such run")
    assert all(b"Authorization: fetched\r\n" in request for request in wire.received)


# -- Ctrl-C ----------------------------------------------------------------------------------------

# Loads all that calls need: Ctrl-C during an import is an affair of the interpreter.
WARM_UP = """
configuration.host = "http://127.0.0.1:1"
later("x").wait()
client.close()
configuration.host = sys.argv[1]
configuration.timeout = (60, 60)
print("ready", flush=True)
"""
GET = "runs.get_task_run('x')"
MANY = "results = [later('x') for _ in range(9)]"
BUSY = say(framed(b"{}", "503 Busy", "Retry-After: 60", "Connection: close"))
# What a script does when it is interrupted, and what its server does.
MEANWHILE: dict[str, tuple[str, Optional[Talk]]] = {
    "connect": (GET, None),
    "read": (GET, hold()),
    "read of a body drop by drop": (GET, drip(head(), b" ")),
    "wait before a retry": ("configuration.retries = 3; " + GET, BUSY),
    "get": ("later('x').get()", hold()),
    "wait": ("later('x').wait()", hold()),
    "close": (f"{MANY}; client.close()", hold()),
    "with block": (f"with client: {MANY}", hold()),
    "own code beside calls of many clients": ("""
apis = [libtes.TaskRunsApi(libtes.ApiClient(configuration)) for _ in range(5)]
results = [api.get_task_run("x", async_req=True) for api in apis]
time.sleep(60)
""", hold()),
    "token that another thread gets": ("""
inside = threading.Event()
configuration.api_key.clear()
configuration.refresh_api_key_hook = lambda _: (inside.set(), time.sleep(60))
threading.Thread(target=runs.get_task_run, args=('x',), daemon=True).start()
inside.wait()
runs.get_task_run('x')
""", None),
}  # fmt: skip


@needs_posix
@pytest.mark.parametrize(("code", "talk"), MEANWHILE.values(), ids=MEANWHILE)
def test_ctrl_c_ends_a_script_at_once(code: str, talk: Optional[Talk], full: str) -> None:
    with RawServer(talk or hold()) as raw, script(WARM_UP + code, raw.url if talk else full) as own:
        assert own.stdout.readline() == "ready\n"
        wait_until(lambda: talk is None or bool(raw.received))
        time.sleep(0.05)  # until it waits; if it does not yet, it must end all the same
        own.send_signal(signal.SIGINT)
        _, err = own.communicate(timeout=LONG)
    assert own.returncode == -signal.SIGINT, err
    assert "\nKeyboardInterrupt\n" in err


@needs_posix
def test_after_ctrl_c_a_script_can_go_on() -> None:
    code = """
client.pool_threads = 1
first = None
try:
    with client:
        first, second = later("first"), later("second")
        print("ready", flush=True)
        runs.get_task_run("hangs")
except KeyboardInterrupt:
    print("interrupted", second.cancelled(), flush=True)
print(first.get(10).id, runs.get_task_run("again").id, later("background").get(10).id, flush=True)
"""
    go_on = threading.Event()

    def reply(request: bytes) -> bytes:
        if b"hangs" in request or b"first" in request:
            go_on.wait(LONG)
        return echo(request)

    with Wire(reply) as wire, script(code, wire.url) as process:
        assert process.stdout.readline() == "ready\n"
        wait_until(lambda: len(wire.received) == 2)
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "interrupted True\n"
        go_on.set()
        out, err = process.communicate(timeout=LONG)
    assert (out, err, process.returncode) == ("first again background\n", "", 0)
    assert not any(b"second" in request for request in wire.received)


# -- The end of the interpreter --------------------------------------------------------------------


@pytest.mark.parametrize(("end", "status"), [("", 0), ("raise LookupError", 1)])
def test_calls_that_nobody_waited_for_are_made_before_the_interpreter_ends(
    end: str, status: int
) -> None:
    def slow(request: bytes) -> bytes:
        time.sleep(0.02)
        return echo(request)

    with Wire(slow) as wire:
        run(f"results = [later(str(number)) for number in range(8)]\n{end}", wire.url, status)
    assert len(wire.received) == 8


@pytest.mark.slow
def test_a_call_that_hangs_does_not_keep_the_interpreter() -> None:
    code = """
__import__("warnings").simplefilter("default")
configuration.timeout = None
results = [later(str(number)) for number in range(3)]
print("end", flush=True)
"""
    with RawServer(hold()) as raw, script(code, raw.url) as process:
        out, err = process.communicate(timeout=LONG)  # the call has no timeout
    assert (process.returncode, out, "Traceback" in err) == (0, "end\n", False)
    assert "3 calls in the background had not ended" in err
