"""The mark of a launch: the end of its run's description, by which the run is recognised."""

from __future__ import annotations

import re
import secrets
from typing import NamedTuple, Optional

LONGEST_DESCRIPTION = 4096
LONGEST_MARK = 48
"""Characters that a mark and the blank before it take at most."""

_MARK = re.compile(r"\[batch ([0-9a-f]{16})-([0-9]{1,10})(?:\.([0-9]{1,5}))?\]")


class Mark(NamedTuple):
    """Names one try of one launch of one batch; no two launches anywhere have the same.

    Attributes:
        batch: Random token of the batch.
        number: Number of the launch in the batch, from 1.
        attempt: Number of the try, from 1; more than 1 after `relaunch`.
    """

    batch: str
    number: int
    attempt: int = 1

    def __str__(self) -> str:
        attempt = f".{self.attempt}" if self.attempt > 1 else ""
        return f"[batch {self.batch}-{self.number}{attempt}]"


def new_batch() -> str:
    """Return a token for a new batch."""
    return secrets.token_hex(8)


def mark_in(description: Optional[str]) -> Optional[Mark]:
    """Return the last mark in a description, or `None`."""
    if not description or "[batch " not in description:
        return None
    found = _MARK.findall(description)
    return Mark(found[-1][0], int(found[-1][1]), int(found[-1][2] or 1)) if found else None


def marked(text: Optional[str], mark: Mark) -> str:
    """Return a description: a text and, at its end, a mark."""
    return f"{text} {mark}" if text else str(mark)


def has_room(text: Optional[str]) -> bool:
    """Tell whether a description of this text can hold a mark, too."""
    return len(text or "") + LONGEST_MARK <= LONGEST_DESCRIPTION


def may_be_cut(description: Optional[str], text: Optional[str], mark: Mark) -> bool:
    """Tell whether a description may be what was sent, its end cut off by the service."""
    sent = marked(text, mark)
    return bool(description) and description != text and sent.startswith(str(description))
