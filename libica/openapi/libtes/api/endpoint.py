"""How an operation is declared, and the methods that are made of each declaration.

A declaration has no body: positional parameters fill in the path, ``body`` is the body, all others
are the query; the response is decoded as the return type. Each makes a method, its
``_with_http_info`` twin and, for a list, an ``iter_`` method over all pages. Type checkers and
editors read the ``.pyi`` files, which ``python build-tools/stubs.py`` writes.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Optional, TypeVar, Union, get_args, get_type_hints

from .._checks import bind_arguments, check_bounds, convert
from .._redaction import Boundary, shows_locals
from ..api_client import DEFAULT, ApiClient, RequestTimeout
from ..exceptions import ApiTypeError, ApiValueError, InvalidResponseException, wrong_value
from ..models.base import Model, camel_case
from ..models.page import Page

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

_TIMEOUT = """Seconds for the whole call, a pair (connect, read) for each attempt,
        or `None` for no limit. Default: the configuration's."""
OPTIONS: dict[str, tuple[Any, Any, str]] = {  # type, default and meaning
    "async_req": (bool, False, "Whether to return an `AsyncResult` at once, to `get()` later."),
    "_preload_content": (bool, True, "Whether to read the response, or return urllib3's."),
    "_request_timeout": (RequestTimeout, DEFAULT, _TIMEOUT),
    "_return_http_data_only": (bool, False, "Whether to return the data alone; plain methods do."),
}
PARAMETERS = {  # the meanings that docstrings leave out
    "task_id": "Id of the task, `tdn.` and 32 hexadecimal digits.",
    "version_id": "Id of the version, `tvn.` and 32 hexadecimal digits.",
    "run_id": "Id of the run, `trn.` and 32 hexadecimal digits.",
    "acls": "Show only objects with one of these entries in their access list.",
    "page_size": "Objects per page, 1 to 1000. Default: 10; 1000 when iterating over all pages.",
    "page_token": "Token of a page, taken from an earlier one. Keep page size, sort and\n"
    "        filters the same.",
}
_OWN = re.compile(r"^    (\w+): (.*(?:\n     .*)*)", re.MULTILINE).findall


class Endpoint:
    """A declaration: method and path, statuses, and the parameters with their types."""

    def __init__(
        self, function: Callable[..., Any], method: str, path: str, success: int, errors: Statuses
    ) -> None:
        self.function = function
        self.name: str = function.__name__
        self.method = method
        self.path = path
        self.success = success
        self.errors = errors
        hints = get_type_hints(function)
        self.returns: type[Model] = hints.pop("return")
        given = list(inspect.signature(function).parameters.values())[1:]
        given = [each.replace(annotation=hints[each.name]) for each in given]
        self.signature: inspect.Signature = inspect.Signature(given, return_annotation=self.returns)
        ids = [each.name for each in given if each.kind is each.POSITIONAL_OR_KEYWORD]
        self.ids: tuple[str, ...] = tuple(ids)
        body = hints.pop("body", None)
        self.body: Optional[type[Model]] = get_args(body)[0] if body else None
        text, _, own = (inspect.getdoc(function) or "").partition("\n\nArgs:\n")
        meanings = {**PARAMETERS, "body": self.body and self.body.__doc__, **dict(_OWN(own))}
        args = [f"    {each.name}: {meanings[each.name]}" for each in given]
        self.doc: str = "\n".join([text, "", "Args:", *args])
        self.query: dict[str, Any] = {k: hint for k, hint in hints.items() if k not in ids}
        self._accepted = (*self.signature.parameters, *OPTIONS)
        self._template = path
        for name in ids:
            self._template = self._template.replace(camel_case(name), name)

    def call(
        self, client: ApiClient, args: Sequence[Any], kwargs: Mapping[str, Any], data_only: Any
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
            response_type=self.returns,
            auth_settings=["Bearer"],
            async_req=values.get("async_req"),
            _return_http_data_only=data_only,
            _preload_content=values.get("_preload_content", True),
            _request_timeout=values.get("_request_timeout", DEFAULT),
        )

    def methods(self) -> Iterator[Callable[..., Any]]:
        """Yield the method, its twin and, if it returns a page, the one that iterates over all."""

        def plain(api: Api, /, *args: Any, **kwargs: Any) -> Any:
            return self.call(api.api_client, args, kwargs, data_only=True)

        def twin(api: Api, /, *args: Any, **kwargs: Any) -> Any:
            return self.call(api.api_client, args, kwargs, kwargs.get("_return_http_data_only"))

        yield self._present(plain, self.name, self.doc, OPTIONS, self.returns)
        summary, _, rest = self.doc.partition("\n\n")
        doc = _TWIN_DOC.format(summary, self.name, rest)
        returns: Any = tuple[self.returns, int, Mapping[str, str]]  # type: ignore[name-defined]
        yield self._present(twin, f"{self.name}_with_http_info", doc, OPTIONS, returns)
        if issubclass(self.returns, Page):
            yield self._iterator(self.name.replace("list_", "iter_"))

    def _iterator(self, name: str) -> Callable[..., Any]:
        options = {"_request_timeout": OPTIONS["_request_timeout"]}
        accepted = (*self.signature.parameters, *options)

        def iterate(api: Api, /, *args: Any, **kwargs: Any) -> Any:
            bind_arguments(name, accepted, len(self.ids), args, kwargs)
            size = kwargs.get("page_size")
            values = {**kwargs, "page_size": PAGE_SIZES[-1] if size is None else size}
            return _walk(api, functools.partial(getattr(api, self.name), *args), values)

        item = get_args(self.returns._fields["items"].type)[0]
        doc = _ITERATOR_DOC.format(self.name, item.__name__, self.doc.partition("Args:")[2])
        return self._present(iterate, name, doc, options, Iterator[item])  # type: ignore[valid-type]

    def _present(
        self, call: Any, name: str, doc: str, options: Mapping[str, Any], returns: Any
    ) -> Callable[..., Any]:
        """Give a method the name, signature and docstring that ``help`` and notebooks show."""
        parameters = [inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
        parameters += self.signature.parameters.values()
        lines = [doc, "", "Options:"]
        for option, (hint, default, meaning) in options.items():
            kind = inspect.Parameter.KEYWORD_ONLY
            parameters.append(inspect.Parameter(option, kind, default=default, annotation=hint))
            lines.append(f"    {option}: {meaning}")
        call.__name__ = name
        call.__qualname__ = self.function.__qualname__.replace(self.name, name)
        call.__module__ = self.function.__module__
        call.__doc__ = "\n".join(lines)
        call.__signature__ = inspect.Signature(parameters, return_annotation=returns)
        call.endpoint = self
        return call  # type: ignore[no-any-return]


_TWIN_DOC = """{}

Returns a tuple of data, status and headers; `{}` returns the data alone.

{}"""
_ITERATOR_DOC = """Iterate over all pages of `{}`; yields each `{}`.

Pages are fetched one at a time, when they are needed, all with the same size, sort and
filters. A page token that the service returns twice raises `InvalidResponseException`.

Args:{}"""


def endpoint(
    method: str, path: str, *, success: int = 200, errors: Statuses = ERRORS
) -> Callable[[Callable[..., Any]], Endpoint]:
    """Declare an operation: its HTTP method and path, and the statuses that the contract has."""
    return lambda function: Endpoint(function, method, path, success, errors)


class Api(Boundary):
    """Base of the API classes; without a client, one with the default configuration is made."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        for declared in [each for each in vars(cls).values() if isinstance(each, Endpoint)]:
            for method in declared.methods():
                setattr(cls, method.__name__, method)
        super().__init_subclass__(**kwargs)

    def __init__(self, api_client: Optional[ApiClient] = None) -> None:
        if not (api_client is None or hasattr(api_client, "call_api")):
            wanted = "`api_client` must be an ApiClient, such as ApiClient(configuration)"
            raise ApiTypeError(wanted)
        self.api_client: ApiClient = ApiClient() if api_client is None else api_client


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
                reason = "the service returned the same page token twice"
                raise InvalidResponseException(reason=reason)
            seen.add(token)
            arguments["page_token"] = token
    except BaseException:
        if not shows_locals(api):
            __tracebackhide__ = True
            arguments, seen, token = {}, set(), None  # which a traceback would show
        raise


def _query_value(name: str, hint: Any, value: Any, limits: bool) -> Any:
    if hint == Optional[int]:
        value = convert(int, value, name)
        if limits:
            check_bounds(PAGE_SIZES, value, name)
        return value
    if hint != Filter or not isinstance(value, (list, tuple)):
        return convert(str, value, name)
    value = convert(list[str], value, name)
    if not value or any("," in each for each in value):
        raise wrong_value(name, "be one or more values without commas")
    return value
