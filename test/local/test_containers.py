"""Runs in containers: by real podman, and the command lines of docker and apptainer."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Optional

import pytest

from libica.local import LocalTes
from libica.local.node.container_paths import ContainerPaths
from libica.local.node.containers import Containers
from libica.openapi import libtes
from libica.openapi.libtes import Execution

from ..server import wait_until
from . import images
from .serving import Serving

pytestmark = pytest.mark.slow

IMAGE = images.NAME


@pytest.fixture
def tes(podman: str) -> Iterator[LocalTes]:
    with LocalTes(run_in="podman") as tes:
        yield tes


@pytest.fixture
def run(tes: LocalTes) -> Iterator[Callable[..., libtes.TaskRun]]:
    """Runs an execution to its end."""
    with libtes.ApiClient(tes.configuration()) as client:
        runs = libtes.TaskRunsApi(client)

        def run(script: str = "", tag: str = "1", **fields: Any) -> libtes.TaskRun:
            fields = {"command": "sh", "args": ["-c", script], "retry_limit": 0, **fields}
            execution = Execution(image=libtes.Image(IMAGE, tag=tag), **fields)
            started = runs.create_task_run(body=libtes.CreateTaskRunRequest(execution=execution))
            wait_until(lambda: runs.get_task_run(started.id).status not in ("Pending", "Running"))
            return runs.get_task_run(started.id)

        yield run


def stdout(run: libtes.TaskRun, tes: LocalTes) -> str:
    assert run.logs is not None
    assert run.logs[0].stdout is not None
    return Path(run.logs[0].stdout[len("file://") :]).read_text()


def containers(podman: str, run_id: Optional[str]) -> list[str]:
    """Return the containers of a run."""
    listed = subprocess.run(
        [podman, "ps", "--all", "--format={{.Names}}"], check=True, capture_output=True, text=True
    )
    return [name for name in listed.stdout.split() if name.startswith(f"libica-{run_id}-")]


def test_inputs_and_outputs_are_at_their_own_paths(
    tes: LocalTes, run: Callable[..., libtes.TaskRun]
) -> None:
    (tes.gds / "vol").mkdir()
    (tes.gds / "vol/in, put.txt").write_text("input\n")
    ended = run(
        "cat '/data/in, put.txt' own.txt; echo one > /data/out/one; echo two > /results/two.txt",
        working_directory="/opt/app",
        inputs=[{"path": "/data/in, put.txt", "url": "gds://vol/in, put.txt"}],
        outputs=[
            {"path": "/data/out", "url": "gds://vol/out", "type": "Folder"},
            {"path": "/results/two.txt", "url": "gds://vol/two.txt", "type": "File"},
        ],
    )
    assert ended.status == "Completed", ended.status_details
    assert stdout(ended, tes) == "input\nof the image\n"
    assert (tes.gds / "vol/out/one").read_text() == "one\n"
    assert (tes.gds / "vol/two.txt").read_text() == "two\n"
    assert (tes.gds / "vol/two.txt").stat().st_uid == tes.gds.stat().st_uid


def test_a_command_sees_the_declared_variables_and_none_of_the_service(
    tes: LocalTes, run: Callable[..., libtes.TaskRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://of.the.service")
    declared = {"QUOTES": ' "a" $HOME #', "LINES_": "1\n2", "SECURE_TOKEN": "secret", "EMPTY": ""}
    ended = run("env", environment={"variables": declared})
    for name, value in declared.items():
        assert f"{name}={value}\n" in stdout(ended, tes)
    names = {line.partition("=")[0] for line in stdout(ended, tes).splitlines()} - {*declared, "2"}
    assert names <= {"PATH", "HOME", "HOSTNAME", "TERM", "container", "SHLVL", "PWD"}


@pytest.mark.parametrize(
    ("fields", "details"),
    [
        ({"script": "exit 7"}, "The command 'sh' ended with exit status 7."),
        ({"command": "absent"}, "podman could not start the container: .*absent.*not found"),
        ({"tag": "absent"}, f"the image {IMAGE}:absent cannot be pulled: "),
        (
            {
                "script": "dd if=/dev/zero of=/dev/null bs=300M count=1",
                "environment": {"resources": {"memoryGb": 0.1}},
            },
            "killed, .*because it needed more than its memory, 0.1 GB",
        ),
        (
            {"outputs": [{"path": "/usr/x.txt", "url": "gds://vol/x", "type": "File"}]},
            "output /usr/x.txt: /usr cannot be a mount",
        ),
        (
            {"environment": {"variables": {"PATH": "a\nb"}}},
            "the variable PATH of a container cannot have a line break",
        ),
    ],
    ids=["exit status", "no command", "no image", "memory", "output in the image", "line break"],
)
def test_a_run_that_fails_says_why_and_leaves_no_container(
    fields: dict[str, Any],
    details: str,
    podman: str,
    tes: LocalTes,
    run: Callable[..., libtes.TaskRun],
) -> None:
    ended = run(**fields)
    assert ended.status == "Failed"
    assert re.search(details, str(ended.status_details)), ended.status_details
    assert not containers(podman, ended.id)


def test_an_aborted_run_leaves_no_container(tes: LocalTes, podman: str) -> None:
    with libtes.ApiClient(tes.configuration()) as client:
        runs = libtes.TaskRunsApi(client)
        body = {"execution": {"image": {"name": IMAGE, "tag": "1"}, "command": "sleep"}}
        body["execution"]["args"] = ["600"]
        started = runs.create_task_run(body=body)
        wait_until(lambda: runs.get_task_run(started.id).status == "Running")
        wait_until(lambda: containers(podman, started.id))
        runs.abort_task_run(started.id)
        wait_until(lambda: runs.get_task_run(started.id).status == "Aborted")
        assert not containers(podman, started.id)


def test_a_container_is_removed_when_its_service_is_killed(
    podman: str, serve: Callable[..., Serving], tmp_path: Path
) -> None:
    options = ("--data", tmp_path / "data", "--run-in", "podman")
    serving = serve(*options)
    with serving.caller() as caller:
        execution = {"image": {"name": IMAGE, "tag": "1"}, "command": "sleep", "args": ["600"]}
        run = caller.ok("POST", "/v1/tasks/runs", {"execution": {**execution, "retryLimit": 0}})
        wait_until(lambda: containers(podman, run["id"]))
        serving.end(9)
    wait_until(lambda: not containers(podman, run["id"]))
    with serve(*options).caller() as caller:
        wait_until(lambda: caller.ok("GET", f"/v1/tasks/runs/{run['id']}")["status"] == "Failed")


# -- Command lines of engines that were not run ----------------------------------------------------


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Puts a program on the PATH that writes down its arguments and environment."""

    def make(engine: str) -> Path:
        folder, log = tmp_path / "bin", tmp_path / "calls.jsonl"
        folder.mkdir()
        program = folder / engine
        program.write_text(
            f"#!{sys.executable}\nimport json, os, sys\n"
            f"with open({str(log)!r}, 'a') as log:\n"
            "    log.write(json.dumps([sys.argv[1:], dict(os.environ)]) + '\\n')\n"
            "config = [each for each in sys.argv if each.startswith('--config=')]\n"
            "if config: print(open(config[0][9:] + '/config.json').read())\n"
            "sys.exit('inspect' in sys.argv)\n"
        )
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(folder), prepend=":")
        return log

    return make


CPUS = min(2, os.cpu_count() or 1)  # of the large machine, or all that there are
EXECUTION = {
    "image": {
        "name": "registry.example/tools/bwa",
        "tag": "0.7",
        "digest": "sha256:" + "0" * 64,
        "credentials": {"username": "user", "password": "hidden-password"},
    },
    "command": "bwa",
    "args": ["mem", "/ref/genome.fa"],
    "workingDirectory": "/work",
    "environment": {
        "variables": {"SECURE_KEY": "hidden-key"},
        "resources": {"type": "standard", "size": "large"},
    },
    "inputs": [{"path": "/ref/genome.fa", "url": "gds://v/genome.fa"}],
}


def line_of(
    engine: str,
    log: Path,
    tmp_path: Path,
    execution: Optional[dict[str, Any]] = None,
    confined: bool = False,
) -> tuple[list[str], dict[str, str]]:
    """Return the arguments and variables with which an engine would run an execution."""
    execution = execution or EXECUTION
    attempt = tmp_path / "trn.1-1"
    attempt.mkdir(parents=True, exist_ok=True)
    paths = ContainerPaths(attempt / "root", execution, "/bin")
    variables = execution["environment"]["variables"]
    containers = Containers(engine, confined=confined)
    prepared = containers.prepare(execution, paths, variables, attempt, lambda: None)
    subprocess.run(
        [prepared.command.program, *prepared.command.arguments[1:]],
        env=prepared.command.variables,
        check=True,
    )
    calls = [json.loads(line) for line in log.read_text().splitlines()]
    assert "hidden" not in json.dumps([arguments for arguments, _ in calls])
    arguments, variables = calls[-1]
    return arguments, variables


def test_docker_is_given_its_own_command_line(
    stand_in: Callable[[str], Path], tmp_path: Path
) -> None:
    arguments, _ = line_of("docker", stand_in("docker"), tmp_path)
    source = f"source={tmp_path}/trn.1-1/root/ref/genome.fa"
    assert f"type=bind,{source},target=/ref/genome.fa" in arguments
    line = " ".join(arguments)
    assert re.match("run --name libica-trn.1-1-[0-9a-f]{8} --network host --user ", line)
    assert f"--memory 7000000000b --cpus {CPUS} --env-file" in line
    reference = f"registry.example/tools/bwa@sha256:{'0' * 64}"
    assert line.endswith(f"--workdir /work --entrypoint bwa {reference} mem /ref/genome.fa")
    attempt = tmp_path / "trn.1-1"
    assert (attempt / "variables").read_text() == "SECURE_KEY=hidden-key\n"
    assert (attempt / "variables").stat().st_mode & 0o077 == 0
    login = json.loads((attempt / "login/config.json").read_text())["auths"]
    assert list(login) == ["registry.example"]


def test_apptainer_is_given_its_own_command_line(
    stand_in: Callable[[str], Path], tmp_path: Path
) -> None:
    log = stand_in("apptainer")
    arguments, variables = line_of("apptainer", log, tmp_path)
    line = " ".join(arguments)
    assert line.startswith("exec --containall --cleanenv --no-home --writable-tmpfs ")
    assert f"--memory 7000000000 --cpus {CPUS} --mount type=bind," in line
    reference = f"docker://registry.example/tools/bwa@sha256:{'0' * 64}"
    assert line.endswith(f"--pwd /work {reference} bwa mem /ref/genome.fa")
    assert variables["APPTAINERENV_SECURE_KEY"] == "hidden-key"
    assert variables["APPTAINER_DOCKER_USERNAME"] == "user"
    assert variables["APPTAINER_DOCKER_PASSWORD"] == "hidden-password"
    within_job, _ = line_of("apptainer", log, tmp_path, confined=True)
    assert not {"--memory", "--cpus"} & set(within_job)


def test_an_engine_that_cannot_be_used_is_refused_when_the_service_starts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match="docker is not on the PATH: install it, or"):
        LocalTes(run_in="docker")
    with pytest.raises(ValueError, match="run_in must be host or one of docker, podman"):
        LocalTes(run_in="lxc")


def test_a_run_on_this_machine_says_that_its_image_was_not_used(local_tes: LocalTes) -> None:
    with libtes.ApiClient(local_tes.configuration()) as client:
        runs = libtes.TaskRunsApi(client)
        execution = Execution(image=libtes.Image("python", tag="2.7"), command="true")
        run = runs.create_task_run(body=libtes.CreateTaskRunRequest(execution=execution))
        wait_until(lambda: runs.get_task_run(run.id).status == "Completed")
        details = runs.get_task_run(run.id).status_details
    assert "The image python:2.7 was not used: the command is one of this machine." in str(details)
