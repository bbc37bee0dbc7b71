"""Hook of MkDocs: pages and examples outside docs/ become part of the site, and links lead to them.

Pages link to one another as files of the repository do, so that they can also be read there.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
# Files of the repository that the site has too, under the same path; those of docs/ lose that.
EXTRA = ("CHANGELOG.md", "CONTRIBUTING.md", "RELEASING.md", "SECURITY.md", "examples/*.*")

FOUND_FIRST = ("reference/errors.md", "reference/glossary.md")  # by a search


def on_files(files: Any, config: Any) -> Any:
    """Add the files."""
    from mkdocs.structure.files import File

    for path in (path for pattern in EXTRA for path in sorted(ROOT.glob(pattern))):
        name = path.relative_to(ROOT).as_posix()
        files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Rewrite the links into and out of docs/."""
    name = page.file.src_uri
    page.meta["search"] = {"boost": 2 if name in FOUND_FIRST else 1}
    in_docs = (ROOT / "docs" / name).exists()
    folder = posixpath.dirname(f"docs/{name}" if in_docs else name)

    def replace(match: re.Match[str]) -> str:
        target, anchor = match[1], match[2] or ""
        path = posixpath.normpath(posixpath.join(folder, target)).removeprefix("docs/")
        return f"]({posixpath.relpath(path, posixpath.dirname(name) or '.')}{anchor})"

    markdown = re.sub(r"\A<!--.*?-->\s*", "", markdown)  # MkDocs takes a title from the first line
    return re.sub(r"\]\((?!\w+:)([^)#\s]+)(#[^)\s]*)?\)", replace, markdown)
