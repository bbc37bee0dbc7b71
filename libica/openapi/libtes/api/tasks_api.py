"""TasksApi: the operations on tasks."""

# pyright: reportReturnType=false

from __future__ import annotations

from typing import Optional

from .. import models
from .endpoint import ERRORS_OF_NAMES, Api, Body, Filter, Id, endpoint


class TasksApi(Api):
    """Tasks: create, read and change them."""

    @endpoint("POST", "/v1/tasks", success=201, errors=ERRORS_OF_NAMES)
    def create_task(self, *, body: Body[models.CreateTaskRequest] = None) -> models.Task:
        """Create a task.

        Versions can be created with it; `{{name}}` anywhere in their executions is a placeholder,
        to be filled in at launch.
        """

    @endpoint("GET", "/v1/tasks/{taskId}")
    def get_task(self, task_id: Id) -> models.TaskSummary:
        """Get a task, without its versions."""

    @endpoint("GET", "/v1/tasks")
    def list_tasks(
        self,
        *,
        names: Filter = None,
        acls: Filter = None,
        page_size: Optional[int] = None,
        sort: Optional[str] = None,
        page_token: Optional[str] = None,
    ) -> models.TaskSummaryPagedItems:
        """Get one page of the tasks that you can see.

        Args:
            names: Show only tasks of these names; case matters.
            sort: Field to sort by, and `asc` or `desc`, such as `timeCreated desc`; one of `name`,
                `timeCreated` and `timeModified`. Default: `timeCreated asc`.
        """

    @endpoint("PATCH", "/v1/tasks/{taskId}", errors=ERRORS_OF_NAMES)
    def update_task(
        self, task_id: Id, *, body: Body[models.UpdateTaskRequest] = None
    ) -> models.Task:
        """Change the name, description or access list of a task.

        Fields that are set in the body are replaced; others stay.
        """
