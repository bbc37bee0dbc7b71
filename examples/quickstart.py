"""Count the reads of FASTQ samples with TES, on a local service or on one that you name.

Without an account: install ``libica-libtes[local]``. ``python quickstart.py`` then starts its own
TES service and counts the three small samples in ``data/``.

With an account: set ICA_BASE_URL and ICA_ACCESS_TOKEN, and pass the URLs of the samples and of a
folder for the results::

    python quickstart.py --sample NAME gds://volume/NAME.fastq.gz --results gds://volume/quickstart
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Optional

from libica.openapi import libtes

LIMIT = 3600  # seconds to wait for all runs
OVER = ("Completed", "Failed", "TimedOut", "Aborted")
TASK, VERSION = "quickstart-count-reads", "1.0.0"  # if you change EXECUTION, change VERSION

COUNT = """
import gzip, json, sys
reads = bases = quality = 0
with gzip.open(sys.argv[1], "rt") as fastq:
    for number, line in enumerate(fastq):
        if number % 4 == 3:  # the last line of each record: one character per base, Phred + 33
            scores = line.strip()
            reads, bases = reads + 1, bases + len(scores)
            quality += sum(map(ord, scores)) - 33 * len(scores)
counts = {"reads": reads, "bases": bases, "mean quality": round(quality / max(bases, 1), 2)}
with open(sys.argv[2], "w") as result:
    json.dump(counts, result)
"""

EXECUTION = libtes.Execution(
    image=libtes.Image(name="public.ecr.aws/docker/library/python", tag="3.12-slim"),
    command="python3",
    args=["-c", COUNT, "/work/reads.fastq.gz", "/work/results/counts.json"],
    inputs=[
        libtes.InputMountMappingWithCreds(
            url="{{fastq}}", path="/work/reads.fastq.gz", mode="download", type="File"
        )
    ],
    outputs=[
        libtes.MountMappingWithCreds(
            url="{{results}}/{{sample}}/", path="/work/results/", type="Folder"
        )
    ],
    system_files=libtes.SystemFiles(url="{{results}}/logs/"),
    environment=libtes.Environment(resources=libtes.Resources(type="standard", size="small")),
    retry_limit=0,
)


def register(client: libtes.ApiClient) -> tuple[str, str]:
    """Return the ids of the task and its version; create them if they do not exist yet."""
    tasks, versions = libtes.TasksApi(client), libtes.TaskVersionsApi(client)
    try:
        task_id = str(tasks.create_task(body=libtes.CreateTaskRequest(name=TASK)).id)
    except libtes.ConflictException:
        task_id = str(next(tasks.iter_tasks(names=[TASK])).id)
    try:
        body = libtes.CreateTaskVersionRequest(version=VERSION, execution=EXECUTION)
        version_id = str(versions.create_task_version(task_id, body=body).id)
    except libtes.ConflictException:
        version_id = str(next(versions.iter_task_versions(task_id, versions=[VERSION])).id)
    return task_id, version_id


def count(client: libtes.ApiClient, samples: dict[str, str], results: str) -> list[libtes.TaskRun]:
    """Launch a run for each sample; wait until all have finished or LIMIT is reached."""
    task_id, version_id = register(client)
    versions, task_runs = libtes.TaskVersionsApi(client), libtes.TaskRunsApi(client)
    runs = []
    for sample, fastq in samples.items():
        arguments = {"sample": sample, "fastq": fastq, "results": results}
        body = libtes.LaunchTaskRequest(name=sample, arguments=arguments)
        runs.append(versions.launch_task_run(task_id, version_id, body=body))

    end, pause = time.monotonic() + LIMIT, 0.1
    while time.monotonic() < end and any(run.status not in OVER for run in runs):
        time.sleep(pause)
        pause = min(pause * 1.5, 15.0)  # short runs end promptly; long runs are polled rarely
        runs = [r if r.status in OVER else task_runs.get_task_run(str(r.id)) for r in runs]
    return runs


def show(runs: list[libtes.TaskRun], results: str, gds: Optional[Path]) -> bool:
    """Print a table, with the counts if they are on this machine; return whether all completed."""
    print(f"{'sample':<12}{'status':<12}{'seconds':>8}  result")
    for run in runs:
        log = run.logs[-1] if run.logs else libtes.TaskRunLogs()
        seconds = ""
        if log.start_time and log.end_time:
            seconds = f"{(log.end_time - log.start_time).total_seconds():.2f}"
        result = f"{results}/{run.name}/counts.json"
        if run.status != "Completed":
            result = f"{run.status_details}; its stderr: {log.stderr}"
        elif gds:  # the local service stores gds://volume/path as volume/path in this folder
            counts = json.loads((gds / result.replace("gds://", "")).read_text(encoding="utf-8"))
            result = ", ".join(f"{name} {value}" for name, value in counts.items())
        print(f"{run.name:<12}{run.status:<12}{seconds:>8}  {result}")
    return all(run.status == "Completed" for run in runs)


def main() -> int:
    """Count the samples and return the exit status: 0 if every run completed."""
    parser = argparse.ArgumentParser(description="Count the reads of FASTQ samples with TES.")
    parser.add_argument("--sample", nargs=2, action="append", metavar=("NAME", "URL"))
    parser.add_argument(
        "--results", metavar="URL", help="folder for results, such as gds://volume/path"
    )
    options = parser.parse_args()
    samples = dict(options.sample or [])

    if os.environ.get("ICA_BASE_URL"):
        if not samples or not options.results:
            parser.error(
                "with ICA_BASE_URL set, --sample NAME URL (once per FASTQ) and --results URL are"
                " required: that service cannot read the files of this machine"
            )
        with libtes.ApiClient(libtes.Configuration.from_env()) as client:
            results = options.results.rstrip("/")
            return 0 if show(count(client, samples, results), results, gds=None) else 1

    if options.results:
        parser.error("--results requires a service, but ICA_BASE_URL is not set")
    from libica.local import LocalTes  # not needed with a service that you name

    if not samples:
        files = sorted((Path(__file__).resolve().parent / "data").glob("*.fastq.gz"))
        samples = {file.name.split(".")[0]: file.as_uri() for file in files}
    gds, results = Path(tempfile.mkdtemp(prefix="quickstart-")), "gds://quickstart"
    with LocalTes(gds=gds) as tes, libtes.ApiClient(tes.configuration()) as client:
        well = show(count(client, samples, results), results, gds)
    print(f"Results and logs are in {gds / 'quickstart'}")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
