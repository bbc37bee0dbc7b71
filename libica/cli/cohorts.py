"""Cohorts: the plan, what became of it, and what to do next."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

from rich.text import Text

from libica import batch
from libica.openapi import libtes

from . import display, service
from .display import command_line, status, tell
from .errors import INTERRUPTED, NOT_ALL_KNOWN, SOME_FAILED

MOST = 10
"""Launches that a report describes."""


def plan(
    client: libtes.ApiClient,
    task: str,
    version: str,
    table: Path,
    journal: Optional[Path],
    options: Mapping[str, Any],
) -> tuple[str, str]:
    """Check a table against a version and show what would be launched; return the ids of both.

    Raises:
        LaunchesError: The table does not match the version.
    """
    if not table.is_file():  # not a pipe either, as `relaunch` reads it again
        raise libtes.ApiValueError(f"{table} is not a file")
    owner = service.task(client, task)
    found = service.version(client, owner.id or "", version)
    ids = owner.id or "", found.id or ""
    checked = batch.launch_all(client, *ids, table, dry_run=True, **options)
    state = ""
    if journal is not None and journal.exists():
        known = batch.Report.from_journal(journal).run_ids
        state = f"; {_launches(len(known))} in it have a run already"
    display.fields(
        [
            ("Version", f"{owner.name} {found.version}, {found.id}"),
            ("Service", client.configuration.host),
            ("Table", f"{table}: {_launches(len(checked))}"),
            ("Arguments", ", ".join(batch.placeholders(found))),
            ("Journal", journal and f"{journal}{state}"),
        ],
        stderr=True,
    )
    return ids


def launched(
    client: libtes.ApiClient, report: batch.Report, journal: Path, wait: bool, json: bool
) -> int:
    """Show what was launched, on request when it has finished; return the exit status."""
    if wait:
        return waited(client, report, journal, None, json)
    _show(report, journal, json)
    if report.unsure:
        return NOT_ALL_KNOWN
    return SOME_FAILED if report.not_launched or report.lost else 0


def waited(
    client: libtes.ApiClient,
    report: batch.Report,
    journal: Path,
    timeout: Optional[float],
    json: bool,
) -> int:
    """Wait for the runs of a report, show it, and return the exit status."""
    bar = None if report.unfinished else False
    report = batch.wait_all(client, report, timeout=timeout, progress=bar)
    _show(report, journal, json)
    # `wait_all` ends on Ctrl-C; a run that it gave up has an error.
    interrupted = timeout is None and any(not each.error for each in report.unfinished)
    return INTERRUPTED if interrupted else _status(report)


def reported(
    client: libtes.ApiClient, journal: Path, html: Optional[Path], csv: Optional[Path], json: bool
) -> int:
    """Show and write the state of the runs of a journal; return the exit status."""
    saved = batch.Report.from_journal(journal)
    report = batch.wait_all(client, saved, timeout=0, progress=False)
    if html is not None:
        report.to_html(html)
    if csv is not None:
        report.to_csv(csv)
    _show(report, journal, json)
    return _status(report)


def aborted(report: batch.Report, json: bool) -> int:
    """Show which runs were aborted; return the exit status."""
    if json:
        display.as_json(report.to_dicts())
    else:
        display.fields((each.run_id, _aborted(each)) for each in report)
    return SOME_FAILED if any(each.error for each in report) else 0


def _aborted(launch: batch.Launch) -> Text:
    soon = "" if batch.is_finished(launch) else "will be aborted soon"
    return Text("  ").join([status(launch.status), display.one_line(launch.error or soon)])


def _status(report: batch.Report) -> int:
    if report.unfinished or report.unsure:
        return NOT_ALL_KNOWN
    return 0 if len(report.completed) == len(report) else SOME_FAILED


def _show(report: batch.Report, journal: Path, json: bool) -> None:
    """Print a report, and what to do next."""
    if json:
        data = {"journal": str(journal), "summary": report.summary(), "notes": report.notes}
        return display.as_json({**data, "launches": report.to_dicts()})
    head = Text(f"{_launches(len(report))}: ")
    display.console().print(head + display.counts(report.summary()))
    told = [each for each in report if each.why is not None]
    if told:
        print()
        display.fields((status(each.outcome), _reason(each)) for each in told[:MOST])
    if len(told) > MOST:
        print(f"... and {len(told) - MOST:,} more, all of which --csv and --html of `report` have")
    for note in report.notes:
        tell(f"Note: {note}")
    return _advise(report, journal)


def _advise(report: batch.Report, journal: Path) -> None:
    steps = []
    if report.not_launched or report.unsure:
        steps.append(("Go on", "repeat the launch with the same journal"))
    if report.unfinished:
        steps.append(("Wait", command_line("wait", journal)))
    failed = [each for each in report.failed if each.outcome != "Aborted"]
    if failed:
        steps.append(("See why", command_line("logs", failed[0].run_id, "--stderr")))
        steps.append(("Relaunch", command_line("relaunch", journal)))
    if steps:
        tell("")
        display.steps(steps)


def _reason(launch: batch.Launch) -> Text:
    """Return the name of a launch and, below, why it has not completed.

    The URLs of its logs are for `show` and `logs`.
    """
    exit_status = None if launch.exit_status is None else f"exit status {launch.exit_status}"
    doubles = f"more than one run: {', '.join(launch.doubles)}" if launch.doubles else None
    reason = "; ".join(
        filter(None, (launch.error or launch.status_details or exit_status, doubles))
    )
    return Text.assemble((display.plain(launch.name), "bold"), "\n", display.plain(reason))


def _launches(count: int) -> str:
    return f"{count:,} launch{'es' * (count != 1)}"
