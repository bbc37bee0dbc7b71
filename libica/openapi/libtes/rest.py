"""What scripts import of the transport: ``ApiException``, and the rules for retries."""

from ._retry import RETRIED_STATUSES as RETRIED_STATUSES
from ._retry import RETRY_AFTER_LIMIT as RETRY_AFTER_LIMIT
from ._retry import RetryPolicy, retry_after, retry_delay
from .exceptions import ApiException

__all__ = ["ApiException", "RetryPolicy", "retry_after", "retry_delay"]
