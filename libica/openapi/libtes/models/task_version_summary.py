from .base import Model, Time, Value, optional


class TaskVersionSummary(Model):
    """A version of a task, without its execution."""

    id: Value[str] = optional("Id of the version: `tvn.` and 32 hexadecimal digits.")
    href: Value[str] = optional("Address of this object under the service's host.")
    urn: Value[str] = optional("Uniform resource name of this object.")
    version: Value[str] = optional("Name of the version, such as `1.0.0`.", length=(0, 255))
    description: Value[str] = optional("What is new in it.", length=(0, 4096))
    acl: Value[list[str]] = optional("Who may see and use it, as `tid:...` or `wid:...`.")
    tenant_id: Value[str] = optional("Tenant that owns it.")
    sub_tenant_id: Value[str] = optional("Workgroup or user within the tenant.")
    created_by: Value[str] = optional("Id of the user who created it.")
    time_created: Time = optional("When it was created (UTC).")
    modified_by: Value[str] = optional("Id of the user who last changed it.")
    time_modified: Time = optional("When it was last changed (UTC).")
