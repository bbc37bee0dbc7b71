"""Placeholders: which names an execution has, wherever they stand."""

from __future__ import annotations

from typing import Any

import pytest

from libica.batch import placeholders
from libica.openapi import libtes


@pytest.mark.parametrize(
    ("execution", "names"),
    [
        ({}, []),
        ({"command": "{{a}}"}, ["a"]),
        ({"command": "{{b}} and {{a}}", "args": ["{{a}}", "x{{c}}y"]}, ["b", "a", "c"]),
        ({"image": {"name": "{{registry}}/x", "tag": "{{tag}}"}}, ["registry", "tag"]),
        ({"inputs": [{"path": "/in", "url": "gds://{{v}}/x"}]}, ["v"]),
        ({"environment": {"variables": {"{{key}}": "{{value}}"}}}, ["key", "value"]),
        ({"command": "{{ spaced }}{{a.b-c_1}}"}, ["spaced", "a.b-c_1"]),
        ({"command": "{a} {{}} {{ }} {{a b}} }}a{{", "retryLimit": 1, "inputs": None}, []),
        ({"command": "{{{a}}}"}, ["a"]),
    ],
)
def test_the_names_are_found_once_each_as_they_appear(execution: Any, names: list[str]) -> None:
    assert placeholders(execution) == names


EXECUTION = libtes.Execution(
    image=libtes.Image(name="x", tag="{{tag}}"),
    command="{{command}}",
    inputs=[{"url": "{{url}}"}],
    system_files=libtes.SystemFiles(url="gds://{{tag}}"),
)


@pytest.mark.parametrize("given", [EXECUTION, libtes.TaskVersion(execution=EXECUTION)])
def test_models_are_looked_into_and_dicts_within_them(given: Any) -> None:
    assert placeholders(given) == ["tag", "command", "url"]


def test_a_version_without_an_execution_has_none() -> None:
    assert placeholders(libtes.TaskVersion(description="{{a}}")) == []
