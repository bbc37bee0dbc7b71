"""Fuzz responses, guided by the code that they reach; needs atheris.

``python -m test.fuzz -max_total_time=180 FOLDER`` takes the options of libFuzzer; inputs that
reach new code are kept in the folder.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["libica"]):
    from libica.openapi import libtes

    from ..operations import OPERATIONS
    from ..wire import Wire
    from .responses import check, configuration_for, keep_home, response_of, seeds

    keep_home()
    wire = Wire(hang_up=True)
    client = libtes.ApiClient(configuration_for(wire))
    for each in OPERATIONS:  # what is loaded on first use is loaded here
        check(client, each)


def one(data: bytes) -> None:
    """Make one call and respond with the fuzzer's bytes."""
    operation, wire.reply = response_of(data)
    check(client, operation)
    wire.received.clear()


for folder in [Path(each) for each in sys.argv[1:] if not each.startswith("-")][:1]:
    for at, seed in enumerate(seeds()):
        (folder / f"seed-{at}").write_bytes(seed)
atheris.Setup(sys.argv, one)
atheris.Fuzz()
