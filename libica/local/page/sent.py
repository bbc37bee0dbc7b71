"""Forms that launch are sent once, however often a button is pressed or a browser repeats them."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping

from ..service.errors import Refused

_MOST = 10_000  # forms that are remembered


class Sent:
    """The forms that were sent, as long as the service lives."""

    def __init__(self) -> None:
        self._seen: dict[str, None] = {}
        self._lock = threading.Lock()

    def mark(self) -> str:
        """Return a mark for a new form, for its field `once`."""
        return secrets.token_urlsafe(12)

    def note(self, form: Mapping[str, str]) -> None:
        """Note that a form was sent.

        Raises:
            Refused: It was sent before.
        """
        mark = form.get("once", "")[:64]
        with self._lock:
            if mark in self._seen:
                raise Refused(409, "This form was sent already; the list of runs has its runs")
            if mark:
                self._seen[mark] = None
                if len(self._seen) > _MOST:
                    del self._seen[next(iter(self._seen))]
