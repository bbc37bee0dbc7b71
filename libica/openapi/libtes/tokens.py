"""A hook that exchanges an API key for tokens."""

import os
from typing import Any, Optional

from ._redaction import MASK, Boundary
from .api_client import ApiClient
from .configuration import Configuration, check_header
from .exceptions import ApiTypeError, ApiValueError, InvalidResponseException

VARIABLE = "ICA_API_KEY"


class ApiKeyExchange(Boundary):
    """Exchanges an API key for a token (``POST /v1/tokens``) when a call needs one.

    Set it as ``refresh_api_key_hook``: it is used if a call has no token, and if the service
    refuses the token, as it does once the token has expired::

        configuration.refresh_api_key_hook = libtes.ApiKeyExchange()

    Args:
        api_key: The API key. Default: the environment variable ``ICA_API_KEY``, read when a token
            is needed. Pickles leave the key out.

    Raises:
        ApiTypeError, ApiValueError: The key is no valid header, or missing when a token is needed.
        ApiException: The exchange failed; raised by the call that needed the token.
    """

    def __init__(self, api_key: Optional[str] = None) -> None:
        if api_key is not None:
            check_header("X-API-Key", api_key, "api_key")
        self._api_key = api_key

    def __call__(self, configuration: Configuration) -> None:
        """Set a new token and its prefix in a configuration."""
        key = self._api_key or os.environ.get(VARIABLE)
        if not key:
            raise ApiValueError(f"Set the environment variable {VARIABLE}, or give an `api_key`")
        path, headers = "/v1/tokens", {"X-API-Key": key}
        with ApiClient(configuration) as client:
            try:
                made = client.call_api(path, "POST", header_params=headers, response_type=object)
            except InvalidResponseException as error:
                error.body = MASK  # a token may stand in it, in whatever form
                raise
        response, status, _ = made
        given = response if isinstance(response, dict) else {}
        token, prefix = given.get("access_token"), given.get("token_type") or "Bearer"
        try:
            check_header("Authorization", token, "access_token")
            check_header("Authorization", prefix, "token_type")
            if not token:
                raise ApiValueError("Invalid value for `access_token`, must not be empty")
        except (ApiTypeError, ApiValueError) as error:
            raise InvalidResponseException(status, str(error), method="POST", path=path) from None
        configuration.api_key["Authorization"] = token
        configuration.api_key_prefix["Authorization"] = prefix

    def __getstate__(self) -> dict[str, Any]:
        return {"_api_key": None}
