"""Engines are found by name; the one of this machine shows logs and waits for what is lacking."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from libica.local.engine.loading import load

from .caller import Caller, wait_until

ENGINE = """
from libica.local.engine.interface import Engine

class Nomad(Engine):
    def __init__(self, queue, slots=1):
        self.queue = queue
    submit = find = poll = cancel = None
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installs a distribution with two engines, one of which cannot be imported."""
    info = tmp_path / "lab_engines-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lab-engines\nVersion: 1.0\n")
    points = "nomad = lab_engines:Nomad\nbroken = lab_engines:Missing\n"
    (info / "entry_points.txt").write_text(f"[libica.local.engines]\n{points}")
    (tmp_path / "lab_engines.py").write_text(ENGINE)
    monkeypatch.syspath_prepend(str(tmp_path))


def test_an_engine_is_found_by_its_entry_point_and_gets_its_options(installed: None) -> None:
    engine = load("nomad", {"queue": "short"})
    assert (engine.name, type(engine).__name__) == ("nomad", "Nomad")
    assert vars(engine)["queue"] == "short"


def test_the_engine_of_this_machine_takes_processors_and_memory() -> None:
    assert load("here", {"cpu": "2.5", "memory_gb": 7}).capacity[:2] == (2.5, 7)
    assert load("here", {}).capacity.cpu >= 1


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("slrum", {}, "there is no engine 'slrum'; there are: broken, here, lsf, nomad, pbs"),
        ("broken", {}, "engine broken cannot be imported: .*Missing"),
        ("nomad", {}, "engine nomad: missing a required argument: 'queue'.* options are: queue, s"),
        ("here", {"queue": "a"}, "engine here: .*'queue'; its options are: cpu, memory_gb"),
        ("here", {"cpu": "many"}, "engine here: cpu must be a number above 0, not 'many'"),
        ("here", {"memory_gb": 0}, "engine here: memory_gb must be a number above 0, not 0"),
    ],
)
def test_an_unknown_engine_or_option_is_refused_in_words(
    installed: None, name: str, options: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        load(name, options)


def test_logs_are_named_and_readable_while_a_run_is_under_way(
    caller: Caller, tmp_path: Path
) -> None:
    script = f"echo here; until [ -e {tmp_path}/end ]; do sleep 0.05; done"
    run = caller.start(
        {"image": {"name": "any"}, "command": "sh", "args": ["-c", script]}, "Running"
    )
    wait_until(lambda: caller.ok("GET", f"/v1/tasks/runs/{run['id']}")["logs"])
    shown = caller.ok("GET", f"/v1/tasks/runs/{run['id']}")
    assert shown["statusDetails"] == "Attempt 1 is running"
    log = Path(shown["logs"][0]["stdout"].partition("://")[2])
    wait_until(lambda: log.read_text() == "here\n")
    (tmp_path / "end").touch()
    ended = caller.run_when(run["id"], "Completed")
    assert [each["stdout"] for each in ended["logs"]] == [log.as_uri()]


LACKING = """
import json, os, resource, sys, threading, time
from libica.local import LocalTes
from libica.local.store import objects
from libica.local.store.identity import Identity

me = Identity.named("main")
with LocalTes() as tes:
    scheduler, store = tes._scheduler, tes._store

    def launch(command):
        execution = {"command": command, "retryCount": 0, "retryLimit": 0}
        run = objects.run({}, execution, me)
        store.add_run(run, execution).result()
        scheduler.wake()
        return run["id"]

    def status(run_id):
        return json.loads(store.run(run_id, me)[0])["status"]

    def until_ended(run_id):
        while status(run_id) in ("Pending", "Running"):
            time.sleep(0.01)
        return status(run_id)

    assert until_ended(launch("true")) == "Completed"
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))
    taken = []
    try:
        while True:
            taken.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        pass
    runs = [launch("true") for _ in range(4)]
    time.sleep(1)
    assert {*map(status, runs)} <= {"Pending", "Running"}, [*map(status, runs)]
    for each in taken:
        os.close(each)
    print(*map(until_ended, runs))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="limits of descriptors are of POSIX")
def test_a_lack_of_descriptors_delays_starts_and_costs_no_attempt() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LACKING], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.stdout.split() == ["Completed"] * 4, done.stderr
    assert done.stderr.count("trying again until it works") <= 3, done.stderr
