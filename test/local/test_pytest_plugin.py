"""The fixture that the package gives to others' tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PLUGIN = "libica.local.pytest_plugin"


def pytest_in(folder: Path, test: str) -> str:
    (folder / "test_it.py").write_text(test)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-W",
        "error",
        "-p",
        PLUGIN,
        "-p",
        "no:cacheprovider",
    ]
    done = subprocess.run(
        [*command, "--rootdir", str(folder), str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


def test_each_test_gets_an_empty_service_of_its_own(tmp_path: Path) -> None:
    test = """
import pytest
from libica.openapi import libtes

@pytest.mark.parametrize("number", [1, 2])
def test_it(local_tes, number):
    with libtes.ApiClient(local_tes.configuration()) as client:
        tasks = libtes.TasksApi(client)
        assert tasks.list_tasks().items == []
        tasks.create_task(body={"name": "t"})
"""
    assert "2 passed" in pytest_in(tmp_path, test)


def test_tests_without_the_fixture_load_nothing(tmp_path: Path) -> None:
    test = """
import sys

def test_it():
    assert not {"starlette", "uvicorn", "sqlite3", "libica.local.service.server"} & set(sys.modules)
"""
    assert "1 passed" in pytest_in(tmp_path, test)


def test_tests_run_where_no_web_server_is_installed(tmp_path: Path) -> None:
    test = """
import sys
sys.modules["starlette"] = sys.modules["uvicorn"] = None

def test_it():
    pass

def test_with_fixture(local_tes):
    pass
"""
    told = pytest_in(tmp_path, test)
    assert "1 passed, 1 error" in told
    assert "libica-libtes[local]" in told


def test_the_package_gives_the_plugin_to_pytest() -> None:
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    assert f'[project.entry-points.pytest11]\n"{PLUGIN}" = "{PLUGIN}"' in project
