"""Runs one attempt: ``python -m libica.local.node FOLDER``."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from . import attempt
from .termination import on_termination


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the attempt of a folder and return 0 once it has an outcome, whatever that is.

    SIGTERM and SIGINT end the attempt. The exit status is 2 if it could not be run here, and 1 if
    its outcome could not be written.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print("usage: python -m libica.local.node FOLDER", file=sys.stderr)
        return 2
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    stop = threading.Event()
    on_termination(stop.set)
    folder = Path(arguments[0])
    try:
        attempt.run(folder, stop)
    except (attempt.AttemptError, OSError) as error:
        print(f"libica.local.node: {error}", file=sys.stderr)
        return 2
    return 0 if attempt.outcome(folder) else 1


if __name__ == "__main__":
    sys.exit(main())
