"""Type checkers see what users get: the files of ``typing/`` are read by mypy and pyright."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .helpers import ROOT

FILES = sorted((Path(__file__).parent / "typing").glob("*.py"))


def check(checker: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a type checker over the files, or skip where it is not installed."""
    if importlib.util.find_spec(checker) is None:
        pytest.skip(f"{checker} is not installed")
    command = [sys.executable, "-m", checker, *arguments]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )


def test_mypy_sees_what_users_get(tmp_path: Path) -> None:
    done = check(
        "mypy",
        "--strict",
        "--warn-unused-ignores",
        "--enable-error-code=unused-awaitable",
        f"--cache-dir={tmp_path}",
        *map(str, FILES),
    )
    assert done.stdout.splitlines()[-1:] == [
        f"Success: no issues found in {len(FILES)} source files"
    ], done.stdout + done.stderr


def test_pyright_sees_what_users_get(tmp_path: Path) -> None:
    settings = {
        "include": [os.path.relpath(file, tmp_path) for file in FILES],
        "extraPaths": [str(ROOT)],
        "typeCheckingMode": "strict",
        "enableTypeIgnoreComments": True,
        "reportUnnecessaryTypeIgnoreComment": "error",
        # The files say things on purpose that no program would.
        "reportUnusedExpression": "none",
        "reportUnusedCallResult": "none",
        "reportUnnecessaryComparison": "none",
    }
    project = tmp_path / "pyrightconfig.json"
    project.write_text(json.dumps(settings), encoding="utf-8")
    done = check(
        "pyright", "--outputjson", f"--pythonpath={sys.executable}", f"--project={project}"
    )
    report = json.loads(done.stdout)
    assert report["summary"]["filesAnalyzed"] == len(FILES)
    found = [
        "{}:{}: {}".format(
            Path(each["file"]).name, each["range"]["start"]["line"] + 1, each["message"]
        )
        for each in report["generalDiagnostics"]
        if each["severity"] in ("error", "warning")
    ]
    assert found == [], "\n".join(found)
