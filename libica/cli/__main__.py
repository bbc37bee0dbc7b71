"""Entry of ``libica-tes``: starts quickly, and tells each error in one line."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Optional

PROGRAM = "libica-tes"
EXTRA = ("typer", "rich")


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the command; return its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given == ["--version"]:  # without loading anything else
        from libica.openapi.libtes import __version__

        print(PROGRAM, __version__)
        return 0
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names may have any character
    options = given[: given.index("--")] if "--" in given else given
    debug = "--debug" in options
    if debug:  # accepted anywhere, since one adds it when a command has failed
        given.remove("--debug")
        logging.basicConfig(format="%(asctime)s %(name)s: %(message)s")
        logging.getLogger("libica").setLevel(logging.DEBUG)
    try:
        from .commands import app

        return int(app(given, prog_name=PROGRAM, standalone_mode=False) or 0)
    except ModuleNotFoundError as error:
        if debug:
            raise
        found = (error.name or "").partition(".")[0]
        hint = "; it comes with: pip install 'libica-libtes[cli]'" if found in EXTRA else ""
        print(f"{PROGRAM}: {error}{hint}", file=sys.stderr)
        return 2
    except (Exception, KeyboardInterrupt) as error:
        if debug:
            raise
        from .errors import explain

        text, status = explain(error)
        print(f"{PROGRAM}: {text}", file=sys.stderr)
        return status


if __name__ == "__main__":
    sys.exit(main())
