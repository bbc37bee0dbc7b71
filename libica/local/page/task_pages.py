"""Tasks, and a task with its versions."""

from __future__ import annotations

import json

from starlette.responses import Response

from libica.openapi.libtes._redaction import redact

from ..store import lists
from .listing import SIZES, shown
from .visit import Page, Visit


def show_all(page: Page, visit: Visit) -> Response:
    """Show the tasks."""
    name = visit.query.get("name", "")
    tasks = shown(page.service, visit, lists.TASKS, {}, name=name)
    return page.render(visit, "tasks.html", tasks=tasks, sizes=SIZES)


def show(page: Page, visit: Visit) -> Response:
    """Show a task."""
    task_id = visit.ids["taskId"]
    task = redact(json.loads(page.service.store.task(task_id, visit.by)))
    versions = shown(page.service, visit, lists.VERSIONS, {}, scope=task_id)
    return page.render(visit, "task.html", task=task, versions=versions, sizes=SIZES)
