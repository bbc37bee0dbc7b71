"""A TES v1 service on this machine: to try things out, for tests, and where there is no account.

It needs what ``pip install 'libica-libtes[local]'`` installs::

    from libica.local import LocalTes

    with LocalTes() as tes:
        client = libtes.ApiClient(tes.configuration())

From a shell: ``python -m libica.local serve``.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .service.server import LocalTes as LocalTes

__all__ = ["LocalTes"]


def __getattr__(name: str) -> object:
    # Only who starts a service needs a web server installed.
    if name == "LocalTes":
        try:
            from .service.server import LocalTes
        except ModuleNotFoundError as error:
            if error.name in ("starlette", "uvicorn"):
                error.msg += "; it comes with: pip install 'libica-libtes[local]'"
            raise
        return LocalTes
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
