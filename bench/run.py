"""Compare the client with urllib3 and json alone, in alternating rounds, and print a table."""

from __future__ import annotations

import argparse
import functools
import gc
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple, Optional

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import cases, server

ROOT = sys.path[0]
Work = Callable[[], object]
Measure = Callable[[], float]

PARTS = 10


class Row(NamedTuple):
    """A row of the table: its target, and how to measure one round of each side."""

    name: str
    target: Optional[float]
    unit: str
    rounds: int
    ours: Measure
    plain: Measure


class Outcome(NamedTuple):
    """The medians of both sides and of their ratio, and the range of the ratio in ten parts."""

    ours: float
    plain: float
    ratio: float
    low: float
    high: float


def main() -> None:
    """Run the benchmarks that the command line selects."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, help="rounds for each row, instead of its default")
    parser.add_argument(
        "--only", nargs="+", metavar="ROW", help="rows to measure, such as get; default: all"
    )
    parser.add_argument(
        "--without-orjson", action="store_true", help="parse with json even if orjson is installed"
    )
    options = parser.parse_args()
    if options.without_orjson:
        sys.modules["orjson"] = None  # type: ignore[assignment]
    cases.check()
    with server.running(cases.RESPONSES) as host, tempfile.TemporaryDirectory() as bytecode:
        child = functools.partial(in_child, bytecode)
        rows = _rows(cases.Client(host), cases.Plain(host), child)
        names = [row.name for row in rows]
        wanted = options.only or names
        if not set(wanted).issubset(names):
            parser.error(f"the rows are {', '.join(names)}")
        orjson = "no orjson" if options.without_orjson else f"orjson {_version('orjson')}"
        print(f"Python {platform.python_version()}, urllib3 {version('urllib3')}, {orjson}\n")
        print(_LINE.format("", "client", "urllib3+json", "ratio", "in ten parts", "target", ""))
        for row in rows:
            if row.name in wanted:
                rounds = max(PARTS, options.rounds or row.rounds)
                print(_line(row, compare(row.ours, row.plain, rounds)), flush=True)


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"


def _rows(ours: cases.Client, plain: cases.Plain, child: Callable[[str], Measure]) -> list[Row]:
    crowd = cases.Crowd()

    def many(work: Work) -> Measure:
        return timed(lambda: crowd(work), cases.THREADS * cases.GETS_A_THREAD)

    def cohort(work: Work) -> Measure:
        return timed(work, cases.LAUNCHES)

    urllib3_alone = child("import urllib3")
    client = child("from libica.openapi import libtes; libtes.ApiClient()")
    return [
        Row("get", 1.12, "us", 5000, timed(ours.get), timed(plain.get)),
        Row("launch", 1.12, "us", 5000, timed(ours.launch), timed(plain.launch)),
        Row("create", 1.18, "us", 5000, timed(ours.create), timed(plain.create)),
        Row("page", 1.40, "us", 300, swept(timed(ours.page)), swept(timed(plain.page))),
        Row("read", 1.40, "us", 300, swept(timed(ours.read)), swept(timed(plain.read))),
        Row("threads", 1.20, "us", 200, many(ours.get), many(plain.get)),
        Row("batch", 1.25, "us", 10, cohort(ours.batch), cohort(plain.batch)),
        Row("journal", 1.25, "us", 10, cohort(ours.journal), cohort(plain.batch)),
        Row("memory", 0.80, "kB", 10, swept(held(ours.page)), swept(held(plain.page))),
        Row("import", 0.10, "us", 50, child("from libica.openapi import libtes"), urllib3_alone),
        Row("client", 1.30, "us", 50, client, urllib3_alone),
        Row("noise", None, "us", 5000, timed(plain.get), timed(plain.get)),
    ]


def compare(ours: Measure, plain: Measure, rounds: int) -> Outcome:
    """Measure both sides in each round, alternating which side goes first.

    The ratio is the median of the ratios of the rounds. A slow phase of the machine that is longer
    than a round affects both sides; a shorter one produces an outlier. A single call per round
    gives more repeatable results than the mean of several, which one outlier can distort.
    """
    ours(), plain()  # load modules, open connections and fill caches
    pairs = [(ours(), plain()) if turn % 2 else (plain(), ours())[::-1] for turn in range(rounds)]
    ratios = [mine / theirs for mine, theirs in pairs]
    size = len(ratios) // PARTS
    parts = [statistics.median(ratios[size * part :][:size]) for part in range(PARTS)]
    mine, theirs = (statistics.median(side) for side in zip(*pairs))
    return Outcome(mine, theirs, statistics.median(ratios), min(parts), max(parts))


def timed(work: Work, calls: int = 1) -> Measure:
    """Return a measure of the microseconds per call, including the release of its result."""

    def measure() -> float:
        started = time.perf_counter()
        work()
        return (time.perf_counter() - started) / calls * 1e6

    return measure


def held(work: Work) -> Measure:
    """Return a measure of the kilobytes of memory that the result of the work occupies."""

    def measure() -> float:
        tracemalloc.start()
        result = work()
        gc.collect()
        size = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        del result
        return size / 1000

    return measure


def swept(measure: Measure) -> Measure:
    """Return a measure that first collects the garbage of the other side."""

    def sweep_and_measure() -> float:
        gc.collect()
        return measure()

    return sweep_and_measure


def in_child(bytecode: str, code: str) -> Measure:
    """Return a measure of the microseconds that the code takes in a new interpreter.

    Compiled modules are cached in the folder ``bytecode``, regardless of the environment.
    """
    timer = f"from time import perf_counter as now; t = now(); {code}; print((now() - t) * 1e6)"
    path = os.pathsep.join(filter(None, (ROOT, os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONPYCACHEPREFIX": bytecode}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-c", timer]

    def measure() -> float:
        return float(subprocess.check_output(command, env=environment))

    return measure


_LINE = "{:<9}{:>12}{:>14}{:>8}{:>16}{:>8}  {}"


def _line(row: Row, outcome: Outcome) -> str:
    sides = (f"{each:,.0f} {row.unit}" for each in (outcome.ours, outcome.plain))
    parts = f"{outcome.low:.3f} to {outcome.high:.3f}"
    target, verdict = "", ""
    if row.target is not None:
        target, verdict = f"{row.target:.2f}", "met" if outcome.ratio <= row.target else "missed"
    return _LINE.format(row.name, *sides, f"{outcome.ratio:.3f}", parts, target, verdict)


if __name__ == "__main__":
    main()
