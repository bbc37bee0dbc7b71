"""Command line: ``python -m libica.local serve``."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Optional

DEFAULT_PORT = 8765


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Serve until the process is told to end; returns the exit status."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    from . import LocalTes

    told = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: told.set())
    try:
        tes = LocalTes(
            gds=options.gds,
            data=options.data,
            token=options.token,
            port=options.port,
            workers=options.workers,
            host=options.host,
            expose_to_network=options.expose_to_network,
        )
    except (ValueError, RuntimeError, OSError) as error:
        print(f"libica.local: {error}", file=sys.stderr)
        return 1
    with tes:
        print(f"export ICA_BASE_URL={tes.url}")
        print(f"export ICA_ACCESS_TOKEN={tes.token}", flush=True)
        # With a time-out, since Windows looks at signals only between waits.
        while not told.wait(1):
            pass
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m libica.local")
    commands = parser.add_subparsers(title="commands", required=True)
    serve = commands.add_parser(
        "serve",
        help="start a TES v1 service on this machine",
        description="Start a TES v1 service on this machine. It runs commands as you, for whoever "
        "has its token. It prints two lines to paste into the shell that is to use it.",
    )
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    serve.add_argument(
        "--port",
        type=int,
        default=DEFAULT_PORT,
        help="port to listen on (%(default)s); 0: a free one",
    )
    serve.add_argument(
        "--data", help="folder for all data; without it, everything is lost when the service ends"
    )
    serve.add_argument("--gds", help="folder that stands for gds://")
    serve.add_argument("--token", help="token to call with; without it one is made at random")
    serve.add_argument("--workers", type=int, help="most runs under way at once")
    serve.add_argument(
        "--expose-to-network",
        action="store_true",
        help="confirm that --host may be an address that other machines reach",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
