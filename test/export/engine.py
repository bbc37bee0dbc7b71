"""cwltool: whether it is here, what it makes of a tool, and running one in images of podman."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from libica.export import Export

from ..real_parts import lacking

PYTHONS = ((3, 13), (3, 15))
"""From which version of Python test-requirements.txt has cwltool and py-tes, and before which."""
_MAIN = "import sys; from cwltool.main import main; "  # `python -m cwltool` ends with 0 always
_RUN = """
for each in sys.argv[1:]:
    print("==== " + each, file=sys.stderr, flush=True)
    if main(["--outdir", f"{each}/out", f"{each}/tool.cwl", f"{each}/order.json"]):
        sys.exit(1)
"""
_VALIDATE = (
    "for each in sys.argv[1:]: main(['--validate', each]) and sys.stderr.write(f'{each}\\n')"
)


def needs(module: str) -> Any:
    """Import a module of cwltool or py-tes, or skip the test."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return __import__(module, fromlist=["*"])
    except ImportError as error:
        if not PYTHONS[0] <= sys.version_info < PYTHONS[1]:
            pytest.skip("test-requirements.txt has neither cwltool nor py-tes for this Python")
        lacking("cwltool", f"{module} cannot be imported: {error}")


class Line(NamedTuple):
    """What cwltool would run."""

    arguments: list[str]
    variables: dict[str, str]


def evaluated(exported: Export, order: Mapping[str, Any], folder: Path) -> Line:
    """Return the command line that cwltool makes of a tool and its inputs."""
    context, load_tool = needs("cwltool.context"), needs("cwltool.load_tool")
    loading = context.LoadingContext()
    loading.construct_tool_object = needs("cwltool.workflow").default_make_tool
    logging.getLogger("cwltool").setLevel(logging.ERROR)
    file = folder / "tool.cwl"
    file.write_text(exported.text(), encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tool = load_tool.load_tool(str(file), loading)
        job = next(iter(tool.job(dict(order), lambda *_: None, context.RuntimeContext())))
    return Line(job.command_line, dict(job.environment))


def refused(*files: Path) -> list[Path]:
    """Return those of the files that `cwltool --validate` refuses; print what it says."""
    needs("cwltool")
    done = _python("-c", f"{_MAIN}\n{_VALIDATE}", *files)
    print(done.stdout)
    return list(map(Path, done.stderr.splitlines()))


def run(tools: Mapping[Path, tuple[Export, Mapping[str, Any]]], folder: Path) -> dict[Path, str]:
    """Run tools with podman in place of docker, all in one process; return their logs.

    Each runs in a folder of its own, in which its outputs are in ``out``.
    """
    needs("cwltool")
    docker = folder / "bin/docker"  # as the package podman-docker has it
    docker.parent.mkdir()
    docker.write_text('#!/bin/sh\nexec podman "$@"\n')
    docker.chmod(0o755)
    for each, (exported, order) in tools.items():
        each.mkdir(exist_ok=True)
        (each / "tool.cwl").write_text(exported.text(), encoding="utf-8")
        (each / "order.json").write_text(json.dumps(order))
    path = f"{docker.parent}{os.pathsep}{os.environ['PATH']}"
    done = _python("-c", f"{_MAIN}\n{_RUN}", *tools, PATH=path)
    assert done.returncode == 0, done.stderr
    logs = (each.partition("\n") for each in done.stderr.split("==== ")[1:])
    return {Path(name): log for name, _, log in logs}


def _python(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONWARNINGS"}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        env={**kept, **variables},
        capture_output=True,
        text=True,
        timeout=300,
    )
