"""Schemathesis finds no server error and no undeclared status in the service."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ..contract import facts
from .serving import Serving

pytestmark = pytest.mark.slow

OTHERS = ("405", "413", "415")  # what `default` may stand for: method, size and type of a request


@pytest.mark.skipif(
    importlib.util.find_spec("schemathesis") is None, reason="schemathesis is not installed"
)
def test_no_server_error_and_no_undeclared_status(
    serve: Callable[..., Serving], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = facts.document()
    for operation in (each for path in document["paths"].values() for each in path.values()):
        default = operation["responses"].pop("default")  # it would admit any status
        operation["responses"].update(dict.fromkeys(OTHERS, default))
    narrowed = tmp_path / "swagger.json"
    narrowed.write_text(json.dumps(document), encoding="utf-8")

    path = os.environ["PATH"]
    monkeypatch.setenv("PATH", str(tmp_path))  # made-up commands find no program
    service = serve("--gds", tmp_path / "gds")
    monkeypatch.setenv("PATH", path)
    command = [
        *[sys.executable, "-W", "ignore", "-m", "schemathesis.cli", "run", str(narrowed)],
        *["--url", service.url, "--header", f"Authorization: Bearer {service.caller().token}"],
        *["--checks", "not_a_server_error,status_code_conformance"],
        *["--phases", "fuzzing", "--max-examples", "4"],
        *["--generation-deterministic", "--no-shrink"],
        *["--suppress-health-check", "all", "--warnings", "off", "--no-color"],
    ]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout[-5000:] + ran.stderr[-2000:]
    assert "Tested: 14" in ran.stdout or "14 / 14" in ran.stdout, ran.stdout
