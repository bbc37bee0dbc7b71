"""HTTP: routes, tokens, bodies in, and answers and refusals out."""

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
from ..store.store import Store, dumps
from . import access, bodies
from .errors import Refused, error_response, refusal
from .operations import OPERATIONS, Call, Operation, Service

MOST_BYTES = 1 << 20  # of a body
# A body that is too long is read on for a while, or the caller, still sending, would not see why
# it is refused.
_PATIENCE = 64 << 20
Endpoint = Callable[[Request], Awaitable[Response]]

_JSON_TYPES = ("application/json", "text/json")


class _Id(Convertor[str]):
    """An id in a path: it has no colon, so the verb after one is never taken for part of it."""

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
    # One route a path, so that a wrong verb is told all the right ones.
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
            ClientDisconnect: _nobody,
            Exception: _failure,
        },
    )
    app.router.redirect_slashes = False
    return app


def _endpoint(service: Service, operations: Mapping[str, Operation]) -> Endpoint:
    async def answer(request: Request) -> Response:
        # What is no other verb here is HEAD: GET without what it answers.
        operation = operations.get(request.method) or operations["GET"]
        by = _caller(service.store, request)
        body: dict[str, Any] = {}
        if operation.body is not None:
            data = bodies.parse(await _read(request))
            body = bodies.canonical(operation.body, {} if data is None else data)
        query = _query(request) if operation.method == "GET" else {}
        call = Call(by, request.path_params, query, body)
        content = await operation.handler(service, call)
        return _answer(operation.status, content)

    return answer


def _token_endpoint(store: Store) -> Endpoint:
    """Make the endpoint that gives a short-lived token for an API key.

    The tokens that were admitted are the API keys; a short-lived token gets no other.
    """

    async def answer(request: Request) -> Response:
        identity = store.identity(request.headers.get("x-api-key", ""))
        if identity is None:
            raise Refused(401, "The X-API-Key header must hold an API key of this service")
        token = access.jwt(identity, store.key)
        content = {"access_token": token, "token_type": "Bearer", "expires_in": access.LIFETIME}
        return _answer(201, dumps(content))

    return answer


def _caller(store: Store, request: Request) -> Identity:
    """Return who calls."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise Refused(401, "The Authorization header must be `Bearer`, a space and a token")
    token = token.strip()
    identity = store.identity(token) or access.identity_of_jwt(token, store.key)
    if identity is None:
        raise Refused(401, "The token is unknown or has expired")
    return identity


async def _read(request: Request) -> bytes:
    """Return the body."""
    content_type = request.headers.get("content-type", _JSON_TYPES[0]).partition(";")[0]
    content_type = content_type.strip().lower()
    if content_type not in _JSON_TYPES and not content_type.endswith("+json"):
        raise Refused(415, f"The Content-Type must be {_JSON_TYPES[0]}, not {content_type!r}")
    size, parts = 0, []
    async for part in request.stream():
        size += len(part)
        if size <= MOST_BYTES:
            parts.append(part)
        elif size > _PATIENCE:
            break
    if size > MOST_BYTES:
        raise Refused(413, f"The body must have at most {MOST_BYTES} bytes")
    return b"".join(parts)


def _query(request: Request) -> Mapping[str, str]:
    """Return the query with its names in lower case: they are accepted in any."""
    pairs = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    return {name.lower(): value for name, value in pairs}


def _answer(status: int, content: str) -> Response:
    return Response(content, status, media_type="application/json")


def _refuse(_: Request, refused: Any) -> Response:
    response = _error(refused.status, refused.message, refused.details)
    if refused.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _refuse_by_store(request: Request, error: Any) -> Response:
    return _refuse(request, refusal(error))


def _no_route(request: Request, error: Any) -> Response:
    """Answer a call that is none of the operations."""
    message = f"There is no operation {request.method} {request.url.path}"
    response = _error(error.status_code, message)
    response.headers.update(error.headers or {})
    return response


def _nobody(_: Request, __: Exception) -> Response:
    """Answer a caller that went away in the middle of its body; nobody gets it."""
    return _error(400, "The body is not complete")


def _failure(_: Request, __: Exception) -> Response:
    """Answer a call that failed by a fault of the service's; the server logs the exception."""
    return _error(500, "The service failed; its log tells why")


def _error(status: int, message: str, details: tuple[str, ...] = ()) -> Response:
    return _answer(status, json.dumps(error_response(status, message, details)))
