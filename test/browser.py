"""Chromium, which tests look at pages with, and axe, which looks for barriers in them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .real_parts import lacking, real_part

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Frame, Page

_AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@contextmanager
def started() -> Iterator[Browser]:
    """Start Chromium; skip the test if it is missing."""
    program = real_part("chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        lacking("chromium", f"what drives it is not installed: {error}")
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        yield browser
        browser.close()


def violations(page: Page | Frame, within: str = "html") -> list[Any]:
    """Return what axe finds wrong in a page, or in a part of it."""
    found = find_spec("axe_playwright_python")
    if found is None or found.origin is None:
        lacking("chromium", "axe_playwright_python is not installed")
    page.evaluate(Path(found.origin).with_name("axe.min.js").read_text(encoding="utf-8"))
    return page.evaluate(  # type: ignore[no-any-return]
        """([within, tags]) => axe.run(within, {runOnly: tags}).then(found => found.violations.map(
            each => [each.id, each.help, each.nodes.slice(0, 3).map(node => node.html)]))""",
        [within, _AXE_TAGS],
    )
