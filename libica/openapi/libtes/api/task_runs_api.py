"""TaskRunsApi: the operations on task runs."""

# pyright: reportReturnType=false

from __future__ import annotations

from typing import Optional

from .. import models
from .endpoint import ERRORS_OF_RUNS, Api, Body, Filter, Id, endpoint


class TaskRunsApi(Api):
    """Task runs: launch one without a task, read, list and abort them."""

    @endpoint("PUT", "/v1/tasks/runs/{runId}:abort")
    def abort_task_run(self, run_id: Id) -> models.TaskRunSummary:
        """Abort a run.

        The run must be `Pending` or `Running`. It becomes `Aborted`, which may take a while: poll
        with `get_task_run`.
        """

    @endpoint("POST", "/v1/tasks/runs", success=201, errors=ERRORS_OF_RUNS)
    def create_task_run(self, *, body: Body[models.CreateTaskRunRequest] = None) -> models.TaskRun:
        """Launch a run without a task.

        The run that is returned has an id and the status `Pending`. A call whose response was lost
        is not sent again: see `ApiException.may_have_happened`.
        """

    @endpoint("GET", "/v1/tasks/runs/{runId}")
    def get_task_run(self, run_id: Id) -> models.TaskRun:
        """Get a run, with its status, execution and logs."""

    @endpoint("POST", "/v1/tasks/runs/{runId}:heartbeat")
    def heartbeat_task_run(
        self, run_id: Id, *, body: Body[models.HeartbeatTaskRunRequest] = None
    ) -> models.TaskRunHeartbeat:
        """Report that a run is still active.

        For the agents that execute runs; users do not need it.
        """

    @endpoint("GET", "/v1/tasks/runs", errors=ERRORS_OF_RUNS)
    def list_task_runs(
        self,
        *,
        sort: Optional[str] = None,
        names: Filter = None,
        status: Filter = None,
        versions: Filter = None,
        acls: Filter = None,
        page_size: Optional[int] = None,
        page_token: Optional[str] = None,
    ) -> models.TaskRunSummaryPagedItems:
        """Get one page of the runs that you can see.

        Args:
            sort: Field to sort by, and `asc` or `desc`, such as `timeCreated desc`; one of `name`,
                `status`, `timeCreated` and `timeModified`.
            names: Show only runs of these names.
            status: Show only runs of these statuses, such as `Running`.
            versions: Show only runs of these versions.
        """
