"""The package: its public names, what it imports and how little, and the memory that it needs."""

from __future__ import annotations

import ast
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import libica.batch
from libica.batch import BatchError, JournalError, LaunchesError, Report, workbook
from libica.batch.progress import bar
from libica.openapi import libtes

from ..helpers import PACKAGE, ROOT, run_python
from .service import Service, refuse

FILES = sorted((ROOT / "libica" / "batch").glob("*.py"))
NAMES = """
    BatchError BatchInterrupt BatchWarning JournalError Launch LaunchesError Report abort_all
    duration is_finished launch_all live placeholders relaunch wait wait_all
""".split()
LAYERS = """
    cells delimited workbook tables plan mark html_page report figure plot progress calling journal
    ledger finding sending waiting following launching __init__
""".split()
"""Each module imports only modules that stand before it."""

DEFERRED = {"report": {"journal", "plot", "waiting"}}
"""Methods of a report import these when they are called."""

CLIENT = {
    PACKAGE,
    *(f"{PACKAGE}.{name}" for name in ("_redaction", "exceptions", "placeholders", "rest")),
}
LOOKS = {"html_page": {"_display"}}
"""A report looks as what the client shows does."""


def imports(file: Path) -> Iterator[tuple[str, list[str], bool]]:
    """Yield the modules that a file imports, the names it takes, and whether in a function."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    functions = [each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)]
    deferred = {id(each) for function in functions for each in ast.walk(function)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield module, [each.name for each in node.names], id(node) in deferred
        elif isinstance(node, ast.Import):
            yield from ((each.name, [], id(node) in deferred) for each in node.names)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_imports_only_go_down_and_of_the_client_to_public_names(file: Path) -> None:
    assert file.read_text(encoding="utf-8").startswith('"""')
    below = LAYERS[: LAYERS.index(file.stem)]
    for module, names, deferred in imports(file):
        if module.startswith("."):
            found = names if module == "." else [module.lstrip(".")]
            assert set(found) <= {*below, *(DEFERRED.get(file.stem, set()) if deferred else ())}
        elif module.startswith("libica"):
            assert module in CLIENT
            looks = LOOKS.get(file.stem, set())
            assert module != PACKAGE or set(names) <= {*libtes.__all__, *looks}
            assert {name for name in names if name.startswith("_")} <= looks


def test_these_names_are_public() -> None:
    assert sorted(libica.batch.__all__) == sorted(NAMES)
    assert set(NAMES) <= set(dir(libica.batch))
    for name in set(NAMES) - {"placeholders"}:
        assert getattr(libica.batch, name).__name__ == name
    assert libica.batch.placeholders({"command": "{{b}} {{a}}{{b}}"}) == ["b", "a"]
    with pytest.raises(AttributeError, match="has no attribute 'launch'"):
        libica.batch.launch  # noqa: B018
    assert issubclass(BatchError, libtes.OpenApiException)
    assert issubclass(JournalError, libtes.ApiValueError)
    assert issubclass(LaunchesError, libtes.ApiValueError)


TOO_MANY = [{"name": "a", "arguments": {"sample": "p4ssword", "none": "p4ssword"}}]
FAILURES: dict[str, Callable[[Service], object]] = {
    "launch": lambda service: service.launch(1),
    "table": lambda service: libica.batch.launch_all(service.client, *service.ids, TOO_MANY),
    "wait": lambda service: libica.batch.wait(service.client, "trn.1"),
    "abort": lambda service: libica.batch.abort_all(service.client, ["trn.1"]),
    "live": lambda _: libica.batch.live(Report()),
    "relaunch": lambda service: libica.batch.relaunch(service.client, "none"),
    "from_journal": lambda _: Report.from_journal("none"),
}


@pytest.mark.parametrize("what", FAILURES)
def test_a_failed_call_ends_at_the_line_of_the_caller(what: str, service: Service) -> None:
    if what != "table":
        service.before = refuse(401)
    with pytest.raises((libtes.OpenApiException, OSError)) as info:
        FAILURES[what](service)
    for error in (info.value, info.value.__cause__):
        for frame, _ in traceback.walk_tb(error and error.__traceback__):
            if not frame.f_globals["__name__"].startswith("test."):
                # pytest and IPython leave it out.
                assert frame.f_locals.get("__tracebackhide__"), frame
                assert "p4ssword" not in repr(frame.f_locals)


HEAVY = ["tqdm", "matplotlib", "pandas", "polars"]
REPORT = 'Report([Launch("a", "trn.1")])'


@pytest.mark.parametrize(
    ("code", "heavy"),
    [
        ("import libica.batch", [*HEAVY, "urllib3", "csv", "tempfile", "ssl"]),
        ("from libica.batch import *", HEAVY),
        (
            f"from libica.batch.report import *; repr({REPORT}), {REPORT}.to_dicts()",
            [*HEAVY, "urllib3", "html"],
        ),
        ("from libica.batch.progress import bar\nwith bar(None, 3, '') as it: it.update()", HEAVY),
    ],
)
def test_importing_or_using_it_loads_no_heavy_module(code: str, heavy: list[str]) -> None:
    ask = f"import sys; print([module for module in {heavy} if module in sys.modules])"
    assert run_python(f"{code}\n{ask}").strip() == "[]"


@pytest.mark.parametrize(
    ("module", "use", "told"),
    [
        ("pandas", lambda _: Report().to_frame(), "pandas"),
        ("matplotlib", lambda _: Report().plot(), "'libica-libtes[plot]'"),
        ("tqdm", lambda _: bar(True, 3, "Launches").__enter__(), "'libica-libtes[progress]'"),
        ("openpyxl", workbook.read, "'libica-libtes[excel]'"),
    ],
)
def test_a_missing_package_is_named_with_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, module: str, use: Any, told: str
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "path_importer_cache", {})
    with pytest.raises(ModuleNotFoundError, match=f"{module}.*{re.escape('pip install ' + told)}"):
        use(Path())


LAUNCH_LARGE = """
import resource
from libica.batch import launch_all
from libica.openapi import libtes
from bench import cases, server

def launches(count):
    for number in range(count):
        arguments = dict.fromkeys(("sample", "volume", "genome"), "x" * 6000)
        yield {"name": f"sample-{number}", "arguments": {**arguments, "threads": str(number)}}

def launch(count, journal):
    report = launch_all(client, cases.TASK, cases.VERSION, launches(count), journal=journal)
    assert report.summary() == {"Pending": count}
    return report, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

with server.running(cases.RESPONSES) as host:
    client = libtes.ApiClient(libtes.Configuration(host))
    _, before = launch(300, folder + "/small")
    report, after = launch(1300, folder + "/journal")
    print(after - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the unit is known on Linux only")
def test_requests_are_not_kept_in_memory(tmp_path: Path) -> None:
    grown = int(run_python(f"folder = {str(tmp_path)!r}\n{LAUNCH_LARGE}"))
    assert grown < 10_000  # kilobytes; the requests have 23,000
