"""Pytest plugin with the fixture ``local_tes``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .service.server import LocalTes


@pytest.fixture
def local_tes() -> Iterator[LocalTes]:
    """A new, empty TES v1 service that ends with the test.

    Install it by ``pip install 'libica-libtes[local]'``.
    """
    # Here, so that tests without this fixture neither load a web server nor need one installed.
    from . import LocalTes

    with LocalTes() as tes:
        yield tes
