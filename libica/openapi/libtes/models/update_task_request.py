from .base import Model, Value, optional


class UpdateTaskRequest(Model):
    """Body of `update_task`: what is set replaces what was there."""

    name: Value[str] = optional("New name, unique among those you see.", length=(0, 255))
    description: Value[str] = optional("New description.", length=(0, 4096))
    acl: Value[list[str]] = optional("New access list.")
