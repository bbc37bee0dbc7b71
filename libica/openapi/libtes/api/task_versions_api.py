"""TaskVersionsApi: the operations on the versions of a task."""

# pyright: reportReturnType=false

from __future__ import annotations

from typing import Optional

from .. import models
from .endpoint import ERRORS_OF_NAMES, Api, Body, Filter, Id, endpoint


class TaskVersionsApi(Api):
    """Versions of a task: create, read, change and launch them."""

    @endpoint("POST", "/v1/tasks/{taskId}/versions", success=201, errors=ERRORS_OF_NAMES)
    def create_task_version(
        self, task_id: Id, *, body: Body[models.CreateTaskVersionRequest] = None
    ) -> models.TaskVersion:
        """Create a version of a task.

        `{{name}}` anywhere in its execution is a placeholder, to be filled in at launch.
        """

    @endpoint("GET", "/v1/tasks/{taskId}/versions/{versionId}")
    def get_task_version(self, task_id: Id, version_id: Id) -> models.TaskVersion:
        """Get a version, with its execution."""

    @endpoint("POST", "/v1/tasks/{taskId}/versions/{versionId}:launch", success=201)
    def launch_task_run(
        self, task_id: Id, version_id: Id, *, body: Body[models.LaunchTaskRequest] = None
    ) -> models.TaskRun:
        """Launch a run of a version.

        The run that is returned has an id and the status `Pending`. A call whose response was lost
        is not sent again: see `ApiException.may_have_happened`.
        """

    @endpoint("GET", "/v1/tasks/{taskId}/versions")
    def list_task_versions(
        self,
        task_id: Id,
        *,
        sort: Optional[str] = None,
        versions: Filter = None,
        ids: Filter = None,
        acls: Filter = None,
        page_size: Optional[int] = None,
        page_token: Optional[str] = None,
    ) -> models.TaskVersionSummaryPagedItems:
        """Get one page of the versions of a task.

        Args:
            sort: Field to sort by, and `asc` or `desc`, such as `timeCreated desc`; one of `name`,
                `version`, `timeCreated` and `timeModified`.
            versions: Show only versions of these names, such as `1.0.0`.
            ids: Show only versions of these ids.
        """

    @endpoint("PATCH", "/v1/tasks/{taskId}/versions/{versionId}")
    def update_task_version(
        self, task_id: Id, version_id: Id, *, body: Body[models.UpdateTaskVersionRequest] = None
    ) -> models.TaskVersion:
        """Change a version.

        Fields that are set in the body are replaced, the execution as a whole; others stay.
        """
