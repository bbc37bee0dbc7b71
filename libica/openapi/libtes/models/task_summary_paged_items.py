from .base import Many, optional
from .page import Page
from .task_summary import TaskSummary


class TaskSummaryPagedItems(Page):
    """One page of tasks."""

    items: Many[TaskSummary] = optional("The tasks on this page.")
