"""Command line: ``python -m libica.local serve``."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

DEFAULT_PORT = 8765


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Serve until SIGINT or SIGTERM; return the exit status."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    from . import LocalTes

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        tes = LocalTes(
            gds=options.gds,
            data=options.data,
            token=_token(options),
            port=options.port,
            workers=options.workers,
            host=options.host,
            expose_to_network=options.expose_to_network,
            run_in=options.run_in,
            time_limit=options.time_limit,
        )
    except (ValueError, RuntimeError, OSError) as error:
        print(f"libica.local: {error}", file=sys.stderr)
        return 1
    with tes:
        print(f"export ICA_BASE_URL={tes.url}")
        print(f"export ICA_ACCESS_TOKEN={tes.token}", flush=True)
        # With a timeout, since Windows handles signals only between waits.
        while not stop.wait(1):
            pass
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m libica.local")
    commands = parser.add_subparsers(title="commands", required=True)
    serve = commands.add_parser(
        "serve",
        help="start a TES v1 service on this machine",
        description="Start a TES v1 service on this machine. It runs commands as you, on behalf of "
        "anyone who has its token. It prints two lines to paste into the shell that will call it.",
    )
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    serve.add_argument(
        "--port",
        type=int,
        default=DEFAULT_PORT,
        help="port to listen on (%(default)s); 0 picks a free one",
    )
    serve.add_argument(
        "--data", help="folder to keep all data in; default: none, all data is lost on exit"
    )
    serve.add_argument(
        "--gds", help="folder that gds:// URLs refer to; default: gds in the data folder"
    )
    tokens = serve.add_mutually_exclusive_group()
    tokens.add_argument(
        "--token",
        help="access token that calls must carry; other users of this machine can see it here. "
        "Default: the environment variable LIBICA_LOCAL_TOKEN, or a random one",
    )
    tokens.add_argument("--token-file", help="file that holds the access token")
    serve.add_argument(
        "--workers", type=int, help="maximum number of concurrent runs; default: as many as fit"
    )
    serve.add_argument(
        "--expose-to-network",
        action="store_true",
        help="allow a --host that other machines can reach",
    )
    serve.add_argument(
        "--run-in",
        default="host",
        choices=["host", "docker", "podman", "apptainer"],
        help="run the commands of this machine (%(default)s), or the images, by one of these",
    )
    serve.add_argument(
        "--time-limit",
        type=float,
        default=24 * 60 * 60.0,
        metavar="SECONDS",
        help="seconds after which an attempt ends as TimedOut; default: a day",
    )
    return parser


def _token(options: argparse.Namespace) -> Optional[str]:
    if options.token_file is not None:
        return Path(options.token_file).read_text(encoding="utf-8").strip()
    token: Optional[str] = options.token
    return os.environ.get("LIBICA_LOCAL_TOKEN") if token is None else token


if __name__ == "__main__":
    sys.exit(main())
