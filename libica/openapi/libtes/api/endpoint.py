"""How an endpoint is declared: a signature, a docstring and its HTTP method and path.

Positional parameters fill in the path, ``body`` is the body, all others are the query; the
return type is what the response is read as.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Optional, TypeVar, Union, get_args, get_type_hints

from .._checks import bind_arguments, check_bounds, convert
from .._redaction import Boundary, shows_locals
from ..api_client import DEFAULT, ApiClient, RequestTimeout
from ..exceptions import ApiTypeError, ApiValueError, InvalidResponseException, wrong_value
from ..models.base import Model, camel_case

if TYPE_CHECKING:
    from typing import Generic, Literal, TypedDict, overload

    from typing_extensions import Concatenate, ParamSpec
    from urllib3 import HTTPHeaderDict
    from urllib3.response import BaseHTTPResponse

    from ..async_result import AsyncResult

    P = ParamSpec("P")
    T = TypeVar("T")
    D = TypeVar("D")

    class Options(TypedDict, total=False):
        """The options of every call for type checkers; ``OPTIONS`` has their meaning."""

        async_req: Literal[False]
        _preload_content: Literal[True]
        _request_timeout: RequestTimeout
        _return_http_data_only: Literal[False]

    class Method(Generic[P, T, D]):
        """An endpoint as users call it; at run time it is a plain method."""

        endpoint: Endpoint

        @overload
        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T: ...
        @overload
        def __call__(
            self, *args: Any, async_req: Literal[True], **kwargs: Any
        ) -> AsyncResult[T]: ...
        @overload
        def __call__(
            self, *args: Any, _preload_content: Literal[False], **kwargs: Any
        ) -> BaseHTTPResponse: ...
        @overload
        def __call__(
            self, *args: Any, _return_http_data_only: Literal[True], **kwargs: Any
        ) -> D: ...
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            """Make the call."""

    class Walk(Generic[P, T]):
        """A walk over all pages as users call it."""

        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
            """Return the iterator; the first page is fetched when it is first asked."""
            raise NotImplementedError


M = TypeVar("M", bound=Model)

Body = Union[M, Mapping[str, Any], None]
"""A body: the model of the operation, or a dict with JSON names, which is sent as it is."""

Id = Optional[str]
"""An id. It is required: ``None``, as fields of responses are typed, is refused at run time."""

Filter = Union[str, Sequence[str], None]
"""Values to filter by: one string, with commas between values, or a list of them."""

PAGE_SIZES = (1, 1000)
Statuses = tuple[int, ...]
ERRORS: Statuses = (400, 401, 403, 404, 500)
ERRORS_OF_NAMES = (400, 401, 403, 404, 409, 500)
ERRORS_OF_RUNS = (400, 401, 403, 500)


OPTIONS: dict[str, tuple[Any, Any, str]] = {
    "async_req": (bool, False, "Whether to return at once, with an `AsyncResult` to `get()`."),
    "_preload_content": (
        bool,
        True,
        "Whether to read the response; otherwise urllib3's is returned.",
    ),
    "_request_timeout": (
        RequestTimeout,
        DEFAULT,
        "Seconds for an attempt, a pair (connect, read), or `None` for no limit; "
        "the configuration's if not given.",
    ),
    "_return_http_data_only": (
        bool,
        False,
        "Whether to return the data alone, without status and headers; plain methods always do.",
    ),
}


class Endpoint:
    """What a declaration says: verb and path, statuses, and the parameters with their types."""

    def __init__(
        self, function: Callable[..., Any], method: str, path: str, success: int, errors: Statuses
    ) -> None:
        self.function = function
        self.name: str = function.__name__
        self.doc: str = inspect.getdoc(function) or ""
        self.method = method
        self.path = path
        self.success = success
        self.errors = errors
        del function.__annotations__["options"]  # made of names that only type checkers know
        hints = get_type_hints(function)
        self.returns: type[Model] = hints.pop("return")
        given = list(inspect.signature(function).parameters.values())[1:-1]
        given = [each.replace(annotation=hints[each.name]) for each in given]
        self.signature: inspect.Signature = inspect.Signature(given, return_annotation=self.returns)
        self.ids: tuple[str, ...] = tuple(
            each.name for each in given if each.kind is each.POSITIONAL_OR_KEYWORD
        )
        self.body: Optional[type[Model]] = get_args(hints["body"])[0] if "body" in hints else None
        known = (*self.ids, "body")
        self.query: dict[str, Any] = {
            each.name: each.annotation for each in given if each.name not in known
        }
        self._accepted = (*self.signature.parameters, *OPTIONS)
        self._template = path
        for name in self.ids:
            self._template = self._template.replace(camel_case(name), name)

    def call(
        self, client: ApiClient, args: Sequence[Any], kwargs: Mapping[str, Any], data_only: bool
    ) -> Any:
        """Check the arguments and make the call."""
        values = bind_arguments(self.name, self._accepted, len(self.ids), args, kwargs)
        for name in self.ids:
            if values.get(name) is None:
                error = ApiValueError if name in values else ApiTypeError
                raise error(f"Missing the required parameter `{name}` when calling `{self.name}`")
        body = values.get("body")
        if body is not None:
            convert(self.body, body, "body")
        limits = client.configuration.client_side_validation
        query = {
            camel_case(name): _query_value(name, hint, values[name], limits)
            for name, hint in self.query.items()
            if values.get(name) is not None
        }
        return client.call_api(
            self._template,
            self.method,
            {name: values[name] for name in self.ids},
            query,
            body=body,
            response_type=self.returns.__name__,
            auth_settings=["Bearer"],
            async_req=values.get("async_req"),
            _return_http_data_only=data_only,
            _preload_content=values.get("_preload_content", True),
            _request_timeout=values.get("_request_timeout", DEFAULT),
        )


def endpoint(
    method: str, path: str, *, success: int = 200, errors: Statuses = ERRORS
) -> Callable[[Callable[Concatenate[Any, P], T]], Method[P, T, T]]:
    """Turn a declaration into the method that makes the call and returns the data."""

    def declare(function: Callable[..., Any]) -> Any:
        declared = Endpoint(function, method, path, success, errors)

        def call(self: Api, *args: Any, **kwargs: Any) -> Any:
            return declared.call(self.api_client, args, kwargs, data_only=True)

        return _present(call, declared, declared.name, declared.doc, OPTIONS, declared.returns)

    return declare


def with_http_info(plain: Method[P, T, T]) -> Method[P, tuple[T, int, HTTPHeaderDict], T]:
    """Make the twin of a method, which returns data, status and headers."""
    declared = plain.endpoint

    def call(self: Api, *args: Any, **kwargs: Any) -> Any:
        data_only = bool(kwargs.get("_return_http_data_only"))
        return declared.call(self.api_client, args, kwargs, data_only)

    doc = f"Call `{declared.name}` and return a tuple of data, status and headers."
    name = f"{declared.name}_with_http_info"
    returns = tuple[declared.returns, int, Mapping[str, str]]  # type: ignore[name-defined]
    return _present(call, declared, name, doc, OPTIONS, returns)  # type: ignore[no-any-return]


def iterate(plain: Method[P, Any, Any], item: type[T]) -> Walk[P, T]:
    """Make the walk over all pages of a method that gets one."""
    declared = plain.endpoint
    name = declared.name.replace("list_", "iter_")
    options = {"_request_timeout": OPTIONS["_request_timeout"]}

    def call(self: Api, *args: Any, **kwargs: Any) -> Any:
        accepted = (*declared.signature.parameters, *options)
        bind_arguments(name, accepted, len(declared.ids), args, kwargs)
        size = kwargs.get("page_size")
        values = {**kwargs, "page_size": PAGE_SIZES[-1] if size is None else size}
        return _walk(self, functools.partial(getattr(self, declared.name), *args), values)

    doc = _WALK_DOC.format(declared.name, item.__name__, declared.doc.partition("Args:")[2])
    return _present(call, declared, name, doc, options, Iterator[item])  # type: ignore[no-any-return, valid-type]


_WALK_DOC = """Walk all pages of `{}`, as they are needed; yields each `{}`.

One page is held at a time, of 1000 if no size is given. All are asked for with the same size, sort
and filters. A page token that the service returns twice raises `InvalidResponseException`.

Args:{}"""


def _walk(api: Api, fetch: Callable[..., Any], arguments: dict[str, Any]) -> Iterator[Any]:
    seen = {arguments.get("page_token")}
    token: Optional[str] = None
    try:
        while True:
            page = fetch(**arguments)
            token, items = page.next_page_token, page.items or []
            del page
            yield from items
            del items
            if not token:
                return
            if token in seen:
                reason = "the service returned the same page token twice; the walk was stopped"
                raise InvalidResponseException(reason=reason)
            seen.add(token)
            arguments["page_token"] = token
    except BaseException:
        if not shows_locals(api):
            arguments, seen, token = {}, set(), None  # which a traceback would show
        raise


def _present(
    call: Any, declared: Endpoint, name: str, doc: str, options: Mapping[str, Any], returns: Any
) -> Any:
    """Give a method the name, signature and docstring that ``help`` and notebooks show."""
    parameters = [inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
    parameters += declared.signature.parameters.values()
    lines = [doc, "", "Options:"]
    for option, (hint, default, meaning) in options.items():
        kind = inspect.Parameter.KEYWORD_ONLY
        parameters.append(inspect.Parameter(option, kind, default=default, annotation=hint))
        lines.append(f"    {option}: {meaning}")
    call.__name__ = name
    call.__qualname__ = declared.function.__qualname__.replace(declared.name, name)
    call.__module__ = declared.function.__module__
    call.__doc__ = "\n".join(lines)
    call.__signature__ = inspect.Signature(parameters, return_annotation=returns)
    call.endpoint = declared
    return call


class Api(Boundary):
    """Base of the API classes; without a client it makes one with the default configuration."""

    def __init__(self, api_client: Optional[ApiClient] = None) -> None:
        if not (api_client is None or hasattr(api_client, "call_api")):
            raise ApiTypeError("`api_client` must be an ApiClient, as of ApiClient(configuration)")
        self.api_client: ApiClient = ApiClient() if api_client is None else api_client


def _query_value(name: str, hint: Any, value: Any, limits: bool) -> Any:
    """Check one parameter of the query and return what to send."""
    if hint == Optional[int]:
        value = convert(int, value, name)
        if limits:
            check_bounds(PAGE_SIZES, value, name)
        return value
    if hint != Filter or not isinstance(value, (list, tuple)):
        return convert(str, value, name)
    value = convert(list[str], value, name)
    if not value or any("," in each for each in value):
        raise wrong_value(name, "hold one or more values, none with a comma in it")
    return value
