from .base import Many, Model, Time, Value, optional
from .task_version import TaskVersion


class Task(Model):
    """A task with its versions."""

    id: Value[str] = optional("Id of the task: `tdn.` and 32 hexadecimal digits.")
    href: Value[str] = optional("Address of this object under the service's host.")
    urn: Value[str] = optional("Uniform resource name of this object.")
    name: Value[str] = optional("Name of the task.", length=(0, 255))
    description: Value[str] = optional("What the task is for.", length=(0, 4096))
    task_versions: Many[TaskVersion] = optional("Versions of the task.")
    acl: Value[list[str]] = optional("Who may see and use it, as `tid:...` or `wid:...`.")
    tenant_id: Value[str] = optional("Tenant that owns it.")
    sub_tenant_id: Value[str] = optional("Workgroup or user within the tenant.")
    created_by: Value[str] = optional("Id of the user who created it.")
    time_created: Time = optional("When it was created (UTC).")
    modified_by: Value[str] = optional("Id of the user who last changed it.")
    time_modified: Time = optional("When it was last changed (UTC).")
