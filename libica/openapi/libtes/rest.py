"""The transport's public face, where old scripts import ``ApiException`` from."""

from ._retry import RETRIED_STATUSES as RETRIED_STATUSES
from ._retry import RETRY_AFTER_LIMIT as RETRY_AFTER_LIMIT
from ._retry import RetryPolicy, retry_after, retry_delay
from ._transport import Request, Response, Rest
from ._transport import deadline as deadline
from .exceptions import ApiException

__all__ = [
    "ApiException",
    "Request",
    "Response",
    "Rest",
    "RetryPolicy",
    "retry_after",
    "retry_delay",
]
