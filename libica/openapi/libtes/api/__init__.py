"""The operations of TES v1, one class per tag of the API, each loaded on first use."""

from ..lazy import lazy

TYPE_CHECKING = False

if TYPE_CHECKING:
    from .task_runs_api import TaskRunsApi as TaskRunsApi
    from .task_versions_api import TaskVersionsApi as TaskVersionsApi
    from .tasks_api import TasksApi as TasksApi
else:
    _MODULES = {
        "TaskRunsApi": "task_runs_api",
        "TaskVersionsApi": "task_versions_api",
        "TasksApi": "tasks_api",
    }
    __getattr__, __dir__, __all__ = lazy(__name__, _MODULES)
