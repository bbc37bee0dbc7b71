"""Tools that print local variables, and Ctrl-C: nothing of the package's frames is shown."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from libica.openapi import libtes
from libica.openapi.libtes import ApiClient

from ...helpers import ROOT, run_python
from ...server import Asked, Response, Server
from .conftest import ClientOf
from .hidden import WAYS, caught, client_of, leaks, settings, told, with_locals
from .test_responses import refuse

SUITE = """
import os
import pytest
from test.client.secrets import hidden, test_wrong_input

@pytest.mark.parametrize("way", ["create", "launch in the background", "walk"])
@pytest.mark.parametrize("host", ["RESPONDS", "REFUSES"])
def test_call(host, way):
    of_the_caller = "stays"
    with hidden.client_of(hidden.settings(os.environ[host])) as client:
        hidden.WAYS[way][0](client)

@pytest.mark.parametrize("place", ["body", "cookie"])
def test_wrong(place):
    with hidden.client_of(hidden.settings(os.environ["REFUSES"])) as client:
        test_wrong_input.PLACES[place][1](client, 5)

def test_model():
    hidden.libtes.Credentials("someone", [hidden.IMAGE_PASSWORD])

def test_equal():
    assert hidden.filled(hidden.libtes.TaskRun) == hidden.filled(hidden.libtes.Execution)
"""


def child(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start Python with the product and these tests at hand."""
    path = {"PYTHONPATH": str(ROOT), "NO_PROXY": "*", **environment}
    return subprocess.Popen(
        [sys.executable, *arguments],
        env={**os.environ, **path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )


@pytest.mark.slow
def test_what_pytest_prints_with_locals_has_no_secret(
    tmp_path: Path, server: Server, refusing: str
) -> None:
    file = tmp_path / "test_of_a_user.py"
    file.write_text(SUITE)
    options = (
        "--showlocals --tb=long --full-trace -vv --log-level=DEBUG -p no:cacheprovider".split()
    )
    server.respond(refuse(400))
    quick = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
    hosts = {"RESPONDS": server.url, "REFUSES": f"http://{refusing}"}
    command = ["-m", "pytest", *options, f"--rootdir={tmp_path}", str(file)]
    printed, _ = child(*command, **quick, **hosts).communicate(timeout=60)
    assert "10 failed" in printed
    assert "of_the_caller = 'stays'" in printed
    assert "Captured log call" in printed
    assert leaks(printed) == {}


@pytest.mark.slow
def test_what_ipython_prints_with_locals_has_no_secret(
    server: Server, client_for: ClientOf, refusing: str
) -> None:
    server.respond(refuse(400))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        verbose = pytest.importorskip("IPython.core.ultratb").VerboseTB()
        nowhere = f"http://{refusing}"
        for host, way in ((server.url, "create"), (nowhere, "launch in the background")):
            error = caught(lambda host=host, way=way: WAYS[way][0](client_for(host)))
            verbose.skip_hidden = False
            text = verbose.text(type(error), error, error.__traceback__)
            assert "WAYS[way][0]" in text
            assert leaks(text) == {}
            verbose.skip_hidden = True
            assert "skipping hidden" in verbose.text(type(error), error, error.__traceback__)


FAIL: dict[str, Callable[[ApiClient], object]] = {
    "a call": WAYS["create"][0],
    "a walk": WAYS["walk"][0],
    "settings": lambda client: setattr(client.configuration, "host", "none"),
    "a model": lambda _: libtes.Credentials("someone", 5.5),
}


@pytest.mark.parametrize("what", FAIL)
def test_pytest_and_ipython_skip_all_frames_below_the_caller(
    what: str, server: Server, client_for: ClientOf
) -> None:
    server.respond(refuse(400))
    client = client_for(server.url)
    error = caught(lambda: FAIL[what](client))
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    below = [each for each in frames if not each.f_globals["__name__"].startswith(("test", "_py"))]
    assert below
    assert all(each.f_locals.get("__tracebackhide__") for each in below), below


def test_marked_frames_do_not_keep_an_exception_alive() -> None:
    code = """
import gc, weakref
from libica.openapi import libtes

def failed():
    try:
        libtes.Task(name=5.5)
    except libtes.ApiTypeError as error:
        return weakref.ref(error)

gc.disable()
print(failed()())
"""
    assert run_python(code) == "None\n"


@pytest.mark.parametrize("way", ["create", "launch in the background"])
def test_a_developer_sees_all_locals_with_the_switch_on(
    way: str, server: Server, client_for: ClientOf
) -> None:
    server.respond(refuse(400))
    client = client_for(server.url)
    client.configuration.show_locals = True
    assert "TOKEN" in leaks(with_locals(caught(lambda: WAYS[way][0](client))))


def interrupted(host: str, way: str) -> None:
    """Make a call that Ctrl-C ends, and print what was then to be seen."""
    configuration = settings(host)
    configuration.retries = 3
    try:
        with client_of(configuration) as client:
            WAYS[way][0](client)
    except KeyboardInterrupt as error:
        warnings.simplefilter("ignore")  # in a traceback, Python 3.15 warns of modules of six
        print(f"interrupted: {leaks(*told(error))}")
        print(*traceback.TracebackException.from_exception(error, capture_locals=True).format())


@pytest.mark.parametrize(
    ("when", "way"),
    [("response", "create"), ("response", "launch in the background"), ("retry", "walk")],
)
def test_ctrl_c_in_a_call_reveals_nothing(when: str, way: str, server: Server) -> None:
    ended = threading.Event()

    def script(asked: Asked) -> Response:
        if when == "retry":
            threading.Timer(0.2, process.send_signal, [signal.SIGINT]).start()
            return Response(429, headers={"Retry-After": "20"})
        process.send_signal(signal.SIGINT)
        ended.wait(20)
        return Response(400)

    server.respond(script)
    call = f"interrupted({server.url!r}, {way!r})"
    process = child("-c", f"from test.client.secrets.test_locals import interrupted; {call}")
    try:
        if way == "launch in the background":
            threading.Timer(1, ended.set).start()  # the call itself goes on
        printed, _ = process.communicate(timeout=60)
    finally:
        ended.set()
        process.kill()
    assert "interrupted: {}" in printed
    assert "KeyboardInterrupt" in printed
    assert leaks(printed) == {}
