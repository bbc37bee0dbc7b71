"""A version with a form to launch it, and the launch of a run once more."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Optional, Union

from starlette.responses import Response

from libica.openapi.libtes._redaction import redact
from libica.openapi.libtes.models import CreateTaskRunRequest, LaunchTaskRequest
from libica.openapi.libtes.placeholders import fill, find

from ..service import bodies
from ..service.errors import Refused
from ..service.operations import created, launched, start_once
from ..store.rows import dumps
from .rendering import in_order
from .tables import rows_of
from .visit import Changing, Page, Visit

Json = dict[str, Any]
_ARGUMENT = "argument:"
_BODY = ("name", "description")
# Matching takes time that grows with the length to the power of the number of unknown arguments.
_SOLVABLE, _LONGEST = 2, 1000


def show(page: Page, visit: Visit) -> Response:
    """Show a version and the form; with `run` in the query, filled in as that run was launched."""
    given: dict[str, str] = {}
    if visit.query.get("run"):
        given = _as_launched(page, visit, visit.query["run"])
    return _shown(page, visit, given)


def launch(page: Page, visit: Visit) -> Union[Response, Changing]:
    """Launch the version, or show the form again with what is wrong."""
    form = visit.form
    _, execution = _version(page, visit)
    if form.get("seen") not in (None, _digest(execution)):
        changed = "The version has changed since this form was shown: check it, then launch it"
        return _shown(page, visit, form, changed, status=409)
    if "table" in form:
        return _launch_table(page, visit, execution)
    arguments = {name: form.get(f"{_ARGUMENT}{name}", "") for name in find(execution)}
    missing = [name for name, value in arguments.items() if not value]
    if missing:
        return _shown(page, visit, form, f"Arguments are missing: {', '.join(missing)}", missing)
    try:
        body = _body(form, arguments)
        run, filled = launched(page.service, visit.call(body), _key(visit, body))
    except Refused as refused:
        if refused.status != 400:
            raise
        return _shown(page, visit, form, refused.message)
    return Changing(start_once(page.service, [(run, filled)]), _to(f"/runs/{run['id']}"))


def _launch_table(page: Page, visit: Visit, execution: Json) -> Union[Response, Changing]:
    """Launch the version for each row of a table, if all rows are valid."""
    runs, number = [], 0
    try:
        for number, row in enumerate(rows_of(visit.form["table"], find(execution)), 2):
            body = _body({"name": row.name}, row.arguments)
            runs.append(launched(page.service, visit.call(body), _key(visit, body, number)))
    except ValueError as error:
        return _shown(page, visit, visit.form, str(error))
    except Refused as refused:
        if refused.status != 400:
            raise
        problem = f"Nothing was launched: row {number}: {refused.message}"
        return _shown(page, visit, visit.form, problem)
    version = f"/runs?version={visit.ids['versionId']}"
    return Changing(start_once(page.service, runs), _to(version))


def again(page: Page, visit: Visit) -> Changing:
    """Run the execution of a run that is of no version once more."""
    summary, execution, _ = page.service.store.run(visit.ids["runId"], visit.by)
    run = json.loads(summary)
    given = {name: run[name] for name in _BODY if name in run}
    body = bodies.canonical(CreateTaskRunRequest, {**given, "execution": json.loads(execution)})
    copy, filled = created(page.service, visit.call(body), _key(visit, body))
    return Changing(start_once(page.service, [(copy, filled)]), _to(f"/runs/{copy['id']}"))


def _body(given: Mapping[str, str], arguments: Mapping[str, str]) -> Json:
    described = {name: given[name] for name in _BODY if given.get(name)}
    return bodies.canonical(LaunchTaskRequest, {**described, "arguments": dict(arguments)})


def _key(visit: Visit, body: Json, row: int = 0) -> str:
    """Return what the id of a run ends with: the same whenever the same form is sent again.

    So a form launches once, also if a browser repeats it after the service has started anew.
    """
    mark = visit.form.get("once")
    what = [visit.by.tenant, visit.by.user, visit.path, mark, row, body]
    return hashlib.sha256(dumps(what).encode()).hexdigest()[:32] if mark else ""


def _to(address: str) -> Callable[[bytes], str]:
    """Return what makes the address of the next page from the number of new runs."""
    before = f"{address}{'&' if '?' in address else '?'}sent=before"
    return lambda added: address if json.loads(added) else before


def _digest(execution: Json) -> str:
    return hashlib.sha256(dumps(execution).encode()).hexdigest()[:16]


def _version(page: Page, visit: Visit) -> tuple[Json, Json]:
    ids = visit.ids["taskId"], visit.ids["versionId"]
    summary, execution = page.service.store.version(*ids, visit.by)
    return json.loads(summary), json.loads(execution or "{}")


def _shown(
    page: Page,
    visit: Visit,
    given: Mapping[str, str],
    problem: str = "",
    missing: Optional[list[str]] = None,
    status: int = 400,
) -> Response:
    version, execution = _version(page, visit)
    task = json.loads(page.service.store.task(visit.ids["taskId"], visit.by))
    masked = redact(execution)
    names = find(execution)
    secret = set(names) - set(find(masked))
    if secret and "table" in given:  # it has them
        given = {**given, "table": ""}
    return page.render(
        visit,
        "version.html",
        status if problem else 200,
        task=redact(task),
        version=redact(version),
        execution=in_order(masked),
        seen=_digest(execution),
        names=names,
        secret=secret,
        given=given,
        problem=redact(problem),
        missing=missing or [],
    )


def _as_launched(page: Page, visit: Visit, run_id: str) -> dict[str, str]:
    """Return the form as it was filled in for a run, without its secrets."""
    summary, execution, _ = page.service.store.run(run_id, visit.by)
    run = json.loads(summary)
    _, template = _version(page, visit)
    given = {name: run[name] for name in _BODY if name in run}
    found = arguments_of(template, json.loads(execution))
    public = set(find(redact(template)))
    return {**given, **{f"{_ARGUMENT}{k}": v for k, v in found.items() if k in public}}


def arguments_of(template: Json, filled: Json) -> dict[str, str]:
    """Return arguments that make one execution of another; none if they cannot be told."""
    found: dict[str, str] = {}
    pairs = list(_strings(template, filled))
    known = -1
    while len(found) > known:
        known = len(found)
        for pattern, text in pairs:
            unknown = [name for name in find(pattern) if name not in found]
            if 0 < len(unknown) <= _SOLVABLE and len(text) <= _LONGEST:
                found.update(_solved(pattern, text, found))
    try:
        same = {**fill(template, found), "retryCount": 0} == {**filled, "retryCount": 0}
    except ValueError:
        return found  # as far as they are known
    return found if same else {}


def _solved(pattern: str, text: str, found: Mapping[str, str]) -> dict[str, str]:
    """Return the unknown arguments that make a text of a pattern; none if that cannot be told."""
    names = find(pattern)
    expression = re.escape(fill(pattern, {name: f"\0{i}\0" for i, name in enumerate(names)}))
    for i, name in enumerate(names):
        if name in found:
            expression = expression.replace(f"\0{i}\0", re.escape(found[name]))
        else:
            expression = expression.replace(f"\0{i}\0", f"(?P<a{i}>.*?)", 1)
            expression = expression.replace(f"\0{i}\0", f"(?P=a{i})")
    match = re.fullmatch(expression, text, re.DOTALL)
    groups = match.groupdict() if match else {}
    return {names[int(group[1:])]: value for group, value in groups.items()}


def _strings(template: Any, filled: Any) -> Iterator[tuple[str, str]]:
    """Yield the strings of an execution that have placeholders, with what they have become."""
    if isinstance(template, str) and isinstance(filled, str):
        if find(template):
            yield template, filled
    elif isinstance(template, dict) and isinstance(filled, dict):
        for key, value in template.items():
            yield from _strings(value, filled.get(key))
    elif isinstance(template, list) and isinstance(filled, list):
        for each, other in zip(template, filled):
            yield from _strings(each, other)
