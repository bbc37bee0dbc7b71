"""The page beside the API: one ASGI application that passes each request to its part.

The page is loaded when it is first asked for, so that it costs nothing where nobody looks at it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Optional

from starlette.responses import PlainTextResponse

from ..service.app import Workers
from ..service.operations import Service
from .sign_in import SignIn

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

# The first parts of the page's paths; all others are of the API.
PARTS = frozenset(["", "runs", "tasks", "system", "events", "static", "sign-in", "sign-out"])
_NO_JINJA = "The page needs Jinja2: pip install 'libica-libtes[local]'\n"


@dataclass(frozen=True)
class Surroundings:
    """What the page says of the service, apart from what is in the store.

    Attributes:
        engine: Name of the engine.
        run_in: How commands run, such as `host` or `podman`.
        capacity: Processors, memory in gigabytes and attempts that all runs together may use.
        home: The data folder, or the temporary folder.
        is_kept: Whether the data outlives the service.
        is_ending: Tells whether the service ends, so that open streams must.
    """

    engine: str
    run_in: str
    capacity: tuple[float, float, float]
    home: Path
    is_kept: bool
    is_ending: Callable[[], bool]


class Beside:
    """The API with the page beside it.

    Args:
        api: The application of the API.
        service: What the operations work on.
        workers: Threads beside the event loop.
        sign_in: Who may see the page.
        surroundings: What the page says of the service.
    """

    def __init__(
        self,
        api: ASGIApp,
        service: Service,
        workers: Workers,
        sign_in: SignIn,
        surroundings: Surroundings,
    ) -> None:
        self._api = api
        self._service = service
        self._workers = workers
        self._sign_in = sign_in
        self._surroundings = surroundings
        self._loading: Optional[asyncio.Task[ASGIApp]] = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request to the API or the page."""
        if scope["path"].lstrip("/").partition("/")[0] not in PARTS:
            await self._api(scope, receive, send)
            return
        if self._loading is None:
            self._loading = asyncio.ensure_future(self._workers.read(self._load))
        page = await asyncio.shield(self._loading)
        await page(scope, receive, send)

    def _load(self) -> ASGIApp:
        try:
            from .app import make_page
        except ModuleNotFoundError as error:
            if error.name != "jinja2":
                raise
            return PlainTextResponse(_NO_JINJA, 501)
        return make_page(self._service, self._workers, self._sign_in, self._surroundings)
