"""The ASGI application: routes, authentication, request bodies, responses and errors."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from ..store.errors import StoreError
from ..store.identity import Identity
from ..store.rows import dumps
from ..store.store import Store
from . import access, bodies
from .errors import Refused, error_response, refusal
from .operations import OPERATIONS, Call, Operation, Service

MAX_BODY = 1 << 20  # bytes
# Much of a body that is too long is still read: a client that is sending does not see a response.
_MAX_READ = 64 << 20
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


def make_app(service: Service) -> Starlette:
    """Make the ASGI application of a service."""
    paths: dict[str, dict[str, Operation]] = {}
    for each in OPERATIONS:
        paths.setdefault(each.path.replace("}", ":tes_id}"), {})[each.method] = each
    # One route per path, so that a 405 response lists all allowed methods.
    routes = [
        Route(path, _endpoint(service, operations), methods=list(operations))
        for path, operations in paths.items()
    ]
    routes.append(Route("/v1/tokens", _token_endpoint(service.store), methods=["POST"]))
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


def _endpoint(service: Service, operations: Mapping[str, Operation]) -> Endpoint:
    async def respond(request: Request) -> Response:
        # Starlette adds HEAD to GET.
        operation = operations.get(request.method) or operations["GET"]
        by = _caller(service.store, request)
        body: dict[str, Any] = {}
        if operation.body is not None:
            data = bodies.parse(await _read(request))
            body = bodies.canonical(operation.body, {} if data is None else data)
        query = _query(request) if operation.method == "GET" else {}
        call = Call(by, request.path_params, query, body)
        content = await operation.handler(service, call)
        return _response(operation.status, content)

    return respond


def _token_endpoint(store: Store) -> Endpoint:
    """Make the endpoint that exchanges an API key for a short-lived token.

    Only the access tokens in the store are API keys: a short-lived token cannot be exchanged.
    """

    async def respond(request: Request) -> Response:
        identity = store.identity(request.headers.get("x-api-key", ""))
        if identity is None:
            raise Refused(401, "The X-API-Key header must be an API key of this service")
        token = access.jwt(identity, store.key)
        content = {"access_token": token, "token_type": "Bearer", "expires_in": access.LIFETIME}
        return _response(201, dumps(content))

    return respond


def _caller(store: Store, request: Request) -> Identity:
    """Return the identity of the caller."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise Refused(401, "The Authorization header must be `Bearer <token>`")
    token = token.strip()
    identity = store.identity(token) or access.identity_of_jwt(token, store.key)
    if identity is None:
        raise Refused(401, "The token is unknown or has expired")
    return identity


async def _read(request: Request) -> bytes:
    """Return the body of a request."""
    content_type = request.headers.get("content-type", _JSON_TYPES[0]).partition(";")[0]
    content_type = content_type.strip().lower()
    if content_type not in _JSON_TYPES and not content_type.endswith("+json"):
        raise Refused(415, f"The Content-Type must be {_JSON_TYPES[0]}, not {content_type!r}")
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


def _response(status: int, content: str) -> Response:
    return Response(content, status, media_type="application/json")


def _refuse(_: Request, refused: Any) -> Response:
    response = _error(refused.status, refused.message, refused.details)
    if refused.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
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
