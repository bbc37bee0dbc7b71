"""The operations of TES v1, one class per tag of the API, each loaded on first use."""

from .._lazy import lazy, snake_case

_NAMES = ("TaskRunsApi", "TaskVersionsApi", "TasksApi")
__getattr__, __dir__, __all__ = lazy(__name__, {name: snake_case(name) for name in _NAMES})
