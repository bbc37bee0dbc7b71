from .base import Model, Value, optional


class LaunchTaskRequest(Model):
    """Body of `launch_task_run`: values for the placeholders of a version."""

    name: Value[str] = optional("Name of the run; default: the version's.", length=(0, 255))
    description: Value[str] = optional("Purpose; default: the version's.", length=(0, 4096))
    arguments: Value[dict[str, str]] = optional("A value for each `{{name}}` in the version.")
    acl: Value[list[str]] = optional("Who may see and use it, as `tid:...` or `wid:...`.")
