"""This distribution, as a wheel and as an editable checkout, beside PyPI's libica 3.

With the real libica, mypy and pyright. Both distributions put files under ``libica/``, and either
may be installed first and uninstalled first.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Optional

import pytest

from .helpers import ROOT
from .real_parts import lacking

pytestmark = pytest.mark.installing

OURS, THEIRS = "libica-libtes", "libica"
NEEDED = "certifi six python-dateutil urllib3 pydantic typing-extensions".split()  # by either
SOURCES = "build-tools libica pyproject.toml MANIFEST.in README.md CHANGELOG.md LICENSE".split()
USE_OURS = """
import libica.openapi.libtes
from libica import batch
from libica.openapi import libtes
from libica.openapi.libtes import Configuration
from libica.openapi.libtes.models.task_version import TaskVersion

assert callable(batch.launch_all) and libica.openapi.libtes is libtes
version = TaskVersion().version
name = libtes.Image("a").name
host = Configuration("https://a").host
"""
USE_THEIRS = """
import libica.openapi.v3
from libica.openapi import v3
from libica.openapi.v3 import Configuration as Configuration3

assert libica.openapi.v3 is v3
host3 = Configuration3(host="https://b").host
"""
TYPES_OF_OURS = {"name": "str | None", "host": "str", "version": "str | None"}
TYPES_OF_THEIRS = {"host3": "str"}
CHECKERS = {
    "mypy --strict --python-executable={}": r':(\d+): note: Revealed type is "(.*)"',
    "pyright --pythonpath={}": r':(\d+):\d+ - information: Type of ".*" is "(.*)"',
}


def run(*command: str, cwd: Optional[Path] = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300)


def pip(*arguments: str) -> None:
    done = run(sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments)
    if done.returncode:
        lacking("pypi", f"pip {' '.join(arguments)} failed: {done.stderr.strip()[-300:]}")


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the distributions are built from."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, folder)
    return folder


@pytest.fixture(scope="session")
def wheels(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheels of both distributions."""
    folder = tmp_path_factory.mktemp("wheels")
    pip("wheel", "--no-deps", f"--wheel-dir={folder}", str(checkout))
    pip("download", "--no-deps", f"--dest={folder}", f"{THEIRS}>=3,<4")
    return {file.name.partition("-")[0].replace("_", "-"): file for file in folder.iterdir()}


class Environment:
    """A virtual environment, and what a user does with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        scripts = folder / ("Scripts" if sys.platform == "win32" else "bin")
        self.python = str(scripts / "python")
        self.install(*NEEDED)

    def install(self, *what: str) -> None:
        pip("--python", self.python, "install", "--no-deps" if "/" in what[-1] else "-q", *what)

    def uninstall(self, name: str) -> None:
        pip("--python", self.python, "uninstall", "--yes", name)

    def run(self, code: str) -> str:
        """Run code, and return how it failed: nothing if it did not."""
        return run(self.python, "-I", "-W", "error::ImportWarning", "-c", code).stderr

    def check(self, code: str, types: dict[str, str]) -> None:
        """Check that mypy and pyright see these types, by name, and have no complaints."""
        lines = code.splitlines()
        asked = {len(lines) + number: name for number, name in enumerate(types, 1)}
        text = "\n".join([*lines, *(f"reveal_type({name})" for name in types), ""])
        (self.folder / "use.py").write_text(text)
        for checker, revealed in CHECKERS.items():
            command = [sys.executable, "-m", *checker.format(self.python).split(), "use.py"]
            done = run(*command, cwd=self.folder)
            told = {asked[int(line)]: said for line, said in re.findall(revealed, done.stdout)}
            assert told == types
            assert not re.findall(r".*\berror\b: .*|.* - error: .*", done.stdout + done.stderr)


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    pytest.importorskip("mypy")
    pytest.importorskip("pyright")
    return Environment(tmp_path)


def test_the_wheels_share_no_file(wheels: dict[str, Path]) -> None:
    files = [set(zipfile.ZipFile(wheels[name]).namelist()) for name in (OURS, THEIRS)]
    assert not files[0] & files[1]
    stubs = {name for name in files[0] if name.endswith(".pyi")}
    assert {name for name in stubs if "/libtes/" not in name} == {"libica/__init__.pyi"}


@pytest.mark.parametrize(("kind", "first"), [("wheel", THEIRS), ("editable", OURS)])
def test_both_work_in_one_environment_until_they_are_uninstalled(
    environment: Environment, checkout: Path, wheels: dict[str, Path], kind: str, first: str
) -> None:
    install = {
        OURS: [str(wheels[OURS])] if kind == "wheel" else ["--editable", str(checkout)],
        THEIRS: [str(wheels[THEIRS])],
    }
    second = THEIRS if first == OURS else OURS
    environment.install(*install[first])
    environment.install(*install[second])

    assert environment.run(USE_OURS + USE_THEIRS) == ""
    environment.check(USE_OURS + USE_THEIRS, {**TYPES_OF_OURS, **TYPES_OF_THEIRS})

    environment.uninstall(THEIRS)
    assert environment.run(USE_OURS) == ""
    assert "No module named 'libica.openapi.v3'" in environment.run(USE_THEIRS)
    environment.check(USE_OURS, TYPES_OF_OURS)

    environment.install(*install[THEIRS])
    environment.uninstall(OURS)
    assert environment.run(USE_THEIRS) == ""
    assert "No module named 'libica.openapi.libtes'" in environment.run(USE_OURS)


def test_an_editable_checkout_names_all_packages_for_pyright(wheels: dict[str, Path]) -> None:
    (named,) = re.findall(r"__all__ = (.*)", (ROOT / "libica/openapi/__init__.pyi").read_text())
    files = [file for each in wheels.values() for file in zipfile.ZipFile(each).namelist()]
    packages = {*re.findall(r"^libica/openapi/(\w+)/__init__\.py$", "\n".join(files), re.MULTILINE)}
    assert set(ast.literal_eval(named)) == packages


START = ROOT / "docs" / "start.md"


@pytest.mark.skipif(sys.platform == "win32", reason="the page is for a POSIX shell")
def test_the_start_page_leads_from_an_installation_to_a_finished_cohort(
    wheels: dict[str, Path], tmp_path: Path
) -> None:
    text = START.read_text(encoding="utf-8")
    blocks = re.findall(r"^```(sh|text)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (_, install), (_, serve), (_, printed), *steps = blocks
    environment = {name: each for name, each in os.environ.items() if not name.startswith("ICA_")}
    environment |= {
        "PIP_FIND_LINKS": str(wheels[OURS].parent),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PYTHONWARNINGS": "",  # the pip of older Pythons has some
    }

    def shell(script: str) -> subprocess.CompletedProcess[str]:
        command = ["bash", "-euc", script]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
        )

    done = shell(install)
    if done.returncode:
        lacking("pypi", f"pip install failed: {done.stderr.strip()[-300:]}")
    active = ". .venv/bin/activate\n"
    command = ["bash", "-c", f"{active}exec {serve.strip()} --port 0"]  # 8765 may be taken
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
    ) as service:
        try:
            assert service.stdout is not None
            lines = [service.stdout.readline() for _ in printed.splitlines()]
            exports = dict(re.findall(r"export (\w+)=(.+)", "".join(lines)))
            assert exports.keys() == set(re.findall(r"export (\w+)=", printed))
            environment |= exports
            shown = ""
            for kind, block in steps:
                if kind == "sh":
                    done = shell(active + block)
                    shown = " ".join(done.stdout.split())
                else:
                    for line in block.splitlines():
                        expected = re.escape(" ".join(line.split()))
                        assert re.search(expected.replace(r"\.\.\.", ".*"), shown)
                    assert done.returncode == (3 if "Failed" in block else 0), done.stderr
        finally:
            service.terminate()
    assert service.returncode == 0
    assert {path.name for path in tmp_path.iterdir()} >= {"cohort.html", "report.csv"}
