"""Client settings: a value without side effects."""

from __future__ import annotations

import copy
import os
import re
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Optional, Union
from urllib.parse import urlsplit

from . import __version__
from ._checks import check_bounds
from ._redaction import SHOW_LOCALS, Boundary
from .exceptions import ApiValueError, wrong_type, wrong_value

if TYPE_CHECKING:
    from urllib3.util.retry import Retry

Timeout = Union[float, tuple[Optional[float], Optional[float]], None]
"""Seconds for a whole call, or a pair (connect, read) for an attempt; ``None`` means no limit."""

DEFAULT_HOST = "https://aps2.platform.illumina.com"
DEFAULT_TIMEOUT = (10.0, 60.0)
DEFAULT_MAX_RESPONSE_BYTES = 64 * 2**20

LONGEST_TIMEOUT = 1_000_000  # seconds; operating systems count milliseconds in 32 bits
_NONE = type(None)
_PATH = ((str, os.PathLike, _NONE), "a path or None")
_COUNT = ((int, _NONE), "int or None")
_TYPES: dict[str, tuple[Any, str]] = {
    **dict.fromkeys(("api_key", "api_key_prefix"), (dict, "a dict")),
    **dict.fromkeys(("ssl_ca_cert", "cert_file", "key_file"), _PATH),
    **dict.fromkeys(("connection_pool_maxsize", "max_response_bytes"), _COUNT),
    "proxy": ((str, _NONE), "str or None"),
    "proxy_headers": ((Mapping, _NONE), "a dict or None"),
    "safe_chars_for_path_param": (str, "str"),
    "refresh_api_key_hook": ((Callable, _NONE), "a function that takes the configuration, or None"),
    "show_locals": (bool, "bool"),
}
_GREATEST = {"connection_pool_maxsize": 10_000, "max_response_bytes": 2**40}
_FRAMING = frozenset(("content-length", "transfer-encoding"))
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*").fullmatch
# White space, or a host that nobody filled in, such as https://<region>.example or ${PROXY}.
_NO_URL = re.compile(r"""[\x00-\x20\x7f\\]|://[^/?#]*[<>{}$"'`^|,;](?![^/?#]*@)""").search
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+").fullmatch


class Configuration(Boundary):
    """Settings of a client, which can be changed at any time: the next call uses them.

    Args:
        host: URL of the service; its path, if any, precedes the path of each call.
        api_key: ``{"Authorization": token}``. The dict is copied.
        api_key_prefix: ``{"Authorization": "Bearer"}`` puts that and a space before the token.
        username: Unused; accepted for old scripts.
        password: Unused; accepted for old scripts.
        discard_unknown_keys: Unused; unknown fields of responses are always ignored.

    Attributes:
        timeout: Default timeout of calls, in seconds. A pair ``(connect, read)`` limits each
            attempt: connecting, then reading the whole response. One number limits the whole
            call with its retries. ``None`` is no limit. Default (10, 60).
        max_response_bytes: Largest body of a response, decompressed; ``None`` is no limit.
            Default 64 MiB.
        retries: Most retries of a failed call, where they are safe: an ``int``, or urllib3's
            ``Retry``, of which total and backoff are used. Default ``None``: 3.
        connection_pool_maxsize: Most connections kept open to the host. Default: 5 per CPU.
        ssl_ca_cert: File or folder of trusted CA certificates. Default: those of certifi.
        cert_file: File of the client's certificate.
        key_file: File of its private key.
        verify_ssl: Whether to verify the service's certificate. Default ``True``.
        assert_hostname: Name that the certificate must have, or ``False`` for any.
        proxy: URL of a proxy: ``http``, ``https``, ``socks5``, ``socks5h`` (the proxy resolves
            host names), ``socks4`` or ``socks4a``; SOCKS needs the extra ``socks``. Default:
            ``HTTPS_PROXY``, ``HTTP_PROXY``, ``ALL_PROXY`` and ``NO_PROXY``, read as curl does.
        proxy_headers: Headers for the proxy.
        safe_chars_for_path_param: Characters that are not percent-encoded in ids.
        client_side_validation: Whether to check the contract's limits before sending.
            Default ``True``; types and ids are always checked.
        refresh_api_key_hook: Function that sets a new token in the configuration it is given, such
            as ``ApiKeyExchange``; called if there is no token, and once after a 401.
        debug: Whether to log method, path, status and duration of each call. Default ``False``.
        logger_file: File for that log. Default: as ``logging`` is set up, or standard error.
        logger_format: Format of its lines.
        show_locals: Whether tracebacks keep this package's local variables, secrets included.
            Default: whether ``LIBTES_SHOW_LOCALS`` is 1 in the environment at import.
        temp_folder_path: Unused; TES has no downloads.

    Raises:
        ApiTypeError: An argument has the wrong type.
        ApiValueError: The host has no scheme, or has a user, a query or a fragment.
    """

    _default: ClassVar[Optional[Configuration]] = None

    def __init__(
        self,
        host: str = DEFAULT_HOST,
        api_key: Optional[Mapping[str, str]] = None,
        api_key_prefix: Optional[Mapping[str, str]] = None,
        username: Optional[str] = None,
        password: Optional[str] = None,
        discard_unknown_keys: bool = False,
    ) -> None:
        self.host = host
        self.api_key: dict[str, str] = dict(api_key or {})
        self.api_key_prefix: dict[str, str] = dict(api_key_prefix or {})
        self.username = username
        self.password = password
        self.discard_unknown_keys = discard_unknown_keys
        self.timeout: Timeout = DEFAULT_TIMEOUT
        self.max_response_bytes: Optional[int] = DEFAULT_MAX_RESPONSE_BYTES
        self.retries: Union[int, Retry, None] = None
        self.connection_pool_maxsize: Optional[int] = (os.cpu_count() or 1) * 5
        self.ssl_ca_cert: Optional[str] = None
        self.cert_file: Optional[str] = None
        self.key_file: Optional[str] = None
        self.verify_ssl: bool = True
        self.assert_hostname: Union[str, bool, None] = None
        self.proxy: Optional[str] = None
        self.proxy_headers: Optional[Mapping[str, str]] = None
        self.safe_chars_for_path_param: str = ""
        self.client_side_validation: bool = True
        self.refresh_api_key_hook: Optional[Callable[[Configuration], object]] = None
        self.debug: bool = False
        self.logger_file: Optional[str] = None
        self.logger_format: str = "%(asctime)s %(levelname)s %(message)s"
        self.show_locals: bool = SHOW_LOCALS
        self.temp_folder_path: Optional[str] = None

    @classmethod
    def from_env(cls) -> Configuration:
        """Make a configuration from ``ICA_BASE_URL`` and ``ICA_ACCESS_TOKEN``.

        If one is missing, empty or invalid, ``ApiValueError`` is raised.
        """
        names = ("ICA_BASE_URL", "ICA_ACCESS_TOKEN")
        missing = [name for name in names if not os.environ.get(name)]
        if missing:
            raise ApiValueError(f"Set the environment variable {' and '.join(missing)}")
        token = os.environ["ICA_ACCESS_TOKEN"]
        return cls(
            host=os.environ["ICA_BASE_URL"],
            api_key={"Authorization": token},
            api_key_prefix={} if token.startswith("Bearer ") else {"Authorization": "Bearer"},
        )

    @classmethod
    def set_default(cls, default: Optional[Configuration]) -> None:
        """Keep a copy for clients made without a configuration; ``None`` removes it."""
        Configuration._default = copy.deepcopy(default)

    @classmethod
    def get_default_copy(cls) -> Configuration:
        """Return a copy of the default configuration, or a new one if none was set."""
        return copy.deepcopy(Configuration._default) or Configuration()

    def get_api_key_with_prefix(self, identifier: str) -> Optional[str]:
        """Return the prefix and the key, or ``None`` if there is no key."""
        key = self.api_key.get(identifier)
        if not key:
            return None
        prefix = self.api_key_prefix.get(identifier) or ""
        value = f"{prefix} {key}" if prefix else key
        if not isinstance(key, str) or not (value.isascii() and value.isprintable()):
            check_header(identifier, key, f"api_key[{identifier!r}]")
            check_header(identifier, prefix, f"api_key_prefix[{identifier!r}]")
        return value

    def auth_settings(self) -> dict[str, dict[str, Optional[str]]]:
        """Return the header that authorizes a call, and its value, under ``Bearer``."""
        value = self.get_api_key_with_prefix("Authorization")
        bearer = {"type": "api_key", "in": "header", "key": "Authorization", "value": value}
        return {} if value is None else {"Bearer": bearer}

    def to_debug_report(self) -> str:
        """Return platform and versions for a bug report; no secrets."""
        return (
            f"Python SDK Debug Report:\nOS: {sys.platform}\nPython Version: {sys.version}\n"
            f"Version of the API: v1\nSDK Package Version: {__version__}"
        )

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "host":
            check_host(value)
        elif name == "timeout":
            value = check_timeout(name, value)
        elif name in _TYPES:
            types, accepted = _TYPES[name]
            if not isinstance(value, types) or (isinstance(value, bool) and types is not bool):
                raise wrong_type(name, accepted, value)
            if name in _GREATEST and value is not None:
                check_bounds((1, _GREATEST[name]), value, name)
            if name == "safe_chars_for_path_param" and re.search("[?#%]", str(value)):
                raise wrong_value(name, "not have '?', '#' or '%', which end or change a path")
        super().__setattr__(name, value)

    def __repr__(self) -> str:
        settings = vars(self)  # some are missing while it is made
        authorized = "with" if settings.get("api_key", {}).get("Authorization") else "without"
        return f"<{type(self).__name__} {settings.get('host')!r} {authorized} a token>"

    def __deepcopy__(self, memo: dict[int, Any]) -> Configuration:
        twin = type(self).__new__(type(self))
        memo[id(self)] = twin
        # The hook is shared: it may refer to what cannot be copied, such as a lock.
        memo[id(self.refresh_api_key_hook)] = self.refresh_api_key_hook
        vars(twin).update(copy.deepcopy(vars(self), memo))
        return twin

    def __copy__(self) -> Configuration:
        return copy.deepcopy(self)

    def __getstate__(self) -> dict[str, Any]:
        """Pickle without secrets: set the token again after unpickling, or let the hook do it."""
        proxy = self.proxy and re.sub(r"^(\w+://)?[^/]*@", r"\1", self.proxy)
        return dict(vars(self), api_key={}, password=None, proxy=proxy, proxy_headers=None)


def check_host(host: object) -> str:
    """Return the host, or raise if it is not the URL of a service."""
    if not isinstance(host, str):
        raise wrong_type("host", "str", host)
    if not is_url(host):
        raise wrong_value("host", f"be a URL such as {DEFAULT_HOST!r}")
    if "@" in urlsplit(host).netloc or "?" in host or "#" in host:
        raise wrong_value("host", "have no user, query or fragment")
    return host


def is_url(text: str, schemes: tuple[str, ...] = ("http", "https")) -> bool:
    """Tell whether a text is the URL of a server with one of these schemes."""
    try:
        parts = urlsplit(text)
        named = parts.scheme in schemes and parts.hostname and parts.port != 0
    except ValueError:
        return False
    return bool(named) and not _NO_URL(text)


def check_timeout(where: str, timeout: object) -> Timeout:
    """Return the timeout, or raise if it is invalid."""
    accepted = f"positive seconds up to {LONGEST_TIMEOUT}, a pair (connect, read) of them, or None"
    pair = isinstance(timeout, (tuple, list))
    parts: Any = tuple(timeout) if pair else (timeout, timeout)  # type: ignore[arg-type]
    if len(parts) != 2:
        raise wrong_value(where, f"be {accepted}, got {len(parts)} parts")
    for seconds in parts:
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float, _NONE)):
            raise wrong_type(where, accepted, seconds)
        if seconds is not None and not 0 < seconds <= LONGEST_TIMEOUT:
            raise wrong_value(where, f"be {accepted}")
    return parts if pair else parts[0]  # type: ignore[no-any-return]


def check_header(name: str, value: object, where: str = "") -> None:
    """Raise if a header is invalid, without showing its value, which may be a secret."""
    if not isinstance(value, str):
        raise wrong_type(where or name, "str", value)
    if not (value.isascii() and value.isprintable()) and not _VALUE(value):
        accepted = "be Latin-1 text with no line break; if it is from a file, strip() it"
        raise wrong_value(where or name, accepted)
    if not _NAME(name):
        raise wrong_value(where or "header_name", "be a valid name of a header")
    if name.lower() in _FRAMING:
        raise wrong_value(name, "not be set: the client sets it")
