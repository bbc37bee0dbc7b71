"""What notebooks show of models and pages: whole, folded, short and escaped."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings

from libica.openapi.libtes import (
    CreateTaskRunRequest,
    Credentials,
    Environment,
    ErrorResponse,
    Execution,
    Image,
    InputMountMappingWithCreds,
    LaunchTaskRequest,
    TaskRun,
    TaskRunSummary,
    TaskRunSummaryPagedItems,
    TaskSummaryPagedItems,
    TaskVersion,
)

from ..helpers import MODELS, TIME, decode, many_examples, run_python, samples
from .values import any_model

PLAIN = {"details", "summary", "ul", "li", "code", "p", "table", "tr", "th", "td"}
HOSTILE = [
    "<script>alert(1)</script>",
    "</code></details><img src=x onerror=alert(1)>",
    "'\"><b>",
    "<!-- ",
    "&lt;&#60;",
    "]]>",
    "a\x00b",
    "\ud800",
]


class Seen(HTMLParser):
    """What a browser sees: the tags, each closed in its turn, and the texts in them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.texts: list[tuple[str, str]] = []  # tag around it, text
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Any]]) -> None:
        assert tag in PLAIN
        assert dict(attrs) in ({}, {"open": None})
        self.open.append(tag)
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1], data))

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    handle_decl = handle_pi = unknown_decl = handle_comment

    def of(self, *tags: str) -> list[str]:
        return [text for tag, text in self.texts if tag in tags]

    @property
    def text(self) -> str:
        return "".join(text for _, text in self.texts)


def seen(model: Any) -> Seen:
    return Seen(model._repr_html_())


def page(count: int, **fields: Any) -> TaskRunSummaryPagedItems:
    runs = [TaskRunSummary(id=f"trn.{number}", name="n", **fields) for number in range(count)]
    return TaskRunSummaryPagedItems(items=runs, item_count=count)


# Whole


@settings(many_examples, max_examples=100)
@given(any_model)
def test_any_model_is_whole_html_of_a_few_plain_tags(model: Any) -> None:
    assert seen(model).tags


def test_a_tree_has_every_field_that_is_set_and_no_other() -> None:
    for cls in MODELS:
        if "items" not in cls.openapi_types:
            text = seen(cls(**samples(cls))).text
            assert all(f"{name}: " in text for name in cls.openapi_types)
        unset = decode(cls, {})
        assert seen(unset).text == repr(unset)
    assert seen(Image("nginx")).text == "Image(name='nginx')name: nginx"


def test_the_top_is_unfolded_and_models_within_are_folded() -> None:
    html = CreateTaskRunRequest("n", execution=Execution(command="sh"))._repr_html_()
    assert html.startswith("<details open><summary>")
    assert "<details><summary>execution: command</summary><ul><li>command: " in html
    assert html.count("open") == 1


def test_models_in_a_list_are_a_table_of_what_any_of_them_has() -> None:
    inputs = [{"path": "/a", "mode": "stream"}, {"path": "/b", "url": "gds://v/b"}]
    told = seen(Execution(inputs=[InputMountMappingWithCreds(**each) for each in inputs]))
    assert told.of("th") == ["path", "url", "mode"]
    assert told.of("code")[1:] == ["/a", "stream", "/b", "gds://v/b"]  # in the order of the fields
    assert told.tags.count("td") == 6


def test_dicts_in_place_of_models_are_shown_with_the_names_they_have() -> None:
    raw = {"Image": {"Name": "nginx"}, "Inputs": [{"Url": "gds://v/b"}], "x": [[1], {}, None]}
    told = seen(CreateTaskRunRequest("n", execution=raw))
    assert {"Image: Name", "Inputs: 1 items", "x: 3 items"} <= set(told.of("summary"))
    assert {"nginx", "gds://v/b", "1", "{}"} <= set(told.of("code"))


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (TIME, "2021-03-08 04:05:54 UTC"),
        (TIME.replace(tzinfo=None), "2021-03-08 04:05:54"),
        (TIME.astimezone(timezone(timedelta(hours=2))), "2021-03-08 06:05:54 UTC+02:00"),
    ],
)
def test_times_are_readable(moment: datetime, expected: str) -> None:
    assert seen(TaskRun(id="trn.1", time_created=moment)).of("code")[-1] == expected


# Pages


def test_a_page_is_a_table_with_a_row_for_each_object() -> None:
    told = seen(page(3, status="Running", time_created=TIME))
    assert told.of("th") == ["id", "name", "status", "time_created"]
    assert told.of("code")[0] == repr(page(3))
    assert told.of("code")[1:5] == ["trn.0", "n", "Running", "2021-03-08 04:05:54 UTC"]
    assert told.tags.count("tr") == 4


def test_a_page_leaves_out_addresses_and_owners_of_models_and_dicts() -> None:
    owned = dict.fromkeys(("href", "urn", "tenant_id", "sub_tenant_id", "created_by"), "x")
    assert seen(page(1, **owned, acl=["x"], modified_by="x")).of("th") == ["id", "name"]
    raw = {"id": "tdn.1", "tenantId": "x", "createdBy": "x", "Name": "n", "acl": ["x"]}
    assert seen(TaskSummaryPagedItems(items=[raw])).of("th") == ["id", "Name"]


def test_a_page_without_objects_can_be_shown() -> None:
    for items in (None, []):
        assert seen(TaskSummaryPagedItems(items=items)).of("td") == []


# Short


def test_a_page_shows_100_objects_and_how_many_more_there_are() -> None:
    told = seen(page(1000))
    assert told.tags.count("tr") == 101
    assert told.of("p") == ["... and 900 more"]
    assert told.of("code")[-2] == "trn.99"


@pytest.mark.parametrize("count", [100, 101])
def test_lists_and_dicts_show_100_entries_and_how_many_more_there_are(count: int) -> None:
    args = [f"arg {number}" for number in range(count)]
    for model in (Execution(args=args), LaunchTaskRequest("n", arguments=dict.fromkeys(args, "v"))):
        told = seen(model)
        assert told.of("p") == ["... and 1 more"] * (count - 100)
        assert "arg 99" in told.text
        assert "arg 100" not in told.text


def test_long_values_are_cut() -> None:
    told = seen(LaunchTaskRequest("n", arguments={"a" * 9000: "b" * 9000, "c": "d"}))
    assert len(told.text) < 2000
    assert "b" * 500 + "..." in told.text


# Escaped


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_values_are_text_wherever_they_stand(text: str) -> None:
    shown = text.replace("\ud800", "?")
    for model in (
        ErrorResponse(message=text),
        Execution(args=[text], environment=Environment({text: "v"})),
        CreateTaskRunRequest("n", execution={text: [{text: text}], "b": {text: [text]}}),
        page(2, status=text, description=text),
        TaskSummaryPagedItems(items=[{text: text}]),
        decode(TaskVersion, {"id": text, "version": text, "acl": [text]}),
    ):
        told = seen(model)
        assert shown in told.text
        model._repr_html_().encode("utf-8")


def test_a_name_with_dollars_is_no_formula() -> None:
    told = seen(page(1, status="$x$", description="$y$"))
    assert {tag for tag, text in told.texts if "$" in text} == {"code"}  # MathJax passes these over


# Lazy


def test_what_shows_models_is_loaded_when_one_is_shown() -> None:
    code = """
import sys
from libica.openapi.libtes import Image
image = Image("nginx")
str(image)
assert not {"html", "libica.openapi.libtes._display"} & set(sys.modules)
assert image._repr_html_()
"""
    assert run_python(code) == ""


def test_a_notebook_finds_the_form_it_asks_for() -> None:
    formatters = pytest.importorskip("IPython.core.formatters")
    shown = formatters.HTMLFormatter()(Credentials("u", "p"))
    assert shown == Credentials("u", "p")._repr_html_()
