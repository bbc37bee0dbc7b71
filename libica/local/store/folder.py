"""The data folder: held by one process at a time, and nobody else can write to it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Union

from ..node.folder_lock import FolderLock

DATABASE = "tes.sqlite"


@contextlib.contextmanager
def held(data: Union[str, Path]) -> Iterator[Path]:
    """Hold a data folder while the block runs; make it if it does not exist.

    Raises:
        HeldError: Another process holds it.
        ValueError: Other users can write to it.
        OSError: It cannot be made or written.
    """
    home = Path(data).expanduser().absolute()
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.name == "posix":
        if home.stat().st_mode & 0o022:
            raise ValueError(
                f"other users can write to {home}, where the keys that sign tokens are kept: "
                f"use another folder, or run chmod go-w {home}"
            )
        home.chmod(0o700)
    with contextlib.closing(FolderLock(home)):
        yield home
