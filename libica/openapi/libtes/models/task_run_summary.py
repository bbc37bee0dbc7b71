from .base import Model, Nested, Time, Value, optional
from .task_version_summary import TaskVersionSummary


class TaskRunSummary(Model):
    """A run without its execution and logs; for its status see `TaskRun`."""

    id: Value[str] = optional("Id of the run: `trn.` and 32 hexadecimal digits.")
    href: Value[str] = optional("Address of this object under the service's host.")
    urn: Value[str] = optional("Uniform resource name of this object.")
    name: Value[str] = optional("Name of the run.", length=(0, 255))
    description: Value[str] = optional("What the run is for.", length=(0, 4096))
    status: Value[str] = optional("Its status, as in `TaskRun`.")
    status_details: Value[str] = optional("Reason for this status.", length=(0, 4096))
    type_of_resource: Value[str] = optional("Type of the machine.", length=(0, 255))
    size_of_resource: Value[str] = optional("Size of the machine.", length=(0, 255))
    tier_of_resource: Value[str] = optional("Tier of the machine.", length=(0, 255))
    task_version_summary: Nested[TaskVersionSummary] = optional("The version launched.")
    acl: Value[list[str]] = optional("Who may see and use it, as `tid:...` or `wid:...`.")
    tenant_id: Value[str] = optional("Tenant that owns it.")
    sub_tenant_id: Value[str] = optional("Workgroup or user within the tenant.")
    created_by: Value[str] = optional("Id of the user who created it.")
    time_created: Time = optional("When it was created (UTC).")
    modified_by: Value[str] = optional("Id of the user who last changed it.")
    time_modified: Time = optional("When it was last changed (UTC).")
