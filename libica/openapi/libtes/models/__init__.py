"""The models of TES v1, each loaded on first use."""

from .._lazy import lazy, snake_case

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
