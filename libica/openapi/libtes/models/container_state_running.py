from datetime import datetime

from .base import Model, Value, optional


class ContainerStateRunning(Model):
    """A container that runs."""

    started_at: Value[datetime] = optional("When it started.")
