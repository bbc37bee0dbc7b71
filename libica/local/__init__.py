"""A TES v1 service on this machine, for tests, experiments and work without an account.

Install it by ``pip install 'libica-libtes[local]'``::

    from libica.local import LocalTes

    with LocalTes() as tes:
        client = libtes.ApiClient(tes.configuration())

From a shell: ``python -m libica.local serve``. ``mirror`` takes tasks along from another service
into the data folder of this one.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .mirroring.result import Mirrored as Mirrored
    from .mirroring.taking import mirror as mirror
    from .service.server import LocalTes as LocalTes

__all__ = ["LocalTes", "Mirrored", "mirror"]


def __getattr__(name: str) -> object:
    # Lazy, since importing this package must not require a web server.
    if name == "LocalTes":
        try:
            from .service.server import LocalTes
        except ModuleNotFoundError as error:
            if error.name in ("itsdangerous", "starlette", "uvicorn"):
                error.msg += "; it comes with: pip install 'libica-libtes[local]'"
            raise
        return LocalTes
    if name == "mirror":
        from .mirroring.taking import mirror

        return mirror
    if name == "Mirrored":
        from .mirroring.result import Mirrored

        return Mirrored
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
