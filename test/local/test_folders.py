"""Nobody who swaps folders for links while files are copied makes these lead out of bounds."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from libica.local.node import folders
from libica.local.node.copying import copy_file, copy_folder
from libica.local.node.places import Local
from libica.local.node.remote import Storage

pytestmark = pytest.mark.skipif(os.name != "posix", reason="folders are held open on POSIX alone")

# In turn a name is a folder or file, and a link out of bounds.
_SWAP = """
import contextlib, os, shutil, sys
name, aside, outside = sys.argv[1:]
print("ready", flush=True)
while True:
    try:
        os.rename(name, aside)
        os.symlink(outside, name)
        os.unlink(name)
        os.rename(aside, name)
    except OSError:  # the copier has made one in between
        shutil.rmtree(name, ignore_errors=True)
        with contextlib.suppress(OSError):
            os.unlink(name)
        with contextlib.suppress(OSError):
            os.rename(aside, name)
"""
ROUNDS = 300


@contextmanager
def swapping(path: Path, outside: Path) -> Iterator[None]:
    aside = path.with_name("aside")
    command = [sys.executable, "-c", _SWAP, str(path), str(aside), str(outside)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield
            assert process.poll() is None
        finally:
            process.kill()


@pytest.mark.slow
@pytest.mark.parametrize("swapped", ["volume", "volume/data", "volume/data/x"])
def test_a_race_of_links_reads_nothing_outside(tmp_path: Path, swapped: str) -> None:
    bounds, outside = tmp_path / "gds", tmp_path / "outside"
    for folder, text in ((bounds / "volume/data", "inside"), (outside / "data", "secret")):
        folder.mkdir(parents=True)
        (folder / "x").write_text(text)
    (outside / "x").write_text("secret")
    away = outside / "x" if swapped.endswith("x") else outside
    source, read = Local(bounds / "volume/data", bounds), set()
    with swapping(bounds / swapped, away):
        for number in range(ROUNDS):
            target = Local(tmp_path / f"copies/{number}", None)
            with suppress(OSError, ValueError):
                skipped: list[str] = []  # as in outputs; a link in its place is passed over
                passed_over = skipped if number % 2 else None
                copy_folder(source, target, Storage(), lambda: None, skipped=passed_over)
            with suppress(OSError, ValueError):
                copy_file(
                    Local(source.path / "x", bounds),
                    Local(target.path / "y", None),
                    Storage(),
                    lambda: None,
                    link=bool(number % 2),
                )
            read |= {path.read_text() for path in target.path.glob("?")}
    assert read <= {"inside"}


@pytest.mark.slow
@pytest.mark.parametrize("swapped", ["volume", "volume/data", "volume/data/x"])
def test_a_race_of_links_writes_nothing_outside(tmp_path: Path, swapped: str) -> None:
    bounds, outside = tmp_path / "gds", tmp_path / "outside"
    (bounds / "volume/data").mkdir(parents=True)
    (bounds / "volume/data/x").write_text("old")
    (outside / "data").mkdir(parents=True)
    (tmp_path / "new").mkdir()
    (tmp_path / "new/x").write_text("new")
    away = outside / "x" if swapped.endswith("x") else outside
    with swapping(bounds / swapped, away):
        for _ in range(ROUNDS):
            with suppress(OSError, ValueError):
                target = Local(bounds / "volume/data", bounds)
                copy_folder(Local(tmp_path / "new", None), target, Storage(), lambda: None)
    assert [str(path.relative_to(outside)) for path in outside.rglob("*")] == ["data"]


@pytest.fixture(params=[True, False], ids=["held", "as on Windows"])
def held(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether folders are held open while they are used."""
    if not request.param:
        monkeypatch.setattr(folders, "_HELD", False)
    return bool(request.param)


@pytest.mark.usefixtures("held")
def test_links_out_of_bounds_are_errors_and_those_within_are_followed(tmp_path: Path) -> None:
    (tmp_path / "gds/volume/deep").mkdir(parents=True)
    (tmp_path / "gds/volume/deep/x").write_text("x")
    for name, target in {"rel": "volume/deep", "abs": tmp_path / "gds/volume"}.items():
        (tmp_path / "gds" / name).symlink_to(target)
    (tmp_path / "gds/volume/y").symlink_to("../abs/deep/x")
    for path in ("rel/x", "abs/deep/x", "volume/y"):
        source = Local(tmp_path / "gds" / path, tmp_path / "gds")
        copy_file(source, Local(tmp_path / "copy", None), Storage(), lambda: None)
        assert (tmp_path / "copy").read_text() == "x"
    copy_folder(
        source._replace(path=tmp_path / "gds/abs"),
        Local(tmp_path / "all", None),
        Storage(),
        lambda: None,
    )
    assert (tmp_path / "all/y").read_text() == (tmp_path / "all/deep/x").read_text() == "x"
    copy_file(
        Local(tmp_path / "copy", None),
        source._replace(path=tmp_path / "gds/rel/z"),
        Storage(),
        lambda: None,
    )
    assert (tmp_path / "gds/volume/deep/z").read_text() == "x"
    (tmp_path / "gds/out").symlink_to(tmp_path)
    out = source._replace(path=tmp_path / "gds/out/copy")
    for ends in ((out, Local(tmp_path / "more", None)), (Local(tmp_path / "copy", None), out)):
        with pytest.raises(ValueError, match="leads out of"):
            copy_file(*ends, Storage(), lambda: None)


@pytest.mark.usefixtures("held")
def test_permissions_and_times_are_kept(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    (tmp_path / "x").chmod(0o540)
    os.utime(tmp_path / "x", ns=(1, 10**18 + 123_000))
    copy_file(Local(tmp_path / "x", None), Local(tmp_path / "y", None), Storage(), lambda: None)
    one, other = (tmp_path / "x").stat(), (tmp_path / "y").stat()
    assert (one.st_mode, one.st_mtime_ns) == (other.st_mode, other.st_mtime_ns)
