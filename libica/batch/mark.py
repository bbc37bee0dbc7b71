"""Marks: the text that ends a run's description and identifies the launch that made the run."""

from __future__ import annotations

import re
import secrets
from typing import NamedTuple, Optional

LONGEST_DESCRIPTION = 4096
LONGEST_MARK = 48
"""Maximum length of a mark and the space before it, in characters."""

_MARK = re.compile(r"\[batch ([0-9a-f]{16})-([0-9]{1,10})(?:\.([0-9]{1,5}))?\]")


class Mark(NamedTuple):
    """Identifies one attempt at one launch of one batch; no two launches share a mark.

    Attributes:
        batch: Random token of the batch.
        number: Number of the launch in the batch, starting at 1.
        attempt: Number of the attempt, starting at 1; greater than 1 after `relaunch`.
    """

    batch: str
    number: int
    attempt: int = 1

    def __str__(self) -> str:
        attempt = f".{self.attempt}" if self.attempt > 1 else ""
        return f"[batch {self.batch}-{self.number}{attempt}]"


def new_batch() -> str:
    """Return a random token for a new batch."""
    return secrets.token_hex(8)


def mark_in(description: Optional[str]) -> Optional[Mark]:
    """Return the last mark in a description; `None` if it has no mark."""
    if not description or "[batch " not in description:
        return None
    found = _MARK.findall(description)
    return Mark(found[-1][0], int(found[-1][1]), int(found[-1][2] or 1)) if found else None


def marked(text: Optional[str], mark: Mark) -> str:
    """Return a description that consists of a text and a mark."""
    return f"{text} {mark}" if text else str(mark)


def has_room(text: Optional[str]) -> bool:
    """Return whether a description with this text has room for a mark."""
    return len(text or "") + LONGEST_MARK <= LONGEST_DESCRIPTION


def may_be_cut(description: Optional[str], text: Optional[str], mark: Mark) -> bool:
    """Return whether a description may be the text and the mark, truncated by the service."""
    sent = marked(text, mark)
    return bool(description) and description != text and sent.startswith(str(description))
