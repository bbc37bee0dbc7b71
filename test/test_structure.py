"""How the client is built: imports only go down, few dependencies each in one place, and small."""

from __future__ import annotations

import ast
import functools
import io
import re
import sys
import tokenize
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


def within(found: list[Import]) -> set[str]:
    return {part_of(each.module) for each in found if each.module.startswith(PACKAGE)}


def third_party(found: list[Import]) -> set[str]:
    tops = {each.module.partition(".")[0] for each in found}
    return tops - {"libica"} - set(sys.stdlib_module_names)


def test_every_part_is_known() -> None:
    assert {part_of(module_of(file)) for file in FILES} == set(ALLOWED)


@each_file
def test_imports_only_go_down(file: Path) -> None:
    part = part_of(module_of(file))
    found = within([each for each in imports(file) if not each.for_types])
    assert found <= ALLOWED[part] | {part}


@each_file
def test_imports_for_types_do_not_go_up(file: Path) -> None:
    part = part_of(module_of(file))
    below, new = {part}, ALLOWED[part]
    while new - below:
        below |= new
        new = {each for known in below for each in ALLOWED.get(known, ())}
    if part == "__init__":
        below |= set(ALLOWED)
    assert within(imports(file)) <= below


def test_no_part_reaches_itself_through_others() -> None:
    reached = {part: set(allowed) for part, allowed in ALLOWED.items()}
    for _ in ALLOWED:
        for parts in reached.values():
            parts.update(*(reached.get(part, ()) for part in list(parts)))
    assert not [part for part, parts in reached.items() if part in parts]


@each_file
def test_nothing_is_imported_from_elsewhere_in_libica(file: Path) -> None:
    elsewhere = {each.module for each in imports(file) if each.module.startswith("libica")}
    assert all(each.startswith(PACKAGE) for each in elsewhere)


@pytest.mark.skipif(sys.version_info < (3, 10), reason="Python 3.9 cannot list its own modules")
def test_the_run_time_needs_the_standard_library_the_dependencies_and_an_extra_only() -> None:
    found = [each for file in FILES for each in imports(file) if not each.for_types]
    assert third_party(found) == DEPENDENCIES | EXTRAS


@pytest.mark.skipif(sys.version_info < (3, 10), reason="Python 3.9 cannot list its own modules")
def test_type_checkers_need_typing_extensions_beside_these() -> None:
    found = [each for file in FILES for each in imports(file)]
    assert third_party(found) == DEPENDENCIES | EXTRAS | {"typing_extensions"}


@pytest.mark.parametrize("dependency", ["six", "dateutil", "certifi", "orjson"])
def test_a_small_dependency_has_one_place(dependency: str) -> None:
    places = [
        name
        for name, file in zip(NAMES, FILES)
        if any(each.module.partition(".")[0] == dependency for each in imports(file))
    ]
    assert len(places) == 1


def test_the_run_time_imports_urllib3_in_the_transport_alone() -> None:
    parts = {
        part_of(module_of(file))
        for file in FILES
        for each in imports(file)
        if each.module.partition(".")[0] == "urllib3" and not each.for_types
    }
    assert parts == {"_errors", "_messages", "_proxies", "_retry", "_transport"}


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
    assert sum(len(lines_of_code(file)) for file in FILES) < 2640


def test_the_folders_above_the_client_are_open_to_other_packages() -> None:
    assert not (ROOT / "libica" / "__init__.py").exists()
    assert not (ROOT / "libica" / "openapi" / "__init__.py").exists()


def test_type_checkers_are_told_that_the_client_is_typed() -> None:
    assert (CLIENT / "py.typed").is_file()


@pytest.mark.parametrize(
    "file", [file for file in FILES if file.parent.name != "models"], ids=lambda file: file.name
)
def test_a_file_says_in_its_first_line_what_it_is_for(file: Path) -> None:
    assert file.read_text(encoding="utf-8").startswith('"""')
