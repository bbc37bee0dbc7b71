"""Taking tasks along from a service into a data folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Optional

from rich.progress import Progress

from libica import local
from libica.openapi import libtes

from . import display
from .display import command_line, tell
from .errors import SOME_FAILED

MOST = 20
"""Objects that are shown by name."""


def mirror(
    client: libtes.ApiClient,
    data: Path,
    *,
    tasks: Optional[Sequence[str]],
    runs: bool,
    with_credentials: bool,
    dry_run: bool,
    json: bool,
) -> int:
    """Take tasks along, show what became of each, and return the exit status."""
    try:
        with _progress() as progress:
            mirrored = local.mirror(
                client,
                data,
                tasks=tasks,
                runs=runs,
                with_credentials=with_credentials,
                dry_run=dry_run,
                progress=progress,
            )
    except (libtes.ApiException, KeyboardInterrupt):
        if not dry_run:
            tell("What was taken along so far is kept; the same command goes on where it stopped.")
        raise
    except libtes.OpenApiException:
        raise
    except (ValueError, RuntimeError) as error:  # about the folder
        raise libtes.ApiValueError(str(error)) from error
    if json:
        display.as_json(mirrored.to_dict())
    else:
        _show(mirrored, data, dry_run)
    return SOME_FAILED if mirrored.missing else 0


@contextmanager
def _progress() -> Iterator[Any]:
    """Show on a terminal how many objects have been read."""
    console = display.console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    with Progress(console=console, transient=True) as bars:
        known: dict[str, Any] = {}

        def update(what: str, done: int, total: int) -> None:
            if what not in known:
                known[what] = bars.add_task(f"Reading {what}")
            bars.update(known[what], completed=done, total=total)

        yield update


def _show(mirrored: local.Mirrored, data: Path, dry_run: bool) -> None:
    display.fields(
        (f"{kind}s", ", ".join(f"{count:,} {outcome}" for outcome, count in counts.items()))
        for kind, counts in mirrored.counts.items()
    )
    told = [each for each in mirrored.items if each.outcome.value != "unchanged"]
    told.sort(key=lambda each: not each.is_missing)
    if told:
        print()
        _table(told[:MOST])
    if len(told) > MOST:
        print(f"... and {len(told) - MOST:,} more, all of which --json has")
    elif not told:
        print("Nothing is new or changed." if mirrored.items else "There is nothing to take along.")
    _tell_of_secrets(mirrored.without_secrets)
    if dry_run:
        tell("Nothing was written.")
    elif mirrored.items:
        tell("")
        display.steps([("Serve it", command_line("serve", "--data", data))])


def _table(items: Sequence[Any]) -> None:
    shown = 5 if any(each.reason for each in items) else 4  # columns
    rows = [(each.outcome.value, each.kind, each.name, each.id, each.reason) for each in items]
    headings = ("OUTCOME", "KIND", "NAME", "ID", "REASON")
    display.table(headings[:shown], [row[:shown] for row in rows])


def _tell_of_secrets(items: Sequence[Any]) -> None:
    if not items:
        return
    executions = f"{len(items):,} execution{'s' * (len(items) != 1)}"
    tell(f"Secrets were left out of {executions}; --with-credentials takes them along:")
    for each in items[:MOST]:
        tell(f"  {each.kind} {display.plain(each.name)}: {display.plain(', '.join(each.left_out))}")
    if len(items) > MOST:
        tell(f"  ... and {len(items) - MOST:,} more, all of which --json has")
