"""Tasks, and a task with its versions."""

from __future__ import annotations

import json
from urllib.parse import quote

from starlette.responses import RedirectResponse, Response

from libica.openapi.libtes._redaction import redact

from ..store import lists
from .listing import SIZES, shown
from .visit import Page, Visit


def show_all(page: Page, visit: Visit) -> Response:
    """Show the tasks, or go to the one, or to the version, whose id is asked for."""
    name = visit.query.get("name", "").strip()
    if name.startswith("tdn."):
        return RedirectResponse(f"/tasks/{quote(name, safe='')}", 303)
    if name.startswith("tvn."):
        task_id = page.service.store.task_of(name, visit.by)
        return RedirectResponse(f"/tasks/{task_id}/versions/{name}", 303)
    tasks = shown(page.service, visit, lists.TASKS, {}, name=name)
    return page.render(visit, "tasks.html", tasks=tasks, sizes=SIZES)


def show(page: Page, visit: Visit) -> Response:
    """Show a task."""
    task_id = visit.ids["taskId"]
    task = redact(json.loads(page.service.store.task(task_id, visit.by)))
    versions = shown(page.service, visit, lists.VERSIONS, {}, scope=task_id)
    return page.render(visit, "task.html", task=task, versions=versions, sizes=SIZES)
