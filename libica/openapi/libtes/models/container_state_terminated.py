from .base import Model, Time, Value, optional


class ContainerStateTerminated(Model):
    """A container that has ended."""

    exit_code: Value[int] = optional("Exit status of its process; 0 is success.")
    signal: Value[int] = optional("Number of the signal that ended it.")
    reason: Value[str] = optional("Short reason, one word.")
    message: Value[str] = optional("Longer explanation.")
    started_at: Time = optional("When it started.")
    finished_at: Time = optional("When it ended.")
    container_id: Value[str] = optional("Id that the container engine gave it.", json="containerID")
