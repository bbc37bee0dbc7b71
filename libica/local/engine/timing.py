"""When to do what is done again and again."""

from __future__ import annotations

import logging
import math

_logger = logging.getLogger(__name__)

_SHORTEST, _LONGEST = 0.5, 10.0  # seconds between tries of what fails


class Tries:
    """Tries of something that may fail for a while; only the first and the last failure are logged.

    Args:
        what: What is tried, as it follows "cannot".

    Attributes:
        failing: Whether the last try failed.
        due: The time before which not to try again.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._pause = _SHORTEST
        self.failing: bool = False
        self.due: float = -math.inf

    def failed(self, now: float, error: BaseException) -> None:
        """Record a failure."""
        if not self.failing:
            message = "cannot %s, trying again until it works: %s"
            _logger.warning(message, self._what, error, exc_info=error)
        self._pause = min(2 * self._pause, _LONGEST) if self.failing else _SHORTEST
        self.failing, self.due = True, now + self._pause

    def worked(self) -> None:
        """Record a success."""
        if self.failing:
            _logger.warning("it works again to %s", self._what)
        self.failing, self.due = False, -math.inf


class Interval:
    """An interval that grows while there is no news.

    Attributes:
        due: The time of its end.
    """

    def __init__(self, least: float, most: float) -> None:
        self._least, self._most = least, most
        self._length = least
        self.due: float = math.inf

    def news(self, now: float) -> None:
        """Make the interval as short as it gets."""
        self._length = self._least
        if not now < self.due <= now + self._least:
            self.due = now + self._least

    def begin(self, now: float) -> None:
        """Begin the next interval."""
        self.due = now + self._length
        self._length = min(1.5 * self._length, self._most)
