"""Makes the pictures of the README, docs/pictures/*.png, from the running system.

A local service runs a cohort of 40 samples. Once most of them have ended, and while a few still
run, Chromium takes a picture of the page, of what the command prints, and of a notebook in
JupyterLab, each light and dark. This takes about three minutes. It needs, on Debian or Ubuntu::

    apt install chromium fonts-noto-core fonts-dejavu-core
    pip install -e '.[local,cli,plot]' jupyterlab playwright pillow
    python docs/pictures.py
"""

# ruff: noqa: E402 this checkout must come first on sys.path

from __future__ import annotations

import contextlib
import io
import json
import os
import pty
import random
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image, ImageOps
from playwright.sync_api import FloatRect, Page, sync_playwright
from rich.color import parse_rgb_hex
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from libica import batch
from libica.local import LocalTes
from libica.openapi import libtes

PICTURES = ROOT / "docs" / "pictures"
SCALE = 2  # pixels of a picture for each that the browser counts
LARGEST = 150_000  # bytes
BORDERS = {"light": "#d1d9e0", "dark": "#3d444d"}  # as GitHub has around code
PATIENCE = 180  # seconds

# The cohort: 37 samples end; of the last three, two run and one waits. Two fit any machine.
WORKERS, TIME_LIMIT = 2, 60  # runs at a time; seconds
POOR, STUCK, SLOW, LAST = {26, 34}, 28, range(29, 38), range(38, 41)  # numbers of samples
OUTCOME = {"Completed": 34, "Failed": 2, "TimedOut": 1, "Running": 2, "Pending": 1}
CHECK_READS = """\
#!/bin/sh
sleep "$1"
if [ "$2" -lt 1000 ]; then echo "$2 reads are too few" >&2; exit 3; fi
"""

ROWS = 16  # of the list of runs
COLUMNS = 80
COMMANDS = ["libica-tes report cohort.jsonl", "libica-tes runs --status Running,Failed,TimedOut"]
TERMINALS = {  # background, text, and black, red, green, yellow, blue, magenta, cyan, white
    "light": "ffffff 1f2328 24292f cf222e 1a7f37 9a6700 0969da 8250df 1b7c83 6e7781",
    "dark": "0d1117 e6edf3 484f58 ff7b72 3fb950 d29922 58a6ff bc8cff 39c5cf b1bac4",
}
TERMINAL = """\
<!doctype html>
<style>{light}</style>
<style media="(prefers-color-scheme: dark)">{dark}</style>
<style>
  body {{ margin: 0 }}
  pre {{ margin: 0; padding: 22px 28px; font: 15.6px/1.42 "DejaVu Sans Mono", monospace }}
</style>
<pre>{code}</pre>
"""

CELLS = [
    """\
from libica import batch
from libica.openapi import libtes

client = libtes.ApiClient(libtes.Configuration.from_env())
report = batch.Report.from_journal("cohort.jsonl")
report = batch.wait_all(client, report, timeout=0, progress=False)
report.failed""",
    "report.plot();",
]
KERNEL = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}


class Shot(NamedTuple):
    """What the browser shows, and the part of it that is the picture."""

    page: Page
    name: str
    clip: FloatRect


def samples() -> Iterator[dict[str, Any]]:
    """Return the launches of the cohort."""
    chance = random.Random(5)
    for number in range(1, LAST.stop):
        seconds = chance.uniform(0.3, 1.5)
        if number in SLOW:
            seconds = chance.uniform(5, 6)
        elif number == STUCK or number in LAST:
            seconds = 2 * TIME_LIMIT
        reads = chance.randrange(1000) if number in POOR else chance.randrange(1000, 9000)
        arguments = {"seconds": f"{seconds:.1f}", "reads": str(reads)}
        yield {"name": f"sample-{number:03}", "arguments": arguments}


def launch(client: libtes.ApiClient, journal: Path) -> batch.Report:
    """Launch the cohort one by one, as the service runs it in that order; return its report."""
    execution = {
        "command": "check-reads",
        "args": ["{{seconds}}", "{{reads}}"],
        "systemFiles": {"url": "gds://cohort/logs/"},
        "retryLimit": 0,
    }
    task = libtes.TasksApi(client).create_task(
        body={"name": "check-reads", "taskVersions": [{"version": "1.0.0", "execution": execution}]}
    )
    version = next(libtes.TaskVersionsApi(client).iter_task_versions(str(task.id)))
    return batch.launch_all(
        client,
        str(task.id),
        str(version.id),
        samples(),
        journal=journal,
        concurrency=1,
        progress=False,
    )


def wait(client: libtes.ApiClient, report: batch.Report) -> None:
    """Wait until the cohort is as the pictures show it."""
    until = time.monotonic() + PATIENCE
    while summary(client, report) != OUTCOME:
        if time.monotonic() > until:
            raise SystemExit(f"the cohort has become {summary(client, report)}, not {OUTCOME}")
        time.sleep(1)


def summary(client: libtes.ApiClient, report: batch.Report) -> dict[str, int]:
    """Return how many runs have which status now."""
    return batch.wait_all(client, report, timeout=0, progress=False).summary()


@contextlib.contextmanager
def jupyter(folder: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """Start JupyterLab in a folder, with settings of its own; yield the notebook's address."""
    cells: list[dict[str, Any]] = [
        {
            "cell_type": "code",
            "id": f"cell-{number}",
            "metadata": {},
            "source": source,
            "outputs": [],
            "execution_count": None,
        }
        for number, source in enumerate(CELLS)
    ]
    notebook = {
        "cells": cells,
        "metadata": {"kernelspec": KERNEL},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    (folder / "cohort.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    home = folder / ".home"
    settings = {
        "apputils-extension/themes": {"adaptive-theme": True},
        "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
        "notebook-extension/tracker": {"windowingMode": "none"},
    }
    for name, values in settings.items():
        path = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values), encoding="utf-8")
    own = {
        "HOME": str(home),
        "IPYTHONDIR": str(home / "ipython"),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
    }
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--port=0"]
    with (folder / "jupyter.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env={**environment, **own}, stdout=log, stderr=log
        )
    try:
        known = _server(home / "runtime" / f"jpserver-{process.pid}.json")
        yield f"{known['url']}doc/tree/cohort.ipynb?token={known['token']}"
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _server(path: Path) -> Any:
    """Return what JupyterLab writes about itself once it listens."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
            return json.loads(path.read_text(encoding="utf-8"))
        time.sleep(0.2)
    raise SystemExit("JupyterLab does not start")


def printed(folder: Path, environment: Mapping[str, str]) -> str:
    """Return what the commands print to a terminal, with the prompts before them."""
    environment = {**environment, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS)}
    text = ""
    for command in COMMANDS:
        terminal, end = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "libica.cli", *shlex.split(command)[1:]],
            cwd=folder,
            env=environment,
            stdin=end,
            stdout=end,
            stderr=end,
        )
        os.close(end)
        text += f"\n\x1b[1m$ {command}\x1b[0m\n"
        with contextlib.suppress(OSError), open(terminal, "rb") as output:  # EIO is the end
            for line in iter(output.readline, b""):
                text += line.decode()
        process.wait(PATIENCE)
    return text.replace("\r", "").strip()


def terminal_page(text: str) -> str:
    """Return a page that shows what was printed, in the colours of both themes."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(text))
    parts = {}
    for scheme, colours in TERMINALS.items():
        background, text_colour, *others = [(*parse_rgb_hex(each),) for each in colours.split()]
        theme = TerminalTheme(background, text_colour, others)
        style = "body {{ background: {background}; color: {foreground} }}\n{stylesheet}"
        parts[scheme] = console.export_html(theme=theme, code_format=style, clear=False)
    return TERMINAL.format(**parts, code=console.export_html(code_format="{code}"))


def page_shot(page: Page, address: str) -> Shot:
    """Open the list of runs."""
    page.set_viewport_size({"width": 1040, "height": 900})
    page.goto(address)
    page.wait_for_url("**/runs")
    page.locator("#live").wait_for()
    height = (
        page.locator("tbody tr").nth(ROWS - 1).evaluate("row => row.getBoundingClientRect().bottom")
    )
    return Shot(page, "page", {"x": 0, "y": 0, "width": 1040, "height": height})


def terminal_shot(page: Page, text: str) -> Shot:
    """Open what the commands printed."""
    page.set_viewport_size({"width": 830, "height": 400})
    page.set_content(terminal_page(text))
    height = page.locator("pre").evaluate("pre => pre.offsetHeight")
    return Shot(page, "terminal", {"x": 0, "y": 0, "width": 830, "height": height})


def notebook_shot(page: Page, address: str) -> Shot:
    """Open the notebook, and run it."""
    page.set_viewport_size({"width": 1060, "height": 1300})
    page.goto(address)
    page.locator(".jp-Notebook .jp-Cell").first.wait_for()
    page.get_by_text("| Idle").wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    page.locator(".libtes-figure > svg").wait_for()
    page.get_by_text("| Idle").wait_for()
    panel = page.locator(".jp-NotebookPanel").bounding_box()
    end = page.locator(".libtes-figure > svg").bounding_box()
    assert panel is not None
    assert end is not None
    height = end["y"] + end["height"] + 20 - panel["y"]
    return Shot(page, "notebook", {**panel, "height": height})


def save(shot: Shot, scheme: Any) -> None:
    """Take a picture in one scheme, with a border and few colours, as these are small."""
    shot.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    shot.page.wait_for_timeout(1000)
    taken = shot.page.screenshot(clip=shot.clip, full_page=True, animations="disabled")
    image = Image.open(io.BytesIO(taken)).convert("RGB")
    image = ImageOps.expand(image, SCALE, BORDERS[scheme])
    path = PICTURES / f"{shot.name}-{scheme}.png"
    image.quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)
    size = path.stat().st_size
    print(f"{path.relative_to(ROOT)}: {image.width} x {image.height}, {size:,} bytes")
    if size > LARGEST:
        raise SystemExit(f"{path.name} has more than {LARGEST:,} bytes")


def main() -> int:
    """Make the pictures; return the exit status."""
    program = shutil.which("chromium")
    if program is None:
        raise SystemExit("chromium is not on the PATH")
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        check = folder / ".bin" / "check-reads"
        check.parent.mkdir()
        check.write_text(CHECK_READS, encoding="utf-8")
        check.chmod(0o755)
        os.environ["PATH"] = os.pathsep.join([str(check.parent), os.environ["PATH"]])
        tes = stack.enter_context(LocalTes(workers=WORKERS, time_limit=TIME_LIMIT))
        client = stack.enter_context(libtes.ApiClient(tes.configuration()))
        environment = {
            **os.environ,
            "ICA_ACCESS_TOKEN": tes.token,
            "ICA_BASE_URL": tes.url,
            "PYTHONPATH": str(ROOT),
        }
        address = stack.enter_context(jupyter(folder, environment))
        browser = stack.enter_context(sync_playwright()).chromium.launch(
            executable_path=program, args=["--no-sandbox", "--font-render-hinting=none"]
        )
        report = launch(client, folder / "cohort.jsonl")
        wait(client, report)
        pages = [browser.new_page(device_scale_factor=SCALE) for _ in range(3)]
        shots = [
            notebook_shot(pages[0], address),
            terminal_shot(pages[1], printed(folder, environment)),
            page_shot(pages[2], tes.page_address()),
        ]
        for shot in shots:
            for scheme in BORDERS:
                save(shot, scheme)
        browser.close()
        if summary(client, report) != OUTCOME:
            raise SystemExit("the pictures took longer than the last runs: try again")
    return 0


if __name__ == "__main__":
    sys.exit(main())
