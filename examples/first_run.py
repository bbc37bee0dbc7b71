"""Register a task and a version, launch a run of it, wait for it, and show what there is.

It calls the service that ICA_BASE_URL names, with the token in ICA_ACCESS_TOKEN.
"""

import time
import uuid

from libica.openapi import libtes

EXECUTION = libtes.Execution(
    image=libtes.Image("public.ecr.aws/docker/library/alpine", tag="3.20"),
    command="sh",
    args=["-c", "echo Hello {{sample}}"],
    environment=libtes.Environment(resources=libtes.Resources(type="standard", size="small")),
)


def main() -> None:
    """Do it all with one client."""
    with libtes.ApiClient(libtes.Configuration.from_env()) as client:
        tasks = libtes.TasksApi(client)
        versions = libtes.TaskVersionsApi(client)
        runs = libtes.TaskRunsApi(client)

        name = f"hello-{uuid.uuid4().hex[:8]}"  # names of tasks are unique
        task = tasks.create_task(body=libtes.CreateTaskRequest(name))
        print(f"task     {task.id} {task.name}")

        version = versions.create_task_version(
            task.id, body=libtes.CreateTaskVersionRequest("1.0.0", execution=EXECUTION)
        )
        print(f"version  {version.id} {version.version}")

        launch = libtes.LaunchTaskRequest(name="hello-NA12878", arguments={"sample": "NA12878"})
        run = versions.launch_task_run(task.id, version.id, body=launch)
        print(f"run      {run.id} {run.status}")
        while run.status in ("Pending", "Running"):
            time.sleep(1)
            run = runs.get_task_run(run.id)
        print(f"run      {run.id} {run.status}")

        for each in versions.iter_task_versions(task.id, sort="timeCreated desc"):
            print(f"listed   {each.id} {each.version}, created {each.time_created:%Y-%m-%d %H:%M}")


if __name__ == "__main__":
    main()
