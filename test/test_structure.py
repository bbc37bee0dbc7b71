"""How the client is built: imports only go down, few dependencies each in one place, and small."""

from __future__ import annotations

import ast
import functools
import io
import re
import sys
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from .helpers import PACKAGE, ROOT

CLIENT = ROOT.joinpath(*PACKAGE.split("."))
FILES = sorted(CLIENT.rglob("*.py"))
NAMES = [str(file.relative_to(CLIENT)) for file in FILES]
each_file = pytest.mark.parametrize("file", FILES, ids=NAMES)
DEPENDENCIES = {"urllib3", "dateutil", "certifi", "six"}
EXTRAS = {"orjson"}

# What each part may import of the package at run time; a part is a module or a folder of them.
ALLOWED: dict[str, set[str]] = {
    "_checks": {"exceptions"},
    "_display": {"_redaction"},
    "_errors": {"_messages", "_proxies", "_redaction", "exceptions"},
    "_messages": {"_proxies", "_redaction", "configuration"},
    "_proxies": {"configuration", "exceptions"},
    "_retry": {"exceptions"},
    "_transport": {"_errors", "_messages", "_proxies", "_retry", "configuration", "exceptions"},
    "__init__": {"_lazy", "_redaction", "api", "models"},
    "api": {"api_client", "_checks", "_redaction", "exceptions", "_lazy", "models"},
    "api_client": {
        "_checks",
        "async_result",
        "_errors",
        "_messages",
        "_redaction",
        "configuration",
        "exceptions",
        "models",
        "_transport",
        "version",
    },
    "async_result": set(),
    "_redaction": set(),
    "configuration": {"_checks", "_redaction", "exceptions", "version"},
    "exceptions": set(),
    "_lazy": set(),
    "placeholders": {"exceptions"},
    "models": {"_checks", "_display", "_redaction", "_lazy", "exceptions"},
    "rest": {"_retry", "exceptions"},
    "tokens": {"api_client", "_redaction", "configuration", "exceptions"},
}


class Import(NamedTuple):
    """One imported module, by its absolute name, and whether only type checkers see it."""

    module: str
    for_types: bool


def part_of(module: str) -> str:
    """Return the part of the package that a module, or a name in the package itself, belongs to."""
    part = module[len(PACKAGE) + 1 :].partition(".")[0]
    return {"": "__init__", "__version__": "version"}.get(part, part)


def module_of(file: Path) -> str:
    names = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(names[:-1] if names[-1] == "__init__" else names)


@functools.cache
def imports(file: Path) -> list[Import]:
    """Return all that a file imports, wherever in it the import stands."""
    package = module_of(file).split(".")
    if file.name != "__init__.py":
        package.pop()
    return list(_imports(ast.parse(file.read_text(encoding="utf-8")).body, package, False))


def _imports(nodes: list[ast.AST], package: list[str], for_types: bool) -> Iterator[Import]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (Import(each.name, for_types) for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            if module == PACKAGE:
                yield from (Import(f"{module}.{each.name}", for_types) for each in node.names)
            else:
                yield Import(module, for_types)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            yield from _imports(node.body, package, True)
            yield from _imports(node.orelse, package, for_types)
        else:
            yield from _imports(list(ast.iter_child_nodes(node)), package, for_types)


@functools.cache
def reached(part: str) -> set[str]:
    """Return what a part may import, also through others."""
    allowed = ALLOWED.get(part, set())
    return allowed.union(*map(reached, allowed))


def test_every_part_is_known_and_none_reaches_itself() -> None:
    assert {part_of(module_of(file)) for file in FILES} == set(ALLOWED)
    for part in ALLOWED:
        assert part not in reached(part)  # a `RecursionError` says so too


@each_file
def test_imports_only_go_down(file: Path) -> None:
    part = part_of(module_of(file))
    ours = [each for each in imports(file) if each.module.startswith("libica")]
    assert all(each.module.startswith(PACKAGE) for each in ours)
    assert {part_of(each.module) for each in ours if not each.for_types} <= ALLOWED[part] | {part}
    # Imports for types may skip parts, but do not go up.
    below = set(ALLOWED) if part == "__init__" else reached(part)
    assert {part_of(each.module) for each in ours} <= below | {part}


def test_the_command_uses_what_users_may_use_and_nothing_uses_the_command() -> None:
    command = ROOT / "libica" / "cli"
    used = {"libica", "libica.openapi", f"{PACKAGE}.__version__", "libica.local.__main__"}
    for file in (ROOT / "libica").rglob("*.py"):
        ours = {each.module for each in imports(file) if each.module.startswith("libica")}
        of_the_command = {each for each in ours if f"{each}.".startswith("libica.cli.")}
        if command in file.parents:
            assert ours - of_the_command <= used, file
            assert file.read_text(encoding="utf-8").startswith('"""')
        else:
            assert not of_the_command, file


def places(for_types: bool = False) -> dict[str, set[str]]:
    """Return the parts of the package that import each module of others, by its name."""
    found: dict[str, set[str]] = defaultdict(set)
    for file in FILES:
        for each in imports(file):
            if for_types or not each.for_types:
                found[each.module.partition(".")[0]].add(part_of(module_of(file)))
    return found


@pytest.mark.skipif(sys.version_info < (3, 10), reason="Python 3.9 cannot list its own modules")
def test_it_needs_the_standard_library_the_dependencies_and_an_extra_only() -> None:
    standard = {"libica", *sys.stdlib_module_names}
    assert set(places()) - standard == DEPENDENCIES | EXTRAS
    more = {"typing_extensions"}  # for type checkers
    assert set(places(for_types=True)) - standard == DEPENDENCIES | EXTRAS | more


def test_each_dependency_has_one_place() -> None:
    for dependency in ("six", "dateutil", "certifi", "orjson"):
        assert len(places(for_types=True)[dependency]) == 1
    assert places()["urllib3"] == {"_errors", "_messages", "_proxies", "_retry", "_transport"}


def test_the_dependencies_are_those_that_are_installed_with_the_package() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    _, _, listed = project.partition("\ndependencies = [")
    names = set(re.findall(r'"([\w-]+)', listed.partition("]")[0]))
    assert names == {"urllib3", "python-dateutil", "certifi", "six"}


def lines_of_code(file: Path) -> set[int]:
    """Return the numbers of the lines with code: neither blank, nor of comments or docstrings."""
    text = file.read_text(encoding="utf-8")
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in (tokenize.NAME, tokenize.NUMBER, tokenize.OP, tokenize.STRING):
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            lines -= set(range(node.lineno, (node.end_lineno or 0) + 1))
    return lines


def test_the_client_stays_small() -> None:
    assert sum(len(lines_of_code(file)) for file in FILES) < 2650


def test_the_client_is_typed_and_the_folders_above_it_are_open_to_other_packages() -> None:
    assert (CLIENT / "py.typed").is_file()
    for folder in (CLIENT.parent, CLIENT.parent.parent):
        assert not (folder / "__init__.py").exists()


@pytest.mark.parametrize(
    "file", [file for file in FILES if file.parent.name != "models"], ids=lambda file: file.name
)
def test_a_file_says_in_its_first_line_what_it_is_for(file: Path) -> None:
    assert file.read_text(encoding="utf-8").startswith('"""')
