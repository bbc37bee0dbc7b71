from .base import Many, Model, Value, optional, required
from .create_task_version_request import CreateTaskVersionRequest


class CreateTaskRequest(Model):
    """Body of `create_task`: a new task, with its first versions if wanted."""

    name: Value[str] = required("Its name, unique among the tasks visible to you.", length=(0, 255))
    description: Value[str] = optional("What the task is for.", length=(0, 4096))
    acl: Value[list[str]] = optional("Who may see and use it, as `tid:...` or `wid:...`.")
    task_versions: Many[CreateTaskVersionRequest] = optional("Versions to create.")
