"""The models of TES v1, each loaded on first use."""

from .._lazy import lazy, snake_case

TYPE_CHECKING: bool = False

if TYPE_CHECKING:
    from .container_state import ContainerState as ContainerState
    from .container_state_running import ContainerStateRunning as ContainerStateRunning
    from .container_state_terminated import ContainerStateTerminated as ContainerStateTerminated
    from .container_state_waiting import ContainerStateWaiting as ContainerStateWaiting
    from .container_status import ContainerStatus as ContainerStatus
    from .create_task_request import CreateTaskRequest as CreateTaskRequest
    from .create_task_run_request import CreateTaskRunRequest as CreateTaskRunRequest
    from .create_task_version_request import CreateTaskVersionRequest as CreateTaskVersionRequest
    from .credentials import Credentials as Credentials
    from .environment import Environment as Environment
    from .error_response import ErrorResponse as ErrorResponse
    from .execution import Execution as Execution
    from .heartbeat_task_run_request import HeartbeatTaskRunRequest as HeartbeatTaskRunRequest
    from .image import Image as Image
    from .input_mount_mapping_with_creds import (
        InputMountMappingWithCreds as InputMountMappingWithCreds,
    )
    from .input_stream_settings import InputStreamSettings as InputStreamSettings
    from .launch_task_request import LaunchTaskRequest as LaunchTaskRequest
    from .mount_mapping_with_creds import MountMappingWithCreds as MountMappingWithCreds
    from .resources import Resources as Resources
    from .system_files import SystemFiles as SystemFiles
    from .task import Task as Task
    from .task_run import TaskRun as TaskRun
    from .task_run_heartbeat import TaskRunHeartbeat as TaskRunHeartbeat
    from .task_run_logs import TaskRunLogs as TaskRunLogs
    from .task_run_summary import TaskRunSummary as TaskRunSummary
    from .task_run_summary_paged_items import TaskRunSummaryPagedItems as TaskRunSummaryPagedItems
    from .task_summary import TaskSummary as TaskSummary
    from .task_summary_paged_items import TaskSummaryPagedItems as TaskSummaryPagedItems
    from .task_version import TaskVersion as TaskVersion
    from .task_version_summary import TaskVersionSummary as TaskVersionSummary
    from .task_version_summary_paged_items import (
        TaskVersionSummaryPagedItems as TaskVersionSummaryPagedItems,
    )
    from .update_task_request import UpdateTaskRequest as UpdateTaskRequest
    from .update_task_version_request import UpdateTaskVersionRequest as UpdateTaskVersionRequest
else:
    _NAMES = """
        ContainerState ContainerStateRunning ContainerStateTerminated ContainerStateWaiting
        ContainerStatus CreateTaskRequest CreateTaskRunRequest CreateTaskVersionRequest
        Credentials Environment ErrorResponse Execution HeartbeatTaskRunRequest Image
        InputMountMappingWithCreds InputStreamSettings LaunchTaskRequest MountMappingWithCreds
        Resources SystemFiles Task TaskRun TaskRunHeartbeat TaskRunLogs TaskRunSummary
        TaskRunSummaryPagedItems TaskSummary TaskSummaryPagedItems TaskVersion
        TaskVersionSummary TaskVersionSummaryPagedItems UpdateTaskRequest
        UpdateTaskVersionRequest
    """.split()
    __getattr__, __dir__, __all__ = lazy(__name__, {name: snake_case(name) for name in _NAMES})
