"""Pages agree with the code, links lead somewhere, examples run against the local service."""

from __future__ import annotations

import ast
import collections
import functools
import inspect
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Optional

import pytest

from libica import batch
from libica.local import LocalTes
from libica.openapi import libtes
from libica.openapi.libtes import api, exceptions, models

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
GUIDES = sorted(DOCS.rglob("*.md"))
PAGES = [*GUIDES, *(each for each in sorted(ROOT.glob("*.md")))]


class Example(NamedTuple):
    path: Path
    line: int
    source: str

    def run(self, names: Optional[dict[str, Any]] = None) -> None:
        """Run it; what it names is kept in ``names``."""
        # The empty lines make tracebacks name the line of the page.
        code = compile("\n" * self.line + self.source, str(self.path), "exec", dont_inherit=True)
        names = {} if names is None else names
        names.setdefault("__name__", "__main__")
        exec(code, names)


def examples_in(path: Path) -> list[Example]:
    text = path.read_text(encoding="utf-8")
    blocks = re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [Example(path, text.count("\n", 0, each.start(1)), each[1]) for each in blocks]


# Pages whose examples build on one another: each by itself, or one page after the other.
TOGETHER = [
    ROOT / "README.md",
    DOCS / "how-to" / "create-and-launch.md",
    DOCS / "reference" / "batch.md",
]
STORY = [
    DOCS / name
    for name in (
        "how-to/launch-and-watch.md",
        "reference/tables.md",
        "explanation/exactly-once.md",
        "how-to/relaunch.md",
    )
]
EXAMPLES = [
    example for path in GUIDES if path not in (*STORY, *TOGETHER) for example in examples_in(path)
]


@pytest.fixture
def tes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[LocalTes]:
    """Serve, with the variables that examples read, in an empty folder for what they leave."""
    monkeypatch.chdir(tmp_path)
    with LocalTes() as tes:
        monkeypatch.setenv("ICA_BASE_URL", tes.url)
        monkeypatch.setenv("ICA_ACCESS_TOKEN", tes.token)
        yield tes


@pytest.fixture
def failures(monkeypatch: pytest.MonkeyPatch) -> list[libtes.ApiException]:
    """Every failure of a call, caught or not."""
    made: list[libtes.ApiException] = []
    make = libtes.ApiException.__init__

    def remember(self: libtes.ApiException, *args: Any, **kwargs: Any) -> None:
        make(self, *args, **kwargs)
        made.append(self)

    monkeypatch.setattr(libtes.ApiException, "__init__", remember)
    return made


# Those of the pages of methods and models run beside the tests of the local service.
REFERENCE = {*vars(api)["__all__"], *vars(models)["__all__"]}
OTHERS = [each for each in EXAMPLES if each.path.stem not in REFERENCE]


@pytest.mark.parametrize(
    "example", OTHERS, ids=[f"{each.path.stem}:{each.line}" for each in OTHERS]
)
def test_an_example_runs_as_it_stands(
    example: Example,
    tes: LocalTes,
    failures: list[libtes.ApiException],
    capsys: pytest.CaptureFixture[str],
) -> None:
    example.run()
    assert failures == []
    assert tes.token not in capsys.readouterr().out


def test_each_method_and_model_has_an_example() -> None:
    for owner in vars(api)["__all__"]:
        sources = "".join(example.source for example in examples_in(DOCS / f"{owner}.md"))
        for name, method in vars(getattr(libtes, owner)).items():
            if hasattr(method, "endpoint") and not name.endswith("_with_http_info"):
                assert f" = api.{name}(" in sources
    for name in vars(models)["__all__"]:
        assert len(examples_in(DOCS / f"{name}.md")) == 1


@pytest.mark.usefixtures("tes")
@pytest.mark.parametrize("path", TOGETHER, ids=lambda path: path.stem)
def test_examples_of_a_page_run_one_after_the_other(path: Path) -> None:
    names: dict[str, Any] = {}
    for example in examples_in(path):
        example.run(names)


def test_examples_of_docstrings_run() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in GUIDES)
    examples = re.findall(r"^```py\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    configuration = libtes.Configuration("https://tes.example.org")
    for example in examples:
        exec(example, {"LocalTes": LocalTes, "libtes": libtes, "configuration": configuration})
    assert len(examples) >= 2


def prose(path: Path) -> str:
    """Return a page without its code."""
    return re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)


def test_links_lead_somewhere() -> None:
    for path in PAGES:
        for target in re.findall(r"\]\(([^)]+)\)", prose(path)):
            if not target.startswith("https://"):
                name, _, anchor = target.partition("#")
                page = path.parent / name if name else path
                assert page.is_file(), (path, target)
                if anchor and page.suffix == ".md":
                    assert anchor in anchors_of(page), (path, target)


@functools.cache
def anchors_of(path: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of a page."""
    seen: collections.Counter[str] = collections.Counter()
    anchors = set()
    for heading in re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE):
        anchor = slug(heading)
        anchors.add(f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor)
        seen[anchor] += 1
    return anchors


def slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def generate(docs: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", str(docs / "generate.py"), *arguments]
    path = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=path, capture_output=True, text=True, timeout=60)


def test_pages_agree_with_the_code() -> None:
    checked = generate(DOCS, "--check")
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


@pytest.mark.slow
def test_check_names_each_outdated_page_and_writing_updates_it(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    shutil.copytree(DOCS, docs, ignore=shutil.ignore_patterns("__pycache__"))
    mark = (docs / "Task.md").read_text(encoding="utf-8").partition("\n")[0]
    (docs / "Task.md").write_text(f"{mark}\n\nchanged\n", encoding="utf-8")
    (docs / "Image.md").unlink()
    (docs / "Queue.md").write_text(f"{mark}\n\n# Queue\n", encoding="utf-8")

    checked = generate(docs, "--check")
    assert checked.returncode == 1
    for wrong in ("Task.md is out of date", "Image.md is missing", "Queue.md is of something"):
        assert f"docs/{wrong}" in checked.stdout

    assert generate(docs).returncode == 0
    assert generate(docs, "--check").returncode == 0
    assert not (docs / "Queue.md").exists()
    assert (docs / "start.md").exists()


def test_each_test_that_holds_a_promise_exists() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in GUIDES)
    named = set(re.findall(r"`(test_\w+)`", text))
    code = "\n".join(file.read_text(encoding="utf-8") for file in ROOT.glob("test/**/test_*.py"))
    assert named
    assert named - set(re.findall(r"^def (test_\w+)", code, re.MULTILINE)) == set()


ERRORS = DOCS / "reference" / "errors.md"


def test_each_exception_has_the_heading_that_its_text_names() -> None:
    sections = re.split(r"^### ", ERRORS.read_text(encoding="utf-8"), flags=re.MULTILINE)
    named = {name: each for each in sections[1:] for name in re.findall(r"^`(\w+)`", each, re.M)}
    failures = [each for each in vars(exceptions).values() if inspect.isclass(each)]
    for cls in (each for each in failures if issubclass(each, exceptions.ApiException)):
        assert slug(named[cls.__name__].splitlines()[0]) == exceptions.heading(cls)
    of_batch = [getattr(batch, name) for name in vars(batch)["__all__"]]
    for cls in (each for each in of_batch if isinstance(each, type)):
        if issubclass(cls, BaseException):
            assert slug(named[cls.__name__].splitlines()[0]) == exceptions.heading(cls)


def test_each_message_in_the_page_of_errors_is_one_of_the_code() -> None:
    text = ERRORS.read_text(encoding="utf-8")
    examples = r"^On a \[cluster\].*?(?=^## )"  # with the words of batch systems
    text = re.sub(examples, "", text, flags=re.MULTILINE | re.DOTALL)
    rows = re.findall(r"^\| (?:`` ?(.+?) ?``|`([^`|]+)`)", text, re.MULTILINE)
    messages = [first or second for first, second in rows]
    assert len(messages) > 50
    known = "\n".join(strings_of(path) for path in sorted(ROOT.glob("libica/**/*.py")))
    gaps = r"\.\.\.|`\w+`|, must (?=be |not )"
    parts = [part for each in messages for part in re.split(gaps, each)]
    told = {part.strip(" ():;`'.") for part in parts}
    assert {part for part in told if len(part) > 8 and part not in known} == set()


def strings_of(path: Path) -> str:
    """Return the texts of a module: for an f-string, its parts, one after the other."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    texts = []
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            held = (each.value for each in node.values if isinstance(each, ast.Constant))
            texts.append("".join(map(str, held)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            texts.append(node.value)
    return "\n".join(texts)
