"""Client for the Task Execution Service (TES) of Illumina Connected Analytics v1."""

from . import api, models
from ._lazy import lazy

__version__ = "1.0.0"

_EXCEPTIONS = """
    OpenApiException ApiTypeError ApiValueError ApiKeyError ApiException BadRequestException
    UnauthorizedException ForbiddenException NotFoundException ConflictException
    TooManyRequestsException ServiceException InvalidResponseException
    ApiConnectionException ConnectException UnknownHostException ProxyException
    TlsException ConnectTimeoutException ReadTimeoutException DeadlineException
    ConnectionLostException
""".split()
_MODULES = {
    "ApiClient": "api_client",
    "ApiKeyExchange": "tokens",
    "AsyncResult": "async_result",
    "Configuration": "configuration",
    "redact": "_redaction",
    **dict.fromkeys(vars(api)["__all__"], "api"),
    **dict.fromkeys(_EXCEPTIONS, "exceptions"),
    **dict.fromkeys(vars(models)["__all__"], "models"),
}
__getattr__, __dir__, __all__ = lazy(__name__, _MODULES)
