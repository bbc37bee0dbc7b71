"""The sections of functions and classes on the generated pages, from signatures and docstrings."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

from docs.prose import entries, joined, script, sections, table

Linked = Callable[[str], str]
# Names of unions that only the code knows.
ALIASES = {
    "Launches": "path, frame, or iterable",
    "Poll": "`float`, or a pair of `float`",
    "Progress": "`bool` or a function",
    "Run": "`str`, run or `Launch`",
    "Runs": "`Report` or iterable",
}


def function(name: str, thing: Any, linked: Linked, level: int = 2, example: str = "") -> str:
    """Return the section of a function or method."""
    signature = inspect.signature(thing)
    doc = sections(thing)
    return joined(
        f"{'#' * level} {name.rpartition('.')[2]}",
        call(name, signature, linked),
        *prose(doc, linked),
        script(example) if example else "",
        arguments(signature, doc, linked),
        *outcomes(doc, linked),
    )


def class_(name: str, thing: Any, linked: Linked, level: int = 2, example: str = "") -> str:
    """Return the section of a class: what it is made of, its attributes, properties and methods."""
    doc = sections(thing)
    properties = {
        key: sections(each)["summary"]
        for key, each in vars(thing).items()
        if isinstance(each, property) and not key.startswith("_")
    }
    attributes = {**(entries(doc["Attributes"]) if "Attributes" in doc else {}), **properties}
    methods = [key for key, each in vars(thing).items() if is_method(key, each)]
    made = "Args" in doc
    signature = inspect.signature(thing)
    return joined(
        f"{'#' * level} {name.rpartition('.')[2]}",
        call(name, signature, linked) if made else "",
        *prose(doc, linked),
        script(example) if example else "",
        arguments(signature, doc, linked) if made else "",
        *outcomes(doc, linked),
        table(("Attribute", "Meaning"), [(f"`{k}`", linked(v)) for k, v in attributes.items()]),
        *(function(f"{name}.{key}", getattr(thing, key), linked, level + 1) for key in methods),
    )


def is_method(name: str, thing: Any) -> bool:
    """Whether a member of a class is a public method."""
    function_of = getattr(thing, "__func__", thing)
    return inspect.isfunction(function_of) and not name.startswith("_")


def call(name: str, signature: inspect.Signature, linked: Linked) -> str:
    """Return how to call it, on one line."""
    shown, star = [], False
    for each in signature.parameters.values():
        if each.name == "self":
            continue
        if each.kind is each.KEYWORD_ONLY and not star:
            shown.append("*")
            star = True
        shown.append(each.name if each.default is each.empty else f"{each.name}={each.default!r}")
    returned = linked(type_text(signature.return_annotation))
    returns = f" → {returned}" if returned and returned != "`None`" else ""
    return f"> `{name}({', '.join(shown)})`{returns}"


def prose(doc: dict[str, str], linked: Linked) -> Iterator[str]:
    """Yield the paragraphs of a docstring; its indented examples become code."""
    yield linked(doc["summary"])
    paragraphs, *examples = re.split(r"::\n\n((?: {4}.*(?:\n|$)|\n)+)", doc["text"])
    yield linked(paragraphs + (":" if examples else ""))
    for code, after in zip(examples[::2], examples[1::2]):
        yield f"```py\n{textwrap.dedent(code).strip()}\n```"
        yield linked(after.strip())


def arguments(signature: inspect.Signature, doc: dict[str, str], linked: Linked) -> str:
    """Return the table of the arguments that the docstring describes."""
    meanings = entries(doc["Args"]) if "Args" in doc else {}
    rows = []
    for name, meaning in meanings.items():
        given = signature.parameters[name]
        default = "**required**" if given.default is given.empty else f"`{given.default!r}`"
        rows.append((f"`{name}`", linked(type_text(given.annotation)), linked(meaning), default))
    return table(("Argument", "Type", "Meaning", "Default"), rows)


def outcomes(doc: dict[str, str], linked: Linked) -> Iterator[str]:
    """Yield what it returns, warns of and raises."""
    if "Returns" in doc:
        yield f"**Returns**: {linked(' '.join(doc['Returns'].split()))}"
    raised = [
        pair for part in ("Warns", "Raises") if part in doc for pair in entries(doc[part]).items()
    ]
    yield table(("Exception", "When"), [(linked(f"`{k}`"), linked(v)) for k, v in raised])


def type_text(annotation: Any) -> str:
    """Return an annotation as people read it: ``Optional[X]`` is "X or None"."""
    if annotation is inspect.Signature.empty:
        return ""
    plain = isinstance(annotation, type) and not hasattr(annotation, "__origin__")
    text = annotation.__name__ if plain else str(annotation)
    text = re.sub(r"\b(?:typing|os|pathlib|datetime|[a-z_]+(?:\.[a-z_]+)+)\.(?=[A-Z])", "", text)
    return " or ".join(
        ALIASES.get(each, f"`{each}`")
        for each in alternatives(text.replace('"', "").replace("'", ""))
    )


def alternatives(text: str) -> list[str]:
    """Return the types of a union, which Python 3.14 writes with bars."""
    if " | " in text and "[" not in text:
        return text.split(" | ")
    for name, more in (("Optional", ["None"]), ("Union", [])):
        if text.startswith(f"{name}[") and text.endswith("]"):
            inner = text[len(name) + 1 : -1]
            depth, start, parts = 0, 0, []
            for position, character in enumerate(inner):
                depth += (character in "[(") - (character in "])")
                if character == "," and depth == 0:
                    parts.append(inner[start:position].strip())
                    start = position + 1
            parts.append(inner[start:].strip())
            found = [each for part in parts for each in alternatives(part)]
            return [*dict.fromkeys([*found, *more])]
    return [text]
