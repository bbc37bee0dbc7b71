from .base import Model, Value, optional


class TaskRunHeartbeat(Model):
    """Response to `heartbeat_task_run`."""

    jwt: Value[str] = optional("Token for the agent's next report.")
