"""Leaves secrets out of executions."""

from __future__ import annotations

from typing import Any

from libica.openapi import libtes
from libica.openapi.libtes.placeholders import fill, find

_GONE = object()


def without_secrets(execution: Any) -> tuple[Any, list[str]]:
    """Return an execution without its secrets, and the places where they were.

    What is secret is decided by `libtes.redact`: credentials, `SECURE_*` variables and the like are
    left out, the query of a URL is masked. A value that consists only of placeholders is kept: its
    secret comes with the launch.
    """
    places: list[str] = []
    return _kept(execution, "", "", places), places


def _kept(value: Any, name: str, where: str, places: list[str]) -> Any:
    """Return a value without secrets, or `_GONE`; the name is its own, or a secret one above it."""
    if isinstance(value, dict):
        inherits = _is_secret(name)  # all below a secret name is secret
        pairs = {
            key: _kept(each, name if inherits else key, f"{where}.{key}".lstrip("."), places)
            for key, each in value.items()
        }
        left = {key: each for key, each in pairs.items() if each is not _GONE}
        return _GONE if inherits and pairs and not left else left
    if isinstance(value, list):
        each_kept = [_kept(e, name, f"{where}[{i}]", places) for i, e in enumerate(value)]
        return [each for each in each_kept if each is not _GONE]
    masked = libtes.redact(value, name)
    if masked == value or _has_only_placeholders(str(value), is_url=not _is_secret(name)):
        return value
    places.append(where)
    return _GONE if _is_secret(name) else masked


def _is_secret(name: str) -> bool:
    return bool(libtes.redact("x", name) != "x")


def _has_only_placeholders(value: str, *, is_url: bool) -> bool:
    """Return whether a value, or what the query of a URL says, consists of placeholders."""
    blank: str = fill(value, dict.fromkeys(find(value), ""))
    if not is_url:
        return not blank.strip()
    query = blank.partition("?")[2]
    return all(not part or part.endswith("=") for part in query.split("&"))
