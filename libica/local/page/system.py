"""The engine and the storage at a glance."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

from starlette.responses import Response

from ..node.places import shown, split_scheme
from .rendering import size
from .visit import Page, Visit


def show(page: Page, visit: Visit) -> Response:
    """Show them."""
    service, about = page.service, page.surroundings
    cpu, memory, attempts = about.capacity
    counts = service.store.counts({}, visit.by)
    engine = [
        ("Engine", about.engine),
        ("Commands run in", about.run_in),
        ("Scheduler", "works" if service.scheduler.is_alive() else "has ended"),
        ("Processors", _limit(cpu)),
        ("Memory", f"{memory:.1f} GB" if memory < math.inf else "no limit"),
        ("Concurrent runs", _limit(attempts)),
        (
            "Your runs",
            f"{counts.get('Running', 0):,} running, {counts.get('Pending', 0):,} pending",
        ),
    ]
    gds = service.gds
    database = sum(file.stat().st_size for file in about.home.glob("tes.sqlite*"))
    storage = [
        ("Data", f"{about.home}{'' if about.is_kept else ' (removed when the service ends)'}"),
        ("Database", size(database) if about.is_kept else "in memory"),
        ("gds:// is", shown(gds)),
        ("Changes waiting for the disk", f"{service.store.changes_waiting()}"),
    ]
    folders = [about.home] if split_scheme(gds)[0] else [about.home, Path(gds)]
    devices = {folder.stat().st_dev: folder for folder in folders if folder.exists()}
    disks = list(map(_disk, devices.values()))
    return page.render(visit, "system.html", engine=engine, storage=storage, disks=disks)


def _limit(number: float) -> str:
    return f"{number:g}" if number < math.inf else "no limit"


def _disk(folder: Path) -> dict[str, Any]:
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return {"folder": str(folder), "used": 0, "text": "cannot be read"}
    used = (usage.total - usage.free) / usage.total if usage.total else 0
    return {
        "folder": str(folder),
        "used": round(used * 100, 1),
        "text": f"{size(usage.free)} of {size(usage.total)} free",
    }
