"""``LocalTes``: the whole service in this process, with its HTTP server in a thread."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import secrets
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Optional, Union

import uvicorn

from ..engine.loading import load
from ..engine.scheduler import Scheduler
from ..node.containers import check_engine
from ..node.job import DAY, Settings
from ..node.places import Places, split_scheme
from ..page.beside import Beside, Surroundings
from ..page.sign_in import SignIn
from ..store.errors import StoreError
from ..store.folder import DATABASE, held
from ..store.identity import OWNER, Identity
from ..store.repair import repair as repair_database
from ..store.store import Store
from . import tls
from .app import Workers, make_app
from .connections import Connection, Server
from .metrics import Metrics, Source
from .observing import Observed, access_log
from .operations import Service

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from libica.openapi.libtes import Configuration

_logger = logging.getLogger(__name__)

LOCALHOST = "127.0.0.1"
_BACKLOG = 2048  # connections waiting to be accepted
_KEEP_ALIVE = 75  # seconds; the longer, the rarer a request on a connection being closed
_CENTURY = 36525  # days
_GRACE = 5  # seconds for pending requests to end when the service does


class LocalTes:
    """A TES v1 service on this machine, ready when the constructor returns, until `close`.

    It runs commands as you. Therefore it listens on this machine alone and requires a token::

        with LocalTes() as tes:
            client = libtes.ApiClient(tes.configuration())

    Args:
        gds: Folder that ``gds://`` URLs refer to, each volume a folder in it; or a URL that fsspec
            knows, such as of S3. Default: ``gds`` in the data folder.
        data: Folder to keep tasks, versions and runs in. Default: a temporary folder, removed by
            `close`.
        token: Access token that calls must carry. Default: random.
        port: Port to listen on. Default: a free one.
        workers: Maximum number of concurrent runs. Default: as many as fit this machine.
        host: Address to listen on.
        expose_to_network: Allow a ``host`` that other machines can reach; it needs TLS.
        tls_cert: File with the certificate for TLS, and those of its authorities, in PEM.
        tls_key: File with the key of the certificate, in PEM, without a password.
        no_tls: Allow a ``host`` that other machines can reach without TLS: they can read tokens.
        run_in: `host` to run commands of this machine, whatever the image; `docker`, `podman` or
            `apptainer` to run images.
        time_limit: Seconds after which an attempt ends as `TimedOut`; `None` for no limit.
            Default: a day.
        keep_failed: Keep the files of attempts that end as `Failed` or `TimedOut`; the run's
            `statusDetails` says where.
        keep_runs: Days after which runs that have ended are forgotten. Default: never.
        access_log: File to append a line to for each request; `-` for standard error.
        engine: Where attempts run: `here`, or the name of an engine that is installed.
        engine_options: Options of the engine.
        retry_delay: Seconds before the second attempt of a run that failed; before each further
            one, four times as many as before the last, up to five minutes. Default: 2 with
            ``data``, else 0.
        page: Serve the page for browsers. It is loaded when it is first asked for.

    Raises:
        ValueError: An option is invalid, ``run_in`` is not on the ``PATH``, other users can write
            to the data folder, or other machines can reach the host and that is not allowed.
        RuntimeError: Another service uses the data folder.
        OSError: The address, a file or a folder cannot be used.

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
        tls_cert: Union[str, Path, None] = None,
        tls_key: Union[str, Path, None] = None,
        no_tls: bool = False,
        run_in: str = "host",
        time_limit: Optional[float] = DAY,
        keep_failed: bool = False,
        keep_runs: Optional[float] = None,
        access_log: Union[str, Path, None] = None,
        engine: str = "here",
        engine_options: Optional[Mapping[str, object]] = None,
        retry_delay: Optional[float] = None,
        page: bool = True,
    ) -> None:
        if retry_delay is None:
            retry_delay = 0.0 if data is None else 2.0
        if not 0 <= retry_delay < math.inf:
            raise ValueError(f"retry_delay must be 0 seconds or more, not {retry_delay}")
        if not 0 <= port < 1 << 16:
            raise ValueError(f"port must be 0 to 65535, not {port}")
        if workers is not None and workers < 1:
            raise ValueError(f"workers must be 1 or more, not {workers}")
        _check_more_than_0("time_limit", time_limit, "seconds", math.inf)
        _check_more_than_0("keep_runs", keep_runs, "days", _CENTURY)
        loaded = load(engine, engine_options or {})
        check_engine(run_in, is_here=loaded.embedded)
        if data is None and not loaded.embedded:
            raise ValueError(
                f"engine {engine} needs a data folder (data, --data), on storage that its nodes see"
            )
        self.token: str = secrets.token_urlsafe(32) if token is None else _check_token(token)
        self._tls = tls.load(tls_cert, tls_key)
        _check_host(host, expose_to_network, self._tls is not None or no_tls)
        where = _check_gds(gds)
        with contextlib.ExitStack() as parts:
            log = None if access_log is None else parts.enter_context(_access_log(str(access_log)))
            listening = parts.enter_context(_listen(host, port))
            self.url: str = _url(listening, host, "http" if self._tls is None else "https")
            self.home: Path = _home(parts, data)
            home = self.home
            store = Store(None if data is None else home / DATABASE)
            parts.callback(store.close)
            store.admit(self.token, OWNER, "main").result()
            self._gds: Union[str, Path] = where or _own_gds(home, is_kept=data is not None)
            if isinstance(self._gds, Path):
                self._gds.mkdir(parents=True, exist_ok=True)
            settings = Settings(
                str(self._gds),
                run_in,
                None if time_limit == math.inf else time_limit,
                keep_failed=keep_failed,
                confined=not loaded.embedded,
            )
            scheduler = Scheduler(
                store.runs,
                loaded,
                home / "attempts",
                settings,
                workers=workers,
                retry_delay=retry_delay,
            )
            parts.callback(scheduler.stop)
            threads = Workers()
            parts.callback(threads.close)
            metrics = Metrics(
                *_sources(store, scheduler),
                Source("tes_connections", "Open connections", "", lambda: {"": server.open()}),
            )
            if keep_runs is not None:
                parts.callback(_forgetting(store, keep_runs))
            service = Service(store, scheduler, self.url, settings.gds)
            app: ASGIApp = make_app(service, metrics, threads)
            self._sign_in: Optional[SignIn] = None
            if page:
                self._sign_in = SignIn(store, self.url, "main")
                about = Surroundings(
                    engine,
                    run_in,
                    loaded.capacity,
                    home,
                    is_kept=data is not None,
                    is_ending=lambda: server.should_exit,
                )
                app = Beside(app, service, threads, self._sign_in, about)
            config = uvicorn.Config(
                Observed(app, metrics, log),
                log_config=None,
                access_log=False,
                lifespan="off",
                proxy_headers=False,
                http=Connection,
                ws="none",
                timeout_graceful_shutdown=_GRACE,
                timeout_keep_alive=_KEEP_ALIVE,
            )
            server = Server(config, listening, self._tls and self._tls.context)
            thread = threading.Thread(target=server.run, name="libica-local", daemon=True)
            scheduler.start()
            thread.start()
            parts.callback(_end, server, thread)
            self._store, self._scheduler = store, scheduler
            self._parts: contextlib.ExitStack = parts.pop_all()

    @property
    def gds(self) -> Path:
        """The folder that ``gds://`` URLs refer to; an error if they refer to another URL."""
        if not isinstance(self._gds, Path):
            raise ValueError(f"gds:// URLs refer to {self._gds}, not to a folder of this machine")
        return self._gds

    @property
    def authority(self) -> Optional[Path]:
        """The certificate file that clients must trust; ``None`` without TLS or if they do.

        They do if the certificate is not self-signed: then its authority is one that they know.
        """
        return self._tls and self._tls.authority

    def page_address(self) -> str:
        """Return the address of the page with a new key, which lets one browser in, once.

        Raises:
            ValueError: The page is switched off.
        """
        if self._sign_in is None:
            raise ValueError("the page is switched off (page=False, --no-page)")
        return self._sign_in.address()

    def configuration(self) -> Configuration:
        """Return a client configuration for this service."""
        from libica.openapi.libtes import Configuration

        configuration = Configuration(
            host=self.url,
            api_key={"Authorization": self.token},
            api_key_prefix={"Authorization": "Bearer"},
        )
        if self.authority is not None:
            configuration.ssl_ca_cert = str(self.authority)
        return configuration

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


def repair(data: Union[str, Path]) -> str:
    """Salvage what can be read of the damaged database in a data folder into a new one.

    Returns:
        What was saved, and what was lost.

    Raises:
        RuntimeError: A service uses the data folder.
        ValueError: There is no database, or nothing of it can be read.
        OSError: A file cannot be read or written.
    """
    database = Path(data).expanduser() / DATABASE
    if not database.is_file():
        raise ValueError(f"there is no {database} to repair")
    with contextlib.ExitStack() as parts:
        _home(parts, data)
        return repair_database(database)


def _forgetting(store: Store, days: float) -> Callable[[], object]:
    """Forget old runs now and once a day; return a function that ends that."""
    stop = threading.Event()

    def work() -> None:
        while True:
            try:
                store.prune(days).result()
            except (StoreError, OSError) as error:
                _logger.warning("cannot forget old runs: %s; trying again tomorrow", error)
            if stop.wait(DAY):
                return

    thread = threading.Thread(target=work, name="libica-forget", daemon=True)
    thread.start()

    def end() -> None:
        stop.set()
        thread.join(_GRACE)

    return end


def _sources(store: Store, scheduler: Scheduler) -> Iterator[Source]:
    yield Source("tes_runs", "Runs, by status", "status", store.runs_by_status)
    started = "tes_attempts_started_total", "Attempts that started", ""
    yield Source(*started, lambda: {"": scheduler.started})
    ended = "tes_attempts_ended_total", "Attempts that ended, by status", "status"
    yield Source(*ended, lambda: dict(scheduler.ended))
    waiting = "tes_changes_waiting", "Changes that wait to be written to disk", ""
    yield Source(*waiting, lambda: {"": store.changes_waiting()})


def _check_more_than_0(name: str, value: Optional[float], unit: str, most: float) -> None:
    if value is not None and not 0 < value <= most:
        limit = f" and at most {most:g}" if most < math.inf else ""
        raise ValueError(f"{name} must be more than 0 {unit}{limit}, not {value}")


def _check_host(host: str, exposed: bool, safe: bool) -> None:
    try:
        local = ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost"
    if not local and not exposed:
        raise ValueError(
            f"other machines can reach host {host}, and anyone with the token can run commands "
            "as you: set expose_to_network (--expose-to-network) to allow that"
        )
    if not local and not safe:
        raise ValueError(
            f"other machines can reach host {host}, and without TLS tokens travel readable: give "
            "tls_cert and tls_key (--tls-cert, --tls-key), or set no_tls (--no-tls) to allow that"
        )


def _check_token(token: str) -> str:
    if not token.isascii() or not token.isprintable() or token.strip() != token or not token:
        raise ValueError(
            "token must be printable ASCII, not empty, without leading or trailing blanks"
        )
    return token


def _check_gds(gds: Union[str, Path, None]) -> Union[str, Path, None]:
    if gds is None:
        return None
    if split_scheme(str(gds))[0]:
        Places(gds)
        return str(gds)
    folder = Path(gds).expanduser().absolute()
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"gds must be a folder or a URL, and {folder} is neither")
    return folder


def _own_gds(home: Path, *, is_kept: bool) -> Path:
    folder = home / "gds"
    if not is_kept:  # such as in a test, which stays off S3
        (folder / ".s3").mkdir(parents=True)
    return folder


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


def _url(listening: socket.socket, host: str, scheme: str) -> str:
    address, port = listening.getsockname()[:2]
    try:
        # All addresses of this machine are none that a client can use.
        name = socket.gethostname() if ip_address(host).is_unspecified else address
    except ValueError:
        name = host  # the certificate has it
    return f"{scheme}://[{name}]:{port}" if ":" in name else f"{scheme}://{name}:{port}"


@contextlib.contextmanager
def _access_log(file: str) -> Iterator[logging.Logger]:
    log = access_log(file)
    yield log
    for handler in log.handlers:
        with contextlib.suppress(OSError):  # as of a full disk
            handler.close()


def _home(parts: contextlib.ExitStack, data: Union[str, Path, None]) -> Path:
    """Return the data folder, locked, or a temporary folder that is removed on close."""
    if data is None:
        return Path(parts.enter_context(tempfile.TemporaryDirectory(prefix="libica-local-")))
    return parts.enter_context(held(data))


def _end(server: Server, thread: threading.Thread) -> None:
    server.should_exit = True
    thread.join()
