"""``LocalTes``: the whole service in this process, with its HTTP server in a thread."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import tempfile
import threading
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Optional, Union

import uvicorn

from ..engine.loading import load
from ..engine.scheduler import Scheduler
from ..node.containers import check_engine
from ..node.folder_lock import FolderLock
from ..node.job import DAY, Settings
from ..store.identity import Identity
from ..store.store import Store
from .app import make_app
from .connections import Connection, most_connections
from .operations import Service

if TYPE_CHECKING:
    from libica.openapi.libtes import Configuration

LOCALHOST = "127.0.0.1"
_BACKLOG = 2048  # connections waiting to be accepted
_ACCEPTED_AT_ONCE = 16  # before one too many can be closed; asyncio has one number for both
_KEEP_ALIVE = 75  # seconds; the longer, the rarer a request on a connection being closed
_GRACE = 5  # seconds for pending requests to end when the service does


class LocalTes:
    """A TES v1 service on this machine, ready when the constructor returns, until `close`.

    It runs commands as you. Therefore it listens on this machine alone and requires a token::

        with LocalTes() as tes:
            client = libtes.ApiClient(tes.configuration())

    Args:
        gds: Folder that ``gds://`` URLs refer to; each volume is a folder in it. Default: ``gds``
            in the data folder.
        data: Folder to keep tasks, versions and runs in. Default: a temporary folder, removed by
            `close`.
        token: Access token that calls must carry. Default: random.
        port: Port to listen on. Default: a free one.
        workers: Maximum number of concurrent runs. Default: as many as fit this machine.
        host: Address to listen on.
        expose_to_network: Allow a ``host`` that other machines can reach.
        run_in: `host` to run commands of this machine, whatever the image; `docker`, `podman` or
            `apptainer` to run images.
        time_limit: Seconds after which an attempt ends as `TimedOut`; `None` for no limit.
            Default: a day.
        engine: Where attempts run: `here`, or the name of an engine that is installed.
        engine_options: Options of the engine.
        retry_delay: Seconds before the second attempt of a run that failed; before each further
            one, four times as many as before the last, up to five minutes. Default: 2 with
            ``data``, else 0.

    Raises:
        ValueError: The token, port, time limit, number of workers or retry delay is invalid, other
            users can write to the data folder, ``run_in`` is unknown or not on the ``PATH``, there
            is no such engine or option, or other machines can reach the host and
            ``expose_to_network`` is not set.
        RuntimeError: Another service uses the data folder.
        OSError: The address or a folder cannot be used.

    Attributes:
        url: Base URL of the service.
        token: Access token that calls must carry.
        home: The data folder, or the temporary folder.
    """

    def __init__(
        self,
        gds: Union[str, Path, None] = None,
        data: Union[str, Path, None] = None,
        token: Optional[str] = None,
        port: int = 0,
        workers: Optional[int] = None,
        *,
        host: str = LOCALHOST,
        expose_to_network: bool = False,
        run_in: str = "host",
        time_limit: Optional[float] = DAY,
        engine: str = "here",
        engine_options: Optional[Mapping[str, object]] = None,
        retry_delay: Optional[float] = None,
    ) -> None:
        _check_host(host, expose_to_network)
        if retry_delay is None:
            retry_delay = 0.0 if data is None else 2.0
        if not retry_delay >= 0:
            raise ValueError(f"retry_delay must be 0 seconds or more, not {retry_delay}")
        if not 0 <= port < 1 << 16:
            raise ValueError(f"port must be 0 to 65535, not {port}")
        if workers is not None and workers < 1:
            raise ValueError(f"workers must be 1 or more, not {workers}")
        if time_limit is not None and not time_limit > 0:
            raise ValueError(f"time_limit must be more than 0 seconds, not {time_limit}")
        self.token: str = secrets.token_urlsafe(32) if token is None else _check_token(token)
        with contextlib.ExitStack() as parts:
            listening = parts.enter_context(_listen(host, port))
            self.url: str = _url(listening)
            self.home: Path = _home(parts, data)
            home = self.home
            store = Store(None if data is None else home / "tes.sqlite")
            parts.callback(store.close)
            store.admit(self.token, Identity.named("main"), "main").result()
            self._gds: Path = home / "gds" if gds is None else Path(gds)
            self._gds.mkdir(parents=True, exist_ok=True)
            if gds is None and data is None:
                (self._gds / ".s3").mkdir()  # what keeps nothing, such as a test, stays off S3
            check_engine(run_in)
            settings = Settings(str(self._gds.absolute()), run_in, time_limit)
            scheduler = Scheduler(
                store.runs,
                load(engine, engine_options or {}),
                home / "attempts",
                settings,
                workers=workers,
                retry_delay=retry_delay,
            )
            parts.callback(scheduler.stop)
            app = make_app(Service(store, scheduler, self.url))
            config = uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                lifespan="off",
                http=type("Connection", (Connection,), {"most": most_connections()}),
                backlog=_ACCEPTED_AT_ONCE,
                ws="none",
                timeout_graceful_shutdown=_GRACE,
                timeout_keep_alive=_KEEP_ALIVE,
            )
            server = _Server(config)
            thread = threading.Thread(
                target=server.run, args=([listening],), name="libica-local", daemon=True
            )
            scheduler.start()
            thread.start()
            parts.callback(_end, server, thread)
            self._store = store
            self._scheduler = scheduler
            self._parts: contextlib.ExitStack = parts.pop_all()

    @property
    def gds(self) -> Path:
        """The folder that ``gds://`` URLs refer to."""
        return self._gds

    def configuration(self) -> Configuration:
        """Return a client configuration for this service."""
        from libica.openapi.libtes import Configuration

        return Configuration(
            host=self.url,
            api_key={"Authorization": self.token},
            api_key_prefix={"Authorization": "Bearer"},
        )

    def token_of(self, tenant: str, workgroup: str = "main") -> str:
        """Return a new access token for another tenant or workgroup, created by this call.

        Any names will do; a further call with the same names replaces the token. The service's
        own token belongs to tenant `main` and workgroup `main`.
        """
        token = secrets.token_urlsafe(32)
        identity = Identity.named(tenant, workgroup, user="other")
        self._store.admit(token, identity, f"{tenant}/{workgroup}").result()
        return token

    def close(self) -> None:
        """Stop the service and the running runs."""
        self._parts.close()

    def __enter__(self) -> LocalTes:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.close()


class _Server(uvicorn.Server):
    async def startup(self, sockets: Optional[list[socket.socket]] = None) -> None:
        await super().startup(sockets=sockets)
        for each in sockets or ():
            each.listen(_BACKLOG)


def _check_host(host: str, exposed: bool) -> None:
    try:
        local = ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost"
    if not local and not exposed:
        raise ValueError(
            f"other machines can reach host {host}, and anyone with the token can run commands "
            "as you: set expose_to_network (--expose-to-network) to allow that"
        )


def _check_token(token: str) -> str:
    if not token.isascii() or not token.isprintable() or token.strip() != token or not token:
        raise ValueError(
            "token must be printable ASCII, not empty, without leading or trailing blanks"
        )
    return token


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol given, asyncio disables Nagle's algorithm, which costs 40 ms a request.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # on Windows this would let two services share a port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(_BACKLOG)
    except BaseException:
        listening.close()
        raise
    return listening


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _home(parts: contextlib.ExitStack, data: Union[str, Path, None]) -> Path:
    """Return the data folder, locked, or a temporary folder that is removed on close."""
    if data is None:
        return Path(parts.enter_context(tempfile.TemporaryDirectory(prefix="libica-local-")))
    home = Path(data).expanduser()
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.name == "posix":
        if home.stat().st_mode & 0o022:
            raise ValueError(
                f"other users can write to {home}, where the keys that sign tokens are kept: "
                f"use another folder, or run chmod go-w {home}"
            )
        home.chmod(0o700)
    parts.callback(FolderLock(home).close)
    return home


def _end(server: uvicorn.Server, thread: threading.Thread) -> None:
    server.should_exit = True
    thread.join()
