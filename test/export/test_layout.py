"""Exports need the client, and of the local service only how an execution is read; no extra."""

from __future__ import annotations

import sys

import pytest

from ..helpers import ROOT
from ..test_structure import imports

FILES = sorted((ROOT / "libica" / "export").glob("*.py"))
ALLOWED = {
    "libica.openapi",
    "libica.openapi.libtes.placeholders",
    "libica.openapi.libtes.models.encoding",
    *(f"libica.local.node.{each}" for each in ("job", "machines", "places", "staging")),
}


@pytest.mark.skipif(sys.version_info < (3, 10), reason="Python 3.9 cannot list its own modules")
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_imports_only_go_down(file: object) -> None:
    modules = {each.module for each in imports(file)}
    ours = {each for each in modules if each.startswith("libica")}
    assert {each for each in ours if not f"{each}.".startswith("libica.export.")} <= ALLOWED
    assert {each.partition(".")[0] for each in modules - ours} <= set(sys.stdlib_module_names)
