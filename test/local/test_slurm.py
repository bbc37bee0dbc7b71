"""Runs on a real Slurm: each is executed exactly once, and says truthfully how it ended."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import urllib3

from . import images
from .caller import wait_until
from .serving import Serving
from .slurm import Cluster, Lab, require_slurm, slurm

pytestmark = pytest.mark.slow

Serve = Callable[..., Serving]
SLEEP = "exec sleep 600"


@pytest.fixture
def lab(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    require_slurm()
    lab = Lab(tmp_path, serve, monkeypatch)
    yield lab
    lab.close()


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A Slurm that a test may break."""
    require_slurm()
    monkeypatch.setenv("SLURM_CONF", f"{tmp_path}/slurm/slurm.conf")
    cluster = Cluster(tmp_path / "slurm")
    yield cluster
    cluster.stop("slurmd", "slurmctld")


def test_60_runs_are_each_executed_once_though_the_service_is_killed_twice(lab: Lab) -> None:
    caller = lab.start(patience=10)
    runs = [lab.launch(caller, "sleep 0.5", f"run-{number}") for number in range(60)]
    for executed in (10, 30):
        wait_until(lambda: len(lab.executed()) >= executed)  # noqa: B023
        lab.serving.end(signal.SIGKILL)
        caller = lab.start(patience=10)
    for run in runs:
        assert caller.run_when(run, "Completed")["execution"]["retryCount"] == 0
    assert lab.executed() == {f"run-{number}": 1 for number in range(60)}


def test_what_ended_while_the_service_was_away_is_known_to_the_next(lab: Lab) -> None:
    caller = lab.start()
    done, failed = lab.launch(caller, "sleep 3"), lab.launch(caller, "sleep 3; exit 7")
    wait_until(lambda: lab.executed() == {"run": 2})
    lab.serving.end(signal.SIGKILL)
    wait_until(lambda: not lab.jobs())
    caller = lab.start()
    caller.run_when(done, "Completed")
    assert "exit status 7" in caller.run_when(failed, "Failed")["statusDetails"]


@pytest.mark.parametrize(
    "script",
    [
        '$real "$@"; kill -9 $PPID',
        'script=$(cat); kill -9 $PPID; sleep 3; echo "$script" | $real "$@"',
    ],
    ids=["after", "before"],
)
def test_a_job_whose_service_was_killed_before_it_noted_it_is_found_by_its_mark(
    lab: Lab, script: str
) -> None:
    caller = lab.start()
    lab.replace("sbatch", script)
    with contextlib.suppress(urllib3.exceptions.HTTPError):  # killed before its response
        lab.launch(caller, "true")
    assert lab.serving.ended()[0] == -signal.SIGKILL
    caller = lab.start()
    (run,) = caller.ok("GET", "/v1/tasks/runs")["items"]
    caller.run_when(run["id"], "Completed")
    assert lab.executed() == {"run": 1}
    assert lab.calls().count("sbatch") == 1


def test_a_job_whose_submission_got_no_response_is_not_submitted_again(lab: Lab) -> None:
    caller = lab.start()
    lost = "Batch job submission failed: Socket timed out on send/recv operation"
    lab.replace("sbatch", f'$real "$@" >/dev/null; echo sbatch: error: {lost} >&2; exit 1')
    caller.run_when(lab.launch(caller, "true"), "Completed")
    assert lab.executed() == {"run": 1}
    assert lab.calls().count("sbatch") == 1


def test_a_run_that_is_aborted_while_it_runs_is_aborted_when_its_job_is_gone(lab: Lab) -> None:
    caller = lab.start()
    run = lab.launch(caller, SLEEP)
    wait_until(lab.executed)
    caller.run_when(run, "Running")
    caller.abort(run)
    caller.run_when(run, "Aborted")
    assert not lab.jobs()


def test_a_run_that_waits_in_the_queue_says_why_and_can_be_aborted(lab: Lab) -> None:
    caller = lab.start(begin="now+1hour")
    run = lab.launch(caller, "true")
    wait_until(lambda: "waiting in slurm (BeginTime)" in caller.run(run)["statusDetails"])
    caller.abort(run)
    caller.run_when(run, "Aborted")
    assert not lab.jobs()
    assert not lab.executed()


def test_a_run_that_takes_too_long_is_timed_out_and_not_retried(lab: Lab) -> None:
    caller = lab.start("--time-limit", 3)
    run = caller.run_when(lab.launch(caller, SLEEP, retryLimit=2), "TimedOut")
    assert run["execution"]["retryCount"] == 0
    assert not lab.jobs()


def test_a_command_that_fails_is_retried_and_its_exit_status_is_shown(lab: Lab) -> None:
    caller = lab.start()
    run = caller.run_when(lab.launch(caller, "exit 7", retryLimit=1), "Failed")
    assert "exit status 7" in run["statusDetails"]
    assert lab.executed() == {"run": 2}


def test_an_attempt_whose_job_is_cancelled_by_others_has_failed(lab: Lab) -> None:
    caller = lab.start()
    script = f"[ $(wc -l <{lab.marks}/run) = 2 ] || {SLEEP}"
    run = lab.launch(caller, script, retryLimit=1)
    wait_until(lab.executed)
    slurm("scancel", lab.job("RUNNING"))
    done = caller.run_when(run, "Completed")
    assert "Slurm: CANCELLED" in done["logs"][0]["error"]
    assert lab.executed() == {"run": 2}

    run = lab.launch(caller, SLEEP, "never again")
    wait_until(lambda: len(lab.executed()) == 2)
    slurm("scancel", lab.job("RUNNING"))
    assert "Slurm: CANCELLED" in caller.run_when(run, "Failed")["statusDetails"]


@pytest.mark.parametrize(
    ("option", "resources", "words"),
    [
        ({"queue": "nowhere"}, {}, "Invalid partition name specified"),
        ({"constraint": "gold"}, {}, "Invalid feature specification"),
        ({}, {"memoryGb": 99999}, "Memory specification can not be satisfied"),
    ],
)
def test_a_job_that_is_refused_fails_its_run_at_once_in_slurms_own_words(
    lab: Lab, option: dict[str, str], resources: dict[str, int], words: str
) -> None:
    caller = lab.start(**option)
    run = lab.launch(caller, "true", retryLimit=3, environment={"resources": resources})
    failed = caller.run_when(run, "Failed")
    assert words in failed["statusDetails"]
    assert failed["execution"]["retryCount"] == 0
    assert lab.calls().count("sbatch") == 1


def test_a_node_that_cannot_see_the_folder_is_found_out(lab: Lab) -> None:
    caller = lab.start(hold="", patience=1)
    run = lab.launch(caller, "true")
    job = lab.job("PENDING")
    (lab.data / "attempts").rename(lab.data / "elsewhere")
    slurm("scontrol", "release", job)
    details = caller.run_when(run, "Failed")["statusDetails"]
    assert "Slurm: FAILED, exit status 66: " in details
    assert "cannot read the folder" in details


def test_an_interpreter_that_the_node_does_not_have_is_found_out(lab: Lab) -> None:
    caller = lab.start(python="/nowhere/python", patience=1)
    details = caller.run_when(lab.launch(caller, "true"), "Failed")["statusDetails"]
    assert "Slurm: FAILED, exit status 127" in details
    assert "/nowhere/python" in details


def test_the_image_of_a_run_is_used_on_its_node(lab: Lab, podman: str) -> None:
    caller = lab.start("--run-in", "podman")
    cat = {"image": {"name": images.NAME, "tag": "1"}, "command": "cat", "args": ["own.txt"]}
    run = caller.start({**cat, "workingDirectory": "/opt/app"}, "Completed", name=lab.title)
    stdout = Path(run["logs"][0]["stdout"][len("file://") :])
    assert stdout.read_text() == "of the image\n"


def test_200_pending_runs_cost_few_calls(lab: Lab) -> None:
    caller = lab.start(hold="", max_submitted=20)
    for _ in range(200):
        lab.launch(caller, "true")
    wait_until(lambda: lab.calls().count("sbatch") == 20)
    before = len(lab.calls())
    time.sleep(10)
    calls = lab.calls()[before:]
    assert {*calls} == {"squeue"}
    assert len(calls) <= 10
    assert len(lab.jobs("--states=PENDING")) == 20


def test_a_controller_that_does_not_respond_delays_runs_and_loses_none(
    cluster: Cluster, lab: Lab
) -> None:
    caller = lab.start()
    runs = [lab.launch(caller, f"until [ -e {lab.marks}/go ]; do sleep 0.1; done", "before")]
    wait_until(lab.executed)
    cluster.signal("slurmctld", signal.SIGSTOP)
    runs += [lab.launch(caller, "true", "hangs") for _ in range(3)]
    (lab.marks / "go").touch()
    before = len(lab.calls())
    wait_until(lambda: len(lab.calls()) >= before + 2)  # the first of them has failed
    cluster.signal("slurmctld", signal.SIGCONT)
    for run in runs:
        caller.run_when(run, "Completed")

    cluster.stop("slurmctld")
    runs.append(lab.launch(caller, "true", "stopped"))
    wait_until(lambda: "to start" in caller.run(runs[-1])["statusDetails"])
    cluster.start()
    caller.run_when(runs[-1], "Completed")
    assert lab.executed() == {"before": 1, "hangs": 3, "stopped": 1, "go": 0}


def test_an_attempt_whose_node_fails_is_retried(cluster: Cluster, lab: Lab) -> None:
    caller = lab.start(patience=1)
    run = lab.launch(caller, f"[ $(wc -l <{lab.marks}/run) = 2 ] || {SLEEP}", retryLimit=1)
    wait_until(lab.executed)
    node = slurm("sinfo", "--noheader", "--format=%N").strip()
    slurm("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
    done = caller.run_when(run, "Completed")
    assert "Slurm: NODE_FAIL" in done["logs"][0]["error"]
    assert lab.executed() == {"run": 2}
