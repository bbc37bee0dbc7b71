"""Extract the facts of the service's contract from its public Swagger document.

``python -m test.contract.extract DOCUMENT`` writes ``facts.json``: a Swagger document with the
operations, parameters, statuses and schemas, and without any sentence.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("facts.json")
SENTENCES = {"description", "summary", "example", "examples", "externalDocs"}
NAMED = {"paths", "definitions", "properties", "responses", "securityDefinitions"}


def extract(part: Any, names: bool = False) -> Any:
    """Return a part of the document without its sentences.

    The keys of a part with names are names, such as that of a field ``description``, and stay.
    """
    if isinstance(part, list):
        return [extract(each) for each in part]
    if not isinstance(part, dict):
        return part
    return {
        key: extract(value, names=key in NAMED and not names)
        for key, value in part.items()
        if names or key not in SENTENCES
    }


def write(part: Any, indent: str = "") -> str:
    """Return JSON with one line for each part that fits on it."""
    line = json.dumps(part)
    if len(indent + line) < 100 or not isinstance(part, (dict, list)):
        return line
    inner = indent + " "
    if isinstance(part, list):
        lines = [write(each, inner) for each in part]
    else:
        lines = [f"{json.dumps(key)}: {write(value, inner)}" for key, value in part.items()]
    return f"{line[0]}\n{inner}" + f",\n{inner}".join(lines) + f"\n{indent}{line[-1]}"


if __name__ == "__main__":
    document = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    FILE.write_text(write(extract(document)) + "\n", encoding="utf-8")
