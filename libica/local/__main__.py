"""Command line: ``python -m libica.local serve``."""

from __future__ import annotations

import argparse
import errno
import logging
import os
import shlex
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn, Optional

from .node.containers import ENGINES
from .node.job import DAY
from .node.termination import on_termination

DEFAULT_PORT = 8765


def main(arguments: Optional[Sequence[str]] = None, program: str = "python -m libica.local") -> int:
    """Serve until SIGINT or SIGTERM; return the exit status. The help names the program."""
    options = vars(_parser(program).parse_args(arguments))
    _log_to_stderr()
    from . import LocalTes

    stop = threading.Event()
    on_termination(stop.set)
    try:
        options["engine_options"] = _pairs(options["engine_options"])
        options["token"] = _token(options["token"], options.pop("token_file"))
        if options.pop("repair"):
            print(f"libica.local: {_repaired(options['data'])}", file=sys.stderr)
        tes = LocalTes(**options)
    except (ValueError, RuntimeError, OSError) as error:
        taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        hint = f": give another --port than {options['port']}, or 0 for a free one" if taken else ""
        print(f"libica.local: {error}{hint}", file=sys.stderr)
        return 1
    with tes:
        if tes.authority is not None:
            print(f"libica.local: clients must trust {tes.authority}", file=sys.stderr)
        if options["page"]:
            print(f"libica.local: to look at it, open {tes.page_address()}", file=sys.stderr)
        print(f"export ICA_BASE_URL={tes.url}")
        print(f"export ICA_ACCESS_TOKEN={shlex.quote(tes.token)}", flush=True)
        # With a timeout, since Windows handles signals only between waits.
        while not stop.wait(1):
            pass
    return 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"libica.local: {message}\n")  # without the usage, which hides it


def _parser(program: str = "python -m libica.local") -> argparse.ArgumentParser:
    """Make the parser; the options of `serve` are named as the arguments of ``LocalTes``."""
    parser = _Parser(prog=program)
    commands = parser.add_subparsers(title="commands", required=True)
    serve = commands.add_parser(
        "serve",
        help="start a TES v1 service on this machine",
        description="Start a TES v1 service on this machine. It runs commands as you, on behalf of "
        "anyone who has its token. It prints two lines to paste into the shell that will call it.",
    )
    places = serve.add_argument_group("data")
    places.add_argument(
        "--data",
        metavar="DIR",
        help="folder to keep tasks, versions and runs in, for one service at a time; default: "
        "none, and all data is lost on exit",
    )
    places.add_argument(
        "--gds",
        metavar="DIR_OR_URL",
        help="what gds:// URLs refer to: gds://volume/path is DIR/volume/path, or in storage that "
        "fsspec knows, such as S3, URL/volume/path; default: gds in the data folder, or a "
        "temporary folder",
    )
    places.add_argument(
        "--repair",
        action="store_true",
        help="first salvage what can be read of a damaged database in --data into a new one",
    )
    places.add_argument(
        "--keep-runs",
        type=float,
        metavar="DAYS",
        help="forget runs so many days after they ended; default: keep them for ever",
    )
    runs = serve.add_argument_group("runs")
    runs.add_argument(
        "--run-in",
        default="host",
        choices=["host", *ENGINES],
        metavar="HOW",
        help="what runs are made of: host for the commands of this machine; docker, podman or "
        "apptainer for the images; default: %(default)s",
    )
    runs.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="maximum number of concurrent runs; default: as many as fit this machine, or "
        "max_submitted of an engine of a cluster",
    )
    runs.add_argument(
        "--time-limit",
        type=float,
        default=DAY,
        metavar="SECONDS",
        help="seconds after which an attempt ends as TimedOut, or inf; default: 86400, a day",
    )
    runs.add_argument(
        "--keep-failed",
        action="store_true",
        help="keep the files of attempts that end as Failed or TimedOut; statusDetails says where",
    )
    runs.add_argument(
        "--retry-delay",
        type=float,
        metavar="SECONDS",
        help="seconds before the second attempt of a run that failed; four times as many before "
        "each further one, up to five minutes; default: 2 with --data, else 0",
    )
    runs.add_argument(
        "--engine",
        default="here",
        metavar="NAME",
        help="where attempts run: here, on this machine; as jobs of slurm, pbs, pbs_classic or "
        "lsf; or the name of an engine that is installed; default: %(default)s",
    )
    runs.add_argument(
        "--engine-option",
        dest="engine_options",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="option of the engine, such as queue=short; for here, cpu and memory_gb limit what "
        "all runs together may ask for; may be repeated",
    )
    access = serve.add_argument_group("access")
    tokens = access.add_mutually_exclusive_group()
    tokens.add_argument(
        "--token",
        metavar="TOKEN",
        help="access token that calls must carry; other users of this machine can see it on the "
        "command line; default: the environment variable LIBICA_LOCAL_TOKEN, or a random one",
    )
    tokens.add_argument("--token-file", metavar="FILE", help="file that holds the access token")
    access.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="HOST",
        help="address or name to listen on; default: %(default)s",
    )
    access.add_argument(
        "--port",
        type=int,
        default=DEFAULT_PORT,
        metavar="PORT",
        help="port to listen on, where 0 picks a free one; default: %(default)s",
    )
    access.add_argument(
        "--expose-to-network",
        action="store_true",
        help="allow a --host that other machines can reach; it needs TLS",
    )
    access.add_argument(
        "--tls-cert",
        metavar="FILE",
        help="certificate for TLS, followed by those of its authorities, in PEM",
    )
    access.add_argument(
        "--tls-key", metavar="FILE", help="key of the certificate, in PEM, without a password"
    )
    access.add_argument(
        "--no-tls",
        action="store_true",
        help="allow a --host that other machines can reach without TLS: tokens and data travel "
        "readable, so whoever sees the traffic can run commands as you",
    )
    access.add_argument(
        "--no-page", dest="page", action="store_false", help="serve no page for browsers"
    )
    access.add_argument(
        "--access-log",
        metavar="FILE",
        help="file to append a line to for each request; - for standard error; default: none",
    )
    return parser


def _repaired(data: Optional[str]) -> str:
    from .service.server import repair

    if data is None:
        raise ValueError("--repair needs the --data folder that is damaged")
    return repair(data)


def _pairs(options: Sequence[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for option in options:
        name, equals, value = option.partition("=")
        if not (name and equals):
            raise ValueError(f"--engine-option must be KEY=VALUE, not {option!r}")
        if name in pairs:
            raise ValueError(f"--engine-option {name} is given twice")
        pairs[name] = value
    return pairs


def _token(token: Optional[str], file: Optional[str]) -> Optional[str]:
    if file is not None:
        try:
            return Path(file).read_text(encoding="ascii").strip()
        except UnicodeDecodeError:
            raise ValueError(f"the token in {file} must be printable ASCII") from None
    return os.environ.get("LIBICA_LOCAL_TOKEN") if token is None else token


def _log_to_stderr() -> None:
    from .service.repeats import Repeats

    handler = logging.StreamHandler()
    handler.addFilter(Repeats())
    logging.basicConfig(
        format="%(asctime)s %(levelname)s %(name)s: %(message)s", handlers=[handler]
    )


if __name__ == "__main__":
    sys.exit(main())
