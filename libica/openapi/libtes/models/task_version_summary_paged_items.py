from .base import Many, optional
from .page import Page
from .task_version_summary import TaskVersionSummary


class TaskVersionSummaryPagedItems(Page):
    """One page of versions."""

    items: Many[TaskVersionSummary] = optional("The versions on this page.")
