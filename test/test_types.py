"""Type checkers and editors see what users get.

mypy and pyright read the files of ``typing/``; Pylance's language server, which is pyright's, is
asked what it shows over and inside a call.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .helpers import ROOT
from .language_server import LanguageServer, serving

FILES = sorted((Path(__file__).parent / "typing").glob("*.py"))


def check(checker: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a type checker over the files, or skip where it is not installed."""
    if importlib.util.find_spec(checker) is None:
        pytest.skip(f"{checker} is not installed")
    command = [sys.executable, "-m", checker, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


def test_mypy_sees_what_users_get(tmp_path: Path) -> None:
    options = ["--strict", "--warn-unused-ignores", "--enable-error-code=unused-awaitable"]
    done = check("mypy", *options, f"--cache-dir={tmp_path}", *map(str, FILES))
    expected = f"Success: no issues found in {len(FILES)} source files"
    assert done.stdout.splitlines()[-1:] == [expected], done.stdout + done.stderr


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
    options = ["--outputjson", f"--pythonpath={sys.executable}", f"--project={project}"]
    done = check("pyright", *options)
    report = json.loads(done.stdout)
    assert report["summary"]["filesAnalyzed"] == len(FILES)
    assert [x for x in report["generalDiagnostics"] if x["severity"] in ("error", "warning")] == []


def test_the_stubs_are_what_the_declarations_say() -> None:
    command = [sys.executable, "build-tools/stubs.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


USE = """\
from libica.openapi import libtes

api = libtes.TaskRunsApi()
api.list_task_runs()
api.list_task_runs_with_http_info()
api.iter_task_runs()
api.list_task_runs(pa)
api.list_task_runs_with_http_info(pa)
api.iter_task_runs(pa)
"""
METHODS = ["list_task_runs", "list_task_runs_with_http_info", "iter_task_runs"]
OPTIONS = ("", "async_req=True", "_preload_content=False", "_return_http_data_only=True")
CALLS = [f"api.{method}({{}}, {option})" for method in METHODS[:2] for option in OPTIONS]
CALLS.append(f"api.{METHODS[2]}({{}})")
WRONG = ("page_sise=10", 'page_size="10"')


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LanguageServer]:
    if importlib.util.find_spec("pyright") is None:
        pytest.skip("pyright, whose language server Pylance is made of, is not installed")
    folder = tmp_path_factory.mktemp("editor")
    settings = {"extraPaths": [str(ROOT)], "pythonVersion": "3.9"}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    text = USE + "".join(f"{call.format(each)}\n" for call in CALLS for each in WRONG)
    (folder / "use.py").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "pyright.langserver", "--stdio"]
    with serving(command, folder, text) as server:
        yield server


@pytest.mark.parametrize(
    ("method", "result", "summary"),
    [
        (METHODS[0], "TaskRunSummaryPagedItems", "Get one page of the runs that you can see."),
        (METHODS[1], "tuple[TaskRunSummaryPagedItems, int", "Returns a tuple of data, status and"),
        (METHODS[2], "Iterator[TaskRunSummary]", "Iterate over all pages of `list_task_runs`"),
    ],
)
def test_an_editor_shows_a_method_with_its_own_text_parameters_and_result(
    editor: LanguageServer, method: str, result: str, summary: str
) -> None:
    shown = editor.hover(f"api.{method}()")
    assert shown.startswith(f"(method) def {method}(")
    assert f"-> {result}" in shown
    first, *others = editor.signatures(f"api.{method}(pa)")
    assert f"-> {result}" in first["label"]
    for text in (shown, first["documentation"]["value"]):
        assert summary in text
        assert "status: Show only runs of these statuses, such as `Running`." in text
        assert "_request_timeout: Seconds for the whole call" in text
    for each in (first, *others):
        assert "page_size: int | None = None" in each["label"]


@pytest.mark.parametrize("method", METHODS)
def test_an_editor_completes_the_names_of_arguments(editor: LanguageServer, method: str) -> None:
    assert editor.keywords(f"api.{method}(pa)") == {"page_size=", "page_token="}


@pytest.mark.parametrize("call", CALLS)
def test_an_editor_names_an_argument_that_is_misspelled_or_of_a_wrong_type(
    editor: LanguageServer, call: str
) -> None:
    misspelled, mistyped = (editor.messages()[call.format(each)] for each in WRONG)
    assert '"page_sise"' in misspelled
    assert 'parameter "page_size" of type "int | None" in function "' in mistyped
    assert call.partition("(")[0].removeprefix("api.") in mistyped
