from .base import Many, Model, Value, optional
from .container_status import ContainerStatus


class HeartbeatTaskRunRequest(Model):
    """Body of `heartbeat_task_run`: an agent's report on its run."""

    last_heartbeat: Value[bool] = optional("Whether this is the last report.")
    pod_name: Value[str] = optional("Name of the pod that runs it.")
    pod_uid: Value[str] = optional("Id of the pod.", json="podUID")
    pod_hardware_details: Value[str] = optional("Hardware of the pod.")
    job_retry_count: Value[int] = optional("Number of retries of the job.")
    nonce: Value[str] = optional("One-time secret that the agent was given.")
    container_status: Many[ContainerStatus] = optional("The containers of the pod.")
