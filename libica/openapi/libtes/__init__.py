"""Client for the Task Execution Service (TES) of Illumina Connected Analytics v1.

Everything that this package offers is named here and loaded on first use, so that importing it
costs next to nothing.
"""

from ._lazy import lazy

__version__ = "1.0.0"

TYPE_CHECKING = False  # type checkers take it for true; importing typing would cost the most here

if TYPE_CHECKING:
    from . import placeholders as placeholders
    from . import rest as rest
    from .api import *
    from .api_client import ApiClient as ApiClient
    from .async_result import AsyncResult as AsyncResult
    from .configuration import Configuration as Configuration
    from .exceptions import *
    from .models import *
    from .tokens import ApiKeyExchange as ApiKeyExchange
else:
    from . import api, models

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
        **dict.fromkeys(api.__all__, "api"),
        **dict.fromkeys(_EXCEPTIONS, "exceptions"),
        **dict.fromkeys(models.__all__, "models"),
    }
    __getattr__, __dir__, __all__ = lazy(__name__, _MODULES)
