"""The ASGI application: routes, authentication, request bodies, responses and errors."""

from __future__ import annotations

import json
import sqlite3
import time
from asyncio import get_running_loop, wrap_future
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, Union
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from ..store.errors import NameTakenError, StoreError
from ..store.rows import dumps
from ..store.store import Store
from . import access, bodies
from .access import Caller
from .errors import Refused, error_response, refusal
from .metrics import Metrics
from .operations import OPERATIONS, Call, Operation, Service, Written

MAX_BODY = 1 << 20  # bytes
# Much of a body that is too long is still read: a client that is sending does not see a response.
_MAX_READ = 64 << 20
_SMALL_BODY = 1 << 16  # bytes
_PIECE = 1 << 18  # bytes
_RETRY_AFTER = "5"  # seconds
_READERS = 4
_CHANGERS = 4

T = TypeVar("T")
Endpoint = Callable[[Request], Awaitable[Response]]

_JSON_TYPES = ("application/json", "text/json")


class _Id(Convertor[str]):
    """An id in a path. It has no colon, which separates the id from a verb such as `:abort`."""

    regex = "[^/:]+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("tes_id", _Id())


def make_app(service: Service, metrics: Metrics, workers: Workers) -> Starlette:
    """Make the ASGI application of a service."""
    paths: dict[str, dict[str, Operation]] = {}
    for each in OPERATIONS:
        paths.setdefault(each.path.replace("}", ":tes_id}"), {})[each.method] = each
    # One route per path, so that a 405 response lists all allowed methods.
    routes = [
        Route(path, _endpoint(service, operations, workers), methods=list(operations))
        for path, operations in paths.items()
    ]
    routes += [
        Route("/v1/tokens", _token_endpoint(service.store, workers), methods=["POST"]),
        Route("/metrics", _metrics_endpoint(service.store, metrics, workers), methods=["GET"]),
        Route("/health", _health_endpoint(service, workers), methods=["GET"]),
    ]
    app = Starlette(
        routes=routes,
        exception_handlers={
            Refused: _refuse,
            StoreError: _refuse_by_store,
            HTTPException: _no_route,
            ClientDisconnect: _disconnected,
            Exception: _internal_error,
        },
    )
    app.router.redirect_slashes = False
    return app


class Workers:
    """Threads beside the event loop, so that no request holds up another.

    Changes, of which one can be huge, do not take the threads of the reads.
    """

    def __init__(self) -> None:
        self._reads = ThreadPoolExecutor(_READERS, "libica-read")
        self._changes = ThreadPoolExecutor(_CHANGERS, "libica-change")

    async def read(self, work: Callable[..., T], *arguments: Any) -> T:
        """Return the result of a function that only reads."""
        return await get_running_loop().run_in_executor(self._reads, work, *arguments)

    async def change(self, work: Callable[..., T], *arguments: Any) -> T:
        """Return the result of a function that may take long or change something."""
        return await get_running_loop().run_in_executor(self._changes, work, *arguments)

    def close(self) -> None:
        """End the threads."""
        self._reads.shutdown()
        self._changes.shutdown()


def _endpoint(service: Service, operations: Mapping[str, Operation], workers: Workers) -> Endpoint:
    def answer(operation: Operation, request: Request, data: bytes) -> Union[bytes, Written]:
        caller = _caller(service.store, request)
        body: dict[str, Any] = {}
        if operation.body is not None:
            _check_type(request)
            given = bodies.parse(data)
            body = bodies.canonical(operation.body, {} if given is None else given)
        query = _query(request) if operation.method == "GET" else {}
        reply = operation.handler(service, Call(caller, request.path_params, query, body))
        return reply if isinstance(reply, Written) else reply.encode()

    async def respond(request: Request) -> Response:
        # Starlette adds HEAD to GET.
        operation = operations.get(request.method) or operations["GET"]
        request.scope["operation"] = operation.name
        data = b""
        if operation.body is not None:
            if not _is_small(request):
                await workers.read(_caller, service.store, request)  # before the body is read
            data = await read_body(request)
        work = workers.read if operation.method == "GET" else workers.change
        reply = await work(answer, operation, request, data)
        if isinstance(reply, bytes):
            return _response(operation.status, reply)
        try:
            written = await wrap_future(reply.future)
        except NameTakenError as error:
            raise Refused(operation.taken, error.message, *error.details) from None
        return _response(operation.status, reply.respond(written))

    return respond


def _token_endpoint(store: Store, workers: Workers) -> Endpoint:
    """Make the endpoint that exchanges an API key for a short-lived token.

    Only the access tokens in the store are API keys: a short-lived token cannot be exchanged.
    """

    def exchange(key: str) -> str:
        grant = store.grant(key)
        if grant is None:
            raise Refused(401, "The X-API-Key header must be an API key of this service")
        token = access.short_lived(Caller(grant, int(time.time())), store.key)
        return dumps({"access_token": token, "token_type": "Bearer", "expires_in": access.LIFETIME})

    async def respond(request: Request) -> Response:
        request.scope["operation"] = "createToken"
        key = request.headers.get("x-api-key", "")
        return _response(201, await workers.read(exchange, key))

    return respond


def _metrics_endpoint(store: Store, metrics: Metrics, workers: Workers) -> Endpoint:
    def scrape(request: Request) -> Response:
        _caller(store, request)
        content, media_type = metrics.exposition()
        return Response(content, headers={"Content-Type": media_type})

    async def respond(request: Request) -> Response:
        request.scope["operation"] = "metrics"
        return await workers.read(scrape, request)

    return respond


def _health_endpoint(service: Service, workers: Workers) -> Endpoint:
    """Make the endpoint that tells anybody whether the service works, and nothing else."""

    def is_well() -> bool:
        try:
            service.store.grant("")
        except (StoreError, OSError, sqlite3.Error):
            return False
        return service.scheduler.is_alive()

    async def respond(request: Request) -> Response:
        request.scope["operation"] = "health"
        well = await workers.read(is_well)
        status, word = (200, "ok") if well else (503, "unavailable")
        return _response(status, dumps({"status": word}))

    return respond


def _caller(store: Store, request: Request) -> Caller:
    """Return the caller."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise Refused(401, "The Authorization header must be `Bearer <token>`")
    caller = access.caller_of(token.strip(), store)
    if caller is None:
        raise Refused(401, "The token is unknown or has expired")
    request.scope["caller"] = caller
    return caller


def _is_small(request: Request) -> bool:
    """Tell whether the body is so small that reading it is cheaper than looking up the caller."""
    length = int(request.headers.get("content-length", 0))
    return length <= _SMALL_BODY and "transfer-encoding" not in request.headers


def _check_type(request: Request) -> None:
    content_type = request.headers.get("content-type", _JSON_TYPES[0]).partition(";")[0]
    content_type = content_type.strip().lower()
    if content_type not in _JSON_TYPES and not content_type.endswith("+json"):
        raise Refused(415, f"The Content-Type must be {_JSON_TYPES[0]}, not {content_type!r}")


async def read_body(request: Request) -> bytes:
    """Return the body of a request.

    Raises:
        Refused: It is too long.
    """
    size, parts = 0, []
    async for part in request.stream():
        size += len(part)
        if size <= MAX_BODY:
            parts.append(part)
        elif size > _MAX_READ:
            break
    if size > MAX_BODY:
        raise Refused(413, f"The body must have at most {MAX_BODY} bytes")
    return b"".join(parts)


def _query(request: Request) -> Mapping[str, str]:
    """Return the query parameters with lower-case names, since any casing is accepted."""
    pairs = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    return {name.lower(): value for name, value in pairs}


def _response(status: int, content: Union[bytes, str]) -> Response:
    if len(content) <= _PIECE:
        return Response(content, status, media_type=_JSON_TYPES[0])
    # In pieces, as the event loop would do nothing else while it copied all of it.
    data = content.encode() if isinstance(content, str) else content
    headers = {"Content-Length": str(len(data))}
    return StreamingResponse(_pieces(data), status, headers, _JSON_TYPES[0])


async def _pieces(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), _PIECE):
        yield data[start : start + _PIECE]


def _refuse(_: Request, refused: Any) -> Response:
    response = _error(refused.status, refused.message, refused.details)
    if refused.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    if refused.status == 503:
        response.headers["Retry-After"] = _RETRY_AFTER
    return response


def _refuse_by_store(request: Request, error: Any) -> Response:
    return _refuse(request, refusal(error))


def _no_route(request: Request, error: Any) -> Response:
    """Respond to a request that matches no operation."""
    message = f"There is no operation {request.method} {request.url.path}"
    response = _error(error.status_code, message)
    response.headers.update(error.headers or {})
    return response


def _disconnected(_: Request, __: Exception) -> Response:
    """End a request whose client disconnected before the end of the body."""
    return _error(400, "The body is incomplete")


def _internal_error(_: Request, __: Exception) -> Response:
    """Respond to a request that met a bug or a broken store; uvicorn logs the exception."""
    return _error(500, "Internal error; see the log of the service")


def _error(status: int, message: str, details: tuple[str, ...] = ()) -> Response:
    return _response(status, json.dumps(error_response(status, message, details)))
