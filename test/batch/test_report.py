"""What a report tells of its launches: counts, parts, dicts, a frame, a table."""

from __future__ import annotations

import csv
import pickle
import re
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from libica.batch.report import Launch, Report

from ..helpers import run_python
from ..models.test_html import HOSTILE, Seen

TIME = datetime(2021, 3, 8, 4, 5, 54, 645483, timezone.utc)
LATER = TIME + timedelta(minutes=5)
LAUNCHES = [
    Launch("a", "trn.1", "Completed", 1, time_created=TIME, time_modified=LATER),
    Launch("b", "trn.2", "Failed", 2, time_created=TIME, time_modified=LATER),
    Launch("c", error="400: no such argument", attempts=1),
    Launch("d", "trn.3", "Running", 1, time_created=TIME),
    Launch("e", error="unsure: the service could not be asked", attempts=3),
    Launch("f", "trn.4", "TimedOut", 1, time_created=TIME, time_modified=LATER),
    Launch("g", "trn.5", "Aborted", 1, time_created=TIME, time_modified=LATER),
    Launch("h", "trn.6", "Completed", 1, time_created=TIME, time_modified=LATER),
    Launch("i", "trn.7", "Finalizing", 1, time_created=TIME),
    Launch("j", "trn.8", attempts=1),
    Launch("k"),
]
REPORT = Report(LAUNCHES)


def names(report: Report) -> str:
    return "".join(each.name for each in report)


# As a sequence


def test_a_report_has_the_launches_in_the_order_given() -> None:
    assert list(REPORT) == LAUNCHES
    assert (len(REPORT), REPORT[0], REPORT[-1]) == (11, LAUNCHES[0], LAUNCHES[-1])
    assert LAUNCHES[3] in REPORT
    assert REPORT.index(LAUNCHES[3]) == 3


def test_a_part_of_a_report_is_a_report() -> None:
    part = REPORT[2:5]
    assert isinstance(part, Report)
    assert names(part) == "cde"


def test_a_report_can_be_made_of_any_iterable_which_it_does_not_change() -> None:
    given = list(LAUNCHES)
    report = Report(given)
    given.clear()
    assert len(report) == len(Report(iter(LAUNCHES))) == 11
    assert not Report()


def test_a_report_can_be_pickled() -> None:
    assert list(pickle.loads(pickle.dumps(REPORT))) == LAUNCHES


# What became of them


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("completed", "ah"),
        ("failed", "bfg"),
        ("unfinished", "dij"),
        ("not_launched", "ck"),
        ("unsure", "e"),
    ],
)
def test_a_report_can_be_asked_for_the_launches_that_went_a_certain_way(
    part: str, expected: str
) -> None:
    assert names(getattr(REPORT, part)) == expected


def test_each_launch_is_in_one_of_the_parts() -> None:
    parts = (REPORT.completed, REPORT.failed, REPORT.unfinished, REPORT.not_launched, REPORT.unsure)
    assert sorted("".join(map(names, parts))) == sorted(names(REPORT))


def test_the_ids_are_those_of_the_runs() -> None:
    assert REPORT.run_ids == [f"trn.{number}" for number in range(1, 9)]


def test_the_summary_counts_by_status_what_ended_first_and_what_has_no_run_last() -> None:
    assert list(REPORT.summary().items()) == [
        ("Completed", 2),
        ("Failed", 1),
        ("TimedOut", 1),
        ("Aborted", 1),
        ("Running", 1),
        ("Finalizing", 1),
        ("Unknown", 1),
        ("Not launched", 2),
        ("Unsure", 1),
    ]
    assert Report().summary() == {}


# As data


def test_to_dicts_has_all_attributes() -> None:
    assert REPORT.to_dicts()[1] == {
        "name": "b",
        "run_id": "trn.2",
        "status": "Failed",
        "attempts": 2,
        "error": None,
        "time_created": TIME,
        "time_modified": LATER,
        "number": None,
        "doubles": [],
        "tries": 1,
        "status_details": None,
        "exit_status": None,
        "stdout": None,
        "stderr": None,
    }


def test_to_frame_has_a_row_for_each_launch() -> None:
    pytest.importorskip("pandas")
    frame = REPORT.to_frame()
    assert list(frame.columns) == list(REPORT.to_dicts()[0])
    assert list(frame["name"]) == [each.name for each in LAUNCHES]
    took = (frame["time_modified"] - frame["time_created"]).dropna()
    assert {each.total_seconds() for each in took} == {300.0}


@pytest.mark.parametrize("report", [Report(), Report([Launch("a")])], ids=["empty", "no run"])
def test_a_frame_has_times_even_if_there_are_none(report: Report) -> None:
    pytest.importorskip("pandas")
    frame = report.to_frame()
    assert len(frame) == len(report)
    assert str(frame["time_created"].dtype).endswith("UTC]")


@pytest.mark.parametrize(
    ("module", "call", "told"),
    [
        ("pandas", "to_frame", "pip install pandas"),
        ("matplotlib", "plot", "pip install 'libica-libtes[plot]'"),
    ],
)
def test_what_is_not_installed_is_named_with_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, module: str, call: str, told: str
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ModuleNotFoundError, match=f"{module}.*{told}".replace("[", r"\[")):
        getattr(REPORT, call)()


def test_none_of_these_is_loaded_before_it_is_used() -> None:
    code = """
import sys
from libica.batch.report import Launch, Report
report = Report([Launch("a", "trn.1", "Completed")])
repr(report), report.summary(), report.to_dicts()
print([each for each in ("pandas", "matplotlib", "tqdm", "html", "urllib3") if each in sys.modules])
"""
    assert run_python(code) == "[]\n"


# To look at


def test_repr_is_one_line_with_the_counts() -> None:
    assert repr(REPORT[:4]) == (
        "<Report: 4 launches, 1 Completed, 1 Failed, 1 Running, 1 Not launched>"
    )
    assert repr(Report()) == "<Report: 0 launches>"


def test_repr_of_a_launch_has_what_is_known_on_a_short_line() -> None:
    assert repr(LAUNCHES[10]) == "Launch(name='k', attempts=0)"
    assert repr(LAUNCHES[3]) == (
        "Launch(name='d', run_id='trn.3', status='Running', attempts=1, "
        "time_created=2021-03-08 04:05:54+00:00)"
    )
    long = repr(Launch("line\n" * 100, error="why\n" * 100))
    assert len(long) < 250
    assert "\n" not in long


def test_a_notebook_shows_a_table() -> None:
    seen = Seen(REPORT._repr_html_())
    assert seen.of("code")[0] == repr(REPORT)
    assert seen.of("th") == list(REPORT.to_dicts()[0])[:7]
    assert seen.tags.count("tr") == 12
    row = seen.of("code")[1:7]
    assert row == [
        "a",
        "trn.1",
        "Completed",
        "1",
        "2021-03-08 04:05:54 UTC",
        "2021-03-08 04:10:54 UTC",
    ]


def test_a_table_has_the_columns_that_are_in_use() -> None:
    assert Seen(Report([Launch("a")])._repr_html_()).of("th") == ["name", "attempts"]
    assert Seen(Report()._repr_html_()).of("code") == ["<Report: 0 launches>"]


def test_a_table_has_100_rows_and_tells_how_many_more_there_are() -> None:
    seen = Seen(Report([Launch("a")] * 1000)._repr_html_())
    assert seen.tags.count("tr") == 101
    assert seen.of("p") == ["... and 900 more"]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_values_are_text(text: str) -> None:
    seen = Seen(Report([Launch(text, text, text, 1, text)])._repr_html_())
    assert seen.text.count(text.replace("\ud800", "?")) == 5  # the fifth stands in the summary


def test_no_table_shows_a_signed_url() -> None:
    launch = Launch("a", error="400: cannot read https://b.example.org/a?X-Amz-Signature=secret")
    html = Report([launch])._repr_html_()
    assert "example.org/a?***" in html
    assert "secret" not in html


# Why runs failed, and what else is to be said

FAILED = Launch(
    "b<b>",
    "trn.2",
    "Failed",
    1,
    status_details="It read https://x/y?signature and\nended with exit status 3.",
    exit_status=3,
    stderr="gds://logs/b.err",
)
WHY = (
    "'b<b>': Failed: exit status 3; It read https://x/y?*** and ended with exit status 3.; "
    "stderr: gds://logs/b.err"
)


def test_the_text_of_a_report_says_what_did_not_go_well() -> None:
    report = Report([LAUNCHES[0], FAILED, LAUNCHES[4]], notes=["Take note."])
    assert str(report).splitlines() == [
        "<Report: 3 launches, 1 Completed, 1 Failed, 1 Unsure>",
        "  Take note.",
        f"  {WHY}",
        "  'e': Unsure: unsure: the service could not be asked",
    ]
    assert str(report.completed) == "<Report: 1 launches, 1 Completed>"


def test_the_text_of_a_report_names_20_and_counts_the_others() -> None:
    shown = str(Report([FAILED] * 500)).splitlines()
    assert len(shown) == 22
    assert shown[-1].strip() == "... and 480 more"


def test_tables_and_frames_have_the_reasons() -> None:
    html = Report([FAILED])._repr_html_()
    for each in ("exit status 3", "gds://logs/b.err", "b&lt;b&gt;"):
        assert each in html
    assert "signature" not in html
    pytest.importorskip("pandas")
    frame = Report([FAILED, LAUNCHES[0]]).to_frame()
    assert list(frame["exit_status"].dropna()) == [3]
    assert frame["stderr"][0] == "gds://logs/b.err"


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


def inside(document: str) -> str:
    """Return the body of a document."""
    return document.partition("<body>\n")[2].partition("\n</body>")[0]


def test_to_html_is_one_file_with_all_rows(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    Report([FAILED] * 300, notes=["<Take note>"]).to_html(path)
    text = path.read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>")
    assert Seen(inside(text)).tags.count("tr") == 301
    assert "&lt;Take note&gt;" in text
    assert "<b>" not in text
    assert "signature" not in text
    assert not re.search(r"(src|href|url)\s*[=(]", text)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_values_are_text_in_files_too(text: str, tmp_path: Path) -> None:
    report = Report([Launch(text, text, "Failed", status_details=text, stderr=text)], notes=[text])
    report.to_html(tmp_path / "report.html")
    report.to_csv(tmp_path / "report.csv")
    seen = Seen(inside((tmp_path / "report.html").read_text(encoding="utf-8")))
    assert text.replace("\ud800", "?") in seen.text
    assert len(str(report).splitlines()) == 3 or "\n" in text


def test_tries_have_a_row_each() -> None:
    launch = Launch("a", "trn.2", "Running", 1, earlier=(Launch("a", "trn.1", "Failed", 1),))
    report = Report([launch, Launch("b", "trn.3", "Completed", 1)])
    assert report.tries.run_ids == ["trn.1", "trn.2", "trn.3"]
    assert [each["tries"] for each in report.to_dicts()] == [2, 1]
