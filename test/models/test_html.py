"""What notebooks show of models and pages: whole, folded, short and escaped."""

from __future__ import annotations

import re
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
    _display,
)

from ..helpers import MODELS, TIME, decode, many_examples, run_python, samples
from .values import any_model

PLAIN = {"details", "summary", "ul", "li", "code", "time", "p", "div", "table", "tr", "th", "td"}
ATTRIBUTES = {
    "details": {"open"},
    "code": {"class", "title", "data-is", "style"},
    "time": {"datetime", "style"},
    "th": {"style"},
    "td": {"style"},
}
CLASSES = {"", "id", "id short", "is"}
STYLES = (_display.LEFT, _display.LINE, _display.CLIP)
BEGIN, END = _display.styled("\0").split("\0")
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
        self.hover: list[str] = []
        self.ids: list[str] = []
        assert (html[: len(BEGIN)], html[-len(END) :]) == (BEGIN, END)
        self.feed(html[len(BEGIN) : -len(END)])
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Any]]) -> None:
        given = dict(attrs)
        assert tag in PLAIN
        assert set(given) <= ATTRIBUTES.get(tag, set())
        assert given.get("class", "") in CLASSES
        assert given.get("style") in (None, *(each[8:-1] for each in STYLES))
        self.hover += [given["title"]] if "title" in given else []
        self.ids += [given["title"]] if "id" in given.get("class", "") else []
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
    def head(self) -> list[str]:
        return [text for text in self.of("th")[1:] if not text.isdigit()]

    @property
    def rows(self) -> list[int]:
        return [int(text) for text in self.of("th") if text.isdigit()]

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
    html = html[len(BEGIN) : -len(END)]
    assert html.startswith("<details open><summary>")
    assert "<details><summary>execution: command</summary><ul><li>command: " in html
    assert html.count("open") == 1


def test_models_in_a_list_are_a_table_of_what_any_of_them_has() -> None:
    inputs = [{"path": "/a", "mode": "stream"}, {"path": "/b", "url": "gds://v/b"}]
    told = seen(Execution(inputs=[InputMountMappingWithCreds(**each) for each in inputs]))
    assert told.head == ["path", "url", "mode"]
    assert told.of("code")[1:] == ["/a", "stream", "/b", "gds://v/b"]  # in the order of the fields
    assert told.tags.count("td") == 6


def test_addresses_and_owners_of_an_object_are_folded_away_at_the_end() -> None:
    owned = dict.fromkeys(("href", "urn", "tenant_id", "created_by"), "x")
    told = seen(TaskRun(id="trn.1", time_modified=TIME, **owned))
    assert told.of("summary")[-1] == "addresses and owners: href, urn, tenant_id, created_by"
    *keys, _, _, _, _ = told.of("li")
    assert keys == ["id: ", "time_modified: ", *(f"{name}: " for name in owned)][: len(keys)]
    # Elsewhere, such a name may mean anything.
    assert told.tags.count("details") == 2
    assert "urn: " in seen(LaunchTaskRequest("n", arguments={"urn": "x"})).of("li")


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
    model = TaskRun(id="trn.1", time_created=moment)
    told = seen(model)
    assert told.of("code", "time")[-1] == expected
    assert told.of("time") == [expected] * bool(moment.tzinfo)
    assert (f'<time datetime="{moment.isoformat()}"' in model._repr_html_()) == bool(moment.tzinfo)


# Pages


def test_a_page_is_a_table_with_a_row_for_each_object_and_its_status_after_the_name() -> None:
    told = seen(page(3, status="Running", time_created=TIME))
    assert told.head == ["name", "status", "time_created", "id"]
    assert told.of("code")[:4] == [repr(page(3)), "n", "▸ Running", "trn.0"]
    assert told.of("time") == ["2021-03-08 04:05:54 UTC"] * 3
    assert told.rows == [0, 1, 2]
    assert told.tags.count("tr") == 4


def test_a_page_leaves_out_addresses_and_owners_of_models_and_dicts() -> None:
    owned = dict.fromkeys(("href", "urn", "tenant_id", "sub_tenant_id", "created_by"), "x")
    assert seen(page(1, **owned, acl=["x"], modified_by="x")).head == ["name", "id"]
    raw = {"id": "tdn.1", "tenantId": "x", "createdBy": "x", "Name": "n", "acl": ["x"]}
    assert seen(TaskSummaryPagedItems(items=[raw])).head == ["id", "Name"]


def test_a_page_without_objects_can_be_shown() -> None:
    for items in (None, []):
        assert "tr" not in seen(TaskSummaryPagedItems(items=items)).tags


def of_statuses(*statuses: Any) -> TaskRunSummaryPagedItems:
    runs = [{"id": f"trn.{at}", "status": each} for at, each in enumerate(statuses)]
    return TaskRunSummaryPagedItems(items=runs)


def test_failed_objects_come_first_and_each_keeps_its_position() -> None:
    statuses = ["Completed", "Pending", "Running", "Aborted", "Other", None, [1], "Failed"]
    assert seen(of_statuses(*statuses)).rows == [7, 3, 4, 5, 6, 2, 1, 0]
    assert seen(of_statuses(*["Completed"] * 30, "Failed")).rows == [30, *range(19)]


def test_a_status_is_told_by_a_mark_and_a_word_and_coloured() -> None:
    statuses = ["Failed", "TimedOut", "Aborted", "New", "Running", "Pending", "Completed"]
    page = of_statuses(*statuses)
    marked = [text for text in seen(page).of("code") if text[2:] in statuses]
    assert marked == [f"{mark} {each}" for mark, each in zip("✗✗■•▸○✓", statuses)]
    coloured = set(re.findall(r'\[data-is="([^"]+)"\]', BEGIN))
    assert coloured == set(filter(None, _display.STATUSES))
    assert all(f'data-is="{each}"' in page._repr_html_() for each in statuses)


# Short


def test_a_page_shows_20_objects_and_how_many_more_there_are() -> None:
    told = seen(page(2000))
    assert told.rows == list(range(20))
    assert told.of("p") == ["... and 1,980 more"]


def test_the_whole_of_a_long_value_is_there_and_ids_and_addresses_are_to_be_copied() -> None:
    run_id, url, why = "trn." + "0" * 32, "gds://volume/logs/stderr-1.log", "It ended. " * 20
    raw = {"id": run_id, "name": "short", "stderr": url, "why": why, "size": 10**30}
    told = seen(TaskRunSummaryPagedItems(items=[raw]))
    assert told.ids == [run_id, url]
    assert set(told.hover) - {run_id, url, why} == {told.of("code")[0]}
    assert set(told.hover) <= set(told.of("code"))  # styles alone clip it


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


def test_nothing_is_loaded_from_elsewhere() -> None:
    assert not re.search(r"https?:|//|@import|url\(|src=|href|\bimport\b|fetch|<link", BEGIN + END)
    assert "{}" not in BEGIN + END


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
