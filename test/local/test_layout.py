"""How the local service is laid out: imports only go down, and a node stands alone."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ..helpers import ROOT
from ..test_structure import imports

LOCAL = ROOT / "libica" / "local"
FILES = sorted(LOCAL.rglob("*.py"))
each_file = pytest.mark.parametrize("file", FILES, ids=[str(f.relative_to(LOCAL)) for f in FILES])

# What each package may import of the others, and which distributions.
ALLOWED: dict[str, set[str]] = {
    "page": {"node", "service", "store"},
    "service": {"engine", "node", "store"},
    "store": {"node.folder_lock", "node.job"},
    "mirroring": {"store"},
    "engine": {"node"},
    "node": set(),
    "__init__": {"mirroring", "service"},
    "__main__": {"__init__", "node.containers", "node.job", "node.termination", "service"},
    "pytest_plugin": {"__init__", "service"},
}
DISTRIBUTIONS: dict[str, set[str]] = {
    "service": {"itsdangerous", "jwt", "prometheus_client", "starlette", "uvicorn"},
    "page": {"itsdangerous", "jinja2", "starlette"},
    "node": {"certifi", "fsspec", "psutil", "urllib3"},
    "pytest_plugin": {"pytest"},
}
CLIENT = "libica.openapi.libtes"


def part_of(file: Path) -> str:
    return file.relative_to(LOCAL).parts[0].partition(".")[0]


@each_file
def test_imports_only_go_down(file: Path) -> None:
    assert file.read_text(encoding="utf-8").startswith('"""')  # says what the file is for
    part = part_of(file)
    # It puts the parts together.
    above = {"page"} if file == LOCAL / "service" / "server.py" else set()
    modules = {each.module for each in imports(file) if each.module.startswith("libica.local")}
    names = {module[len("libica.local.") :] or "__init__" for module in modules}
    allowed = ALLOWED[part] | {part} | above
    assert all(any(f"{name}.".startswith(f"{each}.") for each in allowed) for name in names), names


@each_file
def test_of_the_client_only_models_and_placeholders_are_shared(file: Path) -> None:
    shared = {f"{CLIENT}.models", f"{CLIENT}.placeholders"}
    if part_of(file) == "page":
        shared.add(f"{CLIENT}._redaction")  # what is secret is decided in one place
    if part_of(file) == "service":
        shared.add(f"{CLIENT}.Configuration")  # for whoever calls the service
    if part_of(file) == "mirroring":
        shared.add("libica.openapi")  # it calls another service, as users do
    modules = {each.module for each in imports(file) if each.module.startswith("libica.openapi")}
    found = {".".join(module.split(".")[:4]) for module in modules}
    assert found <= shared


@each_file
@pytest.mark.skipif(sys.version_info < (3, 10), reason="Python 3.9 cannot list its own modules")
def test_third_party_packages_are_imported_where_they_belong(file: Path) -> None:
    distributions = {each.module.partition(".")[0] for each in imports(file)}
    allowed = {"libica", *sys.stdlib_module_names, *DISTRIBUTIONS.get(part_of(file), set())}
    assert distributions <= allowed
