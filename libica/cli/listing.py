"""Lists and single objects, as tables or JSON."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from itertools import islice
from typing import Any, NamedTuple, Optional

from rich.text import Text

from libica import batch
from libica.openapi import libtes

from . import display
from .display import ago, exact, one_line


class Kind(NamedTuple):
    """How a list of objects is shown.

    Attributes:
        plural: What the objects are.
        headings: The headings of the table.
        row: Returns the cells of an object.
    """

    plural: str
    headings: Sequence[str]
    row: Callable[[Any], tuple[Any, ...]]


TASKS: Kind = Kind(
    "tasks",
    ("NAME", "CREATED", "ID"),
    lambda task: (one_line(task.name or ""), ago(task.time_created), task.id),
)
VERSIONS: Kind = Kind(
    "versions",
    ("VERSION", "CREATED", "ID"),
    lambda version: (one_line(version.version or ""), ago(version.time_created), version.id),
)
RUNS: Kind = Kind(
    "runs",
    ("NAME", "STATUS", "CREATED", "ID"),
    lambda run: (
        one_line(run.name or ""),
        display.status(run.status),
        ago(run.time_created),
        run.id,
    ),
)


def items(
    client: libtes.ApiClient, found: Iterator[Any], limit: Optional[int], json: bool, kind: Kind
) -> None:
    """Show objects of a kind, at most so many."""
    shown = islice(found, limit)
    if json:
        count = display.as_json_list(map(client.sanitize_for_serialization, shown))
    else:
        count = display.table(kind.headings, map(kind.row, shown))
    if not count and not json:
        display.tell(f"no {kind.plural}")
    if count == limit and next(found, None) is not None:
        display.tell(f"These are the newest {limit:,}: --limit N or --all shows more.")


def task(client: libtes.ApiClient, found: libtes.TaskSummary, json: bool) -> None:
    """Show a task."""
    if json:
        return display.as_json(client.sanitize_for_serialization(found))
    return display.fields(_head("Task", found.name, found))


def version(
    client: libtes.ApiClient, owner: libtes.TaskSummary, found: libtes.TaskVersion, json: bool
) -> None:
    """Show a version."""
    if json:
        return display.as_json(client.sanitize_for_serialization(found))
    head = _head("Version", f"{owner.name} {found.version}", found)
    placeholders = ", ".join(batch.placeholders(found))
    return display.fields([*head, ("Placeholders", placeholders), *_execution(found.execution)])


def run(client: libtes.ApiClient, found: libtes.TaskRun, json: bool) -> None:
    """Show a run."""
    if json:
        return display.as_json(client.sanitize_for_serialization(found))
    took = batch.duration(found)
    ended = f"{exact(found.time_modified)}, after {_seconds(took)}" if took is not None else ""
    launched = found.task_version_summary
    machine = (found.type_of_resource, found.size_of_resource, found.tier_of_resource)
    return display.fields(
        [
            ("Run", found.name),
            ("Status", display.status(found.status)),
            ("Details", found.status_details),
            *_head("", None, found),
            ("Ended", ended),
            ("Version", launched and ", ".join(filter(None, (launched.version, launched.id)))),
            ("Machine", " ".join(filter(None, machine))),
            *_execution(found.execution),
            *_attempts(found.logs or []),
        ]
    )


def _head(what: str, name: Optional[str], found: Any) -> list[tuple[str, Any]]:
    return [
        (what, name),
        ("Id", found.id),
        ("Description", found.description),
        ("Created", f"{exact(found.time_created)}, {ago(found.time_created)}"),
    ]


def _execution(execution: Optional[libtes.Execution]) -> Iterator[tuple[str, Any]]:
    """Yield what a run does; secrets are masked."""
    if execution is None:
        return
    image = execution.image
    if image is not None:
        tag = f"@{image.digest}" if image.digest else f":{image.tag}" if image.tag else ""
        yield "Image", f"{image.name}{tag}"
    command = shlex.join(filter(None, [execution.command, *(execution.args or [])]))
    yield "Command", Text(display.escape(command))
    yield "Folder", execution.working_directory
    for each in execution.inputs or []:
        yield "Input", f"{each.path} from {each.url}"
    for output in execution.outputs or []:
        yield "Output", f"{output.path} to {output.url}"
    variables = execution.environment.variables if execution.environment else None
    for name, value in (libtes.redact(variables or {})).items():
        yield "Variable", f"{name}={value}"


def _attempts(logs: Sequence[libtes.TaskRunLogs]) -> Iterator[tuple[str, Any]]:
    for number, each in enumerate(logs, 1):
        took = ""
        if each.start_time and each.end_time:
            took = f", for {_seconds(each.end_time - each.start_time)}"
        yield f"Attempt {number}", f"{exact(each.start_time)}{took}"
        yield f"Error {number}", each.error or each.error_details
        yield f"Stdout {number}", each.stdout
        yield f"Stderr {number}", each.stderr


def _seconds(took: timedelta) -> str:
    return f"{took.total_seconds():.1f} s"
