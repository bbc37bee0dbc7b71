"""Timeline of runs: one bar per run, or counts by status when there are many runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from .report import FINISHED, Launch, Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# The palette of Okabe and Ito, which colour-blind people can tell apart.
COLOURS = {
    "Completed": "#009E73",
    "Failed": "#D55E00",
    "TimedOut": "#E69F00",
    "Aborted": "#CC79A7",
    "Running": "#56B4E9",
    "Pending": "#BBBBBB",
}
OTHER = "#0072B2"
UNDER_WAY = "#56B4E959"  # runs in progress at a past time: pale
ABSENT = "#BBBBBB"
MOST_BARS = 300
"""Maximum number of runs that are drawn as one bar each; beyond that, they are counted."""

MOST_NAMES = 40
LONGEST_NAME = 40  # characters
MOMENTS = 800  # points in time at which runs are counted
SECOND = 1 / 86400  # in days, the unit of matplotlib


class Span(NamedTuple):
    """Start and end of a run, in days."""

    start: float
    end: float
    launch: Launch


def timeline(report: Report, ax: Optional[Axes] = None) -> Axes:
    """Draw the timeline of a report; see ``Report.plot``."""
    try:
        from matplotlib import pyplot, rc_context
    except ModuleNotFoundError as error:
        if error.name == "matplotlib":
            error.msg += "; it comes with: pip install 'libica-libtes[plot]'"
        raise
    from .figure import ThemedFigure

    dates: Any = import_module("matplotlib.dates")  # has no type annotations
    spans = _spans(report, dates)
    if ax is not None:
        return _draw(ax, report, spans, dates)
    size = (10, min(max(1.5 + 0.25 * len(spans), 3), 7))
    theme = _theme()
    shown: Any = {"FigureClass": ThemedFigure, "facecolor": "none"} if theme else {}
    # Outside the context: a notebook's first figure changes settings for all that follow.
    figure = pyplot.figure(figsize=size, layout="constrained", **shown)
    counts = [f"{count:,} {status}" for status, count in report.summary().items()]
    figure.set_label(f"Timeline: {', '.join(counts)}")
    with rc_context(theme):
        return _draw(figure.subplots(), report, spans, dates)


def _draw(ax: Axes, report: Report, spans: Sequence[Span], dates: Any) -> Axes:
    if not spans:
        ax.set(xticks=[], yticks=[])
        ax.text(0.5, 0.5, "No runs", transform=ax.transAxes, ha="center", va="center")
    else:
        (_draw_bars if len(spans) <= MOST_BARS else _draw_counts)(ax, spans)
        _scale_time(ax, spans, dates)
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_xlabel("Time (UTC)")
    _add_legend(ax, report, spans)
    return ax


def _theme() -> Any:
    """Return settings for a transparent figure that is legible on light and dark pages.

    If the user has set a matplotlib style, return no settings.
    """
    from .figure import INK, LIGHTER_INK

    matplotlib: Any = import_module("matplotlib")
    inked = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color")
    theme = {"figure.facecolor": "none", "axes.facecolor": "none", **dict.fromkeys(inked, INK)}
    theme["ytick.color"] = LIGHTER_INK
    chosen = any(matplotlib.rcParams[key] != matplotlib.rcParamsDefault[key] for key in theme)
    return {} if chosen else theme


def _draw_bars(ax: Axes, spans: Sequence[Span]) -> None:
    """Draw one bar per run, the earliest at the top."""
    from matplotlib.collections import PolyCollection

    for status in dict.fromkeys(span.launch.outcome for span in spans):
        rows = [row for row, span in enumerate(spans) if span.launch.outcome == status]
        bars = PolyCollection([_corners(row, spans[row]) for row in rows])
        # The edge keeps bars visible that are narrower than a pixel, and apart from each other.
        width = min(1.0, 60 / len(spans))
        colour = COLOURS.get(status, OTHER)
        bars.set(facecolor=colour, edgecolor=colour, linewidth=width, antialiased=False)
        ax.add_collection(bars)
    ax.set_ylim(len(spans) - 0.5, -0.5)
    if len(spans) <= MOST_NAMES:
        ax.set_yticks(range(len(spans)), [_label(span.launch.name) for span in spans])
    else:
        ax.set_yticks([0], [""])
        ax.tick_params(axis="y", length=0)
        ax.set_ylabel(f"{len(spans):,} runs")


def _draw_counts(ax: Axes, spans: Sequence[Span]) -> None:
    """Draw the number of runs over time as stacked areas, one per status.

    Failures are at the bottom and have an edge, so that even a few of them are visible.
    """
    numpy: Any = import_module("numpy")  # matplotlib requires it
    ends = [span.end for span in spans]
    moments = numpy.linspace(spans[0].start, max(ends), MOMENTS)
    moments = numpy.append(moments, moments[-1] + _margin(spans))  # shows the final counts

    def count(times: Iterable[float]) -> Any:
        return numpy.searchsorted(numpy.sort(list(times)), moments, side="right")

    bands = {}
    found = {span.launch.outcome for span in spans}
    order = [*FINISHED[1:], FINISHED[0], *sorted(found.difference(FINISHED))]
    for status in filter(found.__contains__, order):
        of = [span for span in spans if span.launch.outcome == status]
        bands[status] = count(each.end if status in FINISHED else each.start for each in of)
    under_way = count(span.start for span in spans) - sum(bands.values())
    lower = numpy.zeros(len(moments))
    for status, counts in {**bands, "": under_way}.items():
        upper = lower + counts
        colour = COLOURS.get(status, OTHER) if status else UNDER_WAY
        wrong = status in FINISHED[1:]
        edge: dict[str, Any] = (
            {"edgecolor": colour, "linewidth": 1.5} if wrong else {"linewidth": 0.0}
        )
        band = ax.fill_between(moments, lower, upper, where=counts > 0, facecolor=colour, **edge)
        band.set(label=status, zorder=3 if wrong else 2)
        lower = upper
    ax.set_ylim(-0.015 * len(spans), 1.02 * len(spans))  # keeps the lowest band clear of the axis
    ax.yaxis.set_major_formatter("{x:,.0f}")
    ax.set_ylabel("Runs")


def _add_legend(ax: Axes, report: Report, spans: Sequence[Span]) -> None:
    """Add a legend above the axes, with as many columns as fit."""
    from matplotlib.patches import Patch

    drawn = {span.launch.outcome for span in spans}
    patches = []
    for status, count in report.summary().items():
        colour = COLOURS.get(status, OTHER) if status in drawn else "none"
        edge = ABSENT if colour == "none" else colour
        patches.append(
            Patch(facecolor=colour, edgecolor=edge, label=_label(f"{status} ({count:,})"))
        )
    if len(spans) > MOST_BARS:
        patches.append(Patch(facecolor=UNDER_WAY, label="In progress at that time"))
    place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0, 1), "frameon": False}
    figure: Any = ax.figure
    figure.draw_without_rendering()  # sets the width of the axes
    room = ax.get_window_extent().width
    for columns in range(len(patches), 0, -1):
        if ax.legend(handles=patches, ncols=columns, **place).get_window_extent().width <= room:
            break


def _margin(spans: Sequence[Span]) -> float:
    return max(0.02 * (max(span.end for span in spans) - spans[0].start), SECOND / 2)


def _spans(report: Report, dates: Any) -> list[Span]:
    now = datetime.now(timezone.utc)
    found, times = [], []
    for each in report:
        if each.run_id is not None and each.time_created is not None:
            found.append(each)
            ended = each.time_modified or each.time_created
            times += [each.time_created, ended if each.status in FINISHED else now]
    days = iter(dates.date2num(times).tolist())
    spans = [Span(start, max(start, end), each) for start, end, each in zip(days, days, found)]
    return sorted(spans, key=lambda span: span[:2])


def _corners(row: int, span: Span) -> list[tuple[float, float]]:
    top, bottom = row - 0.4, row + 0.4
    return [(span.start, top), (span.end, top), (span.end, bottom), (span.start, bottom)]


def _scale_time(ax: Axes, spans: Sequence[Span], dates: Any) -> None:
    margin = _margin(spans)
    ax.set_xlim(spans[0].start - margin, max(span.end for span in spans) + margin)
    locator = dates.AutoDateLocator(tz=timezone.utc)
    formatter = dates.ConciseDateFormatter(locator, tz=timezone.utc)
    formatter.formats[5] = "%H:%M:%S.%f"  # the default shows only seconds below a minute
    formatter.zero_formats[5] = "%H:%M:%S"
    formatter.offset_formats[5] = formatter.offset_formats[4]
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(formatter)
    ax.set_axisbelow(True)
    ax.grid(axis="x", alpha=0.3)


def _label(text: str) -> str:
    text = " ".join(text.split())
    shown = text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 3]}..."
    return shown.replace("$", r"\$")  # matplotlib would read it as a formula
