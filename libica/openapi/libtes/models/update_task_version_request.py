from .base import Model, Nested, Value, optional
from .execution import Execution


class UpdateTaskVersionRequest(Model):
    """Body of `update_task_version`; fields that are set replace the version's."""

    version: Value[str] = optional("New name, unique within its task.", length=(0, 255))
    description: Value[str] = optional("New description.", length=(0, 4096))
    execution: Nested[Execution] = optional("New execution, as a whole.")
    acl: Value[list[str]] = optional("New access list.")
