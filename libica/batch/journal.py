"""The journal of a batch: an append-only file, by which a batch goes on where it was.

Each line is a JSON object. The first says of what it is, and a line for each launch which
request it was made for: arguments may be secrets, so their digests are kept. From there on it
tells what happens. That a launch is about to be sent is on the disk before it is sent; so one
that was sent and has no outcome here may have a run, and is looked for.

The first line has the token of the batch, so the mark of each launch (`mark.py`) is on the disk
before it is sent, too, and is the same whenever the batch goes on.

Format 1 had no marks. Its journals go on without: runs are told by their names.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import secrets
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, BinaryIO, NoReturn, Optional, Union

from libica.openapi.libtes import ApiValueError

from .mark import new_batch
from .plan import Plan, lines
from .report import Launch, Report

Path = Union[str, os.PathLike[str]]

_BEGIN = b'{"journal": "libica.batch", "format": '
_FORMATS = (1, 2)
_DIGEST = 16  # bytes


class JournalError(ApiValueError):
    """A journal cannot be used: it is another's, broken or in use; nothing was launched.

    Attributes:
        differences: What differs from the launches given, if that is why.
    """

    def __init__(self, message: str, differences: Sequence[str] = ()) -> None:
        super().__init__(message, differences)
        self.differences: list[str] = list(differences)

    def __str__(self) -> str:
        return lines(self.args[0], self.differences)


class History:
    """What a journal tells: of which batch it is, and what became of its launches so far.

    Attributes:
        head: The first line: task, version, token of the batch, path and options of the table.
        launches: All launches by name, in the order in which the journal was begun.
        digests: Digests of the requests, by name.
        open: Names of launches that were sent, or were about to be, and have no outcome.
        uncovered: Those of them that were sent before the earlier runs were listed.
        old: Ids of earlier runs that have a name of this batch; `None` if they were never listed.
        marks_lost: Whether the service was seen not to keep marks.
        calls: How many calls have used the journal so far.
        sent_by: Which of them sent a launch last, the first being 1, by name.
    """

    def __init__(self, head: Mapping[str, Any]) -> None:
        self.head = head
        self.launches: dict[str, Launch] = {}
        self.digests: dict[str, str] = {}
        self.open: set[str] = set()
        self.uncovered: set[str] = set()
        self.old: Optional[set[str]] = None
        self.marks_lost: bool = False
        self.calls: int = 0
        self.sent_by: dict[str, int] = {}

    @property
    def batch(self) -> Optional[str]:
        """The token in the marks; `None` where runs bear no marks."""
        return self.head.get("batch")

    def add(self, name: str, digest: str) -> None:
        """Add a launch."""
        self.launches[name] = Launch(name, number=len(self.launches) + 1)
        self.digests[name] = digest

    def replay(self, record: Mapping[str, Any]) -> None:
        """Take in a line that tells what happened."""
        if "send" in record:
            launch = self._launch(record["send"], record)
            launch.attempts += 1
            self.open.add(launch.name)
            self.sent_by[launch.name] = self.calls
        elif "none" in record:
            launch = self._launch(record["none"], record)
            launch.attempts = record["attempts"]
            self.closed(launch.name)
        elif "run" in record:
            launch = self._launch(record["name"], record)
            status = record["status"]
            launch.run_id = record["run"]
            launch.status = status and sys.intern(status)
            launch.attempts = record["attempts"]
            launch.time_created = _time(record["created"])
            launch.time_modified = _time(record.get("ended"))
            self.closed(launch.name)
        elif "doubled" in record:
            self._launch(record["doubled"], record).doubles = tuple(record["runs"])
        elif "old" in record:
            self.old = set(record["old"])
            self.uncovered = set(self.open)
        elif "marks" in record:
            self.marks_lost = not record["marks"]
        elif "began" in record:
            self.calls += 1
        else:
            raise LookupError("it tells nothing known")

    def tell_unsure(self) -> None:
        """Say so in the launches whose outcome is not known."""
        for name in self.open:
            self.launches[name].error = "unsure: the journal ends before its outcome was known"

    def _launch(self, name: str, record: Mapping[str, Any]) -> Launch:
        """Return a launch, begun anew if the record is of a further try."""
        launch = self.launches[name]
        if record.get("try", 1) > launch.tries:
            launch = self.launches[name] = next_try(launch)
            self.closed(name)
        return launch

    def closed(self, name: str) -> None:
        """Note that the outcome of a launch is known."""
        self.open.discard(name)
        self.uncovered.discard(name)


def changed_rows(history: History, plan: Plan) -> list[str]:
    """Return which rows of a plan are not what they were when the journal was begun."""
    found = []
    for row, name in enumerate(plan.names):
        digest = history.digests.get(name)
        if digest is None:
            found.append(f"row {row + 1} ({name!r}) is new")
        elif digest != _digest(plan, row, history.head["salt"]):
            found.append(f"row {row + 1} ({name!r}) was something else")
    return found


def next_try(launch: Launch) -> Launch:
    """Return a launch that tries again what another has tried."""
    tried = dataclasses.replace(launch, earlier=())
    return Launch(launch.name, number=launch.number, earlier=(*launch.earlier, tried))


def report_of(path: Path) -> Report:
    """Return what a journal tells, without a service; see `Report.from_journal`."""
    with open(path, "rb") as file:
        history, _ = _read(file, os.fspath(path))
    if history is None:
        return Report()
    history.tell_unsure()
    return Report(history.launches.values(), batch=history.batch)


class Journal:
    """The record of a batch, locked until it is closed; without a path it keeps nothing.

    Its methods are called under the lock of the ledger, but for `sync`.

    Args:
        path: The file; `None` to keep nothing.

    Raises:
        JournalError: It is no journal, is broken or in use, or the locks of its file system do
            nothing.
        OSError: The file cannot be read or written.

    Attributes:
        history: What it tells; `None` if it is new.
        resumed: Whether it was begun by an earlier call.
    """

    def __init__(self, path: Optional[Path]) -> None:
        self.history: Optional[History] = None
        self.resumed: bool = False
        self._file: Optional[BinaryIO] = None
        self._failed = False
        if path is None:
            return
        self._path = os.fspath(path)
        self._file = open(path, "a+b", opener=_private)  # noqa: SIM115 closed by close()
        try:
            _lock(self._file, self._path)
            self.history, end = _read(self._file, self._path)
            self._file.truncate(end)  # a process was killed while it wrote what stands behind
            self._size = end
            self.resumed = self.history is not None
        except BaseException:
            self.close()
            raise

    def begin(
        self,
        task_id: str,
        version_id: str,
        plan: Plan,
        *,
        mark: bool = True,
        table: Optional[Mapping[str, Any]] = None,
    ) -> History:
        """Begin a batch, or go on with the one that the journal is of; returns what it tells.

        Raises:
            JournalError: It is of another task, version or set of launches.
            OSError: The file cannot be written.
        """
        history = self.history
        if history is None:
            history = self._begin(task_id, version_id, plan, mark, table)
        else:
            self._compare(history, task_id, version_id, plan, mark)
        self.go_on()
        return history

    def go_on(self) -> None:
        """Note that a call begins."""
        self._write([{"began": secrets.token_hex(4)}])
        self.flush()
        self.sync()
        self.check()

    def refuse(self, differences: Sequence[str]) -> None:
        """Raise an error if there are differences."""
        if differences:
            raise JournalError(f"{self._path} is the journal of another batch:", differences)

    def sending(self, launches: Sequence[Launch]) -> None:
        """Note that launches are about to be sent; they may be after `sync` and `check`."""
        self._write([{"send": each.name, **_try(each)} for each in launches])

    def has_run(self, launch: Launch) -> None:
        """Note the run of a launch."""
        record = {"run": launch.run_id, "name": launch.name, "attempts": launch.attempts}
        times = {"created": _text(launch.time_created)}
        if launch.time_modified is not None:
            times["ended"] = _text(launch.time_modified)
        self._write([{**record, "status": launch.status, **times, **_try(launch)}])

    def has_none(self, launch: Launch) -> None:
        """Note that a launch was refused, or not sent: the next call sends it."""
        self._write([{"none": launch.name, "attempts": launch.attempts, **_try(launch)}])

    def is_doubled(self, launch: Launch) -> None:
        """Note which further runs a launch has."""
        self._write([{"doubled": launch.name, "runs": list(launch.doubles), **_try(launch)}])

    def are_old(self, run_ids: Iterable[str]) -> None:
        """Note which runs with names of this batch are not of it."""
        self._write([{"old": sorted(run_ids)}])

    def marks_are_lost(self) -> None:
        """Note that the service does not keep marks."""
        self._write([{"marks": False}])

    def flush(self) -> None:
        """Hand over what was noted to the system, which keeps it if this process is killed."""
        if self._file is not None and not self._file.closed and not self._failed:
            try:
                self._file.flush()
            except OSError as error:
                self._fail(error)

    def sync(self) -> None:
        """Wait until what was flushed is on the disk; the one method that needs no lock."""
        if self._file is not None and not self._file.closed:
            try:
                os.fsync(self._file.fileno())
            except OSError as error:
                error.filename = self._path
                raise

    def check(self) -> None:
        """Make sure that nobody else writes to the file, as could be where locks do nothing.

        Raises:
            JournalError: Somebody does.
        """
        self.flush()
        if self._file is None or self._file.closed:
            return
        if os.fstat(self._file.fileno()).st_size != self._size:
            self._failed = True
            raise JournalError(
                f"{self._path} was written to by another process: it is in use by another "
                "launch_all, and the locks of its file system do nothing"
            )

    def close(self) -> None:
        """Let others have it; what could not be written is given up."""
        if self._file is not None:
            if self._failed:
                self._file.raw.close()  # type: ignore[attr-defined]  # without its buffer
            else:
                self._file.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _write(self, records: Sequence[Mapping[str, Any]]) -> None:
        # A thread that was left behind may come when it is closed.
        if self._file is None or self._file.closed or self._failed:
            return
        data = b"".join(json.dumps(each).encode() + b"\n" for each in records)
        self._size += len(data)
        try:
            self._file.write(data)
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> NoReturn:
        """Write no more: what stands there may be torn, and nothing may follow it."""
        self._failed = True
        error.filename = self._path
        raise error

    def _begin(
        self,
        task_id: str,
        version_id: str,
        plan: Plan,
        mark: bool,
        table: Optional[Mapping[str, Any]],
    ) -> History:
        salt = secrets.token_hex(_DIGEST)
        head: dict[str, Any] = {"task": task_id, "version": version_id, "salt": salt}
        if mark:
            head["batch"] = new_batch()
        if table is not None:
            head["table"] = table
        history = self.history = History(head)
        keeps = self._file is not None
        if keeps:
            self._write([{"journal": "libica.batch", "format": _FORMATS[-1], **head}])
        for row, name in enumerate(plan.names):
            history.add(name, _digest(plan, row, salt) if keeps else "")
            if keeps:
                self._write([{"plan": name, "digest": history.digests[name]}])
        history.digests.clear()
        self._write([{"planned": len(plan)}])
        self.flush()
        self.sync()
        if keeps:
            _sync_folder(self._path)
        return history

    def _compare(
        self, history: History, task_id: str, version_id: str, plan: Plan, mark: bool
    ) -> None:
        """Refuse a journal of something else."""
        given = {"task": task_id, "version": version_id}
        found = [
            f"it is of {what} {history.head[what]}, not of {given[what]}"
            for what in given
            if history.head[what] != given[what]
        ]
        if history.head["format"] > 1 and mark != (history.batch is not None):
            found.append(f"it was begun with mark={not mark}, and goes on with that only")
        found += changed_rows(history, plan)
        names = set(plan.names)
        found += [
            f"{name!r} is not among the launches" for name in history.launches if name not in names
        ]
        self.refuse(found)
        history.digests.clear()


def _read(file: BinaryIO, path: str) -> tuple[Optional[History], int]:
    """Read a journal: what it tells, and where it ends.

    What it tells is `None` if it ends before anything can have been launched.
    """
    end = 0
    file.seek(0)
    begin = file.read(len(_BEGIN))
    if begin != _BEGIN[: len(begin)]:
        raise JournalError(f"{path} is no journal of launch_all")
    file.seek(0)
    history: Optional[History] = None
    planned = False
    for number, line in enumerate(file, 1):
        if not line.endswith(b"\n"):
            break  # the process was killed while it wrote this
        end += len(line)
        try:
            record = json.loads(line)
            if history is None:
                if record["format"] not in _FORMATS:
                    raise JournalError(
                        f"{path} has format {record['format']}: a later version of this package "
                        "wrote it"
                    )
                history = History({key: record[key] for key in record if key != "journal"})
            elif planned:
                history.replay(record)
            elif "plan" in record:
                history.add(record["plan"], record["digest"])
            elif "planned" in record:
                planned = True
            else:
                raise LookupError("a launch is told of before the plan ends")
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            if isinstance(error, JournalError):
                raise
            raise JournalError(f"{path}, line {number} is broken: {error!r}") from error
    return (history, end) if planned else (None, 0)


def _digest(plan: Plan, row: int, salt: str) -> str:
    key = bytes.fromhex(salt)
    return hashlib.blake2b(plan.request(row), key=key, digest_size=_DIGEST).hexdigest()


def _try(launch: Launch) -> dict[str, int]:
    return {"try": launch.tries} if launch.earlier else {}


def _time(text: Optional[str]) -> Optional[datetime]:
    return None if text is None else datetime.fromisoformat(text)


def _text(time: Optional[datetime]) -> Optional[str]:
    return None if time is None else time.isoformat()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _sync_folder(path: str) -> None:
    """Make sure that a new file is found after a power cut."""
    if sys.platform != "win32":
        folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _lock(file: BinaryIO, path: str) -> None:
    """Keep others out until the file is closed, or the process ends in whatever way."""
    try:
        _take_lock(file)
    except (BlockingIOError, PermissionError):
        raise JournalError(f"{path} is in use by another launch_all") from None
    except OSError as error:
        raise JournalError(
            f"the file system of {path} has no locks ({error}): keep the journal on a local disk"
        ) from error
    with open(path, "rb+") as other:
        try:
            _take_lock(other)
        except OSError:
            return  # as it should be
    raise JournalError(
        f"the locks of the file system of {path} do nothing: keep the journal on a local disk"
    )


def _take_lock(file: BinaryIO) -> None:
    if sys.platform == "win32":
        import msvcrt

        file.seek(1 << 30)  # far away: on Windows nobody else can read what is locked
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
