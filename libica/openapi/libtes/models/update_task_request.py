from .base import Model, Value, optional


class UpdateTaskRequest(Model):
    """Body of `update_task`; fields that are set replace the task's."""

    name: Value[str] = optional("New name, unique among the tasks visible to you.", length=(0, 255))
    description: Value[str] = optional("New description.", length=(0, 4096))
    acl: Value[list[str]] = optional("New access list.")
