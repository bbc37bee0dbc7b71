"""What a view gets, and what it may return beside a response."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Optional

from starlette.responses import HTMLResponse, Response

from ..service.access import Caller
from ..service.operations import Call, Service, Written
from ..store.identity import Identity
from .beside import Surroundings
from .rendering import Renderer


@dataclass(frozen=True)
class Visit:
    """One request of somebody who is signed in.

    Attributes:
        caller: Who asks.
        path: The path of the page.
        ids: The ids in the path.
        query: The query; a name that was given several times has its values joined by commas.
        form: The fields of a form that was sent.
    """

    caller: Caller
    path: str
    ids: Mapping[str, Any]
    query: Mapping[str, str]
    form: Mapping[str, str]

    @property
    def by(self) -> Identity:
        """The user in whose name the caller acts."""
        return self.caller.identity

    def call(self, body: Optional[dict[str, Any]] = None) -> Call:
        """Return the call of an operation of the API."""
        return Call(self.caller, self.ids, {}, body or {})


@dataclass(frozen=True)
class Changing:
    """A change, and the page to show when it is on disk.

    Attributes:
        written: The response of the operation.
        location: Makes the address of the page from the JSON of that response.
    """

    written: Written
    location: Callable[[bytes], str]


@dataclass(frozen=True)
class Page:
    """What views work on.

    Attributes:
        service: What the operations work on.
        surroundings: What the page says of the service.
        renderer: Makes HTML.
    """

    service: Service
    surroundings: Surroundings
    renderer: Renderer

    def render(
        self, visit: Optional[Visit], template: str, status: int = 200, **values: Any
    ) -> Response:
        """Return a page; its forms have a mark, by which they launch once."""
        once = secrets.token_urlsafe(12)
        return HTMLResponse(self.renderer.html(template, visit=visit, once=once, **values), status)
