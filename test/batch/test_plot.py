"""The timeline of a report: which bars it has, from when to when, and what names them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any, Optional

import pytest

from libica.batch.report import Launch, Report

matplotlib: Any = pytest.importorskip("matplotlib", reason="needs libica-libtes[plot]")
matplotlib.use("Agg")
pyplot: Any = pytest.importorskip("matplotlib.pyplot")
dates: Any = pytest.importorskip("matplotlib.dates")

TIME = datetime(2021, 3, 8, 4, 5, 54, tzinfo=timezone.utc)
STATUSES = ("Completed", "Failed", "TimedOut", "Aborted", "Running", "Pending")


@pytest.fixture(autouse=True)
def _figures() -> Iterator[None]:
    yield
    pyplot.close("all")


def launch(
    name: str, status: Optional[str] = "Completed", start: float = 0, took: Optional[float] = 60
) -> Launch:
    created = TIME + timedelta(seconds=start)
    ended = None if took is None else created + timedelta(seconds=took)
    return Launch(name, f"trn.{name}", status, 1, time_created=created, time_modified=ended)


def bars(ax: Any) -> list[tuple[int, float, float, tuple[float, ...]]]:
    """Row, seconds from ``TIME`` to start and to end, and colour of each bar, row by row."""
    zero, found = dates.date2num(TIME), []
    for collection in ax.collections:
        (colour,) = collection.get_facecolor().tolist() if collection.get_paths() else [()]
        for path in collection.get_paths():
            (left, top), (right, bottom) = path.vertices.min(axis=0), path.vertices.max(axis=0)
            spans = [round((each - zero) * 86400, 2) for each in (left, right)]
            found.append((round((top + bottom) / 2), *spans, tuple(colour)))
    return sorted(found)


def drawn(ax: Any) -> bytes:
    picture = io.BytesIO()
    ax.figure.savefig(picture, dpi=50)
    return picture.getvalue()


def legend(ax: Any) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


def names(ax: Any) -> list[str]:
    return [text.get_text() for text in ax.get_yticklabels()]


def test_each_run_has_a_bar_from_created_to_finished() -> None:
    report = Report([launch("a", start=0, took=60), launch("b", start=5.5, took=10)])
    assert [each[:3] for each in bars(report.plot())] == [(0, 0, 60), (1, 5.5, 15.5)]


def test_the_run_that_was_created_first_is_on_top() -> None:
    ax = Report([launch("late", start=9), launch("early"), launch("middle", start=5)]).plot()
    assert names(ax) == ["early", "middle", "late"]
    bottom, top = ax.get_ylim()
    assert bottom > top


@pytest.mark.parametrize("status", ["Running", "Pending", "Finalizing", None])
def test_a_run_that_has_not_ended_goes_up_to_now(status: Optional[str]) -> None:
    before = datetime.now(timezone.utc)
    # A run under way has been modified too.
    ((_, _, end, _),) = bars(Report([launch("a", status, took=5)]).plot())
    after = datetime.now(timezone.utc)
    assert (before - TIME).total_seconds() - 0.1 <= end <= (after - TIME).total_seconds() + 0.1


def test_a_run_whose_end_is_not_known_has_no_length() -> None:
    assert bars(Report([launch("a", took=None)]).plot())[0][1:3] == (0, 0)


def test_a_clock_that_went_back_makes_no_bar_go_back() -> None:
    assert bars(Report([launch("a", took=-60)]).plot())[0][1:3] == (0, 0)


def test_launches_without_a_run_have_no_bar_but_stand_in_the_legend() -> None:
    report = Report([launch("a"), Launch("b", error="400"), Launch("c", error="unsure: who knows")])
    ax = report.plot()
    assert len(bars(ax)) == 1
    assert legend(ax) == ["Completed (1)", "Not launched (1)", "Unsure (1)"]


def test_each_status_has_a_colour_of_its_own_and_a_place_in_the_legend() -> None:
    ax = Report([launch(status, status, start) for start, status in enumerate(STATUSES)]).plot()
    colours = [each[3] for each in bars(ax)]
    assert len(set(colours)) == len(STATUSES)
    patches = [tuple(patch.get_facecolor()) for patch in ax.get_legend().get_patches()]
    assert dict(zip(legend(ax), patches)) == {
        f"{status} (1)": colour for status, colour in zip(STATUSES, colours)
    }


def test_the_colours_differ_in_brightness_too_where_it_matters_most() -> None:
    ax = Report(
        [launch("a", "Completed"), launch("b", "Failed", 1), launch("c", "TimedOut", 2)]
    ).plot()
    grey = [0.3 * red + 0.59 * green + 0.11 * blue for *_, (red, green, blue, _) in bars(ax)]
    assert abs(grey[1] - grey[2]) > 0.1


def test_what_went_wrong_lies_on_top() -> None:
    ax = Report([launch(status, status) for status in STATUSES]).plot()
    order = [collection.get_zorder() for collection in ax.collections]
    assert min(order[1:4]) > max(order[0], *order[4:])


def test_unknown_statuses_are_drawn() -> None:
    ax = Report([launch("a", "Frozen"), launch("b", "Melted")]).plot()
    assert legend(ax) == ["Frozen (1)", "Melted (1)"]
    assert drawn(ax)


@pytest.mark.parametrize(("count", "named"), [(40, True), (41, False), (1000, False)])
def test_names_stand_on_the_axis_where_there_is_room(count: int, named: bool) -> None:
    ax = Report([launch(f"s{each}", start=each) for each in range(count)]).plot()
    assert len(bars(ax)) == count
    assert names(ax) == ([f"s{each}" for each in range(count)] if named else [])
    assert ax.get_ylabel() == ("" if named else f"{count:,} runs")
    assert drawn(ax)


def test_names_are_cut_and_are_no_formulas() -> None:
    ax = Report([launch("x" * 255), launch("$a_{$", start=1), launch("a\nb", start=2)]).plot()
    assert names(ax) == ["x" * 37 + "...", r"\$a_{\$", "a b"]
    assert drawn(ax)


def test_all_bars_lie_within_the_axes() -> None:
    ax = Report([launch("a", took=600), launch("b", start=300, took=10)]).plot()
    low, high = ((each - dates.date2num(TIME)) * 86400 for each in ax.get_xlim())
    assert -30 < low < 0
    assert 600 < high < 630


@pytest.mark.parametrize(
    ("took", "expected"),
    [
        (0, "04:05:54.0"),
        (20, "04:06:00"),
        (3600, "04:30"),
        (86400 * 3, "12:00"),
        (86400 * 60, "Apr"),
    ],
)
def test_times_are_dates_in_utc_however_long_it_took(took: float, expected: str) -> None:
    with matplotlib.rc_context({"timezone": "Asia/Tokyo"}):
        ax = Report([launch("a", took=took)]).plot()
        assert drawn(ax)
    assert expected in [text.get_text() for text in ax.get_xticklabels()]
    assert "UTC" in ax.get_xlabel()


def test_a_report_without_runs_says_so() -> None:
    for report in (Report(), Report([Launch("a")])):
        ax = report.plot()
        assert [text.get_text() for text in ax.texts] == ["No runs"]
        assert drawn(ax)


def test_it_draws_where_it_is_told() -> None:
    figure, (first, second) = pyplot.subplots(2)
    assert Report([launch("a")]).plot(second) is second
    assert Report([launch("a")]).plot(ax=second) is second
    assert (len(first.collections), pyplot.get_fignums()) == (0, [figure.number])


def test_without_a_place_it_makes_a_figure_that_grows_with_the_runs_up_to_a_height() -> None:
    heights = [
        Report([launch(f"s{each}") for each in range(count)]).plot().figure.get_figheight()
        for count in (1, 20, 100, 1000)
    ]
    assert heights[0] < heights[1] < heights[2] == heights[3] <= 8
