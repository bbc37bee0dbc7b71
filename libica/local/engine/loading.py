"""Finds an engine by its name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Optional

from . import here
from .interface import Engine

GROUP = "libica.local.engines"
# Modules and classes; those that are not used are not imported.
_BUILT_IN = {
    here.NAME: ("here", "Here"),
    "lsf": ("lsf", "Lsf"),
    "pbs": ("pbs", "Pbs"),
    "pbs_classic": ("pbs", "Torque"),
    "slurm": ("slurm", "Slurm"),
}


def load(name: str, options: Mapping[str, object]) -> Engine:
    """Return a new engine.

    Args:
        name: `here`, `slurm`, `pbs`, `pbs_classic`, `lsf`, or the name of an entry point in the
            group ``libica.local.engines``.
        options: Its options: keyword arguments of its class.

    Raises:
        ValueError: There is no such engine, it cannot be imported, or an option is invalid.
    """
    factory = _built_in(name) or _installed(name)
    try:
        inspect.signature(factory).bind(**options)
    except TypeError as error:
        known = ", ".join(inspect.signature(factory).parameters) or "none"
        raise ValueError(f"engine {name}: {error}; its options are: {known}") from None
    try:
        engine = factory(**options)
    except ValueError as error:
        raise ValueError(f"engine {name}: {error}") from error
    engine.name = name
    return engine


def _built_in(name: str) -> Optional[Callable[..., Engine]]:
    if name not in _BUILT_IN:
        return None
    module, kind = _BUILT_IN[name]
    found: Callable[..., Engine] = getattr(import_module(f".{module}", __package__), kind)
    return found


def _installed(name: str) -> Callable[..., Engine]:
    found = _entry_points()
    if name not in found:
        known = ", ".join(sorted({*_BUILT_IN, *found}))
        raise ValueError(f"there is no engine {name!r}; there are: {known}")
    try:
        factory: Callable[..., Engine] = found[name].load()
    except (ImportError, AttributeError) as error:
        raise ValueError(f"engine {name} cannot be imported: {error}") from error
    return factory


def _entry_points() -> dict[str, Any]:
    from importlib.metadata import entry_points  # slow to load, and not needed for what is built in

    found: Any = entry_points()
    # Python 3.9 has a dictionary of groups.
    group = found.select(group=GROUP) if hasattr(found, "select") else found.get(GROUP, ())
    return {each.name: each for each in group}
