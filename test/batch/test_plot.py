"""Timelines: bars of runs, counts of many runs, and their looks on any page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from random import Random
from typing import Any, Optional

import pytest

from libica.batch.plot import COLOURS, OTHER
from libica.batch.report import Launch, Report
from libica.openapi.libtes import _display

from ..helpers import ROOT

matplotlib: Any = pytest.importorskip("matplotlib", reason="needs libica-libtes[plot]")
matplotlib.use("Agg")
pyplot: Any = pytest.importorskip("matplotlib.pyplot")
numpy: Any = pytest.importorskip("numpy")
dates: Any = pytest.importorskip("matplotlib.dates")

pytestmark = pytest.mark.slow

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
    """Return row, seconds from ``TIME`` to start and end, and colour of each bar."""
    zero, found = dates.date2num(TIME), []
    for collection in ax.collections:
        for path in collection.get_paths():
            (left, top), (right, bottom) = path.vertices.min(axis=0), path.vertices.max(axis=0)
            spans = [round((each - zero) * 86400, 2) for each in (left, right)]
            (colour,) = collection.get_facecolor().tolist()
            found.append((round((top + bottom) / 2), *spans, tuple(colour)))
    return sorted(found)


def legend(ax: Any) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


def names(ax: Any) -> list[str]:
    return [text.get_text() for text in ax.get_yticklabels() if text.get_text()]


def test_each_run_has_a_bar_from_its_creation_to_its_end_the_earliest_on_top() -> None:
    late, early = launch("late", start=5.5, took=10), launch("early", took=60)
    # A run whose end is unknown, or before its start, has no length; others have no bar.
    odd = [launch("none", start=7, took=None), launch("back", start=8, took=-60)]
    ax = Report([late, early, *odd, Launch("b", error="400"), Launch("c", error="unsure")]).plot()
    assert [each[:3] for each in bars(ax)] == [(0, 0, 60), (1, 5.5, 15.5), (2, 7, 7), (3, 8, 8)]
    assert names(ax) == ["early", "late", "none", "back"]
    assert legend(ax) == ["Completed (4)", "Not launched (1)", "Unsure (1)"]
    bottom, top = ax.get_ylim()
    assert bottom > top
    low, high = ((each - dates.date2num(TIME)) * 86400 for each in ax.get_xlim())
    assert -3 < low < 0
    assert 60 < high < 63


def test_the_bar_of_an_unfinished_run_ends_now() -> None:
    before = (datetime.now(timezone.utc) - TIME).total_seconds()
    # A run in progress has been modified too.
    found = bars(Report([launch("a", each, took=5) for each in ("Running", "New", None)]).plot())
    after = (datetime.now(timezone.utc) - TIME).total_seconds()
    assert [before - 0.1 <= end <= after + 0.1 for _, _, end, _ in found] == [True] * 3


def test_each_status_has_its_own_colour_in_bars_and_legend() -> None:
    ax = Report([launch(status, status, start) for start, status in enumerate(STATUSES)]).plot()
    colours = [each[3] for each in bars(ax)]
    assert len(set(colours)) == len(STATUSES)
    patches = [tuple(patch.get_facecolor()) for patch in ax.get_legend().get_patches()]
    shown = dict(zip(legend(ax), patches))
    assert shown == {f"{status} (1)": colour for status, colour in zip(STATUSES, colours)}
    grey = [0.3 * red + 0.59 * green + 0.11 * blue for red, green, blue, _ in colours]
    assert abs(grey[1] - grey[2]) > 0.1  # failures differ in brightness too


@pytest.mark.parametrize(("count", "named"), [(40, True), (41, False), (300, False)])
def test_names_are_on_the_axis_if_there_is_room(count: int, named: bool) -> None:
    # They are shortened and are not formulas.
    raw = ["x" * 255, "$a_{$", "a\nb", *(f"s{each}" for each in range(3, count))]
    ax = Report([launch(name, start=at) for at, name in enumerate(raw)]).plot()
    assert len(bars(ax)) == count
    assert names(ax) == (["x" * 37 + "...", r"\$a_{\$", "a b", *raw[3:]] if named else [])
    assert ax.get_ylabel() == ("" if named else f"{count:,} runs")
    ax.figure.canvas.draw()


@pytest.mark.parametrize(
    ("took", "expected"),
    [(0, "04:05:54.0"), (20, "04:06:00"), (3600, "04:30"), (86400 * 60, "Apr")],
)
def test_times_are_in_utc_with_a_fitting_format(took: float, expected: str) -> None:
    with matplotlib.rc_context({"timezone": "Asia/Tokyo"}):
        ax = Report([launch("a", took=took)]).plot()
        ax.figure.canvas.draw()
    assert expected in [text.get_text() for text in ax.get_xticklabels()]
    assert "UTC" in ax.get_xlabel()


def test_it_draws_on_the_given_axes_or_on_a_figure_that_grows_with_the_runs() -> None:
    figure, (first, second) = pyplot.subplots(2)
    assert Report([launch("a")]).plot(second) is second
    assert (len(first.collections), pyplot.get_fignums()) == (0, [figure.number])
    axes = [cohort(count).plot() for count in (1, 20, 100, 301)]
    heights = [ax.figure.get_figheight() for ax in axes]
    assert heights[0] < heights[1] < heights[2] == heights[3] <= 8
    ax = Report([Launch("a")]).plot()
    assert [text.get_text() for text in ax.texts] == ["No runs"]


# Many runs


def cohort(count: int) -> Report:
    chance = Random(0)
    spans = [(chance.uniform(0, 3600), chance.uniform(0, 3600)) for _ in range(count)]
    return Report(
        launch(f"s{at}", chance.choice(STATUSES[:4]), *span) for at, span in enumerate(spans)
    )


def pixels(ax: Any) -> Any:
    """Draw the axes and return their pixels, bottom row first."""
    ax.set_axis_off()
    ax.figure.set_facecolor("white")
    ax.figure.canvas.draw()
    left, bottom, width, height = (round(each) for each in ax.get_window_extent().bounds)
    drawn = numpy.asarray(ax.figure.canvas.buffer_rgba())[::-1, :, :3]
    return drawn[bottom : bottom + height, left : left + width]


def dots(column: Any, colour: str) -> int:
    """Count the pixels of a colour, with a small tolerance."""
    wanted = [255 * each for each in matplotlib.colors.to_rgb(colour)]
    return int((abs(column - numpy.array(wanted)).max(axis=-1) < 8).sum())


def test_of_many_runs_the_height_of_each_status_is_its_count_at_any_time() -> None:
    report = cohort(2000)
    ax = report.plot()
    (low, high), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    picture = pixels(ax)
    height, width = picture.shape[:2]
    for minute in (30, 60, 90):
        moment = TIME + timedelta(minutes=minute)
        at = round((dates.date2num(moment) - low) / (high - low) * width)
        for status in STATUSES[:4]:
            ended = [each.time_modified for each in report if each.status == status]
            expected = sum(each is not None and each <= moment for each in ended)
            shown = dots(picture[:, at], COLOURS[status]) / height * (top - bottom)
            assert shown == pytest.approx(expected, abs=0.02 * len(report))


def test_one_failure_among_thousands_of_runs_is_visible() -> None:
    runs = [launch(f"s{each}", start=each) for each in range(2000)]
    for at, status in enumerate(STATUSES[1:4]):
        assert not dots(pixels(Report(runs).plot()), COLOURS[status])
        runs[500 * (at + 1)] = launch("bad", status, 500 * (at + 1))
        assert dots(pixels(Report(runs).plot()), COLOURS[status]) > 100


def test_many_unfinished_runs_are_drawn_until_now() -> None:
    runs = [launch(f"s{each}", "Running" if each % 2 else "Frozen") for each in range(1000)]
    ax = Report(runs).plot()
    assert legend(ax) == ["Running (500)", "Frozen (500)", "In progress at that time"]
    picture = pixels(ax)
    for colour in (COLOURS["Running"], OTHER):
        assert 0.45 < dots(picture, colour) / picture[..., 0].size < 0.5


def test_its_colours_are_those_of_tables() -> None:
    styles = re.findall(r"& (.*data-is.*) \{ --is: (#\w+) \}", _display.styled(""))
    found = {each: colour for names, colour in styles for each in re.findall(r'"([^"]+)"', names)}
    assert {each: found[each] for each in COLOURS} == {k: v.lower() for k, v in COLOURS.items()}


# Looks


@pytest.mark.parametrize(("count", "size"), [(1, (5, 4)), (40, None), (1000, (10, 4))])
def test_the_legend_is_not_clipped(count: int, size: Any) -> None:
    runs = [launch("n" * 30 + str(each), STATUSES[each % 6], each) for each in range(count)]
    runs += [launch(status, status) for status in ("Finalizing", "FailedRestartable", "CheckedOut")]
    runs += [Launch("e", error="400")] * 1234 + [Launch("d", error="unsure: who knows")] * 1234
    ax = Report(runs).plot(pyplot.subplots(figsize=size, layout="constrained")[1] if size else None)
    ax.figure.canvas.draw()
    shown, page = ax.get_legend().get_window_extent(), ax.figure.bbox
    assert page.x0 <= shown.x0 < shown.x1 <= page.x1 + 1
    assert page.y0 <= shown.y0 < shown.y1 <= page.y1 + 1


def contrast(*colours: Any) -> float:
    """Return the contrast ratio of two colours as WCAG defines it."""
    parts = numpy.array([matplotlib.colors.to_rgb(each) for each in colours])
    linear = numpy.where(parts <= 0.04, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    darker, lighter = sorted(linear @ [0.2126, 0.7152, 0.0722])
    return float((lighter + 0.05) / (darker + 0.05))


@pytest.mark.parametrize("page", ["#FFFFFF", "#111111", "#1E1E1E"])
def test_it_is_legible_on_light_and_dark_pages(page: str) -> None:
    ax = Report([launch("a")]).plot()
    ax.figure.canvas.draw()
    assert ax.figure.get_facecolor()[3] == ax.get_facecolor()[3] == 0
    texts = [*ax.get_legend().get_texts(), *ax.get_xticklabels(), *ax.get_yticklabels()]
    for each in [*texts, ax.xaxis.label, ax.xaxis.get_offset_text()]:
        assert contrast(each.get_color(), page) > 3.9
    assert contrast(ax.spines["left"].get_edgecolor(), page) > 3


PLOTS = """
from datetime import datetime, timezone
from libica.batch import Launch, Report
times = {"time_created": datetime.now(timezone.utc), "time_modified": datetime.now(timezone.utc)}
for count in (1, 41, 301):
    Report([Launch("a", str(each), "Completed", **times) for each in range(count)]).plot()
"""


def test_a_notebook_shows_each_plot_on_its_own_background(monkeypatch: pytest.MonkeyPatch) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("PYTHONWARNINGS", raising=False)
    cells = [nbformat.v4.new_code_cell(f"{PLOTS};") for _ in range(2)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    nbclient.NotebookClient(notebook, timeout=120).execute()
    for cell in notebook.cells:
        shown = [each for each in cell.outputs if "image/png" in each.get("data", {})]
        assert len(shown) == 3
        assert not any("needs_background" in each.metadata for each in shown)


def test_a_chosen_style_is_kept() -> None:
    with pyplot.style.context("dark_background"):
        ax = Report([launch("a")]).plot()
        assert matplotlib.colors.to_hex(ax.figure.get_facecolor()) == "#000000"
        assert ax.xaxis.label.get_color() == "white"
    figure, ax = pyplot.subplots(facecolor="pink")
    Report([launch("a")]).plot(ax)
    assert figure.get_facecolor() == matplotlib.colors.to_rgba("pink")
    assert ax.xaxis.label.get_color() == "black"
    assert pyplot.rcParams["text.color"] == "black"
