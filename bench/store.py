"""Measure how long pages of runs take with few runs and with many, and print a table."""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from libica.local.service import paging
from libica.local.store import lists, objects
from libica.local.store.identity import Identity
from libica.local.store.rows import dumps, insert
from libica.local.store.store import Store

ME = Identity.named("main")
# Most runs are the caller's; the others are of a colleague and of another tenant.
CALLERS = [ME] * 8 + [Identity.named("main", user="colleague"), Identity.named("other")]
STATUSES = ["Completed"] * 97 + ["Failed", "Aborted", "TimedOut"]
EXECUTION = {
    "image": {"name": "quay.io/biocontainers/bwa", "tag": "0.7.17"},
    "command": "bwa",
    "args": ["mem", "-t", "8", "/work/reference.fa", "/work/reads_1.fq", "/work/reads_2.fq"],
    "retryLimit": 3,
    "retryCount": 0,
}
QUERIES = {
    "first page": {},
    "pages of 1000": {"pagesize": "1000"},
    "sort=timeCreated desc": {"sort": "timeCreated desc"},
    "sort=timeModified desc": {"sort": "timeModified desc"},
    "sort=name": {"sort": "name"},
    "sort=status": {"sort": "status"},
    "status=Failed": {"status": "Failed"},
    "status=Completed": {"status": "Completed"},
    "status=Pending": {"status": "Pending"},
    "status=Failed, by name": {"status": "Failed", "sort": "name"},
    "status=Failed, by timeModified desc": {"status": "Failed", "sort": "timeModified desc"},
    "names, unique": {"names": "run 7"},
    "names, of all": {"names": "align"},
    "names, of all, and status=Failed": {"names": "align", "status": "Failed"},
    "versions, rare": {"versions": "9"},
    "versions, of most": {"versions": "1"},
    "versions, of most, and status=Failed": {"versions": "1", "status": "Failed"},
    "versions, of most, by name": {"versions": "1", "sort": "name"},
    "acls, rare": {"acls": "wid:shared"},
    "acls, of most": {"acls": ME.acl[0]},
}
COUNTS = {"counts": "audience, status, version, versionId", "name_counts": "audience, name, status"}
LAST_AND_TOTAL = [name for name in QUERIES if "pages of" not in name and "sort" not in name]


def main() -> None:
    """Build a store of each size, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 1_000_000], metavar="RUNS")
    parser.add_argument("--keep", type=Path, help="folder of the databases, to use them again")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        columns = [_measured(folder / f"{size}.sqlite", size) for size in options.sizes]
    print("| milliseconds | " + " | ".join(f"{size:,} runs" for size in options.sizes) + " |")
    print("|---|" + "--:|" * len(columns))
    for name in columns[0]:
        print(f"| {name} | " + " | ".join(f"{column[name]:.2f}" for column in columns) + " |")


def _measured(path: Path, size: int) -> dict[str, float]:
    if not path.exists():
        _build(path, size)
    began = time.perf_counter()
    store = Store(path)
    found = {"open": 1000 * (time.perf_counter() - began)}
    for name, query in QUERIES.items():
        found[name] = _milliseconds(store, query, total=False)
    for name in LAST_AND_TOTAL:
        found[f"{name}: total"] = _milliseconds(store, QUERIES[name], total=True)
        found[f"{name}: last page"] = _milliseconds(store, QUERIES[name], total=False, last=True)
    store.close()
    return found


def _milliseconds(store: Store, query: dict[str, str], *, total: bool, last: bool = False) -> float:
    cursor = paging.read(lists.RUNS, "", query, store.key).at(None, backwards=last)
    times = []
    for _ in range(7):
        began = time.perf_counter()
        store.page(lists.RUNS, cursor, ME, total)
        times.append(time.perf_counter() - began)
    return 1000 * statistics.median(times)


def _build(path: Path, size: int) -> None:
    """Make a database; rows are copies of one that the store itself has made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Store(path).close()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        for fast in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -200000"):
            db.execute(f"PRAGMA {fast}")
        samples = [_sample(db, by, acl) for by in CALLERS for acl in [None] * 9 + [["wid:shared"]]]
        kept = "type IN ('index', 'trigger') AND sql IS NOT NULL"
        made = db.execute(f"SELECT type, name, sql FROM sqlite_master WHERE {kept}").fetchall()
        for kind, name, _ in made:
            db.execute(f"DROP {kind} {name}")
        db.execute("DELETE FROM runs")
        for table in COUNTS:
            db.execute(f"DELETE FROM {table}")
        marks = ", ".join("?" * len(samples[0]))
        db.execute("BEGIN")
        db.executemany(f"INSERT INTO runs VALUES ({marks})", _rows(samples, size))
        for table, columns in COUNTS.items():
            db.execute(
                f"INSERT INTO {table} SELECT {columns}, count(*) FROM runs GROUP BY {columns}"
            )
        for _, _, sql in made:
            db.execute(sql)
        db.execute("COMMIT")


def _sample(db: sqlite3.Connection, by: Identity, acl: Any) -> dict[str, Any]:
    given = {"name": "@name", "description": "Align the reads of a sample", "acl": acl}
    run = {**objects.run(given, EXECUTION, by), "id": "@id", "timeCreated": "@created"}
    run |= {"timeModified": "@modified", "status": "@status", "statusDetails": "exit status 0"}
    run["taskVersionSummary"] = objects.version({"version": "@version"}, "tdn.1", by)
    more: dict[str, Any] = {"versionId": "@versionId", "version": "@version", "aborting": False}
    insert(db, "runs", run, execution=dumps(EXECUTION), logs='[{"startTime":""}]', **more)
    db.row_factory = sqlite3.Row
    (row,) = db.execute("SELECT * FROM runs WHERE id = '@id'").fetchall()
    db.row_factory = None
    db.execute("DELETE FROM runs")
    return dict(row)


def _rows(samples: list[dict[str, Any]], size: int) -> Iterator[tuple[Any, ...]]:
    chance = random.Random(7)
    for number in range(size):
        row = dict(chance.choice(samples))
        version = "9" if chance.random() < 0.001 else "1"
        unfinished = number >= size - 20  # the newest
        second = f"{number / 10:011.1f}"
        values = {
            "id": f"trn.{chance.getrandbits(128):032x}",
            "name": "align" if chance.random() < 0.5 else f"run {number}",
            "status": "Pending" if unfinished else chance.choice(STATUSES),
            "timeCreated": f"2026-01-{second}Z",
            "timeModified": f"2026-02-{second}Z",
            "versionId": f"tvn.{version}",
            "version": version,
        }
        summary = row["summary"]
        for mark, name in (("id", "id"), ("created", "timeCreated"), ("modified", "timeModified")):
            summary = summary.replace(f'"@{mark}"', json.dumps(values[name]))
        for mark in ("name", "status", "version"):
            summary = summary.replace(f'"@{mark}"', json.dumps(values[mark]))
        yield tuple({**row, **values, "seq": number + 1, "summary": summary}.values())


if __name__ == "__main__":
    main()
