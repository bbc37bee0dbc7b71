"""A command has the same arguments and variables wherever it runs, whatever is in their texts."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from libica import export
from libica.export import yaml
from libica.local import LocalTes
from libica.openapi import libtes
from libica.openapi.libtes import placeholders

from ..helpers import few_examples
from ..local.caller import Caller
from . import engine
from .versions import simple

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="runs a shell script"),
    pytest.mark.slow,  # to load cwltool takes seconds
]

SCRIPT = r'printf "%s\0" "$@" "$A" "$SECURE_B"'
NAMES = ("a", "a.b", "a_b", "inputs", "1", "\u00e9")
SIGNS = ["$(inputs.a)", "$(", "${", "$", "\\", "(", ")", "{", "}}", "'", '"', "#", ": ", "-", "*"]
BLANKS = [" ", "\n", "\t", "\r", "\x1c", "\x85", "\u2028"]
WORDS = ["yes", "~", "0o7", "1.10", "\ufeff", "\U0001f9ec", *(f"{{{{{name}}}}}" for name in NAMES)]
TEXT = st.lists(st.sampled_from(SIGNS + BLANKS + WORDS), max_size=6).map("".join)


@pytest.fixture(scope="module")
def caller() -> Iterator[Caller]:
    engine.needs("cwltool")
    with LocalTes() as tes, Caller(tes.url, tes.token) as caller:
        yield caller


def printed(caller: Caller, version: libtes.TaskVersion, arguments: dict[str, str]) -> list[str]:
    """Launch a version, and return the arguments and variables that its command printed."""
    execution = libtes.ApiClient().sanitize_for_serialization(version.execution)
    task = caller.task(os.urandom(8).hex(), **execution)
    run = caller.launch(task, arguments=arguments).json
    log = caller.run_when(run["id"], "Completed")["logs"][0]["stdout"]
    return Path(log[len("file://") :]).read_bytes().decode().split("\0")[:-1]


@settings(few_examples, max_examples=25)
@given(texts=st.lists(TEXT, max_size=4), command=st.sampled_from(["sh", "{{a}}"]), data=st.data())
@example(texts=[" {{a}} $(b) \\{{a}}\\", "  ${A}\n", "$({{a}})"], command="sh", data=None)
def test_arguments_and_variables_are_those_of_a_launch(
    texts: list[str], command: str, data: st.DataObject, caller: Caller
) -> None:
    """Those that cwltool makes of a tool, and of a GA4GH task, whose placeholders are filled."""
    variables = {"A": "".join(texts), "SECURE_B": "{{secret}}"}
    found = simple("-c", SCRIPT, "sh", *texts, environment={"variables": variables})
    found.execution.command = command
    given = {name: data.draw(TEXT) if data else f" {name} " for name in placeholders.find(found)}
    if command != "sh":
        given["a"] = "sh"
    args = placeholders.fill(found.execution.args, given)
    values = placeholders.fill(list(variables.values()), given)
    assert printed(caller, found, given) == [*args[3:], *values]

    task = export.to_ga4gh(found, given).document["executors"][0]
    assert (task["command"], task["env"]) == (["sh", *args], dict(zip(variables, values)))

    tool = export.to_cwl(found)
    ids = {each.get("label", key): key for key, each in tool.document["inputs"].items()}
    order = {ids[name]: value for name, value in given.items()}
    with tempfile.TemporaryDirectory() as folder:
        line = engine.evaluated(tool, order, Path(folder))
    assert line.arguments == ["sh", *args]
    assert [line.variables[name] for name in variables] == values


SCALARS = TEXT | st.none() | st.booleans() | st.integers() | st.floats(0, 9)
DATA = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3)
)


@settings(few_examples, max_examples=100)
@given(DATA)
def test_any_data_can_be_read_from_yaml(data: object) -> None:
    read = engine.needs("ruamel.yaml").YAML(typ="safe", pure=True).load
    assert read(yaml.dump([data, {"a": data}])) == [data, {"a": data}]
