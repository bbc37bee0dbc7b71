from .base import Model, Value, optional


class ContainerStateWaiting(Model):
    """A container that waits to start."""

    reason: Value[str] = optional("Short reason, one word.")
    message: Value[str] = optional("Longer explanation.")
