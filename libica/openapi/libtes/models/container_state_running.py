from .base import Model, Time, optional


class ContainerStateRunning(Model):
    """A container that runs."""

    started_at: Time = optional("When it started.")
