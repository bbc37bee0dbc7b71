"""The file of the store: upgraded, damaged, private, on a full and a read-only disk."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from libica.local.node.job import Outcome
from libica.local.service import paging
from libica.local.store import lists, objects
from libica.local.store.errors import DamagedError, StoreError, UnavailableError
from libica.local.store.identity import Identity, digest
from libica.local.store.repair import repair
from libica.local.store.rows import dumps
from libica.local.store.store import Store

from .caller import wait_until

ME, OTHER = Identity.named("main"), Identity.named("other")
EXECUTION = {"command": "true", "retryLimit": 1, "retryCount": 0}
posix = pytest.mark.skipif(sys.platform == "win32", reason="of POSIX")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tes.sqlite"


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Store]:
    store = Store(path)
    try:
        yield store
    finally:
        store.close()


def add(store: Store, number: int, **more: Any) -> list[str]:
    runs = [objects.run({"name": f"run {n}", **more}, EXECUTION, ME) for n in range(number)]
    for future in [store.add_run(run, {**EXECUTION, "args": ["x" * 900]}) for run in runs]:
        future.result()
    return [run["id"] for run in runs]


def listed(store: Store, by: Identity = ME, **query: str) -> list[dict[str, Any]]:
    """Return all runs of a list, after checking that its total says how many there are."""
    cursor = paging.read(lists.RUNS, "", {"pagesize": "1000", **query}, store.key)
    found: list[dict[str, Any]] = []
    while True:
        page = store.page(lists.RUNS, cursor, by, total=True)
        found += map(json.loads, page.items)
        if not page.after:
            assert page.total == len(found)
            return found
        cursor = page.cursor.at(page.ends and page.ends[1], backwards=False)


def ids(runs: list[dict[str, Any]]) -> set[str]:
    return {run["id"] for run in runs}


def sound(path: Path) -> bool:
    with contextlib.closing(sqlite3.connect(path)) as db:
        return bool(db.execute("PRAGMA integrity_check").fetchone() == ("ok",))


# Upgrades.


def make_version_1(path: Path, number: int) -> list[str]:
    """Make a file as the first version of the store left it, with runs of two tenants."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript(Path(__file__).with_name("version_1.sql").read_text(encoding="utf-8"))
        db.execute("INSERT INTO settings VALUES ('key', ?)", (b"k" * 32,))
        row = (digest("token"), "main", ME.tenant, ME.workgroup, ME.user)
        db.execute("INSERT INTO tokens VALUES (?, ?, ?, ?, ?)", row)
        task = objects.task({"name": "align"}, ME)
        version = objects.version({"version": "1"}, task["id"], ME)
        add_version_1(db, "tasks", task, name="align", tenantId=ME.tenant)
        add_version_1(
            db, "versions", version, scope=task["id"], version="1", execution=dumps(EXECUTION)
        )
        found = []
        for n in range(number):
            given = {"name": f"run {n}", "acl": ["wid:shared"] if n % 3 == 0 else None}
            run = objects.run(given, EXECUTION, OTHER if n % 5 == 0 else ME)
            run["status"] = "Failed" if n % 2 else "Pending"
            columns = {"name": run["name"], "status": run["status"], "versionId": version["id"]}
            parts = {"execution": dumps(EXECUTION), "logs": "[]", "aborting": False}
            add_version_1(db, "runs", run, **columns, **parts, version="1")
            found.append(run["id"])
        db.commit()
    return found


def add_version_1(db: sqlite3.Connection, table: str, summary: dict[str, Any], **more: Any) -> None:
    same = {name: summary[name] for name in ("id", "createdBy", "timeCreated", "timeModified")}
    row = {"scope": "", "acl": dumps(summary["acl"]), "summary": dumps(summary), **same, **more}
    marks = ", ".join("?" * len(row))
    db.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", [*row.values()])


def check_upgraded(path: Path, made: list[str]) -> None:
    with opened(path) as store:
        assert ids(listed(store)) | ids(listed(store, OTHER)) == set(made)
        assert len(listed(store, status="Failed", versions="1", acls=ME.acl[0])) > 0
        assert store.runs.pending(1 << 20) == made[::2]
        assert (store.identity("token"), store.key) == (ME, b"k" * 32)
        cursor = paging.read(lists.TASKS, "", {}, b"")
        (task,) = map(json.loads, store.page(lists.TASKS, cursor, ME, total=False).items)
        assert store.versions(task["id"], ME)[0][1] == dumps(EXECUTION)
    assert sound(path)


def shape(path: Path) -> list[Any]:
    with contextlib.closing(sqlite3.connect(path)) as db:
        names = db.execute("SELECT type, name FROM sqlite_master ORDER BY name").fetchall()
        return [names, [db.execute(f"PRAGMA table_info({name})").fetchall() for _, name in names]]


def test_a_file_of_version_1_is_upgraded_after_a_backup(path: Path, tmp_path: Path) -> None:
    made = make_version_1(path, 30)
    before = shape(path)
    check_upgraded(path, made)
    assert shape(tmp_path / "tes.sqlite.v1.bak") == before
    Store(tmp_path / "new").close()
    assert shape(path) == shape(tmp_path / "new")


@posix
@pytest.mark.slow
def test_an_upgrade_that_is_killed_leaves_the_old_file_usable(path: Path, tmp_path: Path) -> None:
    made = make_version_1(path, 3000)
    endless = "WITH RECURSIVE more(n) AS (SELECT 1 UNION ALL SELECT n FROM more) SELECT * FROM more"
    script = (
        "import sys; from pathlib import Path; from libica.local.store.opening import opened\n"
        "from libica.local.store.schema import SCHEMA\n"
        f"slow = SCHEMA.migrations[1] + {endless + ' LIMIT -1;'!r}\n"
        "opened(Path(sys.argv[1]), SCHEMA._replace(migrations={1: slow}))"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(path)])
    log = path.with_name("tes.sqlite-wal")
    wait_until(lambda: log.exists() and log.stat().st_size > 1 << 20)  # the changes begin
    process.send_signal(signal.SIGKILL)
    process.wait()
    with contextlib.closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (1,)
        assert db.execute("SELECT count(*) FROM runs").fetchone() == (3000,)
    check_upgraded(path, made)


@posix
@pytest.mark.parametrize("umask", [0, 0o777])
def test_all_files_are_private_whatever_the_umask(umask: int, path: Path, tmp_path: Path) -> None:
    make_version_1(path, 3)
    path.chmod(0o644)
    script = (
        f"import os, sys; from pathlib import Path; os.umask({umask})\n"
        "from libica.local.store.repair import repair; from libica.local.store.store import Store\n"
        "path = Path(sys.argv[1]); Store(path).close(); repair(path); store = Store(path)\n"
        "print(*sorted(f'{each.name} {each.stat().st_mode:o}' for each in path.parent.iterdir()))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True, check=True
    )
    names, modes = ran.stdout.split()[::2], ran.stdout.split()[1::2]
    assert {"tes.sqlite", "tes.sqlite-shm", "tes.sqlite-wal", "tes.sqlite.v1.bak"} < set(names)
    assert {stat.S_IMODE(int(mode, 8)) for mode in modes} == {0o600}, ran.stdout


# Damage.


def overwrite(path: Path, page: int, skip: int = 0) -> None:
    """Overwrite a page of a file, numbered from 1, apart from its first bytes."""
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096 + skip)
        file.write(os.urandom(4096 - skip))


def root(path: Path, name: str) -> int:
    with contextlib.closing(sqlite3.connect(path)) as db:
        sql = "SELECT rootpage FROM sqlite_master WHERE name = ?"
        return int(db.execute(sql, (name,)).fetchone()[0])


def leaf(path: Path, number: int) -> int:
    """Return a page that has rows of runs."""
    content = path.read_bytes()
    starts = range(0, len(content), 4096)
    found = [at for at in starts if content[at] == 0x0D and b"trn." in content[at : at + 4096]]
    return found[number] // 4096 + 1


PLACES: dict[str, tuple[Callable[[Path], int], int]] = {
    "the first page": (lambda path: 1, 0),
    "the root of the runs": (lambda path: root(path, "runs"), 0),
    "the root of an index": (lambda path: root(path, "runs_status"), 0),
    "some runs": (lambda path: leaf(path, 50), 4),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_damaged_file_is_refused_until_it_is_repaired(place: str, path: Path) -> None:
    with opened(path) as store:
        made = add(store, 400) + add(store, 1, description="x" * 20_000)  # on several pages
        store.admit("token", ME, "main").result()
        job = store.runs.planned(made[7]).job
        store.runs.started(job, "here", "", "Running", "").result()
        store.runs.ended(job, Outcome("Completed", "", {})).result()
        key = store.key
    find, most_lost = PLACES[place]
    overwrite(path, find(path))
    damaged = path.read_bytes()
    with pytest.raises(ValueError, match="--repair"):
        Store(path)
    report = repair(path)
    assert (path.parent / report.rpartition("kept as ")[2]).read_bytes() == damaged
    with opened(path) as store:
        kept = listed(store)
        assert ids(kept) <= set(made)
        assert len(made) - len(kept) <= most_lost
        assert f"{len(kept)} runs" in report
        assert ids(listed(store, status="Completed")) == {made[7]}
        assert (store.identity("token"), store.key) == (ME, key)
        if most_lost:
            assert f"of the runs: {len(made) - len(kept)} (lost" in report
        assert len(store.runs.pending(1 << 20)) == len(kept) - 1
        add(store, 1)
    assert sound(path)


def test_a_damaged_file_of_version_1_is_repaired_too(path: Path) -> None:
    made = make_version_1(path, 200)
    overwrite(path, root(path, "runs"))
    with pytest.raises(ValueError, match="--repair"):
        Store(path)
    repair(path)
    check_upgraded(path, made)


@posix
def test_what_is_only_in_the_log_is_salvaged_too(path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; from test.local import test_store_file as this\n"
        "store = this.Store(Path(sys.argv[1])); print(*this.add(store, 30), flush=True)\n"
        "os.kill(os.getpid(), 9)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True, check=False
    )
    made = ran.stdout.split()
    assert path.with_name("tes.sqlite-wal").stat().st_size > 30 * 900
    repair(path)
    with opened(path) as store:
        assert ids(listed(store)) == set(made)


def test_a_file_without_any_row_of_the_service_is_left_as_it_is(path: Path) -> None:
    for text, message in (("hello " * 5000, "nothing was changed"), ("", "empty")):
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            repair(path)
        assert [path] == list(path.parent.iterdir())


def test_damage_that_is_met_later_is_an_error_of_the_calls_that_meet_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("libica.local.store.opening._CACHE", 1 << 16)  # keeps little in memory
    with opened(path) as store:
        made = add(store, 400)
    with opened(path) as store:
        with path.open("r+b") as file:
            file.seek((leaf(path, 50) - 1) * 4096)
            file.write(bytes(4096))
        calls: list[Callable[[str], object]] = [
            lambda run_id: store.run(run_id, ME),
            lambda run_id: store.abort(run_id, ME).result(),
        ]
        for call in calls:
            errors = []
            for run_id in made[:300]:
                try:
                    call(run_id)
                except StoreError as error:
                    errors.append(error)
            assert 0 < len(errors) <= 4
            assert {type(each) for each in errors} == {DamagedError}
            assert "--repair" in errors[0].message
        add(store, 1)


# Full and read-only disks.


@contextlib.contextmanager
def mounted(folder: Path, *options: str) -> Iterator[Path]:
    folder.mkdir()
    mount = ["mount", *options, str(folder)]
    try:
        ran = subprocess.run(mount, stderr=subprocess.PIPE, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if ran.returncode:
        pytest.skip(f"mounting is not allowed here: {ran.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def add_until_refused(store: Store) -> list[str]:
    """Add runs until one is refused; return the ids of those that were acknowledged."""
    made: list[str] = []
    try:
        while True:
            made += add(store, 1)
    except UnavailableError as error:
        assert "disk" in error.message  # noqa: PT017
    return made


@posix
@pytest.mark.slow
def test_a_full_disk_refuses_changes_and_loses_nothing_until_there_is_room(tmp_path: Path) -> None:
    with mounted(tmp_path / "small", "-t", "tmpfs", "-o", "size=6m", "tmpfs") as small:
        filler = small / "filler"
        filler.write_bytes(b"x" * (3 << 20))
        with opened(small / "tes.sqlite") as store:
            made = add_until_refused(store)
            for _ in range(3):
                with pytest.raises(UnavailableError):
                    add(store, 1, description="x" * 100_000)
                assert ids(listed(store)) == set(made)
            filler.unlink()
            made += add(store, 100)
            assert ids(listed(store)) == set(made)
            made += add_until_refused(store)
            job = store.runs.planned(made[0]).job
            with pytest.raises(UnavailableError):
                store.runs.started(job, "here", "h" * 100_000, "Running", "").result()
        with opened(small / "tes.sqlite") as store:  # it opens on a full disk too
            assert ids(listed(store)) == set(made)
        assert sound(small / "tes.sqlite")


@posix
@pytest.mark.slow
def test_a_disk_that_becomes_read_only_refuses_changes_and_loses_nothing(tmp_path: Path) -> None:
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(8 << 20)
    if not shutil.which("mkfs.ext4"):
        pytest.skip("there is no mkfs.ext4 command")
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
    loop = ("-o", "loop,errors=remount-ro", str(image))
    with mounted(tmp_path / "disk", *loop) as disk, opened(disk / "tes.sqlite") as store:
        made = add(store, 20)
        devices = Path("/proc/mounts").read_text(encoding="utf-8").splitlines()
        device = next(line.split()[0] for line in devices if f" {disk} " in line)
        error = Path("/sys/fs/ext4", Path(device).name, "trigger_fs_error")
        if not error.exists():
            pytest.skip("the kernel cannot simulate an error of a disk")
        error.write_text("test", encoding="utf-8")
        for _ in range(3):
            with pytest.raises(UnavailableError, match=r"disk|readonly"):
                add(store, 1)
            assert ids(listed(store)) == set(made)
    with mounted(tmp_path / "again", *loop) as disk:
        with opened(disk / "tes.sqlite") as store:
            made += add(store, 20)
            assert ids(listed(store)) == set(made)
        assert sound(disk / "tes.sqlite")
