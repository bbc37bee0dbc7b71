"""Examples in the pages of APIs and models and in the guide to cohorts run on the service."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from libica.local import LocalTes
from libica.openapi import libtes
from libica.openapi.libtes import api, models

from ..test_docs import EXAMPLES, STORY, Example, examples_in, failures
from .caller import SLEEP, Caller

pytestmark = pytest.mark.slow

__all__ = ["failures"]

PAGES = {*vars(api)["__all__"], *vars(models)["__all__"]}
OF_THE_CLIENT = [each for each in EXAMPLES if each.path.stem in PAGES]


def test_each_page_of_the_client_has_an_example() -> None:
    assert {each.path.stem for each in OF_THE_CLIENT} == PAGES


@pytest.mark.parametrize(
    "example", OF_THE_CLIENT, ids=[f"{each.path.stem}:{each.line}" for each in OF_THE_CLIENT]
)
def test_example_runs_against_the_service(
    example: Example,
    shared_tes: LocalTes,
    caller: Caller,
    failures: list[libtes.ApiException],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if ".abort_task_run(" in example.source:  # of a run that must not have ended by then
        large = {"resources": {"type": "standardHiMem", "size": "xlarge"}}  # runs alone
        caller.start({**SLEEP, "environment": large}, "Running")
    monkeypatch.setenv("ICA_BASE_URL", shared_tes.url)
    monkeypatch.setenv("ICA_ACCESS_TOKEN", caller.token)
    example.run()
    expected = [libtes.NotFoundException] if example.path.stem == "ErrorResponse" else []
    assert [type(each) for each in failures] == expected
    assert caller.token not in capsys.readouterr().out


def test_examples_of_the_guide_to_cohorts_run_one_after_the_other(
    shared_tes: LocalTes,
    caller: Caller,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("Agg")
    monkeypatch.setenv("ICA_BASE_URL", shared_tes.url)
    monkeypatch.setenv("ICA_ACCESS_TOKEN", caller.token)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for path in STORY:
        for example in examples_in(path):
            example.run(names)
    assert names["report"].summary() == {"Completed": 2, "Failed": 1}
    assert names["repeated"].summary() == {"Completed": 1}
    launched = Counter(run["name"] for run in caller.ok("GET", "/v1/tasks/runs")["items"])
    assert launched == {
        **dict.fromkeys(("run-1", "run-2"), 1),
        "run-3": 3,  # launched, tried again, and launched with other arguments
        "day-2-NA12878": 1,
        "day-2-NA12891": 1,
    }
    pyplot.close("all")
    assert (tmp_path / "cohort.png").stat().st_size > 5000
    printed = capsys.readouterr().out
    pages = "".join(path.read_text("utf-8") for path in STORY)
    for comment in re.findall(r"print\(.+?\)  # (.+)", pages):
        expected = re.escape(comment).replace(re.escape("..."), ".+")
        assert re.search(expected, printed), comment
