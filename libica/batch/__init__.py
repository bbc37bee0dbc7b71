"""Many runs: launch a cohort once, wait for it, look at it.

Everything that this package offers is named here and loaded on first use.
"""

from libica.openapi.libtes._lazy import lazy

TYPE_CHECKING = False  # type checkers take it for true; importing typing would cost the most here

if TYPE_CHECKING:
    from .calling import BatchError as BatchError
    from .calling import BatchInterrupt as BatchInterrupt
    from .calling import BatchWarning as BatchWarning
    from .journal import JournalError as JournalError
    from .launching import launch_all as launch_all
    from .launching import relaunch as relaunch
    from .placeholder import placeholders as placeholders
    from .plan import LaunchesError as LaunchesError
    from .report import Launch as Launch
    from .report import Report as Report
    from .waiting import abort_all as abort_all
    from .waiting import duration as duration
    from .waiting import is_finished as is_finished
    from .waiting import wait as wait
    from .waiting import wait_all as wait_all
else:
    _MODULES = {
        **dict.fromkeys(("BatchError", "BatchInterrupt", "BatchWarning"), "calling"),
        "JournalError": "journal",
        "Launch": "report",
        "LaunchesError": "plan",
        "Report": "report",
        **dict.fromkeys(("abort_all", "duration", "is_finished", "wait", "wait_all"), "waiting"),
        **dict.fromkeys(("launch_all", "relaunch"), "launching"),
        "placeholders": "placeholder",
    }
    __getattr__, __dir__, __all__ = lazy(__name__, _MODULES)
