"""Placeholders are found and filled anywhere in an execution, once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libica.openapi import libtes
from libica.openapi.libtes import placeholders

NAMES = st.from_regex(r"[A-Za-z_][\w.-]{0,8}", fullmatch=True)
TEXTS = st.text(st.characters(exclude_characters="{}"), max_size=8)


EXECUTION = libtes.Execution(
    image=libtes.Image(name="x", tag="{{tag}}"),
    command="{{command}}",
    inputs=[{"url": "{{url}}"}],
    system_files=libtes.SystemFiles(url="gds://{{tag}}"),
)


@pytest.mark.parametrize("model", [EXECUTION, libtes.TaskVersion(execution=EXECUTION)])
def test_models_are_searched_and_dicts_within_them(model: Any) -> None:
    assert placeholders.find(model) == ["tag", "command", "url"]


def test_only_the_execution_of_a_version_is_searched() -> None:
    assert placeholders.find(libtes.TaskVersion(description="{{a}}")) == []


def test_they_are_found_in_nested_values_and_in_keys() -> None:
    value = {
        "args": ["-i", "{{in}}.bam {{in}}.bai", {"deep": ["{{out}}"]}],
        "variables": {"{{key}}": "x"},
        "retryLimit": 3,
        "none": None,
    }
    assert placeholders.find(value) == ["in", "out", "key"]


def test_each_occurrence_is_filled() -> None:
    value = {"{{k}}": ["{{a}}-{{b}}-{{a}}", 1, None, True, {"x": "{{ b }}"}]}
    filled = placeholders.fill(value, {"a": "1", "b": "2", "k": "K", "unused": "u"})
    assert filled == {"K": ["1-2-1", 1, None, True, {"x": "2"}]}


def test_the_value_given_stays_as_it_is() -> None:
    value = {"args": ["{{a}}"]}
    placeholders.fill(value, {"a": "1"})
    assert value == {"args": ["{{a}}"]}


def test_an_argument_is_not_filled_again() -> None:
    assert placeholders.fill("{{a}} {{b}}", {"a": "{{b}}", "b": r"\1"}) == r"{{b}} \1"


def test_all_missing_arguments_are_named() -> None:
    with pytest.raises(libtes.ApiValueError, match="no argument for one, two"):
        placeholders.fill(["{{two}}", {"x": "{{one}}"}, "{{given}}"], {"given": ""})


def test_arguments_that_make_two_keys_equal_are_refused() -> None:
    with pytest.raises(libtes.ApiValueError, match="keys equal"):
        placeholders.fill({"{{a}}": 1, "b": 2}, {"a": "b"})


@pytest.mark.parametrize(
    "text",
    ["{{}}", "{{ }}", "{a}", "{{a}", "{a}}", "}}a{{", "awk '{{print $1}}'", "{{a\n}}", "{{a,{b}}}"],
)
def test_other_braces_are_left_alone(text: str) -> None:
    assert placeholders.find(text) == []
    assert placeholders.fill(text, {}) == text


def test_braces_around_a_placeholder_stay() -> None:
    assert placeholders.fill("${{{a}}}", {"a": "HOME"}) == "${HOME}"


@given(st.lists(st.tuples(TEXTS, NAMES), max_size=5), st.data())
def test_filling_is_putting_the_arguments_between_the_texts(
    parts: list[tuple[str, str]], data: Any
) -> None:
    arguments = {name: data.draw(st.text(max_size=8)) for _, name in parts}
    template = "".join(f"{text}{{{{{name}}}}}" for text, name in parts)
    expected = "".join(text + arguments[name] for text, name in parts)
    assert placeholders.find(template) == list(arguments)
    assert placeholders.fill(template, arguments) == expected
