"""Ways to a service: directly, through a relay of our own, and through real proxies."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Callable, Optional

import pytest

from test.authority import Authority
from test.real_parts import free_port, real_part, running
from test.server import Listener, read_request

LOGIN = ("somebody", "pass:w@rd/of proxy")


@pytest.fixture(scope="package")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


class Relay(Listener):
    """An HTTP proxy that passes bytes on, and closes or resets as the far end does."""

    def __init__(self, context: Optional[ssl.SSLContext] = None) -> None:
        import socketserver

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                head = read_request(self.request)
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
        reset(target)
    except OSError:
        pass
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)


def reset(connection: socket.socket) -> None:
    """Let a connection end with a reset when it is closed."""
    linger = b"\1\0\0\0\0\0\0\0"  # on, for no time
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


SQUID = """
http_port 127.0.0.1:{port}
pid_filename none
cache deny all
cache_log stdio:{folder}/cache.log
access_log none
cache_store_log none
shutdown_lifetime 1 second
coredump_dir {folder}
{access}
"""
OPEN = "http_access allow all"
CLOSED = "http_access deny all"
WITH_LOGIN = """
auth_param basic program {helper} {folder}/passwords
acl known proxy_auth REQUIRED
http_access allow known
http_access deny all
"""

TINYPROXY = """
Port {port}
Listen 127.0.0.1
Timeout 60
MaxClients 100
{access}
"""


@contextlib.contextmanager
def squid(folder: Path, access: str = OPEN) -> Iterator[str]:
    """Run a squid; it gives up root where it has it, so its folder is open to others."""
    program, port = real_part("squid"), free_port()
    folder.chmod(0o777)
    for parent in list(folder.parents)[:3]:  # Python 3.9 takes no slice of them
        with contextlib.suppress(OSError):
            parent.chmod(parent.stat().st_mode | 0o011)
    if access is WITH_LOGIN:
        user, password = LOGIN
        hashed = subprocess.run(
            ["openssl", "passwd", "-apr1", password], capture_output=True, text=True, check=True
        )
        (folder / "passwords").write_text(f"{user}:{hashed.stdout}")
        (folder / "passwords").chmod(0o644)
    access = access.format(folder=folder, helper="/usr/lib/squid/basic_ncsa_auth")
    configuration = folder / "squid.conf"
    configuration.write_text(SQUID.format(port=port, folder=folder, access=access))
    with running([program, "-N", "-f", str(configuration)], port, folder):
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def tinyproxy(folder: Path, access: str = "") -> Iterator[str]:
    program, port = real_part("tinyproxy"), free_port()
    configuration = folder / "tinyproxy.conf"
    configuration.write_text(TINYPROXY.format(port=port, access=access))
    with running([program, "-d", "-c", str(configuration)], port, folder):
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def relay(context: Optional[ssl.SSLContext] = None) -> Iterator[str]:
    with Relay(context) as listening:
        yield listening.url


@pytest.fixture(scope="session")
def ways(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[str, Authority], Optional[str]]]:
    """Return the proxy of a way by its name; each is started once and serves all tests."""
    started: dict[str, Optional[str]] = {"direct": None}
    with ExitStack() as stack:

        def start(name: str, authority: Authority) -> Optional[str]:
            if name not in started:
                folder = tmp_path_factory.mktemp(name.replace(" ", "-"))
                started[name] = stack.enter_context(
                    {
                        "relay": lambda: relay(),
                        "relay over TLS": lambda: relay(authority.server("127.0.0.1")),
                        "squid": lambda: squid(folder),
                        "tinyproxy": lambda: tinyproxy(folder),
                    }[name]()
                )
            return started[name]

        yield start


WAYS = ("direct", "relay", "relay over TLS", "squid", "tinyproxy")
