from .base import Model, Nested, Value, optional
from .container_state import ContainerState


class ContainerStatus(Model):
    """One container of a run and its state."""

    name: Value[str] = optional("Name of the container.")
    state: Nested[ContainerState] = optional("Its state.")
