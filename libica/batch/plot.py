"""A timeline of runs."""

from __future__ import annotations

from datetime import datetime, timezone
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from .report import FINISHED, Launch, Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# By Okabe and Ito, who chose them so that the colour-blind can tell them apart.
COLOURS = {
    "Completed": "#009E73",
    "Failed": "#D55E00",
    "TimedOut": "#E69F00",
    "Aborted": "#CC79A7",
    "Running": "#56B4E9",
    "Pending": "#BBBBBB",
}
OTHER = "#0072B2"
MOST_NAMES = 40
LONGEST_NAME = 40  # characters
SECOND = 1 / 86400  # of a day, which is what matplotlib counts


class Span(NamedTuple):
    """When a run began and ended, in days."""

    start: float
    end: float
    launch: Launch


def timeline(report: Report, ax: Optional[Axes] = None) -> Axes:
    """Draw a bar for each run, the first that was created on top; see ``Report.plot``."""
    try:
        from matplotlib import pyplot
        from matplotlib.collections import PolyCollection
        from matplotlib.patches import Patch
    except ModuleNotFoundError as error:
        if error.name == "matplotlib":
            error.msg += "; it comes with: pip install 'libica-libtes[plot]'"
        raise
    dates: Any = import_module("matplotlib.dates")  # it is not typed
    spans = _spans(report, dates)
    if ax is None:
        size = (10, min(max(1.5 + 0.25 * len(spans), 3), 7))
        ax = pyplot.subplots(figsize=size, layout="constrained")[1]
    legend = []
    for status, count in report.summary().items():
        rows = [row for row, span in enumerate(spans) if span.launch.outcome == status]
        colour = COLOURS.get(status, OTHER) if rows else "none"
        edge = colour if rows else "#BBBBBB"
        label = _label(f"{status} ({count:,})")
        legend.append(Patch(facecolor=colour, edgecolor=edge, label=label))
        bars = PolyCollection([_corners(row, spans[row]) for row in rows])
        # What went wrong is on top; the edge keeps bars thinner than a dot from vanishing.
        bars.set(facecolor=colour, edgecolor=colour, linewidth=1, antialiased=False)
        bars.set_zorder(3 if status in FINISHED[1:] else 2)
        ax.add_collection(bars)
    _label_axes(ax, spans, dates)
    ax.legend(handles=legend, loc="lower left", bbox_to_anchor=(0, 1), ncols=6, frameon=False)
    return ax


def _spans(report: Report, dates: Any) -> list[Span]:
    now = dates.date2num(datetime.now(timezone.utc))
    spans = []
    for each in report:
        if each.run_id is not None and each.time_created is not None:
            start = dates.date2num(each.time_created)
            ended = each.time_modified or each.time_created
            end = dates.date2num(ended) if each.status in FINISHED else now
            spans.append(Span(start, max(start, end), each))
    return sorted(spans, key=lambda span: span[:2])


def _corners(row: int, span: Span) -> list[tuple[float, float]]:
    top, bottom = row - 0.4, row + 0.4
    return [(span.start, top), (span.end, top), (span.end, bottom), (span.start, bottom)]


def _label_axes(ax: Axes, spans: list[Span], dates: Any) -> None:
    ax.set_yticks([])
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_xlabel("Time (UTC)")
    if not spans:
        ax.set_xticks([])
        ax.text(0.5, 0.5, "No runs", transform=ax.transAxes, ha="center", va="center")
        return
    if len(spans) <= MOST_NAMES:
        names = [_label(span.launch.name) for span in spans]
        ax.set_yticks(range(len(spans)), names)
    else:
        ax.set_ylabel(f"{len(spans):,} runs")
    ax.set_ylim(len(spans) - 0.5, -0.5)
    start, end = spans[0].start, max(span.end for span in spans)
    margin = max(0.02 * (end - start), SECOND / 2)
    ax.set_xlim(start - margin, end + margin)
    locator = dates.AutoDateLocator(tz=timezone.utc)
    formatter = dates.ConciseDateFormatter(locator, tz=timezone.utc)
    formatter.formats[5] = "%H:%M:%S.%f"  # short of a minute it would show seconds alone
    formatter.zero_formats[5] = "%H:%M:%S"
    formatter.offset_formats[5] = formatter.offset_formats[4]
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(formatter)
    ax.grid(axis="x", alpha=0.3)


def _label(text: str) -> str:
    text = " ".join(text.split())
    shown = text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 3]}..."
    return shown.replace("$", r"\$")  # it would begin a formula
