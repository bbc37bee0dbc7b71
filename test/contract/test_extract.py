"""The facts of the contract: extracted without any sentence, and the same as the document's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from . import extract, facts

DOCUMENT = os.environ.get("LIBTES_CONTRACT")  # the path of the public Swagger document
SAMPLE: Any = {
    "info": {"title": "Sample", "description": "Says much."},
    "paths": {
        "/description": {
            "get": {
                "summary": "Says it in short.",
                "parameters": [{"in": "query", "name": "summary", "description": "Says more."}],
                "responses": {"200": {"description": "OK", "schema": {"$ref": "#/summary"}}},
            }
        }
    },
    "definitions": {
        "summary": {
            "description": "A schema by a name that might be taken for a sentence.",
            "properties": {
                "description": {"type": "string", "maxLength": 9, "description": "Says it all."},
                "properties": {"type": "object", "example": {}, "additionalProperties": {}},
            },
        }
    },
}
PATH = {
    "parameters": [{"in": "query", "name": "summary"}],
    "responses": {"200": {"schema": {"$ref": "#/summary"}}},
}
FIELDS = {
    "description": {"type": "string", "maxLength": 9},
    "properties": {"type": "object", "additionalProperties": {}},
}
FACTS = {
    "info": {"title": "Sample"},
    "paths": {"/description": {"get": PATH}},
    "definitions": {"summary": {"properties": FIELDS}},
}


def test_sentences_go_and_names_that_look_like_them_stay() -> None:
    assert extract.extract(SAMPLE) == FACTS


def test_the_facts_are_written_as_json_with_what_fits_on_a_line() -> None:
    text = extract.write(FACTS)
    assert json.loads(text) == FACTS
    assert '   "get": {' in text.splitlines()
    assert '    "responses": {"200": {"schema": {"$ref": "#/summary"}}}' in text.splitlines()


def test_the_script_writes_the_file_from_a_document(tmp_path: Path) -> None:
    document = tmp_path / "document.json"
    document.write_text(json.dumps(SAMPLE), encoding="utf-8")
    copied = tmp_path / "extract.py"
    copied.write_text(Path(extract.__file__).read_text(encoding="utf-8"), encoding="utf-8")
    subprocess.run([sys.executable, copied, document], check=True, cwd=tmp_path, timeout=60)
    assert json.loads((tmp_path / "facts.json").read_text(encoding="utf-8")) == FACTS


@pytest.mark.parametrize("document", [extract.FILE, *([DOCUMENT] if DOCUMENT else [])])
def test_the_stored_facts_are_what_the_document_says(document: str) -> None:
    said = json.loads(Path(document).read_text(encoding="utf-8"))
    assert extract.write(extract.extract(said)) + "\n" == extract.FILE.read_text(encoding="utf-8")


def test_the_facts_are_those_of_14_operations_and_33_schemas_within_reach() -> None:
    assert len({each.name for each in facts.OPERATIONS}) == 14
    assert len(facts.SCHEMAS) == 33
    assert {each.body for each in facts.OPERATIONS} - {None} <= set(facts.SCHEMAS)


@pytest.mark.parametrize("name", facts.requests())
def test_a_request_has_the_fields_of_the_contract_in_some_casing(name: str) -> None:
    fields = {field.lower() for field in facts.SCHEMAS["CreateTaskRunRequest"]}
    request = facts.requests()[name]
    assert {key.lower() for key in request} <= fields
    execution = request.get("execution") or request["Execution"]
    fields = {field.lower() for field in facts.SCHEMAS["Execution"]}
    assert {key.lower() for key in execution} <= fields
