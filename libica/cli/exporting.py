"""Exports of a version, for other services and workflow engines."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from libica import export as exports
from libica.openapi import libtes

from . import display, service


def export(
    client: libtes.ApiClient,
    task: str,
    version: str,
    form: str,
    output: Optional[Path],
    given: Sequence[str],
) -> None:
    """Write a version in a form, `ga4gh` or `cwl`, and tell what could not be carried over."""
    arguments = dict(map(_argument, given))
    if len(arguments) < len(given):
        raise libtes.ApiValueError("--argument: each name may be given once")
    owner = service.task(client, task)
    found = service.version(client, owner.id or "", version)
    convert = exports.to_cwl if form == "cwl" else exports.to_ga4gh
    exported = convert(found, arguments, name=f"{owner.name} {found.version}")
    if output is None:
        sys.stdout.write(exported.text())
    else:
        output.write_text(exported.text(), encoding="utf-8")
    for note in exported.notes:
        display.tell(display.plain(note))


def _argument(given: str) -> tuple[str, str]:
    name, equals, value = given.partition("=")
    if not equals:
        raise libtes.ApiValueError("--argument: give NAME=VALUE")
    return name, value
