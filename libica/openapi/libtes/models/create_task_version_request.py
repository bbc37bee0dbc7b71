from .base import Model, Nested, Value, optional, required
from .execution import Execution


class CreateTaskVersionRequest(Model):
    """Body of `create_task_version`: a new version of a task."""

    version: Value[str] = required("Its name in the task, such as `1.0.0`.", length=(0, 255))
    description: Value[str] = optional("What is new in it.", length=(0, 4096))
    execution: Nested[Execution] = optional("What to run, with `{{name}}` to fill in.")
    acl: Value[list[str]] = optional("Who may see and use it, as `tid:...` or `wid:...`.")
