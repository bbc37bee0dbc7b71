"""The page in a real browser: how it looks, what moves by itself, and work without a mouse."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from libica.local import LocalTes

from ..browser import violations
from .caller import ECHO, PATIENCE, SLEEP, TRUE, Caller, Json
from .test_page import HOSTILE, sh, version_path

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="the browser is looked for as on Linux"),
]


@pytest.fixture
def tes() -> Iterator[LocalTes]:
    with LocalTes(workers=4) as tes:
        yield tes


@pytest.fixture
def caller(tes: LocalTes) -> Iterator[Caller]:
    with Caller(tes.url, tes.token) as caller:
        yield caller


@pytest.fixture
def page(tes: LocalTes, chromium: Browser) -> Iterator[Page]:
    """A page of somebody who is signed in; whatever it complains about fails the test."""
    context = chromium.new_context(base_url=tes.url, viewport={"width": 1280, "height": 900})
    page, complaints = _opened(context, tes)
    yield page
    context.close()
    assert [each for each in complaints if not each.startswith("debug:")] == []


def _opened(context: BrowserContext, tes: LocalTes) -> tuple[Page, list[str]]:
    context.set_default_timeout(PATIENCE * 1000)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: (complaints.append("a dialog"), dialog.dismiss()))
    page.on("request", lambda request: _check_address(request.url, tes, complaints))
    page.goto(tes.page_address())
    page.wait_for_url("**/runs")
    return page, complaints


def _check_address(url: str, tes: LocalTes, complaints: list[str]) -> None:
    if not url.startswith(f"{tes.url}/"):
        complaints.append(f"a request to {url}")


def _filled(caller: Caller) -> tuple[Json, list[str]]:
    """Make something of each kind; return the task and the paths of all pages."""
    everything = " ".join(HOSTILE) + " word" * 15
    variables = {"SECURE_KEY": "{{key}}", "PLAIN": "{{word}}"}
    described = {**ECHO, "environment": {"variables": variables}}
    versions = [{"version": "1.0", "execution": described, "description": everything}]
    task = caller.ok("POST", "/v1/tasks", {"name": everything, "taskVersions": versions})
    failing = sh('seq 30; echo "$0" >&2; exit 3', retryLimit=1, description=everything)
    failed = caller.start(failing, "Failed", name=everything)
    done = caller.start(TRUE, "Completed", name="done")
    running = caller.start(sh("echo hello; sleep 600"), "Running", name="x" * 200)
    caller.abort(caller.start(SLEEP, "Running")["id"])
    paths = ["/runs", "/runs?status=Pending", "/runs?status=Odd", "/tasks", f"/tasks/{task['id']}"]
    paths += [version_path(task), "/system", "/sign-in", "/sign-in?key=used", "/runs/trn.none"]
    paths += ["/runs?sent=before", "/runs?name=none", "/tasks?name=none"]
    return task, paths + [f"/runs/{run['id']}" for run in (failed, done, running)]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_accessible_and_fits_from_phone_to_wide_screen(
    tes: LocalTes, caller: Caller, chromium: Browser, scheme: Any
) -> None:
    task, paths = _filled(caller)
    context = chromium.new_context(base_url=tes.url, color_scheme=scheme)
    page, complaints = _opened(context, tes)
    for path in paths:
        page.goto(path)
        for width in (390, 1000, 1920):
            page.set_viewport_size({"width": width, "height": 900})
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, (path, width)
            if width < 1920:
                assert violations(page) == [], (path, width)
    page.goto("/runs?name=none")  # with a button to clear the filter
    page.set_viewport_size({"width": 1000, "height": 900})
    tops = page.locator(".filters > *").evaluate_all("all => all.map(each => each.offsetTop)")
    assert max(tops) - min(tops) < 40, tops  # one line
    page.goto(version_path(task))
    page.get_by_role("button", name="Launch", exact=True).click()
    page.get_by_text("Arguments are missing").wait_for()
    assert violations(page) == []
    page.get_by_label("Rows, as CSV").fill("key,colour\nx,y")
    page.get_by_role("button", name="Launch each row").click()
    page.get_by_text("The table lacks the columns: 'word'").wait_for()
    assert violations(page) == []
    context.close()
    # Chromium mentions each page whose status is an error.
    errors = [each for each in complaints if not each.startswith("debug:")]
    assert [each for each in errors if "status of 40" not in each] == []


def test_the_list_follows_runs_without_a_reload(caller: Caller, page: Page) -> None:
    page.get_by_text("No runs yet").wait_for()
    page.get_by_text("Live").wait_for()
    page.evaluate("window.mark = 1")
    run = caller.start(SLEEP, name="<b>mine</b>")
    row = page.get_by_role("row", name="<b>mine</b>")
    row.get_by_text("Running", exact=True).wait_for()
    page.get_by_role("link", name="<b>mine</b>").focus()
    caller.abort(run["id"])
    row.get_by_text("Aborted", exact=True).wait_for()
    page.get_by_role("link", name="Aborted 1").wait_for()
    assert page.evaluate("document.activeElement.textContent") == "<b>mine</b>"
    assert page.evaluate("window.mark") == 1


def test_a_log_grows_while_the_run_runs_and_the_run_is_aborted_by_keyboard(
    caller: Caller, page: Page, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    waiting = f"echo first; while [ ! -e {go} ]; do sleep 0.05; done; echo '<i>second</i>'"
    run = caller.start(sh(f"{waiting}; sleep 600"), "Running")
    page.goto(f"/runs/{run['id']}")
    log = page.get_by_role("region", name="Standard output")
    log.get_by_text("first").wait_for()
    page.evaluate("window.mark = 1")
    go.touch()
    log.get_by_text("<i>second</i>").wait_for()
    assert page.evaluate("window.mark") == 1
    page.locator("summary", has_text="Abort").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_role("status").get_by_text("Aborted").wait_for()
    assert page.get_by_text("Abort…").count() == 0
    caller.run_when(run["id"], "Aborted")


def test_a_page_of_a_run_goes_on_to_its_next_attempt_and_counts_its_time(
    caller: Caller, page: Page, tmp_path: Path
) -> None:
    go, script = tmp_path / "go", "echo attempt; while [ ! -e $0 ]; do sleep 0.05; done; exit 3"
    run = caller.start(sh(script, args=["-c", script, str(go)], retryLimit=1), "Running")
    page.goto(f"/runs/{run['id']}")
    page.get_by_role("region", name="Standard output").get_by_text("attempt").wait_for()
    page.evaluate("window.mark = 1")
    took = page.locator("[data-since]").first
    before = took.inner_text()
    page.wait_for_function(
        "([each, text]) => each.textContent != text", arg=[took.element_handle(), before]
    )
    go.touch()
    page.get_by_role("region", name="Standard output of attempt 2").get_by_text(
        "attempt"
    ).wait_for()
    page.get_by_role("status").get_by_text("Failed").wait_for()
    assert page.evaluate("window.mark") == 1


def test_a_double_click_launches_once(caller: Caller, page: Page) -> None:
    task = caller.task("echo", args=["{{word}}"])
    page.goto(version_path(task))
    page.get_by_label("word", exact=True).fill("x")
    page.get_by_role("button", name="Launch", exact=True).dblclick()
    page.get_by_role("status").get_by_text("Completed").wait_for()
    page.get_by_role("link", name="Runs").first.click()
    page.get_by_text("1 run", exact=True).wait_for()


def test_a_sample_that_failed_is_launched_again_without_a_mouse(caller: Caller, page: Page) -> None:
    script = 'test "$0" = right || { echo "no sample $0" >&2; exit 3; }'
    task = caller.task("align", **sh(script, args=["-c", script, "{{sample}}"]))
    page.goto(version_path(task))
    page.get_by_label("Name of the run").focus()
    page.keyboard.type("sample 1")
    page.keyboard.press("Tab")
    page.keyboard.type("wrong")
    page.keyboard.press("Enter")
    page.get_by_role("status").get_by_text("Failed").wait_for()
    page.locator("pre").get_by_text("no sample wrong").wait_for()
    page.get_by_role("link", name="Launch again").press("Enter")
    field = page.get_by_label("sample", exact=True)
    assert field.input_value() == "wrong"
    field.fill("right")
    field.press("Enter")
    page.get_by_role("status").get_by_text("Completed").wait_for()
    assert page.get_by_role("heading", level=1).inner_text() == "sample 1"


def test_a_table_from_a_file_becomes_a_run_for_each_row(
    caller: Caller, page: Page, tmp_path: Path
) -> None:
    task = caller.task("echo", args=["{{word}}"])
    table = tmp_path / "samples.csv"
    table.write_text("name,word\nsample-1,1\nsample-2,2\n")
    page.goto(version_path(task))
    page.get_by_label("Or a file").set_input_files(table)
    page.wait_for_function("document.getElementById('table').value.includes('sample-2,2')")
    page.get_by_role("button", name="Launch each row").click()
    for name in ("sample-1", "sample-2"):
        page.get_by_role("row", name=name).get_by_text("Completed", exact=True).wait_for()


def test_nothing_that_a_run_holds_is_more_than_text(caller: Caller, page: Page) -> None:
    _, paths = _filled(caller)
    for path in paths:
        if not re.search("Odd|none|used", path):
            page.goto(path)
            assert page.locator("img, main b:not(nav b), main i, main script").count() == 0, path
    page.goto("/tasks")
    page.get_by_role("link", name=re.compile("alert")).first.click()
    page.get_by_role("heading", level=1).get_by_text(HOSTILE[0]).wait_for()


def test_nothing_moves_if_that_is_unwanted(tes: LocalTes, chromium: Browser) -> None:
    for wish, moves in (("no-preference", True), ("reduce", False)):
        context = chromium.new_context(base_url=tes.url, reduced_motion=wish)  # type: ignore[arg-type]
        page, _ = _opened(context, tes)
        page.get_by_text("Live").wait_for()
        running = page.evaluate("document.getAnimations().length")
        assert bool(running) == moves
        context.close()


def test_the_page_says_when_the_service_has_gone(chromium: Browser) -> None:
    with LocalTes() as tes:
        context = chromium.new_context()
        page, _ = _opened(context, tes)
        page.get_by_text("Live").wait_for()
    page.get_by_text("Not connected").wait_for()
    context.close()
