"""Plugin for pytest: the fixture ``local_tes``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .service.server import LocalTes


@pytest.fixture
def local_tes() -> Iterator[LocalTes]:
    """A TES v1 service of the test's own, empty, gone when the test ends.

    It needs ``pip install 'libica-libtes[local]'``.
    """
    # Here, so that a test run without this fixture neither waits for a web server nor needs one.
    from . import LocalTes

    with LocalTes() as tes:
        yield tes
