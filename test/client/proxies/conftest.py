"""Ways to a service: directly, through a relay of our own, and through real proxies."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Callable, Optional

import pytest
import urllib3

from ...authority import Authority
from ...real_parts import free_port, real_part, running
from ...server import Listener, read_request, wait_until
from ...wire import reset_when_closed

LOGIN = ("somebody", "pass:w@rd/of proxy")


class Relay(Listener):
    """An HTTP proxy that passes bytes on, and closes or resets as the far end does."""

    def __init__(self, context: Optional[ssl.SSLContext] = None) -> None:
        self.heads: list[bytes] = []
        owner = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                head = read_request(self.request)
                owner.heads.append(head)
                method, target = head.split(b" ", 2)[:2]
                tunnel = method == b"CONNECT"
                address = target if tunnel else target.split(b"/")[2]
                host, _, port = address.decode().rpartition(":")
                with socket.create_connection((host, int(port))) as far:
                    if tunnel:
                        self.request.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    else:
                        far.sendall(head)
                    up = threading.Thread(target=_pipe, args=(self.request, far), daemon=True)
                    up.start()
                    _pipe(far, self.request)
                    up.join(10)

        super().__init__(Handler, context)


def _pipe(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except ConnectionResetError:
        reset_when_closed(target)
    except OSError:
        pass
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)


SQUID = """
http_port 127.0.0.1:{port}
pid_filename none
cache deny all
cache_log stdio:{folder}/cache.log
access_log none
cache_store_log none
shutdown_lifetime 1 second
coredump_dir {folder}
"""
WITH_LOGIN = """
auth_param basic program /usr/lib/squid/basic_ncsa_auth {folder}/passwords
acl known proxy_auth REQUIRED
http_access allow known
"""
TINYPROXY = "Port {port}\nListen 127.0.0.1\nTimeout 60\nMaxClients 100\n{access}\n"


@contextlib.contextmanager
def squid(folder: Path, access: str = "http_access allow all") -> Iterator[str]:
    """Run a squid; it gives up root where it has it, so its folder is open to others."""
    program, port = real_part("squid"), free_port()
    folder.chmod(0o777)
    for parent in list(folder.parents)[:3]:  # Python 3.9 takes no slice of them
        with contextlib.suppress(OSError):
            parent.chmod(parent.stat().st_mode | 0o011)
    if access is WITH_LOGIN:
        user, password = LOGIN
        command = ["openssl", "passwd", "-apr1", password]
        hashed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        (folder / "passwords").write_text(f"{user}:{hashed}")
        (folder / "passwords").chmod(0o644)
    settings = (SQUID + access).format(port=port, folder=folder)
    configuration = folder / "squid.conf"
    configuration.write_text(settings)
    with running([program, "-N", "-f", str(configuration)], port, folder):
        url = f"http://127.0.0.1:{port}"
        if access is WITH_LOGIN:
            wait_until(lambda: _takes_the_login(url))  # until its helpers run, it refuses all
        yield url


def _takes_the_login(url: str) -> bool:
    headers = urllib3.make_headers(proxy_basic_auth=":".join(LOGIN))
    with urllib3.ProxyManager(url, proxy_headers=headers) as pools:
        nowhere = f"http://127.0.0.1:{free_port()}"
        return int(pools.request("GET", nowhere, retries=False).status) != 407


@contextlib.contextmanager
def tinyproxy(folder: Path, access: str = "") -> Iterator[str]:
    program, port = real_part("tinyproxy"), free_port()
    configuration = folder / "tinyproxy.conf"
    configuration.write_text(TINYPROXY.format(port=port, access=access))
    with running([program, "-d", "-c", str(configuration)], port, folder):
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def relay(context: Optional[ssl.SSLContext] = None) -> Iterator[str]:
    with Relay(context) as relay:
        yield relay.url


Start = Callable[[str], Optional[str]]
WAYS = ("direct", "relay", "relay over TLS", "squid", "tinyproxy")


@pytest.fixture(scope="session")
def proxies(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Start]:
    """Return a function that gives the URL of a proxy by its name; each is started once."""
    folder = tmp_path_factory.mktemp
    makers = {
        "relay": relay,
        "relay over TLS": lambda: relay(authority.server("127.0.0.1")),
        "squid": lambda: squid(folder("squid")),
        "squid that forbids": lambda: squid(folder("squid"), "http_access deny all"),
        "squid with a login": lambda: squid(folder("squid"), WITH_LOGIN),
        "tinyproxy": lambda: tinyproxy(folder("tinyproxy")),
        "tinyproxy that forbids": lambda: tinyproxy(folder("tinyproxy"), "Deny 127.0.0.1"),
        "tinyproxy with a login": lambda: tinyproxy(
            folder("tinyproxy"), "BasicAuth somebody plain"
        ),
    }
    started: dict[str, Optional[str]] = {"direct": None}
    with ExitStack() as stack:

        def start(name: str) -> Optional[str]:
            if name not in started:
                started[name] = stack.enter_context(makers[name]())
            return started[name]

        yield start
