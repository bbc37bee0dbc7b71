"""What notebooks show, in a real browser: in JupyterLab if it is installed, and as elsewhere.

VS Code and Colab do not run here: a page stands in for each, with an iframe and the theme as they
have them. A last one stands in for JupyterLab, with its rules for tables and code.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from libica.batch import Launch, Report

from .browser import violations
from .helpers import ROOT
from .real_parts import real_part

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Frame, Locator, Page

pytestmark = pytest.mark.slow

PATIENCE = 120  # seconds
TEXT = {"light": "rgba(0, 0, 0, 0.87)", "dark": "rgb(230, 230, 230)"}
GROUND = {"light": "#ffffff", "dark": "#1e1e1e"}
STYLES = {
    "JupyterLab": """
        body { --jp-ui-font-family: system-ui; --jp-code-font-family: monospace }
        .jp-RenderedHTMLCommon { color: TEXT; font-size: 14px; line-height: 1.6 }
        .jp-RenderedHTMLCommon table { border-collapse: collapse; margin: 0 auto; font-size: 12px;
            border: none; table-layout: fixed; width: 100% }
        .jp-RenderedHTMLCommon :is(td, th, tr) { vertical-align: middle; padding: 0.5em;
            line-height: normal; white-space: normal; max-width: none; border: none }
        .jp-RenderedHTMLCommon :is(tr, td) { text-align: right }
        .jp-RenderedHTMLCommon tbody tr:nth-child(odd) { background: GROUND }
        .jp-RenderedHTMLCommon :not(pre) > code { background: #8883; padding: 1px 5px }""",
    "VS Code": """
        html { --vscode-foreground: TEXT; --vscode-font-family: system-ui;
            --vscode-editor-font-family: monospace; color: var(--vscode-foreground) }
        code { color: #d16969 } table { border-spacing: 0 } th, td { padding: 5px 10px }
        table, thead, tr, th, td, tbody { border: none; text-align: right; max-width: 300px }""",
    "Colab": """
        html[theme] { color: TEXT; color-scheme: SCHEME } body { font-family: Roboto, sans-serif }
        code { white-space: pre } table { border: 1px solid; text-align: right }""",
}


def report(count: int = 200) -> Report:
    now, why = datetime.now(timezone.utc), "the sample has too few reads to go on, " * 9
    begun = [now - timedelta(minutes=count + 3 - at) for at in range(count)]
    launches = [
        Launch(f"s-{at}", f"trn.{at:032}", "Completed", time_created=each, time_modified=now)
        for at, each in enumerate(begun)
    ]
    for each in launches[-2:]:
        each.status, each.status_details, each.exit_status = "Failed", why, 3
    return Report(launches)


def shown_in(page: Page, front_end: str, scheme: str, html: str) -> Frame:
    """Show HTML as a front end does, and return the frame that has it."""
    style = STYLES[front_end].replace("GROUND", GROUND[scheme]).replace("TEXT", TEXT[scheme])
    head = (
        f"<style>{style.replace('SCHEME', scheme)} html {{ background: {GROUND[scheme]} }}</style>"
    )
    begin = (
        f'<!doctype html><html lang="en" theme="{scheme}"><head><title>t</title>{head}</head><body>'
    )
    frame, at = page.main_frame, "http://localhost/notebook"
    if front_end == "JupyterLab":
        page.route(at, lambda route: route.fulfill(body=begin, content_type="text/html"))
        page.goto(at)
        page.evaluate(
            """html => { const into = document.createElement("div");
                into.className = "jp-RenderedHTMLCommon"; document.body.append(into);
                into.append(document.createRange().createContextualFragment(html)) }""",
            html,
        )
    else:
        outer = '<iframe title="output" width="1000" height="900"></iframe>'
        page.route(at, lambda route: route.fulfill(body=outer, content_type="text/html"))
        page.goto(at)
        page.evaluate("html => document.querySelector('iframe').srcdoc = html", begin + html)
        page.wait_for_function("frames[0].document.querySelector('.libtes, .libtes-figure')")
        frame = page.frames[1]
    return frame


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(
        viewport={"width": 1100, "height": 950}, permissions=["clipboard-read", "clipboard-write"]
    )
    context.set_default_timeout(PATIENCE * 1000)
    page, complaints = context.new_page(), []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert complaints == []


def check_table(page: Page, output: Frame | Locator) -> None:
    """Check a report of 200 launches, the last two of which have failed, and use its table."""
    heights = output.locator("tr").evaluate_all("rows => rows.map(each => each.offsetHeight)")
    assert len(heights) == 21
    assert max(heights) < 30  # one line
    assert output.locator("p", has_text="and 180 more").is_visible()
    cells = output.locator("tr").nth(1).locator("td")
    assert cells.evaluate_all("all => all.every(e => getComputedStyle(e).textAlign == 'left')")
    assert cells.nth(1).inner_text() == "✗ Failed"
    why = cells.nth(2).locator("code")
    assert why.evaluate("each => each.clientWidth < each.scrollWidth && each.clientWidth > 200")
    assert "too few reads" in (why.get_attribute("title") or "")
    when = cells.locator("time")
    assert re.fullmatch(r"\d min ago", when.inner_text())
    assert re.fullmatch(r"\d{4}-\d\d-\d\d [\d:]{8} UTC", when.get_attribute("title") or "")
    run_id = cells.locator(".id", has_text="trn.")
    narrow = run_id.evaluate("each => each.offsetWidth")
    run_id.click()
    output.locator(".copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == run_id.get_attribute("title")
    switch = output.get_by_role("checkbox", name="expand")
    switch.focus()
    page.keyboard.press("Space")
    assert run_id.evaluate("each => each.offsetWidth") > 1.5 * narrow
    assert run_id.evaluate("each => each.offsetWidth >= each.scrollWidth")
    assert why.evaluate("each => each.offsetWidth > 400 && each.offsetWidth >= each.scrollWidth")
    page.keyboard.press("Space")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("front_end", STYLES)
def test_a_table_is_short_legible_and_opens_copies_and_tells_times(
    page: Page, front_end: str, scheme: str
) -> None:
    frame = shown_in(page, front_end, scheme, report()._repr_html_())
    check_table(page, frame)
    assert violations(frame, ".libtes") == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("front_end", STYLES)
def test_a_timeline_has_no_background_and_the_text_colour_of_the_page(
    page: Page, front_end: str, scheme: str
) -> None:
    frame = shown_in(page, front_end, scheme, html_of_timeline())
    check_figure(frame.locator(".libtes-figure"), TEXT[scheme])


def html_of_timeline() -> str:
    pytest.importorskip("matplotlib", reason="needs libica-libtes[plot]").use("Agg")
    ax = report(30).plot()
    ax.set_title("my own title")
    figure: Any = ax.figure
    return str(figure._repr_html_())


def check_figure(output: Locator, text: str) -> None:
    assert not output.locator("img").is_visible()
    drawing = output.get_by_role("img", name="Timeline: 28 Completed, 2 Failed")
    colours = drawing.locator("g, path, use").evaluate_all(
        """all => [...new Set(all.flatMap(
            each => [getComputedStyle(each).fill, getComputedStyle(each).stroke]))]"""
    )
    bars = {"rgb(0, 158, 115)", "rgb(213, 94, 0)"}
    assert set(colours) - bars - {"none", "rgb(176, 176, 176)"} == {text}  # and lines of the grid


def test_a_figure_with_a_background_of_its_own_stays_a_picture() -> None:
    pytest.importorskip("matplotlib", reason="needs libica-libtes[plot]").use("Agg")
    figure: Any = report(3).plot().figure
    figure.set_facecolor("white")
    assert figure._repr_html_() is None


# In JupyterLab

IMPORTS = "from datetime import datetime, timedelta, timezone\nfrom libica.batch import *\n"
CELLS = [f"{IMPORTS}\n{inspect.getsource(report)}\nreport()", "report(30).plot();"]
ADAPTIVE = {"adaptive-theme": True}
QUIET = {"fetchNews": "false", "checkForUpdates": False}


def notebook(*outputs: Any, remark: str = "") -> str:
    cells = [
        {"cell_type": "code", "id": f"c{at}", "metadata": {}, "source": source + remark}
        | {"outputs": outputs[at] if outputs else [], "execution_count": None}
        for at, source in enumerate(CELLS)
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    top = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(top)


@contextmanager
def lab(folder: Path) -> Iterator[tuple[str, str]]:
    """Start JupyterLab in a folder; yield its address and token."""
    program, home = real_part("jupyter-lab"), folder / "home"
    for name, values in {"themes": ADAPTIVE, "notification": QUIET}.items():
        path = home / "settings/@jupyterlab/apputils-extension" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values), encoding="utf-8")
    names = "IPYTHONDIR JUPYTER_CONFIG_DIR JUPYTER_DATA_DIR JUPYTER_RUNTIME_DIR".split()
    names += ["JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR"]
    places = {
        each: str(home / each.rpartition("_DIR")[0].rpartition("_")[2].lower()) for each in names
    }
    own = {**os.environ, "HOME": str(home), "PYTHONPATH": str(ROOT), **places}
    with (folder / "log").open("wb") as log:
        command = [program, "--no-browser", "--allow-root", "--port=0"]
        process = subprocess.Popen(command, cwd=folder, env=own, stdout=log, stderr=log)
    try:
        known = home / "runtime" / f"jpserver-{process.pid}.json"
        until, told = time.monotonic() + PATIENCE, {}
        while not told and time.monotonic() < until:
            with suppress(FileNotFoundError, json.JSONDecodeError):
                told = json.loads(known.read_text(encoding="utf-8"))
            time.sleep(0.1)
        yield told["url"], told["token"]
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()  # it sometimes hangs; kernels end without it
        process.wait(PATIENCE)


def test_jupyterlab_shows_all_of_it_in_both_themes_and_a_plain_table_before_trust(
    page: Page, tmp_path: Path
) -> None:
    (tmp_path / "new.ipynb").write_text(notebook(), encoding="utf-8")
    with lab(tmp_path) as (url, token):
        page.goto(f"{url}doc/tree/new.ipynb?token={token}")
        page.get_by_text("| Idle").wait_for()
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_text("Run All Cells", exact=True).click()
        outputs = page.locator(".jp-OutputArea-output")
        outputs.nth(1).locator(".libtes-figure > svg").wait_for()
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            page.locator(f"[data-jp-theme-light={str(scheme == 'light').lower()}]").wait_for(
                state="attached"
            )
            check_table(page, outputs.nth(0))
            text = outputs.nth(1).evaluate("each => getComputedStyle(each).color")
            check_figure(outputs.nth(1), text)
            assert violations(page, ".libtes") == []
        page.keyboard.press("Control+s")
        saved = tmp_path / "new.ipynb"
        until = time.monotonic() + PATIENCE
        while "libtes-figure" not in saved.read_text() and time.monotonic() < until:
            time.sleep(0.1)
        cells = json.loads(saved.read_text(encoding="utf-8"))["cells"]
        changed = notebook(*(each["outputs"] for each in cells), remark="\n# by somebody else")
        (tmp_path / "foreign.ipynb").write_text(changed, encoding="utf-8")
        page.goto(f"{url}doc/tree/foreign.ipynb?token={token}")
        outputs.nth(1).locator("img").wait_for()
        assert outputs.locator("style, script, svg, [onclick]").count() == 0
        rows = outputs.nth(0).locator("tr")
        assert max(rows.evaluate_all("rows => rows.map(each => each.offsetHeight)")) < 40
        page.goto("about:blank")  # JupyterLab ends when nobody looks at it
