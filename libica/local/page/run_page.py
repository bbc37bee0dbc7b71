"""A run: its state, times, execution, attempts, and what they write while they run."""

from __future__ import annotations

import json
from typing import Any, NamedTuple, Optional, Union

from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse

from libica.openapi.libtes._redaction import redact, secrets_of

from ..service.errors import Refused
from ..service.operations import abort_task_run
from .logs import STREAMS, Log, Piece, attempt_of
from .rendering import between, in_order
from .run_list import UNFINISHED, ended
from .visit import Changing, Page, Visit

Json = dict[str, Any]


class Output(NamedTuple):
    """A log as the page shows it: a piece of it, or why there is none."""

    stream: str
    piece: Optional[Piece]
    problem: str


def show(page: Page, visit: Visit) -> Response:
    """Show a run."""
    summary, execution, logs = _run(page, visit)
    seen = _mark(page, summary, execution, logs)  # first: what is written after that is not seen
    known = secrets_of((), execution)
    number = visit.query.get("attempt", f"{len(logs)}")
    chosen = attempt_of(logs, number) if number != "0" else {}
    outputs = [_output(page, execution, chosen, stream) for stream in STREAMS if chosen.get(stream)]
    return page.render(
        visit,
        "run.html",
        run=redact(summary, known=known),
        execution=in_order(redact(execution, known=known)),
        attempts=[{**redact(log, known=known), "took": _took(log)} for log in logs],
        chosen=int(number),
        outputs=outputs,
        took=between(summary["timeCreated"], ended(summary)),
        is_unfinished=summary["status"] in UNFINISHED,
        task=_task_of(summary),
        seen=seen,
    )


def mark(page: Page, visit: Visit) -> str:
    """Return what changes whenever the run or its logs do."""
    return _mark(page, *_run(page, visit))


def _mark(page: Page, summary: Json, execution: Json, logs: list[Json]) -> str:
    sizes = [
        Log(page.service.gds, execution, log, stream).size()
        for log in (logs[-1:] if summary["status"] in UNFINISHED else ())
        for stream in STREAMS
        if log.get(stream)
    ]
    return "-".join(map(str, [summary["timeModified"], len(logs), *sizes]))


def log(page: Page, visit: Visit) -> Response:
    """Return a piece of a log as text; a header says where the next one starts."""
    opened = _log(page, visit)
    start = visit.query.get("from", "")
    if len(start) > 15 or not start.isdecimal():
        raise Refused(400, "from must be the byte to start at")
    piece = opened.piece(int(start))
    return PlainTextResponse(piece.text, headers={"X-Next": str(piece.end)})


def download(page: Page, visit: Visit) -> Response:
    """Return a whole log as a file."""
    opened = _log(page, visit)
    opened.piece(0)  # what cannot be read is an error page
    ids = visit.ids
    name = f"{ids['runId']}-{ids['stream']}-{ids['attempt']}.log"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(opened.all(), headers=headers, media_type="text/plain")


def abort(page: Page, visit: Visit) -> Union[Response, Changing]:
    """Abort a run; once more does no harm."""
    run_id = visit.ids["runId"]
    if _run(page, visit)[0]["status"] == "Aborted":
        return RedirectResponse(f"/runs/{run_id}", 303)
    return Changing(abort_task_run(page.service, visit.call()), lambda _: f"/runs/{run_id}")


def _run(page: Page, visit: Visit) -> tuple[Json, Json, list[Json]]:
    summary, execution, logs = page.service.store.run(visit.ids["runId"], visit.by)
    return json.loads(summary), json.loads(execution), json.loads(logs)


def _log(page: Page, visit: Visit) -> Log:
    _, execution, logs = _run(page, visit)
    attempt = attempt_of(logs, visit.ids["attempt"])
    return Log(page.service.gds, execution, attempt, visit.ids["stream"])


def _output(page: Page, execution: Json, attempt: Any, stream: str) -> Output:
    try:
        return Output(stream, Log(page.service.gds, execution, attempt, stream).piece(), "")
    except Refused as refused:
        return Output(stream, None, refused.message)


def _took(log: Json) -> Optional[float]:
    return between(log.get("startTime"), log.get("endTime"))


def _task_of(summary: Json) -> str:
    """Return the path of the version that was launched; empty for none."""
    href = str(summary.get("taskVersionSummary", {}).get("href", ""))
    return href.partition("/v1")[2]
