"""Images for tests with podman: busybox, and stand-ins for the programs of other images."""

from __future__ import annotations

import os
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from ..real_parts import real_part

NAME = "localhost/libica-libtes-test"
APPLETS = "sh basename cat cp dd echo env id ln mkdir pwd seq sleep test true".split()
CONFIGURATION = Path(__file__).with_name("containers.conf")


@contextmanager
def image(name: str, folder: Path, files: Mapping[str, str]) -> Iterator[str]:
    """Yield podman with an image that has busybox, and these files, which programs may be."""
    podman = real_part("podman")
    root = folder / "image"
    (root / "bin").mkdir(parents=True)
    (root / "home").mkdir()
    (root / "bin/busybox").write_bytes(Path(real_part("busybox")).read_bytes())
    (root / "bin/busybox").chmod(0o755)
    for applet in APPLETS:
        (root / "bin" / applet).symlink_to("busybox")
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
        (root / path).chmod(0o755)
    with tarfile.open(folder / "image.tar", "w") as archive:
        for each in os.listdir(root):
            archive.add(root / each, each)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONTAINERS_CONF", str(CONFIGURATION))
        subprocess.run(
            [podman, "import", "--quiet", "--change=WORKDIR /home", folder / "image.tar", name],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        yield podman
