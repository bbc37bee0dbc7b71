"""Memory for many launches from a generator."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ..helpers import run_python

pytestmark = pytest.mark.slow

CODE = """
import resource
from libica.batch import launch_all
from libica.openapi import libtes
from bench import cases, server

def launches(count):
    for number in range(count):
        arguments = dict.fromkeys(("sample", "volume", "genome"), "x" * 6000)
        yield {{"name": f"sample-{{number}}", "arguments": {{**arguments, "threads": str(number)}}}}

def launch(count, journal):
    report = launch_all(client, cases.TASK, cases.VERSION, launches(count), journal=journal)
    assert report.summary() == {{"Pending": count}}
    return report, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

with server.running(cases.RESPONSES) as host:
    client = libtes.ApiClient(libtes.Configuration(host))
    _, before = launch(300, {journal!r} + ".small")
    report, after = launch({count}, {journal!r})
    print(after - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the unit is known on Linux only")
def test_the_requests_are_not_kept_in_memory(tmp_path: Path) -> None:
    grown = int(run_python(CODE.format(count=1300, journal=str(tmp_path / "journal"))))
    assert grown < 10_000  # kilobytes; the requests have 23,000
