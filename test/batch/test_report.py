"""Reports: counts and subsets, dicts, frames and files, and their text and HTML."""

from __future__ import annotations

import csv
import pickle
import re
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from libica.batch.html_page import brief
from libica.batch.report import Launch, Report
from libica.openapi.libtes import _display

TIME = datetime(2021, 3, 8, 4, 5, 54, 645483, timezone.utc)
LATER = TIME + timedelta(minutes=5)
BEGUN = {"attempts": 1, "time_created": TIME}
ENDED = {**BEGUN, "time_modified": LATER}
LAUNCHES = [
    Launch("a", "trn.1", "Completed", **ENDED),
    Launch("b", "trn.2", "Failed", **ENDED),
    Launch("c", error="400: no such argument", attempts=1),
    Launch("d", "trn.3", "Running", **BEGUN),
    Launch("e", error="unsure: the service could not be asked", attempts=3),
    Launch("f", "trn.4", "TimedOut", **ENDED),
    Launch("g", "trn.5", "Aborted", **ENDED),
    Launch("h", "trn.6", "Completed", **ENDED),
    Launch("i", "trn.7", "Finalizing", **BEGUN),
    Launch("j", "trn.8", attempts=1),
    Launch("k"),
]
FAILED = Launch(
    "b<b>",
    "trn.2",
    "Failed",
    attempts=1,
    status_details="It read https://x/y?signature and\nended with exit status 3.",
    exit_status=3,
    stderr="gds://logs/b.err",
)
REPORT = Report(LAUNCHES)


def names(report: Report) -> str:
    return "".join(each.name for each in report)


# Sequences and counts


def test_a_report_is_a_sequence_whose_slices_are_reports() -> None:
    given = list(LAUNCHES)
    report = Report(iter(given))
    given.clear()
    assert list(report) == list(pickle.loads(pickle.dumps(REPORT))) == LAUNCHES
    assert (len(report), report[0], report[-1]) == (11, LAUNCHES[0], LAUNCHES[-1])
    assert LAUNCHES[3] in report
    assert report.index(LAUNCHES[3]) == 3
    assert isinstance(report[2:5], Report)
    assert names(report[2:5]) == "cde"
    assert not Report()


def test_each_launch_is_in_one_subset_and_counted_from_completed_to_unsure() -> None:
    parts = (REPORT.completed, REPORT.failed, REPORT.unfinished, REPORT.not_launched, REPORT.unsure)
    assert [names(part) for part in parts] == ["ah", "bfg", "dij", "ck", "e"]
    assert REPORT.run_ids == [f"trn.{number}" for number in range(1, 9)]
    counts = "Completed 2, Failed 1, TimedOut 1, Aborted 1, Running 1, Finalizing 1, Unknown 1"
    counts += ", Not launched 2, Unsure 1"
    assert ", ".join(f"{each} {n}" for each, n in REPORT.summary().items()) == counts
    assert Report().summary() == {}


# Data


def test_to_dicts_has_all_attributes_of_the_last_try() -> None:
    launch = Launch("b", "trn.3", "Failed", earlier=(FAILED,), doubles=("trn.4",), **ENDED)
    assert Report([launch]).to_dicts() == [
        {
            "name": "b",
            "run_id": "trn.3",
            "status": "Failed",
            "attempts": 1,
            "error": None,
            "time_created": TIME,
            "time_modified": LATER,
            "number": None,
            "doubles": ["trn.4"],
            "tries": 2,
            **dict.fromkeys(("status_details", "exit_status", "stdout", "stderr")),
        }
    ]
    assert Report([launch]).tries.run_ids == ["trn.2", "trn.3"]


def test_to_frame_has_one_row_per_launch_and_times_even_if_all_are_unset() -> None:
    pytest.importorskip("pandas")
    frame = REPORT.to_frame()
    assert list(frame.columns) == list(REPORT.to_dicts()[0])
    assert list(frame["name"]) == [each.name for each in LAUNCHES]
    took = (frame["time_modified"] - frame["time_created"]).dropna()
    assert {each.total_seconds() for each in took} == {300.0}
    for report in (Report(), Report([Launch("a")])):
        assert str(report.to_frame()["time_created"].dtype).endswith("UTC]")
    frame = Report([FAILED, LAUNCHES[0]]).to_frame()
    assert list(frame["exit_status"].dropna()) == [3]
    assert frame["stderr"][0] == "gds://logs/b.err"


# Text

WHY = (
    "'b<b>': Failed: exit status 3; It read https://x/y?*** and ended with exit status 3.; "
    "stderr: gds://logs/b.err"
)


def test_the_text_of_a_report_has_one_line_for_each_launch_that_went_wrong() -> None:
    report = Report([LAUNCHES[0], FAILED, LAUNCHES[4]], notes=["Take note."])
    assert str(report).splitlines() == [
        "<Report: 3 launches, 1 Completed, 1 Failed, 1 Unsure>",
        "  Take note.",
        f"  {WHY}",
        "  'e': Unsure: unsure: the service could not be asked",
    ]
    assert str(report.completed) == repr(report.completed) == "<Report: 1 launch, 1 Completed>"
    assert repr(Report()) == "<Report: 0 launches>"
    shown = str(Report([FAILED] * 500)).splitlines()
    assert len(shown) == 22
    assert shown[-1].strip() == "... and 480 more"


def test_repr_of_a_launch_is_one_short_line() -> None:
    assert repr(LAUNCHES[10]) == "Launch(name='k', attempts=0)"
    assert repr(LAUNCHES[3]) == (
        "Launch(name='d', run_id='trn.3', status='Running', attempts=1, "
        "time_created=2021-03-08 04:05:54+00:00)"
    )
    long = repr(Launch("line\n" * 100, error="why\n" * 100, doubles=("a", "b"), earlier=(FAILED,)))
    assert "doubles=(a, b), earlier=1" in long
    assert len(long) < 280
    assert "\n" not in long


# HTML

BEGIN, END = _display.styled("\0").split("\0")


def texts(html: str, tag: str) -> list[str]:
    """Return the texts of all elements of a kind, if the HTML has none but these, all closed."""
    inside = html.partition(BEGIN)[2].partition(END)[0]
    page = ElementTree.fromstring(f"<div>{inside}</div>")
    known = {"div", "i", "code", "time", "p", "table", "tr", "th", "td"}
    assert {each.tag for each in page.iter()} <= known
    return ["".join(each.itertext()) for each in page.iter(tag)]


def head(html: str) -> list[str]:
    return [each for each in texts(html, "th") if not each.isdigit()]


def test_a_notebook_shows_a_table_of_the_columns_in_use_with_failed_launches_first() -> None:
    html = REPORT._repr_html_()
    columns = ["#", "name", "status", "why", "time_created", "duration", "run_id", "attempts"]
    assert head(html) == columns
    rows = [each for each in texts(html, "th") if each.isdigit()]
    assert "".join(LAUNCHES[int(row)].name for row in rows) == "bfgeckijdah"
    assert texts(Report([Launch("a")])._repr_html_(), "th") == ["#", "name", "status", "0"]


ENDED_BADLY: dict[str, Any] = {
    "time_created": TIME,
    "time_modified": TIME + timedelta(minutes=65),
    "status_details": "It ended.",
    "exit_status": 3,
    "stderr": "gds://logs/b.err",
}


def test_a_row_of_the_table_tells_what_a_launch_came_to() -> None:
    launch = Launch(
        "b", "trn.3", "Failed", 2, earlier=(FAILED,), doubles=("trn.4", "5"), **ENDED_BADLY
    )
    html = Report([launch])._repr_html_()
    assert dict(zip(head(html)[1:], texts(html, "td"))) == {
        "name": "b",
        "status": "✗ Failed",
        "why": "exit status 3; It ended.",
        "time_created": "2021-03-08 04:05:54 UTC",
        "duration": "1 h 5 min",
        "run_id": "trn.3",
        "stderr": "gds://logs/b.err",
        "tries": "2",
        "attempts": "2",
        "doubles": "trn.4 5",
    }


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0.0 s"),
        (59.94, "59.9 s"),
        (60, "1 min 0 s"),
        (3599, "59 min 59 s"),
        (90000, "25 h 0 min"),
    ],
)
def test_durations_are_short(seconds: float, shown: str) -> None:
    assert brief(timedelta(seconds=seconds)) == shown


def test_above_the_table_are_the_counts_as_a_bar_and_in_words() -> None:
    many = [*[LAUNCHES[0]] * 1995, *[FAILED] * 4, Launch("d", "trn.9", "Running", doubles=("a",))]
    html = Report(many, notes=["<Take note>"])._repr_html_()
    told = texts(html, "div")
    assert "2,000 launches, 1 with several runs ✓ 1,995 Completed ✗ 4 Failed ▸ 1 Running" in told
    assert "<Take note>" in told
    parts = re.findall(r'<i data-is="(\w+)" style="flex:(\d+)"></i>', html)
    assert parts == [("Completed", "1995"), ("Failed", "4"), ("Running", "1")]
    assert len(texts(html, "tr")) == 21
    assert texts(html, "p") == ["... and 1,980 more"]
    assert texts(Report()._repr_html_(), "code") == ["0 launches"]


HOSTILE = ("<script>alert(1)</script>", "</code><img src=x>", "'\"><b>", "<!--a", "&lt;", "\ud800")


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_values_are_escaped(text: str, tmp_path: Path) -> None:
    launch = Launch(text, text, status_details=text, stderr=text)
    report = Report([launch, Launch(text, "trn.1", text)], notes=[text])
    report.to_csv(tmp_path / "report.csv")
    for html in (report._repr_html_(), written(report, tmp_path / "report.html")):
        # Notes, two names, an id, a reason, a log, a status and its count.
        assert "".join(texts(html, "code")).count(text.replace("\ud800", "?")) == 8
    assert len(str(report).splitlines()) == 3


def written(report: Report, path: Path) -> str:
    report.to_html(path)
    return path.read_text(encoding="utf-8")


def test_to_html_is_one_file_with_all_rows_exact_times_and_no_secrets(tmp_path: Path) -> None:
    report = Report([LAUNCHES[0], *[FAILED] * 300], notes=["<Take note>"])
    text = written(report, tmp_path / "report.html")
    assert text.startswith("<!DOCTYPE html>")
    assert len(texts(text, "tr")) == 302
    assert texts(text, "td")[-5:-1] == ["", "2021-03-08 04:05:54 UTC", "5 min 0 s", "trn.1"]
    assert not texts(text, "time")
    assert not re.search(r"(src|href|url)\s*[=(]", text)
    shown = ("exit status 3", "b.err", "b&lt;b&gt;", "&lt;Take note&gt;", "https://x/y?***")
    for html in (text, report._repr_html_()):
        assert [each for each in (*shown, "signature") if each not in html] == ["signature"]


def test_to_csv_writes_all_rows_and_columns(tmp_path: Path) -> None:
    path = tmp_path / "report.csv"
    double = Launch('d,"e', "trn.9", "Running", doubles=("trn.10", "trn.11"))
    Report([LAUNCHES[0], FAILED, double]).to_csv(path)
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(REPORT.to_dicts()[0])
    assert rows[0]["time_created"] == TIME.isoformat()
    assert (rows[1]["exit_status"], rows[1]["stderr"]) == ("3", "gds://logs/b.err")
    assert (rows[2]["name"], rows[2]["doubles"]) == ('d,"e', "trn.10 trn.11")
