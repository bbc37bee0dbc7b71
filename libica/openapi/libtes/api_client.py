"""Makes a call: a request from the arguments, a model from the response."""

from __future__ import annotations

import codecs
import contextlib
import functools
import json
import logging
import math
import os
import re
import sys
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn, Optional, Union, get_args
from urllib.parse import quote, urlencode

import six

from . import __version__
from ._checks import check_bounds, check_str, convert
from ._errors import response_exception
from ._messages import Request, Response
from ._redaction import Boundary, confidential, scrub
from ._transport import Rest, deadline
from .configuration import Configuration, Timeout, check_header, check_host, check_timeout
from .exceptions import ApiTypeError, InvalidResponseException, wrong_type, wrong_value
from .models.base import type_name
from .models.decoding import Mismatch, converter
from .models.encoding import encode

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse

    from .async_result import Workers

logger: logging.Logger = logging.getLogger("libica.openapi.libtes")

JSON = "application/json"
USER_AGENT = f"libica-libtes/{__version__} python/{sys.version_info[0]}.{sys.version_info[1]}"


class Unset:
    """The type of ``DEFAULT``, a timeout that is not set: the configuration's is used."""

    def __repr__(self) -> str:
        return "DEFAULT"


DEFAULT = Unset()
RequestTimeout = Union[Timeout, Unset]
QueryParams = Union[Mapping[str, Any], Sequence[tuple[str, Any]]]


class ApiClient(Boundary):
    """Makes the calls of the API classes, over connections that it keeps open.

    One client may be used by many threads. A ``with`` block closes it at the end; a closed client
    can be used again and then opens new connections.

    Args:
        configuration: The settings. They are not copied, so changes apply from the next call on.
            Default: a copy of the default configuration.
        header_name: Name of a header to send with each call.
        header_value: Value of that header.
        cookie: Cookie to send with each call.
        pool_threads: How many calls with ``async_req=True`` run at the same time. Default 1.

    The arguments are attributes, too; ``default_headers`` are the headers sent with each call.
    """

    def __init__(
        self,
        configuration: Optional[Configuration] = None,
        header_name: Optional[str] = None,
        header_value: Optional[str] = None,
        cookie: Optional[str] = None,
        pool_threads: int = 1,
    ) -> None:
        if configuration is None:
            configuration = Configuration.get_default_copy()
        if not hasattr(configuration, "auth_settings"):
            raise wrong_type("configuration", "a Configuration", configuration)
        self.configuration = configuration
        self.default_headers: dict[str, str] = {"User-Agent": USER_AGENT}
        if header_name is not None:
            self.set_default_header(header_name, header_value or "")
        self.cookie = cookie
        self.pool_threads: int = convert(int, pool_threads, "pool_threads")
        check_bounds((1, math.inf), pool_threads, "pool_threads")
        self._rest = Rest(configuration)
        self._workers: Optional[Workers] = None
        self._lock = threading.RLock()
        _CLIENTS.add(self)

    def __enter__(self) -> ApiClient:
        return self

    def __exit__(self, exc_type: Optional[type[BaseException]], *exc_info: object) -> None:
        workers = self._workers
        if workers and exc_type and not issubclass(exc_type, Exception):
            self._workers = None
            workers.cancel()  # Ctrl-C must not wait for them
        self.close()

    def __copy__(self) -> ApiClient:
        twin = type(self).__new__(type(self))
        vars(twin).update(vars(self))  # the connections, too
        _CLIENTS.add(twin)
        return twin

    def __reduce__(self) -> NoReturn:
        instead = "make another with ApiClient(copy.deepcopy(client.configuration))"
        raise ApiTypeError(f"An ApiClient cannot be deep-copied or pickled: {instead}")

    def close(self) -> None:
        """Wait for calls with ``async_req=True``, then close the connections."""
        with self._lock:
            workers, self._workers = self._workers, None
        if workers is not None:
            workers.close()
        self._rest.close()

    @property
    def user_agent(self) -> str:
        """The ``User-Agent`` header."""
        return self.default_headers["User-Agent"]

    @user_agent.setter
    def user_agent(self, value: str) -> None:
        self.set_default_header("User-Agent", value)

    def set_default_header(self, header_name: str, header_value: str) -> None:
        """Send a header with each later call; an invalid header raises ``ApiValueError``."""
        check_header(header_name, header_value)
        same = (each for each in self.default_headers if each.lower() == header_name.lower())
        self.default_headers[next(same, header_name)] = header_value

    def call_api(
        self,
        resource_path: str,
        method: str,
        path_params: Optional[Mapping[str, str]] = None,
        query_params: Optional[QueryParams] = None,
        header_params: Optional[Mapping[str, str]] = None,
        body: Any = None,
        post_params: Optional[Sequence[Any]] = None,
        files: Optional[Mapping[str, Any]] = None,
        response_type: Union[str, type, None] = None,
        auth_settings: Optional[Sequence[str]] = None,
        async_req: Optional[bool] = None,
        _return_http_data_only: Optional[bool] = None,
        collection_formats: Optional[Mapping[str, str]] = None,
        _preload_content: bool = True,
        _request_timeout: RequestTimeout = DEFAULT,
        _host: Optional[str] = None,
    ) -> Any:
        """Make a call; return data, status and headers, unless the arguments say otherwise.

        Args:
            resource_path: Path of the call, with ``{names}`` for ``path_params``.
            method: HTTP method.
            path_params: Values for the names in the path; they are percent-encoded.
            query_params: The query; lists are joined by commas.
            header_params: Headers in addition to the default ones.
            body: A model, or anything made of dicts and lists; it is sent as JSON.
            post_params: Must be empty: TES has no forms.
            files: Must be empty.
            response_type: The type of the data, as for ``deserialize``. Default: no data.
            auth_settings: ``["Bearer"]`` to send the token.
            async_req: Whether to return an ``AsyncResult`` at once. Default: no.
            _return_http_data_only: Whether to return the data alone. Default: no.
            collection_formats: Must be empty.
            _preload_content: Whether to read the response; otherwise urllib3's is returned.
            _request_timeout: Overrides the configuration's ``timeout``.
            _host: Overrides the configuration's ``host``.

        Raises:
            ApiTypeError, ApiValueError: An argument is invalid. Nothing was sent.
            ApiException: The call failed.
        """
        if post_params or files or collection_formats:
            raise wrong_value("post_params`, `files` and `collection_formats", "be empty")
        if not (method.isascii() and method.isalpha()):
            raise wrong_value("method", "be an HTTP method")
        if not resource_path.startswith("/"):
            raise wrong_value("resource_path", "begin with a slash")
        configuration = self.configuration
        if response_type:
            _reader(response_type)
        timeout = configuration.timeout
        if not isinstance(_request_timeout, Unset):
            timeout = check_timeout("_request_timeout", _request_timeout)
        url = (configuration.host if _host is None else check_host(_host)).rstrip("/")
        safe = configuration.safe_chars_for_path_param
        url += _path(resource_path, path_params or {}, safe) + _query(query_params or {})
        data = None if body is None else self._json(body)
        basic = {"Accept": JSON} if body is None else {"Accept": JSON, "Content-Type": JSON}
        cookie = {"Cookie": self.cookie} if self.cookie else {}
        headers = _merged(basic, header_params or {}, self.default_headers, cookie)
        request = Request(method.upper(), url, headers, data, timeout, _preload_content)
        authorize = "Bearer" in (auth_settings or ())
        data_only = bool(_return_http_data_only)
        call = functools.partial(self._perform, request, authorize, response_type, data_only)
        if not async_req:
            return call()
        from .async_result import Workers

        with self._lock:
            self._workers = self._workers or Workers(self.pool_threads)
            return self._workers.submit(call)

    def sanitize_for_serialization(self, obj: Any) -> Any:
        """Convert a model, or anything made of dicts and lists, to plain data for ``json``."""
        return encode(obj)

    def deserialize(self, response: Any, response_type: Union[str, type]) -> Any:
        """Decode the ``data`` of a response, bytes or text.

        The type is a class, or a name as in ``openapi_types``: ``TaskRun``, ``list[TaskRun]``. An
        unknown type raises ``ApiValueError``, other data ``InvalidResponseException``.
        """
        read = _reader(response_type)
        content_type = (getattr(response, "headers", None) or {}).get("Content-Type") or ""
        try:
            return read(response.data, _charset(content_type))
        except (ValueError, LookupError, RecursionError, Mismatch) as error:
            name = response_type if isinstance(response_type, str) else type_name(response_type)
            came = f"{len(response.data)} bytes of {content_type or 'no content type'}"
            reason = f"expected {name} as JSON, got {came}: {error}"
            scrub(error)
            raise InvalidResponseException(reason=reason) from error

    def _json(self, body: Any) -> bytes:
        try:
            return _ENCODE_JSON(self.sanitize_for_serialization(body)).encode("ascii")
        except (ValueError, RecursionError) as error:
            raise wrong_value("body", f"be serializable as JSON: {error}") from None

    @confidential  # a call in the background begins here
    def _perform(
        self, request: Request, authorize: bool, response_type: Any, data_only: bool
    ) -> Any:
        end = deadline(request.timeout)
        token = self._authorize(request, refused=None) if authorize else None
        response = self._exchange(request, end)
        renewed = token
        if response.status == 401 and token:
            renewed = self._authorize(request, refused=token)
        if renewed != token and time.monotonic() < end:
            response = self._exchange(request, end)
        if not 200 <= response.status < 300:
            raise response_exception(response, request, token)
        if not request.preload:
            return response
        data = unusable = None
        try:
            if response_type:
                data = self.deserialize(response, response_type)
        except InvalidResponseException as exception:
            unusable = exception
        if unusable:  # not raised above, where its context may quote secrets
            raise response_exception(response, request, token, unusable)
        return data if data_only else (data, response.status, response.headers)

    def _authorize(self, request: Request, refused: Optional[str]) -> Optional[str]:
        """Put the token into the headers; the hook renews one that is missing or was refused."""
        configuration = self.configuration
        setting = configuration.auth_settings().get("Bearer", {})
        if configuration.refresh_api_key_hook and setting.get("value") in (None, refused):
            with self._lock:  # threads share the first one's new token
                setting = configuration.auth_settings().get("Bearer", {})
                if setting.get("value") in (None, refused):
                    configuration.refresh_api_key_hook(configuration)
                    setting = configuration.auth_settings().get("Bearer", {})
        token = setting.get("value")
        if token:
            request.headers[setting["key"] or ""] = token
        return token

    def _exchange(self, request: Request, end: float) -> Union[Response, BaseHTTPResponse]:
        started = time.monotonic()
        outcome: object = "no response"
        try:
            response = self._rest.send(request, end)
            outcome = response.status
            return response
        finally:
            if self.configuration.debug or logger.isEnabledFor(logging.DEBUG):
                took = f"{time.monotonic() - started:.3f} s"
                _log(self.configuration, f"{request.method} {request.path}: {outcome} in {took}")


def _merged(*groups: Mapping[str, str]) -> dict[str, str]:
    """Check headers and merge them, later ones over earlier ones, whatever their case."""
    named = {}
    for group in groups:
        for name, value in group.items():
            check_header(name, value)
            named[name.lower()] = name, value
    if "authorization" in named:  # the name under which the token replaces it
        named["authorization"] = "Authorization", named["authorization"][1]
    return dict(named.values())


_CLIENTS: weakref.WeakSet[ApiClient] = weakref.WeakSet()
_INHERITED: list[Rest] = []


def _after_fork() -> None:
    """Give clients in a child process new locks and connections: the parent may be using them."""
    for client in _CLIENTS:
        _INHERITED.append(client._rest)  # kept, since closing it would need its locks
        client._rest = Rest(client.configuration)
        client._lock = threading.RLock()
        client._workers = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]+").fullmatch
_SURROGATE = re.compile("[\ud800-\udfff]").search


def _path(template: str, params: Mapping[str, str], safe: str) -> str:
    for name, value in params.items():
        check_str(value, name)
        segment = value if _UNRESERVED(value) else quote(_encodable(name, value), safe=safe)
        if not {"", ".", ".."}.isdisjoint(segment.split("/")):
            raise wrong_value(name, "not be empty, '.' or '..'")
        template = template.replace(f"{{{name}}}", segment)
    return template


def _query(params: QueryParams) -> str:
    query = []
    for name, value in params.items() if isinstance(params, Mapping) else params:
        text = ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
        query.append((name, _encodable(name, text)))
    return "?" + urlencode(query, quote_via=quote) if query else ""


def _encodable(name: str, text: str) -> str:
    if not text.isascii() and _SURROGATE(text):
        raise wrong_value(name, "be Unicode text without surrogates")
    return text


_ENCODE_JSON = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not valid JSON")


_DECODE_JSON = json.JSONDecoder(parse_constant=_refuse_constant).decode
_NO_CHARSETS = frozenset("idna punycode raw-unicode-escape undefined unicode-escape utf-7".split())
_CHARSET = re.compile(r"charset\s*=\s*\"?([^\s;\"]+)", re.IGNORECASE).search


@functools.lru_cache(maxsize=64)
def _charset(content_type: str) -> str:
    charset = _CHARSET(content_type)
    name = charset[1] if charset else "utf-8"
    if name.isascii():
        name = codecs.lookup(name).name
    if name in _NO_CHARSETS or not name.isascii():
        raise LookupError(f"unknown charset: {name}")
    return name


@functools.cache
def _reader(response_type: Union[str, type]) -> Callable[[Union[bytes, str], str], Any]:
    """Return the function that decodes JSON in a charset as a type.

    ``orjson``, if it is installed, reads what it reads as ``json`` does: UTF-8, and no free-form
    data, where numbers beyond 64 bit would become floats.
    """
    declared = _named(response_type) if isinstance(response_type, str) else response_type
    try:
        convert = converter(declared)
    except KeyError:
        raise wrong_value("response_type", f"be a model or plain type, not {declared!r}") from None
    quick: Optional[Callable[[Any], Any]] = None
    if not _is_free_form(declared):
        with contextlib.suppress(ImportError):
            from orjson import loads as quick

    def read(data: Union[bytes, str], charset: str) -> Any:
        if quick and charset == "utf-8":
            with contextlib.suppress(ValueError, RecursionError, Mismatch):
                if (found := quick(data)) is not None:
                    return convert(found)
        text = six.ensure_text(data, charset)
        found = _DECODE_JSON(text[1:] if text.startswith("\ufeff") else text)
        if found is None:
            raise Mismatch(type_name(declared), found)
        return convert(found)

    return read


def _named(name: str) -> Any:
    from . import models

    if name.startswith("list[") and name.endswith("]"):
        return list[_named(name[5:-1])]  # type: ignore[misc]
    if name.startswith("dict(str, ") and name.endswith(")"):
        return dict[str, _named(name[10:-1])]  # type: ignore[misc]
    for known in (str, int, float, bool, object, datetime, getattr(models, name, None)):
        if known and known.__name__ == name:
            return known
    return name  # which is no type


def _is_free_form(declared: Any) -> bool:
    inside = [field.type for field in getattr(declared, "_fields", {}).values()]
    return declared is object or any(map(_is_free_form, (*inside, *get_args(declared))))


def _log(configuration: Configuration, line: str) -> None:
    """Log a line; with ``debug``, whatever levels are set in ``logging``, which stay."""
    if not configuration.debug:
        logger.debug(line)
        return
    log = logging.Logger(logger.name, logging.DEBUG)
    log.parent = logger
    handler: logging.Handler = logging.NullHandler()
    if configuration.logger_file:
        with contextlib.suppress(OSError):  # a log that cannot be written must not fail the call
            handler = logging.FileHandler(configuration.logger_file)
    elif not logger.hasHandlers():
        handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(configuration.logger_format))
    log.addHandler(handler)
    with contextlib.suppress(OSError), contextlib.closing(handler):
        log.debug(line)
