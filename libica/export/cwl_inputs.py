"""The inputs of a CWL tool, and texts that refer to them."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Mapping
from typing import Any, Optional

from .version import Json

_MARK = "\0"  # on both sides of a reference, in a text that is not yet one of CWL


class Inputs:
    """The inputs of a tool.

    Attributes:
        declared: The declaration of each input, by its id.
        secret: The ids of those that are secret.
    """

    def __init__(self) -> None:
        self.declared: dict[str, Json] = {}
        self.secret: list[str] = []

    def add(self, wanted: str, declared: Mapping[str, Any]) -> str:
        """Declare an input, and return its id: the name that is wanted, or one like it."""
        found = unused(valid_name(wanted), self.declared)
        self.declared[found] = dict(declared)
        return found

    def add_string(self, name: str, *, default: Optional[str], is_secret: bool) -> str:
        """Declare an input for a text, with its name as a label if the id is another."""
        found = self.add(name, {"type": "string"})
        if found != name:
            self.declared[found]["label"] = name
        if is_secret:
            self.secret.append(found)
        elif default is not None:
            self.declared[found]["default"] = default
        return found

    def text(self, marked: str) -> str:
        """Return a text as CWL has it: with references to inputs, and all else literal."""
        if _MARK not in marked and "$(" not in marked and "${" not in marked:
            return marked  # engines do not look at it any further
        # Engines remove white space around a text with references.
        bare = marked.strip()
        before, _, after = marked.partition(bare)
        parts = (
            f"$(inputs.{part})" if i % 2 else _literal(part)
            for i, part in enumerate(bare.split(_MARK))
        )
        return "".join([self._blank(before), *parts, self._blank(after)])

    def _blank(self, text: str) -> str:
        """Return a reference to white space, if there is any."""
        if not text:
            return ""
        return f"$(inputs.{self.add('blank', {'type': 'string', 'default': text})})"


def reference(to: str) -> str:
    """Return a reference to an input or its attribute, to be part of a text."""
    return f"{_MARK}{to}{_MARK}"


def readable(marked: str) -> str:
    """Return a text with the names of inputs in place of references."""
    return marked.replace(_MARK, "")


def fixed_part(folder: str) -> str:
    """Return the part of a folder that is the same whatever the inputs are."""
    before, mark, _ = folder.partition(_MARK)
    return posixpath.dirname(before) if mark else folder


def valid_name(text: str) -> str:
    """Return a name that every engine accepts for an input or output."""
    name = re.sub(r"\W", "_", readable(text), flags=re.ASCII)
    return name if name and not name[0].isdigit() else f"_{name}"


def unused(name: str, known: Collection[str]) -> str:
    """Return a name, with a number if it is known already."""
    found, number = name, 1
    while found in known:
        number += 1
        found = f"{name}_{number}"
    return found


def _literal(text: str) -> str:
    """Return a text in which nothing is a reference."""
    return text.replace("\\", "\\\\").replace("$(", "\\$(").replace("${", "\\${")
