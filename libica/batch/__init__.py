"""Cohorts: launch a task version for many samples, wait for the runs, and report on them.

Every public name is listed here and loaded on first use.
"""

TYPE_CHECKING = False  # type checkers take it for true; importing typing would cost the most here

if TYPE_CHECKING:
    from libica.openapi.libtes.placeholders import find

    from .calling import BatchError as BatchError
    from .calling import BatchInterrupt as BatchInterrupt
    from .calling import BatchWarning as BatchWarning
    from .following import live as live
    from .journal import JournalError as JournalError
    from .launching import launch_all as launch_all
    from .launching import relaunch as relaunch
    from .plan import LaunchesError as LaunchesError
    from .report import Launch as Launch
    from .report import Report as Report
    from .waiting import abort_all as abort_all
    from .waiting import duration as duration
    from .waiting import is_finished as is_finished
    from .waiting import wait as wait
    from .waiting import wait_all as wait_all

    placeholders = find
else:
    _MODULES = {
        **dict.fromkeys(("BatchError", "BatchInterrupt", "BatchWarning"), "calling"),
        "JournalError": "journal",
        "live": "following",
        "Launch": "report",
        "LaunchesError": "plan",
        "Report": "report",
        **dict.fromkeys(("abort_all", "duration", "is_finished", "wait", "wait_all"), "waiting"),
        **dict.fromkeys(("launch_all", "placeholders", "relaunch"), "launching"),
    }
    __all__ = list(_MODULES)

    def __getattr__(name):
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = globals()[name] = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
        return value

    def __dir__():
        return sorted({*globals(), *_MODULES})
