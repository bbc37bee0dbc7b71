"""Decides whether a failed call is retried, and after what delay: ``retry_delay``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import NamedTuple, Optional, Union

from urllib3 import Retry

from .exceptions import ApiConnectionException, ApiException, wrong_type, wrong_value

SAFE_METHODS = frozenset(("GET", "HEAD"))
RETRIED_STATUSES = frozenset((408, 429, 500, 502, 503, 504))
RETRY_AFTER_LIMIT = 120.0
"""Seconds of the longest ``Retry-After`` that is honored; after a longer one the call fails."""


class RetryPolicy(NamedTuple):
    """The number of retries, and the first and the longest delay in seconds."""

    total: int = 3
    backoff: float = 0.5
    longest: float = 8.0

    @classmethod
    def of(cls, retries: Union[int, Retry, None]) -> RetryPolicy:
        """Read ``Configuration.retries``."""
        if retries is None:
            return cls()
        if isinstance(retries, int):
            if retries < 0:
                raise wrong_value("retries", f"be 0 or more, got {retries}")
            return cls(total=int(retries))
        if not isinstance(retries, Retry):
            raise wrong_type("retries", "int or urllib3.Retry", retries)
        longest: float = getattr(retries, "backoff_max", Retry.DEFAULT_BACKOFF_MAX)
        return cls(int(retries.total or 0), retries.backoff_factor, longest)


def retry_delay(
    policy: RetryPolicy,
    tried: int,
    method: str,
    outcome: Union[int, ApiException],
    retry_after: Optional[float] = None,
    fraction: float = 1.0,
    left: float = math.inf,
) -> Optional[float]:
    """Return the seconds to wait before a retry, or ``None`` if the call must not be retried.

    A call that only reads is retried after a connection error and after ``RETRIED_STATUSES``, any
    other only if none of it was sent, or after 429.

    ``tried`` counts the retries so far, ``retry_after`` is the seconds that the service asked to
    wait, ``fraction`` a random factor from 0 to 1, ``left`` the seconds until the deadline.
    """
    if isinstance(outcome, ApiConnectionException):
        retry = not outcome._permanent and (method in SAFE_METHODS or not outcome._sent)
    elif method in SAFE_METHODS:
        retry = outcome in RETRIED_STATUSES
    else:
        retry = outcome == 429
    if not retry or tried >= policy.total:
        return None
    backoff = min(policy.longest, policy.backoff * 2.0 ** min(tried, 60)) * fraction
    delay = backoff if retry_after is None else retry_after
    return delay if delay <= RETRY_AFTER_LIMIT and delay < left else None


def retry_after(headers: Optional[Mapping[str, str]]) -> Optional[float]:
    """Return the seconds that ``Retry-After`` asks to wait, given as seconds or as a date."""
    value = (headers or {}).get("Retry-After", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return max(0.0, (moment - datetime.now(timezone.utc)).total_seconds())
