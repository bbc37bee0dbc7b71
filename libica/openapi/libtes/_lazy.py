"""Packages that load their public names on first use (PEP 562)."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module


def lazy(
    package: str, names: Mapping[str, str]
) -> tuple[Callable[[str], object], Callable[[], list[str]], list[str]]:
    """Return ``__getattr__``, ``__dir__`` and ``__all__`` for a package.

    ``names`` maps public names to the submodules that define them, which are attributes, too.
    """

    def load(name: str) -> object:
        if name in names:
            value = getattr(import_module(f"{package}.{names[name]}"), name)
            setattr(sys.modules[package], name, value)
            return value
        try:
            if name.isidentifier() and not name.startswith("_"):
                return import_module(f"{package}.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"{package}.{name}":
                raise
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return load, lambda: sorted({*vars(sys.modules[package]), *names}), list(names)


def snake_case(name: str) -> str:
    """Return the name of the module that defines a class, such as ``task_version``."""
    return "".join(f"_{each.lower()}" if each.isupper() else each for each in name).lstrip("_")
