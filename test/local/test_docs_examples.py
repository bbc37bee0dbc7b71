"""Every example of the pages of the client's APIs and models runs against the service."""

from __future__ import annotations

import pytest

from libica.local import LocalTes
from libica.openapi import libtes
from libica.openapi.libtes import api, models

from ..test_docs import EXAMPLES, Example, failures
from .caller import SLEEP, Caller

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
    if ".abort_task_run(" in example.source:  # it aborts a run that must not have ended by then
        large = {"resources": {"type": "standardHiMem", "size": "xlarge"}}  # runs alone
        run = caller.made("POST", "/v1/tasks/runs", {"execution": {**SLEEP, "environment": large}})
        caller.run_when(run["id"], "Running")
    monkeypatch.setenv("ICA_BASE_URL", shared_tes.url)
    monkeypatch.setenv("ICA_ACCESS_TOKEN", caller.token)
    example.run()
    expected = [libtes.NotFoundException] if example.path.stem == "ErrorResponse" else []
    assert [type(each) for each in failures] == expected
    assert caller.token not in capsys.readouterr().out
