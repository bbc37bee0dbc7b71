"""What `libica.batch` offers, and how it is built: light, and over the public client alone."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import libica.batch
from libica.openapi import libtes

from ..helpers import PACKAGE, ROOT, run_python

FILES = sorted((ROOT / "libica" / "batch").glob("*.py"))
NAMES = """
    BatchError BatchInterrupt BatchWarning JournalError Launch LaunchesError Report abort_all
    duration is_finished launch_all placeholders relaunch wait wait_all
""".split()
each_file = pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)


def imports(file: Path) -> set[str]:
    """Return the modules of this project that a file imports names from."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found.update(each.name for each in node.names)
    return {each for each in found if each.startswith("libica")}


def test_these_names_are_public() -> None:
    assert sorted(libica.batch.__all__) == sorted(NAMES)
    assert set(NAMES) <= set(dir(libica.batch))
    for name in NAMES:
        assert getattr(libica.batch, name).__name__ == name


def test_a_name_is_the_same_however_it_is_reached() -> None:
    code = "import libica.batch.launching as l, libica.batch as b; print(b.placeholders.__name__)"
    assert run_python(code).strip() == "placeholders"


def test_importing_it_loads_next_to_nothing() -> None:
    heavy = ("urllib3", "tqdm", "matplotlib", "pandas", "csv", "tempfile", "ssl")
    code = f"import sys, libica.batch; print([m for m in {heavy} if m in sys.modules])"
    assert run_python(code).strip() == "[]"


def test_launching_loads_neither_tqdm_nor_matplotlib_nor_pandas() -> None:
    heavy = ("tqdm", "matplotlib", "pandas", "polars")
    code = f"""
import sys
from libica.batch import *
print([m for m in {heavy} if m in sys.modules])"""
    assert run_python(code).strip() == "[]"


@each_file
def test_it_stands_on_the_client_alone(file: Path) -> None:
    assert all(each.startswith(PACKAGE) for each in imports(file))


@each_file
def test_a_file_says_in_its_first_line_what_it_is_for(file: Path) -> None:
    assert file.read_text(encoding="utf-8").startswith('"""')


@pytest.mark.parametrize("name", ["BatchError", "JournalError", "LaunchesError"])
def test_the_errors_are_those_of_the_client(name: str) -> None:
    assert issubclass(getattr(libica.batch, name), libtes.OpenApiException)


@pytest.mark.parametrize("name", ["JournalError", "LaunchesError"])
def test_what_the_caller_did_wrong_is_a_value_error(name: str) -> None:
    assert issubclass(getattr(libica.batch, name), libtes.ApiValueError)
