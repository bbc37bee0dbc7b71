"""Docstrings and Markdown: the parts that the generated pages are made of."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence
from typing import Any


def sections(thing: Any) -> dict[str, str]:
    """Split a docstring: the first line is the ``summary``, the rest of the prose the ``text``."""
    prose, *others = re.split(r"\n\n(?=[A-Z]\w+:\n)", inspect.getdoc(thing) or "")
    summary, _, text = prose.partition("\n\n")
    split = (each.split(":\n", 1) for each in others)
    return {"summary": " ".join(summary.split()), "text": text, **dict(split)}


def entries(section: str) -> dict[str, str]:
    """Return the names in a section of a docstring, with their descriptions."""
    found = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", section, re.MULTILINE)
    return {name: " ".join(meaning.split()) for name, meaning in found}


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table, or an empty string if there are no rows."""
    lines = [" | ".join(cell.replace("|", "\\|") for cell in row) for row in rows]
    lines = [" | ".join(head), " | ".join("---" for _ in head), *lines] if lines else []
    return "\n".join(f"| {line} |" for line in lines)


def joined(*parts: str) -> str:
    """Join the paragraphs, tables and headings that are not empty."""
    return "\n\n".join(part for part in parts if part)


def script(source: str) -> str:
    """Return the source as a code block."""
    return f"```python\n{source}\n```"


def names(of: Iterable[str]) -> str:
    """Return the names as a list in prose."""
    return ", ".join(f"`{name}`" for name in of)
