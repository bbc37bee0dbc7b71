"""The ASGI application of the page: routes, sign-in, security headers, and errors as pages."""

from __future__ import annotations

import asyncio
import re
from asyncio import wrap_future
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Union
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from ..service.app import Workers, read_body
from ..service.errors import Refused, refusal
from ..service.operations import Service
from ..store.errors import StoreError
from . import launching, run_list, run_page, system, task_pages
from .beside import Surroundings
from .rendering import STATIC, Renderer
from .sign_in import LIFETIME, SignIn
from .visit import Changing, Page, Visit

View = Callable[[Page, Visit], Union[Response, Changing]]
Endpoint = Callable[[Request], Awaitable[Response]]

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; "
    "base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not `no-referrer`: browsers would send `Origin: null` with forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_TICK = 0.2  # seconds; a stream ends so soon after the service begins to
_TICKS = 5  # between looks for changes
_SILENCE = 75  # looks without a change, until a comment shows whether the browser is still there
_MOST_STREAMS = 100
_PAGE = re.compile(r"/(runs|tasks|system)([/?][!-\[\]-~]*)?")  # an address to go on to


def make_page(
    service: Service, workers: Workers, sign_in: SignIn, surroundings: Surroundings
) -> Starlette:
    """Make the ASGI application of the page."""
    page = Page(service, surroundings, Renderer())

    def route(path: str, *, is_slow: bool = False, **views: View) -> Route:
        """Return the route of the views of a path, by method."""
        endpoint = _endpoint(page, workers, sign_in, views, is_slow)
        return Route(path, endpoint, methods=list(views))

    version = "/tasks/{taskId}/versions/{versionId}"
    log = "/runs/{runId}/{attempt}/{stream}"
    app = Starlette(
        routes=[
            Route("/", _home, methods=["GET"]),
            Route("/sign-in", _signing_in(page, workers, sign_in), methods=["GET", "POST"]),
            Route("/sign-out", _signing_out(workers, sign_in), methods=["POST"]),
            Route("/static/{name}", _static, methods=["GET"]),
            Route("/events/runs", _stream(page, workers, sign_in, run_list.mark)),
            Route("/events/runs/{runId}", _stream(page, workers, sign_in, run_page.mark)),
            route("/runs", GET=run_list.show),
            # What reads logs may wait for other storage.
            route("/runs/{runId}", is_slow=True, GET=run_page.show),
            route(log, is_slow=True, GET=run_page.log),
            route(f"{log}/download", is_slow=True, GET=run_page.download),
            route("/runs/{runId}/abort", POST=run_page.abort),
            route("/runs/{runId}/again", POST=launching.again),
            route("/tasks", GET=task_pages.show_all),
            route("/tasks/{taskId}", GET=task_pages.show),
            route(version, GET=launching.show, POST=launching.launch),
            route("/system", GET=system.show),
        ],
        exception_handlers={
            Refused: lambda request, error: _refuse(page, request, error),
            StoreError: lambda request, error: _refuse_by_store(page, request, error),
            HTTPException: lambda request, error: _no_route(page, request, error),
            ClientDisconnect: lambda request, _: _error(page, request, 400, "The form is cut off"),
            Exception: lambda request, _: _error(
                page, request, 500, "Something went wrong; see the log of the service"
            ),
        },
    )
    app.router.redirect_slashes = False
    return app


def _endpoint(
    page: Page, workers: Workers, sign_in: SignIn, views: Mapping[str, View], is_slow: bool
) -> Endpoint:
    def answer(view: View, request: Request, form: dict[str, str]) -> Union[Response, Changing]:
        caller = sign_in.caller(request.cookies.get(sign_in.cookie_name))
        request.scope["caller"] = caller
        query: dict[str, str] = {}
        for name, value in request.query_params.multi_items():
            if value:  # several values of a name are one list, as in the API
                query[name] = f"{query[name]},{value}" if name in query else value
        return view(page, Visit(caller, request.url.path, request.path_params, query, form))

    async def respond(request: Request) -> Response:
        request.scope["operation"] = "page"
        # Starlette adds HEAD to GET.
        is_post = request.method == "POST"
        form = await _form(request) if is_post else {}
        work = workers.change if is_post or is_slow else workers.read
        reply = await work(answer, views["POST" if is_post else "GET"], request, form)
        if isinstance(reply, Changing):
            written = await wrap_future(reply.written.future)
            return _to(reply.location(reply.written.respond(written)))
        return _secured(reply)

    return respond


def _signing_in(page: Page, workers: Workers, sign_in: SignIn) -> Endpoint:
    """Make the endpoint that turns a one-time key, or an access token, into a cookie."""

    async def respond(request: Request) -> Response:
        request.scope["operation"] = "page"
        if request.method == "POST":
            form = await _form(request)
            cookie = await workers.read(sign_in.by_token, form.get("token", "").strip())
            to = form.get("to", "")
            response = _to(to if _PAGE.fullmatch(to) else "/runs")
        else:
            key = request.query_params.get("key")
            # A browser that loads pages ahead, or a program that looks at links, uses up no key.
            ahead = "prefetch" in request.headers.get("sec-purpose", "")
            if not key or ahead or request.method == "HEAD":
                status = 503 if ahead else 200
                return _secured(page.render(None, "sign_in.html", status, message="", to=""))
            cookie = await workers.read(sign_in.by_key, key)
            # Not a redirect: after a click on another site's link it would lack the cookie.
            response = _secured(page.render(None, "signed_in.html"))
        response.set_cookie(
            sign_in.cookie_name,
            cookie,
            max_age=LIFETIME,
            secure=sign_in.is_secure,
            httponly=True,
            samesite="strict",
        )
        return response

    return respond


def _signing_out(workers: Workers, sign_in: SignIn) -> Endpoint:
    async def respond(request: Request) -> Response:
        request.scope["operation"] = "page"
        await _form(request)
        await workers.read(sign_in.sign_out, request.cookies.get(sign_in.cookie_name))
        response = _to("/sign-in")
        response.delete_cookie(
            sign_in.cookie_name, secure=sign_in.is_secure, httponly=True, samesite="strict"
        )
        return response

    return respond


def _stream(
    page: Page, workers: Workers, sign_in: SignIn, look: Callable[[Page, Visit], str]
) -> Endpoint:
    """Make the endpoint that sends an event whenever what a page shows has changed."""
    streams = 0

    def mark(request: Request) -> str:
        caller = sign_in.caller(request.cookies.get(sign_in.cookie_name))
        return look(page, Visit(caller, request.url.path, request.path_params, {}, {}))

    async def events(request: Request) -> AsyncIterator[str]:
        nonlocal streams
        streams += 1
        try:
            yield "retry: 5000\n\n"
            seen, quiet = request.query_params.get("seen"), 0
            while not page.surroundings.is_ending():
                try:
                    found = await workers.read(mark, request)
                except (Refused, StoreError):
                    return  # the browser asks again, and gets the error
                quiet += 1
                if found != seen:
                    seen, quiet = found, 0
                    yield f"data: {found}\n\n"
                elif quiet % _SILENCE == 0:
                    yield ": nothing new\n\n"
                for _ in range(_TICKS):
                    await asyncio.sleep(_TICK)
                    if page.surroundings.is_ending() or await request.is_disconnected():
                        return
        finally:
            streams -= 1

    async def respond(request: Request) -> Response:
        request.scope["operation"] = "pageEvents"
        await workers.read(mark, request)
        if streams >= _MOST_STREAMS:
            raise Refused(503, "Too many pages are open")
        response = StreamingResponse(events(request), media_type="text/event-stream")
        return _secured(response)

    return respond


async def _home(request: Request) -> Response:
    request.scope["operation"] = "page"
    return _to("/runs")


async def _static(request: Request) -> Response:
    request.scope["operation"] = "page"
    found = STATIC.get(request.path_params["name"])
    if found is None:
        raise HTTPException(404)
    response = _secured(Response(found.content, media_type=found.media_type))
    # The address has a digest of the content.
    response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    return response


async def _form(request: Request) -> dict[str, str]:
    """Return the fields of a form, which must come from a page of this service.

    Cookies are sent from pages of other ports of the same host, too.
    """
    origin = request.headers.get("origin")
    if origin is None:
        same = request.headers.get("sec-fetch-site") == "same-origin"
    else:
        same = origin.partition("://")[2] == request.headers.get("host")
    if not same:
        raise Refused(403, "Changes must come from a page of this service")
    body = await read_body(request)
    fields = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
    return dict(fields)


def _to(location: str) -> Response:
    return _secured(RedirectResponse(location, 303))


def _secured(response: Response) -> Response:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def _refuse(page: Page, request: Request, refused: Any) -> Response:
    if refused.status != 401:
        return _error(page, request, refused.status, refused.message)
    url = request.url
    to = f"{url.path}?{url.query}" if url.query else url.path
    if request.method == "POST" or not _PAGE.fullmatch(to):
        to = ""
    response = page.render(None, "sign_in.html", 401, message=refused.message, to=to)
    return _secured(response)


def _refuse_by_store(page: Page, request: Request, error: Any) -> Response:
    return _refuse(page, request, refusal(error))


def _no_route(page: Page, request: Request, error: Any) -> Response:
    messages = {404: "There is no such page", 405: f"{request.method} is not for this page"}
    message = messages.get(error.status_code, str(error.detail))
    response = _error(page, request, error.status_code, message)
    response.headers.update(error.headers or {})
    return response


def _error(page: Page, request: Request, status: int, message: str) -> Response:
    request.scope.setdefault("operation", "page")
    return _secured(page.render(None, "error.html", status, message=message))
