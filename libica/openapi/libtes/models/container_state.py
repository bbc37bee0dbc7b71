from .base import Model, Nested, optional
from .container_state_running import ContainerStateRunning
from .container_state_terminated import ContainerStateTerminated
from .container_state_waiting import ContainerStateWaiting


class ContainerState(Model):
    """State of a container; one of the three fields is set."""

    waiting: Nested[ContainerStateWaiting] = optional("Set while the container waits to start.")
    running: Nested[ContainerStateRunning] = optional("Set while the container runs.")
    terminated: Nested[ContainerStateTerminated] = optional("Set once the container has ended.")
