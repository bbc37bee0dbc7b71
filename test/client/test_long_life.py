"""Threads, processes and a long life: many calls at once, fork, Ctrl-C, and how things end."""

from __future__ import annotations

import contextlib
import gc
import json
import multiprocessing
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import pytest

from libica.openapi import libtes
from libica.openapi.libtes import ApiClient

from ..helpers import ROOT
from ..server import RawServer, wait_until
from ..wire import Wire, framed

LONG = 50.0  # seconds that no test waits unless it fails; what is interrupted would wait for 60
CALLS = int(os.environ.get("LIBTES_CALLS", 1_500))

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
needs_files = pytest.mark.skipif(not os.path.isdir("/dev/fd"), reason="needs a list of files")
needs_signals = pytest.mark.skipif(os.name != "posix", reason="needs signals of POSIX")


def echo(request: bytes) -> bytes:
    """Respond with the last segment of the path as the id, and the name that was sent."""
    head, _, body = request.partition(b"\r\n\r\n")
    name = head.split(b" ")[1].partition(b"?")[0].rpartition(b"/")[2].decode()
    if name == "missing":
        return framed(b'{"code": "NOT_FOUND", "message": "no such run"}', "404 Not Found")
    if name == "html":
        return framed(b"<html>", "200 OK", "Content-Type: text/html")
    return framed(json.dumps({**json.loads(body or "{}"), "id": name}).encode())


@pytest.fixture
def wire() -> Iterator[Wire]:
    with Wire(echo) as wire:
        yield wire


def configuration_for(host: str) -> libtes.Configuration:
    configuration = libtes.Configuration(host=host, api_key={"Authorization": "token"})
    configuration.retries = 0
    return configuration


@pytest.fixture
def client(wire: Wire) -> Iterator[ApiClient]:
    with ApiClient(configuration_for(wire.url)) as client:
        yield client


# A script has these names, and is called with the address of a server.
SCRIPT = """
import gc, os, signal, sys, threading, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a background job may ignore
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


def test_64_threads_get_each_the_responses_to_its_own_calls(wire: Wire, client: ApiClient) -> None:
    together = threading.Barrier(64)
    runs, versions = libtes.TaskRunsApi(client), libtes.TaskVersionsApi(client)

    def work(number: int) -> list[Any]:
        together.wait(LONG)
        got: list[Any] = []
        for turn in range(4):
            name = f"{number}-{turn}"
            got.append(runs.get_task_run(name).id == name)
            body = libtes.LaunchTaskRequest(name=name)
            launched = versions.launch_task_run(name, name, body=body)
            got.append((launched.id, launched.name) == (f"{name}:launch", name))
            with pytest.raises(libtes.NotFoundException):
                runs.get_task_run("missing")
            got.append(runs.get_task_run(name, async_req=True).get(LONG).id == name)
        return got

    with ThreadPoolExecutor(64) as threads:
        got = list(threads.map(work, range(64)))
    assert got == [[True] * 12] * 64
    assert len(wire.received) == 64 * 16


@pytest.fixture
def hasty() -> Iterator[None]:
    """Let threads take turns at nearly every step."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hasty")
def test_closing_disturbs_no_call_of_other_threads(client: ApiClient) -> None:
    runs = libtes.TaskRunsApi(client)
    over = threading.Event()

    def work(number: int) -> int:
        turn = 0
        while turn == 0 or not over.is_set():
            name = f"{number}-{turn}"
            assert runs.get_task_run(name).id == name
            assert runs.create_task_run(body={"name": name}).name == name
            turn += 1
        return turn

    with ThreadPoolExecutor(4) as threads:
        working = [threads.submit(work, number) for number in range(4)]
        end = time.monotonic() + 0.7
        while time.monotonic() < end and not any(each.done() for each in working):
            client.close()
            time.sleep(0)
        over.set()
        assert all(each.result(LONG) > 0 for each in working)


def test_a_client_may_be_closed_by_many_threads_and_by_its_own_calls(client: ApiClient) -> None:
    runs, closed = libtes.TaskRunsApi(client), threading.Event()
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
    runs = libtes.TaskRunsApi(client)
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
@needs_files
def test_many_calls_leave_nothing_behind(wire: Wire, client: ApiClient) -> None:
    def left(times: int) -> tuple[int, int, int]:
        wire.received.clear()
        for _ in range(times):
            use(client)
        assert len(wire.received) == 8 * times
        wire.received.clear()
        gc.collect()
        return sys.getallocatedblocks(), len(os.listdir("/dev/fd")), threading.active_count()

    times = CALLS // 48
    blocks, files, threads = zip(left(times), *(left(times) for _ in range(6)))
    # Some steps may fill caches, but if a call left anything behind, all of them would show it.
    assert min(after - before for before, after in zip(blocks, blocks[1:])) < times
    assert len(set(files[1:])) == len(set(threads)) == 1
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
client.me = client  # a circle
"""
DROPPED = """
del client, runs, later
gc.collect()
for each in threading.enumerate()[1:]:
    each.join(10)
print(threading.active_count(), len(os.listdir("/dev/fd")) - before)
"""


@needs_files
def test_a_client_that_is_dropped_leaves_no_thread_and_no_warning(wire: Wire) -> None:
    assert run(FORGOTTEN + DROPPED, wire.url) == ["1", "0"]
    assert run(FORGOTTEN.replace("client.me = client", "") + DROPPED, wire.url) == ["1", "0"]
    assert run(FORGOTTEN, wire.url) == []  # nor one that is kept until the interpreter ends


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


@needs_fork
@pytest.mark.parametrize("meanwhile", FORKS)
def test_a_child_can_call_while_its_parent_is_in_calls(meanwhile: str, wire: Wire) -> None:
    code, expected = FORKS[meanwhile]
    assert run(FORK + code, wire.url) == expected


def fetch_token(configuration: libtes.Configuration) -> None:
    configuration.api_key["Authorization"] = "fetched"


def call_elsewhere(configuration: libtes.Configuration, name: str) -> Any:
    """Call in another process, where the configuration was unpickled."""
    with ApiClient(configuration) as client:
        return libtes.TaskRunsApi(client).get_task_run(name)


def test_a_configuration_can_be_sent_to_a_process_that_starts_afresh(wire: Wire) -> None:
    configuration = configuration_for(wire.url)
    configuration.refresh_api_key_hook = fetch_token
    assert b"token" not in pickle.dumps(configuration).replace(b"fetch_token", b"")
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as processes:
        got = processes.submit(call_elsewhere, configuration, "x")
        missing = processes.submit(call_elsewhere, configuration, "missing")
        assert got.result(LONG) == libtes.TaskRun(id="x")
        error = missing.exception(LONG)
    assert isinstance(error, libtes.NotFoundException)
    assert (error.status, error.message) == (404, "no such run")
    assert all(b"Authorization: fetched\r\n" in request for request in wire.received)


# -- Ctrl-C ----------------------------------------------------------------------------------------


def silent(connection: socket.socket) -> None:
    connection.recv(1)


def dripping(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b" ")
            time.sleep(0.01)


def busy(connection: socket.socket) -> None:
    connection.sendall(framed(b"{}", "503 Busy", "Retry-After: 60", "Connection: close"))


# Loads all that calls need: Ctrl-C during an import is an affair of the interpreter.
WARM_UP = """
configuration.host = "http://127.0.0.1:1"
later("x").wait()
client.close()
configuration.host = sys.argv[1]
"""
# What a script does when it is interrupted, and what its server does.
GET = "runs.get_task_run('x')"
MEANWHILE: dict[str, tuple[str, Any]] = {
    "connect": (GET, None),
    "read": (GET, silent),
    "read of a body drop by drop": (GET, dripping),
    "wait before a retry": ("configuration.retries = 3; " + GET, busy),
    "get": ("later('x').get()", silent),
    "wait": ("later('x').wait()", silent),
    "close": ("results = [later('x') for _ in range(9)]; client.close()", silent),
    "with block": ("with client: results = [later('x') for _ in range(9)]", silent),
    "own code beside calls of many clients": ("""
apis = [libtes.TaskRunsApi(libtes.ApiClient(configuration)) for _ in range(5)]
results = [api.get_task_run("x", async_req=True) for api in apis]
time.sleep(60)
""", silent),
    "token that another thread gets": ("""
inside = threading.Event()
configuration.api_key.clear()
configuration.refresh_api_key_hook = lambda _: (inside.set(), time.sleep(60))
threading.Thread(target=runs.get_task_run, args=('x',), daemon=True).start()
inside.wait()
runs.get_task_run('x')
""", None),
}  # fmt: skip


@needs_signals
@pytest.mark.parametrize(("code", "talk"), MEANWHILE.values(), ids=MEANWHILE)
def test_ctrl_c_ends_a_script_at_once(code: str, talk: Any, full: str) -> None:
    code = f"{WARM_UP}configuration.timeout = (60, 60)\nprint('ready', flush=True)\n{code}"
    with contextlib.ExitStack() as stack:
        raw = stack.enter_context(RawServer(talk)) if talk else None
        process = stack.enter_context(script(code, raw.url if raw else full))
        assert process.stdout.readline() == "ready\n"
        wait_until(lambda: raw is None or bool(raw.received))
        time.sleep(0.05)  # until it waits; if it does not yet, it must end all the same
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=LONG)
    assert process.returncode == -signal.SIGINT, err
    assert "\nKeyboardInterrupt\n" in err


@needs_signals
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
import warnings
warnings.simplefilter("default")
configuration.timeout = None
results = [later(str(number)) for number in range(3)]
print("end", flush=True)
"""
    with RawServer(silent) as raw, script(code, raw.url) as process:
        assert process.stdout.readline() == "end\n"
        _, err = process.communicate(timeout=LONG)  # the call has no timeout
    assert process.returncode == 0
    assert "Traceback" not in err
