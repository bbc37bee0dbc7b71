"""Packages whose names are loaded on first use (PEP 562)."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module

Getattr = Callable[[str], object]
Dir = Callable[[], list[str]]


def lazy(package: str, names: Mapping[str, str]) -> tuple[Getattr, Dir, list[str]]:
    """Return ``__getattr__``, ``__dir__`` and ``__all__`` for a package.

    Args:
        package: Its dotted name.
        names: For each name that it offers, the submodule that defines it.
    """

    def load(name: str) -> object:
        if name in names:
            value = getattr(import_module(f"{package}.{names[name]}"), name)
            setattr(sys.modules[package], name, value)
            return value
        try:
            if not name.startswith("_"):
                return import_module(f"{package}.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"{package}.{name}":
                raise
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return load, lambda: sorted({*vars(sys.modules[package]), *names}), list(names)
