from .base import Model, Nested, Value, optional
from .execution import Execution


class CreateTaskRunRequest(Model):
    """Body of `create_task_run`: run an execution once, without a task."""

    name: Value[str] = optional("Name of the run.", length=(0, 255))
    description: Value[str] = optional("What the run is for.", length=(0, 4096))
    acl: Value[list[str]] = optional("Who may see and use it, as `tid:...` or `wid:...`.")
    execution: Nested[Execution] = optional("What to run.")
