"""Versions of the shape that people run: placeholders in place of what they fill in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from libica.openapi import libtes

Json = dict[str, Any]
REAL: dict[str, Json] = {
    file.stem: json.loads(file.read_text(encoding="utf-8"))
    for file in sorted(Path(__file__).parent.glob("*.json"))
}


def version(execution: Json, **fields: Any) -> libtes.TaskVersion:
    """Return a version as the client decodes it from a response."""
    fields = {"version": "1.0.0", "execution": execution, **fields}
    response = type("Response", (), {"data": json.dumps(fields), "headers": {}})
    found = libtes.ApiClient().deserialize(response, "TaskVersion")
    assert isinstance(found, libtes.TaskVersion)
    return found


def simple(*args: str, **fields: Any) -> libtes.TaskVersion:
    """Return a version that runs ``sh`` with arguments in some image."""
    return version({"image": {"name": "busybox"}, "command": "sh", "args": [*args], **fields})
