"""Measure runs on Slurm: how long many take beside `sbatch` alone, and what pending ones cost."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.local import ROOT, Client, Service, start_service
from libica.local.node import attempt
from libica.local.node.job import Job, Settings
from libica.local.node.machines import machine_of

EXECUTION = {"image": {"name": "any"}, "command": "sleep", "args": ["0.3"], "retryLimit": 0}
NAME = f"bench-{uuid.uuid4().hex}"
SQUEUE = ["squeue", "--noheader", f"--name={NAME}"]


def main() -> None:
    """Measure a service with Slurm, which must run here."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=500, help="default: %(default)s")
    parser.add_argument("--pending", type=int, default=1000, help="default: %(default)s")
    parser.add_argument(
        "--seconds", type=float, default=60, help="to watch pending runs (default: %(default)s)"
    )
    given = parser.parse_args()
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores")
    try:
        alone, served = _sbatch_alone(given.runs), _served(given.runs)
        print(f"{given.runs} runs of 0.3 s: {alone:.1f} s by sbatch alone, {served:.1f} s by the")
        print(f"service, which is {served / alone:.2f} times as long")
        own, commands = _pending(given.pending, given.seconds)
    finally:
        subprocess.run(["scancel", f"--name={NAME}"], check=True)
    print(f"{given.pending} pending runs: {own:.2f} CPU seconds a minute of the service, and")
    print(f"{commands:.2f} of the commands that it runs")


def _sbatch_alone(runs: int) -> float:
    """Return the seconds from the first submission until all attempts have an outcome."""
    machine = machine_of(None)
    command = ["sbatch", "--quiet", f"--job-name={NAME}", "--output=/dev/null", "--chdir=/"]
    command += ["--cpus-per-task=1", f"--mem={machine.memory_gb * 1e9 / 2**20:.0f}M"]
    environment = {**os.environ, "PYTHONPATH": ROOT}
    with tempfile.TemporaryDirectory() as data:
        settings = Settings(data)
        jobs = [Job(f"trn.{number}", EXECUTION, 1) for number in range(runs)]
        left = [attempt.create(Path(data, "attempts"), job, settings) for job in jobs]
        started = time.perf_counter()
        for folder in left:
            node = shlex.join([sys.executable, "-m", "libica.local.node", str(folder)])
            subprocess.run([*command, f"--wrap=exec {node}"], check=True, env=environment)
        while left:
            time.sleep(0.1)
            left = [folder for folder in left if not _completed(folder)]
        return time.perf_counter() - started


def _completed(folder: Path) -> bool:
    outcome = attempt.outcome(folder)
    if outcome is not None and outcome.status != "Completed":
        raise SystemExit(f"an attempt has failed: {outcome.details}")
    return outcome is not None


def _served(runs: int) -> float:
    """Return the seconds from the first launch until all runs are Completed."""
    with _service(runs) as service:
        started = time.perf_counter()
        client = _launched(service, runs)
        while _some(client, "Pending,Running"):
            time.sleep(0.1)
        seconds = time.perf_counter() - started
        if _some(client, "Failed,TimedOut,Aborted"):
            raise SystemExit("some runs have failed")
    return seconds


def _pending(runs: int, seconds: float) -> tuple[float, float]:
    """Return the CPU seconds a minute of the service, and of its commands, while runs wait."""
    with _service(runs, "hold=", f"max_submitted={runs}") as service:
        _launched(service, runs)
        while subprocess.run(SQUEUE, check=True, capture_output=True).stdout.count(b"\n") < runs:
            time.sleep(1)
        process = psutil.Process(service.pid)
        before = process.cpu_times()
        time.sleep(seconds)
        used = [60 / seconds * (b - a) for a, b in zip(before, process.cpu_times())]
    return used[0] + used[1], used[2] + used[3]


@contextmanager
def _service(runs: int, *options: str) -> Iterator[Service]:
    """Start a service with an engine that has these options."""
    with tempfile.TemporaryDirectory() as data:
        command = ["--data", data, "--workers", str(runs), "--engine", "slurm"]
        with start_service([*command, *(f"--engine-option={each}" for each in options)]) as service:
            yield service


def _launched(service: Service, runs: int) -> Client:
    client = Client(service)
    for _ in range(runs):
        client.create("/v1/tasks/runs", {"execution": EXECUTION, "name": NAME})
    return client


def _some(client: Client, statuses: str) -> bool:
    """Return whether there are runs with one of some statuses."""
    found = client.send("GET", f"/v1/tasks/runs?pageSize=1&status={statuses}")
    return bool(json.loads(found)["items"])


if __name__ == "__main__":
    main()
