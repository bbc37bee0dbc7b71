"""The page of all options of the command, from what Typer and argparse know of them."""

from __future__ import annotations

import argparse
import re
from typing import Any

from docs.prose import joined, table

HEAD = ("Option", "Meaning", "Default")


def sections_of_commands() -> str:
    """Return a section for each command."""
    from typer.main import get_command

    from libica.cli.commands import app

    group: Any = get_command(app)
    found = {name: each for name, each in group.commands.items() if name != "serve"}
    return joined(
        "## For every command",
        rows_of(group.params),
        *(section(name, each) for name, each in found.items()),
        serve_section(),
    )


def section(name: str, command: Any) -> str:
    """Return the section of a command."""
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.param_type_name == "option"]
    usage = " ".join(["libica-tes", name, *map(shown, arguments)])
    return joined(
        f"## {name}",
        f"> `{usage}`",
        " ".join(command.help.split()).replace("``", "`"),
        table(("Argument", "Meaning"), [(f"`{shown(each)}`", each.help) for each in arguments]),
        rows_of(options),
    )


def shown(argument: Any) -> str:
    """Return an argument as the usage has it."""
    return str(argument.metavar)


def rows_of(options: list[Any]) -> str:
    """Return the table of options as Typer declares them."""
    rows = []
    for each in options:
        if each.name in ("install_completion", "show_completion"):
            continue
        value = "" if each.is_flag else f" {each.metavar or each.name.upper()}"
        given = each.default not in (None, False, [], ()) and not each.is_flag
        default = f"`{each.default}`" if given else ""
        rows.append(
            (", ".join(f"`{opt}{value}`" for opt in each.opts), with_code(each.help), default)
        )
    return table(HEAD, rows)


def serve_section() -> str:
    """Return the section of `serve`, which argparse parses: it has its own extra."""
    from libica.local.__main__ import _parser

    (commands,) = (each.choices for each in _parser()._actions if isinstance(each.choices, dict))
    parser: argparse.ArgumentParser = commands["serve"]
    groups = [
        joined(f"### {str(group.title).capitalize()}", table(HEAD, rows))
        for group in parser._action_groups
        if (rows := [row(each) for each in group._group_actions if each.dest != "help"])
    ]
    return joined(
        "## serve",
        "> `libica-tes serve` or `python -m libica.local serve`",
        str(parser.description),
        "An invalid option is refused in one line before anything is made. In Python, the options "
        "are the arguments of [`LocalTes`](reference/local.md#localtes).",
        *groups,
    )


def row(action: argparse.Action) -> tuple[str, str, str]:
    """Return the row of an option as argparse declares it."""
    value = "" if action.nargs == 0 else f" {action.metavar}"
    meaning, _, default = str(action.help).partition("; default: ")
    shown = default.replace("%(default)s", f"`{action.default}`")
    sentence = f"{meaning[0].upper()}{meaning[1:]}."
    return f"`{action.option_strings[-1]}{value}`", with_code(sentence), with_code(shown)


def with_code(text: str) -> str:
    """Mark the options, URLs and names of the service in a help text as code."""
    return re.sub(
        r"(?<![\w`-])(--[a-z][\w-]*|\w+://[\w/]*|[A-Z]+/\w+/\w+|statusDetails)", r"`\1`", text
    )
