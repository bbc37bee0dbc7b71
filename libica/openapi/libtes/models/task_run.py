from .base import Many, Model, Nested, Time, Value, optional
from .execution import Execution
from .task_run_logs import TaskRunLogs
from .task_version_summary import TaskVersionSummary


class TaskRun(Model):
    """One run of an execution, with its execution and logs.

    Its status is `Pending`, `Running`, then `Completed`, `Failed`, `TimedOut` or `Aborted`; while
    agents work on it also `CheckedOut`, `Runnable`, `Finalizing` or `FailedRestartable`.
    """

    id: Value[str] = optional("Id of the run: `trn.` and 32 hexadecimal digits.")
    href: Value[str] = optional("Address of this object under the service's host.")
    urn: Value[str] = optional("Uniform resource name of this object.")
    name: Value[str] = optional("Name of the run.", length=(0, 255))
    description: Value[str] = optional("What the run is for.", length=(0, 4096))
    status: Value[str] = optional("Its status; see above.")
    status_details: Value[str] = optional("Reason for this status.", length=(0, 4096))
    type_of_resource: Value[str] = optional("Type of the machine.", length=(0, 255))
    size_of_resource: Value[str] = optional("Size of the machine.", length=(0, 255))
    tier_of_resource: Value[str] = optional("Tier of the machine.", length=(0, 255))
    execution: Nested[Execution] = optional("The execution, its placeholders filled in.")
    task_version_summary: Nested[TaskVersionSummary] = optional("The version launched.")
    logs: Many[TaskRunLogs] = optional("One entry per attempt.")
    execution_raw_json: Value[str] = optional("The execution as the service stores it.")
    acl: Value[list[str]] = optional("Who may see and use it, as `tid:...` or `wid:...`.")
    tenant_id: Value[str] = optional("Tenant that owns it.")
    sub_tenant_id: Value[str] = optional("Workgroup or user within the tenant.")
    created_by: Value[str] = optional("Id of the user who created it.")
    time_created: Time = optional("When it was created (UTC).")
    modified_by: Value[str] = optional("Id of the user who last changed it.")
    time_modified: Time = optional("When it was last changed (UTC).")
