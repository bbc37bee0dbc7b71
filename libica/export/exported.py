"""What an export returns: a document, and what could not be carried over."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from . import yaml

_HEAD = "Exported from a TES v1 version by libica-libtes."
_TO_CHECK = "Not carried over from the TES v1 version, or to be checked:"


@dataclass(frozen=True)
class Export:
    """A version as a document of another standard.

    Attributes:
        document: The document, as JSON data.
        notes: What could not be carried over or needs attention, one line each, such as
            `systemFiles.url: ...`.
    """

    document: dict[str, Any]
    notes: tuple[str, ...]

    def text(self) -> str:
        """Return the text of a file: YAML with the notes as comments for CWL, else JSON."""
        if "cwlVersion" not in self.document:
            text = json.dumps(self.document, indent=2, ensure_ascii=False)
            return f"{yaml.printable(text)}\n"
        head = [_HEAD, *told(self.notes)]
        comments = "".join(f"# {yaml.printable(line)}\n" for line in head)
        return f"#!/usr/bin/env cwl-runner\n{comments}\n{yaml.dump(self.document)}"


def exported(document: dict[str, Any], notes: Sequence[str]) -> Export:
    """Return an export whose notes are one line each, whatever the version has in its texts."""
    return Export(document, tuple(map(_one_line, notes)))


def told(notes: Sequence[str]) -> list[str]:
    """Return the notes as lines for the reader of a document."""
    return [_TO_CHECK, *(f"- {_one_line(note)}" for note in notes)] if notes else []


def _one_line(text: str) -> str:
    return " ".join(text.split())
