"""Run a cohort of 100 samples on a cluster, by a TES service that hands its runs to it.

Start the service as ``docs/how-to/slurm.md`` says. Set ICA_BASE_URL and ICA_ACCESS_TOKEN. Then::

    python cluster.py

If this is interrupted, do it again: no sample is launched twice.
"""

from __future__ import annotations

import argparse
import sys

from libica import batch
from libica.openapi import libtes

TASK, VERSION = "cluster-cohort", "1.0.0"  # if you change EXECUTION, change TASK

EXECUTION = libtes.Execution(
    image=libtes.Image(name="public.ecr.aws/docker/library/alpine", tag="3.20"),
    command="sh",
    args=["-c", "echo {{sample}} ran on $(uname -n) > /work/results/node.txt"],
    outputs=[
        libtes.MountMappingWithCreds(
            url="gds://cohort/{{sample}}/", path="/work/results/", type="Folder"
        )
    ],
    # What the batch system reserves for each run.
    environment=libtes.Environment(resources=libtes.Resources(type="standard", size="small")),
    retry_limit=1,  # if a node fails
)


def register(client: libtes.ApiClient) -> tuple[str, str]:
    """Return the ids of the task and its version; create them if they do not exist yet."""
    tasks, versions = libtes.TasksApi(client), libtes.TaskVersionsApi(client)
    version = libtes.CreateTaskVersionRequest(version=VERSION, execution=EXECUTION)
    try:
        body = libtes.CreateTaskRequest(name=TASK, task_versions=[version])
        task_id = str(tasks.create_task(body=body).id)
    except libtes.ConflictException:
        task_id = str(next(tasks.iter_tasks(names=[TASK])).id)
    return task_id, str(next(versions.iter_task_versions(task_id, versions=[VERSION])).id)


def main() -> int:
    """Run the cohort and return the exit status: 0 if every run completed."""
    parser = argparse.ArgumentParser(description="Run a cohort on a cluster with TES.")
    parser.add_argument("--samples", type=int, default=100, metavar="N", help="default: 100")
    parser.add_argument(
        "--journal",
        default="cluster.jsonl",
        metavar="FILE",
        help="which samples were launched; default: cluster.jsonl",
    )
    options = parser.parse_args()
    samples = [f"sample-{number:03}" for number in range(1, options.samples + 1)]
    launches = [{"name": sample, "arguments": {"sample": sample}} for sample in samples]

    with libtes.ApiClient(libtes.Configuration.from_env()) as client:
        task_id, version_id = register(client)
        report = batch.launch_all(client, task_id, version_id, launches, journal=options.journal)
        print(report)
        report = batch.wait_all(client, report)
    print(report)
    return 0 if len(report.completed) == len(report) else 1


if __name__ == "__main__":
    sys.exit(main())
