from .base import Many, optional
from .page import Page
from .task_run_summary import TaskRunSummary


class TaskRunSummaryPagedItems(Page):
    """One page of runs."""

    items: Many[TaskRunSummary] = optional("The runs on this page.")
