"""The commands and their options. What they need is imported when they run, to start quickly."""

# The annotations are evaluated: some versions of Typer do not see those of Python 3.9 otherwise.

from pathlib import Path
from typing import Annotated, Any, Optional

import typer
from typer.core import TyperCommand, TyperGroup

STATUSES = (
    *("Pending", "Running", "Completed", "Failed", "TimedOut", "Aborted"),
    *("CheckedOut", "Runnable", "Finalizing", "FailedRestartable"),
)
OUTCOMES = (*STATUSES[:6], "Not launched", "Unsure", "Lost")
FORMS = ("ga4gh", "cwl")


class Interrupted(Exception):  # noqa: N818 nothing is wrong
    """Ctrl-C; its cause says more, of which Typer would leave only an exit status."""


class _Commands(TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise Interrupted from error


class _Serve(TyperCommand):
    """Passes its options on; they are completed as the help of `serve` has them."""

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Return what may follow."""
        import re
        from contextlib import redirect_stdout, suppress
        from io import StringIO

        from libica.local.__main__ import main

        (serve, *_) = ctx.parent.command.shell_complete(ctx.parent, "serve")
        with redirect_stdout(StringIO()) as told, suppress(SystemExit):
            main(["serve", "--help"])
        found = re.findall(r"^  (?:-h, )?(--[\w-]+)", told.getvalue(), re.MULTILINE)
        # The class of completions has moved between versions of Typer.
        return [type(serve)(name) for name in found if name.startswith(incomplete)]


app: typer.Typer = typer.Typer(
    cls=_Commands,
    help="Tasks, runs and cohorts of a Task Execution Service (TES) v1. Set ICA_BASE_URL to the "
    "service, and ICA_ACCESS_TOKEN or ICA_API_KEY to your token or key.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _known(known: tuple[str, ...], given: Optional[str]) -> list[str]:
    """Return the statuses in a list with commas, spelled as the service spells them."""
    names = {each.lower().replace(" ", ""): each for each in known}
    found = []
    for each in filter(None, map(str.strip, (given or "").split(","))):
        name = names.get(each.lower().replace(" ", ""))
        if name is None:
            raise typer.BadParameter(
                f"{each!r} is not one of {', '.join(known)}.", param_hint="'--status'"
            )
        found.append(name)
    return found


def _completed(known: tuple[str, ...], incomplete: str) -> list[str]:
    done, comma, last = incomplete.rpartition(",")
    return [f"{done}{comma}{each}" for each in known if each.lower().startswith(last.lower())]


def _statuses(incomplete: str) -> list[str]:
    return _completed(STATUSES, incomplete)


def _forms(incomplete: str) -> list[str]:
    return _completed(FORMS, incomplete)


def _outcomes(incomplete: str) -> list[str]:
    return _completed(OUTCOMES, incomplete)


def _flag(*names: str, help: str) -> Any:  # noqa: A002 as Typer names it
    return typer.Option(*names, help=help, metavar="")  # Typer's is <bool>, but it takes no value


Json = Annotated[bool, _flag("--json", help="Print JSON, for programs.")]
Limit = Annotated[int, typer.Option(min=1, metavar="N", help="Show N at most.")]
All = Annotated[bool, _flag("--all", help="Show all, however many.")]
TaskName = Annotated[str, typer.Argument(metavar="TASK", help="Name or id of the task.")]
VersionName = Annotated[str, typer.Argument(metavar="VERSION", help="Name or id of the version.")]
RunName = Annotated[
    str, typer.Argument(metavar="RUN", help="Id of the run, or its name: the newest of that name.")
]
JournalFile = Annotated[Path, typer.Argument(metavar="JOURNAL", help="Journal of the cohort.")]
Wait = Annotated[bool, _flag("--wait", help="Then wait until all runs have finished.")]
Concurrency = Annotated[
    int, typer.Option(min=1, metavar="N", help="Send so many requests at the same time.")
]
InFlight = Annotated[
    Optional[int],
    typer.Option(min=1, metavar="N", help="Have at most so many runs that have not finished."),
]
COHORTS, LOOK, SERVICE = "Cohorts", "Look and act", "Your own service"


@app.callback()
def options(
    version: Annotated[bool, _flag("--version", help="Print the version.")] = False,
    debug: Annotated[bool, _flag("--debug", help="Show tracebacks, and log requests.")] = False,
) -> None:
    """Declare what `main` has already dealt with, for the help."""


@app.command(rich_help_panel=LOOK)
def tasks(limit: Limit = 50, show_all: All = False, json: Json = False) -> None:
    """List tasks, the newest first."""
    from libica.openapi import libtes

    from . import listing, service

    with service.connect() as client:
        found = libtes.TasksApi(client).iter_tasks(sort="timeCreated desc")
        listing.items(client, found, None if show_all else limit, json, listing.TASKS)


@app.command(rich_help_panel=LOOK)
def versions(task: TaskName, limit: Limit = 50, show_all: All = False, json: Json = False) -> None:
    """List the versions of a task, the newest first."""
    from libica.openapi import libtes

    from . import listing, service

    with service.connect() as client:
        task_id = service.task(client, task).id
        api = libtes.TaskVersionsApi(client)
        found = api.iter_task_versions(task_id, sort="timeCreated desc")
        listing.items(client, found, None if show_all else limit, json, listing.VERSIONS)


@app.command(rich_help_panel=LOOK)
def runs(
    status: Annotated[
        Optional[str],
        typer.Option(
            metavar="S,...", help="Only runs with these statuses.", autocompletion=_statuses
        ),
    ] = None,
    name: Annotated[Optional[str], typer.Option(help="Only runs with this name.")] = None,
    limit: Limit = 50,
    show_all: All = False,
    json: Json = False,
) -> None:
    """List runs, the newest first."""
    from libica.openapi import libtes

    from . import listing, service

    chosen = _known(STATUSES, status) or None
    with service.connect() as client:
        api = libtes.TaskRunsApi(client)
        found = api.iter_task_runs(sort="timeCreated desc", status=chosen, names=name)
        listing.items(client, found, None if show_all else limit, json, listing.RUNS)


@app.command(rich_help_panel=LOOK)
def show(
    item: Annotated[
        str, typer.Argument(metavar="RUN|TASK", help="Id or name of a run; id of a task.")
    ],
    version: Annotated[
        Optional[str], typer.Argument(metavar="[VERSION]", help="A version of a task.")
    ] = None,
    json: Json = False,
) -> None:
    """Show a run, a task, or a version of a task (TASK VERSION)."""
    from libica.openapi import libtes

    from . import listing, service

    if item.startswith("tvn."):
        raise typer.BadParameter("to show a version, give TASK VERSION.")
    with service.connect() as client:
        if version is not None:
            task = service.task(client, item)
            listing.version(client, task, service.version(client, task.id or "", version), json)
        elif item.startswith("tdn."):
            listing.task(client, service.task(client, item), json)
        else:
            run_id = service.run_id(client, item, newest=True)
            listing.run(client, libtes.TaskRunsApi(client).get_task_run(run_id), json)


@app.command(rich_help_panel=LOOK)
def export(
    task: TaskName,
    version: VersionName,
    form: Annotated[
        str,
        typer.Option("--as", metavar="ga4gh|cwl", help="Form of the file.", autocompletion=_forms),
    ],
    output: Annotated[
        Optional[Path], typer.Option(metavar="FILE", help="Write to a file, not to the output.")
    ] = None,
    argument: Annotated[
        Optional[list[str]],
        typer.Option(metavar="NAME=VALUE", help="Fill a placeholder. Repeat it for others."),
    ] = None,
) -> None:
    """Write a version as a GA4GH TES task or a CWL tool, to run it elsewhere."""
    from . import exporting, service

    if form not in FORMS:
        raise typer.BadParameter(f"{form!r} is not {' or '.join(FORMS)}.", param_hint="'--as'")
    with service.connect() as client:
        exporting.export(client, task, version, form, output, argument or [])


@app.command(rich_help_panel=LOOK)
def logs(
    run: RunName,
    stderr: Annotated[
        bool, _flag("--stderr", help="Show the standard error, not the output.")
    ] = False,
    follow: Annotated[
        bool, _flag("--follow", "-f", help="Go on until the run has finished.")
    ] = False,
    gds: Annotated[
        Optional[str],
        typer.Option(metavar="DIR_OR_URL", help="What gds:// URLs refer to, as for serve."),
    ] = None,
) -> None:
    """Show what a run has written, in its last attempt."""
    from . import logs, service

    with service.connect() as client:
        run_id = service.run_id(client, run, newest=True)
        logs.show(client, run_id, stderr=stderr, follow=follow, gds=gds)


@app.command(rich_help_panel=LOOK)
def abort(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Ids or names of runs.")],
    json: Json = False,
) -> int:
    """Abort runs. One that has finished stays as it is."""
    from libica import batch

    from . import cohorts, service

    with service.connect() as client:
        ids = [service.run_id(client, each) for each in runs]
        return cohorts.aborted(batch.abort_all(client, ids), json)


@app.command(rich_help_panel=COHORTS)
def launch(
    task: TaskName,
    version: VersionName,
    table: Annotated[
        Path,
        typer.Argument(
            metavar="TABLE",
            help="CSV, TSV or .xlsx file: a column of names, and one a placeholder.",
        ),
    ],
    journal: Annotated[
        Optional[Path],
        typer.Option(metavar="FILE", help="Journal, by which the same command resumes."),
    ] = None,
    name_column: Annotated[
        Optional[str], typer.Option(metavar="COLUMN", help="Column of names. Default: name.")
    ] = None,
    ignore_columns: Annotated[
        Optional[list[str]],
        typer.Option(metavar="COLUMN,...", help="Columns that are not arguments."),
    ] = None,
    allow_empty: Annotated[
        bool, _flag("--allow-empty", help="Accept empty cells as arguments.")
    ] = False,
    concurrency: Concurrency = 16,
    max_in_flight: InFlight = None,
    dry_run: Annotated[
        bool, _flag("--dry-run", help="Only check the table; launch nothing.")
    ] = False,
    wait: Wait = False,
    json: Json = False,
) -> int:
    """Launch a version for each row of a table, each row once.

    After Ctrl-C or a failure, the same command with the same journal goes on.
    """
    from libica import batch

    from . import cohorts, service

    if journal is None and not dry_run:
        raise typer.BadParameter("give a file, to go on from.", param_hint="'--journal'")
    ignored = [name for each in ignore_columns or () for name in each.split(",")]
    options: dict[str, Any] = {
        "name_column": name_column,
        "ignore_columns": ignored,
        "allow_empty": allow_empty,
    }
    with service.connect() as client:
        ids = cohorts.plan(client, task, version, table, journal, options)
        if journal is None or dry_run:
            typer.echo("The table fits the version. Nothing was launched.", err=True)
            return 0
        made = batch.launch_all(
            client,
            *ids,
            table,
            journal=journal,
            concurrency=concurrency,
            max_in_flight=max_in_flight,
            **options,
        )
        return cohorts.launched(client, made, journal, wait, json)


@app.command(rich_help_panel=COHORTS)
def wait(
    journal: JournalFile,
    timeout: Annotated[
        Optional[float], typer.Option(min=0, metavar="SECONDS", help="Wait no longer than this.")
    ] = None,
    json: Json = False,
) -> int:
    """Wait until all runs of a cohort have finished."""
    from libica import batch

    from . import cohorts, service

    saved = batch.Report.from_journal(journal)
    with service.connect() as client:
        return cohorts.waited(client, saved, journal, timeout, json)


@app.command(rich_help_panel=COHORTS)
def report(
    journal: JournalFile,
    html: Annotated[
        Optional[Path], typer.Option(metavar="FILE", help="Also write a page with all runs.")
    ] = None,
    csv: Annotated[
        Optional[Path], typer.Option(metavar="FILE", help="Also write a table with all runs.")
    ] = None,
    json: Json = False,
) -> int:
    """Show what became of a cohort, at this moment."""
    from . import cohorts, service

    with service.connect() as client:
        return cohorts.reported(client, journal, html, csv, json)


@app.command(rich_help_panel=COHORTS)
def relaunch(
    journal: JournalFile,
    status: Annotated[
        str, typer.Option(metavar="S,...", help="Which to launch again.", autocompletion=_outcomes)
    ] = "Failed,TimedOut",
    table: Annotated[
        Optional[Path],
        typer.Option(metavar="FILE", help="The table, if it has moved; its rows must be the same."),
    ] = None,
    concurrency: Concurrency = 16,
    max_in_flight: InFlight = None,
    wait: Wait = False,
    json: Json = False,
) -> int:
    """Launch again what failed in a cohort, with the same arguments."""
    from libica import batch

    from . import cohorts, service

    chosen = _known(OUTCOMES, status)
    with service.connect() as client:
        made = batch.relaunch(
            client, journal, table, chosen, concurrency=concurrency, max_in_flight=max_in_flight
        )
        return cohorts.launched(client, made, journal, wait, json)


@app.command(rich_help_panel=SERVICE)
def mirror(
    data: Annotated[
        Path,
        typer.Option(metavar="DIR", help="Data folder, as for serve; made if it does not exist."),
    ],
    tasks: Annotated[
        Optional[list[str]],
        typer.Option(metavar="NAME,...", help="Only these tasks, by name or id. Default: all."),
    ] = None,
    runs: Annotated[bool, _flag("--runs", help="Also take runs that have finished.")] = False,
    with_credentials: Annotated[
        bool,
        _flag(
            "--with-credentials",
            help="Also take secrets in executions: credentials, SECURE_* variables, URL queries.",
        ),
    ] = False,
    dry_run: Annotated[
        bool, _flag("--dry-run", help="Only show what would be taken; write nothing.")
    ] = False,
    json: Json = False,
) -> int:
    """Take tasks and versions along into a data folder, with their ids, for `serve --data DIR`.

    The service is only read. Repeated, it brings what is new or changed; after Ctrl-C or a
    failure, it goes on.
    """
    from . import mirroring, service

    chosen = [each.strip() for given in tasks or () for each in given.split(",")]
    with service.connect() as client:
        return mirroring.mirror(
            client,
            data,
            tasks=list(filter(None, chosen)) if tasks else None,
            runs=runs,
            with_credentials=with_credentials,
            dry_run=dry_run,
            json=json,
        )


@app.command(
    cls=_Serve,
    rich_help_panel=SERVICE,
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
)
def serve(
    arguments: Annotated[
        Optional[list[str]], typer.Argument(metavar="[OPTIONS]", help="As its --help says.")
    ] = None,
) -> int:
    """Start a TES v1 service on this machine, as `python -m libica.local serve` does."""
    from libica.local.__main__ import main

    return main(["serve", *(arguments or ())], program="libica-tes")
