"""The site that docs/ builds into: strictly, with links that lead somewhere, and self-contained."""

from __future__ import annotations

import json
import os
import posixpath
import re
import subprocess
import sys
from collections import deque
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from typing import Optional
from urllib.parse import unquote, urldefrag, urlsplit

import pytest

from .helpers import ROOT
from .real_parts import lacking

CLICKS = 3
VOID = {"br", "hr", "img", "input", "link", "meta", "source", "wbr"}


class Page(HTMLParser):
    """A page: where its links lead, which anchors it has, and what it loads."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.clicks: set[str] = (
            set()
        )  # the links that a reader sees: those of the text and the tabs
        self.anchors: set[str] = set()
        self.loads: set[str] = set()
        self._open: list[bool] = []  # for each open element, whether it is seen
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Optional[str]]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        seen = tag == "article" or "md-tabs" in given.get("class", "").split()
        seen = seen or bool(self._open and self._open[-1])
        if tag not in VOID:
            self._open.append(seen)
        if tag == "a" and "href" in given:
            self.links.add(given["href"])
            self.clicks |= {given["href"]} if seen else set()
        elif tag == "link" and given.get("rel") not in ("canonical", "next", "prev"):
            self.loads.add(given["href"])
        elif "src" in given:
            self.loads.add(given["src"])

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID and self._open:
            self._open.pop()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site; not quietly, which would hide warnings from ``strict`` too."""
    if find_spec("mkdocs") is None:
        lacking("mkdocs", "mkdocs-material is not installed")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Page]:
    """Return all pages by their path in the site."""
    paths = {path.relative_to(site).as_posix(): path for path in sorted(site.rglob("*.html"))}
    return {name: Page(path) for name, path in paths.items() if name != "404.html"}


def target(page: str, link: str) -> str:
    """Return the path that a link of a page leads to."""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(page), unquote(link)))
    directory = link in ("", ".", "..") or link.endswith(("/", "/.", "/.."))
    return (
        posixpath.normpath(f"{path}/index.html") if directory and link else path if link else page
    )


def test_every_link_and_anchor_of_the_site_leads_somewhere(
    site: Path, pages: dict[str, Page]
) -> None:
    for name, page in pages.items():
        for link in page.links:
            address, anchor = urldefrag(link)
            if urlsplit(address).scheme in ("https", "mailto"):
                continue
            found = target(name, address)
            assert (site / found).is_file(), (name, link)
            if anchor and found in pages:
                assert unquote(anchor) in pages[found].anchors, (name, link)


def test_every_page_is_within_three_clicks_of_the_start_page(pages: dict[str, Page]) -> None:
    clicks, waiting = {"index.html": 0}, deque(["index.html"])
    while waiting:
        name = waiting.popleft()
        for link in pages[name].clicks:
            found = target(name, urldefrag(link).url)
            if found in pages and found not in clicks:
                clicks[found] = clicks[name] + 1
                waiting.append(found)
    assert pages.keys() - clicks.keys() == set()
    assert max(clicks.values()) <= CLICKS


def test_the_site_loads_nothing_from_elsewhere(site: Path, pages: dict[str, Page]) -> None:
    for name, page in pages.items():
        for load in page.loads:
            assert not urlsplit(load).netloc, (name, load)
            if not load.startswith("data:"):
                assert (site / target(name, urldefrag(load).url)).is_file(), (name, load)
    for style in site.rglob("*.css"):
        urls = re.findall(r"(?:url\(|@import )['\"]?([^'\")]+)", style.read_text("utf-8"))
        assert [url for url in urls if urlsplit(url).netloc] == []
    # The theme would load what draws such diagrams.
    assert not any('class="mermaid"' in path.read_text("utf-8") for path in site.rglob("*.html"))


def test_the_search_knows_every_page(site: Path, pages: dict[str, Page]) -> None:
    index = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    found = {target("index.html", urldefrag(each["location"]).url) for each in index["docs"]}
    assert found >= pages.keys() - {"index.html"}
    assert any(each["location"].endswith("errors/#not-found") for each in index["docs"])
