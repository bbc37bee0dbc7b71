"""The fixture ``local_tes`` that the package provides to tests of its users."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ..helpers import ROOT

pytestmark = pytest.mark.slow

PLUGIN = "libica.local.pytest_plugin"


def pytest_in(folder: Path, tests: str) -> str:
    (folder / "test_it.py").write_text(tests)
    command = [sys.executable, "-m", "pytest", "-W", "error", "-p", PLUGIN]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", "--rootdir", str(folder), str(folder)],
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


def test_each_test_gets_an_empty_service_and_others_load_nothing(tmp_path: Path) -> None:
    tests = """
import sys
import pytest

def test_without_the_fixture():
    assert not {"starlette", "uvicorn", "sqlite3", "libica.local.service"} & set(sys.modules)

@pytest.mark.parametrize("number", [1, 2])
def test_with_the_fixture(local_tes, number):
    from libica.openapi import libtes

    with libtes.ApiClient(local_tes.configuration()) as client:
        tasks = libtes.TasksApi(client)
        assert tasks.list_tasks().items == []
        tasks.create_task(body={"name": "t"})
"""
    assert "3 passed" in pytest_in(tmp_path, tests)


def test_tests_run_where_no_web_server_is_installed(tmp_path: Path) -> None:
    tests = """
import sys
sys.modules["starlette"] = sys.modules["uvicorn"] = None

def test_without_the_fixture():
    pass

def test_with_the_fixture(local_tes):
    pass
"""
    printed = pytest_in(tmp_path, tests)
    assert "1 passed, 1 error" in printed
    assert "libica-libtes[local]" in printed


def test_the_package_registers_the_plugin_with_pytest() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'[project.entry-points.pytest11]\n"{PLUGIN}" = "{PLUGIN}"' in project
